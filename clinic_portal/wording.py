"""How days and times are said to people, in pages and in mails alike. Pure; every time is told in the place's zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

from clinic_portal import clock

_MIDDAY = time(12)
_MIDNIGHT = time(0)


def date_long(day: date) -> str:
    """A calendar day in full: "Tuesday 24 November 2026"."""
    return f"{day:%A} {day.day} {day:%B} {day.year}"


def date_short(day: date) -> str:
    """A calendar day whose year is plain: "Tuesday 24 November"."""
    return f"{day:%A} {day.day} {day:%B}"


def date_plain(day: date) -> str:
    """A calendar day without its weekday: "24 November 2026"."""
    return f"{day.day} {day:%B} {day.year}"


def day_long(instant: datetime, zone: str) -> str:
    """The calendar day of an instant at the place, in full: "Tuesday 24 November 2026"."""
    return date_long(clock.local_date(instant, zone))


def time_short(instant: datetime, zone: str) -> str:
    """The time of day at the place: "10:15am", "11am", "12 midday".

    Times: an hour that the wall clock shows twice carries its zone's name: "1:30am BST".
    """
    shown = clock.local(instant, zone)
    # DST: without the name, the two half past ones of that night could not be told apart.
    return f"{_said(shown.time())} {shown.tzname()}" if clock.is_repeated(instant, zone) else _said(shown.time())


def day_and_time(instant: datetime, zone: str) -> str:
    """The day and time at the place: "Tuesday 24 November, 10:15am"."""
    return f"{date_short(clock.local_date(instant, zone))}, {time_short(instant, zone)}"


def days_listed(days: Sequence[date]) -> str:
    """Some days in a sentence: "Saturday 21 November and Monday 23 November"."""
    *first, last = (date_short(day) for day in days)
    return f"{', '.join(first)} and {last}" if first else last


def _said(shown: time) -> str:
    shown = shown.replace(second=0, microsecond=0)
    if shown == _MIDDAY:
        return "12 midday"
    if shown == _MIDNIGHT:
        return "12 midnight"
    hour = shown.hour % 12 or 12
    minute = f":{shown.minute:02}" if shown.minute else ""
    return f"{hour}{minute}{'am' if shown.hour < 12 else 'pm'}"
