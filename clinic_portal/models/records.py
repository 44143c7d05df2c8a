"""What the portal remembers about itself: submitted forms, the ledger of messages, the audit log, settings, leases."""

from __future__ import annotations

import enum
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.appointments import Appointment
from clinic_portal.models.base import Base, BigId, UTCDateTime, one_of
from clinic_portal.models.people import Account, ContactPoint, Patient, Practitioner, RoleName
from clinic_portal.models.requests import VisitInvitation


class Submission(Base):
    """A form that was sent: the same form again gets the same answer."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("account_id", "token"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    token: Mapped[str] = mapped_column(String(64))
    body_hash: Mapped[str] = mapped_column(String(64))
    # The id of what the form made or changed.
    result_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Event(enum.StrEnum):
    """What a message tells."""

    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    # It begins as before and ends later.
    LENGTHENED = "lengthened"
    # Its session runs late; it stands as it is.
    RUNNING_LATE = "running_late"
    # Its patient did not come.
    MISSED = "missed"
    # Of a visit ahead; its fact `before` says how long: "3d".
    REMINDER = "reminder"
    # About a request, or a time offered for it.
    REQUEST_RECEIVED = "request_received"
    WAITLISTED = "waitlisted"
    OFFER = "offer"
    OFFER_LAPSED = "offer_lapsed"
    REQUEST_PAUSED = "request_paused"
    REQUEST_DELAYED = "request_delayed"
    REQUEST_CLOSED = "request_closed"
    # Asks to book one visit.
    INVITATION = "invitation"
    # About an account, to its own address.
    CONFIRM_EMAIL = "confirm_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of a message
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    CHANGE_EMAIL = "change_email"
    EMAIL_CHANGED = "email_changed"
    SECOND_STEP_ADDED = "second_step_added"
    SECOND_STEP_REMOVED = "second_step_removed"
    SECOND_STEP_RESET = "second_step_reset"
    RECOVERY_CODE_USED = "recovery_code_used"
    # Somebody else has changed a practitioner's hours.
    HOURS_CHANGED = "hours_changed"
    HOURS_REFUSED = "hours_refused"
    # Asks whether mails to a new address arrive; about no visit.
    VERIFY = "verify"


class Recipient(enum.StrEnum):
    PATIENT = "patient"
    PRACTITIONER = "practitioner"
    ACCOUNT = "account"


class Channel(enum.StrEnum):
    """`call` is a message that a person at the desk has to give."""

    EMAIL = "email"
    CALL = "call"


class Delivery(enum.StrEnum):
    """How far a message has come; `to_call` waits for the desk, `superseded` was overtaken before it left."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    TO_CALL = "to_call"


class Notification(Base):
    """One message to one recipient over one channel. Keeps facts, no text."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_due", "next_try_at",
              sqlite_where=text("delivery IN ('due', 'sending')"),
              postgresql_where=text("delivery IN ('due', 'sending')")),
        Index("ix_notifications_for_staff", "delivery",
              sqlite_where=text("delivery IN ('to_call', 'failed')"),
              postgresql_where=text("delivery IN ('to_call', 'failed')")),
        Index("ix_notifications_appointment_id", "appointment_id"),
        Index("ix_notifications_account_id", "account_id"),
        Index("ix_notifications_practitioner_id", "practitioner_id", "created_at"),
        Index("ix_notifications_absence_id", "absence_id",
              sqlite_where=text("absence_id IS NOT NULL"), postgresql_where=text("absence_id IS NOT NULL")),
        # A visit or request, an account, an invitation, or a contact point whose address is asked for an answer.
        CheckConstraint("CASE event WHEN 'verify' THEN contact_point_id IS NOT NULL AND appointment_id IS NULL "
                        "AND account_id IS NULL AND visit_invitation_id IS NULL "
                        "WHEN 'invitation' THEN visit_invitation_id IS NOT NULL AND appointment_id IS NULL "
                        "AND account_id IS NULL "
                        "ELSE (appointment_id IS NULL) <> (account_id IS NULL) AND visit_invitation_id IS NULL END",
                        name="one_subject"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(160), unique=True)
    appointment_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    visit_invitation_id: Mapped[int | None] = mapped_column(ForeignKey("visit_invitations.id"))
    event: Mapped[Event] = mapped_column(one_of(Event, "event"))
    sequence: Mapped[int]
    # Facts that the visit itself no longer tells when the message leaves: the time it was moved from.
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    recipient: Mapped[Recipient] = mapped_column(one_of(Recipient, "recipient"))
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    practitioner_id: Mapped[int | None] = mapped_column(ForeignKey("practitioners.id"))
    contact_point_id: Mapped[int | None] = mapped_column(ForeignKey("contact_points.id"))
    # What caused it, where that can be undone while it has not left.
    absence_id: Mapped[int | None] = mapped_column(ForeignKey("absences.id"))
    channel: Mapped[Channel] = mapped_column(one_of(Channel, "channel"))
    delivery: Mapped[Delivery] = mapped_column(one_of(Delivery, "delivery"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When it is to leave: at once, or, a reminder, some days before the visit.
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # While `due`: when to send. While `sending`: when the sender's lease ends and another may take over.
    next_try_at: Mapped[datetime] = mapped_column(UTCDateTime)
    lease: Mapped[str | None] = mapped_column(String(24))
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Why it failed or was superseded, as a code; never an address or a name.
    detail: Mapped[str | None] = mapped_column(String(120))
    appointment: Mapped[Appointment | None] = relationship()
    visit_invitation: Mapped[VisitInvitation | None] = relationship()
    account: Mapped[Account | None] = relationship()
    patient: Mapped[Patient | None] = relationship()
    practitioner: Mapped[Practitioner | None] = relationship()
    contact_point: Mapped[ContactPoint | None] = relationship()


class AuditEntry(Base):
    """Who did what to which record, and for whom; append-only.

    The values lie in a table beside it, so that a person can be erased and the entries stay.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject_type", "subject_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    for_patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    action: Mapped[str] = mapped_column(String(40))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    request_id: Mapped[str | None] = mapped_column(String(36))
    values: Mapped[AuditValues | None] = relationship(back_populates="entry")


def new_salt() -> str:
    """A random text that nobody can guess."""
    return secrets.token_hex(8)


class AuditValues(Base):
    __tablename__ = "audit_values"
    audit_entry_id: Mapped[int] = mapped_column(ForeignKey("audit_entries.id"), primary_key=True)
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    # Keeps what is erased from being guessed from its digest; erased with it.
    salt: Mapped[str] = mapped_column(String(32), default=new_salt, server_default="")
    entry: Mapped[AuditEntry] = relationship(back_populates="values")


class AuditSeal(Base):
    """A link of the chain over the audit log; append-only. Source: `audit_seal.py`.

    No foreign key: an entry that was taken out must be noticed, not refused to be looked for.
    """

    __tablename__ = "audit_seals"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    audit_entry_id: Mapped[int] = mapped_column(BigId, unique=True)
    values_digest: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))


class AccessPlace(enum.StrEnum):
    """The page on which somebody at the clinic saw a patient's record."""

    PATIENT = "patient"
    APPOINTMENT = "appointment"


class AccessEntry(Base):
    """Somebody at the clinic opened a patient's record; append-only."""

    __tablename__ = "access_log"
    __table_args__ = (Index("ix_access_log_patient_id", "patient_id", "opened_at"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    role: Mapped[RoleName] = mapped_column(one_of(RoleName, "role"))
    place: Mapped[AccessPlace] = mapped_column(one_of(AccessPlace, "place"))
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Setting(Base):
    """A clinic's own value for a setting, for all or for one visit type."""

    __tablename__ = "settings"
    __table_args__ = (
        Index("uq_settings_clinic", "name", unique=True,
              sqlite_where=text("visit_type_id IS NULL"), postgresql_where=text("visit_type_id IS NULL")),
        UniqueConstraint("name", "visit_type_id"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    visit_type_id: Mapped[int | None] = mapped_column(ForeignKey("visit_types.id"))
    value: Mapped[Any] = mapped_column(JSON)


class CatalogueStamp(Base):
    """One row, whose value changes with settings, visit types, places, practitioners and what they do."""

    __tablename__ = "catalogue_stamp"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(String(36))


class Lease(Base):
    """Who does a periodic job, and until when nobody else may."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    holder: Mapped[str] = mapped_column(String(60))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When the job last ended well: nightly work asks it whether a night was missed.
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
