"""Your details: how one is reached, whose details one sees, and what becomes of messages to a changed address."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock, links
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, NotAllowed
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    ContactKind,
    ContactPoint,
    Notification,
    Patient,
    PatientAccess,
    Relation,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.profile import contacts
from clinic_portal.profile.values import read_contact
from tests.bookings import book, open_clinic, told
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, at


def points(patient_id: int) -> list[ContactPoint]:
    """All contact points of a patient, read afresh, in the order of their use."""
    db.session().rollback()
    db.session().expire_all()
    query = select(ContactPoint).filter_by(patient_id=patient_id)
    return list(db.session().scalars(query.order_by(ContactPoint.preferred_rank, ContactPoint.id)))


def actions(patient_id: int) -> list[tuple[str, str]]:
    """Who did what for a patient, from the audit log."""
    db.session().rollback()
    query = select(AuditEntry).filter_by(for_patient_id=patient_id).order_by(AuditEntry.id)
    return [(entry.actor_kind, entry.action) for entry in db.session().scalars(query)]


def mails() -> list[tuple[str, str]]:
    """To whom and about what mails were kept, newest first."""
    delivery.deliver_due()
    return [(mail.to, mail.subject) for mail in list_captured(_mail_dir())]


def _mail_dir() -> Path:
    folder: Path = current_app.config["PORTAL"].mail_dir
    return folder


def link_to(address: str) -> str:
    """The path behind the link in the newest mail that asks this address."""
    delivery.deliver_due()
    mail = next(mail for mail in list_captured(_mail_dir()) if mail.to == address)
    found = re.search(r"https?://[^/\s]+(/verify-email/\S+)", read_captured(_mail_dir(), mail.id).plain)
    assert found
    return found.group(1)


@writing
def act_for(
    session: Session, account_id: int, patient_id: int, relation: Relation, ends_on: date | None = None
) -> None:
    session.add(PatientAccess(account_id=account_id, patient_id=patient_id, relation=relation,
                              starts_on=date(2020, 1, 1), ends_on=ends_on))  # fmt: skip


@writing
def add_child(session: Session, world: World, *, email: str = "alice@example.com") -> int:
    """Cora, 15, Alice's daughter, who is reached through her mother's mailbox."""
    child = add_patient(session, "Cora", "Archer", email=False)
    child.birth_on = date(2010, 6, 1)
    session.add(PatientAccess(account_id=world.accounts["alice"], patient_id=child.id, relation=Relation.PARENT,
                              starts_on=date(2020, 1, 1), ends_on=date(2026, 6, 1)))  # fmt: skip
    session.add(ContactPoint(patient_id=child.id, kind=ContactKind.EMAIL, value=email, whose=Relation.PARENT))
    return child.id


@writing
def make_private(session: Session, appointment_id: int) -> None:
    session.get_one(Appointment, appointment_id).is_private = True


@writing
def set_failed(session: Session, contact_id: int) -> None:
    contact = session.get_one(ContactPoint, contact_id)
    contact.failed_at, contact.failed_reason = NOW, "bounced"


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def url_of(contact: ContactPoint, what: str) -> str:
    return f"/profile/contacts/{contact.public_id}/{what}"


def add(visitor: Visitor, world: World, kind: str, value: str, whose: str = "self", status: int = 303) -> str:
    public_id = db.session().get_one(Patient, world.alice_id).public_id
    return words_of(visitor.post(f"/profile/{public_id}/contacts/new/{kind}", status, value=value, whose=whose))


# The page


def test_your_details_show_name_birth_date_and_every_way_to_reach_you(alice: Visitor) -> None:
    says = words_of(alice.get("/profile"))
    assert "Your details" in says
    assert "Alice Archer" in says
    assert "4 May 1980" in says
    assert "alice@example.com" in says
    assert "Call us to correct it" in says
    assert "Whose details" not in alice.get("/profile").text


def test_who_acts_for_several_people_chooses_whose_details(alice: Visitor, world: World) -> None:
    child = db.session().get_one(Patient, add_child(world))
    page = alice.get("/profile")
    assert f'href="/profile/{child.public_id}">Cora Archer' in page.text
    says = words_of(alice.get(f"/profile/{child.public_id}"))
    assert "Details of Cora Archer" in says
    assert "1 June 2010" in says
    assert "A parent’s" in says


def test_one_changes_what_one_is_called_and_not_ones_name(alice: Visitor, world: World) -> None:
    public_id = db.session().get_one(Patient, world.alice_id).public_id
    page = alice.get(f"/profile/{public_id}/name")
    assert "Enter the name" in words_of(alice.submit(page, 422, called_name=" "))
    alice.submit(page, called_name="  Ali ")
    alice.submit(page, called_name="Ali")
    db.session().rollback()
    patient = db.session().get_one(Patient, world.alice_id, populate_existing=True)
    assert (patient.called_name, patient.given_name) == ("Ali", "Alice")
    assert actions(world.alice_id) == [("patient", "change_name")]


# Values


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        (ContactKind.EMAIL, " Alice.Archer@Example.COM ", "Alice.Archer@example.com"),
        (ContactKind.MOBILE, "07700 900 123", "07700 900 123"),
        (ContactKind.LANDLINE, "+44 (0)20 7946-0000", "+44 (0)20 7946-0000"),
        (ContactKind.POST, "12 Harbour Street,\r\n London\n\n SE1 2AB", "12 Harbour Street, London, SE1 2AB"),
    ],
)
def test_what_was_typed_is_kept_in_one_way(kind: ContactKind, typed: str, kept: str) -> None:
    assert read_contact(kind, typed) == kept


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (ContactKind.EMAIL, ""), (ContactKind.EMAIL, "alice"), (ContactKind.EMAIL, "a@b@c.de"),
        (ContactKind.EMAIL, "alice@example.com\nBcc: all@example.com"), (ContactKind.EMAIL, "a" * 300 + "@example.com"),
        (ContactKind.MOBILE, "12345"), (ContactKind.MOBILE, "call me"), (ContactKind.LANDLINE, "1" * 16),
        (ContactKind.LANDLINE, "020 7946 0000 x"), (ContactKind.POST, "London"), (ContactKind.POST, " \n "),
    ],
)  # fmt: skip
def test_what_reaches_nobody_is_refused_with_a_hint(kind: ContactKind, typed: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Enter|Use"):
        read_contact(kind, typed)


def test_a_wrong_value_is_shown_again_with_what_is_wrong(alice: Visitor, world: World) -> None:
    public_id = db.session().get_one(Patient, world.alice_id).public_id
    answer = alice.post(f"/profile/{public_id}/contacts/new/mobile", 422, value="12 <b>", whose="self")
    assert "Enter a phone number" in words_of(answer)
    assert 'value="12 &lt;b&gt;"' in answer.text
    assert "<title>Error: Add a mobile number" in answer.text
    answer = alice.post(f"/profile/{public_id}/contacts/new/mobile", 422, value="07700 900123")
    assert "Choose whose it is" in words_of(answer)
    assert len(points(world.alice_id)) == 1


# Adding, changing, ending


def test_a_phone_number_is_used_at_once_and_the_same_form_adds_it_once(alice: Visitor, world: World) -> None:
    for written in ("07700 900123", "07700900123"):
        add(alice, world, "mobile", written)
    _, mobile = points(world.alice_id)
    assert (mobile.kind, mobile.value, mobile.is_usable) == ("mobile", "07700 900123", True)
    assert actions(world.alice_id) == [("patient", "add_contact")]


def test_there_is_an_end_to_adding(alice: Visitor, world: World) -> None:
    for number in range(9):
        add(alice, world, "mobile", f"07700 90010{number}")
    assert "10 ways to reach" in add(alice, world, "mobile", "07700 900199", status=422)


def test_a_new_address_gets_nothing_but_the_question_until_its_reader_confirms_it(alice: Visitor, world: World) -> None:
    open_clinic(world)
    alice.post(url_of(points(world.alice_id)[0], "remove"))
    add(alice, world, "email", "new@example.com")
    visit = book(world, at(9, day=1))
    to_alice = [mail for mail in mails() if mail[0] != "chen@example.com"]
    assert to_alice == [("new@example.com", "Confirm your e-mail address")]
    assert ("booked", "patient", "to_call") in told(visit.id)
    assert "Not confirmed yet" in words_of(alice.get("/profile"))
    link = link_to("new@example.com")
    assert "Alice" not in Visitor(alice.app).get(link).text
    assert not points(world.alice_id)[-1].is_usable, "opening the link changes nothing"
    reader = Visitor(alice.app)
    assert "is confirmed" in words_of(reader.post(link, 200))
    assert "is confirmed" in words_of(reader.post(link, 200))
    assert points(world.alice_id)[-1].is_usable
    book(world, at(10, day=1))
    assert ("new@example.com", "Your appointment on Tuesday 3 March 2026, 10am") in mails()
    assert [action for _, action in actions(world.alice_id)].count("verify_contact") == 1


def test_the_mail_that_asks_names_nobody(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "stranger@example.com")
    delivery.deliver_due()
    (mail,) = list_captured(_mail_dir())
    shown = read_captured(_mail_dir(), mail.id)
    assert "Alice" not in shown.plain + (shown.html or "")
    assert "Archer" not in shown.plain + (shown.html or "")
    assert shown.ics is None


def test_a_changed_address_is_used_once_it_is_confirmed_and_the_old_one_until_then(
    alice: Visitor, world: World
) -> None:
    (old,) = points(world.alice_id)
    alice.submit(alice.get(url_of(old, "change")), value="new@example.com", whose="self")
    assert [(point.value, point.is_usable) for point in points(world.alice_id)] == [
        ("alice@example.com", True), ("new@example.com", False),
    ]  # fmt: skip
    assert "instead of alice@example.com" in words_of(alice.get("/profile"))
    Visitor(alice.app).post(link_to("new@example.com"), 200)
    assert [(point.value, point.is_usable) for point in points(world.alice_id)] == [
        ("alice@example.com", False), ("new@example.com", True),
    ]  # fmt: skip
    assert "alice@example.com" not in words_of(alice.get("/profile")).split("The address you sign in")[0]


def test_who_thinks_again_before_confirming_has_one_new_address(alice: Visitor, world: World) -> None:
    (old,) = points(world.alice_id)
    for value in ("typo@exmaple.com", "right@example.com"):
        alice.post(url_of(old, "change"), value=value, whose="self")
    live = [point.value for point in points(world.alice_id) if point.ended_at is None]
    assert live == ["alice@example.com", "right@example.com"]
    first = next(point for point in points(world.alice_id) if point.value == "typo@exmaple.com")
    token = links.sign_check(current_app.config["PORTAL"].secret_key, first.public_id, NOW)
    Visitor(alice.app).post(f"/verify-email/{token}", 404)


def test_a_changed_phone_number_ends_the_old_one_at_once_and_twice_is_once(alice: Visitor, world: World) -> None:
    add(alice, world, "mobile", "07700 900123")
    mobile = points(world.alice_id)[-1]
    for _ in range(2):
        alice.post(url_of(mobile, "change"), value="07700 900124", whose="self")
    phones = [(point.value, point.ended_at is None) for point in points(world.alice_id) if point.kind == "mobile"]
    assert phones == [("07700 900123", False), ("07700 900124", True)]


@pytest.mark.parametrize("token", ["x", "a.b.c", "W10.x", ""])
def test_a_link_that_we_did_not_sign_opens_nothing(app: Flask, world: World, token: str) -> None:
    answer = Visitor(app).open(f"/verify-email/{token}")
    assert answer.status_code == 404


def test_a_link_ends_after_three_days_and_when_its_address_is_removed(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "new@example.com")
    link = link_to("new@example.com")
    with clock.clock_at(NOW + timedelta(days=3, minutes=1)):
        assert "no longer works" in words_of(Visitor(alice.app).get(link, 404))
    alice.post(url_of(points(world.alice_id)[-1], "remove"))
    Visitor(alice.app).post(link, 404)
    assert not points(world.alice_id)[-1].is_usable


def test_a_mail_program_that_only_looks_confirms_no_address(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "new@example.com")
    link, program = link_to("new@example.com"), Visitor(alice.app)
    for method in ("GET", "HEAD"):
        assert program.open(link, method).status_code == 200
    assert not points(world.alice_id)[-1].is_usable


def test_nobodys_mailbox_can_be_filled_by_asking_again_and_again(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "victim@example.com")
    victim = points(world.alice_id)[-1]
    for _ in range(3):
        alice.post(url_of(victim, "ask"))
    assert len(mails()) == 1, "within a minute one mail is enough"
    for minutes in range(2, 10, 2):
        with clock.clock_at(NOW + timedelta(minutes=minutes)):
            alice.post(url_of(victim, "ask"))
    with clock.clock_at(NOW + timedelta(minutes=20)):
        assert "many times today" in words_of(alice.post(url_of(victim, "ask"), 422))
        assert len(mails()) == 5


def test_an_address_that_failed_is_shown_and_tried_again_by_a_mail(alice: Visitor, world: World) -> None:
    set_failed(points(world.alice_id)[0].id)
    says = words_of(alice.get("/profile"))
    assert "Does not work" in says
    assert "cannot tell you about changes" in says
    alice.post(url_of(points(world.alice_id)[0], "ask"))
    Visitor(alice.app).post(link_to("alice@example.com"), 200)
    assert points(world.alice_id)[0].is_usable


def test_removing_the_only_address_says_what_follows(alice: Visitor, world: World) -> None:
    (email,) = points(world.alice_id)
    says = words_of(alice.get(url_of(email, "remove")))
    assert "we will phone you" in says
    assert "no phone number either" in says
    add(alice, world, "mobile", "07700 900123")
    page = alice.get(url_of(email, "remove"))
    assert "no phone number either" not in words_of(page)
    alice.submit(page)
    alice.post(url_of(email, "remove"))
    says = words_of(alice.get("/profile"))
    assert "so we phone about appointments" in says
    alice.get(url_of(email, "remove"), 404)
    alice.get(url_of(email, "change"), 404)
    assert points(world.alice_id)[0].ended_at is not None, "ended, never deleted"
    assert [action for _, action in actions(world.alice_id)] == ["add_contact", "end_contact"]


def test_what_waited_for_a_removed_address_goes_to_the_next_one_or_to_the_calls(alice: Visitor, world: World) -> None:
    open_clinic(world)
    first = book(world, at(9, day=1))
    add(alice, world, "email", "second@example.com")
    Visitor(alice.app).post(link_to("second@example.com"), 200)
    second = book(world, at(10, day=1))
    alice.post(url_of(points(world.alice_id)[0], "remove"))
    assert ("booked", "patient", "sent") in told(first.id)
    assert "second@example.com" in [to for to, _ in mails()]
    third = book(world, at(11, day=1))
    alice.post(url_of(points(world.alice_id)[1], "remove"))
    mails()
    assert ("booked", "patient", "sent") in told(second.id)
    assert ("booked", "patient", "to_call") in told(third.id)


def test_the_address_used_first_can_be_chosen(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "second@example.com")
    Visitor(alice.app).post(link_to("second@example.com"), 200)
    second = points(world.alice_id)[-1]
    assert "Use first" in words_of(alice.get("/profile"))
    for _ in range(2):
        alice.post(url_of(second, "prefer"))
    assert [point.value for point in points(world.alice_id)] == ["second@example.com", "alice@example.com"]
    assert [action for _, action in actions(world.alice_id)].count("prefer_contact") == 1


# For others


def test_who_acts_for_somebody_cannot_call_a_mailbox_that_persons_own(alice: Visitor, world: World) -> None:
    child = db.session().get_one(Patient, add_child(world))
    path = f"/profile/{child.public_id}/contacts/new/email"
    assert "Cora’s own" not in words_of(alice.get(path))
    alice.post(path, 422, value="mine@example.com", whose="self")
    alice.post(path, value="mine@example.com", whose="parent")
    assert actions(child.id) == [("proxy", "add_contact")]
    proxy = Actor(ActorKind.PROXY, world.accounts["alice"])
    with pytest.raises(NotAllowed):
        contacts.add_contact(actor=proxy, patient_id=child.id, kind=ContactKind.EMAIL, value="x@example.com",
                             whose=Relation.SELF)  # fmt: skip


def test_once_a_right_has_ended_the_details_are_gone(alice: Visitor, world: World) -> None:
    child = db.session().get_one(Patient, add_child(world))
    path = f"/profile/{child.public_id}"
    with clock.clock_at(NOW.replace(month=6, day=1)):
        alice.get(path, 404)
        alice.post(url_of(points(child.id)[0], "remove"), 404)


def test_a_private_visit_is_never_told_to_a_mailbox_that_somebody_else_reads(alice: Visitor, world: World) -> None:
    open_clinic(world)
    child_id = add_child(world)
    visit = book(world, at(9, day=1), patient_id=child_id, actor=world.erin)
    make_private(visit.id)
    assert "alice@example.com" not in [to for to, _ in mails()]
    assert ("booked", "patient", "to_call") in told(visit.id)


def test_nothing_is_changed_in_the_record_of_somebody_who_died(alice: Visitor, world: World) -> None:
    @writing
    def died(session: Session) -> None:
        session.get_one(Patient, world.alice_id).deceased_on = NOW.date()

    died()
    add(alice, world, "mobile", "07700 900123", status=403)


def test_no_message_about_an_address_is_ever_given_by_phone(alice: Visitor, world: World) -> None:
    add(alice, world, "email", "gone@example.com")
    alice.post(url_of(points(world.alice_id)[-1], "remove"))
    assert mails() == []
    rows = db.session().scalars(select(Notification)).all()
    assert [(row.event.value, row.delivery.value, row.detail) for row in rows] == [("verify", "superseded", "ended")]
