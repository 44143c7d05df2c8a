"""Work for a person at the clinic that the portal cannot do by itself."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.appointments import Appointment
from clinic_portal.models.base import Base, BigId, UTCDateTime, one_of
from clinic_portal.models.people import Account, ContactPoint, Patient


class TaskKind(enum.StrEnum):
    """What has to be done."""

    CALL = "call"
    # Somebody registered under the name and birth date of a record that is already there.
    SAME_PERSON = "same_person"
    INTERPRETER = "interpreter"
    # A right to act for somebody has come to the age at which it is looked at again.
    REVIEW_RIGHT = "review_right"
    TRIAGE = "triage"
    PAST_PROMISE = "past_promise"
    CANNOT_PLACE = "cannot_place"
    OFFERS_UNANSWERED = "offers_unanswered"
    # A need was told after a visit was booked, and the visit does not meet it.
    NEEDS_CHANGED = "needs_changed"


class Task(Base):
    """One thing to do for a patient, about a visit or the person; open until somebody closes it with an outcome.

    Of each kind there is at most one open task for a visit, or, where it is about no visit, for a patient.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("uq_tasks_of_visit", "kind", "appointment_id", unique=True,
              sqlite_where=text("closed_at IS NULL AND appointment_id IS NOT NULL"),
              postgresql_where=text("closed_at IS NULL AND appointment_id IS NOT NULL")),
        Index("uq_tasks_of_patient", "kind", "patient_id", unique=True,
              sqlite_where=text("closed_at IS NULL AND appointment_id IS NULL"),
              postgresql_where=text("closed_at IS NULL AND appointment_id IS NULL")),
        Index("ix_tasks_open", "due_at",
              sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
        Index("ix_tasks_patient_id", "patient_id"),
        CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name="closed_with_outcome"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[TaskKind] = mapped_column(one_of(TaskKind, "kind"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    appointment_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    # Ids and codes that whoever does it needs; never names or texts.
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Who closed it; nobody when the reason for it has gone by itself.
    closed_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    outcome: Mapped[str | None] = mapped_column(String(40))
    patient: Mapped[Patient] = relationship()
    appointment: Mapped[Appointment | None] = relationship()
    closed_by: Mapped[Account | None] = relationship()


class TryOutcome(enum.StrEnum):
    """What came of trying to reach somebody."""

    NO_ANSWER = "no_answer"
    LEFT_MESSAGE = "left_message"
    SPOKE = "spoke"
    WRONG_NUMBER = "wrong_number"


class TaskAttempt(Base):
    """Somebody at the clinic tried to reach the person whom a task is about."""

    __tablename__ = "task_attempts"
    __table_args__ = (Index("ix_task_attempts_task_id", "task_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    outcome: Mapped[TryOutcome] = mapped_column(one_of(TryOutcome, "outcome"))
    # The number that was tried, where it was one of the patient's.
    contact_point_id: Mapped[int | None] = mapped_column(ForeignKey("contact_points.id"))
    account: Mapped[Account] = relationship()
    contact_point: Mapped[ContactPoint | None] = relationship()
