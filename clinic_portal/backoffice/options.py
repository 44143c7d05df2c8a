"""The values that the fields above lists offer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from flask import g
from sqlalchemy import select

from clinic_portal.accounts import STAFF
from clinic_portal.backoffice.access import location_limit
from clinic_portal.backoffice.filters import Options
from clinic_portal.backoffice.places import all_places, places_within
from clinic_portal.database import db
from clinic_portal.models import Practitioner, VisitType


def worded(names: Mapping[Any, str]) -> Options:
    """Every value of an enumeration, by its words."""
    return [(str(value), text) for value, text in names.items() if isinstance(value, StrEnum)]


def practitioners() -> Options:
    return [(str(id_), name) for id_, name in sorted(names()["practitioners"].items(), key=lambda item: item[1])]


def reachable_places() -> Options:
    """The locations that the person looking may see."""
    return [(str(place.id), place.name) for place in places_within(location_limit(STAFF))]


def names() -> dict[str, dict[int, str]]:
    """The names behind the ids of small tables, read once for a page."""
    if "backoffice_names" not in g:
        g.backoffice_names = {
            "practitioners": _named(Practitioner),
            "visit_types": _named(VisitType),
            "locations": {place.id: place.name for place in all_places()},
        }
    found: dict[str, dict[int, str]] = g.backoffice_names
    return found


def _named(model: type[Practitioner] | type[VisitType]) -> dict[int, str]:
    return {row.id: row.name for row in db.session.execute(select(model.id, model.name))}
