"""How days, times and refusals are said to people, in pages and in mails alike, in the language of the reader.

Every time is told in the place's zone. Formats are CLDR's; what was said once is kept, because pages repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from babel.dates import format_date, format_time

from clinic_portal import clock, languages
from clinic_portal.errors import DomainError

_A_MONDAY = date(2026, 3, 2)
_MIDDAY = time(12)
_MIDNIGHT = time(0)


@dataclass(frozen=True)
class Patterns:
    """How one language writes a day, in the letters of CLDR (Unicode TR 35)."""

    long: str
    short: str
    plain: str
    weekday: str
    weekday_long: str
    day_month: str


_PATTERNS = {
    languages.ENGLISH: Patterns("EEEE d MMMM y", "EEEE d MMMM", "d MMMM y", "ccc", "cccc", "d MMM"),
    # German keeps a day and its month, and a time and its word, on one line.
    "de": Patterns("EEEE, d.\N{NO-BREAK SPACE}MMMM y", "EEEE, d.\N{NO-BREAK SPACE}MMMM", "d.\N{NO-BREAK SPACE}MMMM y",
                   "ccc", "cccc", "d.\N{NO-BREAK SPACE}MMM"),
}  # fmt: skip


def date_long(day: date) -> str:
    """A calendar day in full: "Tuesday 24 November 2026"."""
    return _date(day, "long", languages.current())


def date_short(day: date) -> str:
    """A calendar day whose year is plain: "Tuesday 24 November"."""
    return _date(day, "short", languages.current())


def date_plain(day: date) -> str:
    """A calendar day without its weekday: "24 November 2026"."""
    return _date(day, "plain", languages.current())


def weekday_short(day: date) -> str:
    """The day of the week where there is little room: "Tue"."""
    return _date(day, "weekday", languages.current())


def weekday_long(weekday: int) -> str:
    """A day of the week: "Tuesday". Args: weekday, Monday is 0."""
    return _date(_A_MONDAY + timedelta(days=weekday), "weekday_long", languages.current())


def day_month(day: date) -> str:
    """Day and month where there is little room: "24 Nov"."""
    return _date(day, "day_month", languages.current())


def day_long(instant: datetime, zone: str) -> str:
    """The calendar day of an instant at the place, in full: "Tuesday 24 November 2026"."""
    return date_long(clock.local_date(instant, zone))


def time_short(instant: datetime, zone: str) -> str:
    """The time of day at the place: "10:15am", "11am", "12 midday".

    Times: an hour that the wall clock shows twice carries its zone's name: "1:30am BST".
    """
    shown, language = clock.local(instant, zone), languages.current()
    said = _time(shown.time(), language)
    # DST: without the name, the two half past ones of that night could not be told apart.
    return f"{said} {shown.tzname()}" if clock.is_repeated(instant, zone) else said


def day_and_time(instant: datetime, zone: str) -> str:
    """The day and time at the place: "Tuesday 24 November, 10:15am"."""
    return f"{date_short(clock.local_date(instant, zone))}, {time_short(instant, zone)}"


def minute_told(minute: int) -> str:
    """A time of day on the clock on the wall: "9:30am". Args: minute after midnight; beyond a day the next day's."""
    return _time(time(minute % (24 * 60) // 60, minute % 60), languages.current())


def time_told(instant: datetime, zone: str, window_min: int) -> str:
    """What a patient reads as the time: "10:15am", or "between 10am and 12 midday" where a stretch of the day is told.

    Args: window_min, the length of the stretch; 0 where the time is told to the minute.
    """
    if not window_min:
        return time_short(instant, zone)
    low, high = clock.window_around(instant, zone, window_min)
    return languages._("between %(start)s and %(end)s", start=time_short(low, zone), end=time_short(high, zone))


def time_on_button(instant: datetime, zone: str, window_min: int) -> str:
    """As `time_told`, standing alone: "10:15am", or "10am to 12 midday"."""
    if not window_min:
        return time_short(instant, zone)
    low, high = clock.window_around(instant, zone, window_min)
    return languages._("%(start)s to %(end)s", start=time_short(low, zone), end=time_short(high, zone))


def when_told(instant: datetime, zone: str, window_min: int) -> str:
    """Day and time as a patient reads them: "Tuesday 24 November, between 10am and 12 midday"."""
    return f"{date_short(clock.local_date(instant, zone))}, {time_told(instant, zone, window_min)}"


def masked_number(number: str) -> str:
    """Enough of a phone number to know which one it is: "07… 362"."""
    digits = [letter for letter in number if letter.isdigit()]
    return f"{'+' if number.startswith('+') else ''}{''.join(digits[:2])}… {''.join(digits[-3:])}"


def masked_address(address: str) -> str:
    """Enough of an e-mail address to know which one it is: "a…@example.com"."""
    name, _at, host = address.partition("@")
    return f"{name[:1]}…@{host}"


def days_listed(days: Sequence[date]) -> str:
    """Some days in a sentence: "Saturday 21 November and Monday 23 November"."""
    *first, last = (date_short(day) for day in days)
    return languages._("%(days)s and %(last_day)s", days=", ".join(first), last_day=last) if first else last


def say(error: DomainError) -> str:
    """Why something was refused, to the reader of the page; `str(error)` is for logs."""
    facts = {name: _fact(value) for name, value in error.facts.items()}
    if isinstance(error.message, tuple):
        return languages.ngettext(*error.message, **facts)
    return languages._(error.message, **facts)


def _fact(value: Any) -> Any:
    return date_long(value) if isinstance(value, date) and not isinstance(value, datetime) else value


@lru_cache(maxsize=2048)
def _date(day: date, pattern: str, language: str) -> str:
    return format_date(day, getattr(_PATTERNS[language], pattern), locale=language)


@lru_cache(maxsize=2048)
def _time(shown: time, language: str) -> str:
    return (
        _english_time(shown)
        if language == languages.ENGLISH
        else format_time(shown, "HH:mm\N{NO-BREAK SPACE}'Uhr'", locale=language)
    )


def _english_time(shown: time) -> str:
    shown = shown.replace(second=0, microsecond=0)
    if shown == _MIDDAY:
        return "12 midday"
    if shown == _MIDNIGHT:
        return "12 midnight"
    hour = shown.hour % 12 or 12
    minute = f":{shown.minute:02}" if shown.minute else ""
    return f"{hour}{minute}{'am' if shown.hour < 12 else 'pm'}"
