"""The doctors' own day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import writing
from clinic_portal.models import ClinicSession, Need, Practitioner, SessionStatus, Status
from clinic_portal.scheduling.booking import change_status, reserve_slot
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from tests.bookings import book, cancel, open_clinic
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_session, at


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    return Visitor(app, "chen")


def test_a_doctor_sees_the_day_with_visits_and_free_time(chen: Visitor, world: World) -> None:
    open_clinic(world)
    book(world, at(9, 30, day=1))
    says = words_of(chen.get("/doctor/?day=2026-03-03"))
    assert "Dr Chen" in says
    assert "9am to 12 midday, Harbour Street" in says
    assert "1 booked, 150 minutes free" in says
    assert (
        "9am to 9:30am Free 9:30am to 10am Alice Archer , 45 years Check-up Invite to a next visit : Alice Archer "
        "Booked 10am to 12 midday Free" in says
    )


def test_a_doctor_sees_only_the_own_day(app: Flask, world: World) -> None:
    open_clinic(world)
    book(world, at(9, day=1))
    says = words_of(Visitor(app, "diaz").get("/doctor/?day=2026-03-03"))
    assert "You have no sessions on this day" in says
    assert "Alice" not in says


def test_without_a_day_it_is_today_at_the_clinic(chen: Visitor, world: World) -> None:
    assert "Monday 2 March (today)" in words_of(chen.get("/doctor/"))
    # An hour after midnight in London it is still yesterday in UTC.
    with clock.clock_at(datetime(2026, 6, 30, 23, 30, tzinfo=UTC)):
        assert "Wednesday 1 July (today)" in words_of(chen.get("/doctor/"))


def test_the_days_before_and_after_are_plain_links(chen: Visitor) -> None:
    page = chen.get("/doctor/?day=2026-03-03").text
    assert 'href="/doctor/?day=2026-03-02"' in page
    assert 'href="/doctor/?day=2026-03-04"' in page


def test_htmx_gets_only_the_day(chen: Visitor) -> None:
    part = chen.get("/doctor/?day=2026-03-03", HX_Request="true").text
    # The title comes along: the tab and readers tell it.
    assert part.split()[:2] == ["<title>Your", "day,"]
    assert '<div id="day">' in part
    assert "<header" not in part


def test_a_cancelled_visit_is_free_time_and_a_missed_one_stays(chen: Visitor, world: World) -> None:
    open_clinic(world, day=0)
    with clock.clock_at(at(6)):
        cancel(world, book(world, at(9)))
        missed = book(world, at(10))
    with clock.clock_at(at(10, 20)):
        change_status(actor=world.erin, appointment_id=missed.id, to=Status.NOSHOW)
        says = words_of(chen.get("/doctor/"))
    assert "9am to 10am Free" in says
    assert "Did not come" in says


def test_time_that_is_being_booked_is_shown_as_such_until_it_expires(chen: Visitor, world: World) -> None:
    open_clinic(world)
    hold_slot(actor=world.alice, search=Search(world.check_up_id, world.alice_id), starts_at=at(9, day=1))
    assert "9am to 9:30am Being booked now" in words_of(chen.get("/doctor/?day=2026-03-03"))
    with clock.clock_at(NOW.replace(minute=11)):
        assert "9am to 12 midday Free" in words_of(chen.get("/doctor/?day=2026-03-03"))


def test_needs_that_concern_the_room_are_shown_and_whom_the_patient_asked_for_is_not(
    chen: Visitor, world: World
) -> None:
    open_clinic(world)
    search = Search(world.check_up_id, world.alice_id, needs=frozenset({Need.STEP_FREE, Need.FEMALE_CLINICIAN}))
    reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="a-token-of-a-form")
    says = words_of(chen.get("/doctor/?day=2026-03-03"))
    assert "Step-free access" in says
    assert "woman" not in says


def test_a_visit_outside_of_any_session_is_never_hidden(chen: Visitor, world: World) -> None:
    open_clinic(world)
    book(world, at(9, 30, day=1))

    @writing
    def call_off(session: Session) -> None:
        session.execute(update(ClinicSession).values(status=SessionStatus.CANCELLED))

    call_off()
    says = words_of(chen.get("/doctor/?day=2026-03-03"))
    assert "Outside your sessions: 9:30am to 10am" in says
    assert "Alice Archer" in says


def test_visits_at_night_belong_to_the_day_on_which_they_start(chen: Visitor, world: World) -> None:
    add_session(world.chen_id, at(23, day=1), at(1, day=2))
    book(world, at(0, 30, day=2))
    assert "12:30am to 1am Alice" in words_of(chen.get("/doctor/?day=2026-03-03"))
    assert "Alice" not in words_of(chen.get("/doctor/?day=2026-03-04"))


@pytest.mark.parametrize("day", ["x", "2026-02-30", "0001-01-01", "9999-12-31", "\x00", "20260303T"])
def test_a_day_that_is_none_gets_a_clear_refusal(chen: Visitor, day: str) -> None:
    assert chen.open("/doctor/", query_string={"day": day}).status_code == 422


def test_a_doctor_who_has_left_sees_nothing(chen: Visitor, world: World) -> None:
    @writing
    def leave(session: Session) -> None:
        session.execute(update(Practitioner).values(is_active=False))

    leave()
    chen.get("/doctor/", 404)
