"""With whom and when, as an address of the calendar or somebody's hands say it, by the clock of the place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import session, url_for
from sqlalchemy import select

from clinic_portal import clock, wording
from clinic_portal.backoffice import places
from clinic_portal.backoffice.find import birth_date
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, PatientBusy, SlotTaken, TooSoon, VersionConflict
from clinic_portal.models import ClinicSession, Location, Practitioner, SessionStatus
from clinic_portal.scheduling.exactly import Spot

SHAPE = "%Y%m%dT%H%MZ"
_TIME = re.compile(r"(\d{1,2})[:.](\d{2})")
# Which part of the calendar somebody looked at last: forms lead back to it.
LAST_SEEN = "calendar"


@dataclass(frozen=True)
class Typed:
    """A clinician by their public id, a day and a time, as an address or a form says them; any may be wrong."""

    clinician: str
    day: str
    time: str
    # The exact instant that a page named; it counts while day and time are its own.
    start: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Typed:
        """What an address or a form says."""
        typed = cls(*(values.get(name, "").strip() for name in ("clinician", "day", "time", "start")))
        if typed.day or typed.time or (starts_at := read_start(typed.start)) is None:
            return typed
        who = practitioner_of(typed.clinician)
        shown = clock.local(starts_at, zone_of_instant(who.id if who else 0, starts_at))
        return cls(typed.clinician, shown.date().isoformat(), f"{shown:%H:%M}", typed.start)

    @property
    def is_empty(self) -> bool:
        return not (self.clinician or self.day or self.time)

    def spot(self) -> Spot:
        """With whom and when. Raises: InvalidRequest naming the field."""
        practitioner = practitioner_of(self.clinician)
        if practitioner is None:
            raise InvalidRequest("Choose a clinician.", field="clinician")
        day, minute = read_day(self.day), read_minute(self.time)
        exact = read_start(self.start)
        if exact is not None:
            shown = clock.local(exact, zone_of_instant(practitioner.id, exact))
            if (shown.date(), shown.hour * 60 + shown.minute) == (day, minute):
                return Spot(practitioner.id, exact)
        return Spot(practitioner.id, instant_of(practitioner.id, day, minute))


def read_start(text: str) -> datetime | None:
    """The instant that a page of the calendar put into an address, or None when it is none."""
    try:
        found = datetime.strptime(text, SHAPE).replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year in clock.YEARS else None


def read_day(text: str) -> date:
    """A day that somebody typed. Raises: InvalidRequest."""
    day = birth_date(text)
    if day is None or day.year not in clock.YEARS:
        raise InvalidRequest("Enter a day, like 24/11/2026.", field="day")
    return day


def read_minute(text: str) -> int:
    """A time of day that somebody typed, in minutes after midnight. Raises: InvalidRequest."""
    found = _TIME.fullmatch(text)
    hour, minute = (int(found[1]), int(found[2])) if found else (24, 0)
    if hour > 23 or minute > 59:
        raise InvalidRequest("Enter a time, like 10:15.", field="time")
    return hour * 60 + minute


def practitioner_of(public_id: str) -> Practitioner | None:
    """The clinician with this public id."""
    if not public_id or not public_id.isprintable():
        return None
    return db.session.scalar(select(Practitioner).filter_by(public_id=public_id))


def instant_of(practitioner_id: int, day: date, minute: int) -> datetime:
    """When the clock shows this time where the clinician works that day; elsewhere the clinic's first place counts.

    Raises: InvalidRequest in the hour that a clock change leaves out.
    """
    low, high = clock.day_bounds(day, places.UTC_ZONE)
    hours = _hours(practitioner_id, low - timedelta(days=1), high + timedelta(days=1))
    zones = list(dict.fromkeys([row.zone for row in hours] + [places.clinic_zone()]))
    instants = [(zone, clock.wall_to_instant(day, minute, zone)) for zone in zones]
    worked = [
        one for one in instants if any(row.zone == one[0] and row.starts_at <= one[1] < row.ends_at for row in hours)
    ]
    zone, instant = (worked or instants)[0]
    shown = clock.local(instant, zone)
    if shown.hour * 60 + shown.minute != minute:
        raise InvalidRequest("On this day the clock is put forward over this time. Choose another.", field="time")
    return instant


def zone_of_instant(practitioner_id: int, instant: datetime) -> str:
    """The zone where the clinician works then, else where they work that day, else the clinic's own."""
    return place_at(practitioner_id, instant)[0]


def place_at(practitioner_id: int, instant: datetime) -> tuple[str, str]:
    """The zone and the name of the place where the clinician works then; no name where they do not."""
    hours = _hours(practitioner_id, instant - timedelta(days=1), instant + timedelta(days=1))
    now = [(row.zone, row.name) for row in hours if row.starts_at <= instant < row.ends_at]
    return (now or [(row.zone, "") for row in hours] or [(places.clinic_zone(), "")])[0]


def _hours(practitioner_id: int, low: datetime, high: datetime) -> list[Any]:
    query = (
        select(ClinicSession.starts_at, ClinicSession.ends_at, Location.zone, Location.name)
        .join(Location, Location.id == ClinicSession.location_id)
        .where(
            ClinicSession.practitioner_id == practitioner_id,
            ClinicSession.lane == 0,
            ClinicSession.status == SessionStatus.PLANNED,
            ClinicSession.starts_at < high,
            ClinicSession.ends_at > low,
        )
    )
    return list(db.session.execute(query.order_by(ClinicSession.first_cell)))


# What is said of refusals, and the way back


def problem_of(error: DomainError, name: str, zone: str, fields: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, so that one sees what to do. Args: name, the clinician's; fields, by code, where it is shown."""
    named = error.facts.get("field")
    return {"field": named or fields.get(error.code, "time"), "text": _text(error, name, zone)}


def _text(error: DomainError, name: str, zone: str) -> str:
    if isinstance(error, VersionConflict):
        return "Somebody else changed this appointment in the meantime. This is how it stands now; nothing was done."
    if isinstance(error, PatientBusy):
        return "The patient has another appointment then. Nothing was changed."
    if isinstance(error, TooSoon):
        return "This time has passed. Choose a later one."
    if not isinstance(error, SlotTaken):
        return str(error)
    if "taken_from" not in error.facts:
        return f"Somebody was faster: {name} is not free then any more. Nothing was changed."
    start, end = (wording.time_short(error.facts[which], zone) for which in ("taken_from", "taken_until"))
    return f"{name} is taken from {start} to {end}. Nothing was changed; choose another time."


def calendar_of(instant: datetime | None, zone: str) -> str:
    """The calendar on the day of an instant, as somebody looked at it last."""
    seen = dict(session.get(LAST_SEEN, {}))
    if instant is not None:
        seen["day"] = clock.local_date(instant, zone).isoformat()
    return url_for("backoffice_calendar.index", **seen)
