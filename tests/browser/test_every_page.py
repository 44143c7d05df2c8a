"""Every page of patients and doctors on the smallest screen and by keyboard alone, taken from the list of addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.database import writing
from clinic_portal.models import Account, Passkey
from tests.addresses import ADDRESSES, LINK, Door, filled, route_of
from tests.belongings import Belongings
from tests.browser.conftest import Reader, overflows
from tests.visitor import Visitor, forms_of
from tests.world import World

pytestmark = pytest.mark.browser

CONTROLS = (Path(__file__).parent / "controls.js").read_text()
# Where in the page the focus is now, and whether one sees it.
FOCUSED = """() => {
  const { stops, look, unfocused } = window.controls;
  const index = stops.indexOf(document.activeElement);
  return [index, index >= 0 && look(stops[index]) !== unfocused[index]];
}"""
AREAS = ("entrance", "booking", "appointments", "profile", "doctor")
BEGINNINGS = {
    "/book": "booking", "/check": "booking", "/appointments": "appointments", "/profile": "profile",
    "/people": "profile", "/doctor": "doctor",
}  # fmt: skip


@pytest.fixture
def world(belongings: Belongings) -> World:
    """The clinic that is served has all that is Alice's in it."""
    return belongings.world


def area_of(address: str) -> str:
    return next((area for beginning, area in BEGINNINGS.items() if address.startswith(beginning)), "entrance")


def pages_in(app: Flask, belongings: Belongings, area: str) -> list[tuple[str, Door]]:
    """The addresses of an area that show a page to whom they are for."""
    return [
        (address, door)
        for address, door in ADDRESSES.items()
        if area_of(address) == area and door.owner in ("alice", "chen") and not address.startswith("/mails")
        if route_of(app, address, "GET") and _is_page(app, filled(address, belongings.ids), door)
    ]


def _is_page(app: Flask, path: str, door: Door) -> bool:
    answer = Visitor(app, owner_of(door)).open(path)
    return answer.status_code == 200 and answer.mimetype == "text/html"


def owner_of(door: Door) -> str | None:
    """Pages for everybody are looked at by somebody new to the portal."""
    return None if door is LINK or door.nobody == "fine" else door.owner


@pytest.mark.parametrize(
    ("language", "scripts"),
    [("English", True), ("English", False), ("Deutsch", True)],
    ids=["with-scripts", "without", "in-german"],
)
@pytest.mark.parametrize("area", AREAS)
def test_pages_fit_the_smallest_screen_and_work_by_keyboard(
    app: Flask, belongings: Belongings, reader: Callable[..., Reader], area: str, language: str, scripts: bool
) -> None:
    readers: dict[str | None, Reader] = {}
    wrong = []
    for address, door in pages_in(app, belongings, area):
        who = owner_of(door)
        if who not in readers:
            readers[who] = reader(320, scripts=scripts)
            begin(readers[who], who, language)
        readers[who].open(filled(address, belongings.ids))
        readers[who].check()
        wrong += [f"{address}: {fault}" for fault in faults_of(readers[who].page)]
    assert not wrong, "\n".join(wrong)


def begin(one: Reader, who: str | None, language: str) -> None:
    one.open("/")
    if who:
        come_in(one, who)
    if language != "English":
        one.page.get_by_role("button", name=language).click()
        expect(one.page.get_by_role("button", name="English")).to_be_visible()


def come_in(one: Reader, who: str) -> None:
    """Sign in with a password alone: the passkey, about which there is a page, would be asked for."""
    ids = _lay_passkeys_aside()
    one.sign_in(who)
    expect(one.page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
    _lay_passkeys_aside(ids)


@writing
def _lay_passkeys_aside(db: Session, back_to: dict[int, int] | None = None) -> dict[int, int]:
    """Let every passkey be the other account's; given whose they were, theirs again."""
    keys = list(db.scalars(select(Passkey)))
    owners = {key.id: key.account_id for key in keys}
    spare = db.scalars(select(Account.id).filter_by(fs_uniquifier="fs-unconfirmed")).one()
    for key in keys:
        key.account_id = spare if back_to is None else back_to[key.id]
    return owners


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_form_sent_empty_says_so_on_the_smallest_screen(
    app: Flask, belongings: Belongings, reader: Callable[..., Reader], scripts: bool
) -> None:
    # Before any browser is there: finding them out puts the database back several times.
    refusing = list(forms_that_refuse(app, belongings))
    assert len(refusing) > 12
    readers = {who: reader(320, scripts=scripts) for who in (None, "alice")}
    come_in(readers["alice"], "alice")
    wrong = []
    for address, door in refusing:
        one = readers[owner_of(door)]
        one.open(filled(address, belongings.ids))
        button = one.page.locator("main form button[type=submit]:not([name])").first
        if not button.count():
            assert address in NEVER_EMPTY
            continue
        button.click()
        one.check()
        summary = one.page.locator(".nhsuk-error-summary")
        if summary.count() != 1 or not one.page.title().startswith("Error: "):
            wrong.append(f"{address}: no summary of what is wrong")
        elif scripts and not summary.evaluate("summary => summary === document.activeElement"):
            wrong.append(f"{address}: the summary has not the focus")
        wrong += [f"{address}: {fault}" for fault in faults_of(one.page)]
    assert not wrong, "\n".join(wrong)


def forms_that_refuse(app: Flask, belongings: Belongings) -> Iterator[tuple[str, Door]]:
    """The pages whose form needs an answer."""
    for address, door in ADDRESSES.items():
        visitor, path = Visitor(app, owner_of(door)), filled(address, belongings.ids)
        if door.owner != "alice" or not route_of(app, address, "GET") or not route_of(app, address, "POST"):
            continue
        forms = forms_of(visitor.open(path))
        if forms:
            answer = visitor.open(path, "POST", data=forms[0].fields)
            if answer.status_code == 422:
                yield address, door
            else:
                belongings.start_again()


def test_the_checks_find_what_is_wrong(reader: Callable[..., Reader]) -> None:
    page = reader(320).page
    page.set_content(
        """<!DOCTYPE html><style>.plain:focus { outline: none }</style>
        <p style="width: 400px"><a href="#a">first</a></p>
        <button class="plain">second</button> <button style="font-size: 6px; padding: 0">third</button>
        <a href="#b" tabindex="1">fourth</a>"""
    )
    wrong = " ".join(faults_of(page))
    assert "scrolls sideways" in wrong
    assert "smaller than 24 pixels: <button style" in wrong
    assert 'Tab does not reach <a href="#b"' in wrong
    page.locator("a[tabindex]").evaluate("link => link.remove()")
    assert 'the focus is not seen on <button class="plain">' in " ".join(faults_of(page))


def faults_of(page: Page) -> list[str]:
    found: dict[str, Any] = page.evaluate(CONTROLS)
    faults = ["scrolls sideways"] if overflows(page) else []
    faults += [f"smaller than 24 pixels: {control}" for control in found["small"]]
    faults += [
        f"the focus jumps up to {found['stops'][index + 1]}"
        for index, (one, after) in enumerate(zip(found["tops"], found["tops"][1:], strict=False))
        if after < one - 40
    ]
    return faults + list(focus_faults(page, found["stops"]))


# Inside the box for a day, or for a time: each part of it, and the button of its picker; then it goes on.
MOST_PARTS = 5
IN_PARTS = ('type="date"', 'type="time"')
# Their forms are two buttons, so they cannot be sent empty; and passkeys need a name in the address, and scripts: else
# their page says so instead of having a form.
NEVER_EMPTY = ("/offers/{offer}", "/o/{offer_token}", "/account/second-step/passkey")


def focus_faults(page: Page, stops: list[str]) -> list[str]:
    """Press Tab once for each control: the focus goes through all of them in the page's order, and is seen."""
    faults = []
    # A summary of errors takes the focus; from the top of the page everything must be reached.
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    for number, control in enumerate(stops):
        index, is_seen = -1, False
        for _ in range(MOST_PARTS if number and any(kind in stops[number - 1] for kind in IN_PARTS) else 1):
            page.keyboard.press("Tab")
            index, is_seen = page.evaluate(FOCUSED)
            if index == number:
                break
        if index != number:
            return [*faults, f"Tab does not reach {control}, but {stops[index] if index >= 0 else 'nothing'}"]
        if not is_seen:
            faults.append(f"the focus is not seen on {control}")
    return faults
