"""More than a password: codes of an app, passkeys, recovery codes, and the clinic that asks for them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.accounts import authenticator, passkeys, registering, second_step
from clinic_portal.audit import SYSTEM
from clinic_portal.database import db, writing
from clinic_portal.entrance.presence import WAITING
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import (
    Account,
    AuditEntry,
    AuthenticatorApp,
    Notification,
    Passkey,
    RecoveryCode,
    RoleName,
    SignIn,
)
from clinic_portal.settings import BY_NAME
from tests.security_key import SecurityKey
from tests.signing_in import ask_of_staff, code_of, codes_on, fresh, key_on, options_on, set_up_app, sign_in
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, PASSWORD, World

SET_UP = "/account/second-step"
HALF_MINUTE = timedelta(seconds=30)


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


def events(account_id: int) -> list[str]:
    rows = fresh().scalars(select(Notification).filter_by(account_id=account_id).order_by(Notification.id))
    return [row.event.value for row in rows]


def second(app: Flask, who: str = "erin") -> Visitor:
    """A new browser in which the password of somebody was right; without the slow look at it."""
    visitor = Visitor(app)
    with app.app_context(), visitor.client.session_transaction() as session:
        session[WAITING] = {"who": f"fs-{who}", "at": clock.now().timestamp(), "next": None}
    return visitor


def show_code(visitor: Visitor, code: str, status: int = 302) -> TestResponse:
    return visitor.submit(visitor.get("/login/second-step"), status, code=code)


# The app


def test_an_app_is_set_up_with_its_first_code_and_then_asked_for(app: Flask, world: World, erin: Visitor) -> None:
    key, codes = set_up_app(erin)
    assert (len(key), len(codes), len(set(codes))) == (32, 10, 10)
    visitor = Visitor(app)
    assert sign_in(visitor, "erin").headers["Location"] == "/login/second-step"
    visitor.get("/backoffice/", 303)
    with clock.clock_at(NOW + HALF_MINUTE):
        answer = show_code(visitor, code_of(key))
        assert answer.headers["Location"] == "/start"
        visitor.get("/backoffice/")
    assert events(world.accounts["erin"]) == ["second_step_added"]


def test_a_code_counts_once_and_so_does_each_before_it(app: Flask, erin: Visitor) -> None:
    key, _ = set_up_app(erin)
    used_to_set_up = code_of(key)
    assert "has been used" in words_of(show_code(second(app), used_to_set_up, 422))
    with clock.clock_at(NOW + HALF_MINUTE):
        code = code_of(key)
        show_code(second(app), code)
        show_code(second(app), code, 422)
        show_code(second(app), used_to_set_up, 422)


@pytest.mark.parametrize(("seconds_off", "is_right"), [(-30, True), (-61, False), (30, True), (61, False)])
def test_a_phone_whose_clock_is_half_a_minute_off_still_gets_in(
    app: Flask, erin: Visitor, seconds_off: int, is_right: bool
) -> None:
    key, _ = set_up_app(erin)
    with clock.clock_at(NOW + timedelta(minutes=10, seconds=seconds_off)):
        code = code_of(key)
    with clock.clock_at(NOW + timedelta(minutes=10)):
        show_code(second(app), code, 302 if is_right else 422)


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "1234567", "１２３４５６", "0" * 400])
def test_what_is_no_code_is_told_and_nothing_breaks(app: Flask, erin: Visitor, code: str) -> None:
    set_up_app(erin)
    assert "There is a problem" in words_of(show_code(second(app), code, 422))


def test_a_code_may_have_a_space_in_it(app: Flask, erin: Visitor) -> None:
    key, _ = set_up_app(erin)
    with clock.clock_at(NOW + HALF_MINUTE):
        code = code_of(key)
        show_code(second(app), f" {code[:3]} {code[3:]} ")


def test_the_key_is_drawn_on_the_server_and_kept_where_the_database_cannot_read_it(app: Flask, erin: Visitor) -> None:
    page = erin.get(f"{SET_UP}/app")
    assert "<svg" in page.text
    assert "style=" not in page.text
    key, _ = set_up_app(erin)
    row = fresh().scalars(select(AuthenticatorApp)).one()
    assert key not in row.sealed_key
    with db.engine.connect() as connection:
        assert key not in str(connection.exec_driver_sql("SELECT * FROM authenticator_apps").all())


def test_a_page_that_shows_a_key_is_good_for_its_reader_and_for_an_hour(app: Flask, world: World) -> None:
    erin, chen = Visitor(app, "erin"), Visitor(app, "chen")
    page = erin.get(f"{SET_UP}/app")
    form = {**forms_of(page)[0].fields, "code": code_of(key_on(page))}
    stolen = {**form, "csrf_token": chen.csrf_token()}
    assert chen.open(f"{SET_UP}/app", "POST", data=stolen).status_code == 422
    with clock.clock_at(NOW + timedelta(hours=1, seconds=1)):
        late = {**form, "code": code_of(key_on(page)), "old_password": PASSWORD}
        assert erin.open(f"{SET_UP}/app", "POST", data=late).status_code == 422
    assert fresh().scalars(select(AuthenticatorApp)).all() == []


@pytest.mark.parametrize("key", ["", "made up", "٣", "\u202e\u2066"])
def test_a_key_that_no_page_has_shown_is_not_taken(app: Flask, erin: Visitor, key: str) -> None:
    erin.post(f"{SET_UP}/app", 422, key=key, code="123456")


def test_a_wrong_first_code_keeps_the_same_key_on_the_page(app: Flask, erin: Visitor) -> None:
    page = erin.get(f"{SET_UP}/app")
    again = erin.submit(page, 422, code="000000")
    assert key_on(again) == key_on(page)
    assert "The code is not right" in words_of(again)


def test_who_signed_in_long_ago_is_asked_for_the_password_first(app: Flask, erin: Visitor) -> None:
    with clock.clock_at(NOW + timedelta(minutes=11)):
        page = erin.get(f"{SET_UP}/app")
        code = code_of(key_on(page))
        assert "Enter the password you use now" in words_of(erin.submit(page, 422, code=code))
        assert "not right" in words_of(erin.submit(page, 422, code=code, old_password="wrong"))
        assert fresh().scalars(select(AuthenticatorApp)).all() == []
        erin.submit(page, 200, code=code, old_password=PASSWORD)


def test_setting_one_up_signs_everybody_else_out(app: Flask, world: World, erin: Visitor) -> None:
    elsewhere = Visitor(app, "erin")
    elsewhere.get("/backoffice/")
    set_up_app(erin)
    elsewhere.get("/backoffice/", 303)
    erin.get("/backoffice/")


# What the steps give away, and how often they can be tried


def test_guesses_are_counted_for_the_account_whatever_the_browser(app: Flask, erin: Visitor) -> None:
    key, codes = set_up_app(erin)
    for _ in range(5):
        show_code(second(app), "000000", 422)
    with clock.clock_at(NOW + HALF_MINUTE):
        visitor = second(app)
        assert "Wait a minute" in words_of(show_code(visitor, code_of(key), 429))
        visitor.submit(visitor.get("/login/recovery-code"), 429, code=codes[0])
    with clock.clock_at(NOW + timedelta(seconds=61)):
        show_code(second(app), code_of(key))


def test_a_wrong_password_says_nothing_of_a_second_step(app: Flask, world: World, erin: Visitor) -> None:
    set_up_app(erin)
    pages = {words_of(sign_in(Visitor(app), who, "wrong")) for who in ("erin", "alice", "nobody")}
    assert len(pages) == 1


def test_without_the_password_there_is_no_second_step(app: Flask, erin: Visitor) -> None:
    key, codes = set_up_app(erin)
    stranger = Visitor(app)
    for path in ("/login/second-step", "/login/recovery-code"):
        assert stranger.get(path, 303).headers["Location"] == "/login"
        assert stranger.post(path, code=code_of(key)).headers["Location"] == "/login"
        assert stranger.post(path, code=codes[0]).headers["Location"] == "/login"
    assert fresh().scalars(select(RecoveryCode).where(RecoveryCode.used_at.is_not(None))).all() == []


def test_the_second_step_waits_ten_minutes_and_not_for_a_password_that_was_changed(
    app: Flask, world: World, erin: Visitor
) -> None:
    key, _ = set_up_app(erin)
    visitor, other = second(app), second(app)
    with clock.clock_at(NOW + timedelta(minutes=10, seconds=1)):
        assert "it took too long" in words_of(visitor.follow(visitor.get("/login/second-step", 303)))
    erin.submit(erin.get("/account/password"), old_password=PASSWORD, password="a brand new password")
    other.get("/login/second-step", 303)
    assert key


def test_where_one_wanted_to_go_is_kept_over_the_second_step(app: Flask, erin: Visitor) -> None:
    key, _ = set_up_app(erin)
    visitor = Visitor(app)
    page = visitor.follow(visitor.get("/backoffice/patients/?search=archer", 303))
    visitor.submit(page, 302, email="erin@example.com", password=PASSWORD)
    with clock.clock_at(NOW + HALF_MINUTE):
        assert show_code(visitor, code_of(key)).headers["Location"] == "/backoffice/patients/?search=archer"


# Recovery codes


def test_a_recovery_code_lets_in_once_and_its_owner_is_told(app: Flask, world: World, erin: Visitor) -> None:
    _, codes = set_up_app(erin)
    visitor = second(app)
    visitor.submit(visitor.get("/login/recovery-code"), 302, code=f" {codes[3].lower()} ")
    assert "used up one of your recovery codes" in words_of(visitor.get("/backoffice/"))
    again = second(app)
    assert "has been used" in words_of(again.submit(again.get("/login/recovery-code"), 422, code=codes[3]))
    assert "Enter one of" in words_of(again.submit(again.get("/login/recovery-code"), 422, code=""))
    assert events(world.accounts["erin"]) == ["second_step_added", "recovery_code_used"]
    assert "9 left" in words_of(erin.get(SET_UP))


def test_recovery_codes_are_kept_as_hashes_and_those_of_one_are_nothing_for_another(
    app: Flask, world: World, erin: Visitor
) -> None:
    _, codes = set_up_app(erin)
    chen = Visitor(app, "chen")
    set_up_app(chen)
    with db.engine.connect() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM recovery_codes").all())
    assert not any(code.replace("-", "") in kept for code in codes)
    visitor = second(app, "chen")
    visitor.submit(visitor.get("/login/recovery-code"), 422, code=codes[0])


def test_new_recovery_codes_make_the_old_ones_void(app: Flask, world: World, erin: Visitor) -> None:
    _, old = set_up_app(erin)
    new = codes_on(erin.submit(erin.get(f"{SET_UP}/codes"), 200))
    assert len(new) == 10
    assert not set(new) & set(old)
    visitor = second(app)
    visitor.submit(visitor.get("/login/recovery-code"), 422, code=old[0])
    visitor.submit(visitor.get("/login/recovery-code"), 302, code=new[0])


def test_there_are_no_recovery_codes_without_a_second_step(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    alice.submit(alice.get(f"{SET_UP}/codes"), 403)


# Passkeys


def add_passkey(visitor: Visitor, key: SecurityKey, status: int = 200, name: str = "My phone") -> TestResponse:
    page = visitor.get(f"{SET_UP}/passkey")
    return visitor.submit(page, status, name=name, credential=key.make(options_on(page)))


def use_passkey(visitor: Visitor, key: SecurityKey) -> TestResponse:
    page = visitor.get("/login")
    return visitor.submit(page, 302, 1, credential=key.use(options_on(page)))


def test_a_passkey_signs_in_alone_and_counts_as_two_steps(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey()
    assert len(codes_on(add_passkey(erin, key))) == 10
    ask_of_staff()
    visitor = Visitor(app)
    assert use_passkey(visitor, key).headers["Location"] == "/start"
    visitor.get("/backoffice/")
    row = fresh().scalars(select(Passkey)).one()
    assert (row.name, row.sign_count, row.last_used_at) == ("My phone", 1, NOW)


def test_a_passkey_is_a_second_step_after_the_password(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey(verifies=False)
    add_passkey(erin, key)
    visitor = second(app)
    page = visitor.get("/login/second-step")
    visitor.submit(page, 302, credential=key.use(options_on(page)))
    visitor.get("/backoffice/")


def test_a_key_that_asks_for_no_finger_is_not_enough_alone(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey(verifies=False)
    add_passkey(erin, key)
    visitor = Visitor(app)
    answer = use_passkey(visitor, key)
    assert "could not be used here" in words_of(visitor.follow(answer))
    visitor.get("/backoffice/", 303)


def test_an_answer_of_a_passkey_counts_once(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey()
    add_passkey(erin, key)
    visitor = second(app)
    page = visitor.get("/login/second-step")
    key.count = -1  # a key that counts nothing, like those that are synchronised
    answer = key.use(options_on(page))
    again = forms_of(page)[0].fields
    with clock.clock_at(NOW + timedelta(seconds=1)):
        stolen = dict(visitor.client.get_cookie("session").__dict__)
        visitor.submit(page, 302, credential=answer)
        visitor.client.set_cookie("session", stolen["value"])
        replayed = visitor.open("/login/second-step", "POST", data={**again, "credential": answer})
    assert replayed.status_code == 422
    assert len(fresh().scalars(select(SignIn).filter_by(is_two_factor=True, ended_at=None)).all()) == 2


@pytest.mark.parametrize("what", ["origin", "browser", "purpose", "late", "nonsense", "empty", "unknown"])
def test_an_answer_that_was_not_made_for_this_page_is_refused(
    app: Flask, world: World, erin: Visitor, what: str
) -> None:
    key = SecurityKey()
    add_passkey(erin, key)
    visitor = Visitor(app)
    page = visitor.get("/login")
    if what == "origin":
        key.origin = "https://evil.example"
    options = options_on(Visitor(app).get("/login") if what == "browser" else page)
    answer = key.use(options_on(second(app).get("/login/second-step")) if what == "purpose" else options)
    answer = {"nonsense": "{}", "empty": "", "unknown": SecurityKey().use(options)}.get(what, answer)
    later = timedelta(hours=1, seconds=1) if what == "late" else timedelta(seconds=1)
    with clock.clock_at(NOW + later):
        location = visitor.submit(page, 302, 1, credential=answer).headers["Location"]
    assert location == "/login"
    visitor.get("/backoffice/", 303)


def test_a_passkey_of_one_is_no_second_step_of_another(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey()
    add_passkey(Visitor(app, "chen"), key)
    set_up_app(erin)
    add_passkey(erin, SecurityKey(), 303)
    visitor = second(app)
    page = visitor.get("/login/second-step")
    answer = visitor.submit(page, 422, 1, credential=key.use(options_on(page)))
    assert "This passkey could not be used" in words_of(answer)


def test_a_passkey_belongs_to_one_account(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey()
    add_passkey(Visitor(app, "chen"), key)
    assert "No passkey was made" in words_of(add_passkey(erin, key, 422))
    assert fresh().scalars(select(Passkey.account_id)).all() == [world.accounts["chen"]]


@pytest.mark.parametrize(("name", "status"), [("", 422), ("x" * 61, 422), ("x" * 60, 200)])
def test_a_passkey_has_a_name_to_know_it_by(app: Flask, erin: Visitor, name: str, status: int) -> None:
    add_passkey(erin, SecurityKey(), status, name)


def test_a_closed_account_gets_in_with_no_passkey_either(app: Flask, world: World, erin: Visitor) -> None:
    key = SecurityKey()
    add_passkey(erin, key)

    @writing
    def close(session: Session) -> None:
        session.get_one(Account, world.accounts["erin"]).active = False

    close()
    assert use_passkey(Visitor(app), key).headers["Location"] == "/login"


@pytest.mark.parametrize(
    ("base_url", "host_url", "rp_id"),
    [
        ("https://portal.clinic.example", "http://localhost", "portal.clinic.example"),
        ("http://127.0.0.1:8000", "http://localhost:8000", "localhost"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", None),
        ("http://127.0.0.1:8000", "http://evil.example", None),
        ("http://[::1]:8000", "http://[::1]:8000", None),
    ],
)
def test_a_passkey_is_for_the_name_of_the_portal(base_url: str, host_url: str, rp_id: str | None) -> None:
    site = passkeys.site_of(base_url, host_url)
    assert (site and site.rp_id) == rp_id


def test_where_the_address_is_a_number_no_page_offers_passkeys(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    there = {"base_url": "http://127.0.0.1/"}
    assert "data-passkey" not in Visitor(app).open("/login", **there).text
    assert alice.open(f"{SET_UP}/passkey", **there).status_code in (303, 404)


# Taking them away


def test_taking_the_last_one_away_leaves_the_password_alone(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    set_up_app(alice)
    page = alice.get(f"{SET_UP}/app/remove")
    assert "taken away" in words_of(alice.follow(alice.submit(page)))
    alice.get(f"{SET_UP}/app/remove", 303)
    assert sign_in(Visitor(app), "alice").headers["Location"] == "/start"
    assert fresh().scalars(select(RecoveryCode)).all() == []
    assert events(world.accounts["alice"]) == ["second_step_added", "second_step_removed"]


def test_the_last_one_stays_where_the_clinic_asks_for_it(app: Flask, world: World, erin: Visitor) -> None:
    set_up_app(erin)
    ask_of_staff()
    page = erin.get(f"{SET_UP}/app/remove")
    assert "The clinic asks for one" in words_of(erin.submit(page, 422))
    add_passkey(erin, SecurityKey(), 303)
    erin.submit(page)
    assert fresh().scalars(select(AuthenticatorApp)).all() == []


def test_a_passkey_of_somebody_else_cannot_be_taken_away(app: Flask, world: World, erin: Visitor) -> None:
    add_passkey(erin, SecurityKey())
    public_id = fresh().scalars(select(Passkey.public_id)).one()
    alice = Visitor(app, "alice")
    for method in ("GET", "POST"):
        data = {"csrf_token": alice.csrf_token()} if method == "POST" else {}
        assert alice.open(f"{SET_UP}/passkeys/{public_id}/remove", method, data=data).status_code == 404
    erin.submit(erin.get(f"{SET_UP}/passkeys/{public_id}/remove"))
    assert fresh().scalars(select(Passkey)).all() == []


# The clinic that asks for it


@pytest.mark.parametrize("who", ["erin", "chen"])
def test_who_works_at_the_clinic_reaches_only_the_set_up_before_it_is_done(app: Flask, world: World, who: str) -> None:
    ask_of_staff()
    visitor = Visitor(app)
    sign_in(visitor, who)
    for path in ("/start", "/backoffice/", "/doctor/", "/account", "/account/password", "/appointments", "/"):
        assert visitor.get(path, 303).headers["Location"] == SET_UP
    assert "set up a second step now" in words_of(visitor.get(SET_UP))
    visitor.get(f"{SET_UP}/passkey")
    set_up_app(visitor)
    visitor.follow(visitor.get("/start", 302))
    visitor.post("/logout", 302)


def test_it_is_asked_of_who_is_signed_in_already_and_never_of_patients(app: Flask, world: World, erin: Visitor) -> None:
    erin.get("/backoffice/")
    ask_of_staff()
    erin.get("/backoffice/", 303)
    Visitor(app, "alice").get("/appointments")


def test_production_asks_for_it_unless_the_clinic_says_otherwise(app: Flask) -> None:
    assert BY_NAME["second_factor"].default == "staff"


# Lost


@writing
def make_admin(session: Session, account_id: int) -> None:
    registering.grant(session, session.get_one(Account, account_id), RoleName.ADMIN)


def test_an_administrator_resets_it_for_somebody_who_has_lost_it(app: Flask, world: World) -> None:
    chen = Visitor(app, "chen")
    set_up_app(chen)
    add_passkey(chen, SecurityKey(), 303)
    make_admin(world.accounts["erin"])
    admin = Visitor(app, "erin")
    assert "chen@example.com" in words_of(admin.get("/backoffice/accounts/?search=CHEN"))
    page = admin.get(f"/backoffice/accounts/details/?id={world.accounts['chen']}")
    assert "passkeys: 1" in words_of(page)
    answer = admin.follow(admin.submit(page))
    assert "The second step is reset" in words_of(answer)
    chen.get("/doctor/", 303)
    for model in (AuthenticatorApp, Passkey, RecoveryCode):
        assert fresh().scalars(select(model)).all() == []
    entry = fresh().scalars(select(AuditEntry).filter_by(action="reset_second_step")).one()
    assert (entry.actor_account_id, entry.subject_id) == (world.accounts["erin"], world.accounts["chen"])
    assert events(world.accounts["chen"])[-1] == "second_step_reset"
    assert sign_in(Visitor(app), "chen").headers["Location"] == "/start"


def test_only_administrators_reset_and_never_their_own(app: Flask, world: World) -> None:
    erin = Visitor(app, "erin")
    set_up_app(Visitor(app, "chen"))
    for path in ("/backoffice/accounts/", f"/backoffice/accounts/details/?id={world.accounts['chen']}"):
        erin.get(path, 403)
    erin.post("/backoffice/accounts/reset/", 403, id=world.accounts["chen"])
    make_admin(world.accounts["erin"])
    own = erin.get(f"/backoffice/accounts/details/?id={world.accounts['erin']}")
    assert forms_of(own) == []
    erin.post("/backoffice/accounts/reset/", 403, id=world.accounts["erin"])
    for wrong in ("", "x", "999999", "9" * 30, "-1"):
        erin.post("/backoffice/accounts/reset/", 404, id=wrong)
    assert len(fresh().scalars(select(AuthenticatorApp)).all()) == 1


def test_the_command_resets_by_address(app: Flask, world: World) -> None:
    with pytest.raises(NotFound):
        second_step.reset(actor=SYSTEM, email="nobody@example.com")
    with pytest.raises(NotAllowed):
        second_step.reset(actor=world.erin, email="erin@example.com")
    set_up_app(Visitor(app, "alice"))
    second_step.reset(actor=SYSTEM, email="Alice@example.com")
    assert fresh().scalars(select(AuthenticatorApp)).all() == []


def test_with_another_secret_the_apps_are_dead_and_nothing_breaks(app: Flask, world: World, erin: Visitor) -> None:
    key, _ = set_up_app(erin)

    @writing
    def change(session: Session) -> None:
        session.scalars(select(AuthenticatorApp)).one().sealed_key = "gAAAAAB-sealed-with-another-secret"

    change()
    with clock.clock_at(NOW + HALF_MINUTE):
        show_code(second(app), code_of(key), 422)


def test_on_every_database_a_second_step_is_set_up_used_and_reset(any_world: World) -> None:
    account_id, key = any_world.accounts["erin"], authenticator.new_key()
    counter = authenticator.counter_of(key, code_of(key))
    assert counter is not None
    codes = second_step.add_app(account_id=account_id, key=key, counter=counter, sign_in="none")
    with clock.clock_at(NOW + HALF_MINUTE):
        code = code_of(key)
        passed = [second_step.pass_with_code(account_id=account_id, code=code) for _ in range(2)]
    assert passed == [True, False]
    used = [second_step.pass_with_recovery_code(account_id=account_id, code=codes[0]) for _ in range(2)]
    assert used == [True, False]
    second_step.reset(actor=SYSTEM, email="erin@example.com")
    assert not second_step.second_step_of(fresh(), account_id).is_set_up
