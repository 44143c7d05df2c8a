"""Doctors set their own hours, and the desk those of everybody, on pages that ask before anybody loses a visit."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import (
    Appointment,
    AvailabilityException,
    AvailabilityRule,
    Closure,
    Location,
    Practitioner,
    Status,
)
from clinic_portal.scheduling import hours
from tests.asking import fresh
from tests.bookings import book
from tests.plans import MON, THU, TUE
from tests.rota import TODAY, block, work
from tests.visitor import Visitor, words_of
from tests.world import World, at

HTMX = {"HX-Request": "true"}
MODES = ["in_person", "phone", "video"]


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    return Visitor(app, "chen")


@pytest.fixture
def own(world: World) -> str:
    """Where Dr Chen's hours are."""
    return f"/hours/{db.session().get_one(Practitioner, world.chen_id).public_id}"


def harbour(world: World) -> str:
    return db.session().get_one(Location, world.location_id).public_id


def rules(world: World) -> list[AvailabilityRule]:
    db.session().rollback()
    db.session().expire_all()
    return hours.rules_of(db.session(), world.chen_id, TODAY)


def test_a_doctor_adds_hours_on_several_days_and_sees_the_week(chen: Visitor, world: World, own: str) -> None:
    assert chen.get("/hours/", 303).headers["Location"] == own
    page = chen.get(own)
    assert "Hours of Dr Chen" in words_of(page)
    form = chen.get(f"{own}/add")
    done = chen.submit(form, weekdays=["0", "3"], starts="13:30", ends="17:00", location=harbour(world), modes=MODES)
    says = words_of(chen.follow(done))
    assert "The hours are added." in says
    assert "Thursday 5 March 1:30pm to 5pm, Harbour Street" in says
    assert "Monday 1:30pm to 5pm Harbour Street Change Monday, 1:30pm to 5pm" in says
    assert [(rule.weekday, rule.starts_min, rule.ends_min) for rule in rules(world)] == [(0, 810, 1020), (3, 810, 1020)]
    assert 'x="810" y="4" width="210"' in chen.get(own).text
    part = chen.open(f"{own}?from=2026-03-09", headers=HTMX)
    assert "<html" not in part.text
    assert "Thursday 12 March 1:30pm to 5pm" in words_of(part)
    chen.get(f"{own}?from=nonsense", 422)


def test_what_is_wrong_is_said_at_its_box_and_what_was_typed_is_kept(chen: Visitor, world: World, own: str) -> None:
    form = chen.get(f"{own}/add")
    for wrong, says in (
        ({"weekdays": []}, "Choose at least one day of the week"),
        ({"starts": "quarter past"}, "Enter a time like 9:30 or 17:00"),
        ({"ends": "08:00"}, "Enter an end after the start"),
        ({"starts": "13:31"}, "Enter a time in steps of 5 minutes"),
        ({"location": "nowhere"}, "Choose one of the places"),
        ({"valid_from": "2026-02-30"}, "Choose a day from the calendar"),
        ({"repeats": "weeks", "every_n_weeks": "often"}, "Enter a whole number"),
        ({"release_policy": "days_before", "release_at": ""}, "Enter a time like 9:30 or 17:00"),
    ):
        sent = {"weekdays": ["1"], "starts": "13:30", "ends": "17:00", "location": harbour(world), "modes": MODES}
        page = chen.submit(form, 422, **{**sent, **wrong})
        assert f"There is a problem {says}" in words_of(page), wrong
        assert f'value="{wrong.get("starts", "13:30")}"' in page.text
    chen.submit(form, 404, weekdays=["1"], starts="9:00", ends="10:00", location=harbour(world), kind="holiday")
    assert rules(world) == []


def test_hours_are_changed_from_a_day_on_and_ended(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    (tuesday,) = rules(world)
    form = chen.get(f"{own}/blocks/{tuesday.id}")
    assert 'value="09:00"' in form.text
    other_tab = chen.get(f"{own}/blocks/{tuesday.id}")
    done = chen.submit(form, starts="10:00", valid_from="2026-03-10", modes=MODES, weekdays="1",
                       location=harbour(world))  # fmt: skip
    assert "Tuesday 9am to 12 midday Harbour Street; until Monday 9 March" in words_of(chen.follow(done))
    old, new = sorted(rules(world), key=lambda rule: rule.starts_min)
    assert (old.valid_until, new.valid_from, new.starts_min) == (date(2026, 3, 9), date(2026, 3, 10), 600)
    stale = chen.submit(other_tab, 409, starts="11:00", weekdays="1", location=harbour(world))
    assert "Somebody has changed these hours meanwhile" in words_of(stale)
    end = chen.get(f"{own}/blocks/{new.id}/end")
    chen.submit(end, 422, first_without="")
    chen.submit(end, first_without="2026-03-24")
    assert max(rule.valid_until or date.max for rule in rules(world)) == date(2026, 3, 23)
    chen.get(f"{own}/blocks/99999", 404)


def test_a_day_is_copied_to_others_and_takes_their_place(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, MON, "09:00", "12:00"), block(world, MON, "13:00", "15:00"),
         block(world, THU, "10:00", "11:00"))  # fmt: skip
    form = chen.get(f"{own}/copy")
    assert "There is a problem" in words_of(chen.submit(form, 422, day="0"))
    assert "already" in words_of(chen.submit(form, 422, day="0", weekdays=["1", "3"]))
    chen.submit(form, day="0", weekdays=["1", "3"], replace="yes")
    assert [(rule.weekday, rule.starts_min) for rule in rules(world)] == [
        (0, 540), (0, 780), (1, 540), (1, 780), (3, 540), (3, 780),
    ]  # fmt: skip


def test_a_doctor_who_takes_a_day_off_says_what_becomes_of_each_visit(
    app: Flask, chen: Visitor, world: World, own: str
) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    work(world, block(world, TUE, "09:00", "09:30"), practitioner_id=world.diaz_id, actor=world.erin)
    first, second = book(world, at(9, day=1)), book(world, at(9, 30, day=1), patient_id=world.bob_id, actor=world.bob)
    form = chen.get(f"{own}/off")
    asked = chen.submit(form, 409, starts_on="2026-03-03", reason="Course")
    says = words_of(asked)
    assert "2 appointments are outside of these hours" in says
    assert "Tuesday 3 March, 9am Alice Archer: Check-up, Harbour Street Same time, with Dr Diaz" in says
    assert db.session().scalars(select(AvailabilityException)).all() == []
    # As it is marked: the same time, and the nearest.
    chosen = dict(re.findall(r'name="(visit-\d+)" type="radio" value="([^"]+)" checked', asked.text))
    assert chosen == {f"visit-{first.id}": "same", f"visit-{second.id}": "other:20260310T0900Z"}
    done = chen.submit(asked, all="each", **chosen)
    assert "The time off is noted." in words_of(chen.follow(done))
    assert (fresh(first).practitioner_id, fresh(first).starts_at) == (world.diaz_id, at(9, day=1))
    assert fresh(second).starts_at == at(9, day=8)
    says = words_of(chen.get(own))
    assert "Time off: Tuesday 3 March Course" in says
    # The same form again, after the answer, changes nothing more.
    chen.submit(asked, all="each", **chosen)
    (off,) = db.session().scalars(select(AvailabilityException)).all()
    undo = chen.get(f"{own}/away/{off.id}/end")
    chen.submit(undo)
    assert "Time off: " not in words_of(chen.get(own))


def test_one_answer_for_all_counts_for_each(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    visits = [book(world, at(9, day=1)), book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)]
    asked = chen.submit(chen.get(f"{own}/off"), 409, starts_on="2026-03-03")
    marked = dict(re.findall(r'name="(visit-\d+)" type="radio" value="([^"]+)" checked', asked.text))
    chen.submit(asked, all="keep", **marked)
    assert {fresh(visit).status for visit in visits} == {Status.BOOKED}
    assert [fresh(visit).starts_at for visit in visits] == [at(9, day=1), at(10, day=1)]
    # They are shown where they are.
    assert "Outside your sessions: 9am to 9:30am, Harbour Street" in words_of(chen.get("/doctor/?day=2026-03-03"))


def test_made_up_answers_are_asked_again(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    visit = book(world, at(9, day=1))
    asked = chen.submit(chen.get(f"{own}/off"), 409, starts_on="2026-03-03")
    for made_up in ("other:nonsense", "other:20260303T0300Z", "anything", ""):
        again = chen.submit(asked, 409, **{f"visit-{visit.id}": made_up})
        assert "cannot be done any more" in words_of(again)
    assert fresh(visit).starts_at == at(9, day=1)


def test_extra_hours_are_added(chen: Visitor, world: World, own: str) -> None:
    form = chen.get(f"{own}/extra")
    chen.submit(form, 422, starts="18:00", ends="17:00", location=harbour(world), modes=MODES)
    chen.submit(form, starts_on="2026-03-07", starts="10:00", ends="12:00", location=harbour(world), modes=MODES)
    says = words_of(chen.get(own))
    assert "Extra hours: Saturday 7 March, 10am to 12 midday, Harbour Street" in says
    assert "Saturday 7 March 10am to 12 midday, Harbour Street" in says


def test_the_desk_sets_hours_for_everybody_and_closes_days(app: Flask, world: World, own: str) -> None:
    erin = Visitor(app, "erin")
    assert "Dr Chen Dr Diaz" in words_of(erin.get("/hours/"))
    assert f'href="{own}"' in erin.get("/backoffice/clinicians/").text
    form = erin.get(f"{own}/add")
    erin.submit(form, weekdays=["1"], starts="9:00", ends="12:00", location=harbour(world), modes=MODES)
    assert len(rules(world)) == 1
    page = erin.get("/hours/closed")
    erin.submit(page, 422, name="", first_on="2026-04-06")
    done = erin.submit(page, name="Easter Monday", first_on="2026-04-06", location="all")
    assert "Monday 6 April 2026 Easter Monday, All places" in words_of(erin.follow(done))
    again = erin.get("/hours/closed")
    erin.submit(again, index=0)
    assert db.session().scalars(select(Closure)).all() == []


def test_public_holidays_are_entered_at_once_and_days_with_visits_left_to_people(app: Flask, world: World) -> None:
    erin, friday = Visitor(app, "erin"), date(2026, 4, 3)
    work(world, block(world, friday.weekday(), "09:00", "12:00"))
    visit = book(world, at(9, day=(friday - TODAY).days) - timedelta(hours=1))
    page = erin.get("/hours/closed")
    erin.post("/hours/closed/holidays", 422, country="Atlantis")
    says = words_of(erin.follow(erin.submit(page, index=1, country="GB-ENG")))
    assert "Good Friday, Friday 3 April 2026" in says
    days = [row.first_on for row in db.session().scalars(select(Closure).order_by(Closure.first_on))]
    assert date(2026, 4, 6) in days
    assert friday not in days
    assert max(days) <= TODAY + timedelta(days=425)
    assert fresh(visit).status == Status.BOOKED
    count = len(days)
    erin.submit(erin.get("/hours/closed"), index=-1, country="GB-ENG")
    assert len(db.session().scalars(select(Closure)).all()) == count
    assert db.session().scalars(select(Appointment)).one().id == visit.id
