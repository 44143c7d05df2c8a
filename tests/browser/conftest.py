"""A real Chromium in front of a real web server, and a reader that accepts nothing out of the ordinary."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import greenlet
import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request
from werkzeug.serving import make_server

from tests.world import PASSWORD, World

NAMES = ("chromium", "chromium-browser", "google-chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
QUIET = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")  # fmt: skip

# No test takes a third of it, on the slowest machine.
SILENT_S = 90


def chromium() -> str | None:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or (str(MAC) if MAC.exists() else None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Chromium these tests are skipped, and the run says so in one loud line."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    if mine and chromium() is None:
        warnings.warn(pytest.PytestWarning("!!! NO CHROMIUM: THE BROWSER TESTS ARE SKIPPED !!!"), stacklevel=1)
        for item in mine:
            item.add_marker(pytest.mark.skip(reason="!!! no Chromium on this machine !!!"))


class KeptBrowser:
    """The browser that tests share; one that does not answer for long is ended, and the next test gets another.

    Once in some thousand pages Chromium falls silent in a call for which there is no time limit; without this the
    whole run would end there, without saying where.
    """

    def __init__(self, launch: Callable[[], Browser]) -> None:
        self.launch = launch
        self.browser: Browser | None = None
        self.process_id = 0

    def get(self) -> Browser:
        if self.browser is None or not self.browser.is_connected():
            self.browser = self.launch()
            found = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
            self.process_id = next(int(each["id"]) for each in found if each["type"] == "browser")
        return self.browser

    def end(self, test: str) -> None:
        print(
            f"\n!!! Chromium has not answered for {SILENT_S} s and is ended, in {test}, in the call:",
            file=sys.__stderr__,
        )
        for each in gc.get_objects():
            if isinstance(each, greenlet.greenlet) and each.gr_frame is not None:
                traceback.print_stack(each.gr_frame, limit=8, file=sys.__stderr__)
        os.kill(self.process_id, signal.SIGKILL)


@pytest.fixture(scope="session")
def kept_browser(launch_browser: Callable[[], Browser]) -> Iterator[KeptBrowser]:
    kept = KeptBrowser(launch_browser)
    yield kept
    if kept.browser is not None:
        kept.browser.close()


@pytest.fixture
def browser(kept_browser: KeptBrowser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    found = kept_browser.get()
    timer = threading.Timer(SILENT_S, kept_browser.end, (request.node.nodeid,))
    timer.start()
    yield found
    timer.cancel()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": chromium(), "args": list(QUIET)}


@pytest.fixture
def address(app: Flask, world: World) -> Iterator[str]:
    """The portal served on this machine, in this process, so that the clock of the test is its clock."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def overflows(page: Page) -> bool:
    """Whether one has to scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def accessibility_faults(page: Page) -> list[str]:
    """What axe finds: the broken rule and where."""
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]


@dataclass
class Reader:
    """Somebody with a browser, who notices whatever is wrong with a page."""

    page: Page
    address: str
    has_scripts: bool
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium reports every answer of 400 and more; those that a test means to get are no fault of the page.
        meant = ["Failed to load resource"]
        if "SCREENSHOTS" in os.environ:
            # Taking a picture hides the caret by a style of its own, which our policy blocks.
            meant.append("Applying inline style")
        if message.type in ("error", "warning") and not any(text in message.text for text in meant):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"left the machine: {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def sign_in(self, who: str) -> None:
        self.open("/login")
        self.page.get_by_label("E-mail address").fill(f"{who}@example.com")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.check()
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def press(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name).click()

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def check(self, name: str | None = None) -> None:
        """This page has one heading, needs no sideways scrolling, and axe finds nothing."""
        # A page that is still being read has no heading yet.
        self.page.wait_for_load_state()
        assert self.page.locator("h1").count() == 1
        assert self.heading().split("\n")[0].split(" (")[0] in self.page.title()
        assert not overflows(self.page), self.page.url
        if self.has_scripts:
            assert accessibility_faults(self.page) == [], self.page.url
        if name and (folder := os.environ.get("SCREENSHOTS")):
            width = (self.page.viewport_size or {}).get("width")
            self.page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


SignIn = Callable[..., Page]


@pytest.fixture
def sign_in(reader: Callable[..., Reader]) -> SignIn:
    """Sign somebody of the cast in and open a page; further options are those of the browser."""

    def open_as(who: str, path: str, *, java_script_enabled: bool = True, **options: Any) -> Page:
        one = reader(scripts=java_script_enabled, **options)
        one.sign_in(who)
        one.open(path)
        return one.page

    return open_as


@pytest.fixture
def reader(browser: Browser, address: str) -> Iterator[Callable[..., Reader]]:
    """Make readers: how wide their screen is, and whether their browser runs scripts."""
    contexts: list[BrowserContext] = []
    readers: list[Reader] = []

    def make(width: int = 1280, *, scripts: bool = True, **more: Any) -> Reader:
        options = {"viewport": {"width": width, "height": 800}, "locale": "en-GB", "base_url": address, **more}
        context = browser.new_context(java_script_enabled=scripts, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        one = Reader(context.new_page(), address, scripts)
        one.watch()
        readers.append(one)
        return one

    yield make
    for context in contexts:
        context.close()
    assert [wrong for one in readers for wrong in one.wrong] == []
