"""A doctor sets the limits of their days, or the desk does: said what is wrong, written down, and told."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import AuditEntry, AuditValues, Event, HoursRequest, Notification, Practitioner
from clinic_portal.scheduling.pace import Pace, pace_of
from tests.asking import ask, fresh
from tests.bookings import book, open_clinic
from tests.plans import TUE
from tests.rota import block, work
from tests.test_caps import TOMORROW, hours_of, limit
from tests.test_hours_wishes import need_agreement, press
from tests.test_request_pages import page_of
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, at


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    return Visitor(app, "chen")


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@pytest.fixture
def own(world: World) -> str:
    """Where Dr Chen's hours are."""
    return f"/hours/{db.session().get_one(Practitioner, world.chen_id).public_id}"


def pace(world: World) -> Pace:
    db.session().rollback()
    db.session().expire_all()
    return pace_of(db.session(), world.chen_id)


def told_of_hours() -> int:
    db.session().rollback()
    return len(db.session().scalars(select(Notification).filter_by(event=Event.HOURS_CHANGED)).all())


def changes() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Before and after, as the audit log has it."""
    found = select(AuditValues).join(AuditEntry).where(AuditEntry.action == "change_pace").order_by(AuditEntry.id)
    return [(row.before, row.after) for row in db.session().scalars(found)]


def test_a_doctor_sets_and_sees_and_takes_back_their_own_limits(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, TUE, "9:00", "14:00"))
    assert "No limits but the hours" in words_of(chen.get(own))
    form = chen.get(f"{own}/limits")
    assert "Check-up" in words_of(form)
    vaccine = f"type-{world.vaccine_id}"
    filled = {"most_a_day": "14", vaccine: "3", "break_min": "10", "break_after_min": "120", "notice_h": "24"}
    says = words_of(chen.follow(chen.submit(form, **filled)))
    for line in (
        "The limits are saved.",
        "At most 14 visits a day",
        "Vaccine: at most 3 a day",
        "A break of 10 minutes after every 2 hours of work",
        "Booked by patients at least 24 hours before",
    ):
        assert line in says
    assert pace(world) == Pace(14, {world.vaccine_id: 3}, 10, 120, 24 * 60)
    assert hours_of(world, TOMORROW) == ["09:00-11:00", "11:10-13:10", "13:20-14:00"]
    assert told_of_hours() == 0, "whoever does it knows it"
    form = chen.get(f"{own}/limits")
    for name, value in filled.items():
        assert f'name="{name}" type="text" value="{value}"' in form.text
    chen.submit(form, **dict.fromkeys(filled, ""))
    assert pace(world) == Pace()
    assert "No limits but the hours" in words_of(chen.get(own))
    (nothing, limited), (before, after) = changes()
    assert (nothing, before) == (after, limited)
    assert limited == {"most_a_day": 14, "by_type": {str(world.vaccine_id): 3}, "break_min": 10,
                       "break_after_min": 120, "notice_min": 1440}  # fmt: skip


def test_what_is_wrong_is_said_at_its_box_and_what_was_typed_is_kept(chen: Visitor, world: World, own: str) -> None:
    form = chen.get(f"{own}/limits")
    check_up = f"type-{world.check_up_id}"
    for field, typed, says in (
        ("most_a_day", "many", "Enter a whole number"),
        ("most_a_day", "-1", "Enter a whole number"),
        ("most_a_day", "201", "Enter a number from 0 to 200"),
        (check_up, "201", "Enter a number from 0 to 200"),
        (check_up, "½", "Enter a whole number"),
        ("break_min", "7", "Enter minutes that can be divided by 5, from 5 to 120"),
        ("break_min", "0", "Enter minutes that can be divided by 5, from 5 to 120"),
        ("break_after_min", "725", "Enter minutes that can be divided by 5, from 5 to 720"),
        ("notice_h", "721", "Enter a number of hours from 0 to 720"),
        ("notice_h", "99999", "Enter a whole number"),
    ):
        sent = {"break_min": "10", "break_after_min": "120", field: typed}
        page = chen.submit(form, 422, **sent)
        assert f"There is a problem {says}" in words_of(page), field
        assert f'id="{field}-error"' in page.text
        for name, value in sent.items():
            assert f'name="{name}" type="text" value="{value}"' in page.text
    page = chen.submit(form, 422, break_min="10", break_after_min="")
    assert "Enter both: how long the break is, and after how much work" in words_of(page)
    assert 'id="break_after_min-error"' in page.text
    assert pace(world) == Pace()


def test_of_two_tabs_the_second_is_told(chen: Visitor, erin: Visitor, world: World, own: str) -> None:
    mine, theirs = chen.get(f"{own}/limits"), erin.get(f"{own}/limits")
    chen.submit(mine, most_a_day="10")
    stale = erin.submit(theirs, 409, most_a_day="20")
    assert "Somebody has changed these hours meanwhile" in words_of(stale)
    assert 'value="20"' in stale.text
    assert pace(world).most_a_day == 10
    # The same form once more, as after a lost answer, changes nothing and says the same.
    chen.submit(mine, most_a_day="10")
    assert len(changes()) == 1


def test_the_doctor_is_told_what_the_desk_sets(erin: Visitor, world: World, own: str) -> None:
    erin.submit(erin.get(f"{own}/limits"), most_a_day="12")
    assert pace(world).most_a_day == 12
    assert told_of_hours() == 1


def test_a_limit_waits_for_agreement_where_hours_do(chen: Visitor, erin: Visitor, world: World, own: str) -> None:
    need_agreement()
    says = words_of(chen.follow(chen.submit(chen.get(f"{own}/limits"), most_a_day="1", notice_h="1")))
    assert "Your change is written down" in says
    assert "Limits: At most 1 visit a day; Booked by patients at least 1 hour before" in says
    assert pace(world) == Pace()
    assert "Enter a number from 0 to 200" in words_of(chen.submit(chen.get(f"{own}/limits"), 422, most_a_day="999"))
    wish = f"{own}/wishes/{db.session().scalars(select(HoursRequest)).one().public_id}"
    page = erin.get(wish)
    assert "At most 1 visit a day" in words_of(page)
    press(erin, page, f"{wish}/agree")
    assert pace(world) == Pace(most_a_day=1, notice_min=60)
    chen.submit(chen.get(f"{own}/limits"), most_a_day="", notice_h="")
    assert "No limits of their own any more" in words_of(chen.get(own))


def test_a_visit_in_a_new_break_is_seen_in_the_day_as_before(chen: Visitor, world: World, own: str) -> None:
    work(world, block(world, TUE, "9:00", "14:00"))
    book(world, at(10, 45, day=1))
    chen.submit(chen.get(f"{own}/limits"), break_min="10", break_after_min="120")
    assert "10:45am to 11:15am Alice Archer" in words_of(chen.get("/doctor/?day=2026-03-03"))


def test_limits_are_said_in_german(chen: Visitor, world: World, own: str) -> None:
    chen.submit(chen.get(f"{own}/limits"), most_a_day="1", break_min="10", break_after_min="60", notice_h="2")
    says = words_of(chen.get(own, Accept_Language="de"))
    assert "Höchstens 1 Termin am Tag" in says
    assert "Eine Pause von 10 Minuten nach jeweils 1 Stunde Arbeit" in says
    assert "Patienten buchen mindestens 2 Stunden vorher" in says


def test_the_desk_looks_for_times_on_full_days_when_it_ticks_that(erin: Visitor, world: World) -> None:
    open_clinic(world)
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    visit = ask(world)
    path = page_of(visit, "times")
    assert "full" not in words_of(erin.get(path)), "nobody has a limit"
    limit(world, most_a_day=1)
    page = erin.get(path)
    assert "No free time fits what was wished." in words_of(page)
    link = re.search(r'href="([^"]+)">Also look at days that are full', page.text)
    assert link is not None
    refused = erin.post(path, 409, start="20260303T1000Z", token="a", version=str(fresh(visit).version))
    assert "Somebody was faster" in words_of(refused)
    page = erin.get(unescape(link[1]))
    assert "Times on full days are shown, too." in words_of(page)
    index = next(at for at, form in enumerate(forms_of(page)) if "start" in form.choices)
    sent = erin.submit(page, 303, index, start="20260303T1000Z")
    assert "Booked: Tue 3 Mar, 10am, Dr Chen, Harbour Street." in words_of(erin.follow(sent))
