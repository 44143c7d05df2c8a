"""To do: what people at the clinic have to do that the portal cannot, in the order in which it is due."""

from __future__ import annotations

import secrets
from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.orm import Query, joinedload, selectinload

from clinic_portal import clock, todo
from clinic_portal.backoffice import find, options, places, words
from clinic_portal.backoffice.access import location_limit, note_opening
from clinic_portal.backoffice.appointments import zone_of
from clinic_portal.backoffice.filters import Choice
from clinic_portal.backoffice.lists import COUNTED, Column, ReadOnlyList
from clinic_portal.backoffice.person import read_id, staff
from clinic_portal.database import db
from clinic_portal.errors import BadTransition, InvalidRequest, NotFound
from clinic_portal.models import (
    AccessPlace,
    Appointment,
    ContactKind,
    ContactPoint,
    Patient,
    Task,
    TaskAttempt,
    TaskKind,
    TryOutcome,
)
from clinic_portal.notifications.calls import calls_about
from clinic_portal.scheduling.line import at_places
from clinic_portal.scheduling.request_rows import TASKS

OPEN, CLOSED = "open", "closed"
# After so many tries in vain somebody writes a letter.
TRIES_BEFORE_LETTER = 3
# When a task that waits for another day is due: at the start of that day's work.
MORNING_MIN = 8 * 60
PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)


def within(limit: frozenset[int] | None) -> ColumnElement[bool]:
    """A condition: the task is about no visit, or about one that is, or may be, at these locations."""
    if limit is None:
        return Task.id.is_not(None)
    there = select(Appointment.id).where(at_places(limit))
    return or_(Task.appointment_id.is_(None), Task.appointment_id.in_(there))


def due_today(limit: frozenset[int] | None) -> Select[Any]:
    """The open tasks that should be done before the day ends."""
    _, midnight = clock.day_bounds(places.today(), places.clinic_zone())
    return select(Task.id).where(Task.closed_at.is_(None), Task.due_at < midnight, within(limit))


def count_due(roles: tuple[Any, ...]) -> int:
    """How many tasks the person looking should do today."""
    query = due_today(location_limit(roles)).limit(COUNTED).subquery()
    return db.session.scalar(select(func.count()).select_from(query)) or 0


def what(task: Task) -> str:
    """What has to be done, in words."""
    return words.INTERPRETER_TASK.get(task.facts.get("what", ""), "") or words.TASK[task.kind]


def is_on_request(task: Task) -> bool:
    """Whether it is done on the page of a request that waits."""
    is_open = task.closed_at is None and task.kind in TASKS
    return is_open and task.appointment is not None and task.appointment.is_request


def _zone(task: Task) -> str:
    return zone_of(task.appointment)


def _due(task: Task) -> str:
    late = " (late)" if task.closed_at is None and task.due_at <= clock.now() else ""
    return f"{words.moment(task.due_at, _zone(task))}{late}"


class TodoList(ReadOnlyList):
    """The open tasks, the most urgent first; one of them with what is needed to do it."""

    noun = "task"
    served = ("index_view", "details_view", "try_view", "done_view", "later_view")
    can_view_details = True
    details_template = "backoffice/task.html"
    search_label = "Name or birth date of the patient"
    empty_message = "Nothing to do."
    columns = (
        Column("due_at", "Due", lambda row, _: _due(row), sorts=True),
        Column("kind", "What", "show_task"),
        Column("patient", "Patient", "show_patient"),
        Column("appointment", "Appointment", "show_appointment"),
        Column("attempts", "Tries", lambda row, known: str(known["attempts"].get(row.id, 0))),
        Column("outcome", "Outcome", lambda row, _: words.outcome(row.outcome)),
    )
    order = (("due_at", False), ("id", False))
    column_filters = (
        Choice("state", "State", Task.closed_at, lambda: [(OPEN, "Open"), (CLOSED, "Closed")],
               lambda value: Task.closed_at.is_(None) if value == OPEN else Task.closed_at.is_not(None)),
        Choice("kind", "What", Task.kind, lambda: options.worded(words.TASK),
               lambda value: Task.kind == TaskKind(value)),
    )  # fmt: skip
    loads = (joinedload(Task.patient), joinedload(Task.appointment).joinedload(Appointment.location))

    def get_query(self) -> Query[Any]:
        query: Query[Any] = db.session.query(Task)
        return query.filter(within(self.limit))

    def defaults(self) -> dict[str, str]:
        return {"state": OPEN}

    def matching(self, search: str) -> ColumnElement[bool]:
        ids = list(db.session.scalars(select(Patient.id).where(find.people(search)).limit(COUNTED)))
        return Task.patient_id.in_(ids) if ids else false()

    def known_about(self, rows: list[Task]) -> dict[str, Any]:
        """What each asks for, and how often somebody has tried."""
        tries = select(TaskAttempt.task_id, func.count()).where(TaskAttempt.task_id.in_([row.id for row in rows]))
        found = {row[0]: row[1] for row in db.session.execute(tries.group_by(TaskAttempt.task_id))}
        return {"attempts": found, "what": what, "is_on_request": is_on_request}

    @expose("/details/")  # type: ignore[untyped-decorator]
    def details_view(self) -> Any:
        task = self._task()
        note_opening(task.patient_id, AccessPlace.PATIENT)
        return self._show(self._task())

    @expose("/try/", methods=("POST",))  # type: ignore[untyped-decorator]
    def try_view(self) -> Any:
        """Note what came of trying to reach the patient."""
        task = self._task()
        try:
            todo.note_attempt(
                actor=staff(),
                task_id=task.id,
                outcome=_read_outcome(),
                token=request.form.get("token", ""),
                contact_id=_read_contact(task),
            )
        except (InvalidRequest, BadTransition) as error:
            return self._show(task, str(error), "tries")
        flash("The try is noted.", "success")
        return redirect(url_for(".details_view", id=task.id), 303)

    @expose("/done/", methods=("POST",))  # type: ignore[untyped-decorator]
    def done_view(self) -> Any:
        """Close a task with its outcome."""
        task = self._task()
        try:
            todo.finish_task(actor=staff(), task_id=task.id, outcome=request.form.get("outcome", ""))
        except InvalidRequest as error:
            return self._show(task, str(error), "done")
        flash(f"{what(task)}: closed.", "success")
        return redirect(url_for(".index_view"), 303)

    @expose("/later/", methods=("POST",))  # type: ignore[untyped-decorator]
    def later_view(self) -> Any:
        """Let a task wait for another day."""
        task, day = self._task(), find.birth_date(request.form.get("until", ""))
        try:
            if day is None:
                raise InvalidRequest("Enter a day, like 24/11/2026.")
            until = clock.wall_to_instant(day, MORNING_MIN, _zone(task))
            task = todo.put_off_task(actor=staff(), task_id=task.id, until=until)
        except (InvalidRequest, BadTransition) as error:
            return self._show(task, str(error), "until")
        flash(f"{what(task)}: put off until {words.moment(task.due_at, _zone(task))}.", "success")
        return redirect(url_for(".index_view"), 303)

    def _task(self) -> Task:
        """The task that the address names, with everything its page tells.

        Raises: NotFound.
        """
        query = self.get_query().filter(Task.id == read_id(request.args.get("id", "")))
        contacts = joinedload(Task.patient).options(selectinload(Patient.contact_points))
        found: Task | None = query.options(*self.loads, contacts).one_or_none()
        if found is None:
            raise NotFound
        return found

    def _show(self, task: Task, problem: str = "", field: str = "") -> Any:
        session, zone = db.session(), _zone(task)
        page = self.render(
            self.details_template,
            task=task,
            what=what(task),
            is_on_request=is_on_request(task),
            zone=zone,
            due=_due(task),
            birth=words.birth_of(task.patient, places.today()),
            attempts=(attempts := todo.attempts_of(session, task.id)),
            is_time_for_letter=len(attempts) >= TRIES_BEFORE_LETTER,
            phones=_phones(task),
            messages=calls_about(session, task) if task.appointment_id or task.kind is TaskKind.CALL else [],
            outcomes=[(code, words.outcome(code)) for code in todo.outcomes_of(task.kind)],
            tries=[(one.value, words.TRY[one]) for one in TryOutcome],
            token=secrets.token_urlsafe(16),
            typed_until=request.form.get("until", ""),
            problems=[{"field": field, "text": problem}] if problem else [],
        )
        return (page, 422) if problem else page


def _phones(task: Task) -> list[ContactPoint]:
    return [point for point in task.patient.contact_points if point.kind in PHONES and point.ended_at is None]


def _read_outcome() -> TryOutcome:
    try:
        return TryOutcome(request.form.get("outcome", ""))
    except ValueError:
        raise InvalidRequest("Choose what came of it.") from None


def _read_contact(task: Task) -> int | None:
    chosen = request.form.get("number", "")
    return next((point.id for point in _phones(task) if str(point.id) == chosen), None)
