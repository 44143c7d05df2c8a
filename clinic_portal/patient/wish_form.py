"""When somebody could come: how it travels in forms and addresses, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from werkzeug.datastructures import MultiDict

from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import ALL_PARTS
from clinic_portal.patient.days import PARTS as PART_WORDS
from clinic_portal.patient.reading import read_date
from clinic_portal.scheduling.wishes import LONGEST_WARNING_MIN, DayPart, Wishes, parts_mask, parts_of_week
from clinic_portal.wording import date_short, weekday_long

HOUR, DAY = 60, 24 * 60
# How long before a visit somebody must know of it, in minutes, as it is offered to choose.
WARNINGS = (0, 2 * HOUR, DAY, 2 * DAY, 7 * DAY)
USUAL_WARNING = DAY
BOOK, ASK_FIRST = "book", "ask"
PARTS = {part: part.name.lower() for part in DayPart}
WEEKDAYS = range(7)


def read_wishes(values: MultiDict[str, str]) -> Wishes:
    """The wishes in a form or an address. Whether these days can be had is not judged here.

    Raises: InvalidRequest, naming the field in its facts.
    """
    weekdays = [day for day in WEEKDAYS if str(day) in values.getlist("weekdays")]
    parts = [part for part, name in PARTS.items() if name in values.getlist("parts")]
    if not weekdays:
        raise InvalidRequest(N_("Choose at least one day of the week"), field="weekdays")
    if not parts:
        raise InvalidRequest(N_("Choose at least one part of the day"), field="parts")
    if values.get("first") not in (BOOK, ASK_FIRST):
        raise InvalidRequest(N_("Choose what we should do when a time is free"), field="first")
    return Wishes(
        from_on=_day(values, "earliest"),
        until_on=_day(values, "latest"),
        parts=parts_mask((day, part) for day in weekdays for part in parts),
        min_warning_min=_warning(values.get("warning", "")),
        is_ask_first=values.get("first") == ASK_FIRST,
    )


def _day(values: MultiDict[str, str], field: str) -> date | None:
    try:
        return read_date(values.get(field))
    except InvalidRequest:
        raise InvalidRequest(N_("Choose a day from the calendar, or type it like 2026-11-24"), field=field) from None


def _warning(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_WARNING_MIN))):
        raise InvalidRequest(N_("Choose how long before you must know"), field="warning")
    return int(text)


def write_wishes(wishes: Wishes) -> dict[str, str | list[str]]:
    """The wishes as they travel in an address."""
    weekdays, parts = _days_and_parts(wishes.parts)
    days = {"earliest": wishes.from_on, "latest": wishes.until_on}
    return {
        **{name: day.isoformat() for name, day in days.items() if day},
        "weekdays": [str(day) for day in weekdays],
        "parts": [PARTS[part] for part in parts],
        "warning": str(wishes.min_warning_min),
        "first": ASK_FIRST if wishes.is_ask_first else BOOK,
    }


def _days_and_parts(mask: int) -> tuple[list[int], list[DayPart]]:
    """The weekdays and the parts of the day that are wished; patients choose the same parts for each day."""
    every = parts_of_week(mask)
    return sorted({day for day, _part in every}), sorted({part for _day, part in every})


def choices(values: MultiDict[str, str]) -> dict[str, Any]:
    """What the page of the wishes shows: everything that can be chosen, with what was."""
    weekdays, parts = values.getlist("weekdays"), values.getlist("parts")
    warning = values.get("warning", str(USUAL_WARNING))
    offered = sorted({*WARNINGS, *([int(warning)] if warning.isascii() and warning.isdecimal() else [])})
    return {
        "earliest": values.get("earliest", ""),
        "latest": values.get("latest", ""),
        "weekdays": [_choice(str(day), weekday_long(day), weekdays) for day in WEEKDAYS],
        "parts": [_choice(name, _(PART_WORDS[name][1]), parts) for name in PARTS.values()],
        "warnings": [_choice(str(minutes), warning_told(minutes), [warning]) for minutes in offered],
        "firsts": [
            _choice(BOOK, _("Book the first time that suits me, and tell me (recommended)"), [values.get("first")])
            | {"hint": _("You can change or cancel it as usual.")},
            _choice(ASK_FIRST, _("Ask me first"), [values.get("first")])
            | {"hint": _("We keep a time for you for a while. If you do not answer, the next person is asked.")},
        ],
    }


def unasked() -> MultiDict[str, str]:
    """What is chosen before anybody has chosen anything."""
    return MultiDict([
        *(("weekdays", str(day)) for day in WEEKDAYS), *(("parts", name) for name in PARTS.values()), ("first", BOOK),
    ])  # fmt: skip


def _choice(value: str, label: str, chosen: Iterable[str | None]) -> dict[str, Any]:
    return {"value": value, "label": label, "hint": "", "is_checked": value in chosen}


def warning_told(minutes: int) -> str:
    """How long before the visit somebody must know of it, as an answer."""
    if minutes == 0:
        return _("It may be at once")
    if minutes % DAY:
        return ngettext("At least %(num)d hour before", "At least %(num)d hours before", -(-minutes // HOUR))
    return ngettext("At least %(num)d day before", "At least %(num)d days before", minutes // DAY)


def when_wished(wishes: Wishes) -> list[str]:
    """When somebody could come, line by line."""
    lines = [_window(wishes)]
    if wishes.parts != ALL_PARTS:
        weekdays, parts = _days_and_parts(wishes.parts)
        if len(weekdays) < len(WEEKDAYS):
            lines.append(", ".join(weekday_long(day) for day in weekdays))
        if len(parts) < len(PARTS):
            lines.append(", ".join(_(PART_WORDS[PARTS[part]][1]) for part in parts))
    return lines


def _window(wishes: Wishes) -> str:
    first, last = wishes.from_on, wishes.until_on
    if first and last:
        return _("From %(first)s to %(last)s", first=date_short(first), last=date_short(last))
    if first:
        return _("From %(first)s on", first=date_short(first))
    return _("Until %(last)s", last=date_short(last)) if last else _("As soon as possible")
