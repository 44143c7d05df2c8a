"""Input of the forms of hours: whatever is sent becomes a value, or a refusal that names its field."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import and_, exists, or_, select
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import Location, Practitioner, PractitionerVisitType, VisitType, VisitTypeIds
from clinic_portal.visit_texts import text_of

Values = MultiDict[str, str]
_TIME = re.compile(r"([01]?\d|2[0-3])[:.]?([0-5]\d)", re.ASCII)
_INSTANT = "%Y%m%dT%H%MZ"
_ROW_ID = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_WHOLE = re.compile(r"\d{1,4}", re.ASCII)


def read_time(values: Values, field: str) -> int:
    """A time of day as minutes after midnight: 24:00 is its end. Raises: InvalidRequest."""
    text = values.get(field, "").strip()
    if text == "24:00":
        return DAY_MIN
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidRequest(N_("Enter a time like 9:30 or 17:00."), field=field)
    return int(found[1]) * 60 + int(found[2])


def read_day(values: Values, field: str) -> date:
    """A day. Raises: InvalidRequest."""
    day = read_day_or_none(values, field)
    if day is None:
        raise InvalidRequest(N_("Enter a day."), field=field)
    return day


def read_day_or_none(values: Values, field: str) -> date | None:
    """A day, or None when the box is empty. Raises: InvalidRequest."""
    text = values.get(field, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in clock.YEARS:
        raise InvalidRequest(N_("Choose a day from the calendar, or type it like 2026-11-24."), field=field)
    return day


def read_number(values: Values, field: str, empty: int) -> int:
    """A whole number. Raises: InvalidRequest."""
    text = values.get(field, "").strip()
    if not text:
        return empty
    if not _WHOLE.fullmatch(text):
        raise InvalidRequest(N_("Enter a whole number."), field=field)
    return int(text)


def read_code(values: Values, field: str, known: type, default: str) -> str:
    """One of the values of an enumeration. Raises: NotFound."""
    text = values.get(field) or default
    if text not in {one.value for one in known}:  # type: ignore[attr-defined]
        raise NotFound
    return text


def read_row_id(text: str) -> int:
    """The number of a row in an address. Raises: NotFound when it cannot be one."""
    if not _ROW_ID.fullmatch(text):
        raise NotFound
    return int(text)


def write_instant(instant: datetime) -> str:
    """An instant as it travels in forms: "20260302T0930Z"."""
    return instant.astimezone(UTC).strftime(_INSTANT)


def read_instant(text: str) -> datetime:
    """The instant behind a choice of time. Raises: InvalidRequest."""
    try:
        found = datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        found = datetime.min.replace(tzinfo=UTC)
    if found.year not in clock.YEARS:
        raise InvalidRequest(N_("Choose one of the times on the page."))
    return found


def read_location(values: Values, field: str = "location") -> int:
    """One of the places. Raises: InvalidRequest."""
    wanted = values.get(field, "")
    known = {row.public_id: row.id for row in places()}
    if wanted not in known:
        raise InvalidRequest(N_("Choose one of the places."), field=field)
    return known[wanted]


def read_visit_types(values: Values, field: str = "visit_types") -> VisitTypeIds:
    """The kinds of visits that are ticked; none of them means all. Raises: InvalidRequest."""
    wanted = set(values.getlist(field))
    known = {row.public_id: row.id for row in db.session().scalars(select(VisitType)) if row.public_id in wanted}
    if wanted - known.keys():
        raise InvalidRequest(N_("Choose among these kinds of appointments."), field=field)
    return frozenset(known.values())


def visit_types_of(practitioner: Practitioner, chosen: Collection[str]) -> list[dict[str, Any]]:
    """The kinds of visits that somebody does or that are chosen, to be ticked, by the names that patients read."""
    done = exists().where(
        PractitionerVisitType.visit_type_id == VisitType.id,
        PractitionerVisitType.practitioner_id == practitioner.id,
        PractitionerVisitType.is_active,
    )
    found = select(VisitType).where(or_(and_(VisitType.is_active, done), VisitType.public_id.in_(chosen)))
    return [
        {"value": one.public_id, "label": text_of(db.session(), one.id).name, "hint": "",
         "is_checked": one.public_id in chosen}
        for one in db.session().scalars(found.order_by(VisitType.sort_order, VisitType.name))
    ]  # fmt: skip


def chosen_visit_types(ids: VisitTypeIds) -> list[tuple[str, str]]:
    """Kinds of visits as the fields of a form."""
    rows = db.session().scalars(select(VisitType).where(VisitType.id.in_(ids)).order_by(VisitType.id))
    return [("visit_types", row.public_id) for row in rows]


def places() -> list[Location]:
    """The places where one can work, by name."""
    return list(db.session().scalars(select(Location).where(Location.is_active).order_by(Location.name, Location.id)))
