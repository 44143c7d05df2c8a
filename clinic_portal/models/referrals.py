"""Referrals: that somebody outside sends a patient for a kind of visit, for how long and how often."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime
from clinic_portal.models.people import Account, Patient
from clinic_portal.models.schedule import VisitType

MAX_FROM_WHOM = 120


class Referral(Base):
    """A referral that the desk has entered; each visit booked with it takes one of those allowed."""

    __tablename__ = "referrals"
    __table_args__ = (
        Index("ix_referrals_patient_id", "patient_id"),
        CheckConstraint("visits_used >= 0 AND visits_used <= visits_allowed", name="visits_used"),
        CheckConstraint("received_on <= valid_until", name="days"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    from_whom: Mapped[str] = mapped_column(String(MAX_FROM_WHOM))
    received_on: Mapped[date]
    # The last day on which a visit can be.
    valid_until: Mapped[date]
    visits_allowed: Mapped[int]
    visits_used: Mapped[int] = mapped_column(default=0)
    entered_by_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    patient: Mapped[Patient] = relationship()
    visit_type: Mapped[VisitType] = relationship()
    entered_by: Mapped[Account] = relationship()
