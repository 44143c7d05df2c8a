"""Opening an account, confirming it, forgetting the password, changing the address, using a code; and how often."""

from __future__ import annotations

import itertools
import re
import threading
from datetime import date, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.accounts import codes, emails, invitations, passwords, registering, throttle, tokens
from clinic_portal.accounts.throttle import Kind
from clinic_portal.audit import SYSTEM
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, LinkExpired, NotAllowed, NotFound, TooManyTries
from clinic_portal.models import (
    Account,
    Appointment,
    ContactPoint,
    IdentityStatus,
    Need,
    Notification,
    Patient,
    PatientAccess,
    Throttle,
)
from clinic_portal.notifications import delivery
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling.needs import needs_of
from tests.bookings import book, open_clinic
from tests.visitor import Visitor, words_of
from tests.world import NOW, PASSWORD, World, add_patient, at

NEW = {
    "given_name": "Zoë",
    "family_name": "O’Neil",
    "birth-day": "31",
    "birth-month": "3",
    "birth-year": "1980",
    "email": "zoe@example.net",
    "password": "purple teapot tractor",
}
ALICE = "alice@example.com"


@pytest.fixture
def visitor(app: Flask, world: World) -> Visitor:
    return Visitor(app)


def register(visitor: Visitor, status: int = 303, **changed: str) -> TestResponse:
    return visitor.submit(visitor.get("/register"), status, **{**NEW, **changed})


def mails(app: Flask) -> list[EmailMessage]:
    """What is sent when what is due is sent now."""
    delivery.deliver_due()
    found = []
    for path in app.config["PORTAL"].mail_dir.glob("*.eml"):
        found.append(message_from_bytes(path.read_bytes(), policy=default))
        path.unlink()
    return found  # type: ignore[return-value]


def link_of(mail: EmailMessage) -> str:
    """The path that the first link of a mail leads to."""
    plain = mail.get_body(("plain",))
    assert plain is not None
    found = re.search(r"https?://[^/\s]+(/\S+)", plain.get_content())
    assert found
    return found[1]


def fresh() -> Session:
    session = db.session()
    session.rollback()
    session.expire_all()
    return session


def account(email: str) -> Account:
    return fresh().scalars(select(Account).where(Account.email == email)).one()


def count(model: type[Any]) -> int:
    return fresh().scalar(select(func.count()).select_from(model)) or 0


def sign_in(visitor: Visitor, email: str, password: str, status: int = 302, **more: Any) -> TestResponse:
    token = visitor.csrf_token()
    answer = visitor.open("/login", "POST", data={"csrf_token": token, "email": email, "password": password}, **more)
    assert answer.status_code == status, words_of(answer)
    return answer


def told(email: str) -> list[tuple[str, str]]:
    """Event and delivery of each message about the account of an address."""
    rows = fresh().scalars(select(Notification).where(Notification.account_id == account(email).id))
    return [(row.event.value, row.delivery.value) for row in sorted(rows, key=lambda row: row.id)]


# Registering


def test_a_new_patient_registers_confirms_by_mail_signs_in_and_books(app: Flask, visitor: Visitor) -> None:
    answer = visitor.follow(register(visitor))
    assert "Check your e-mail" in words_of(answer)
    made = account("zoe@example.net")
    assert made.confirmed_at is None
    right = fresh().scalars(select(PatientAccess).where(PatientAccess.account_id == made.id)).one()
    patient = right.patient
    assert (right.relation, right.starts_on, right.ends_on) == ("self", NOW.date(), None)
    assert (patient.given_name, patient.family_name, patient.called_name) == ("Zoë", "O’Neil", "Zoë")
    assert (patient.search_name, patient.birth_on) == ("oneil zoe", date(1980, 3, 31))
    assert patient.identity_status is IdentityStatus.SELF_DECLARED
    assert [(point.kind, point.value, point.whose) for point in patient.contact_points] == [
        ("email", "zoe@example.net", "self")
    ]
    (mail,) = mails(app)
    assert (mail["To"], mail["Subject"]) == ("zoe@example.net", "Confirm your e-mail address")
    page = visitor.get(link_of(mail))
    assert "Is zoe@example.net your address?" in words_of(page)
    assert account("zoe@example.net").confirmed_at is None
    answer = visitor.follow(visitor.submit(page))
    assert "Your e-mail address is confirmed" in words_of(answer)
    assert account("zoe@example.net").confirmed_at == NOW
    sign_in(visitor, "Zoe@Example.net", NEW["password"])
    notice = visitor.follow(visitor.get("/book/visit-type", 303))
    assert "Check-up" in words_of(visitor.follow(visitor.submit(notice)))


def test_nobody_signs_in_before_the_address_is_confirmed_and_no_answer_tells_why(visitor: Visitor) -> None:
    register(visitor)
    right = words_of(sign_in(visitor, NEW["email"], NEW["password"], 200))
    wrong = words_of(sign_in(visitor, "nobody@example.net", "wrong wrong wrong", 200))
    assert right == wrong
    assert "confirm your e-mail address first" in right
    visitor.get("/appointments", 303)


def test_who_has_an_account_gets_a_mail_and_the_page_says_the_same(app: Flask, visitor: Visitor) -> None:
    new = words_of(visitor.follow(register(visitor)))
    patients, accounts, before = count(Patient), count(Account), account(ALICE).password
    known = words_of(visitor.follow(register(visitor, email="Alice@Example.com")))
    assert new == known
    assert (count(Patient), count(Account), account(ALICE).password) == (patients, accounts, before)
    assert told(ALICE) == [("already_registered", "due")]
    mail = next(mail for mail in mails(app) if mail["To"] == ALICE)
    assert mail["Subject"] == "You already have an account"
    assert link_of(mail) == "/login"


def test_a_record_of_the_same_person_is_neither_joined_nor_mentioned(app: Flask, visitor: Visitor) -> None:
    answer = register(visitor, given_name="Alice", family_name="Archer", **{"birth-day": "4", "birth-month": "5"})
    assert words_of(visitor.follow(answer)) == words_of(visitor.get("/sent?what=register"))
    alices = fresh().scalars(select(Patient).where(Patient.family_name == "Archer").order_by(Patient.id)).all()
    assert [one.identity_status.value for one in alices] == ["matched", "self_declared"]
    rights = fresh().scalars(
        select(PatientAccess.patient_id).where(PatientAccess.account_id == account(NEW["email"]).id)
    )
    assert rights.all() == [alices[1].id]


def test_registering_again_before_confirming_counts_and_the_older_link_is_dead(app: Flask, visitor: Visitor) -> None:
    register(visitor)
    first = link_of(mails(app)[0])
    register(visitor, given_name="Zoe", password="another good password")
    assert (count(Account), told(NEW["email"])[-1]) == (7, ("confirm_email", "due"))
    second = link_of(mails(app)[0])
    assert "This link no longer works" in words_of(visitor.get(first, 410))
    visitor.submit(visitor.get(second))
    sign_in(visitor, NEW["email"], NEW["password"], 200)
    sign_in(visitor, NEW["email"], "another good password")
    assert fresh().scalars(select(Patient).where(Patient.given_name == "Zoe")).one().family_name == "O’Neil"


def test_the_same_link_twice_confirms_once(app: Flask, visitor: Visitor) -> None:
    register(visitor)
    page = visitor.get(link_of(mails(app)[0]))
    visitor.submit(page)
    with clock.clock_at(NOW + timedelta(hours=1)):
        visitor.submit(page)
    assert account(NEW["email"]).confirmed_at == NOW


def test_a_link_to_confirm_lasts_three_days_and_can_be_sent_again(app: Flask, visitor: Visitor) -> None:
    register(visitor)
    link = link_of(mails(app)[0])
    with clock.clock_at(NOW + timedelta(days=3, seconds=2)):
        assert "Send the link" in words_of(visitor.get(link, 410))
        for email in (NEW["email"], ALICE, "nobody@example.net"):
            visitor.submit(visitor.get("/confirm"), email=email)
        (mail,) = mails(app)
        assert mail["To"] == NEW["email"]
        visitor.submit(visitor.get(link_of(mail)))


def test_no_mail_or_page_ever_puts_a_link_into_the_ledger(app: Flask, visitor: Visitor) -> None:
    register(visitor)
    token = link_of(mails(app)[0]).rpartition("/")[2]
    row = fresh().scalars(select(Notification)).one()
    kept = " ".join(str(getattr(row, column.key)) for column in Notification.__table__.columns)
    assert token not in kept
    assert NEW["email"] not in kept


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"given_name": " "}, "Enter your first name"),
        ({"given_name": "a" * 81}, "First name must have 80 characters or fewer"),
        ({"family_name": "zoe@example.net"}, "Enter your last name in letters"),
        ({"birth-day": "", "birth-month": "", "birth-year": ""}, "Enter your date of birth"),
        ({"birth-year": ""}, "Date of birth must include a year"),
        ({"birth-day": "", "birth-year": ""}, "Date of birth must include a day and a year"),
        ({"birth-day": "31", "birth-month": "2"}, "Date of birth must be a real date, like 31 3 1980"),
        ({"birth-day": "x"}, "Date of birth must be a real date, like 31 3 1980"),
        ({"birth-year": "80"}, "Year of birth must have 4 numbers, like 1980"),
        ({"birth-year": "2027"}, "Date of birth must be in the past"),
        ({"birth-year": "1880"}, "Check the year of your date of birth"),
        ({"email": ""}, "Enter your e-mail address"),
        ({"email": "zoe"}, "Enter an e-mail address like name@example.com"),
        ({"password": ""}, "Enter a password"),
        ({"password": "short"}, "Password must have 10 characters or more"),
        ({"password": "a" * 129}, "Password must have 128 characters or fewer"),
        ({"password": "Password123"}, "Choose a password that is harder to guess"),
        ({"password": "zoe@example.net"}, "Choose a password that is harder to guess"),
        ({"password": "aaaaaaaaaaaa"}, "Choose a password that is harder to guess"),
    ],
)
def test_what_is_wrong_is_said_at_its_box_and_nothing_else_is_lost(
    visitor: Visitor, changed: dict[str, str], says: str
) -> None:
    answer = register(visitor, 422, **changed)
    assert "<title>Error: Create an account" in answer.text
    assert f"There is a problem {says}" in words_of(answer)
    assert words_of(answer).count(says) == 2
    kept = {**NEW, **changed}
    assert f'value="{kept["birth-month"]}"' in answer.text
    assert NEW["password"] not in answer.text
    assert count(Account) == 6


def test_each_box_has_the_words_that_browsers_fill_in_by(visitor: Visitor) -> None:
    page = visitor.get("/register").text
    for word in ("given-name", "family-name", "bday-day", "bday-month", "bday-year", "email", "new-password"):
        assert f'autocomplete="{word}"' in page


def test_a_slip_of_the_fingers_is_asked_about_once(visitor: Visitor) -> None:
    page = register(visitor, 422, email="zoe@gmial.com")
    assert "Did you mean zoe@gmail.com?" in words_of(page)
    visitor.submit(page, **{**NEW, "email": "zoe@gmial.com"})
    assert account("zoe@gmial.com")


@pytest.mark.parametrize(("typed", "kept"), [(" Zoe@Example.NET ", "zoe@example.net"), ("a.b+c@x.org", "a.b+c@x.org")])
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert emails.clean(typed) == kept


def test_two_who_register_one_address_at_once_make_one_account(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = registering.Person("Zoë", "O’Neil", date(1980, 3, 31), NEW["email"])
    registering.register(person, "first")
    find, blind = emails.find, [True]

    def too_early(session: Session, email: str, *, lock: bool = False) -> Account | None:
        return None if blind and blind.pop() else find(session, email, lock=lock)

    monkeypatch.setattr(emails, "find", too_early)
    registering.register(person, "second")
    assert count(Account) == 7
    assert account(NEW["email"]).password == "second"


def test_on_every_database_registering_writes_all_of_it(any_world: World) -> None:
    person = registering.Person("Zoë", "O’Neil", date(1980, 3, 31), NEW["email"])
    for _ in range(2):
        registering.register(person, "hash")
    throttle.take_try(Kind.CODE, who="1", network="192.0.2.1")
    code = invitations.invite(actor=SYSTEM, patient_id=any_world.bob_id)
    birth_on = db.session().get_one(Patient, any_world.bob_id).birth_on
    assert birth_on is not None
    with pytest.raises(InvalidRequest):
        invitations.use_code(account_id=any_world.accounts["alice"], code=code, birth_on=birth_on)
    invitations.use_code(account_id=any_world.accounts["mallory"], code=code, birth_on=birth_on)
    assert told(NEW["email"]) == [("confirm_email", "due")] * 2
    delivery.deliver_due()
    assert [state for _, state in told(NEW["email"])] == ["superseded", "sent"]


# Passwords


def test_a_forgotten_password_is_replaced_with_a_link_that_works_once(app: Flask, visitor: Visitor) -> None:
    elsewhere = Visitor(app, "alice")
    elsewhere.get("/appointments")
    visitor.follow(visitor.submit(visitor.get("/reset"), email="ALICE@example.com"))
    (mail,) = mails(app)
    page = visitor.get(link_of(mail))
    assert "There is a problem Password must have 10 characters" in words_of(
        visitor.submit(page, 422, password="short")
    )
    visitor.submit(page, password="a brand new password")
    elsewhere.get("/appointments", 303)
    sign_in(Visitor(app), ALICE, PASSWORD, 200)
    sign_in(Visitor(app), ALICE, "a brand new password")
    visitor.get(link_of(mail), 410)
    assert visitor.open(link_of(mail), "POST", data={"csrf_token": visitor.csrf_token()}).status_code == 410
    assert [mail["Subject"] for mail in mails(app)] == ["Your password was changed"]


def test_asking_for_a_new_password_says_the_same_for_every_address(app: Flask, visitor: Visitor) -> None:
    pages = {
        words_of(visitor.follow(visitor.submit(visitor.get("/reset"), email=email)))
        for email in (ALICE, "nobody@example.net")
    }
    assert len(pages) == 1
    assert [mail["To"] for mail in mails(app)] == [ALICE]


def test_a_link_for_one_thing_is_nothing_for_another_and_a_changed_one_nothing_at_all(app: Flask, world: World) -> None:
    alice = account(ALICE)
    token = tokens.make(tokens.Purpose.RESET, alice)
    for purpose in (tokens.Purpose.CONFIRM, tokens.Purpose.CHANGE_EMAIL):
        with pytest.raises(LinkExpired):
            tokens.read(db.session(), purpose, token)
    for wrong in (token[:-1], token + "x", "", "a.b.c", token.swapcase()):
        with pytest.raises(LinkExpired):
            tokens.read(db.session(), tokens.Purpose.RESET, wrong)
    with clock.clock_at(NOW + timedelta(hours=4, seconds=2)), pytest.raises(LinkExpired):
        tokens.read(db.session(), tokens.Purpose.RESET, token)
    assert tokens.read(db.session(), tokens.Purpose.RESET, token).id == alice.id


def test_of_several_mails_that_wait_only_the_newest_leaves(app: Flask, world: World) -> None:
    for _ in range(3):
        passwords.ask_to_reset(email=ALICE)
    assert len(mails(app)) == 1
    assert [state for _, state in told(ALICE)] == ["superseded", "superseded", "sent"]


def test_a_closed_account_gets_no_mail(app: Flask, world: World) -> None:
    passwords.ask_to_reset(email=ALICE)

    @writing
    def close(session: Session) -> None:
        session.execute(update(Account).where(Account.email == ALICE).values(active=False))

    close()
    assert mails(app) == []
    passwords.ask_to_reset(email=ALICE)
    assert len(told(ALICE)) == 1


def test_resetting_confirms_the_address_too(app: Flask, visitor: Visitor) -> None:
    register(visitor)
    passwords.ask_to_reset(email=NEW["email"])
    mail = next(mail for mail in mails(app) if mail["Subject"] == "Choose a new password")
    visitor.submit(visitor.get(link_of(mail)), password="a brand new password")
    assert account(NEW["email"]).confirmed_at == NOW


def test_changing_the_password_asks_for_the_old_one_and_signs_everybody_else_out(app: Flask, visitor: Visitor) -> None:
    sign_in(visitor, ALICE, PASSWORD)
    elsewhere = Visitor(app, "alice")
    page = visitor.get("/account/password")
    empty = words_of(visitor.submit(page, 422))
    assert "There is a problem Enter the password you use now Enter a password" in empty
    wrong = visitor.submit(page, 422, old_password="wrong", password="a brand new password")
    assert "There is a problem The password you use now is not right" in words_of(wrong)
    answer = visitor.follow(visitor.submit(wrong, old_password=PASSWORD, password="a brand new password"))
    assert "Other devices are signed out" in words_of(answer)
    elsewhere.get("/appointments", 303)
    visitor.get("/appointments")
    assert [mail["Subject"] for mail in mails(app)] == ["Your password was changed"]
    assert "a brand new password" not in "".join(str(row.facts) for row in fresh().scalars(select(Notification)))


# The address


def test_a_new_address_counts_when_it_was_confirmed_and_the_old_one_is_told(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    alice.submit(alice.get("/account/email"), 422, email="alice@new.example.org", old_password="wrong")
    alice.submit(alice.get("/account/email"), email="alice@new.example.org", old_password=PASSWORD)
    (mail,) = mails(app)
    assert (mail["To"], mail["Subject"]) == ("alice@new.example.org", "Confirm your new e-mail address")
    page = Visitor(app).get(link_of(mail))
    assert account(ALICE).pending_email == "alice@new.example.org"
    alice.submit(alice.get(link_of(mail)))
    assert "alice@new.example.org your address" in words_of(page)
    changed = account("alice@new.example.org")
    assert (changed.pending_email, changed.former_email) == (None, ALICE)
    assert [mail["To"] for mail in mails(app)] == [ALICE]
    points = fresh().scalars(select(ContactPoint).where(ContactPoint.patient_id == world.alice_id)).all()
    assert [(point.value, point.ended_at is None) for point in points] == [
        (ALICE, False), ("alice@new.example.org", True)
    ]  # fmt: skip
    alice.get(link_of(mail), 410)


def test_an_address_that_has_an_account_is_not_given_away(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    answers = [
        alice.submit(alice.get("/account/email"), email=email, old_password=PASSWORD)
        for email in ("bob@example.com", "free@example.org")
    ]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert {mail["To"]: mail["Subject"] for mail in mails(app)} == {
        "bob@example.com": "You already have an account",
        "free@example.org": "Confirm your new e-mail address",
    }
    assert account(ALICE).pending_email == "free@example.org"


def test_an_address_that_somebody_registered_meanwhile_is_not_taken_from_them(app: Flask, visitor: Visitor) -> None:
    alice = Visitor(app, "alice")
    alice.submit(alice.get("/account/email"), email=NEW["email"], old_password=PASSWORD)
    link = link_of(mails(app)[0])
    register(visitor)
    page = alice.get(link)
    alice.submit(page, 410)
    assert account(ALICE)


# How often


def test_after_five_wrong_passwords_there_is_a_pause_that_grows(app: Flask, visitor: Visitor) -> None:
    for _ in range(3):
        throttle.take_try(Kind.SIGN_IN, who="Alice@Example.com ", network=None)
    for _ in range(2):
        sign_in(visitor, ALICE, "wrong", 200)
    answer = sign_in(visitor, ALICE, PASSWORD, 429)
    assert "Wait a minute, then try again" in words_of(answer)
    assert 55 <= int(answer.headers["Retry-After"]) <= 61
    with clock.clock_at(NOW + timedelta(seconds=61)):
        sign_in(visitor, ALICE, "wrong", 200)
        assert "Wait 2 minutes" in words_of(sign_in(visitor, ALICE, PASSWORD, 429))
    with clock.clock_at(NOW + timedelta(minutes=4)):
        sign_in(visitor, ALICE, PASSWORD)
        sign_in(Visitor(app), ALICE, "wrong", 200)
        sign_in(Visitor(app), ALICE, PASSWORD)


def test_an_unknown_address_is_locked_just_like_a_known_one(visitor: Visitor) -> None:
    pages = []
    for email in (ALICE, "nobody@example.net"):
        for _ in range(4):
            throttle.take_try(Kind.SIGN_IN, who=email, network=None)
        sign_in(visitor, email, "wrong", 200)
        pages.append(words_of(sign_in(visitor, email, "wrong", 429)))
    assert pages[0] == pages[1]


def test_one_network_cannot_try_many_addresses_and_its_neighbours_may_go_on(app: Flask, visitor: Visitor) -> None:
    mallory = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    for number in range(50):
        throttle.take_try(Kind.SIGN_IN, who=f"{number}@example.net", network="192.0.2.7")
    sign_in(visitor, ALICE, PASSWORD, 429, **mallory)
    sign_in(visitor, ALICE, PASSWORD, 302, environ_overrides={"REMOTE_ADDR": "192.0.2.8"})


def test_many_people_behind_one_address_who_sign_in_rightly_are_never_stopped(app: Flask, world: World) -> None:
    for number in range(55):
        throttle.take_try(Kind.SIGN_IN, who=f"{number}@example.net", network="192.0.2.7")
        throttle.give_back(Kind.SIGN_IN, who=f"{number}@example.net", network="192.0.2.7")


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::"), ("::ffff:192.0.2.7", "192.0.2.7"),
     ("127.0.0.1", None), ("::1", None), ("", None), (None, None), ("nonsense", None)],
)  # fmt: skip
def test_a_network_is_one_address_or_what_one_household_has(address: str | None, network: str | None) -> None:
    assert throttle.network_of(address) == network


def test_mails_to_one_address_are_few_whoever_asks_for_them(app: Flask, visitor: Visitor) -> None:
    for path in ("/reset", "/confirm", "/reset"):
        visitor.submit(visitor.get(path), email=ALICE)
    assert "Wait 5 minutes" in words_of(visitor.submit(visitor.get("/reset"), 429, email=ALICE))
    assert "Wait 5 minutes" in words_of(register(visitor, 429, email=ALICE))


def test_the_table_of_tries_names_nobody_and_forgets(app: Flask, world: World) -> None:
    throttle.take_try(Kind.SIGN_IN, who=ALICE, network="192.0.2.7")
    rows = fresh().scalars(select(Throttle.name)).all()
    assert len(rows) == 2
    # With its dot: the names are long numbers, in which any three digits may stand.
    assert not any("alice" in name or "192." in name for name in rows)
    with clock.clock_at(NOW + timedelta(days=1, seconds=1)):
        throttle.forget_old_tries()
    assert count(Throttle) == 0


def test_tries_that_are_a_day_old_count_no_longer(app: Flask, world: World) -> None:
    for _ in range(5):
        throttle.take_try(Kind.CODE, who="1", network=None)
    with pytest.raises(TooManyTries):
        throttle.take_try(Kind.CODE, who="1", network=None)
    with clock.clock_at(NOW + timedelta(days=2)):
        for _ in range(5):
            throttle.take_try(Kind.CODE, who="1", network=None)


# Codes from the clinic


@pytest.fixture
def known(world: World) -> int:
    """Ivy, whom the clinic knows and who has no account and no e-mail address."""

    @writing
    def add(session: Session) -> int:
        return add_patient(session, "Ivy", "Ibsen", email=False).id

    return add()


def use(visitor: Visitor, code: str, status: int = 303, year: str = "1980") -> TestResponse:
    fields = {"code": code, "birth-day": "4", "birth-month": "5", "birth-year": year}
    return visitor.submit(visitor.get("/account/code"), status, **fields)


def test_a_code_links_a_new_account_to_the_record_and_to_its_visits(
    app: Flask, world: World, visitor: Visitor, known: int
) -> None:
    open_clinic(world)
    book(world, at(9, day=1), patient_id=known, actor=world.erin)
    code = invitations.invite(actor=world.erin, patient_id=known)
    register(visitor, given_name="Ivy", family_name="Ibsen", **{"birth-day": "4", "birth-month": "5"})
    (link,) = [link_of(mail) for mail in mails(app) if mail["To"] == NEW["email"]]
    visitor.submit(visitor.get(link))
    page = visitor.follow(visitor.get("/account/code", 303))
    answer = visitor.submit(page, 302, email=NEW["email"], password=NEW["password"])
    assert answer.headers["Location"] == "/account/code"
    own = fresh().scalars(select(Patient).where(Patient.family_name == "Ibsen", Patient.id != known)).one()
    change_needs(actor=world.erin, patient_id=known, needs={Need.FEMALE_CLINICIAN: None})
    change_needs(actor=world.erin, patient_id=own.id, needs={Need.STEP_FREE: None, Need.MALE_CLINICIAN: None})
    answer = visitor.follow(use(visitor, f" {code.lower()} "))
    assert needs_of(fresh(), known).keys() == {Need.STEP_FREE, Need.FEMALE_CLINICIAN}
    assert "Tuesday 3 March, 9am" in words_of(answer)
    mine = fresh().scalars(select(Patient).where(Patient.family_name == "Ibsen").order_by(Patient.id)).all()
    assert (mine[0].id, mine[1].merged_into_id) == (known, known)
    assert [point.value for point in mine[0].contact_points] == [NEW["email"]]
    use(visitor, code, 422)


def test_whatever_is_wrong_with_a_code_the_page_says_the_same(app: Flask, world: World, known: int) -> None:
    mallory = Visitor(app, "mallory")
    code = invitations.invite(actor=world.erin, patient_id=known)
    newer = invitations.invite(actor=world.erin, patient_id=known)
    pages = [use(mallory, "AAAAA-AAAAA", 422), use(mallory, newer, 422, year="1981"), use(mallory, code, 422)]
    alice = Visitor(app, "alice")
    pages.append(use(alice, newer, 422))
    with clock.clock_at(NOW + timedelta(days=14, seconds=1)):
        pages.append(use(mallory, newer, 422))
    assert all(f"There is a problem {invitations.WRONG}" in words_of(page) for page in pages)
    assert fresh().scalars(select(PatientAccess).where(PatientAccess.patient_id == known)).all() == []


def test_codes_cannot_be_guessed(app: Flask, world: World, known: int) -> None:
    mallory = Visitor(app, "mallory")
    for _ in range(5):
        use(mallory, "AAAAA-AAAAA", 422)
    code = invitations.invite(actor=world.erin, patient_id=known)
    assert "Wait 5 minutes" in words_of(use(mallory, code, 429))


def test_a_code_does_not_take_visits_away_that_were_booked_meanwhile(
    app: Flask, world: World, visitor: Visitor, known: int
) -> None:
    register(visitor, **{"birth-day": "4", "birth-month": "5"})
    visitor.submit(visitor.get(link_of(mails(app)[0])))
    sign_in(visitor, NEW["email"], NEW["password"])
    open_clinic(world)
    own = fresh().scalars(select(Patient).where(Patient.given_name == "Zoë")).one()
    book(world, at(9, day=1), patient_id=own.id, actor=world.erin)
    code = invitations.invite(actor=world.erin, patient_id=known)
    assert "we will join your records" in words_of(use(visitor, code, 422))
    assert count(Appointment) == 1


def test_a_code_is_told_once_kept_as_a_hash_and_made_for_the_living_only(app: Flask, world: World, known: int) -> None:
    code = invitations.invite(actor=world.erin, patient_id=known)
    assert set(code) - {"-"} <= set(codes.ALPHABET)
    plain = code.replace("-", "")
    with db.engine.connect() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM account_invitations").all())
    assert plain not in kept

    @writing
    def die(session: Session) -> None:
        session.execute(update(Patient).where(Patient.id == known).values(deceased_on=date(2026, 3, 1)))

    die()
    with pytest.raises(NotAllowed):
        invitations.invite(actor=world.erin, patient_id=known)
    with pytest.raises(NotFound):
        invitations.find_patient(db.session(), "nobody")


def test_a_patient_is_found_by_id_or_by_the_reference_of_a_visit(app: Flask, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    public_id = db.session().get_one(Patient, world.alice_id).public_id
    for name in (visit.reference, public_id):
        assert invitations.find_patient(db.session(), name).id == world.alice_id


def test_of_many_guesses_at_once_no_more_are_looked_at_than_one_by_one(any_app: Flask, any_world: World) -> None:
    allowed: list[bool] = []

    def guess() -> None:
        with any_app.app_context():
            try:
                throttle.take_try(Kind.SIGN_IN, who=ALICE, network="192.0.2.7")
                allowed.append(True)
            except TooManyTries:
                allowed.append(False)
            finally:
                db.session.remove()

    guesses = [threading.Thread(target=guess) for _ in range(12)]
    for each in guesses:
        each.start()
    for each in guesses:
        each.join()
    assert sorted(allowed) == [False] * 7 + [True] * 5


def test_a_first_try_is_let_through_although_the_clock_goes_on_meanwhile(world: World) -> None:
    ticks = itertools.count()
    with clock.clock_at(lambda: NOW + timedelta(microseconds=next(ticks))):
        throttle.take_try(throttle.Kind.SIGN_IN, who="alice@example.com", network="192.0.2.1")
        throttle.take_try(throttle.Kind.SIGN_IN, who="alice@example.com", network="192.0.2.1")
        throttle.give_back(throttle.Kind.SIGN_IN, who="alice@example.com", network="192.0.2.1")
        throttle.take_try(throttle.Kind.SIGN_IN, who="alice@example.com", network="192.0.2.1")
    row = db.session.scalars(select(Throttle).where(Throttle.name.startswith("sign_in:who:"))).one()
    assert row.tries == 1
