"""The links in mails in a browser that nobody signed in with: with and without scripts, on small and large screens."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import expect

from clinic_portal import clock
from tests.bookings import book, move, open_clinic
from tests.browser.conftest import Reader
from tests.test_mail_links import last_mail, last_reminder, path_in
from tests.world import World, at

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, True, id="phone"),
    pytest.param(320, False, id="smallest-without-scripts"),
]


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_reader_of_mails_confirms_cancels_and_stops_reminders(
    reader: Make, app: Flask, world: World, width: int, scripts: bool
) -> None:
    open_clinic(world, day=8)
    book(world, at(10, day=8))
    with clock.clock_at(at(10, day=5)):
        mail = last_reminder(app)
        me = reader(width, scripts=scripts)
        me.open(path_in(mail))
        me.check("link")
        me.press("I will come")
        expect(me.page.locator("h1")).to_have_text("Thank you. We expect you")
        me.check("link-confirmed")
        me.open(path_in(mail))
        me.check("link-open-confirmed")
        me.page.get_by_role("link", name="Cancel this appointment").click()
        me.check("link-cancel")
        me.page.get_by_label("I feel better").check()
        me.press("Cancel appointment")
        expect(me.page.locator("h1")).to_have_text("Your appointment is cancelled")
        me.check("link-cancelled")
        me.open(path_in(mail))
        me.check("link-dead-cancelled")
        [stop] = re.findall(r"http\S+(/reminders/stop/\S+)", mail)
        me.open(urlsplit(stop).path)
        me.check("stop-reminders")
        me.press("Stop reminders")
        expect(me.page.locator("h1")).to_have_text("We will send no more reminders")
        me.check("stopped-reminders")


def test_a_link_to_a_visit_that_moved_offers_what_stands(reader: Make, app: Flask, world: World) -> None:
    open_clinic(world, day=8)
    visit = book(world, at(10, day=8))
    path = path_in(last_mail(app))
    move(world, visit, at(11, day=8))
    me = reader(375)
    me.open(path)
    me.check("link-dead-moved")
    me.page.get_by_role("link", name="See your appointment").click()
    expect(me.page.get_by_label("Password", exact=True)).to_be_visible()


def test_reminders_are_told_when_booked_and_can_be_switched_off(reader: Make, world: World) -> None:
    open_clinic(world, day=8)
    visit = book(world, at(10, day=8))
    me = reader(375)
    me.sign_in("alice")
    me.open(f"/appointments/{visit.public_id}/booked")
    me.check("booked-reminders")
    me.open("/profile")
    me.check("profile-reminders")
    me.press("Stop reminders")
    me.check("profile-no-reminders")
    expect(me.page.locator("main")).to_contain_text("We send no reminders.")
