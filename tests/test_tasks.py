"""Tasks for people at the clinic: asked once, closed with an outcome, kept."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.audit import SYSTEM
from clinic_portal.database import db, writing
from clinic_portal.models import AuditEntry, Task, TaskKind
from clinic_portal.tasks import close_tasks, open_task, put_off
from tests.bookings import book, open_clinic
from tests.world import NOW, World, at


def open_tasks(world: World, *visits: int | None) -> list[bool]:
    @writing
    def ask(session: Session) -> list[bool]:
        return [
            open_task(session, TaskKind.CALL, patient_id=world.alice_id, appointment_id=visit, due_at=NOW)
            for visit in visits
        ]

    return ask()


def tasks() -> list[Task]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Task).order_by(Task.id)))


def test_the_same_reason_found_again_makes_no_second_task(any_app: Flask, any_world: World) -> None:
    open_clinic(any_world)
    visit = book(any_world, at(9, day=1)).id
    assert open_tasks(any_world, None, visit) == [True, True]
    assert open_tasks(any_world, None, visit, None) == [False, False, False]
    assert [task.appointment_id for task in tasks()] == [None, visit]


def test_a_closed_task_is_kept_with_its_outcome_and_may_be_asked_again(app: Flask, world: World) -> None:
    open_tasks(world, None)

    @writing
    def close(session: Session) -> int:
        return close_tasks(session, world.erin, TaskKind.CALL, "spoke", patient_id=world.alice_id)

    assert (close(), close()) == (1, 0)
    assert open_tasks(world, None) == [True]
    first, second = tasks()
    assert (first.outcome, first.closed_by_account_id, first.closed_at) == ("spoke", world.erin.account_id, NOW)
    assert second.closed_at is None
    entry = db.session().scalars(select(AuditEntry).filter_by(subject_type="tasks")).one()
    assert (entry.action, entry.for_patient_id) == ("close", world.alice_id)


def test_closing_the_task_of_a_visit_leaves_that_of_the_person(app: Flask, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1)).id
    open_tasks(world, None, visit)

    @writing
    def close(session: Session) -> int:
        return close_tasks(session, SYSTEM, TaskKind.CALL, "cancelled", appointment_id=visit)

    assert close() == 1
    assert [task.closed_at is None for task in tasks()] == [True, False]


def test_a_task_that_is_put_off_is_due_later(app: Flask, world: World) -> None:
    open_tasks(world, None)

    @writing
    def wait(session: Session) -> None:
        put_off(session, world.erin, session.scalars(select(Task)).one(), NOW + timedelta(days=2))

    wait()
    assert tasks()[0].due_at == NOW + timedelta(days=2)
