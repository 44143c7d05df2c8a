"""A doctor's day as it runs: who has come, who is in, who was seen, how late it is, and what has changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed
from clinic_portal.models import Appointment, AuditEntry, ClinicSession, Mode, Outcome, Status, VisitType
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.running import call_in, late_by, run_late
from tests.asking import fresh
from tests.bookings import book, cancel, move, open_clinic
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, add_session, at


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    return Visitor(app, "chen")


@pytest.fixture
def visit(world: World) -> Appointment:
    """Alice comes today at ten; it is eight."""
    add_session(world.chen_id, at(9), at(12), world.location_id)
    return book(world, at(10))


def press(chen: Visitor, visit: Appointment, step: str, status: int = 303) -> None:
    """Press a button beside a visit, on the page as it stands now."""
    page = chen.get("/doctor/")
    form = next(form for form in forms_of(page) if form.action.endswith(f"{visit.public_id}/step"))
    answer = chen.open(form.action, "POST", data={**form.fields, "step": step})
    assert answer.status_code == status, words_of(answer)


def test_a_visit_is_noted_step_by_step_and_each_step_undone(chen: Visitor, visit: Appointment) -> None:
    with clock.clock_at(at(9, 55)):
        press(chen, visit, "arrived")
        assert (fresh(visit).status, fresh(visit).arrived_at) == (Status.ARRIVED, at(9, 55))
    with clock.clock_at(at(10, 5)):
        press(chen, visit, "called")
        assert fresh(visit).called_at == at(10, 5)
        assert "With you" in words_of(chen.get("/doctor/"))
        press(chen, visit, "undo")
        assert (fresh(visit).called_at, fresh(visit).status) == (None, Status.ARRIVED)
        press(chen, visit, "called")
    with clock.clock_at(at(10, 25)):
        press(chen, visit, "seen")
        assert (fresh(visit).status, fresh(visit).outcome_code) == (Status.FULFILLED, Outcome.ATTENDED_ON_TIME)
        press(chen, visit, "undo")
        assert (fresh(visit).status, fresh(visit).called_at) == (Status.ARRIVED, at(10, 5))
        press(chen, visit, "undo")
        press(chen, visit, "undo")
        assert (fresh(visit).status, fresh(visit).arrived_at) == (Status.BOOKED, None)
        press(chen, visit, "no_show")
        assert (fresh(visit).status, fresh(visit).outcome_code) == (Status.NOSHOW, Outcome.DID_NOT_ATTEND)
        press(chen, visit, "undo")
    db.session().rollback()
    actions = db.session().scalars(
        select(AuditEntry.action).filter_by(subject_type="appointments", subject_id=visit.id).order_by(AuditEntry.id)
    ).all()  # fmt: skip
    assert actions == [
        "reserve",
        "arrive",
        "call_in",
        "undo",
        "call_in",
        "fulfil",
        "undo",
        "undo",
        "undo",
        "no_show",
        "undo",
    ]


def test_what_makes_no_sense_is_not_offered_and_not_done(chen: Visitor, world: World, visit: Appointment) -> None:
    assert "Did not come" not in words_of(chen.get("/doctor/")), "it has not begun"
    press(chen, visit, "no_show")
    assert fresh(visit).status is Status.BOOKED
    assert "This cannot be noted of the visit as it stands" in words_of(chen.get("/doctor/"))
    press(chen, visit, "dance", 422)
    with clock.clock_at(at(9, day=1)):
        page = words_of(chen.get("/doctor/?day=2026-03-02"))
        assert "No outcome yet" in page
    stale = chen.get("/doctor/")
    change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED)
    form = next(form for form in forms_of(stale) if form.action.endswith("/step"))
    chen.open(form.action, "POST", data={**form.fields, "step": "seen"})
    assert fresh(visit).status is Status.ARRIVED
    assert "Somebody has noted something of this visit meanwhile" in words_of(chen.get("/doctor/"))


def test_what_was_noted_yesterday_is_not_undone(chen: Visitor, visit: Appointment) -> None:
    with clock.clock_at(at(10, 5)):
        press(chen, visit, "arrived")
        press(chen, visit, "seen")
    with clock.clock_at(at(9, day=1)):
        chen.post(f"/doctor/visits/{visit.public_id}/step", step="undo")
    assert fresh(visit).status is Status.FULFILLED


def test_who_is_called_was_not_there_in_person(chen: Visitor, world: World) -> None:
    @writing
    def by_phone(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).modes = frozenset({Mode.PHONE})
        session.execute(update(Appointment).values(mode=Mode.PHONE, call_number="07700 900 111"))

    add_session(world.chen_id, at(9), at(12), world.location_id)
    visit = book(world, at(10))
    by_phone()
    with clock.clock_at(at(10, 20)):
        press(chen, visit, "seen")
    assert fresh(visit).status is Status.FULFILLED


def test_only_the_doctor_of_a_visit_notes_anything(app: Flask, world: World, visit: Appointment) -> None:
    Visitor(app, "diaz").post(f"/doctor/visits/{visit.public_id}/step", 404, step="arrived")
    with pytest.raises(NotAllowed):
        call_in(actor=world.alice, appointment_id=visit.id)
    with pytest.raises(BadTransition):
        call_in(actor=world.chen, appointment_id=visit.id)


# Running late


def test_patients_of_a_session_that_runs_late_read_so(
    app: Flask, chen: Visitor, world: World, visit: Appointment
) -> None:
    alice = Visitor(app, "alice")
    page = chen.get("/doctor/")
    form = next(form for form in forms_of(page) if form.action == "/doctor/late")
    chen.open(form.action, "POST", data={**form.fields, "late_min": "40"})
    assert "Running 40 minutes late" in words_of(chen.get("/doctor/"))
    says = words_of(alice.get(f"/appointments/{visit.public_id}"))
    assert "We are running about 40 minutes late. Please still come at your time." in says
    assert fresh(visit).starts_at == at(10), "nothing is moved"
    for wrong in ("41", "300", "soon", "-5"):
        chen.open(form.action, "POST", data={**form.fields, "late_min": wrong})
        assert "Enter minutes in steps of 5" in words_of(chen.get("/doctor/"))
    assert "40 min" in words_of(Visitor(app, "erin").get("/backoffice/sessions/"))
    chen.open(form.action, "POST", data={**form.fields, "late_min": ""})
    assert late_by(db.session(), fresh(visit)) == 0
    Visitor(app, "diaz").post("/doctor/late", 404, session=form.fields["session"], late_min="5")


def test_only_a_session_of_today_runs_late(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), world.location_id)
    row = db.session().scalars(select(ClinicSession)).one()
    with pytest.raises(InvalidRequest):
        run_late(actor=world.chen, session_id=row.id, late_min=10)
    with pytest.raises(NotAllowed):
        run_late(actor=world.alice, session_id=row.id, late_min=10)


# The week, and what has changed


def test_the_week_shows_every_day_with_its_visits(chen: Visitor, world: World, visit: Appointment) -> None:
    open_clinic(world, 2)
    book(world, at(9, day=2), patient_id=world.bob_id, actor=world.bob)
    says = words_of(chen.get("/doctor/week"))
    assert "Monday 2 March to Sunday 8 March" in says
    assert "10am Alice Archer, Check-up" in says
    assert "Wednesday 4 March 9am to 12 midday, Harbour Street 1 booked, 150 minutes free 9am Bob Baker" in says
    part = chen.open("/doctor/week?day=2026-03-09", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "Monday 9 March" in words_of(part)
    chen.get("/doctor/week?day=never", 422)


def test_a_doctor_sees_what_has_changed_until_they_say_that_they_know(app: Flask, chen: Visitor, world: World) -> None:
    open_clinic(world)
    first, second = book(world, at(9, day=1)), book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    says = words_of(chen.get("/doctor/"))
    assert "Changed since you last looked" in says
    assert "Booked : Alice Archer, Tuesday 3 March, 9am" in says
    page = chen.get("/doctor/")
    assert "Changed since" in words_of(page), "reading alone changes nothing"
    with clock.clock_at(NOW + timedelta(minutes=1)):
        chen.post("/doctor/seen")
        assert "Changed since" not in words_of(chen.get("/doctor/"))
    with clock.clock_at(NOW + timedelta(minutes=2)):
        move(world, first, at(11, day=1))
        cancel(world, second)
        says = words_of(chen.get("/doctor/"))
        assert "Cancelled : Bob Baker, Tuesday 3 March, 10am" in says
        assert "Moved : Alice Archer, Tuesday 3 March, 11am" in says
        assert "Changed since" not in words_of(Visitor(app, "diaz").get("/doctor/"))
