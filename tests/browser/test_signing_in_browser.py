"""Signing in with more than a password, and running out of time, in a real browser, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import ContactPoint, Passkey
from tests.browser.conftest import Reader
from tests.signing_in import ask_of_staff, code_of
from tests.world import NOW, PASSWORD, World

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [pytest.param(1280, True, id="wide"), pytest.param(375, False, id="phone-without-scripts")]
NUMBER = "07700 900 123"


@contextmanager
def later(**passed: float) -> Iterator[None]:
    with clock.clock_at(NOW + timedelta(**passed)):
        yield


def named(me: Reader) -> Reader:
    """The same portal under a name, because no passkey is for a number."""
    me.address = me.address.replace("127.0.0.1", "localhost")
    return me


def with_phone(me: Reader, *, verifies: bool = True) -> None:
    """Give the browser a device that keeps passkeys and says yes by itself."""
    device = me.page.context.new_cdp_session(me.page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": verifies,
        "isUserVerified": verifies, "automaticPresenceSimulation": True,
    }})  # fmt: skip


def out(me: Reader) -> None:
    me.page.context.clear_cookies()
    me.open("/login")


def type_password(me: Reader, who: str) -> None:
    me.page.get_by_label("E-mail address").fill(f"{who}@example.com")
    me.page.get_by_label("Password", exact=True).fill(PASSWORD)
    me.page.get_by_role("button", name="Sign in", exact=True).click()


def set_up_app(me: Reader) -> tuple[str, str]:
    """The key of the app, and one of the recovery codes."""
    me.page.get_by_role("link", name="Set up an app").click()
    me.check("add-app")
    key = me.page.locator(".portal-key").inner_text().replace(" ", "")
    me.page.get_by_label("Code from your app").fill("12")
    me.press("Continue")
    me.check("add-app-wrong")
    me.page.get_by_label("Code from your app").fill(code_of(key))
    me.press("Continue")
    expect(me.page.locator("h1")).to_have_text("Keep your recovery codes")
    me.check("recovery-codes")
    return key, me.page.locator(".portal-codes li").first.inner_text()


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_staff_set_an_app_up_because_they_must_and_get_in_with_its_codes(
    reader: Make, world: World, width: int, scripts: bool
) -> None:
    ask_of_staff()
    me = reader(width, scripts=scripts)
    me.sign_in("erin")
    expect(me.page.locator("h1")).to_have_text("A second step when you sign in")
    me.check("must-set-up")
    key, recovery_code = set_up_app(me)
    me.page.get_by_role("link", name="I have kept them").click()
    expect(me.page.locator("h1")).to_contain_text("Today")
    me.open("/account")
    me.check("account-with-second-step")
    out(me)
    type_password(me, "erin")
    expect(me.page.locator("h1")).to_have_text("Show that it is you")
    me.check("second-step")
    me.page.get_by_label("Code from your app").fill("000 000")
    me.press("Continue")
    me.check("second-step-wrong")
    with later(seconds=30):
        me.page.get_by_label("Code from your app").fill(code_of(key))
        me.press("Continue")
        expect(me.page.locator("h1")).to_contain_text("Today")
        out(me)
        type_password(me, "erin")
        me.page.get_by_role("link", name="Use a recovery code").click()
        me.check("recovery-code")
        me.page.get_by_label("Recovery code").fill(recovery_code)
        me.press("Continue")
        expect(me.page.locator("h1")).to_contain_text("Today")


@pytest.mark.parametrize("width", [1280, 320])
def test_a_passkey_is_made_and_signs_in_alone_and_as_a_second_step(reader: Make, world: World, width: int) -> None:
    me = named(reader(width))
    with_phone(me)
    me.sign_in("alice")
    me.open("/account/second-step/passkey")
    me.check("add-passkey")
    me.press("Make the passkey")
    expect(me.page.get_by_text("Enter a name").first).to_be_visible()
    me.check("add-passkey-wrong")
    me.page.get_by_label("A name for it").fill("My phone")
    me.press("Make the passkey")
    expect(me.page.locator("h1")).to_have_text("Keep your recovery codes")
    me.open("/account/second-step")
    me.check("second-step-set-up")
    with later(minutes=1):
        out(me)
        me.check("sign-in-with-passkey")
        me.press("Sign in with a passkey")
        expect(me.page.locator("h1")).to_have_text("Your appointments")
    with later(minutes=2):
        out(me)
        type_password(me, "alice")
        me.check("second-step-passkey")
        me.press("Use your passkey")
        expect(me.page.locator("h1")).to_have_text("Your appointments")
        me.open("/account/second-step")
        me.page.get_by_role("link", name="Take away My phone").click()
        me.check("remove-passkey")
        me.press("Take it away")
        expect(me.page.get_by_text("It is taken away")).to_be_visible()
    db.session.rollback()
    assert db.session.scalars(select(Passkey)).all() == []


def test_a_browser_without_a_passkey_says_so_and_can_try_again(reader: Make, world: World) -> None:
    me = named(reader(375))
    device = me.page.context.new_cdp_session(me.page)
    device.send("WebAuthn.enable")
    me.open("/login")
    # No device at all: the browser gives up by itself.
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": False, "automaticPresenceSimulation": True,
    }})  # fmt: skip
    me.press("Sign in with a passkey")
    expect(me.page.get_by_text("Nothing was done")).to_be_visible()
    me.check("no-passkey")
    assert me.page.get_by_role("button", name="Sign in with a passkey").is_enabled()


def test_without_scripts_no_page_offers_what_cannot_work(reader: Make, world: World) -> None:
    me = named(reader(375, scripts=False))
    me.open("/login")
    expect(me.page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    me.sign_in("alice")
    me.open("/account/second-step/passkey")
    expect(me.page.get_by_role("button", name="Make the passkey")).to_be_hidden()
    expect(me.page.get_by_text("An app works without")).to_be_visible()


def number_form(me: Reader) -> None:
    me.open("/profile")
    me.page.get_by_role("link", name=re.compile("mobile", re.IGNORECASE)).first.click()


def saved() -> list[str]:
    db.session.rollback()
    numbers = db.session.scalars(select(ContactPoint.value).where(ContactPoint.value.contains("900")))
    return list(numbers)


def sign_in_again(me: Reader, who: str = "alice") -> None:
    me.page.get_by_role("link", name="Sign in again").click()
    type_password(me, who)


def test_without_scripts_what_is_sent_too_late_comes_back_after_signing_in(reader: Make, world: World) -> None:
    me = reader(375, scripts=False)
    me.sign_in("alice")
    number_form(me)
    expect(me.page.get_by_text("If you do nothing on this page for 20 minutes")).to_be_visible()
    form = me.page.url
    me.page.get_by_role("main").get_by_role("textbox").fill(NUMBER)
    with later(minutes=21):
        me.page.get_by_role("main").locator("button[type=submit]").click()
        expect(me.page.locator("h1")).to_have_text("You have been signed out")
        me.check("signed-out")
        assert saved() == []
        sign_in_again(me)
        assert me.page.url == form
        expect(me.page.get_by_text("It has not been sent")).to_be_visible()
        expect(me.page.get_by_role("main").get_by_role("textbox")).to_have_value(NUMBER)
        me.check("filled-again")
        assert saved() == []
        me.page.get_by_role("main").locator("button[type=submit]").click()
    assert len(saved()) == 1


def test_a_page_warns_lets_stay_and_in_the_end_hands_over_what_was_typed(reader: Make, world: World) -> None:
    me = reader(1280)
    me.page.clock.install()
    me.sign_in("alice")
    number_form(me)
    form = me.page.url
    me.page.get_by_role("main").get_by_role("textbox").fill(NUMBER)
    dialog = me.page.get_by_role("alertdialog", name="Are you still there?")
    expect(dialog).to_be_hidden()
    with later(minutes=18, seconds=1):
        me.page.clock.fast_forward("18:01")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("button", name="Stay signed in")).to_be_focused()
        me.check("time-out-warning")
        me.page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(me.page.get_by_role("main").get_by_role("textbox")).to_have_value(NUMBER)
    with later(minutes=36, seconds=30):
        me.page.clock.fast_forward("18:30")
        expect(dialog).to_be_visible()
        me.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
    with later(minutes=54, seconds=31):
        me.page.clock.fast_forward("18:01")
        expect(dialog).to_be_visible()
    with later(minutes=57):
        me.page.clock.fast_forward("02:30")
        expect(me.page.locator("h1")).to_have_text("You have been signed out")
        me.check("signed-out-by-page")
        expect(me.page.get_by_text("What you typed is kept")).to_be_visible()
        assert saved() == []
        sign_in_again(me)
        assert me.page.url == form
        expect(me.page.get_by_role("main").get_by_role("textbox")).to_have_value(NUMBER)
        me.check("filled-again-by-page")


def test_staff_pages_are_hidden_too_and_another_tab_keeps_both_signed_in(reader: Make, world: World) -> None:
    me = reader(1280)
    me.page.clock.install()
    me.sign_in("erin")
    me.open("/backoffice/patients/")
    tab = me.page.context.new_page()
    with later(minutes=10):
        tab.goto(me.address + "/backoffice/")
    with later(minutes=13, seconds=1):
        me.page.clock.fast_forward("13:01")
        expect(me.page.get_by_role("alertdialog")).to_be_hidden()
    with later(minutes=23, seconds=1):
        me.page.clock.fast_forward("10:01")
        expect(me.page.get_by_role("alertdialog", name="Are you still there?")).to_be_visible()
        me.check("time-out-office")
    with later(minutes=26):
        me.page.clock.fast_forward("03:00")
        expect(me.page.locator("h1")).to_have_text("You have been signed out")
        assert me.page.url.endswith("/signed-out?next=%2Fbackoffice%2Fpatients%2F")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_one_sees_where_one_is_signed_in_and_ends_it(reader: Make, world: World, width: int, scripts: bool) -> None:
    me, phone = reader(width, scripts=scripts), reader(375)
    me.sign_in("alice")
    phone.sign_in("alice")
    me.open("/account")
    me.page.get_by_role("link", name="Where you are signed in").click()
    me.check("sign-ins")
    me.press("Sign out there")
    expect(me.page.get_by_text("That browser is signed out")).to_be_visible()
    phone.open("/appointments")
    assert phone.heading() == "Sign in"


def test_an_administrator_sees_an_account_and_resets_its_second_step(reader: Make, app: Flask, world: World) -> None:
    from tests.test_second_step import make_admin

    chen = reader(375)
    chen.sign_in("chen")
    chen.open("/account/second-step")
    set_up_app(chen)
    make_admin(world.accounts["erin"])
    me = reader(1280)
    me.sign_in("erin")
    me.open("/backoffice/accounts/")
    me.check("office-accounts")
    me.page.get_by_role("link", name="chen@example.com").click()
    me.check("office-account")
    me.press("Reset the second step")
    expect(me.page.get_by_text("The second step is reset")).to_be_visible()
    chen.open("/doctor/")
    assert chen.heading() == "Sign in"
