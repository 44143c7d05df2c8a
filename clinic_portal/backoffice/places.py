"""The clinic's locations as pages need them: names, zones, and what a calendar day means at each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import g
from sqlalchemy import ColumnElement, and_, or_, select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import Location

UTC_ZONE = "UTC"


@dataclass(frozen=True)
class Place:
    id: int
    name: str
    zone: str


def all_places() -> list[Place]:
    """Every location, read once for a page; those no longer used come last, for the sake of old visits."""
    if "backoffice_places" not in g:
        query = select(Location.id, Location.name, Location.zone).order_by(Location.is_active.desc(), Location.id)
        g.backoffice_places = [Place(*row) for row in db.session.execute(query)]
    places: list[Place] = g.backoffice_places
    return places


def places_within(limit: frozenset[int] | None) -> list[Place]:
    """The locations that somebody may look at."""
    return [place for place in all_places() if limit is None or place.id in limit]


def clinic_zone() -> str:
    """The zone for what belongs to no location: that of the first one."""
    places = all_places()
    return places[0].zone if places else UTC_ZONE


def today() -> date:
    return clock.local_date(clock.now(), clinic_zone())


def by_zone(places: Iterable[Place]) -> dict[str, list[int]]:
    zones: dict[str, list[int]] = {}
    for place in places:
        zones.setdefault(place.zone, []).append(place.id)
    return zones


def on_days(column: Any, location_id: Any, first: date | None, last: date | None) -> ColumnElement[bool]:
    """A condition: the instant falls on these days, both included, as the row's own location counts days."""
    zones = by_zone(all_places())
    if len(zones) <= 1:
        return between(column, *bounds(first, last, clinic_zone()))
    limits = {zone: bounds(first, last, zone) for zone in zones}
    parts = [and_(location_id.in_(ids), between(column, *limits[zone])) for zone, ids in zones.items()]
    # The widest bounds of all: without them no index would help.
    starts, ends = zip(*limits.values(), strict=True)
    return and_(between(column, min(starts) if first else None, max(ends) if last else None), or_(*parts))


def bounds(first: date | None, last: date | None, zone: str) -> tuple[datetime | None, datetime | None]:
    """The first instant of the first day, and the first instant after the last day."""
    return (
        clock.day_bounds(first, zone)[0] if first else None,
        clock.day_bounds(last, zone)[1] if last else None,
    )


def between(column: Any, start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
    parts = [column.is_not(None)]
    parts += [column >= start] if start else []
    parts += [column < end] if end else []
    return and_(*parts)
