"""Calendar programs read somebody's visits from a private address: all of them, and nobody else's."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, AuditEntry, CalendarFeed, Patient, PatientAccess, Relation
from clinic_portal.scheduling import hours
from clinic_portal.scheduling.stranded import Answer, What
from clinic_portal.settings import put_setting
from tests.bookings import book, cancel, move
from tests.plans import TUE
from tests.rota import TODAY, away, block, work
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, at


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    work(world, block(world, TUE, "09:00", "12:00"))
    return Visitor(app, "chen")


def made(who: Visitor, kind: str) -> str:
    """Make an address, and read it from the page that shows it once."""
    page = who.post("/account/calendar", 200, kind=kind, do="make")
    found = re.search(r'value="http://[^/]+(/calendar/[^"]+\.ics)"', page.text)
    assert found is not None
    return found.group(1)


def read(app: Flask, path: str) -> dict[str, dict[str, str]]:
    """What a program that nobody signed in finds there, by visit."""
    answer = Visitor(app).get(path)
    assert answer.mimetype == "text/calendar"
    assert all(len(line) <= 75 for line in answer.data.split(b"\r\n"))
    events = Calendar.from_ical(answer.data).walk("VEVENT")
    found = {
        str(event["uid"]).partition("@")[0]: {
            "start": event.decoded("dtstart").isoformat(), "status": str(event["status"]),
            "sequence": str(event["sequence"]), "summary": str(event["summary"]), "where": str(event["location"]),
        }
        for event in events
    }  # fmt: skip
    assert len(found) == len(events), "one visit is one entry"
    assert all("DTSTAMP" in event for event in events)
    return found


def test_a_doctors_calendar_follows_every_change(app: Flask, chen: Visitor, world: World) -> None:
    path = made(chen, "practitioner")
    visit = book(world, at(9, day=1))
    (one,) = read(app, path).values()
    assert one == {"start": "2026-03-03T09:00:00+00:00", "status": "CONFIRMED", "sequence": "0",
                   "summary": "Appointment at Harbour Street Clinic", "where": "Harbour Street, 12 Harbour Street",
                   }  # fmt: skip
    move(world, visit, at(10, day=1))
    (one,) = read(app, path).values()
    assert (one["start"], one["sequence"]) == ("2026-03-03T10:00:00+00:00", "1")
    with clock.clock_at(NOW + timedelta(hours=1)):
        cancel(world, visit)
    (one,) = read(app, path).values()
    assert (one["status"], one["sequence"]) == ("CANCELLED", "2")
    with clock.clock_at(NOW + timedelta(days=32)):
        assert read(app, path) == {}


def test_a_visit_that_another_doctor_has_now_leaves_the_calendar(app: Flask, chen: Visitor, world: World) -> None:
    path, theirs = made(chen, "practitioner"), made(Visitor(app, "diaz"), "practitioner")
    visit = book(world, at(9, day=1))
    work(world, block(world, TUE, "09:00", "12:00"), practitioner_id=world.diaz_id, actor=world.erin)
    tuesday = TODAY + timedelta(days=1)
    away(world, tuesday, tuesday, answers={visit.id: Answer(What.SAME_TIME)})
    mine, others = read(app, path)[visit.public_id], read(app, theirs)[visit.public_id]
    assert (mine["status"], others["status"]) == ("CANCELLED", "CONFIRMED")
    assert mine["sequence"] == others["sequence"] == "1"
    assert hours.hours_version(db.session(), world.chen_id)


def test_a_summer_visit_booked_in_winter_is_at_its_own_hour(app: Flask, chen: Visitor, world: World) -> None:
    @writing
    def far(session: Session) -> None:
        put_setting(session, "horizon_days", 60)

    far()
    visit = book(world, at(8, day=29))
    assert read(app, made(chen, "practitioner"))[visit.public_id]["start"] == "2026-03-31T08:00:00+00:00"


def test_what_a_visit_is_called_is_the_clinics_choice_and_never_tells_a_sensitive_one(
    app: Flask, chen: Visitor, world: World
) -> None:
    @writing
    def titled(session: Session) -> None:
        put_setting(session, "doctor_feed_titles", "visit_type")

    titled()
    book(world, at(9, day=1))
    book(world, at(10, day=1), visit_type_id=world.vaccine_id, patient_id=world.bob_id, actor=world.bob)
    path = made(chen, "practitioner")
    assert sorted(one["summary"] for one in read(app, path).values()) == [
        "Appointment at Harbour Street Clinic", "Check-up",
    ]  # fmt: skip
    text = Visitor(app).get(path).text
    assert "Alice" not in text
    assert "Bob" not in text


def test_a_patients_calendar_has_the_visits_that_the_account_may_see_when_it_is_read(
    app: Flask, chen: Visitor, world: World
) -> None:
    @writing
    def act(session: Session, until: date | None) -> None:
        session.get_one(Patient, world.bob_id).birth_on = date(2012, 1, 1)
        right = session.scalars(
            select(PatientAccess).filter_by(account_id=world.accounts["alice"], patient_id=world.bob_id)
        ).one_or_none()
        if right is None:
            session.add(PatientAccess(account_id=world.accounts["alice"], patient_id=world.bob_id,
                                      relation=Relation.PARENT, starts_on=date(2020, 1, 1)))  # fmt: skip
        else:
            right.ends_on = until

    @writing
    def hide(session: Session, visit_id: int) -> None:
        session.get_one(Appointment, visit_id).is_private = True

    act(None)
    own, sons = book(world, at(9, day=1)), book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    hidden = book(world, at(11, day=1), patient_id=world.bob_id, actor=world.bob)
    hide(hidden.id)
    path = made(Visitor(app, "alice"), "patient")
    assert read(app, path).keys() == {own.public_id, sons.public_id}
    act(NOW.date())
    assert read(app, path).keys() == {own.public_id}


def test_an_address_is_shown_once_made_anew_and_taken_away(app: Flask, chen: Visitor, world: World) -> None:
    first = made(chen, "practitioner")
    token = first.removeprefix("/calendar/").removesuffix(".ics")
    assert token not in chen.get("/account/calendar").text
    assert token not in str(db.session().scalars(select(CalendarFeed.token_hash)).all())
    second = made(chen, "practitioner")
    Visitor(app).get(first, 404)
    read(app, second)
    assert "made on" in words_of(chen.get("/account/calendar"))
    chen.post("/account/calendar", kind="practitioner", do="end")
    Visitor(app).get(second, 404)
    chen.post("/account/calendar", kind="practitioner", do="end")
    chen.post("/account/calendar", 422, kind="everything")
    Visitor(app, "alice").post("/account/calendar", 422, kind="practitioner")
    db.session().rollback()
    actions = db.session().scalars(select(AuditEntry.action).filter_by(subject_type="calendar_feeds")).all()
    assert actions == ["make_feed", "end_feed", "make_feed", "end_feed"]


def test_what_has_not_changed_is_not_sent_again_and_guesses_are_slowed_down(
    app: Flask, chen: Visitor, world: World
) -> None:
    path = made(chen, "practitioner")
    book(world, at(9, day=1))
    reader = Visitor(app)
    tag = reader.get(path).headers["ETag"]
    assert reader.get(path, 304, If_None_Match=tag).data == b""
    with clock.clock_at(NOW + timedelta(minutes=5)):
        reader.get(path, 304, If_None_Match=tag)
        book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
        assert reader.get(path, 200, If_None_Match=tag).headers["Cache-Control"].startswith("private")
    for number in range(30):
        answer = reader.open(f"/calendar/guess-{number}.ics")
    assert answer.status_code == 429
    read(app, path)
