"""Tasks for people at the clinic: opened where the portal finds that it needs one, closed when that is done or gone.

A task is written with the change that caused it, like a message. Opening one that is open already changes nothing, so
whatever finds the same reason again, in a second sweep or a second worker, makes no second task.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, record
from clinic_portal.database import run
from clinic_portal.models import Task, TaskKind

_OPEN = {
    # Whichever of the two unique indexes of open tasks speaks.
    name: dialect.insert(Task).on_conflict_do_nothing().returning(Task.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_MATCHING = select(Task).where(Task.kind == bindparam("kind"), Task.closed_at.is_(None)).order_by(Task.id)


def open_task(
    session: Session,
    kind: TaskKind,
    *,
    patient_id: int,
    appointment_id: int | None = None,
    due_at: datetime,
    facts: dict[str, Any] | None = None,
) -> bool:
    """Ask somebody at the clinic to do something, inside the caller's transaction; says whether it is asked anew.

    Args: facts, ids and codes only.
    """
    values = {
        "kind": kind,
        "patient_id": patient_id,
        "appointment_id": appointment_id,
        "facts": facts or {},
        "created_at": clock.now(),
        "due_at": due_at,
    }
    return run(session, _OPEN[session.get_bind().dialect.name], values).scalar_one_or_none() is not None


def close_task(session: Session, actor: Actor, task: Task, outcome: str) -> None:
    """Note that a task is done, or no longer needed, inside the caller's transaction; a closed one stays as it is."""
    if task.closed_at is not None:
        return
    task.closed_at, task.outcome, task.closed_by_account_id = clock.now(), outcome, actor.account_id
    session.flush()
    record(session, actor, "close", task, after={"outcome": outcome}, patient_id=task.patient_id)


def close_tasks(
    session: Session,
    actor: Actor,
    kind: TaskKind,
    outcome: str,
    *,
    patient_id: int | None = None,
    appointment_id: int | None = None,
) -> int:
    """Close the open tasks of a kind about a visit, or about a patient and no visit; returns how many there were."""
    if appointment_id is not None:
        whose = Task.appointment_id == appointment_id
    else:
        whose = (Task.patient_id == patient_id) & Task.appointment_id.is_(None)
    tasks = session.scalars(_MATCHING.where(whose), {"kind": kind}).all()
    for task in tasks:
        close_task(session, actor, task, outcome)
    return len(tasks)


def put_off(session: Session, actor: Actor, task: Task, until: datetime) -> None:
    """Let a task wait until an instant, inside the caller's transaction."""
    before = task.due_at
    session.execute(update(Task).where(Task.id == task.id).values(due_at=until))
    after = {"due_at": until.isoformat()}
    record(
        session, actor, "put_off", task, before={"due_at": before.isoformat()}, after=after, patient_id=task.patient_id
    )
