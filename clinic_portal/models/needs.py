"""What people need with their appointments: said once, kept with the patient, and ended rather than deleted."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic_portal.models.base import Base, BigId, UTCDateTime, one_of

MAX_NEED_DETAIL = 120


class Need(enum.StrEnum):
    """A kind of help; what each one changes stands in `scheduling/needs.py`."""

    INTERPRETER = "interpreter"
    SIGN_LANGUAGE = "sign_language"
    STEP_FREE = "step_free"
    FEMALE_CLINICIAN = "female_clinician"
    MALE_CLINICIAN = "male_clinician"
    LONGER_VISIT = "longer_visit"
    HEARING = "hearing"
    VISION = "vision"
    CARER_PRESENT = "carer_present"
    EASY_READ = "easy_read"
    LARGE_PRINT = "large_print"
    OTHER = "other"


class NeedSource(enum.StrEnum):
    """Who said so."""

    PATIENT = "patient"
    PROXY = "proxy"
    STAFF = "staff"


class PatientNeed(Base):
    """That a patient needs something, since when, and who said so; live while it has no end."""

    __tablename__ = "patient_needs"
    __table_args__ = (
        Index("uq_patient_needs_live", "patient_id", "kind", unique=True,
              sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    kind: Mapped[Need] = mapped_column(one_of(Need, "kind"))
    # The language of an interpreter, or what else it is in the patient's own words.
    detail: Mapped[str | None] = mapped_column(String(MAX_NEED_DETAIL))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    source: Mapped[NeedSource] = mapped_column(one_of(NeedSource, "source"))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
