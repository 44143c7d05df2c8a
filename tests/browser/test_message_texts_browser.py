"""An administrator words a message: with scripts the mail follows what is typed, without them a button shows it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from clinic_portal.database import db
from clinic_portal.models import Event
from clinic_portal.notifications.message_texts import TextKey, newest
from tests.browser.conftest import Reader
from tests.test_backoffice import make_admin
from tests.world import World

pytestmark = pytest.mark.browser

TITLE = "The mail as its reader sees it"


def mail_of(page: Page) -> FrameLocator:
    return page.frame_locator(f'iframe[title="{TITLE}"]')


def open_text(reader: Callable[..., Reader], world: World, width: int, *, scripts: bool) -> Reader:
    make_admin(world.accounts["erin"])
    erin = reader(width, scripts=scripts)
    erin.sign_in("erin")
    erin.open("/backoffice/texts/")
    erin.check("texts")
    erin.page.get_by_role("link", name=re.compile(r"Moved, English$")).click()
    erin.check("text")
    expect(mail_of(erin.page).get_by_role("heading", level=1)).to_have_text("Your appointment has a new time")
    return erin


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
@pytest.mark.parametrize("width", [1280, 375])
def test_a_text_is_worded_looked_at_and_saved(
    world: World, reader: Callable[..., Reader], width: int, scripts: bool
) -> None:
    erin = open_text(reader, world, width, scripts=scripts)
    page = erin.page
    page.get_by_label("Subject").fill("New time: {{ day }}")
    page.get_by_label("Paragraphs before the facts").fill("We had to <move> it.\n\nSorry.")
    page.get_by_label("By phone, for somebody else").check()
    if not scripts:
        erin.press("Show the mail")
    expect(mail_of(page).get_by_text("We had to <move> it.")).to_be_visible()
    expect(mail_of(page).get_by_text("between 10am and 12 midday").first).to_be_visible()
    expect(mail_of(page).get_by_role("link", name="Change or cancel it")).to_be_visible()
    if not scripts:
        erin.press("Show subject and plain text")
        expect(page.get_by_label("By phone, for somebody else")).to_be_checked()
    expect(page.get_by_text("Subject: New time: Tuesday 10 March 2026")).to_be_visible()
    erin.check("text-typed")
    erin.press("Save")
    expect(page.get_by_text("Moved, English: saved.")).to_be_visible()
    expect(mail_of(page).get_by_text("Sorry.")).to_be_visible()
    erin.check("text-saved")
    row = newest(db.session(), TextKey(Event.MOVED, "en"))
    assert row is not None
    assert (row.subject, row.before) == ("New time: {{ day }}", "We had to <move> it.\n\nSorry.")
    page.get_by_role("link", name="The portal’s", exact=True).click()
    erin.check("text-version")
    erin.press("Put it back")
    expect(page.get_by_text("Moved, English: put back.")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Your appointment is now on {{ day }}, {{ time }}")


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_fault_is_told_and_saved_is_nothing(world: World, reader: Callable[..., Reader], scripts: bool) -> None:
    erin = open_text(reader, world, 375, scripts=scripts)
    page = erin.page
    page.get_by_label("Paragraphs at the end").fill("Until then,\n{{ clinc }}")
    if scripts:
        told = "Paragraphs at the end: Line 2: There is nothing called “clinc” here."
        expect(page.get_by_role("status").filter(has_text=told)).to_be_visible()
        expect(page.get_by_label("Paragraphs at the end")).to_be_focused()
        erin.check("text-fault")
    erin.press("Save")
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text("Line 2: There is nothing called “clinc” here.")
    expect(page.get_by_label("Paragraphs at the end")).to_have_value("Until then,\n{{ clinc }}")
    erin.check("text-refused")
    page.get_by_label("Paragraphs at the end").fill("Until then,\n{{ clinic }}")
    if not scripts:
        erin.press("Show subject and plain text")
    expect(page.get_by_text("Until then, Harbour Street Clinic").first).to_be_visible()


def test_looking_adds_nothing_to_go_back_through(world: World, reader: Callable[..., Reader]) -> None:
    erin = open_text(reader, world, 1280, scripts=True)
    before = erin.page.evaluate("history.length")
    for word in ("one", "two", "three"):
        erin.page.get_by_label("Paragraphs at the end").fill(word)
        expect(mail_of(erin.page).get_by_text(word, exact=True)).to_be_visible()
    assert erin.page.evaluate("history.length") == before
