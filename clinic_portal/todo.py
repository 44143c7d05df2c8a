"""Working through the tasks of the desk: tries to reach somebody, an outcome, or another day."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock, tasks
from clinic_portal.audit import Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import ContactPoint, Task, TaskAttempt, TaskKind, TryOutcome, columns_of
from clinic_portal.notifications.calls import end_calls
from clinic_portal.scheduling import submissions

# How a task can end; what is not listed for a kind ends in one of the common ways.
COMMON = ("done", "not_needed")
OUTCOMES: dict[TaskKind, tuple[str, ...]] = {
    TaskKind.CALL: ("told", "letter_sent", "not_reached"),
    TaskKind.INTERPRETER: ("done", "nobody_found", "not_needed"),
    TaskKind.REVIEW_RIGHT: ("kept", "ended", "not_needed"),
    TaskKind.NEEDS_CHANGED: ("done", "stays", "not_needed"),
    # Two records are told apart or joined on a page of their own.
    TaskKind.SAME_PERSON: (),
    # What is done with the request ends it: to close it by hand would leave the request with nobody.
    TaskKind.TRIAGE: (),
    TaskKind.CANNOT_PLACE: (),
    TaskKind.OFFERS_UNANSWERED: (),
}
NOT_TOLD = "not_reached"
WRONG_NUMBER = "wrong_number"
LONGEST_WAIT = timedelta(days=365)


@writing
def note_attempt(
    session: Session, *, actor: Actor, task_id: int, outcome: TryOutcome, token: str, contact_id: int | None = None
) -> Task:
    """Note that somebody tried to reach the patient; a number that is somebody else's is not used again.

    Args: token, the form's own: the same again is noted once. contact_id, the number that was tried.
    Commits: submission, the attempt, the number's failure, audit.
    Raises: NotFound, NotAllowed, BadTransition when the task is closed already, SubmissionConflict.
    Source: clinic.md 2, item 1.
    """
    body = {"what": "attempt", "task": task_id, "outcome": outcome, "contact": contact_id}
    submission_id, earlier_id = submissions.begin(session, actor, token, body)
    task = _open(session, actor, task_id, even_closed=earlier_id is not None)
    if earlier_id is not None:
        return task
    assert actor.account_id is not None
    contact = _contact(session, task, contact_id)
    attempt = TaskAttempt(task_id=task.id, account_id=actor.account_id, made_at=clock.now(), outcome=outcome,
                          contact_point_id=contact_id)  # fmt: skip
    session.add(attempt)
    session.flush()
    record(session, actor, "try", task, after={"outcome": outcome.value}, patient_id=task.patient_id)
    if outcome is TryOutcome.WRONG_NUMBER and contact is not None:
        _fail(session, actor, contact)
    submissions.finish(session, submission_id, attempt.id)
    return task


@writing
def finish_task(session: Session, *, actor: Actor, task_id: int, outcome: str) -> Task:
    """Close a task with what came of it; closing one that is closed changes nothing.

    Commits: the task, audit; for a call also the messages that were told.
    Raises: NotFound, NotAllowed, InvalidRequest for an outcome that such a task does not have.
    """
    task = _open(session, actor, task_id, even_closed=True)
    if task.closed_at is not None:
        return task
    if outcome not in outcomes_of(task.kind):
        raise InvalidRequest("Choose how it ended.")
    tasks.close_task(session, actor, task, outcome)
    if task.kind is TaskKind.CALL:
        end_calls(session, task, outcome, is_told=outcome != NOT_TOLD)
    return task


@writing
def put_off_task(session: Session, *, actor: Actor, task_id: int, until: datetime) -> Task:
    """Let a task wait until an instant ahead.

    Commits: the task, audit.
    Raises: NotFound, NotAllowed, BadTransition when it is closed, InvalidRequest for the past or more than a year.
    """
    task, now = _open(session, actor, task_id), clock.now()
    if not now < until <= now + LONGEST_WAIT:
        raise InvalidRequest("Choose a day ahead, within a year.")
    tasks.put_off(session, actor, task, until)
    session.refresh(task)
    return task


def outcomes_of(kind: TaskKind) -> tuple[str, ...]:
    """The ways in which a task of a kind can be closed by hand."""
    return OUTCOMES.get(kind, COMMON)


def attempts_of(session: Session, task_id: int) -> list[TaskAttempt]:
    """The tries so far, oldest first."""
    return list(session.scalars(select(TaskAttempt).filter_by(task_id=task_id).order_by(TaskAttempt.id)))


def _open(session: Session, actor: Actor, task_id: int, *, even_closed: bool = False) -> Task:
    """The task as it is now, locked until the transaction ends."""
    if not actor.is_clinic:
        raise NotAllowed
    task = session.scalar(select(Task).where(Task.id == task_id).with_for_update())
    if task is None:
        raise NotFound
    if task.closed_at is not None and not even_closed:
        raise BadTransition("This task is closed already.")
    return task


def _contact(session: Session, task: Task, contact_id: int | None) -> ContactPoint | None:
    if contact_id is None:
        return None
    contact = session.get(ContactPoint, contact_id)
    if contact is None or contact.patient_id != task.patient_id:
        raise NotFound
    return contact


def _fail(session: Session, actor: Actor, contact: ContactPoint) -> None:
    if contact.failed_at is not None:
        return
    before = columns_of(contact, ("failed_at",))
    contact.failed_at, contact.failed_reason = clock.now(), WRONG_NUMBER
    after = columns_of(contact, ("failed_at",))
    record(session, actor, WRONG_NUMBER, contact, before=before, after=after, patient_id=contact.patient_id)
