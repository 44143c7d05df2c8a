"""Opening an account in a browser: from the first page to a booked visit, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import expect

from clinic_portal.accounts import invitations
from clinic_portal.audit import SYSTEM
from clinic_portal.notifications import delivery
from tests.bookings import open_clinic
from tests.browser.conftest import Reader
from tests.world import World

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, False, id="phone-without-scripts"),
    pytest.param(320, True, id="smallest"),
]
EMAIL, SECRET = "zoe@example.net", "purple teapot tractor"


@pytest.fixture
def clinic(world: World) -> World:
    for day in (1, 2):
        open_clinic(world, day)
    return world


def newest_link(me: Reader, app: Flask, subject: str) -> None:
    """Read the newest mail of this subject in the portal's own mail pages, and open its link."""
    with app.app_context():
        delivery.deliver_due()
    me.open("/mails/")
    me.page.get_by_role("link", name=subject).first.click()
    found = re.search(r"https?://[^/\s]+(/\S+)", me.page.locator("main").inner_text())
    assert found
    me.open(found[1])


def fill_in(me: Reader, **changed: str) -> None:
    fields = {"First name": "Zoë", "Last name": "O’Neil", "Day": "31", "Month": "3", "Year": "1980",
              "E-mail address": EMAIL, "Password": SECRET, **changed}  # fmt: skip
    for label, value in fields.items():
        me.page.get_by_label(label, exact=True).fill(value)


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_new_patient_registers_confirms_and_books(
    reader: Make, app: Flask, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    me.open("/")
    me.check("account-home")
    me.page.get_by_role("link", name="create one").click()
    me.check("register")
    me.press("Create account")
    me.check("register-errors")
    fill_in(me, **{"E-mail address": "zoe@gmial.com"})
    me.press("Create account")
    me.check("register-slip")
    fill_in(me)
    me.press("Create account")
    expect(me.page.locator("h1")).to_have_text("Check your e-mail")
    me.check("register-sent")
    newest_link(me, app, "Confirm your e-mail address")
    me.check("confirm")
    me.press("Yes, confirm it")
    me.check("confirmed")
    me.page.get_by_label("E-mail address").fill(EMAIL)
    me.page.get_by_label("Password", exact=True).fill(SECRET)
    me.press("Sign in")
    assert me.heading() == "Your appointments"
    me.check("account-appointments")
    me.open("/book/who")
    me.press("I have read this")
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.press("Book appointment")
    assert me.heading() == "Appointment booked"


@pytest.mark.parametrize(("width", "scripts"), SCREENS[:2])
def test_a_forgotten_password_is_replaced_and_the_account_looked_after(
    reader: Make, app: Flask, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    me.open("/login")
    me.page.get_by_role("link", name="I have forgotten my password").click()
    me.check("forgotten")
    me.page.get_by_label("E-mail address").fill("mallory@example.com")
    me.press("Send me a link")
    me.check("forgotten-sent")
    newest_link(me, app, "Choose a new password")
    me.check("new-password")
    me.page.get_by_label("New password", exact=True).fill(SECRET)
    me.press("Save the new password")
    me.page.get_by_label("E-mail address").fill("mallory@example.com")
    me.page.get_by_label("Password", exact=True).fill("wrong")
    me.press("Sign in")
    me.check("sign-in-wrong")
    me.page.get_by_label("E-mail address").fill("mallory@example.com")
    me.page.get_by_label("Password", exact=True).fill(SECRET)
    me.press("Sign in")
    me.open("/account")
    me.check("account")
    me.page.get_by_role("link", name="Change password").click()
    me.press("Change password")
    me.check("change-password-errors")
    me.page.get_by_label("Password you use now").fill(SECRET)
    me.page.get_by_label("New password", exact=True).fill("another teapot tractor")
    me.press("Change password")
    expect(me.page.get_by_text("Other devices are signed out.")).to_be_visible()
    me.page.get_by_role("link", name="Change e-mail address").click()
    me.check("change-email")
    me.open("/account/code")
    me.check("use-code")
    code = invitations.invite(actor=SYSTEM, patient_id=clinic.bob_id)
    me.page.get_by_label("Code").fill(code)
    for label, value in (("Day", "4"), ("Month", "5"), ("Year", "1980")):
        me.page.get_by_label(label, exact=True).fill(value)
    me.press("Use the code")
    expect(me.page.get_by_text("Your account now belongs to your record")).to_be_visible()
    me.check("code-used")


def test_too_many_tries_and_old_links_have_pages(reader: Make, clinic: World) -> None:
    me = reader(375)
    me.open("/reset/nonsense")
    me.check("old-link")
    me.open("/login")
    for _ in range(6):
        me.page.get_by_label("E-mail address").fill("alice@example.com")
        me.page.get_by_label("Password", exact=True).fill("wrong")
        me.press("Sign in")
    assert me.heading() == "Please wait a moment"
    me.check("too-many-tries")
