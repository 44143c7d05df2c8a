"""What mails look like from outside: their parts, their calendar entry, and what they never tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest
from flask import Flask
from icalendar import Calendar, Event
from sqlalchemy.orm import Session

from clinic_portal import wording
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, Location, VisitType
from clinic_portal.notifications import delivery, messages
from clinic_portal.notifications.captured import CapturedMail, list_captured, read_captured
from tests.bookings import book, cancel, move, open_clinic
from tests.world import World, add_session, at

ALICE, CHEN = "alice@example.com", "chen@example.com"
TEN = at(10, day=1)


@pytest.fixture
def world(world: World) -> World:
    open_clinic(world)
    return world


# So that kept mails have an order.
pytestmark = pytest.mark.usefixtures("time_goes_on")


def mails_to(app: Flask, address: str) -> list[CapturedMail]:
    """Deliver, and read what somebody got, oldest first."""
    delivery.deliver_due()
    folder = app.config["PORTAL"].mail_dir
    return [read_captured(folder, head.id) for head in reversed(list_captured(folder)) if head.to == address]


def entry_of(mail: CapturedMail) -> Event:
    assert mail.ics is not None
    return the_event(mail.ics)


def the_event(ics: bytes) -> Event:
    [event] = Calendar.from_ical(ics).walk("VEVENT")
    assert isinstance(event, Event)
    return event


def test_booked_moved_and_cancelled_change_one_entry_in_the_calendar(app: Flask, world: World) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    move(world, visit, at(11, day=1))
    delivery.deliver_due()
    cancel(world, visit)
    for address in (ALICE, CHEN):
        mails = mails_to(app, address)
        entries = [entry_of(mail) for mail in mails]
        methods = [str(Calendar.from_ical(mail.ics or b"")["METHOD"]) for mail in mails]
        assert methods == ["REQUEST", "REQUEST", "CANCEL"]
        assert len({str(entry["UID"]) for entry in entries}) == 1
        assert [entry["SEQUENCE"] for entry in entries] == [0, 1, 2]
        assert [str(entry["STATUS"]) for entry in entries] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
        assert [entry["DTSTART"].dt for entry in entries] == [TEN, at(11, day=1), at(11, day=1)]
        assert entries[0]["DTEND"].dt == at(10, 30, day=1)
        for entry in entries:
            assert str(entry["ATTENDEE"]) == f"mailto:{address}"
            assert str(entry["ORGANIZER"]) == "mailto:appointments@clinic.example"
            assert str(entry["CLASS"]) == "PRIVATE"


def test_who_lost_a_visit_to_a_colleague_gets_its_old_time_cancelled(app: Flask, world: World) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    add_session(world.diaz_id, at(9, day=2), at(12, day=2), world.location_id)
    move(world, visit, at(9, day=2))
    booked, cancelled = (entry_of(mail) for mail in mails_to(app, CHEN))
    assert (str(cancelled["UID"]), str(cancelled["STATUS"])) == (str(booked["UID"]), "CANCELLED")
    assert cancelled["DTSTART"].dt == booked["DTSTART"].dt == TEN
    assert "DTEND" not in cancelled


def test_a_mail_has_its_parts_in_the_order_that_readers_expect(app: Flask, world: World) -> None:
    book(world, TEN)
    mail = message_from_bytes(mails_to(app, ALICE)[0].raw)
    parts = list(mail.walk())
    assert [part.get_content_type() for part in parts] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics",
    ]  # fmt: skip
    entry, file = parts[-2:]
    assert entry.get_param("method") == "REQUEST"
    assert entry["Content-Disposition"] is None
    assert entry["Content-Transfer-Encoding"] == "base64"
    assert file.get_filename() == "appointment.ics"
    assert entry.get_payload(decode=True) == file.get_payload(decode=True)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@clinic.example>")


def test_a_summer_visit_booked_in_winter_is_told_in_summer_time(app: Flask, world: World) -> None:
    ten_in_summer = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
    add_session(world.chen_id, ten_in_summer, ten_in_summer + timedelta(hours=1), world.location_id)
    book(world, ten_in_summer)
    [mail] = mails_to(app, ALICE)
    assert mail.subject == "Your appointment on Wednesday 1 April 2026, 10am"
    assert entry_of(mail)["DTSTART"].dt == ten_in_summer
    assert b"DTSTART:20260401T090000Z" in (mail.ics or b"")


@pytest.mark.parametrize("what", [move, cancel], ids=["moved", "cancelled"])
def test_a_sensitive_visit_is_neutral_in_every_part_of_every_mail(app: Flask, world: World, what: object) -> None:
    visit = book(world, TEN, visit_type_id=world.vaccine_id)
    delivery.deliver_due()
    move(world, visit, at(11, day=1)) if what is move else cancel(world, visit)
    mails = mails_to(app, ALICE)
    assert len(mails) == 2
    for mail in mails:
        said = "\n".join([mail.subject, mail.sender, mail.plain, str(mail.html), (mail.ics or b"").decode()])
        for secret in ("Vaccine", "vaccine", "Dr Chen", "12 Harbour Street"):
            assert secret not in said
        assert str(entry_of(mail)["LOCATION"]) == "Harbour Street Clinic"
    assert "Where:     Harbour Street Clinic, see the link below" in mails[0].plain


def test_no_calendar_tells_what_the_visit_is_for(app: Flask, world: World) -> None:
    visit = book(world, TEN)
    for mail in (*mails_to(app, ALICE), *mails_to(app, CHEN)):
        entry = entry_of(mail)
        assert str(entry["SUMMARY"]) == "Appointment at Harbour Street Clinic"
        assert str(entry["LOCATION"]) == "Harbour Street, 12 Harbour Street"
        assert b"Check-up" not in (mail.ics or b"")
        assert "DESCRIPTION" not in entry
        assert visit.public_id in str(entry["UID"])


def test_names_with_markup_stay_text(app: Flask, world: World) -> None:
    @writing
    def rename(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).name = "Check <b>& more"

    rename()
    book(world, TEN)
    [mail] = mails_to(app, ALICE)
    assert "Check &lt;b&gt;&amp; more" in str(mail.html)
    assert "Check <b>& more" in mail.plain


def test_mails_carry_their_style_in_every_element_and_load_nothing(app: Flask, world: World) -> None:
    book(world, TEN)
    html = str(mails_to(app, ALICE)[0].html)
    assert 'style="' in html
    for loading in ("<img", "<link", "<script", "url(", "@import"):
        assert loading not in html


def test_links_lead_to_the_portal_as_readers_see_it(app: Flask, world: World) -> None:
    visit = book(world, TEN)
    base_url = app.config["PORTAL"].base_url
    with app.test_request_context(base_url=base_url):
        page = app.url_for("patient.appointment", public_id=visit.public_id, _external=True)
    assert page in mails_to(app, ALICE)[0].plain
    assert f"{base_url}/" in mails_to(app, CHEN)[0].plain


def test_the_file_for_the_calendar_is_the_same_entry_without_readers(app: Flask, world: World) -> None:
    visit = book(world, TEN)
    file = messages.calendar_file(db.session(), visit)
    assert str(Calendar.from_ical(file)["METHOD"]) == "PUBLISH"
    entry = the_event(file)
    assert "ATTENDEE" not in entry
    assert str(entry["UID"]) == str(entry_of(mails_to(app, ALICE)[0])["UID"])
    assert str(entry["STATUS"]) == "CONFIRMED"
    cancelled = the_event(messages.calendar_file(db.session(), cancel(world, visit)))
    assert (str(cancelled["STATUS"]), cancelled["SEQUENCE"]) == ("CANCELLED", 1)


def test_a_wish_without_a_time_has_no_calendar_file(world: World) -> None:
    with pytest.raises(ValueError, match="without a time"):
        messages.calendar_file(db.session(), Appointment(starts_at=None))


def test_each_place_tells_times_on_its_own_clock(app: Flask, world: World) -> None:
    @writing
    def go_west(session: Session) -> None:
        session.get_one(Location, world.location_id).zone = "America/New_York"

    go_west()
    book(world, TEN)
    assert mails_to(app, ALICE)[0].subject == "Your appointment on Tuesday 3 March 2026, 5am"


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (datetime(2026, 11, 24, 10, 15, tzinfo=UTC), "Tuesday 24 November, 10:15am"),
        (datetime(2026, 11, 24, 11, 0, tzinfo=UTC), "Tuesday 24 November, 11am"),
        (datetime(2026, 11, 24, 12, 0, tzinfo=UTC), "Tuesday 24 November, 12 midday"),
        (datetime(2026, 11, 24, 12, 30, tzinfo=UTC), "Tuesday 24 November, 12:30pm"),
        (datetime(2026, 11, 24, 0, 0, tzinfo=UTC), "Tuesday 24 November, 12 midnight"),
        (datetime(2026, 11, 24, 0, 5, tzinfo=UTC), "Tuesday 24 November, 12:05am"),
        (datetime(2026, 6, 1, 13, 5, tzinfo=UTC), "Monday 1 June, 2:05pm"),
        # The night when the clock goes back: half past one comes twice.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Sunday 25 October, 1:30am BST"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Sunday 25 October, 1:30am GMT"),
        (datetime(2026, 10, 25, 2, 0, tzinfo=UTC), "Sunday 25 October, 2am"),
    ],
)
def test_times_are_said_as_people_say_them(instant: datetime, words: str) -> None:
    assert wording.day_and_time(instant, "Europe/London") == words
    assert wording.day_long(instant, "Europe/London") == words.partition(",")[0] + " 2026"
