"""Input of the forms of hours: whatever is sent becomes a value, or a refusal that names its field."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import Location

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


def read_number_or_none(values: Values, field: str) -> int | None:
    """A whole number, or None when the box is empty. Raises: InvalidRequest."""
    return read_number(values, field, 0) if values.get(field, "").strip() else None


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


def places() -> list[Location]:
    """The places where one can work, by name."""
    return list(db.session().scalars(select(Location).where(Location.is_active).order_by(Location.name, Location.id)))
