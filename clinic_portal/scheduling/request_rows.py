"""What the services of requests share: finding and locking one, its dates by class, and noting each change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, bindparam, or_, select
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import lock_rows, run
from clinic_portal.errors import BadTransition
from clinic_portal.languages import N_
from clinic_portal.models import (
    WAITING,
    Appointment,
    HoldEnd,
    Offer,
    OfferState,
    Patient,
    PriorityClass,
    Status,
    Task,
    TaskKind,
    TriageStatus,
    columns_of,
)
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.promises import DeskHours, read_desk_hours
from clinic_portal.scheduling.visits import lock_visit
from clinic_portal.settings import Settings, load_settings
from clinic_portal.tasks import close_task

# What the audit log tells about a request, before and after.
TOLD = ("status", "version", "sequence", "visit_type_id", "priority_class", "target_at", "answer_by", "triage_status",
        "deferred_until", "not_placed_because", "cancel_reason")  # fmt: skip
TASKS = (TaskKind.TRIAGE, TaskKind.PAST_PROMISE, TaskKind.CANNOT_PLACE, TaskKind.OFFERS_UNANSWERED)

_PATIENTS = (
    select(Patient.id)
    .where(Patient.id.in_(select(Appointment.patient_id).where(Appointment.id.in_(bindparam("ids", expanding=True)))))
    .order_by(Patient.id)
    .with_for_update(key_share=True)
)
_REQUESTS = (
    select(Appointment)
    .where(Appointment.id.in_(bindparam("ids", expanding=True)))
    .order_by(Appointment.id)
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True)
class Dates:
    """What follows from when somebody asked, for what, and how urgent it is."""

    answer_by: datetime
    target_at: datetime


def dates_of(session: Session, asked_at: datetime, priority: PriorityClass, visit_type_id: int) -> Dates:
    """Until when a request is answered, and until when its visit should be."""
    hours = read_desk_hours(session, load_settings(session))
    return dates_by(hours, asked_at, priority, visit_type_id)


def dates_by(hours: DeskHours, asked_at: datetime, priority: PriorityClass, visit_type_id: int) -> Dates:
    """The same, with the desk's hours already read."""
    return Dates(hours.answer_by(asked_at, priority, visit_type_id), hours.target_at(asked_at, priority, visit_type_id))


def escalations(visit: Appointment, settings: Settings) -> dict[str, datetime]:
    """When somebody at the clinic must be told that a request waits: before its promise, and before its target.

    Source: clinic.md 10: 80 % of the target, or 4 hours before the promise.
    """
    share = settings.number("escalate_pct") / 100
    found = {"target": visit.requested_at + (visit.target_at - visit.requested_at) * share}
    has_answer = visit.status is not Status.PROPOSED and visit.triage_status is not TriageStatus.WAITING
    if visit.answer_by is not None and not has_answer:
        found["answer"] = visit.answer_by - timedelta(hours=settings.number("escalate_before_h"))
    return found


def next_escalation(visit: Appointment, settings: Settings, after: datetime | None = None) -> datetime | None:
    """The next of these moments."""
    return min((at for at in escalations(visit, settings).values() if after is None or at > after), default=None)


def lock_request(session: Session, appointment_id: int, expected_version: int | None = None) -> Appointment:
    """A request that still waits, with its patient and itself locked until the transaction ends.

    Raises: NotFound, VersionConflict, BadTransition when it waits no more.
    """
    visit = lock_visit(session, appointment_id, expected_version)
    if visit.status not in WAITING:
        raise BadTransition(N_("This request is not waiting any more."), current=visit.status.value)
    return visit


_REQUEST_FOR = (
    select(Appointment.id)
    .where(
        Appointment.patient_id == bindparam("patient_id"),
        Appointment.visit_type_id == bindparam("visit_type_id"),
        Appointment.status.in_(WAITING),
        or_(bindparam("private_too", type_=Boolean), ~Appointment.is_private),
    )
    .limit(1)
)


def lock_request_for(session: Session, actor: Actor, patient_id: int, visit_type_id: int) -> Appointment | None:
    """The request of a patient for this kind of visit that still waits, locked; the patient must be locked already.

    None also for who acts for the patient when it is private: they must not learn of it.
    """
    values = {"patient_id": patient_id, "visit_type_id": visit_type_id}
    found = run(session, _REQUEST_FOR, {**values, "private_too": actor.kind is not ActorKind.PROXY}).scalar()
    return lock_batch(session, [found])[0] if found is not None else None


def lock_batch(session: Session, ids: Iterable[int]) -> list[Appointment]:
    """The requests as they are now, with their patients and themselves locked in the order of all services."""
    values = {"ids": sorted(ids)}
    if lock_rows(session):
        run(session, _PATIENTS, values)
    return list(session.scalars(_REQUESTS, values))


def note_change(
    session: Session,
    actor: Actor,
    action: str,
    visit: Appointment,
    before: dict[str, Any],
    more: dict[str, Any] | None = None,
) -> None:
    """Count one change of a request and write it down.

    Args: before, as `told` gave it; more, what else to note.
    """
    visit.version += 1
    session.flush()
    record(session, actor, action, visit, before=before, after=told(visit) | (more or {}), patient_id=visit.patient_id)


def told(visit: Appointment) -> dict[str, Any]:
    """What the audit log tells about a request."""
    return columns_of(visit, TOLD)


def wait_anew(visit: Appointment, now: datetime) -> None:
    """Let the queue look at a request again, from the start: it was changed, or somebody looked at it."""
    visit.next_try_at, visit.tries, visit.not_placed_because = now, 0, None
    visit.unanswered_offers, visit.paused_at, visit.deferred_until = 0, None, None


def leave_queue(visit: Appointment) -> None:
    """Nothing of the queue's own concerns a visit that waits no more."""
    visit.wants_earlier = False
    visit.next_try_at = visit.escalate_at = visit.deferred_until = visit.paused_at = visit.not_placed_because = None


def withdraw_offers(session: Session, visit: Appointment, now: datetime) -> None:
    """Take back what is offered for a request or a visit, and free the time."""
    grid_min = load_settings(session).number("grid_min")
    for offer in session.scalars(select(Offer).where(Offer.appointment_id == visit.id, Offer.state == OfferState.OPEN)):
        offer.state = OfferState.WITHDRAWN
    claims.close_holds(session, claims.open_holds_for(session, visit.id), now, HoldEnd.RELEASED, grid_min)


def close_request_tasks(session: Session, actor: Actor, appointment_ids: Sequence[int], outcome: str,
                        kinds: Sequence[TaskKind] = TASKS) -> None:  # fmt: skip
    """Close what was asked of people at the clinic about requests that need it no more."""
    if not appointment_ids:
        return
    tasks = select(Task).where(Task.appointment_id.in_(appointment_ids), Task.kind.in_(kinds), Task.closed_at.is_(None))
    for task in session.scalars(tasks.order_by(Task.id)).all():
        close_task(session, actor, task, outcome)
