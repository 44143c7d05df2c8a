"""When and how somebody who asks for a visit could come, and as masks of cells which starts that leaves."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from clinic_portal import clock
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import ALL_PARTS, Appointment, ContinuityWish
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.strips import first_cell_from

DAYS_A_WEEK = 7
LONGEST_WINDOW = timedelta(days=366)
LONGEST_WARNING_MIN = 28 * 24 * 60


class DayPart(enum.IntEnum):
    """A part of the day on the wall clock of the place; the value is its bit within a day."""

    MORNING = 0
    AFTERNOON = 1
    EVENING = 2


BEGINS_MIN = {DayPart.MORNING: 0, DayPart.AFTERNOON: 12 * 60, DayPart.EVENING: 17 * 60}
ENDS_MIN = {DayPart.MORNING: 12 * 60, DayPart.AFTERNOON: 17 * 60, DayPart.EVENING: 24 * 60}


def parts_mask(parts: Iterable[tuple[int, DayPart]]) -> int:
    """Parts of the week as one number. Args: weekdays, Monday is 0, with a part of the day."""
    return sum({1 << (weekday * len(DayPart) + part) for weekday, part in parts})


def parts_of_week(mask: int) -> list[tuple[int, DayPart]]:
    """The weekdays and parts of the day behind the number."""
    every = ((weekday, part) for weekday in range(DAYS_A_WEEK) for part in DayPart)
    return [(weekday, part) for weekday, part in every if mask & parts_mask([(weekday, part)])]


@dataclass(frozen=True)
class Wishes:
    """When somebody could come, besides what a `Search` says; days are local to the place, both included."""

    from_on: date | None = None
    until_on: date | None = None
    parts: int = ALL_PARTS
    continuity: ContinuityWish = ContinuityWish.NONE
    min_warning_min: int = 0
    is_ask_first: bool = False

    def check(self, today: date) -> None:
        """Refuse what nobody can mean.

        Raises: InvalidRequest, naming the field in its facts.
        """
        until = self.until_on
        if until is not None and until < today:
            raise InvalidRequest(N_("Choose a last day that is not in the past."), field="until")
        if until is not None and self.from_on is not None and until < self.from_on:
            raise InvalidRequest(N_("The last day must not be before the first."), field="until")
        if any(day is not None and day > today + LONGEST_WINDOW for day in (self.from_on, until)):
            raise InvalidRequest(N_("Choose days within the next year."), field="until")
        if not 0 < self.parts <= ALL_PARTS:
            raise InvalidRequest(N_("Choose at least one part of the week in which you could come."), field="parts")
        if not 0 <= self.min_warning_min <= LONGEST_WARNING_MIN:
            raise InvalidRequest(N_("Choose a warning of four weeks at most."), field="warning")

    def columns(self) -> dict[str, Any]:
        """As they are kept on a request."""
        return {
            "wish_from": self.from_on,
            "wish_until": self.until_on,
            "wish_parts": self.parts,
            "continuity_wish": self.continuity,
            "min_warning_min": self.min_warning_min,
            "is_ask_first": self.is_ask_first,
        }

    def plain(self) -> dict[str, Any]:
        """As plain values: to tell two forms apart, and for the audit log."""
        return {name: str(value) if isinstance(value, date) else value for name, value in self.columns().items()}


def wishes_of(visit: Appointment) -> Wishes:
    """The wishes kept on a request."""
    return Wishes(
        visit.wish_from,
        visit.wish_until,
        visit.wish_parts,
        visit.continuity_wish,
        visit.min_warning_min,
        visit.is_ask_first,
    )


def suits(wishes: Wishes, starts_at: datetime, zone: str) -> bool:
    """Whether one start lies within the wished days and parts of the week, as `suiting_starts` says it of many.

    Times: days and parts of days are those of `zone`.
    """
    local = clock.local(starts_at, zone)
    day, minute = local.date(), local.hour * 60 + local.minute
    part = next(part for part in DayPart if BEGINS_MIN[part] <= minute < ENDS_MIN[part])
    is_after, is_before = day >= (wishes.from_on or day), day <= (wishes.until_on or day)
    return is_after and is_before and bool(wishes.parts & parts_mask([(day.weekday(), part)]))


def suiting_starts(wishes: Any, zone: str, low: int, high: int, grid_min: int) -> int:
    """The starts in the cells [low, high) that lie within the wishes; bit 0 is `low`.

    Args: wishes, anything with the columns of the wishes.
    Times: days and parts of days are those of `zone`.
    """
    window = _window(wishes.wish_from, wishes.wish_until, zone, low, high, grid_min)
    if wishes.wish_parts == ALL_PARTS:
        return window
    return window & _in_parts(wishes.wish_parts, zone, low, high, grid_min)


@lru_cache(maxsize=4096)
def _window(first: date | None, last: date | None, zone: str, low: int, high: int, grid_min: int) -> int:
    start, end = low, high
    if first is not None:
        start = max(start, first_cell_from(clock.day_bounds(first, zone)[0], grid_min))
    if last is not None:
        end = min(end, first_cell_from(clock.day_bounds(last, zone)[1], grid_min))
    return masks.covered(low, high - low, start, end) if start < end else 0


@lru_cache(maxsize=512)
def _in_parts(parts: int, zone: str, low: int, high: int, grid_min: int) -> int:
    by_bit = _each_part(zone, low, high, grid_min)
    found = 0
    for bit in masks.bits(parts):
        found |= by_bit[bit]
    return found


@lru_cache(maxsize=64)
def _each_part(zone: str, low: int, high: int, grid_min: int) -> list[int]:
    """For each part of the week the cells [low, high) that begin in it."""
    found = [0] * (DAYS_A_WEEK * len(DayPart))
    for day in _days(masks.to_instant(low, grid_min), masks.to_instant(high, grid_min), zone):
        for part in DayPart:
            first, end = (
                first_cell_from(clock.wall_to_instant(day, minute, zone), grid_min)
                for minute in (BEGINS_MIN[part], ENDS_MIN[part])
            )
            found[day.weekday() * len(DayPart) + part] |= masks.covered(low, high - low, first, end)
    return found


def _days(low: datetime, high: datetime, zone: str) -> list[date]:
    first, last = clock.local_date(low, zone), clock.local_date(high, zone)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
