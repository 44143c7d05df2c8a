"""Who comes when, as files to be printed should the portal not answer: written every hour, one for each place and day.

They hold what the pages of the day hold, and nothing of the web: any browser shows them without a network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.doctor.day import SessionOfDay, read_day
from clinic_portal.models import Location, Practitioner
from clinic_portal.settings import load_settings

FOLDER = "day-sheets"
# Today and the days after it, as many in all; older files are thrown away.
DAYS = 2
KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Sheet:
    """One practitioner's day at a place."""

    name: str
    sessions: list[SessionOfDay]


def write_day_sheets() -> int:
    """Write the sheets of all places anew, and throw old ones away; says how many there are.

    A file is replaced at once, so that a reader never finds half of one; only the portal's own user may read it.
    """
    session, folder = db.session(), current_app.config["PORTAL"].data_dir / FOLDER
    now, written = clock.now(), 0
    for location in session.scalars(select(Location).where(Location.is_active).order_by(Location.id)):
        today = clock.local_date(now, location.zone)
        for number in range(DAYS):
            on = today + timedelta(days=number)
            _write(folder / on.isoformat() / f"{location.public_id}.html", _sheet(session, location, on, now))
            written += 1
    _forget_old(folder, clock.local_date(now, "UTC") - KEPT)
    return written


def _sheet(session: Session, location: Location, on: date, now: datetime) -> str:
    # Without a request, so without what every page of the web is given.
    return current_app.jinja_env.get_template("doctor/sheet.html").render(
        clinic_name=load_settings(session).value("clinic_name"),
        location=location,
        on=on,
        printed_at=now,
        sheets=list(_sheets(session, location, on)),
    )


def _sheets(session: Session, location: Location, on: date) -> Iterator[Sheet]:
    everybody = select(Practitioner).where(Practitioner.is_active).order_by(Practitioner.name, Practitioner.id)
    for practitioner in session.scalars(everybody):
        here = [one for one in read_day(session, practitioner, on) if one.place_name == location.name]
        if here:
            yield Sheet(practitioner.name, here)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _forget_old(folder: Path, before: date) -> None:
    for day in sorted(folder.iterdir()) if folder.is_dir() else []:
        if day.is_dir() and day.name < before.isoformat():
            for file in day.iterdir():
                file.unlink()
            day.rmdir()
