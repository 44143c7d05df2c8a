"""To do: calls and other tasks are worked off by people at the desk, each step noted, nothing invisible."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import todo
from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    ContactKind,
    ContactPoint,
    Delivery,
    Notification,
    Patient,
    Relation,
    Task,
    TaskAttempt,
    TaskKind,
    TryOutcome,
)
from clinic_portal.notifications import delivery
from clinic_portal.tasks import open_task
from tests.asking import ask, drain, fresh
from tests.bookings import book, cancel, move, open_clinic, told
from tests.test_backoffice import limit_to
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, add_session, at


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@writing
def add_walter(session: Session) -> int:
    """A patient with a phone and no e-mail: only a person can tell him anything."""
    walter = add_patient(session, "Walter", "Finch", email=False)
    session.add(ContactPoint(patient_id=walter.id, kind=ContactKind.LANDLINE, whose=Relation.SELF,
                             value="020 7946 0123"))  # fmt: skip
    return walter.id


def book_for_walter(world: World, day: int = 1) -> Appointment:
    walter_id = add_walter()
    open_clinic(world, day)
    return book(world, at(9, day=day), patient_id=walter_id, actor=world.erin)


def tasks(kind: TaskKind = TaskKind.CALL) -> list[Task]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Task).filter_by(kind=kind).order_by(Task.id)))


def phone_row(visit: Appointment) -> Notification:
    db.session().rollback()
    rows = db.session().scalars(select(Notification).filter_by(appointment_id=visit.id, channel="call"))
    return list(rows)[-1]


# Calls


def test_what_cannot_be_mailed_is_something_to_do_and_what_can_is_not(world: World) -> None:
    visit = book_for_walter(world)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    book(world, at(10, day=1))
    (task,) = tasks()
    assert (task.appointment_id, task.patient_id, task.closed_at) == (visit.id, visit.patient_id, None)


def test_a_visit_that_the_queue_finds_is_told_by_phone_too(world: World) -> None:
    walter_id = add_walter()
    asked = ask(world, walter_id, world.erin)
    open_clinic(world)
    drain()
    visit = fresh(asked)
    assert visit.status == "booked"
    assert [(task.appointment_id, task.closed_at) for task in tasks()] == [(visit.id, None)]


@pytest.mark.parametrize(("day", "due_in"), [(20, timedelta(days=1)), (1, timedelta(hours=1))])
def test_a_call_is_due_within_a_day_and_sooner_before_a_near_visit(world: World, day: int, due_in: timedelta) -> None:
    book_for_walter(world, day)
    assert tasks()[0].due_at == NOW + due_in


def test_a_newer_message_takes_the_place_of_the_call_about_the_older_one(world: World) -> None:
    visit = book_for_walter(world)
    move(world, visit, at(10, day=1))
    assert [(task.closed_at is None, task.outcome) for task in tasks()] == [(False, "newer"), (True, None)]

    @writing
    def reach_by_mail(session: Session) -> None:
        session.add(ContactPoint(patient_id=visit.patient_id, kind=ContactKind.EMAIL, whose=Relation.SELF,
                                 value="walter@example.com"))  # fmt: skip

    reach_by_mail()
    cancel(world, visit)
    assert [task.outcome for task in tasks()] == ["newer", "newer"]


def test_a_mail_that_comes_back_becomes_a_call(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    mail = next(row for row in delivery_rows(visit) if row.recipient == "patient")
    token = "lease"
    claimed = delivery.claim_due(token=token)
    assert mail.id in claimed
    refused = delivery.Verdict(Delivery.FAILED, "refused", is_bad_address=True)
    delivery.record(mail.id, token=token, verdict=refused)
    assert ("booked", "patient", "to_call") in told(visit.id)
    assert [task.appointment_id for task in tasks()] == [visit.id]


def delivery_rows(visit: Appointment) -> list[Notification]:
    return list(db.session().scalars(select(Notification).filter_by(appointment_id=visit.id)))


def test_a_call_that_was_made_ends_its_message_and_one_in_vain_says_so(world: World) -> None:
    visit = book_for_walter(world)
    todo.finish_task(actor=world.erin, task_id=tasks()[0].id, outcome="told")
    row = phone_row(visit)
    assert (row.delivery, row.sent_at, row.detail) == (Delivery.SENT, NOW, "told")
    move(world, visit, at(10, day=1))
    todo.finish_task(actor=world.erin, task_id=tasks()[-1].id, outcome="not_reached")
    row = phone_row(visit)
    assert (row.delivery, row.sent_at, row.detail) == (Delivery.FAILED, None, "not_reached")


def test_a_closed_task_stays_as_it_is(world: World) -> None:
    book_for_walter(world)
    task_id = tasks()[0].id
    todo.finish_task(actor=world.erin, task_id=task_id, outcome="told")
    todo.finish_task(actor=world.erin, task_id=task_id, outcome="not_reached")
    assert tasks()[0].outcome == "told"
    with pytest.raises(BadTransition):
        todo.put_off_task(actor=world.erin, task_id=task_id, until=at(9, day=3))
    with pytest.raises(BadTransition):
        todo.note_attempt(actor=world.erin, task_id=task_id, outcome=TryOutcome.SPOKE, token="a-token")


def test_only_the_clinic_works_on_tasks_and_only_in_ways_that_they_have(world: World) -> None:
    book_for_walter(world)
    task_id = tasks()[0].id
    with pytest.raises(NotAllowed):
        todo.finish_task(actor=world.alice, task_id=task_id, outcome="told")
    for outcome in ("", "done", "x" * 50):
        with pytest.raises(InvalidRequest):
            todo.finish_task(actor=world.erin, task_id=task_id, outcome=outcome)
    for until in (NOW, NOW - timedelta(days=1), NOW + timedelta(days=400)):
        with pytest.raises(InvalidRequest):
            todo.put_off_task(actor=world.erin, task_id=task_id, until=until)


def test_the_same_try_sent_twice_is_noted_once_and_a_wrong_number_is_used_no_more(world: World) -> None:
    visit = book_for_walter(world)
    number = db.session().scalars(select(ContactPoint).filter_by(patient_id=visit.patient_id)).one()
    for _ in range(2):
        todo.note_attempt(
            actor=world.erin, task_id=tasks()[0].id, outcome=TryOutcome.WRONG_NUMBER, token="once", contact_id=number.id
        )
    db.session().rollback()
    (attempt,) = db.session().scalars(select(TaskAttempt))
    assert (attempt.outcome, attempt.account_id, attempt.made_at) == (
        TryOutcome.WRONG_NUMBER, world.erin.account_id, NOW,
    )  # fmt: skip
    db.session().refresh(number)
    assert (number.failed_at, number.failed_reason) == (NOW, "wrong_number")
    actions = db.session().scalars(select(AuditEntry.action).filter_by(for_patient_id=visit.patient_id)).all()
    assert actions.count("try") == actions.count("wrong_number") == 1


# The page


def test_the_desk_works_a_call_off(erin: Visitor, world: World) -> None:
    visit = book_for_walter(world)
    menu = erin.get("/backoffice/")
    assert "To do 1 due today" in words_of(menu)
    assert "Things to do today 1" in words_of(menu)
    listed = erin.get("/backoffice/todo/")
    assert "Mon 2 Mar, 9am Call the patient Walter Finch" in words_of(listed)
    assert visit.reference in listed.text
    page = erin.get(f"/backoffice/todo/details/?id={tasks()[0].id}")
    says = words_of(page)
    assert "020 7946 0123" in says
    assert "To tell Booked, Mon 2 Mar, 8am" in says
    number = db.session().scalars(select(ContactPoint.id).filter_by(patient_id=visit.patient_id)).one()
    for _ in range(3):
        page = erin.follow(erin.submit(page, outcome="no_answer", number=str(number)))
    assert "3 tries: now write a letter." in words_of(page)
    assert "No answer 020 7946 0123 erin@example.com" in words_of(page)
    assert "3" in words_of(erin.get("/backoffice/todo/"))
    after = erin.follow(erin.submit(page, index=1, outcome="letter_sent"))
    assert "Nothing to do." in words_of(after)
    assert "due today" not in words_of(after)
    assert "Letter sent" in words_of(erin.get("/backoffice/todo/?state=closed"))
    assert phone_row(visit).delivery == Delivery.SENT


def test_a_task_is_put_off_until_a_morning(erin: Visitor, world: World) -> None:
    book_for_walter(world)
    page = erin.get(f"/backoffice/todo/details/?id={tasks()[0].id}")
    wrong = erin.submit(page, 422, index=2, until="1/1/2020")
    assert "Choose a day ahead" in words_of(wrong)
    assert 'value="1/1/2020"' in wrong.text
    assert "Enter a day" in words_of(erin.submit(page, 422, index=2, until="soon"))
    after = erin.follow(erin.submit(page, index=2, until="2026-04-07"))
    # Summer time: eight on the wall.
    assert "Tue 7 Apr, 8am" in words_of(after)
    assert "due today" not in words_of(after)
    assert tasks()[0].due_at.isoformat() == "2026-04-07T07:00:00+00:00"


@pytest.mark.parametrize("id_", ["", "x", "0", "99", "9" * 30, "-1", "\x00"])
def test_a_task_that_is_none_is_not_found(erin: Visitor, id_: str) -> None:
    assert erin.open("/backoffice/todo/details/", query_string={"id": id_}).status_code == 404
    for what in ("try", "done", "later"):
        data = {"csrf_token": erin.csrf_token()}
        path = f"/backoffice/todo/{what}/"
        assert erin.open(path, "POST", query_string={"id": id_}, data=data).status_code == 404


def test_a_try_without_an_answer_asks_for_one(erin: Visitor, world: World) -> None:
    book_for_walter(world)
    page = erin.get(f"/backoffice/todo/details/?id={tasks()[0].id}")
    for index, problem in ((0, "Choose what came of it."), (1, "Choose how it ended.")):
        assert problem in words_of(erin.submit(page, 422, index=index, outcome="nonsense"))


def test_a_desk_of_one_location_does_the_work_of_its_own(erin: Visitor, world: World) -> None:
    book_for_walter(world)
    limit_to(world.accounts["erin"], world.second_location_id)
    assert "Nothing to do." in words_of(erin.get("/backoffice/todo/"))
    assert "due today" not in words_of(erin.get("/backoffice/todo/"))
    erin.get(f"/backoffice/todo/details/?id={tasks()[0].id}", 404)


def test_a_private_visit_is_marked_for_whoever_calls(erin: Visitor, world: World) -> None:
    visit = book_for_walter(world)

    @writing
    def make_private(session: Session) -> None:
        session.get_one(Appointment, visit.id).is_private = True
        patient = session.get_one(Patient, visit.patient_id)
        patient.deceased_on = date(2026, 3, 1)

    make_private()
    says = words_of(erin.get(f"/backoffice/todo/details/?id={tasks()[0].id}"))
    assert "Private: speak to nobody but the patient." in says
    assert "Died" in says


def test_work_about_no_visit_and_about_a_request_without_a_time_is_on_the_list_and_can_be_opened(
    erin: Visitor, world: World
) -> None:
    request = ask(world)

    @writing
    def add_work(session: Session) -> None:
        open_task(session, TaskKind.SAME_PERSON, patient_id=world.alice_id, due_at=NOW, facts={"other": world.bob_id})
        open_task(session, TaskKind.TRIAGE, patient_id=world.alice_id, appointment_id=request.id, due_at=NOW)

    add_work()
    page = erin.get("/backoffice/todo/")
    shown = words_of(page)
    assert "Possible same person" in shown
    assert "Decide about a request" in shown
    assert request.reference in shown
    for task in (*tasks(TaskKind.SAME_PERSON), *tasks(TaskKind.TRIAGE)):
        assert erin.get(f"/backoffice/todo/details/?id={task.id}").status_code == 200
    assert request.reference in words_of(erin.get(f"/backoffice/appointments/details/?id={request.public_id}"))
