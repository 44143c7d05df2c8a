"""Visits and the time they take: appointments, holds, and the tries that led to a practitioner.

A request is an appointment that has no time yet.
"""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.modes import Mode
from clinic_portal.models.people import Account, Patient, Practitioner
from clinic_portal.models.schedule import Location, VisitType


class Status(enum.StrEnum):
    """FHIR R4 AppointmentStatus, as far as the clinic uses it."""

    PROPOSED = "proposed"
    PENDING = "pending"
    WAITLIST = "waitlist"
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"


# Statuses in which a visit keeps its practitioner's and its patient's time.
ACTIVE = (Status.BOOKED, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW)
ACTIVE_SQL = "('booked', 'arrived', 'fulfilled', 'noshow')"
# Statuses of a request: asked, a time offered, nothing fits yet. In SQL the very words of the partial indexes.
WAITING = (Status.PROPOSED, Status.PENDING, Status.WAITLIST)
WAITING_SQL = "status IN ('proposed', 'pending', 'waitlist')"


class Origin(enum.StrEnum):
    """Where a visit came from."""

    PATIENT_ONLINE = "patient_online"
    PROXY_ONLINE = "proxy_online"
    PHONE = "phone"
    DESK = "desk"
    WALK_IN = "walk_in"
    INVITATION = "invitation"
    IMPORT = "import"


class PriorityClass(enum.StrEnum):
    URGENT = "urgent"
    SOON = "soon"
    ROUTINE = "routine"
    FLEXIBLE = "flexible"


class ContinuityWish(enum.StrEnum):
    """How much it matters to see the same person as last time: not at all, if it costs little, above all."""

    NONE = "none"
    PREFER_SAME = "prefer_same"
    SAME_ONLY = "same_only"


class TriageStatus(enum.StrEnum):
    """Whether a person must look at a request before the queue may place it."""

    NOT_NEEDED = "not_needed"
    WAITING = "waiting"
    DONE = "done"
    REDIRECTED = "redirected"


class CancelledBy(enum.StrEnum):
    PATIENT = "patient"
    PROXY = "proxy"
    CLINIC = "clinic"
    SYSTEM = "system"


class CancelReason(enum.StrEnum):
    FEEL_BETTER = "feel_better"
    CANNOT_COME = "cannot_come"
    SEEN_ELSEWHERE = "seen_elsewhere"
    LEFT_WITHOUT_BEING_SEEN = "left_without_being_seen"
    OTHER = "other"


class Outcome(enum.StrEnum):
    """NHS Data Dictionary "attended or did not attend" codes."""

    CANCELLED_BY_PATIENT = "2"
    DID_NOT_ATTEND = "3"
    CANCELLED_BY_CLINIC = "4"
    ATTENDED_ON_TIME = "5"
    ATTENDED_LATE = "6"
    LATE_COULD_NOT_BE_SEEN = "7"


class Confirmation(enum.StrEnum):
    """Whether the patient has said that they will come: asked in a reminder, never demanded."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"
    CONFIRMED = "confirmed"


class ConfirmedVia(enum.StrEnum):
    """Where they said so; `link`: in a mail, without signing in."""

    LINK = "link"


class HoldKind(enum.StrEnum):
    PATIENT_CHECKOUT = "patient_checkout"
    STAFF_CALL = "staff_call"
    OFFER = "offer"


class HoldEnd(enum.StrEnum):
    """Why a hold no longer keeps its time."""

    BOOKED = "booked"
    EXPIRED = "expired"
    RELEASED = "released"


# Source: clinic.md 8, as little as is needed.
MAX_NOTE = 200
# Three parts of each of seven days: morning, afternoon, evening, from Monday on, one bit each.
ALL_PARTS = (1 << 21) - 1
MAX_NUMBER = 40
MAX_JOIN_URL = 300

# No 0 O 1 I L 5 S: read out on the phone, written down by hand.
REFERENCE_ALPHABET = "2346789ABCDEFGHJKMNPQRTUVWXYZ"
_REFERENCES = len(REFERENCE_ALPHABET) ** 6
# Odd and prime to 29: id -> reference is one to one, and neighbours look nothing alike.
_SPREAD, _SHIFT = 387_420_489, 123_456_789


class Appointment(Base):
    """One visit through its whole life, from a wish to its outcome."""

    __tablename__ = "appointments"
    __table_args__ = (
        Index("ix_appointments_practitioner_id", "practitioner_id", "blocked_from"),
        # How many visits there are on a day is counted in it alone.
        Index("ix_appointments_of_day", "practitioner_id", "starts_at", "status", "visit_type_id", "location_id"),
        Index("ix_appointments_patient_id", "patient_id", "starts_at"),
        Index("ix_appointments_starts_at", "starts_at"),
        Index("ix_appointments_waiting", "target_at",
              sqlite_where=text(WAITING_SQL), postgresql_where=text(WAITING_SQL)),
        Index("ix_appointments_earlier", "target_at",
              sqlite_where=text("wants_earlier"), postgresql_where=text("wants_earlier")),
        # Requests that became a visit.
        Index("ix_appointments_served", "booked_at",
              sqlite_where=text("answer_by IS NOT NULL"), postgresql_where=text("answer_by IS NOT NULL")),
        Index("uq_appointments_one_request", "patient_id", "visit_type_id", unique=True,
              sqlite_where=text(WAITING_SQL), postgresql_where=text(WAITING_SQL)),
        CheckConstraint(
            "status NOT IN ('booked', 'fulfilled', 'noshow') OR "
            "(starts_at IS NOT NULL AND ends_at IS NOT NULL AND blocked_from IS NOT NULL AND blocked_until IS NOT NULL"
            " AND practitioner_id IS NOT NULL AND location_id IS NOT NULL)",
            name="booked_has_time",
        ),
        CheckConstraint("blocked_from <= starts_at AND starts_at < ends_at AND ends_at <= blocked_until", name="times"),
        CheckConstraint("lane = 0 OR squeeze_in_reason IS NOT NULL", name="squeeze_in_has_reason"),
        CheckConstraint("status <> 'cancelled' OR (cancelled_at IS NOT NULL AND cancelled_by IS NOT NULL)",
                        name="cancelled_by_whom"),
        CheckConstraint(f"wish_parts BETWEEN 1 AND {ALL_PARTS}", name="wish_parts"),
        CheckConstraint("wish_until >= wish_from", name="wish_window"),
        CheckConstraint("min_warning_min >= 0", name="min_warning_min"),
        CheckConstraint("status <> 'booked' OR mode <> 'phone' OR call_number IS NOT NULL", name="phone_has_number"),
        CheckConstraint("status <> 'booked' OR mode <> 'video' OR join_url IS NOT NULL", name="video_has_room"),
        CheckConstraint("shown_window_min >= 0", name="shown_window_min"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    status: Mapped[Status] = mapped_column(one_of(Status, "status"))
    # Every edit raises version; a new time, practitioner or place raises sequence too (RFC 5545 SEQUENCE).
    version: Mapped[int] = mapped_column(default=1)
    sequence: Mapped[int] = mapped_column(default=0)

    practitioner_id: Mapped[int | None] = mapped_column(ForeignKey("practitioners.id"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    lane: Mapped[int] = mapped_column(default=0)
    squeeze_in_reason: Mapped[str | None] = mapped_column(String(40))
    starts_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Visit with its buffers, as booked: what the practitioner's lane keeps.
    blocked_from: Mapped[datetime | None] = mapped_column(UTCDateTime)
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # How much of its length is there for what the patient needs; a move keeps it.
    extra_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    mode: Mapped[Mode] = mapped_column(one_of(Mode, "mode"), default=Mode.IN_PERSON)
    # Which number is called for a visit by phone; never in addresses, logs or subject lines.
    call_number: Mapped[str | None] = mapped_column(String(MAX_NUMBER))
    # The room of a visit by video, its own: who has the link can come in.
    join_url: Mapped[str | None] = mapped_column(String(MAX_JOIN_URL))
    # The patient reads "between 10am and 12 midday" where this is not 0; the practitioner keeps the exact time.
    shown_window_min: Mapped[int] = mapped_column(default=0, server_default="0")

    origin: Mapped[Origin] = mapped_column(one_of(Origin, "origin"))
    booked_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    priority_class: Mapped[PriorityClass] = mapped_column(
        one_of(PriorityClass, "priority_class"), default=PriorityClass.ROUTINE
    )
    # When the patient first asked; a move by the clinic never changes it.
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    target_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # What was asked for: location_id, needs, continuity. And why this practitioner took it: the scores of the choice.
    wishes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    choice: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    # When it suits: local days at the place, both included, and parts of the week as a mask (see ALL_PARTS).
    wish_from: Mapped[date | None]
    wish_until: Mapped[date | None]
    wish_parts: Mapped[int] = mapped_column(default=ALL_PARTS, server_default=str(ALL_PARTS))
    continuity_wish: Mapped[ContinuityWish] = mapped_column(
        one_of(ContinuityWish, "continuity_wish"), default=ContinuityWish.NONE, server_default=ContinuityWish.NONE.value
    )
    # The shortest time from being told to the visit.
    min_warning_min: Mapped[int] = mapped_column(default=0, server_default="0")
    # Offer a time and wait for the answer, rather than book the first that fits.
    is_ask_first: Mapped[bool] = mapped_column(default=False, server_default=false())
    # A booked visit whose patient would come earlier.
    wants_earlier: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Until when the clinic promises an answer to a request.
    answer_by: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When somebody at the clinic must be told next that it still waits.
    escalate_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    triage_status: Mapped[TriageStatus] = mapped_column(
        one_of(TriageStatus, "triage_status"), default=TriageStatus.NOT_NEEDED,
        server_default=TriageStatus.NOT_NEEDED.value,
    )  # fmt: skip
    triaged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    triaged_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    # What was answered when a request was sent elsewhere; the patient reads it on the request's page only.
    triage_note: Mapped[str | None] = mapped_column(String(MAX_NOTE))
    # The queue's own: when to look at it again, tries that failed for a fault, and why it is not placed, as a code.
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    not_placed_because: Mapped[str | None] = mapped_column(String(40))
    deferred_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Offers in a row that nobody answered; too many pause the request.
    unanswered_offers: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The referral that it uses up one visit of; a visit that is cancelled gives it back.
    referral_id: Mapped[int | None] = mapped_column(ForeignKey("referrals.id"))
    is_private: Mapped[bool] = mapped_column(default=False)
    # What the patient wrote about it; for the desk and whoever sees the patient, and never in messages or logs.
    note: Mapped[str | None] = mapped_column(String(MAX_NOTE))
    # What was answered to which text of the emergency check, and when.
    safety_answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    booked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    arrived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the practitioner called the patient in.
    called_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome_code: Mapped[Outcome | None] = mapped_column(one_of(Outcome, "outcome_code"))
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancelled_by: Mapped[CancelledBy | None] = mapped_column(one_of(CancelledBy, "cancelled_by"))
    cancel_reason: Mapped[CancelReason | None] = mapped_column(one_of(CancelReason, "cancel_reason"))
    is_late_cancel: Mapped[bool] = mapped_column(default=False)

    # Of the present time: a move asks anew.
    confirmation: Mapped[Confirmation] = mapped_column(
        one_of(Confirmation, "confirmation"),
        default=Confirmation.NOT_ASKED,
        server_default=Confirmation.NOT_ASKED.value,
    )
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    confirmed_via: Mapped[ConfirmedVia | None] = mapped_column(one_of(ConfirmedVia, "confirmed_via"))
    # The rules that its reminders follow, as written in the settings; others or none, and they are planned anew.
    reminder_rules: Mapped[str | None] = mapped_column(String(120))

    patient: Mapped[Patient] = relationship()
    visit_type: Mapped[VisitType] = relationship()
    practitioner: Mapped[Practitioner | None] = relationship()
    location: Mapped[Location | None] = relationship()
    booked_by: Mapped[Account | None] = relationship(foreign_keys=[booked_by_account_id])
    triaged_by: Mapped[Account | None] = relationship(foreign_keys=[triaged_by_account_id])

    @property
    def reference(self) -> str:
        """Six letters and digits to read out on the phone; names the visit, opens nothing."""
        number, letters = (self.id * _SPREAD + _SHIFT) % _REFERENCES, ""
        for _ in range(6):
            number, digit = divmod(number, len(REFERENCE_ALPHABET))
            letters = REFERENCE_ALPHABET[digit] + letters
        return letters

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def is_request(self) -> bool:
        return self.status in WAITING


def id_from_reference(reference: str) -> int | None:
    """The id behind a reference as somebody typed it, or None when it cannot be one."""
    letters = reference.strip().upper().replace("-", "").replace(" ", "")
    if len(letters) != 6 or any(letter not in REFERENCE_ALPHABET for letter in letters):
        return None
    number = 0
    for letter in letters:
        number = number * len(REFERENCE_ALPHABET) + REFERENCE_ALPHABET.index(letter)
    return (number - _SHIFT) * pow(_SPREAD, -1, _REFERENCES) % _REFERENCES


class Hold(Base):
    """Time kept for one person until an instant; live only while `expires_at` is ahead and nobody closed it."""

    __tablename__ = "holds"
    __table_args__ = (
        Index("ix_holds_open", "expires_at",
              sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
        Index("ix_holds_account_id", "account_id", "created_at"),
        CheckConstraint("blocked_from <= starts_at AND starts_at < ends_at AND ends_at <= blocked_until", name="times"),
        CheckConstraint("account_id IS NOT NULL OR kind = 'offer'", name="owner"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    kind: Mapped[HoldKind] = mapped_column(one_of(HoldKind, "kind"))
    # Whose it is; nobody's account for an offer, which belongs to the patient.
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    # The visit that this time would replace, when somebody is moving one; or the request that it is offered for.
    appointment_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    lane: Mapped[int] = mapped_column(default=0)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    blocked_from: Mapped[datetime] = mapped_column(UTCDateTime)
    blocked_until: Mapped[datetime] = mapped_column(UTCDateTime)
    extra_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    mode: Mapped[Mode] = mapped_column(one_of(Mode, "mode"), default=Mode.IN_PERSON, server_default="in_person")
    wishes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    choice: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    safety_answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # Written while the answers were checked; forgotten when the hold ends.
    note: Mapped[str | None] = mapped_column(String(MAX_NOTE))
    # Said on the check page before another time had to be chosen; None while nobody was asked.
    is_private: Mapped[bool | None]
    call_number: Mapped[str | None] = mapped_column(String(MAX_NUMBER))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    closed_because: Mapped[HoldEnd | None] = mapped_column(one_of(HoldEnd, "closed_because"))
    patient: Mapped[Patient] = relationship()
    visit_type: Mapped[VisitType] = relationship()
    location: Mapped[Location] = relationship()
    appointment: Mapped[Appointment | None] = relationship()

    def is_live(self, at: datetime) -> bool:
        return self.closed_at is None and self.expires_at > at


class Attempt(Base):
    """How a visit came to its practitioner: how many could take it, who did, how often somebody was faster.

    Or why it came to none: then `reason` says so, as a code.
    """

    __tablename__ = "assignment_attempts"
    __table_args__ = (
        Index("ix_assignment_attempts_appointment_id", "appointment_id"),
        CheckConstraint("(practitioner_id IS NULL) = (reason IS NOT NULL)", name="taken_or_not"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointments.id"))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    practitioner_id: Mapped[int | None] = mapped_column(ForeignKey("practitioners.id"))
    reason: Mapped[str | None] = mapped_column(String(40))
    candidates: Mapped[int]
    lost_races: Mapped[int] = mapped_column(default=0)
