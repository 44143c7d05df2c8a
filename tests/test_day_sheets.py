"""Every hour it is written down who comes when, for the day on which nothing answers."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

from flask import Flask, current_app

from clinic_portal import clock, jobs
from clinic_portal.database import db
from clinic_portal.day_sheets import FOLDER, write_day_sheets
from clinic_portal.models import Location
from tests.bookings import book
from tests.world import NOW, World, add_session, at


def folder() -> Path:
    path: Path = current_app.config["PORTAL"].data_dir / FOLDER
    return path


def test_the_sheets_of_today_and_tomorrow_say_who_comes(app: Flask, world: World) -> None:
    add_session(world.chen_id, at(9), at(12), world.location_id)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.second_location_id)
    book(world, at(10))
    book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    assert write_day_sheets() == 4
    harbour, mill = (
        db.session().get_one(Location, id_).public_id for id_ in (world.location_id, world.second_location_id)
    )
    today = folder() / "2026-03-02" / f"{harbour}.html"
    text = today.read_text()
    assert "Harbour Street, Monday 2 March 2026" in text
    assert "<td>10am</td><td>Alice Archer, 45 years</td><td>Check-up</td>" in text
    assert "Written on Monday 2 March 2026, 8am" in text
    assert "Bob" not in text
    assert "src=" not in text
    assert "href=" not in text
    assert "Bob Baker" in (folder() / "2026-03-03" / f"{mill}.html").read_text()
    assert "Nobody works here on this day." in (folder() / "2026-03-02" / f"{mill}.html").read_text()
    assert stat.S_IMODE(today.stat().st_mode) == 0o600
    assert not list(folder().rglob("*.new"))


def test_the_sweep_writes_them_every_hour_and_throws_old_ones_away(app: Flask, world: World) -> None:
    jobs.sweep()
    first = folder() / "2026-03-02"
    assert first.is_dir()
    marked = next(first.iterdir())
    marked.write_text("old")
    with clock.clock_at(NOW + timedelta(minutes=59)):
        jobs.sweep()
        assert marked.read_text() == "old"
    with clock.clock_at(NOW + timedelta(minutes=61)):
        jobs.sweep()
        assert "Harbour Street" in marked.read_text() or "Mill Lane" in marked.read_text()
    with clock.clock_at(NOW + timedelta(days=9)):
        jobs.sweep()
        assert not first.exists()
        assert (folder() / "2026-03-11").is_dir()
