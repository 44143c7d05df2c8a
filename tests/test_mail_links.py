"""The links in mails: what one can do with them without signing in, until when, and that they tell nothing else."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock, links
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    CancelledBy,
    CancelReason,
    Confirmation,
    ConfirmedVia,
    ContactPoint,
    Patient,
    Relation,
    Status,
    Submission,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.profile import contacts
from clinic_portal.scheduling import booking
from tests.bookings import book, cancel, move, open_clinic, reminders_of, told
from tests.invariants import check_invariants
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, at

TEN = at(10, day=8)


@pytest.fixture
def world(world: World) -> World:
    open_clinic(world, day=8)
    open_clinic(world, day=9)
    return world


@pytest.fixture
def reader(app: Flask, world: World) -> Visitor:
    """Somebody who reads the mail and is not signed in."""
    return Visitor(app)


@writing
def change(session: Session, what: Callable[[Session], object]) -> None:
    what(session)


def last_mail(app: Flask, to: str = "alice@example.com", subject: str = "") -> str:
    """What the newest mail to somebody says, of those whose subject begins so."""
    delivery.deliver_due()
    folder = app.config["PORTAL"].mail_dir
    heads = [head for head in list_captured(folder) if head.to == to and head.subject.startswith(subject)]
    return read_captured(folder, max(head.id for head in heads)).plain


def last_reminder(app: Flask, to: str = "alice@example.com") -> str:
    return last_mail(app, to, "Reminder")


def path_in(mail: str, ending: str = "") -> str:
    """The path of the link to the light page, or to one behind it."""
    [address] = set(re.findall(rf"http\S+/a/[^/\s]+{ending}(?=\s)", mail))
    return urlsplit(address).path


def visit_of(visit: Appointment) -> Appointment:
    session = db.session()
    session.rollback()
    return session.get_one(Appointment, visit.id, populate_existing=True)


def rows() -> list[object]:
    """Everything that a link could change."""
    session = db.session()
    session.rollback()
    visits = session.execute(select(Appointment.id, Appointment.version, Appointment.confirmation)).all()
    return [
        visits,
        session.scalars(select(AuditEntry.id)).all(),
        session.scalars(select(Patient.reminders_stopped_at)).all(),
    ]


def test_the_light_page_tells_time_and_clinic_and_nothing_of_the_patient(
    app: Flask, world: World, reader: Visitor
) -> None:
    visit = book(world, TEN)
    words = words_of(reader.get(path_in(last_mail(app))))
    assert "Tuesday 10 March, 10am Harbour Street Clinic" in words
    for secret in ("Alice", "Archer", "Chen", "Check-up", visit.reference, "alice@"):
        assert secret not in words


def test_the_light_page_of_a_sensitive_visit_tells_no_place(app: Flask, world: World, reader: Visitor) -> None:
    book(world, TEN, visit_type_id=world.vaccine_id)
    words = words_of(reader.get(path_in(last_mail(app))))
    assert "Tuesday 10 March, 10am Harbour Street Clinic" in words
    for secret in ("12 Harbour Street", "Vaccine", "Chen"):
        assert secret not in words


def test_fetching_a_link_without_pressing_the_button_changes_nothing(app: Flask, world: World, reader: Visitor) -> None:
    book(world, TEN)
    path = path_in(last_mail(app))
    before = rows()
    for each in (path, f"{path}/cancel"):
        reader.get(each)
        reader.open(each, "HEAD")
    reader.get(f"{path}/done", 303)
    assert rows() == before
    # And a form without its token neither.
    for each in (f"{path}/confirm", f"{path}/cancel"):
        assert reader.open(each, "POST").status_code in (302, 303, 400)
    assert rows() == before


def test_i_will_come_is_noted_once(app: Flask, world: World, reader: Visitor) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    page = reader.get(path)
    for _ in range(2):
        done = reader.follow(reader.submit(page))
        assert "Thank you. We expect you" in words_of(done)
    seen = visit_of(visit)
    assert (seen.confirmation, seen.confirmed_at, seen.confirmed_via) == (
        Confirmation.CONFIRMED, clock.now(), ConfirmedVia.LINK,
    )  # fmt: skip
    assert (seen.version, seen.sequence) == (2, 0)
    entries = db.session().scalars(select(AuditEntry).filter_by(action="confirm")).all()
    assert [(entry.actor_kind, entry.actor_account_id, entry.for_patient_id) for entry in entries] == [
        ("patient", None, world.alice_id)
    ]
    assert "You told us that you will come" in words_of(reader.get(path))
    check_invariants(db.session())


def test_whoever_said_that_they_will_come_is_not_asked_again(app: Flask, world: World, reader: Visitor) -> None:
    book(world, TEN)
    reader.submit(reader.get(path_in(last_mail(app))))
    with clock.clock_at(at(10, day=5)):
        assert "I will come" not in last_reminder(app)


def test_cancelling_by_link_is_by_the_patient_and_frees_the_time(app: Flask, world: World, reader: Visitor) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    asked = reader.get(f"{path}/cancel")
    assert "Are you sure you want to cancel?" in words_of(asked)
    for _ in range(2):
        done = reader.follow(reader.submit(asked, reason="feel_better"))
        assert "Your appointment is cancelled" in words_of(done)
    seen = visit_of(visit)
    assert (seen.status, seen.cancelled_by, seen.cancel_reason) == (
        Status.CANCELLED, CancelledBy.PATIENT, CancelReason.FEEL_BETTER,
    )  # fmt: skip
    assert (seen.is_late_cancel, seen.sequence) == (False, 1)
    [entry] = db.session().scalars(select(AuditEntry).filter_by(action="cancel"))
    assert entry.values is not None
    assert (entry.actor_kind, entry.values.after["via"]) == ("patient", "link")
    assert db.session().scalar(select(Submission).filter_by(result_id=visit.id, account_id=0)) is None
    assert told(visit.id)[2:] == [("cancelled", "patient", "due"), ("cancelled", "practitioner", "due")]
    assert {row.detail for row in reminders_of(visit.id)} == {"visit_cancelled"}
    assert book(world, TEN, patient_id=world.bob_id, actor=world.bob).id != visit.id
    check_invariants(db.session())


def test_a_cancel_link_in_a_reminder_works_until_the_start_and_a_late_cancel_is_marked(
    app: Flask, world: World, reader: Visitor
) -> None:
    visit, other = book(world, TEN), book(world, at(11, day=8), patient_id=world.bob_id, actor=world.bob)
    with clock.clock_at(at(10, day=5)):
        path = path_in(last_reminder(app), "/cancel")
    with clock.clock_at(at(11, day=5)):
        others = path_in(last_reminder(app, "bob@example.com"), "/cancel")
    with clock.clock_at(TEN - timedelta(minutes=1)):
        page = reader.get(path)
        assert "Please still cancel" in words_of(page)
        reader.submit(page)
    assert (visit_of(visit).status, visit_of(visit).is_late_cancel) == (Status.CANCELLED, True)
    with clock.clock_at(at(11, day=8)):
        assert "has begun, or is over" in words_of(reader.get(others, 410))
        answer = reader.post(others)
        assert "has begun, or is over" in words_of(reader.follow(answer, 410))
    assert visit_of(other).status == Status.BOOKED


def test_a_link_is_dead_when_the_visit_moved_and_offers_what_stands(app: Flask, world: World, reader: Visitor) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    page, asked = reader.get(path), reader.get(f"{path}/cancel")
    move(world, visit, at(11, day=9))
    words = words_of(reader.get(path, 410))
    assert "This appointment has a new time" in words
    assert "Wednesday 11 March, 11am" in words
    for form in (page, asked):
        answer = reader.submit(form)
        assert "has a new time" in words_of(reader.follow(answer, 410))
    seen = visit_of(visit)
    assert (seen.status, seen.confirmation, seen.version) == (Status.BOOKED, Confirmation.NOT_ASKED, 2)
    with clock.clock_at(clock.now() + timedelta(seconds=1)):
        newer = path_in(last_mail(app))
    assert newer != path
    reader.get(newer)


def test_a_link_is_dead_when_the_visit_was_cancelled_and_offers_to_book(
    app: Flask, world: World, reader: Visitor
) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    page = reader.get(path)
    cancel(world, visit)
    answer = reader.get(path, 410)
    assert "This appointment is cancelled" in words_of(answer)
    assert 'href="/book/who"' in answer.text
    reader.follow(reader.submit(page), 410)
    assert visit_of(visit).confirmation == Confirmation.NOT_ASKED


def test_a_link_is_dead_when_the_mailbox_is_no_longer_the_patients(app: Flask, world: World, reader: Visitor) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    [contact] = db.session().scalars(select(ContactPoint).filter_by(patient_id=world.alice_id))
    contacts.end_contact(actor=world.erin, contact_id=contact.id)
    words = words_of(reader.get(path, 410))
    assert "This link no longer works" in words
    assert "10am" not in words
    assert reader.post(f"{path}/cancel").status_code == 303
    assert visit_of(visit).status == Status.BOOKED


def test_a_parents_link_dies_when_the_visit_becomes_private(app: Flask, world: World, reader: Visitor) -> None:
    change(lambda session: [setattr(one, "whose", Relation.PARENT) for one in session.scalars(select(ContactPoint))])
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    reader.get(path)
    change(lambda session: setattr(session.get_one(Appointment, visit.id), "is_private", True))
    assert "10am" not in words_of(reader.get(path, 410))


def test_a_parent_who_cancels_by_link_is_noted_as_one_who_acts(app: Flask, world: World, reader: Visitor) -> None:
    change(lambda session: [setattr(one, "whose", Relation.PARENT) for one in session.scalars(select(ContactPoint))])
    visit = book(world, TEN)
    reader.submit(reader.get(f"{path_in(last_mail(app))}/cancel"))
    assert visit_of(visit).cancelled_by == CancelledBy.PROXY


def test_links_cannot_be_guessed_altered_or_used_for_something_else(app: Flask, world: World, reader: Visitor) -> None:
    visit, other = book(world, TEN), book(world, at(11, day=8), patient_id=world.bob_id, actor=world.bob)
    path = path_in(last_mail(app))
    token = path.removeprefix("/a/")
    secret = app.config["PORTAL"].secret_key
    [contact] = db.session().scalars(select(ContactPoint).filter_by(patient_id=world.alice_id))
    stop = links.sign_stop(secret, links.StopLink("x" * 16, contact.public_id))
    made_up = links.sign_visit("another secret", links.VisitLink(visit.public_id, 0, contact.public_id))
    for bad in (
        token.replace(visit.public_id, other.public_id), token[:-1], token.replace(".0.", ".1."), token + "A",
        made_up, stop, visit.public_id, "..", "%00", "a" * 500, "ø",
    ):  # fmt: skip
        assert reader.open(f"/a/{bad}").status_code == 404, bad
    assert reader.open(f"/reminders/stop/{token}").status_code == 404
    reader.get(path)


def test_many_links_that_nobody_signed_are_throttled_and_good_ones_are_not(
    app: Flask, world: World, reader: Visitor
) -> None:
    book(world, TEN)
    path = path_in(last_mail(app))
    answers = [reader.open(f"/a/{number}").status_code for number in range(25)]
    assert answers[:20] == [404] * 20
    assert answers[-1] == 429
    reader.get(path)
    with clock.clock_at(clock.now() + timedelta(minutes=2)):
        assert reader.open("/a/1").status_code == 404


def test_pages_behind_links_tell_no_other_page_and_no_log_where_one_was(
    app: Flask, world: World, reader: Visitor, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    book(world, TEN)
    path = path_in(last_mail(app))
    token = path.removeprefix("/a/")
    answers = [
        reader.get(path), reader.get(f"{path}/cancel"), reader.submit(reader.get(path)), reader.get(f"{path}/done"),
        reader.open(f"{path}A"), reader.open(f"{path}/confirm", "POST"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert reader.get("/login").headers["Referrer-Policy"] == "same-origin"
    facts = [record.facts for record in caplog.records if hasattr(record, "facts")]
    assert "/a/<token>/cancel" in {fact["route"] for fact in facts}
    written = "".join(capfd.readouterr()) + caplog.text + str(facts)
    assert token not in written
    assert token[:16] not in written


def test_a_browser_that_tells_no_origin_can_send_the_forms_of_these_pages_only(
    app: Flask, world: World, reader: Visitor
) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    token = {"csrf_token": reader.csrf_token()}
    cross = {"Origin": "null", "Sec-Fetch-Site": "cross-site"}
    assert reader.open(f"{path}/confirm", "POST", data=token, headers=cross).status_code in (302, 303, 400)
    assert visit_of(visit).confirmation == Confirmation.NOT_ASKED
    sent = reader.open(f"{path}/confirm", "POST", data=token, headers={"Origin": "null"})
    assert sent.status_code == 303
    assert visit_of(visit).confirmation == Confirmation.CONFIRMED
    assert reader.open("/login", "POST", data=token, headers={"Origin": "null"}).status_code == 400


# No more reminders


@pytest.fixture
def stop_path(app: Flask, world: World) -> str:
    book(world, TEN)
    with clock.clock_at(at(10, day=5)):
        [address] = re.findall(r"http\S+/reminders/stop/\S+", last_reminder(app))
    return urlsplit(address).path


def wants_reminders(world: World) -> bool:
    session = db.session()
    session.rollback()
    return session.get_one(Patient, world.alice_id, populate_existing=True).reminders_stopped_at is None


def test_the_link_that_stops_reminders_asks_first(world: World, reader: Visitor, stop_path: str) -> None:
    page = reader.get(stop_path)
    assert "We will still write when an appointment is booked, changed or cancelled" in words_of(page)
    reader.open(stop_path, "POST")
    assert wants_reminders(world)
    assert "We will send no more reminders" in words_of(reader.submit(page, 200))
    assert not wants_reminders(world)
    reader.submit(page, 200)


def test_a_mail_program_stops_reminders_with_one_click(app: Flask, world: World, stop_path: str) -> None:
    program = app.test_client()
    answer = program.post(stop_path, data={"List-Unsubscribe": "One-Click"},
                          headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"})  # fmt: skip
    assert answer.status_code == 200
    assert not wants_reminders(world)
    [visit] = db.session().scalars(select(Appointment))
    with clock.clock_at(at(10, day=6)):
        booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="by the desk")
        assert "is cancelled" in last_mail(app)


def test_one_click_opens_no_other_form(app: Flask, world: World, reader: Visitor) -> None:
    visit = book(world, TEN)
    path = path_in(last_mail(app))
    for each in (f"{path}/cancel", f"{path}/confirm", "/login"):
        assert app.test_client().post(each, data={"List-Unsubscribe": "One-Click"}).status_code in (302, 303, 400)
    assert (visit_of(visit).status, visit_of(visit).version) == (Status.BOOKED, 1)


def test_the_link_that_stops_reminders_is_dead_with_its_mailbox(world: World, reader: Visitor, stop_path: str) -> None:
    [contact] = db.session().scalars(select(ContactPoint).filter_by(patient_id=world.alice_id))
    contacts.end_contact(actor=world.erin, contact_id=contact.id)
    assert "no longer works" in words_of(reader.post(stop_path, 410))
    assert wants_reminders(world)


def test_reminders_are_switched_on_the_patients_own_page(app: Flask, world: World) -> None:
    visit, alice = book(world, TEN), Visitor(app, "alice")
    page = alice.get("/profile")
    [index] = [number for number, form in enumerate(forms_of(page)) if form.action.endswith("/reminders")]
    page = alice.follow(alice.submit(page, index=index))
    assert "We send no reminders." in words_of(page)
    assert {row.detail for row in reminders_of(visit.id)} == {"opted_out"}
    page = alice.follow(alice.submit(page, index=index))
    assert "We send reminders by e-mail" in words_of(page)
    assert [row.detail for row in reminders_of(visit.id)] == [None, None]
    person = db.session().get_one(Patient, world.alice_id).public_id
    alice.post(f"/profile/{person}/reminders", 422, wanted="perhaps")
    Visitor(app, "bob").post(f"/profile/{person}/reminders", 404, wanted="no")
    assert wants_reminders(world)


def test_a_link_keeps_working_on_another_host_with_the_same_secret(app: Flask, world: World, reader: Visitor) -> None:
    book(world, TEN)
    app.config["PORTAL"] = replace(app.config["PORTAL"], base_url="https://clinic.example/portal")
    assert "https://clinic.example/portal/a/" in last_mail(app)
