"""The desk works in the calendar, on pages that need no scripts: looks, books, moves and cancels."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.backoffice import calendar_board
from clinic_portal.database import db, writing
from clinic_portal.models import (
    AccessEntry,
    Appointment,
    AuditEntry,
    CancelReason,
    Location,
    Mode,
    Patient,
    Practitioner,
    RoleGrant,
    Status,
    VisitType,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import CapturedMail, list_captured, read_captured
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from tests.asking import fresh
from tests.bookings import book, open_clinic
from tests.calendars import HALF_PAST_TEN, add_doctors, book_with, busy_day, move_to
from tests.statements import sent_statements
from tests.test_caps import limit
from tests.visitor import Form, Visitor, forms_of, words_of
from tests.world import World, add_patient, add_session, at

CALENDAR = "/backoffice/calendar/"
# What a browser sends of the lists of choices.
SAID = {"mode": "in_person", "how": "phone"}
TOMORROW = f"{CALENDAR}?day=2026-03-03"


# So that kept mails have an order.
pytestmark = pytest.mark.usefixtures("time_goes_on")


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


def doctor(practitioner_id: int) -> str:
    return db.session().get_one(Practitioner, practitioner_id).public_id


def alice(world: World) -> str:
    return db.session().get_one(Patient, world.alice_id).public_id


def check_up(world: World) -> str:
    return db.session().get_one(VisitType, world.check_up_id).public_id


def visits() -> list[Appointment]:
    """All of them, read afresh."""
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Appointment).order_by(Appointment.starts_at)))


def mails_to(app: Flask, name: str) -> list[CapturedMail]:
    """Deliver, and read what somebody got, oldest first."""
    delivery.deliver_due()
    folder = app.config["PORTAL"].mail_dir
    heads = [head for head in reversed(list_captured(folder)) if head.to == f"{name}@example.com"]
    return [read_captured(folder, head.id) for head in heads]


# Looking


def test_a_day_shows_every_state_by_a_word_and_a_sign(erin: Visitor, world: World) -> None:
    busy_day(world, 4)
    with clock.clock_at(HALF_PAST_TEN):
        page = erin.get(f"{CALENDAR}?day=2026-03-02")
    words = words_of(page)
    for told in (
        "Seen", "Did not come", "No outcome yet", "Arrived, waits 60 min", "With the clinician",
        "Not here yet, 10 min late", "Booked", "Squeezed in", "Phone", "Says they will come", "First visit",
        "Break , 12 midday to 1pm", "Staff only", "Kept back until Mon 2 Mar, 12 midday", "What it means",
    ):  # fmt: skip
        assert told in words, told
    for state in ("booked", "due", "arrived", "called", "fulfilled", "noshow", "unknown"):
        assert f'href="#sign-{state}"' in page.text
        assert f'id="sign-{state}"' in page.text
    # The line of now: half past ten and a bit is the thirty-first row from eight on.
    assert page.text.count("cal-now r31 s1") == 4
    # Those squeezed in stand beside what they overlap.
    assert re.search(r'<li class="r39 s3 cal-beside l2of2">.*?Squeezed in', page.text)


def test_hours_for_some_kinds_of_visits_say_for_which(erin: Visitor, world: World) -> None:
    open_clinic(world)
    vaccines = frozenset({world.vaccine_id})
    add_session(world.chen_id, at(12, day=1), at(13, day=1), visit_type_ids=vaccines)
    words = words_of(erin.get(TOMORROW))
    assert "12 midday–1pm 0 booked, 6 left Only Vaccine" in words
    assert "9am–12 midday 0 booked, 18 left 12 midday" in words


def test_a_closed_off_day_and_an_empty_one_say_so(erin: Visitor, world: World) -> None:
    assert "Nobody works on this day." in words_of(erin.get(f"{CALENDAR}?day=2026-03-08"))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("day=tomorrow", "Enter a day, like 2026-11-24; this is today."),
        ("location=77", "Location must be one of the list; all are shown."),
        ("view=week", "A week shows one or two clinicians. Pick them above."),
        ("day=0001-01-01&view=week&zoom=x&c=nobody", "Enter a day"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_told(erin: Visitor, world: World, query: str, told: str) -> None:
    open_clinic(world, 0)
    assert told in words_of(erin.get(f"{CALENDAR}?{query}"))


def headings(page: TestResponse) -> list[str]:
    found = re.findall(r'<h3 id="[^"]+-head">(.*?)</h3>', page.text)
    return [" ".join(re.sub(r"<[^>]+>", " ", each).split()) for each in found]


def test_places_and_clinicians_can_be_picked_and_a_week_shows_two(erin: Visitor, world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=1), at(10, day=1), world.second_location_id)
    add_session(world.diaz_id, at(9, day=5), at(10, day=5), world.second_location_id)
    [more] = add_doctors(world, 1)
    add_session(more, at(9, day=1), at(10, day=1))
    everybody = ["Dr Chen Harbour Street", "Dr Okafor Harbour Street", "Dr Diaz Mill Lane"]
    assert headings(erin.get(TOMORROW)) == everybody
    assert headings(erin.get(f"{TOMORROW}&location={world.second_location_id}")) == everybody[2:]
    picked = f"&c={doctor(world.diaz_id)}&c={doctor(world.chen_id)}"
    assert headings(erin.get(TOMORROW + picked)) == ["Dr Chen Harbour Street", "Dr Diaz Mill Lane"]
    week = erin.get(f"{TOMORROW}{picked}&view=week&c={doctor(more)}")
    assert "At most 2 clinicians fit; the first 2 are shown." in words_of(week)
    # A weekend only where somebody works: Dr Diaz on Saturday.
    assert [name.split(" Dr ")[0] for name in headings(week)][::2] == [
        "Mon 2 Mar", "Tue 3 Mar", "Wed 4 Mar", "Thu 5 Mar", "Fri 6 Mar", "Sat 7 Mar",
    ]  # fmt: skip
    assert "Tue 3 Mar Dr Diaz, Mill Lane" in headings(week)


def test_too_many_for_one_page_are_shown_on_several(
    erin: Visitor, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar_board, "MOST_COLUMNS", 2)
    for number, each in enumerate([world.chen_id, world.diaz_id, *add_doctors(world, 3)]):
        place = world.second_location_id if number == 4 else world.location_id
        add_session(each, at(9, day=1), at(10, day=1), place)
    page = erin.get(TOMORROW)
    assert headings(page) == ["Dr Brandt Harbour Street", "Dr Chen Harbour Street"]
    assert "or go through them: 1–2 3–4 5–5" in words_of(page)
    assert headings(erin.get(f"{TOMORROW}&first=2")) == ["Dr Diaz Harbour Street", "Dr Okafor Harbour Street"]
    assert headings(erin.get(f"{TOMORROW}&first=4")) == ["Dr Nair Mill Lane"]
    # Beyond the last, and on a day with room, it begins anew.
    assert headings(erin.get(f"{TOMORROW}&first=99")) == headings(page)
    assert "go through them" not in words_of(erin.get(f"{TOMORROW}&location={world.second_location_id}&first=4"))


@writing
def tie_to(session: Session, world: World, location_id: int) -> None:
    """Erin works at one place only."""
    grant = session.scalars(select(RoleGrant).filter_by(account_id=world.accounts["erin"])).one()
    grant.location_id = location_id


def test_a_desk_of_one_place_sees_and_moves_nothing_elsewhere(erin: Visitor, world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.second_location_id)
    here, there = book_with(world, world.chen_id, at(9, day=1)), book_with(world, world.diaz_id, at(10, day=1))
    tie_to(world, world.location_id)
    page = erin.get(TOMORROW)
    assert headings(page) == ["Dr Chen Harbour Street"]
    assert there.public_id not in page.text
    erin.get(f"{CALENDAR}move/?id={there.public_id}", 404)
    erin.get(f"{CALENDAR}cancel/?id={there.public_id}", 404)
    away = erin.get(move_url(here, world.diaz_id, "11:00"))
    assert "You do not work at the place where this clinician is then." in words_of(away)
    erin.post(f"{CALENDAR}move/?id={here.public_id}", 403, tell="yes", version=1, token="t",
              clinician=doctor(world.diaz_id), day="2026-03-03", time="11:00")  # fmt: skip
    assert fresh(here).practitioner_id == world.chen_id


# By itself


def look_url(page: TestResponse) -> str:
    [found] = re.findall(r'data-hx-get="([^"]+)"', page.text)
    return str(found).replace("&amp;", "&")


def test_a_look_brings_what_others_changed_and_nothing_when_nobody_did(erin: Visitor, world: World) -> None:
    open_clinic(world)
    url = look_url(erin.get(TOMORROW))
    with sent_statements() as first:
        assert not erin.get(url, 204, HX_Request="true").data
    book_with(world, world.chen_id, at(9, day=1))
    changed = erin.get(url, 200, HX_Request="true")
    assert "Alice Archer" in changed.text
    assert "<html" not in changed.text
    assert look_url(changed) != url
    erin.get(look_url(changed), 204, HX_Request="true")
    # Whoever comes back with the browser's button gets the whole page.
    assert "<html" in erin.get(url, 200, HX_Request="true", HX_History_Restore_Request="true").text
    with sent_statements() as again:
        erin.get(look_url(changed), 204, HX_Request="true")
    # Told from what was kept, without reading a single visit.
    assert not [each for each in again if "FROM appointments" in each]
    assert len(again) <= len(first)


def test_a_page_asks_as_often_for_many_as_for_one(erin: Visitor, world: World) -> None:
    busy_day(world, 1)
    erin.get(f"{CALENDAR}?day=2026-03-02")
    with sent_statements() as few:
        erin.get(f"{CALENDAR}?day=2026-03-02")
    doctors = add_doctors(world, 8)
    for each in doctors:
        add_session(each, at(14), at(15))
        book_with(world, each, at(14), patient_id=_somebody(each))
    with sent_statements() as many:
        assert len(headings(erin.get(f"{CALENDAR}?day=2026-03-02"))) == 9
    assert len(many) == len(few)


@writing
def _somebody(session: Session, number: int) -> int:
    return add_patient(session, f"Given{number}", f"Family{number}").id


# Booking


def free_link(page: TestResponse, at_: str) -> str:
    [found] = re.findall(rf'href="([^"]+calendar/book/[^"]+start={at_})"', page.text)
    return str(found).replace("&amp;", "&")


def book_form(erin: Visitor, url: str) -> tuple[TestResponse, Form]:
    """Find Alice, and come to the form."""
    found = erin.submit(erin.get(url), 200, who="archer")
    [link] = re.findall(r'<li><a href="([^"]+)">Alice Archer</a>', found.text)
    page = erin.get(link.replace("&amp;", "&"))
    return page, forms_of(page)[-1]


def test_a_gap_is_booked_in_three_pages_and_everybody_concerned_gets_a_mail(
    app: Flask, erin: Visitor, world: World
) -> None:
    open_clinic(world)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    words = words_of(page)
    assert "Book with Dr Chen Tue 3 Mar, 9am, Harbour Street" in words
    assert "Alice Archer , born 4 May 1980" in words
    assert "30 min, until 9:30am" in words
    done = erin.submit(page, visit_type=check_up(world), day="2026-03-03", time="10:05", note="Her knee", **SAID)
    assert done.location.endswith("day=2026-03-03")
    assert "Booked: Tue 3 Mar, 10:05am, Check-up with Dr Chen, Harbour Street." in words_of(erin.follow(done))
    [visit] = visits()
    assert (visit.starts_at, visit.note, visit.origin) == (at(10, 5, day=1), "Her knee", "phone")
    assert visit.booked_by_account_id == world.accounts["erin"]
    [mail] = mails_to(app, "alice")
    assert "Tuesday 3 March 2026, 10:05am" in mail.plain
    assert "knee" not in mail.plain
    assert len(mails_to(app, "chen")) == 1
    opened = db.session().scalars(select(AccessEntry).filter_by(patient_id=world.alice_id)).all()
    assert len(opened) == 1


def test_a_form_sent_twice_books_once(erin: Visitor, world: World) -> None:
    open_clinic(world)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    for _ in range(2):
        erin.submit(page, visit_type=check_up(world), **SAID)
    assert len(visits()) == 1


def test_a_time_lost_to_somebody_faster_is_refused_and_what_was_typed_stays(erin: Visitor, world: World) -> None:
    open_clinic(world)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    book_with(world, world.chen_id, at(9, day=1), patient_id=world.bob_id)
    refused = erin.submit(page, 409, visit_type=check_up(world), note="Her knee", **SAID)
    words = words_of(refused)
    assert "Dr Chen is taken from 9am to 9:30am. Nothing was changed; choose another time." in words
    assert "Does not fit. Dr Chen is taken from 9am to 9:30am." in words
    assert "Her knee" in words
    assert re.search(rf'value="{check_up(world)}" checked', refused.text)
    erin.submit(refused, time="10:00", visit_type=check_up(world), note="Her knee", **SAID)
    assert {visit.starts_at for visit in visits()} == {at(9, day=1), at(10, day=1)}


def test_on_a_full_day_one_more_is_booked_only_when_that_is_ticked(erin: Visitor, world: World) -> None:
    open_clinic(world)
    limit(world, most_a_day=1)
    book_with(world, world.chen_id, at(9, day=1), patient_id=world.bob_id)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0930Z"))
    assert "More than the limit of this day" not in words_of(page)
    refused = erin.submit(page, 422, visit_type=check_up(world), **SAID)
    assert "On this day the clinician has as many appointments already as they may have." in words_of(refused)
    assert "More than the limit of this day" in words_of(refused)
    erin.submit(refused, visit_type=check_up(world), beyond="yes", **SAID)
    assert {visit.starts_at for visit in visits()} == {at(9, day=1), at(9, 30, day=1)}


def test_a_visit_is_moved_to_a_full_day_only_when_that_is_ticked(erin: Visitor, world: World) -> None:
    visit = moving(world)
    limit(world, practitioner_id=world.diaz_id, most_a_day=0)
    page = erin.get(move_url(visit, world.diaz_id, "11:15"))
    assert "has as many appointments already as they may have" in words_of(page)
    again = erin.submit(page, 200, clinician=doctor(world.diaz_id), time="11:15", beyond="yes")
    assert "Move it there?" in words_of(again)
    erin.submit(again, tell="yes")
    assert (fresh(visit).practitioner_id, fresh(visit).starts_at) == (world.diaz_id, at(11, 15, day=1))


def test_a_time_that_a_patient_is_just_booking_is_not_taken_from_them(erin: Visitor, world: World) -> None:
    open_clinic(world)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    hold_slot(actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=at(9, day=1))
    assert "Being booked now" in words_of(erin.get(TOMORROW))
    erin.submit(page, 409, visit_type=check_up(world), **SAID)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"visit_type": ""}, "Choose a visit type."),
        ({"time": "25:00"}, "Enter a time, like 10:15."),
        ({"day": "yesterday"}, "Enter a day, like 24/11/2026."),
        ({"time": "12:00"}, "The clinician does not work then, or not for long enough."),
        ({"time": "09:02"}, "Times are in steps of 5 minutes."),
        ({"day": "2026-03-02", "time": "07:00"}, "The clinician does not work then"),
        ({"mode": "carrier pigeon"}, "Choose how the patient is seen."),
    ],
)
def test_what_cannot_be_booked_is_said_at_its_field(
    erin: Visitor, world: World, typed: dict[str, str], told: str
) -> None:
    open_clinic(world)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    if typed.get("day") == "2026-03-02":
        told = "This time has passed. Choose a later one."
    refused = erin.submit(page, 422, **{"visit_type": check_up(world), "note": "Her knee", **SAID, **typed})
    assert told in words_of(refused)
    assert "Her knee" in refused.text
    assert "Error: Book with Dr Chen" in refused.text
    assert visits() == []


@writing
def offer_calls(session: Session, visit_type_id: int) -> None:
    session.get_one(VisitType, visit_type_id).modes = frozenset({Mode.IN_PERSON, Mode.PHONE})


def test_a_visit_by_phone_needs_a_number(erin: Visitor, world: World) -> None:
    open_clinic(world)
    offer_calls(world.check_up_id)
    page, _ = book_form(erin, free_link(erin.get(TOMORROW), "20260303T0900Z"))
    typed = {"visit_type": check_up(world), "mode": "phone", "how": "phone"}
    assert 'id="call_number-error"' in erin.submit(page, 422, **typed, call_number="").text
    erin.submit(page, **typed, call_number="020 7946 0009")
    assert [visit.call_number for visit in visits()] == ["020 7946 0009"]


def test_nobody_is_found_by_nothing_or_a_strange_name(erin: Visitor, world: World) -> None:
    open_clinic(world)
    url = free_link(erin.get(TOMORROW), "20260303T0900Z")
    assert "Enter a name or a birth date." in words_of(erin.submit(erin.get(url), 422, who=" "))
    assert "Nobody is found" in words_of(erin.submit(erin.get(url), 200, who="zzz"))


# Moving


def move_url(visit: Appointment, practitioner_id: int, time: str, day: str = "2026-03-03", version: int = 0) -> str:
    said = f"&version={version}" if version else ""
    who = doctor(practitioner_id)
    return f"{CALENDAR}move/?id={visit.public_id}&clinician={who}&day={day}&time={quote(time)}{said}"


def moving(world: World) -> Appointment:
    """Alice is with Dr Chen tomorrow at nine; Bob at half past ten; Dr Diaz is there, too."""
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.second_location_id)
    book_with(world, world.chen_id, at(10, 30, day=1), patient_id=world.bob_id)
    return book_with(world, world.chen_id, at(9, day=1))


def test_old_and_new_are_said_before_a_visit_is_moved_and_all_hear_of_it(
    app: Flask, erin: Visitor, world: World
) -> None:
    visit = moving(world)
    before = len(mails_to(app, "alice")), len(mails_to(app, "chen")), len(mails_to(app, "diaz"))
    page = erin.get(move_url(visit, world.diaz_id, "11:15", version=1))
    words = words_of(page)
    assert "Now Tue 3 Mar, 9am to 9:30am Dr Chen Harbour Street" in words
    assert "New Tue 3 Mar, 11:15am to 11:45am Dr Diaz Mill Lane" in words
    assert "Tell the patient?" in words
    assert forms_of(page)[0].fields["tell"] == "yes"
    # Nothing is done by looking.
    assert fresh(visit).starts_at == at(9, day=1)
    done = erin.submit(page)
    assert "Moved: Tue 3 Mar, 11:15am, Check-up with Dr Diaz, Mill Lane." in words_of(erin.follow(done))
    assert (fresh(visit).starts_at, fresh(visit).practitioner_id) == (at(11, 15, day=1), world.diaz_id)
    [told] = mails_to(app, "alice")[before[0] :]
    assert "Tuesday 3 March 2026, 11:15am" in told.plain
    assert "9am" in told.plain
    assert "Mill Lane" in told.plain
    [lost] = mails_to(app, "chen")[before[1] :]
    assert "cancel" in lost.subject.lower()
    assert len(mails_to(app, "diaz")[before[2] :]) == 1


def test_a_patient_who_knows_gets_no_mail_but_the_doctor_does(app: Flask, erin: Visitor, world: World) -> None:
    visit = moving(world)
    before = len(mails_to(app, "alice")), len(mails_to(app, "chen"))
    page = erin.get(move_url(visit, world.chen_id, "9:45"))
    refused = erin.submit(page, 422, tell="no", untold_because="  ")
    assert "Say why the patient gets no message: it is kept." in words_of(refused)
    assert re.search(r'value="no" checked', refused.text)
    assert fresh(visit).starts_at == at(9, day=1)
    done = erin.submit(refused, tell="no", untold_because="She stood at the desk")
    assert "The patient gets no message." in words_of(erin.follow(done))
    assert fresh(visit).starts_at == at(9, 45, day=1)
    assert len(mails_to(app, "alice")) == before[0]
    assert len(mails_to(app, "chen")) == before[1] + 1
    entry = db.session().scalars(select(AuditEntry).filter_by(action="move")).one()
    assert entry.values.after["reason"] == "She stood at the desk"
    shown = words_of(erin.get(f"/backoffice/appointments/details/?id={visit.public_id}"))
    assert "She stood at the desk" in shown


def test_a_clash_is_refused_with_who_stands_there_until_when_and_nothing_is_moved(
    app: Flask, erin: Visitor, world: World
) -> None:
    visit = moving(world)
    mails = len(mails_to(app, "alice"))
    page = erin.get(move_url(visit, world.chen_id, "10:15", version=1))
    assert "Dr Chen is taken from 10:30am to 10:45am. Nothing was changed; choose another time." in words_of(page)
    assert "Move the appointment" not in words_of(page)
    assert 'value="10:15"' in page.text
    # Another time from the same page, and the way on.
    again = erin.submit(page, 200, time="11:15", clinician=doctor(world.chen_id))
    assert "New Tue 3 Mar, 11:15am to 11:45am" in words_of(again)
    assert fresh(visit).starts_at == at(9, day=1)
    assert len(mails_to(app, "alice")) == mails


def test_who_is_faster_gets_the_time_and_whom_to_tell_stays_chosen(erin: Visitor, world: World) -> None:
    visit = moving(world)
    page = erin.get(move_url(visit, world.chen_id, "11:15"))
    book_with(world, world.chen_id, at(11, 15, day=1), patient_id=world.bob_id, token="faster")
    refused = erin.submit(page, 409, tell="no", untold_because="She stood at the desk")
    assert "Dr Chen is taken from 11:15am to 11:45am." in words_of(refused)
    assert fresh(visit).starts_at == at(9, day=1)
    again = erin.submit(refused, 200, clinician=doctor(world.chen_id), time="9:45")
    assert re.search(r'value="no" checked', again.text)
    assert "She stood at the desk" in again.text
    erin.submit(again, untold_because="She stood at the desk")
    assert fresh(visit).starts_at == at(9, 45, day=1)


def test_whoever_moves_what_has_changed_meanwhile_sees_how_it_stands(erin: Visitor, world: World) -> None:
    visit = moving(world)
    page = erin.get(move_url(visit, world.chen_id, "11:15", version=1))
    move_to(world, visit, at(9, 30, day=1))
    dragged = words_of(erin.get(move_url(visit, world.chen_id, "11:15", version=1)))
    assert "Somebody else changed this appointment in the meantime." in dragged
    assert "Now Tue 3 Mar, 9:30am to 10am" in dragged
    refused = erin.submit(page, 409)
    assert "Somebody else changed this appointment in the meantime." in words_of(refused)
    assert fresh(visit).starts_at == at(9, 30, day=1)
    # Having seen it, one may go on.
    erin.submit(refused)
    assert fresh(visit).starts_at == at(11, 15, day=1)


@writing
def become(session: Session, visit_id: int, status: Status) -> None:
    session.get_one(Appointment, visit_id).status = status


def test_what_is_not_booked_cannot_be_moved_or_cancelled(erin: Visitor, world: World) -> None:
    visit = moving(world)
    become(visit.id, Status.ARRIVED)
    assert "Only a booked appointment can be moved." in words_of(erin.get(move_url(visit, world.chen_id, "11:15")))
    assert f'data-id="{visit.public_id}"' not in erin.get(TOMORROW).text
    cancel = erin.get(f"{CALENDAR}cancel/?id={visit.public_id}")
    assert "Only a booked appointment can be cancelled here." in words_of(cancel)


def test_a_visit_is_cancelled_with_a_reason_and_its_time_is_free(app: Flask, erin: Visitor, world: World) -> None:
    visit = moving(world)
    page = erin.get(f"{CALENDAR}cancel/?id={visit.public_id}")
    assert "Choose why." in words_of(erin.submit(page, 422))
    [reason] = forms_of(page)[0].choices["reason"][:1]
    assert "Cancelled: Tue 3 Mar, 9am, Check-up" in words_of(erin.follow(erin.submit(page, reason=reason)))
    assert (fresh(visit).status, fresh(visit).cancel_reason) == (Status.CANCELLED, CancelReason(reason))
    assert "cancel" in mails_to(app, "alice")[-1].subject.lower()
    assert f"book/?clinician={doctor(world.chen_id)}&amp;start=20260303T0900Z" in erin.get(TOMORROW).text


# The clock on the wall


@writing
def go_west(session: Session, location_id: int) -> None:
    session.get_one(Location, location_id).zone = "America/New_York"


def test_each_zone_has_a_board_on_its_own_clock(erin: Visitor, world: World) -> None:
    go_west(world.second_location_id)
    open_clinic(world)
    add_session(world.diaz_id, at(14, day=1), at(17, day=1), world.second_location_id)
    words = words_of(erin.get(TOMORROW))
    assert "Harbour Street times of Europe/London" in words
    assert "Mill Lane times of America/New_York" in words
    assert "9am–12 midday" in words.split("Mill Lane times")[1]
    visit = book(world, at(9, day=1))
    # Dragged to ten on the board of New York, it is ten there.
    page = erin.get(move_url(visit, world.diaz_id, "10:00"))
    assert "New Tue 3 Mar, 10am to 10:30am" in words_of(page)
    erin.submit(page)
    assert fresh(visit).starts_at == at(15, day=1)


def in_utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_on_a_day_of_23_hours_nine_is_nine_and_the_hour_that_is_left_out_is_no_time(
    erin: Visitor, world: World
) -> None:
    hours = add_session(world.chen_id, in_utc(3, 29, 0), in_utc(3, 29, 5))
    assert hours
    add_session(world.chen_id, in_utc(3, 29, 8), in_utc(3, 29, 11))
    page = erin.get(f"{CALENDAR}?day=2026-03-29")
    words = words_of(page)
    assert "12 midnight–6am" in words
    assert "9am–12 midday" in words
    visit = book_with(world, world.chen_id, in_utc(3, 29, 8))
    # At nine on the wall, nine hours after midnight, although only eight have passed.
    assert re.search(
        rf'<li class="r{9 * 12 + 1} s6"><a [^>]*id="v-{visit.public_id}"', erin.get(f"{CALENDAR}?day=2026-03-29").text
    )
    no_time = words_of(erin.get(move_url(visit, world.chen_id, "1:30", "2026-03-29")))
    assert "On this day the clock is put forward over this time. Choose another." in no_time
    erin.submit(erin.get(move_url(visit, world.chen_id, "2:30", "2026-03-29")))
    assert fresh(visit).starts_at == in_utc(3, 29, 1, 30)


def test_on_a_day_of_25_hours_both_half_past_ones_can_be_told_apart_and_booked(erin: Visitor, world: World) -> None:
    add_session(world.chen_id, in_utc(10, 25, 0), in_utc(10, 25, 3))
    first = book_with(world, world.chen_id, in_utc(10, 25, 0, 30))
    second = book_with(world, world.chen_id, in_utc(10, 25, 1, 30), patient_id=world.bob_id)
    page = erin.get(f"{CALENDAR}?day=2026-10-25")
    assert "1:30am BST" in words_of(page)
    assert "1:30am GMT" in words_of(page)
    rows = {
        each: re.search(rf'<li class="([^"]+)"><a [^>]*id="v-{each.public_id}"', page.text) for each in (first, second)
    }
    assert [found[1] for found in rows.values() if found] == ["r7 s6 cal-beside l1of2", "r7 s6 cal-beside l2of2"]
    # The gap at the second half past one leads to that very instant.
    move_to(world, second, in_utc(10, 25, 2), token="away")
    assert free_link(erin.get(f"{CALENDAR}?day=2026-10-25"), "20261025T0100Z")


def test_work_across_midnight_is_on_both_days_and_a_visit_stands_on_both(erin: Visitor, world: World) -> None:
    add_session(world.chen_id, at(20, day=1), at(20, day=1) + timedelta(hours=4))
    add_session(world.chen_id, at(0, day=2), at(2, day=2))
    visit = book_with(world, world.chen_id, at(23, 45, day=1))
    for day in ("2026-03-03", "2026-03-04"):
        page = erin.get(f"{CALENDAR}?day={day}")
        assert "11:45pm" in words_of(page)
        assert f'id="v-{visit.public_id}"' in page.text
    page = erin.get(move_url(visit, world.chen_id, "0:15", "2026-03-04"))
    assert "New Wed 4 Mar, 12:15am to 12:45am" in words_of(page)
