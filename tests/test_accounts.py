"""Signing in and out, and whose rights reach how far."""

from __future__ import annotations

from datetime import date

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask_security.utils import get_hmac, hash_password
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import accounts, clock
from clinic_portal.audit import ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound
from clinic_portal.models import Account, PatientAccess, Relation
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, PASSWORD, World, at

WRONG = "The e-mail address or the password is not right."


def sign_in(visitor: Visitor, email: str, password: str = PASSWORD, query: str = "", status: int = 302) -> TestResponse:
    page = visitor.get(f"/login{query}")
    return visitor.submit(page, status, email=email, password=password)


@pytest.fixture
def visitor(app: Flask, world: World) -> Visitor:
    return Visitor(app)


@pytest.mark.parametrize(
    ("who", "lands_on"),
    [("alice", "/appointments"), ("chen", "/doctor/"), ("erin", "/backoffice/")],
)
def test_everybody_lands_where_their_work_is(visitor: Visitor, who: str, lands_on: str) -> None:
    start = sign_in(visitor, f"{who}@example.com")
    assert start.headers["Location"] == "/start"
    landed = visitor.get("/start", 302)
    assert landed.headers["Location"] == lands_on
    visitor.follow(landed)


def test_an_address_may_be_written_in_capitals(visitor: Visitor) -> None:
    sign_in(visitor, "Alice@Example.COM")


@pytest.mark.parametrize(
    ("email", "password"),
    [("alice@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("not an address", "x"), ("", "")],
)
def test_a_failed_sign_in_does_not_tell_whether_the_address_exists(visitor: Visitor, email: str, password: str) -> None:
    answer = sign_in(visitor, email, password, status=200)
    says = words_of(answer)
    assert WRONG in says
    assert "<title>Error: Sign in" in answer.text
    assert not any(hint in says.lower() for hint in ("does not exist", "specified user", "invalid password"))


def test_failed_sign_ins_of_known_and_unknown_addresses_get_the_same_page(visitor: Visitor) -> None:
    known = words_of(sign_in(visitor, "alice@example.com", "wrong", status=200))
    unknown = words_of(sign_in(visitor, "nobody@example.com", "wrong", status=200))
    assert known == unknown


def test_a_closed_account_cannot_sign_in_and_a_signed_in_one_is_out_at_once(app: Flask, visitor: Visitor) -> None:
    alice = Visitor(app, "alice")
    alice.get("/appointments")

    @writing
    def close(session: Session) -> None:
        session.execute(update(Account).where(Account.email == "alice@example.com").values(active=False))

    close()
    assert WRONG in words_of(sign_in(visitor, "alice@example.com", status=200))
    alice.get("/appointments", 303)


def test_signing_in_leads_back_to_where_one_was(visitor: Visitor) -> None:
    asked = visitor.get("/book/visit-type?patient=abc", 303)
    page = visitor.follow(asked)
    answer = visitor.submit(page, 302, email="alice@example.com", password=PASSWORD)
    assert answer.headers["Location"] == "/book/visit-type?patient=abc"


def test_htmx_is_sent_to_the_sign_in_page_as_a_whole(visitor: Visitor) -> None:
    answer = visitor.get("/book/times?day=2026-03-03", 401, HX_Request="true")
    assert answer.headers["HX-Redirect"] == "/login?next=/book/times?day%3D2026-03-03"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
     "///evil.example", "https:evil.example", "%20//evil.example"],
)  # fmt: skip
def test_signing_in_never_leads_to_another_site(visitor: Visitor, target: str) -> None:
    page = visitor.follow(visitor.get(f"/login?next={target}", 302))
    answer = visitor.submit(page, 302, email="alice@example.com", password=PASSWORD)
    assert answer.headers["Location"] == "/start"


def test_a_planted_field_leads_nowhere_either(visitor: Visitor) -> None:
    page = visitor.get("/login")
    fields = {"email": "alice@example.com", "password": PASSWORD, "next": "https://evil.example/"}
    answer = visitor.open("/login", "POST", data={**forms_of(page)[0].fields, **fields})
    assert "evil" not in answer.headers.get("Location", "")


def test_signing_in_changes_the_token_that_somebody_may_have_planted(app: Flask, visitor: Visitor) -> None:
    page = visitor.get("/login")
    planted = forms_of(page)[0].fields["csrf_token"]
    visitor.submit(page, 302, email="alice@example.com", password=PASSWORD)
    answer = visitor.open("/book/visit-type", "POST", data={"csrf_token": planted})
    assert answer.status_code == 400


def test_signing_out_needs_a_form_and_ends_the_session(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    alice.get("/logout", 405)
    alice.get("/appointments")
    alice.post("/logout", 302)
    alice.get("/appointments", 303)


def test_the_cookie_of_the_session_is_closed_to_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = sign_in(visitor, "alice@example.com").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_there_is_no_way_in_but_the_form(app: Flask, visitor: Visitor) -> None:
    account = db.session().scalars(select(Account).filter_by(email="alice@example.com")).one()
    token = account.get_auth_token()
    visitor.get(f"/appointments?auth_token={token}", 303)
    visitor.get("/appointments", 303, Authentication_Token=str(token))
    answer = visitor.open("/login?include_auth_token", headers={"Accept": "application/json"})
    assert answer.mimetype == "text/html"
    visitor.get("/verify", 404)


def test_signing_in_writes_nothing_unless_the_password_was_kept_in_an_old_way(visitor: Visitor) -> None:
    before = _hash()
    sign_in(visitor, "alice@example.com")
    assert _hash() == before


def test_a_password_that_was_kept_in_an_old_way_is_kept_in_the_new_one_after_signing_in(
    app: Flask, visitor: Visitor
) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(get_hmac(PASSWORD))

    @writing
    def weaken(session: Session) -> None:
        session.execute(update(Account).where(Account.email == "alice@example.com").values(password=weak))

    weaken()
    sign_in(visitor, "alice@example.com")
    assert _hash() != weak
    sign_in(Visitor(app), "alice@example.com")


def _hash() -> str | None:
    db.session().rollback()
    return db.session().scalar(select(Account.password).where(Account.email == "alice@example.com"))


# Whose rights reach how far


@writing
def grant(session: Session, account_id: int, patient_id: int, **more: object) -> None:
    right = {"relation": Relation.CARER, "starts_on": date(2020, 1, 1), **more}
    session.add(PatientAccess(account_id=account_id, patient_id=patient_id, **right))


def account(world: World, who: str) -> Account:
    return db.session().get_one(Account, world.accounts[who])


def test_one_acts_as_a_patient_for_oneself_and_as_a_proxy_for_others(app: Flask, world: World) -> None:
    grant(world.accounts["alice"], world.bob_id)
    alice = account(world, "alice")
    assert [patient.id for patient in accounts.patients_for(alice)] == [world.alice_id, world.bob_id]
    assert accounts.actor_for(alice, world.alice_id).kind is ActorKind.PATIENT
    assert accounts.actor_for(alice, world.bob_id).kind is ActorKind.PROXY
    with pytest.raises(NotFound):
        accounts.actor_for(account(world, "mallory"), world.alice_id)


def test_a_right_counts_from_its_first_day_until_the_day_before_its_end(app: Flask, world: World) -> None:
    grant(world.accounts["mallory"], world.bob_id, starts_on=date(2026, 3, 4), ends_on=date(2026, 3, 6))
    seen = {}
    for day in range(5):
        with clock.clock_at(at(8, day=day)):
            seen[day] = bool(accounts.patients_for(account(world, "mallory")))
    assert seen == {0: False, 1: False, 2: True, 3: True, 4: False}


def test_the_day_of_a_right_is_the_clinics_day(app: Flask, world: World) -> None:
    grant(world.accounts["mallory"], world.bob_id, starts_on=date(2026, 7, 2))
    # In London it is already 2 July, in UTC not yet.
    with clock.clock_at(NOW.replace(month=7, day=1, hour=23, minute=30)):
        assert accounts.patients_for(account(world, "mallory"))


def test_a_right_that_is_given_twice_counts_once_and_as_ones_own(app: Flask, world: World) -> None:
    grant(world.accounts["alice"], world.alice_id, starts_on=date(2021, 1, 1))
    (right,) = accounts.rights_of(account(world, "alice"))
    assert right.relation is Relation.SELF


def test_only_a_practitioners_account_has_a_practitioner(app: Flask, world: World) -> None:
    assert accounts.practitioner_for(account(world, "chen")).id == world.chen_id
    with pytest.raises(NotFound):
        accounts.practitioner_for(account(world, "alice"))


def test_hashing_takes_its_time_so_that_guessing_does(app: Flask) -> None:
    assert hash_password(PASSWORD).startswith("$argon2id$")
