"""Messages that a person gives by phone: what there is to tell, the task to do it, and that it has been told.

One task for a visit or a request, whatever there is to tell about it; and one for all invitations of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM
from clinic_portal.database import run
from clinic_portal.models import Delivery, Event, Notification, Task, TaskKind, VisitInvitation
from clinic_portal.tasks import close_task, open_task

CALL_WITHIN = timedelta(days=1)
# What is told of a request before its end: the newest of it overtakes the others.
OF_REQUESTS = (Event.REQUEST_RECEIVED, Event.WAITLISTED, Event.OFFER, Event.OFFER_LAPSED, Event.REQUEST_PAUSED,
               Event.REQUEST_DELAYED)  # fmt: skip

_IS_TO_CALL = Notification.delivery == Delivery.TO_CALL
_OVERTAKE = (
    update(Notification)
    .where(
        Notification.appointment_id.in_(bindparam("ids", expanding=True)),
        _IS_TO_CALL,
        Notification.event.in_(OF_REQUESTS),
    )
    .values(delivery=Delivery.SUPERSEDED, detail="newer")
    .execution_options(synchronize_session=False)
)
_IS_LATER = (Task.kind == TaskKind.CALL, Task.closed_at.is_(None), Task.due_at > bindparam("earlier"))
_BRING_FORWARD = update(Task).values(due_at=bindparam("earlier")).execution_options(synchronize_session=False)
_BRING_FORWARD_VISIT = _BRING_FORWARD.where(*_IS_LATER, Task.appointment_id == bindparam("appointment"))
_BRING_FORWARD_PATIENT = _BRING_FORWARD.where(
    *_IS_LATER, Task.patient_id == bindparam("patient"), Task.appointment_id.is_(None)
)
# Tasks of calls about which nothing is left to be told.
_NEEDLESS = (
    select(Task)
    .where(
        Task.kind == TaskKind.CALL,
        Task.closed_at.is_(None),
        Task.appointment_id.in_(bindparam("ids", expanding=True)),
        ~select(Notification.id).where(Notification.appointment_id == Task.appointment_id, _IS_TO_CALL).exists(),
    )
    .order_by(Task.id)
)
# Calls about no visit.
_OF_PATIENTS = (
    select(Task)
    .where(
        Task.kind == TaskKind.CALL,
        Task.closed_at.is_(None),
        Task.appointment_id.is_(None),
        Task.patient_id.in_(bindparam("patients", expanding=True)),
    )
    .order_by(Task.id)
)


def calls_about(session: Session, task: Task) -> list[Notification]:
    """What has to be told with the call that a task asks for, oldest first."""
    waiting = select(Notification).where(_about(task), _IS_TO_CALL)
    return list(session.scalars(waiting.order_by(Notification.id)))


def _about(task: Task) -> ColumnElement[bool]:
    if task.appointment_id is not None:
        return Notification.appointment_id == task.appointment_id
    return and_(Notification.patient_id == task.patient_id, Notification.visit_invitation_id.is_not(None))


def end_calls(session: Session, task: Task, outcome: str, *, is_told: bool) -> None:
    """Bring what had to be told by phone to its end, inside the caller's transaction."""
    for row in calls_about(session, task):
        row.delivery, row.detail = Delivery.SENT if is_told else Delivery.FAILED, outcome
        row.sent_at = clock.now() if is_told else None
        row.tries += 1


def ask_to_call(
    session: Session, patient_id: int, appointment_id: int | None = None, call_by: datetime | None = None
) -> None:
    """Ask somebody to phone a patient within a day, or sooner, inside the caller's transaction.

    A call that is to be made already is made for both, by the earlier of the two times.
    """
    now = clock.now()
    due_at = now + CALL_WITHIN if call_by is None else max(now, min(now + CALL_WITHIN, call_by))
    if not open_task(session, TaskKind.CALL, patient_id=patient_id, appointment_id=appointment_id, due_at=due_at):
        of_visit = appointment_id is not None
        whose = {"appointment": appointment_id} if of_visit else {"patient": patient_id}
        run(session, _BRING_FORWARD_VISIT if of_visit else _BRING_FORWARD_PATIENT, {**whose, "earlier": due_at})


def overtake_calls(session: Session, appointment_ids: Sequence[int]) -> None:
    """Take calls about requests off the desk's list: what they would tell is not so any more."""
    if not appointment_ids:
        return
    ids = {"ids": list(appointment_ids)}
    run(session, _OVERTAKE, ids)
    for task in session.scalars(_NEEDLESS, ids).all():
        close_task(session, SYSTEM, task, "newer")


def overtake_invitation_calls(session: Session, patient_id: int | None = None) -> int:
    """The same for invitations that were used or taken back, or have lapsed; returns how many there were.

    Args: patient_id, only those of this patient.
    """
    is_over = or_(
        VisitInvitation.used_by_appointment_id.is_not(None),
        VisitInvitation.withdrawn_at.is_not(None),
        VisitInvitation.expires_at <= clock.now(),
    )
    overtaken = select(Notification).join(Notification.visit_invitation).where(_IS_TO_CALL, is_over)
    if patient_id is not None:
        overtaken = overtaken.where(Notification.patient_id == patient_id)
    rows = session.scalars(overtaken.order_by(Notification.id)).all()
    if not rows:
        return 0
    for row in rows:
        row.delivery, row.detail = Delivery.SUPERSEDED, "newer"
    session.flush()
    for task in session.scalars(_OF_PATIENTS, {"patients": list({row.patient_id for row in rows})}).all():
        if not calls_about(session, task):
            close_task(session, SYSTEM, task, "newer")
    return len(rows)
