"""What time it is, and how wall-clock times at a clinic become instants. The rules for clock changes live here only.

A wall-clock time inside a skipped hour means the moment of the change; one inside a repeated hour means its first
occurrence (RFC 5545 3.3.5). Both ends of every block go through the same mapping, so that neighbours still touch and
never overlap, and a block around a change is as long as the clock on the wall makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Stands for "always was": earlier than any instant the portal handles, and kept by both databases.
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MIN = 24 * 60
# Nobody asks for days outside of these; at the ends of the calendar a time zone leads out of it.
YEARS = range(2000, 2200)

_source: Callable[[], datetime] | None = None


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC) if _source is None else _source()


@contextmanager
def clock_at(instant: datetime | Callable[[], datetime]) -> Iterator[None]:
    """Make `now()` answer this instant (or this function) in the whole process: for tests and for the sample clinic."""
    global _source
    before = _source
    _source = instant if callable(instant) else lambda: instant
    try:
        yield
    finally:
        _source = before


def local(instant: datetime, zone: str) -> datetime:
    """The instant as the clock on the clinic's wall shows it."""
    return instant.astimezone(ZoneInfo(zone))


def local_date(instant: datetime, zone: str) -> date:
    """The calendar day of an instant at the clinic."""
    return local(instant, zone).date()


def wall_to_instant(day: date, minute: int, zone: str) -> datetime:
    """The instant when the clinic's clock shows `minute` minutes after midnight of `day`.

    Args: minute from 0; beyond 24 * 60 it means the following day.
    Times: wall clock of `zone` in, UTC out; see the module's text for skipped and repeated hours.
    Source: RFC 5545 3.3.5.
    """
    # Naive on purpose: a reading of the wall clock becomes an instant only with its zone, two lines down.
    shown = datetime.combine(day, time.min) + timedelta(minutes=minute)
    tz = ZoneInfo(zone)
    first = shown.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if first.astimezone(tz).replace(tzinfo=None) == shown:
        return first
    # DST: the time does not exist. Before the gap the clock ran with fold=0's offset, after it with fold=1's.
    return _moment_of_change(first - timedelta(days=1), first + timedelta(days=1), zone)


@lru_cache(maxsize=512)
def _moment_of_change(low: datetime, high: datetime, zone: str) -> datetime:
    """The one instant between two when the zone's offset jumps, to the second."""
    tz = ZoneInfo(zone)
    offset = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """First instant of the day at the clinic, and first instant of the next."""
    return wall_to_instant(day, 0, zone), wall_to_instant(day, DAY_MIN, zone)


def window_around(instant: datetime, zone: str, length_min: int) -> tuple[datetime, datetime]:
    """First instant of the stretch of the day in which an instant lies, and of the next, counted from midnight.

    Times: 10:45 lies in the two hours from 10:00 to 12:00 on the wall clock of `zone`.
    """
    shown = local(instant, zone)
    minute = shown.hour * 60 + shown.minute
    first = minute - minute % length_min
    return wall_to_instant(shown.date(), first, zone), wall_to_instant(shown.date(), first + length_min, zone)


def is_repeated(instant: datetime, zone: str) -> bool:
    """Whether the clinic's clock shows this time twice that day, so that it must be told with its zone's name."""
    shown = local(instant, zone)
    return shown.utcoffset() != shown.replace(fold=1 - shown.fold).utcoffset()


@lru_cache(maxsize=256)
def offsets_between(zone: str, first: date, last: date) -> tuple[tuple[datetime, datetime, int], ...]:
    """The stretches of time in which a zone is at one distance from UTC: from, until, and the distance in minutes.

    Times: both days in UTC, and included.
    """
    tz, found = ZoneInfo(zone), []
    low = start = datetime.combine(first, time.min, UTC)
    end = datetime.combine(last, time.min, UTC) + timedelta(days=1)
    while low < end:
        high, offset = low + timedelta(days=1), low.astimezone(tz).utcoffset()
        if high.astimezone(tz).utcoffset() != offset:
            # DST: the days before and after the change are cut apart at its very moment.
            high = _moment_of_change(low, high, zone)
        if high.astimezone(tz).utcoffset() != offset or high >= end:
            found.append((start, min(high, end), _minutes(offset)))
            start = high
        low = high
    return tuple(found)


def _minutes(offset: timedelta | None) -> int:
    return (offset or timedelta(0)) // timedelta(minutes=1)
