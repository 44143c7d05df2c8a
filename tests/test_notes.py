"""What the appointment is about: optional, short, read by the desk and the doctor, and told nowhere else."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import Appointment, AuditValues, Hold, Submission, VisitType
from clinic_portal.notifications import delivery
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.notes import NoteRefused, clean_note
from clinic_portal.scheduling.search import Search
from tests.bookings import book, open_clinic
from tests.test_limits import change
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, at

WORDS = "My left ear rings"
NINE = "20260303T0900Z"


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    open_clinic(world)
    return Visitor(app, "alice")


def check_page(alice: Visitor, name: str = "Check-up"):  # type: ignore[no-untyped-def]
    type_id = db.session().query(VisitType).filter_by(name=name).one().public_id
    url = f"/book/times?visit_type={type_id}&place=any&needs=none"
    return alice.follow(alice.submit(alice.get(url), start=NINE))


def visits() -> list[Appointment]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Appointment).order_by(Appointment.id)))


def test_the_note_is_read_by_the_desk_and_the_doctor_and_told_nowhere_else(
    app: Flask, alice: Visitor, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    page = check_page(alice)
    assert "Reception staff and the person you see will read this." in words_of(page)
    booked = alice.submit(page, note=f"  {WORDS}\r\nsince May\x00 ")
    assert WORDS not in booked.headers["Location"]
    (visit,) = visits()
    assert visit.note == f"{WORDS}\nsince May"
    details = Visitor(app, "erin").get(f"/backoffice/appointments/details/?id={visit.public_id}")
    assert WORDS in words_of(details)
    assert WORDS in words_of(Visitor(app, "chen").get("/doctor/?day=2026-03-03"))
    delivery.deliver_due()
    folder = app.config["PORTAL"].mail_dir
    mails = [path.read_text(errors="ignore") for path in folder.rglob("*") if path.is_file()]
    assert mails
    told = [*mails, alice.get(f"/appointments/{visit.public_id}/calendar.ics").text, *capfd.readouterr()]
    told += [str((row.before, row.after)) for row in db.session.scalars(select(AuditValues))]
    told += [str(row.body_hash) for row in db.session.scalars(select(Submission))]
    assert [text for text in told if "ear rings" in text] == []


def test_it_may_be_left_out(alice: Visitor, world: World) -> None:
    alice.submit(check_page(alice), note=" \r\n ")
    assert [visit.note for visit in visits()] == [None]


def test_a_note_that_is_too_long_is_kept_on_the_page_with_an_error(alice: Visitor, world: World) -> None:
    page = check_page(alice)
    again = alice.submit(page, 422, note="x" * 201)
    assert "Use no more than 200 characters. You have used 201." in words_of(again)
    assert "x" * 201 in again.text
    assert 'href="#note"' in again.text
    alice.submit(again, note="x" * 200)
    assert [len(visit.note or "") for visit in visits()] == [200]


def test_a_sensitive_visit_type_has_no_box_and_takes_no_note(alice: Visitor, world: World) -> None:
    page = check_page(alice, "Vaccine")
    assert "<textarea" not in page.text
    refused = alice.submit(page, 422, note=WORDS)
    assert "We keep no notes" in words_of(refused)
    search = Search(world.vaccine_id, world.alice_id)
    with pytest.raises(NoteRefused):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one", note=WORDS)
    assert visits() == []


def test_who_loses_the_race_need_not_write_it_again_and_no_hold_remembers_it(
    app: Flask, alice: Visitor, world: World
) -> None:
    page = check_page(alice)
    change(Hold, 1, expires_at=at(7))
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    lost = alice.submit(page, 409, note=WORDS)
    assert [form.fields.get("note") for form in forms_of(lost)] == [WORDS, WORDS]
    check = alice.follow(alice.submit(lost, start="20260303T0930Z"))
    assert re.search(f">{WORDS}</textarea>", check.text)
    alice.submit(check, note=WORDS)
    assert [visit.note for visit in visits()] == [None, WORDS]
    assert set(db.session.scalars(select(Hold.note))) == {None}


def test_a_moved_visit_keeps_its_note_and_asks_for_none(alice: Visitor, world: World) -> None:
    alice.submit(check_page(alice), note=WORDS)
    (visit,) = visits()
    check = alice.follow(alice.submit(alice.get(f"/appointments/{visit.public_id}/move"), start="20260303T1000Z"))
    assert "<textarea" not in check.text
    alice.submit(check)
    assert [(visit.note, visit.starts_at) for visit in visits()] == [(WORDS, at(10, day=1))]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [(None, None), ("", None), ("a\r\nb", "a\nb"), ("\x00\x1b[31m", "[31m"), ("\u202eabc", "abc"), ("é 😀", "é 😀")],
)
def test_only_what_is_printed_is_kept(typed: str | None, kept: str | None) -> None:
    assert clean_note(typed) == kept
