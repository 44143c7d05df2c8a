"""A real calendar program subscribes to a doctor's calendar: vdirsyncer fetches it, khal shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from clinic_portal.accounts.feeds import make_feed
from clinic_portal.models import FeedKind
from tests.bookings import book, cancel, move, open_clinic
from tests.world import World, at

pytestmark = pytest.mark.slow

SYNC = """
[general]
status_path = "{folder}/status/"

[pair clinic]
a = "portal"
b = "here"
collections = null

[storage portal]
type = "http"
url = "{url}"

[storage here]
type = "filesystem"
path = "{folder}/calendar/"
fileext = ".ics"
"""
SHOW = """
[calendars]
[[clinic]]
path = {folder}/calendar/
readonly = True

[locale]
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
local_timezone = Europe/London
default_timezone = Europe/London

[sqlite]
path = {folder}/khal.db
"""


@dataclass(frozen=True)
class Client:
    """Somebody's calendar program, with its files in a folder of its own."""

    folder: Path

    def sync(self) -> None:
        """Fetch what the portal has."""
        self.run("vdirsyncer", "-c", str(self.folder / "sync.conf"), "sync")

    def days(self) -> str:
        """What the program shows of the week."""
        how = "{start-time} {title} {status}"
        return self.run("khal", "-c", str(self.folder / "khal.conf"), "list", "--format", how, "2026-03-02", "7d")

    def run(self, program: str, *words: str) -> str:
        path = Path(sys.executable).parent / program
        env = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(  # words of this file alone
            [path, *words], env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def client(app: Flask, world: World, tmp_path: Path) -> Iterator[Client]:
    """A program that knows the address of Dr Chen's calendar."""
    token = make_feed(actor=world.chen, kind=FeedKind.PRACTITIONER)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/calendar/{token}.ics"
    (tmp_path / "calendar").mkdir()
    (tmp_path / "sync.conf").write_text(SYNC.format(folder=tmp_path, url=url))
    (tmp_path / "khal.conf").write_text(SHOW.format(folder=tmp_path))
    found = Client(tmp_path)
    found.run("vdirsyncer", "-c", str(tmp_path / "sync.conf"), "discover")
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_calendar_program_shows_each_visit_where_it_is_now(client: Client, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    client.sync()
    assert "09:00 Appointment at Harbour Street Clinic" in client.days()
    move(world, visit, at(10, day=1))
    client.sync()
    shown = client.days()
    assert "10:00 Appointment at Harbour Street Clinic" in shown
    assert "09:00" not in shown, "one visit is one entry"
    cancel(world, visit)
    client.sync()
    assert "CANCELLED" in client.days()
