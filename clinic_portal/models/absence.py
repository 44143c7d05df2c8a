"""A clinician is away, and what became of each visit that this touched."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.appointments import Appointment
from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.people import Account, Practitioner
from clinic_portal.models.schedule import AvailabilityException


class AbsenceReason(enum.StrEnum):
    """Why somebody is away; only staff see it."""

    SICK = "sick"
    LEAVE = "leave"
    OTHER = "other"


class AbsenceAct(enum.StrEnum):
    """What is done with one visit."""

    # With somebody else, at the time that the patient knows.
    SAME_TIME = "same_time"
    OTHER_TIME = "other_time"
    # By phone instead of in person, at the same time or another.
    PHONE = "phone"
    WAITING_LIST = "waiting_list"
    KEEP = "keep"
    CANCEL = "cancel"


class Absence(Base):
    """Time off that was planned with all visits in it; until its messages leave it can be undone."""

    __tablename__ = "absences"
    __table_args__ = (
        Index("ix_absences_practitioner_id", "practitioner_id"),
        CheckConstraint("(undone_at IS NULL) = (undone_by_account_id IS NULL)", name="undone_by_whom"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    exception_id: Mapped[int] = mapped_column(ForeignKey("availability_exceptions.id"))
    reason: Mapped[AbsenceReason] = mapped_column(one_of(AbsenceReason, "reason"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    # When its messages leave: until then it can be undone.
    leaves_at: Mapped[datetime] = mapped_column(UTCDateTime)
    undone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    undone_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    practitioner: Mapped[Practitioner] = relationship()
    exception: Mapped[AvailabilityException] = relationship()
    created_by: Mapped[Account] = relationship(foreign_keys=[created_by_account_id])
    visits: Mapped[list[AbsenceVisit]] = relationship(back_populates="absence", order_by="AbsenceVisit.id")

    def can_be_undone(self, now: datetime) -> bool:
        """Whether its messages wait still, and nobody has undone it."""
        return self.undone_at is None and now < self.leaves_at


class AbsenceVisit(Base):
    """What was done with one visit, and how it was before."""

    __tablename__ = "absence_visits"
    __table_args__ = (
        Index("uq_absence_visits_visit", "absence_id", "appointment_id", unique=True),
        Index("ix_absence_visits_appointment_id", "appointment_id"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    absence_id: Mapped[int] = mapped_column(ForeignKey("absences.id"))
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointments.id"))
    act: Mapped[AbsenceAct] = mapped_column(one_of(AbsenceAct, "act"))
    # The columns that were changed, as plain values, and which messages were still to be told.
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The visit's version afterwards: with another one somebody has changed it since.
    version: Mapped[int]
    # The request that waits in its place, and its version.
    again_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    again_version: Mapped[int | None]
    # Why it could not be put back, as a code, when the absence was undone.
    stays_because: Mapped[str | None] = mapped_column(String(24))
    absence: Mapped[Absence] = relationship(back_populates="visits")
    appointment: Mapped[Appointment] = relationship(foreign_keys=[appointment_id])
    again: Mapped[Appointment | None] = relationship(foreign_keys=[again_id])
