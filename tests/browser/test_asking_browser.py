"""Somebody asks without choosing a time, watches the request turn into a visit, and takes an earlier time by a mail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import Appointment
from tests.asking import drain
from tests.browser.conftest import Reader
from tests.test_asking_pages import mailed_link
from tests.world import World, add_session, at

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [pytest.param(375, True, id="phone"), pytest.param(320, False, id="smallest-without-scripts")]


def asked() -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    return db.session().scalars(select(Appointment).order_by(Appointment.id.desc()).limit(1)).one()


def ask(me: Reader) -> None:
    me.sign_in("alice")
    me.open("/")
    me.page.get_by_role("link", name="Tell us when you could come").click()
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    assert me.heading() == "When could you come?"
    for day in ("Monday", "Saturday", "Sunday"):
        me.page.get_by_label(day).uncheck()
    me.page.get_by_label("It may be at once").check()
    me.check("wish")
    me.press("Continue")
    me.check("check-request")
    me.page.get_by_label("What is the appointment about?").fill("My ear rings")
    me.page.get_by_role("button", name="Change when", exact=True).click()
    assert not me.page.get_by_label("Sunday").is_checked()
    me.page.get_by_label("Evenings").uncheck()
    me.press("Continue")
    expect(me.page.get_by_label("What is the appointment about?")).to_have_value("My ear rings")
    me.press("Send the request")
    assert me.heading() == "We have your request"
    me.check("request-sent")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_request_is_sent_watched_and_becomes_a_visit(reader: Make, world: World, width: int, scripts: bool) -> None:
    me = reader(width, scripts=scripts)
    ask(me)
    add_session(world.chen_id, at(9, day=8), at(10, day=8))
    drain()
    if not scripts:
        me.page.get_by_role("link", name="Look again").click()
        assert me.heading() == "Your appointment"
    else:
        expect(me.page.locator("#request")).to_contain_text("We found a time for you", timeout=9000)
        me.check("request-placed")
        me.page.get_by_role("link", name="See your appointment").click()
    expect(me.page.get_by_role("main")).to_contain_text("Tuesday 10 March, 9am")
    me.page.get_by_role("link", name="Tell me if an earlier time becomes free").click()
    me.check("earlier")
    me.press("Tell me")
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    drain()
    me.open(mailed_link())
    assert me.heading() == "An earlier time is free"
    me.check("offer")
    me.press("Take the earlier time")
    assert me.heading() == "This time is yours"
    me.check("offer-taken")
    assert asked().starts_at == at(9, day=3)


def test_a_request_is_taken_back_by_keyboard(reader: Make, world: World) -> None:
    me = reader(1280)
    ask(me)
    me.page.get_by_role("link", name="Take the request back").focus()
    me.page.keyboard.press("Enter")
    assert me.heading() == "Do you want to take your request back?"
    me.check("withdraw")
    me.page.get_by_role("button", name="Take the request back").focus()
    me.page.keyboard.press("Enter")
    expect(me.page.get_by_role("main")).to_contain_text("This request was taken back")
    me.check("request-ended")
