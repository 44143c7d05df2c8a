"""Blocks of a week, time off and extra hours as somebody enters them: what of it can be meant, and what overlaps.

Pure: what is known of the place and the other blocks is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from clinic_portal import clock
from clinic_portal.clock import DAY_MIN, wall_to_instant
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import (
    ALL_MODES,
    ALL_VISIT_TYPES,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    ExceptionKind,
    ExceptionStatus,
    Modes,
    ReleasePolicy,
    RuleKind,
    VisitTypeIds,
)
from clinic_portal.scheduling.availability import takes_place_on

MAX_REASON = 200
MOST_WEEKS = 52
# So far ahead two blocks are compared; a pattern of weeks and months has met every case by then.
COMPARED = timedelta(days=800)
LONGEST_AWAY = timedelta(days=732)
LONGEST_EXTRA = timedelta(days=14)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Block:
    """A block of a practitioner's week on the wall clock of its location; `ends_min` beyond 1440 is after midnight."""

    location_id: int
    weekday: int
    starts_min: int
    ends_min: int
    valid_from: date
    # Last day on which the block may start; None while it goes on.
    valid_until: date | None = None
    kind: RuleKind = RuleKind.CLINIC
    every_n_weeks: int = 1
    anchor_on: date | None = None
    nth_of_month: int | None = None
    audience: Audience = Audience.PUBLIC
    release_policy: ReleasePolicy = ReleasePolicy.AT_ONCE
    release_before: int = 0
    release_at_min: int = 0
    modes: Modes = ALL_MODES
    visit_type_ids: VisitTypeIds = ALL_VISIT_TYPES

    def columns(self) -> dict[str, Any]:
        """As the table keeps it."""
        return dict(self.__dict__)

    def check(self, today: date, grid_min: int) -> None:
        """Refuse what cannot be meant.

        Raises: InvalidRequest, naming the field in its facts. Source: UC4.2.
        """
        if not 0 < self.ends_min - self.starts_min <= DAY_MIN:
            raise InvalidRequest(
                N_("Enter an end after the start. For hours past midnight, tick that they end the next day."),
                field="ends",
            )
        for field, minute in (("starts", self.starts_min), ("ends", self.ends_min)):
            if minute % grid_min:
                raise InvalidRequest(N_("Enter a time in steps of %(grid)s minutes."), field=field, grid=grid_min)
        if self.valid_from < today:
            raise InvalidRequest(N_("Enter a first day that is today or later."), field="valid_from")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise InvalidRequest(N_("Enter a last day that is not before the first."), field="valid_until")
        self._check_rhythm()

    def _check_rhythm(self) -> None:
        if not 1 <= self.every_n_weeks <= MOST_WEEKS:
            raise InvalidRequest(N_("Enter a number of weeks from 1 to 52."), field="every_n_weeks")
        if self.nth_of_month is not None and not 1 <= self.nth_of_month <= 5:
            raise InvalidRequest(N_("Choose which week of the month."), field="nth_of_month")
        if not 0 <= self.release_before <= 365:
            raise InvalidRequest(N_("Enter a number from 0 to 365."), field="release_before")
        if not self.modes:
            raise InvalidRequest(N_("Choose at least one way of seeing patients."), field="modes")


class _Stretch(NamedTuple):
    """When and where somebody works, with what they need around it to get there and away."""

    starts_at: datetime
    ends_at: datetime
    location_id: int
    way: timedelta = timedelta()

    @property
    def needs(self) -> tuple[datetime, datetime]:
        return self.starts_at - self.way, self.ends_at + self.way


def check_overlap(blocks: Iterable[Block], others: Iterable[AvailabilityRule], zones: Mapping[int, str],
                  today: date, travel_min: int = 0) -> None:  # fmt: skip
    """Refuse blocks in which the practitioner would be in two at once, or on the way; breaks may lie over anything.

    Args: others, the rules that go on; zones, of each location; travel_min, from one location to another.
    Raises: InvalidRequest, naming the day. Source: UC4.2; clinic.md A13.9.
    """
    kept: list[_Stretch] = []
    for other in others:
        if other.kind is RuleKind.CLINIC:
            kept += _times(other, zones, today)
    way = timedelta(minutes=travel_min)
    for block in blocks:
        if block.kind is not RuleKind.CLINIC:
            continue
        times = list(_times(block, zones, today))
        far = [one._replace(way=way) for one in kept if one.location_id != block.location_id]
        for others_times in (kept, far):
            clash = _first_meeting(sorted(others_times), times)
            if clash is not None:
                raise _refusal(clash, zones[block.location_id])
        kept += times


def _refusal(clash: _Stretch, zone: str) -> InvalidRequest:
    told = {
        "start": clock.local(clash.starts_at, zone).strftime("%H:%M"),
        "end": clock.local(clash.ends_at, zone).strftime("%H:%M"),
        "day": clock.local_date(clash.starts_at, zone).isoformat(),
    }
    if not clash.way:
        words = N_("There are hours from %(start)s to %(end)s on %(day)s already. Change those, or choose others.")
        return InvalidRequest(words, field="starts", **told)
    words = N_(
        "There are hours at another place from %(start)s to %(end)s on %(day)s. Leave %(minutes)s minutes for the way."
    )
    return InvalidRequest(words, field="starts", minutes=int(clash.way.total_seconds()) // 60, **told)


def _times(block: Block | AvailabilityRule, zones: Mapping[int, str], today: date) -> Iterator[_Stretch]:
    zone = zones[block.location_id]
    first = max(block.valid_from, today)
    day = first + timedelta(days=(block.weekday - first.weekday()) % 7)
    last = min(block.valid_until or date.max, today + COMPARED)
    while day <= last:
        if takes_place_on(block, day):
            starts_at = wall_to_instant(day, block.starts_min, zone)
            yield _Stretch(starts_at, wall_to_instant(day, block.ends_min, zone), block.location_id)
        day += timedelta(days=7)


def _first_meeting(kept: list[_Stretch], times: list[_Stretch]) -> _Stretch | None:
    """The first of the kept stretches that one of the others comes too near; both in order."""
    at = 0
    for one in times:
        while at < len(kept) and kept[at].needs[1] <= one.starts_at:
            at += 1
        if at < len(kept) and kept[at].needs[0] < one.ends_at:
            return kept[at]
    return None


@dataclass(frozen=True)
class Away:
    """Time off, or extra hours, on the wall clock of `zone`; the end is not part of it."""

    kind: ExceptionKind
    zone: str
    starts_on: date
    starts_min: int
    ends_on: date
    ends_min: int
    location_id: int | None = None
    # Only people at the clinic read it.
    reason: str = ""
    modes: Modes = ALL_MODES
    visit_type_ids: VisitTypeIds = ALL_VISIT_TYPES

    def columns(self) -> dict[str, Any]:
        """As the table keeps it."""
        return {**self.__dict__, "status": ExceptionStatus.APPROVED}

    def bounds(self) -> tuple[datetime, datetime]:
        """First instant of it, and first instant after it."""
        return (
            wall_to_instant(self.starts_on, self.starts_min, self.zone),
            wall_to_instant(self.ends_on, self.ends_min, self.zone),
        )

    def check(self, now: datetime, grid_min: int) -> None:
        """Refuse what cannot be meant.

        Raises: InvalidRequest, naming the field in its facts. Source: UC4.2.
        """
        low, high = self.bounds()
        if high <= low:
            raise InvalidRequest(N_("Enter an end after the start."), field="ends_on")
        if high <= now:
            raise InvalidRequest(N_("Enter days that are not over."), field="starts_on")
        if len(self.reason) > MAX_REASON:
            raise InvalidRequest(N_("Use %(most)s characters or fewer."), field="reason", most=MAX_REASON)
        is_extra = self.kind is ExceptionKind.EXTRA
        if high - low > (LONGEST_EXTRA if is_extra else LONGEST_AWAY):
            raise InvalidRequest(N_("Enter a shorter time: no more than %(days)s days."), field="ends_on",
                                 days=(LONGEST_EXTRA if is_extra else LONGEST_AWAY).days)  # fmt: skip
        if is_extra and (self.starts_min % grid_min or self.ends_min % grid_min):
            raise InvalidRequest(N_("Enter a time in steps of %(grid)s minutes."), field="starts", grid=grid_min)


def plain(values: Block | Away) -> dict[str, Any]:
    """What was entered as plain values: to tell two forms apart."""
    return {name: _plain(value) for name, value in values.columns().items()}


def told_of(row: AvailabilityRule | AvailabilityException) -> dict[str, Any]:
    """What the audit log tells about a row of hours; why somebody is away is not repeated there."""
    hidden = {"id", "reason"}
    return {
        column.name: _plain(getattr(row, column.name))
        for column in type(row).__table__.columns
        if column.name not in hidden
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(getattr(one, "value", one) for one in value)
    return getattr(value, "value", value)
