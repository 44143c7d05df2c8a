"""Where people are signed in: a row for each browser, that can be ended, and whose cookie then opens nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.accounts import passwords, sign_ins, tokens
from clinic_portal.accounts.browsers import browser_words
from clinic_portal.models import Account, AuditEntry, SignIn
from clinic_portal.settings import load_settings
from tests.signing_in import fresh, sign_in
from tests.statements import sent_statements
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, PASSWORD, World

WHERE = "/account/sign-ins"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"


def rows() -> list[SignIn]:
    return list(fresh().scalars(select(SignIn).order_by(SignIn.id)))


def session_cookie(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("session")
    assert cookie
    return cookie.value


def test_signing_in_leaves_a_row_that_says_where(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    sign_in(visitor, "alice", headers={"User-Agent": FIREFOX})
    (row,) = rows()
    assert (row.account_id, row.started_at, row.last_seen_at) == (world.accounts["alice"], NOW, NOW)
    assert (row.browser, row.is_two_factor, row.ended_at) == ("Firefox, Windows", False, None)
    page = visitor.get(WHERE)
    assert "Firefox, Windows This browser Since Monday 2 March, 8am" in words_of(page)
    assert forms_of(page) == []
    assert "In 1 browser Where you are signed in" in words_of(visitor.get("/account"))


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox, Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/19.0 Safari/605", "Safari, Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) AppleWebKit/605 Mobile Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) AppleWebKit/605 CriOS/140 Safari/604.1", "Chrome, iPhone"),
        ("Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537 Chrome/140 Mobile Safari/537", "Chrome, Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome, Linux"),
        ("curl/8", ""),
        ("", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_browser_is_told_in_plain_words(user_agent: str | None, words: str) -> None:
    assert browser_words(user_agent) == words


def test_the_id_of_a_session_is_new_with_each_sign_in(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    visitor.get("/login")
    planted = session_cookie(visitor)
    sign_in(visitor, "alice")
    first = rows()[0].public_id
    thief = Visitor(app)
    thief.client.set_cookie("session", planted)
    thief.get("/appointments", 303)
    visitor.post("/logout", 302)
    visitor._token = None
    sign_in(visitor, "alice")
    assert [row.public_id == first for row in rows()] == [True, False]


def test_a_planted_sign_in_is_not_taken_over(app: Flask, world: World) -> None:
    """Somebody signs in as themselves in the browser of another, who then signs in: the first one's row is over."""
    visitor = Visitor(app, "mallory")
    planted = session_cookie(visitor)
    with clock.clock_at(NOW + timedelta(hours=1)):
        visitor.is_idle = True
        sign_in(visitor, "alice")
        assert [row.ended_at is None for row in rows()] == [False, True]
        thief = Visitor(app)
        thief.client.set_cookie("session", planted)
        thief.get("/account", 303)
        visitor.get("/appointments")


def test_the_cookie_of_a_session_that_was_ended_opens_nothing(app: Flask, world: World) -> None:
    alice, phone = Visitor(app, "alice"), Visitor(app, "alice")
    stolen = session_cookie(phone)
    page = alice.get(WHERE)
    assert len(forms_of(page)) == 2
    assert "That browser is signed out" in words_of(alice.follow(alice.submit(page)))
    phone.get("/appointments", 303)
    thief = Visitor(app)
    thief.client.set_cookie("session", stolen)
    assert thief.get("/appointments", 303).headers["Location"].startswith("/login?next=")
    alice.get("/appointments")
    alice.submit(page)
    assert fresh().scalars(select(AuditEntry.action)).all() == ["sign_out_elsewhere"]


def test_signing_out_ends_the_row_so_that_a_copy_of_the_cookie_opens_nothing(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    stolen = session_cookie(alice)
    alice.post("/logout", 302)
    assert rows()[0].ended_at == NOW
    thief = Visitor(app)
    thief.client.set_cookie("session", stolen)
    thief.get("/appointments", 303)


def test_one_signs_out_everywhere_else_at_once_and_nobody_but_oneself(app: Flask, world: World) -> None:
    alice, phone, tablet, bob = (Visitor(app, who) for who in ("alice", "alice", "alice", "bob"))
    alice.submit(alice.get(WHERE), index=2)
    for out in (phone, tablet):
        out.get("/appointments", 303)
    for still_in in (alice, bob):
        still_in.get("/appointments")


def test_nobody_ends_or_sees_the_sign_in_of_another(app: Flask, world: World) -> None:
    Visitor(app, "alice")
    bob = Visitor(app, "bob")
    alices = next(row for row in rows() if row.account_id == world.accounts["alice"])
    bob.post(f"{WHERE}/{alices.public_id}/end", 404)
    assert alices.public_id not in bob.get(WHERE).text
    assert [row.ended_at for row in rows()] == [None, None]


@pytest.mark.parametrize("way", ["change", "reset"])
def test_a_new_password_ends_all_others(app: Flask, world: World, way: str) -> None:
    alice, phone = Visitor(app, "alice"), Visitor(app, "alice")
    if way == "change":
        alice.submit(alice.get("/account/password"), old_password=PASSWORD, password="a brand new password")
        alice._sign_in = None
        alice.get("/appointments")
    else:
        token = tokens.make(tokens.Purpose.RESET, fresh().get_one(Account, world.accounts["alice"]))
        passwords.set_password(token=token, password_hash="hash")
        alice.get("/appointments", 303)
    phone.get("/appointments", 303)
    assert [row.ended_at is None for row in rows()] == [False, False, *([True] if way == "change" else [])]


def test_looking_at_pages_writes_at_most_every_five_minutes(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    written = []
    for minutes in (0, 1, 4, 5, 6, 9, 10):
        with clock.clock_at(NOW + timedelta(minutes=minutes)), sent_statements() as statements:
            alice.get("/appointments")
        written.append(any(statement.startswith(("UPDATE", "INSERT", "DELETE")) for statement in statements))
    assert written == [False, False, False, True, False, False, True]
    assert rows()[0].last_seen_at == NOW + timedelta(minutes=10)


def test_who_is_signed_in_is_one_question_to_the_database(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    with sent_statements() as statements:
        alice.get("/account/code")
    assert len([one for one in statements if "sign_ins" in one or "FROM accounts" in one or "FROM roles" in one]) == 1


def test_what_is_over_is_not_listed_and_forgotten_after_three_months(app: Flask, world: World) -> None:
    Visitor(app, "alice")
    alice = fresh().get_one(Account, world.accounts["alice"])
    settings = load_settings(fresh())
    counts = []
    for minutes in (0, 24, 26):
        with clock.clock_at(NOW + timedelta(minutes=minutes)):
            counts.append(len(sign_ins.live(fresh(), alice, settings)))
    assert counts == [1, 1, 0]
    with clock.clock_at(NOW + timedelta(days=90, seconds=1)):
        sign_ins.forget_old_sign_ins()
    assert rows() == []


def test_nobody_is_kept_signed_in_by_a_cookie_of_another_kind(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    page = visitor.get("/login")
    assert "remember" not in page.text
    fields = {**forms_of(page)[0].fields, "email": "alice@example.com", "password": PASSWORD, "remember": "y"}
    answer = visitor.open("/login", "POST", data=fields)
    assert not any("remember_token" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
    flags = [cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("portal_seen=")]
    assert len(flags) == 1
    assert "HttpOnly" in flags[0]
    assert "SameSite=Lax" in flags[0]


def test_on_every_database_sign_ins_begin_are_found_and_end(any_world: World) -> None:
    account_id = any_world.accounts["alice"]
    first = sign_ins.begin(account_id=account_id, browser="Firefox, Windows")
    second = sign_ins.begin(account_id=account_id, browser="Safari, Mac", instead_of=first)
    sign_ins.touch(public_id=second)
    assert sign_ins.find(fresh(), first, "fs-alice") is None
    assert sign_ins.find(fresh(), second, "fs-bob") is None
    found = sign_ins.find(fresh(), second, "fs-alice")
    assert found is not None
    assert [role.name for role in found.account.roles] == ["patient"]
    sign_ins.end_others(actor=any_world.alice, account_id=account_id, but=second)
    sign_ins.end(public_id=second)
    assert sign_ins.find(fresh(), second, "fs-alice") is None
