"""What is said of visits by phone and by video: in mails, calendars, behind links, and to whoever sees the patient."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, Event, Mode, Notification, VisitType
from clinic_portal.notifications.messages import calendar_file
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from tests.test_calendar_part import ALICE, CHEN, entry_of, mails_to, the_event
from tests.test_modes import NUMBER, by, offer, reserve
from tests.visitor import Visitor, words_of
from tests.world import World, add_session, at

STRETCH = "between 10am and 12 midday"


def call(world: World, day: int = 1) -> Appointment:
    """A visit by phone at quarter to eleven, told as two hours."""
    offer(world.check_up_id, shown_window_min=120)
    add_session(world.chen_id, at(9, day=day), at(12, day=day))
    return reserve(world, by(Mode.PHONE, world), at(10, 45, day=day), call_number=NUMBER)


def test_the_patient_of_a_call_reads_the_stretch_of_the_day_everywhere(app: Flask, world: World) -> None:
    visit = call(world)
    [mail] = mails_to(app, ALICE)
    assert STRETCH in mail.subject
    assert STRETCH in mail.plain
    assert "10:45" not in mail.plain + mail.subject
    assert "How:       By phone: we will call 07… 362." in mail.plain
    assert NUMBER not in mail.plain
    assert "Where:" not in mail.plain
    alice = Visitor(app, "alice")
    kept = the_event(alice.get(f"/appointments/{visit.public_id}/calendar.ics").data)
    for entry in (entry_of(mail), kept):
        assert (entry["DTSTART"].dt, entry["DTEND"].dt) == (at(10, day=1), at(12, day=1))
        assert str(entry["LOCATION"]) == "By phone"
    link = next(word for word in mail.plain.split() if "/a/" in word)
    behind = words_of(Visitor(app).get(link[link.index("/a/") :]))
    assert STRETCH in behind
    assert "10:45" not in behind


def test_who_sees_the_patient_reads_the_exact_time_and_the_number(app: Flask, world: World) -> None:
    call(world)
    [mail] = mails_to(app, CHEN)
    assert "10:45am" in mail.plain
    assert NUMBER not in mail.plain
    assert entry_of(mail)["DTSTART"].dt == at(10, 45, day=1)
    day = words_of(Visitor(app, "chen").get("/doctor/?day=2026-03-03"))
    assert f"By phone: call {NUMBER}. The patient was told: {STRETCH}." in day


def test_a_reminder_of_a_call_comes_before_the_stretch_and_not_in_it(app: Flask, world: World) -> None:
    visit = call(world, day=8)
    rows = db.session().scalars(select(Notification).filter_by(appointment_id=visit.id, event=Event.REMINDER))
    due = {row.facts["before"]: row.due_at for row in rows}
    assert due["1h"] == at(9, day=8)


def test_the_way_into_a_video_room_is_mailed_unless_the_visit_is_sensitive(app: Flask, world: World) -> None:
    @writing
    def make_sensitive(session: Session) -> None:
        session.get_one(VisitType, world.vaccine_id).is_sensitive = True

    make_sensitive()
    for visit_type_id in (world.check_up_id, world.vaccine_id):
        offer(visit_type_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    visits = [
        reserve(world, by(Mode.VIDEO, world), at(9, day=1)),
        reserve(world, Search(world.vaccine_id, world.alice_id, mode=Mode.VIDEO), at(11, day=1), token="two"),
    ]
    plain, neutral = sorted(mails_to(app, ALICE), key=lambda mail: mail.subject, reverse=True)
    assert visits[0].join_url
    assert visits[1].join_url
    assert f"Join here: {visits[0].join_url}" in plain.plain
    assert visits[1].join_url not in neutral.plain + neutral.html
    assert "By video" in neutral.plain
    for visit, mail in zip(visits, (plain, neutral), strict=True):
        for ics in (mail.ics, calendar_file(db.session(), visit)):
            assert visit.join_url not in (ics or b"").decode().replace("\r\n ", "")
    assert timedelta(minutes=30) <= entry_of(plain)["DTEND"].dt - entry_of(plain)["DTSTART"].dt


def test_a_moved_call_tells_the_old_and_the_new_stretch(app: Flask, world: World) -> None:
    visit = call(world)
    search = by(Mode.PHONE, world, moving_id=visit.id)
    booking.move_appointment(
        actor=world.alice, appointment_id=visit.id, search=search, starts_at=at(9, day=1), token="move"
    )
    moved = mails_to(app, ALICE)[-1]
    assert "between 8am and 10am" in moved.subject
    assert STRETCH in moved.plain
    assert "10:45" not in moved.plain
