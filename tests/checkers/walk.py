"""Through the portal as a mother of two does it: every page of the flow is reached and looked at once."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

from clinic_portal.demo.sign_ins import PASSWORD, SIGN_INS

SIGNED_OUT = ("/", "/login", "/register", "/reset", "/privacy")
OTHERS = ("/appointments", "/profile", "/people", "/account", "/account/code")
OF_A_VISIT = ("", "/move", "/cancel", "/earlier")
# What is chosen where the first answer leads out of the flow, or where the choice is to be a certain one.
CHOICES = ("Me, ", "Check-up", "None of these apply", "Any of these", "Ask me first", "No")
EMAIL = dict(SIGN_INS)["A mother of two"]
LONGEST_WAY = 20
ANSWERED_MS = 30_000


def walk(page: Page, address: str) -> Iterator[str]:
    """The name of each page in turn; it is open while it is looked at."""
    for path in SIGNED_OUT:
        page.goto(address + path)
        yield path
    page.goto(f"{address}/login?next=/book/who")
    page.locator("#email").fill(EMAIL)
    page.locator("#password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    yield from book(page)
    visit = page.url.rpartition("/")[0]
    for path in OF_A_VISIT:
        page.goto(visit + path)
        yield f"/appointments/…{path}"
    page.goto(f"{address}/ask")
    yield from ask(page)
    for path in OTHERS:
        page.goto(address + path)
        yield path


def book(page: Page) -> Iterator[str]:
    """Answer whatever is asked until the visit is booked; an urgent need is looked at on the way."""
    for _ in range(LONGEST_WAY):
        yield name_of(page)
        if page.url.endswith("/booked"):
            return
        if "/book/emergency" in page.url:
            page.goto(page.url.replace("/book/emergency", "/book/call-now"))
            yield name_of(page)
            page.go_back()
        choose(page)
        press(page)
    raise RuntimeError(f"No visit was booked after {LONGEST_WAY} pages: {page.url}")


def ask(page: Page) -> Iterator[str]:
    """The same without choosing a time; the questions before have been looked at already.

    What the page says is at rest once a time is offered: who lets the clinic book is led on to the appointment.
    """
    for _ in range(LONGEST_WAY):
        if page.url.endswith("/sent"):
            page.locator("#request .portal-date").wait_for(timeout=ANSWERED_MS)
            yield name_of(page)
            return
        if "/book/" not in page.url:
            yield name_of(page)
        choose(page)
        press(page)
    raise RuntimeError(f"No request was sent after {LONGEST_WAY} pages: {page.url}")


def choose(page: Page) -> None:
    """Take the first answer, or the one that leads on."""
    times = page.locator("main input[data-time]")
    if times.count():
        times.first.check()
        return
    boxes = page.locator("main input[type=radio], main input[type=checkbox]")
    for words in CHOICES:
        label = page.locator("main label").filter(has_text=words)
        if label.count() and label.first.inner_text().startswith(words):
            label.first.click()
            return
    if boxes.count():
        boxes.first.check()


def press(page: Page) -> None:
    """The button that leads on is the last one; before it may stand some that change an answer."""
    with page.expect_navigation():
        page.locator("main form button.nhsuk-button:visible").last.click()


def name_of(page: Page) -> str:
    """The page's path, with the ids left out."""
    path = "/" + page.url.split("/", 3)[3].partition("?")[0]
    return "/".join("…" if len(part) == 16 else part for part in path.split("/"))
