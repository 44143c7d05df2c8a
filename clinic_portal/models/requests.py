"""What surrounds requests: times offered and kept for an answer, and invitations to book one visit."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.appointments import MAX_NOTE, Appointment, ContinuityWish, Hold, PriorityClass
from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.people import Account, Patient, Practitioner
from clinic_portal.models.schedule import VisitType


class OfferState(enum.StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class AnsweredVia(enum.StrEnum):
    """How the answer to an offer came: on the patient's pages, by the link in a message, or told to the desk."""

    PORTAL = "portal"
    LINK = "link"
    STAFF = "staff"


class Offer(Base):
    """A time kept for one patient until an instant: for a request, or for a booked visit that would be earlier.

    Open only while its hold lives; of each patient one at most.
    """

    __tablename__ = "offers"
    __table_args__ = (
        Index("uq_offers_open", "patient_id", unique=True,
              sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
        Index("ix_offers_appointment_id", "appointment_id"),
        Index("ix_offers_starts_at", "starts_at"),
        CheckConstraint("(answered_at IS NULL) = (answered_via IS NULL)", name="answered"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointments.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    hold_id: Mapped[int] = mapped_column(ForeignKey("holds.id"))
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[OfferState] = mapped_column(one_of(OfferState, "state"), default=OfferState.OPEN)
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    answered_via: Mapped[AnsweredVia | None] = mapped_column(one_of(AnsweredVia, "answered_via"))
    # The how-manieth offer of this very time.
    round_no: Mapped[int]
    appointment: Mapped[Appointment] = relationship()
    patient: Mapped[Patient] = relationship()
    hold: Mapped[Hold] = relationship()
    practitioner: Mapped[Practitioner] = relationship()

    def is_live(self, at: datetime) -> bool:
        return self.state is OfferState.OPEN and self.expires_at > at and self.hold.closed_at is None


class ServedList(Base):
    """Until when all time that opened has been tried on those who wait for one kind of visit.

    No column of visit types: these are kept in memory while nothing of them changes.
    """

    __tablename__ = "served_lists"
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"), primary_key=True, autoincrement=False)
    served_until: Mapped[datetime] = mapped_column(UTCDateTime)


class VisitInvitation(Base):
    """Somebody at the clinic asks a patient to book one visit within some days: a follow-up, a recall."""

    __tablename__ = "visit_invitations"
    __table_args__ = (
        Index("ix_visit_invitations_patient_id", "patient_id"),
        Index("ix_visit_invitations_open", "expires_at",
              sqlite_where=text("used_by_appointment_id IS NULL AND withdrawn_at IS NULL"),
              postgresql_where=text("used_by_appointment_id IS NULL AND withdrawn_at IS NULL")),
        CheckConstraint("due_until >= due_from", name="window"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    # Days on which the visit should be, both included.
    due_from: Mapped[date]
    due_until: Mapped[date]
    priority_class: Mapped[PriorityClass] = mapped_column(one_of(PriorityClass, "priority_class"))
    # Whether the queue should find the same person as last time; a patient may wish it more, not less.
    continuity_wish: Mapped[ContinuityWish] = mapped_column(
        one_of(ContinuityWish, "continuity_wish"), default=ContinuityWish.NONE, server_default=ContinuityWish.NONE.value
    )
    # What the patient reads about it, on the portal's own pages only.
    message: Mapped[str | None] = mapped_column(String(MAX_NOTE))
    made_by_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_by_appointment_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    patient: Mapped[Patient] = relationship()
    visit_type: Mapped[VisitType] = relationship()
    made_by: Mapped[Account] = relationship()
    used_by: Mapped[Appointment | None] = relationship()

    def is_open(self, at: datetime) -> bool:
        return self.used_by_appointment_id is None and self.withdrawn_at is None and self.expires_at > at
