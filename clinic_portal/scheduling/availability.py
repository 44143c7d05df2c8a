"""From weekly rules, exceptions and closures to the sessions they mean. Pure: no database and no present moment.

All of it is arithmetic on cells. A block of hours keeps the whole cells inside it; whatever takes time away takes every
cell it touches. A practitioner is in one place at a time, so a cell belongs to one block at most: to the oldest weekly
rule that is open then, and to extra hours only where no rule is. Each block is cut into sessions by itself, always from
the left, so the same rules give the same sessions whatever days are asked for.

Breaks shorten weekly hours only: somebody who offers extra hours over lunch means it. Time off and closures take all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from clinic_portal.clock import ALWAYS, DAY_MIN, local_date, wall_to_instant
from clinic_portal.models import (
    MAX_CELLS,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Location,
    Modes,
    ReleasePolicy,
    RuleKind,
    VisitTypeIds,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.strips import Span, Strip, cells_touched, cells_within, strip_over

# A block lasts a day at most and zones differ by 26 hours: what lies further from a block never meets it.
REACH = timedelta(days=4)


@dataclass(frozen=True)
class PractitionerPlan:
    """All that decides when one practitioner works; locations by id."""

    rules: Sequence[AvailabilityRule]
    exceptions: Sequence[AvailabilityException]
    closures: Sequence[Closure]
    locations: Mapping[int, Location]


class Terms(NamedTuple):
    """For whom, from when, for which modes and kinds of visits the time is, and which rule or exception makes it."""

    audience: Audience
    bookable_from: datetime
    modes: Modes
    visit_type_ids: VisitTypeIds
    rule_id: int | None
    exception_id: int | None


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A stretch of work as the rules mean it."""

    location_id: int
    first_cell: int
    cell_count: int
    terms: Terms

    @property
    def end_cell(self) -> int:
        return self.first_cell + self.cell_count


def derive_sessions(plan: PractitionerPlan, first_day: date, last_day: date, grid_min: int) -> list[PlannedSession]:
    """The sessions that begin on these days, in order, none overlapping another.

    Args: both days included; grid_min is the length of a cell in minutes.
    Times: days and hours on the wall clock of each location.
    Source: UC4.1, UC4.5; clinic.md A6.
    """
    days = _Days(first_day - REACH, last_day + REACH)
    strip = strip_over(days.first, days.last, grid_min)
    off = strip.mask(_off_hours(plan, grid_min))
    breaks = strip.mask(_break_hours(plan, days, grid_min))
    shut = {location_id: strip.mask(_shut_days(plan, location_id, grid_min)) for location_id in plan.locations}
    found: list[PlannedSession] = []
    taken = 0
    for block in _blocks(plan, days, strip, grid_min):
        away = off | shut[block.location_id] | taken | (0 if block.terms.rule_id is None else breaks)
        is_open = masks.run(block.cell_count) & ~strip.cut(away, block.first_cell, block.cell_count)
        taken |= is_open << (block.first_cell - strip.first_cell)
        found += _pieces(block, is_open)
    return sorted(
        (piece for piece in found if first_day <= _begins_on(piece, plan, grid_min) <= last_day),
        key=lambda piece: piece.first_cell,
    )


@dataclass(frozen=True, slots=True)
class _Days:
    first: date
    last: date

    def weekly(self, weekday: int) -> Iterator[date]:
        day = self.first + timedelta(days=(weekday - self.first.weekday()) % 7)
        while day <= self.last:
            yield day
            day += timedelta(days=7)


def _blocks(plan: PractitionerPlan, days: _Days, strip: Strip, grid_min: int) -> Iterator[PlannedSession]:
    """Every block at an open location, in the order in which they get their cells; of any length."""
    for rule in sorted(plan.rules, key=lambda rule: rule.id):
        if rule.kind is RuleKind.CLINIC and plan.locations[rule.location_id].is_active:
            yield from _rule_blocks(rule, plan.locations[rule.location_id].zone, days, grid_min)
    for extra in sorted(_approved(plan, ExceptionKind.EXTRA), key=lambda extra: extra.id):
        if extra.location_id is not None and plan.locations[extra.location_id].is_active:
            yield from _extra_blocks(extra, extra.location_id, strip, grid_min)


def _rule_blocks(rule: AvailabilityRule, zone: str, days: _Days, grid_min: int) -> Iterator[PlannedSession]:
    audience = Audience.STAFF if rule.release_policy is ReleasePolicy.NEVER else rule.audience
    for day, starts_at, ends_at in _occurrences(rule, zone, days):
        first, end = cells_within(starts_at, ends_at, grid_min)
        if first < end:
            bookable_from = _bookable_from(rule, day, starts_at, zone)
            terms = Terms(audience, bookable_from, rule.modes, rule.visit_type_ids, rule.id, None)
            yield PlannedSession(rule.location_id, first, end - first, terms)


def _extra_blocks(
    extra: AvailabilityException, location_id: int, strip: Strip, grid_min: int
) -> Iterator[PlannedSession]:
    """Extra hours, in blocks of a day counted from their start: so no block outgrows REACH."""
    starts_at = wall_to_instant(extra.starts_on, extra.starts_min, extra.zone)
    ends_at = wall_to_instant(extra.ends_on, extra.ends_min, extra.zone)
    first, end = cells_within(starts_at, ends_at, grid_min)
    day = DAY_MIN // grid_min
    for low in range(first, end, day):
        if strip.first_cell <= low and low + day <= strip.end_cell:
            terms = Terms(Audience.PUBLIC, ALWAYS, extra.modes, extra.visit_type_ids, None, extra.id)
            yield PlannedSession(location_id, low, min(day, end - low), terms)


def _occurrences(rule: AvailabilityRule, zone: str, days: _Days) -> Iterator[tuple[date, datetime, datetime]]:
    for day in days.weekly(rule.weekday):
        if takes_place_on(rule, day):
            yield day, wall_to_instant(day, rule.starts_min, zone), wall_to_instant(day, rule.ends_min, zone)


class Rhythm(Protocol):
    """What says in which weeks a block takes place."""

    @property
    def valid_from(self) -> date: ...

    @property
    def valid_until(self) -> date | None: ...

    @property
    def every_n_weeks(self) -> int: ...

    @property
    def anchor_on(self) -> date | None: ...

    @property
    def nth_of_month(self) -> int | None: ...


def takes_place_on(rule: Rhythm, day: date) -> bool:
    """Whether a rule has a block on this day, which is of the right weekday."""
    if day < rule.valid_from or (rule.valid_until is not None and day > rule.valid_until):
        return False
    if rule.nth_of_month is not None and (day.day - 1) // 7 + 1 != rule.nth_of_month:
        return False
    # Counted from Monday to Monday: a year of 53 ISO weeks would flip odd and even. Every week needs no anchor.
    anchor = rule.anchor_on or rule.valid_from
    return (_monday(day) - _monday(anchor)).days // 7 % rule.every_n_weeks == 0


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _bookable_from(rule: AvailabilityRule, day: date, starts_at: datetime, zone: str) -> datetime:
    """From when patients may book the block that begins on this day.

    Times: days before count on the calendar and the wall clock; hours before are real hours.
    """
    if rule.release_policy is ReleasePolicy.DAYS_BEFORE:
        return wall_to_instant(day - timedelta(days=rule.release_before), rule.release_at_min, zone)
    if rule.release_policy is ReleasePolicy.HOURS_BEFORE:
        return starts_at - timedelta(hours=rule.release_before)
    return ALWAYS


def _break_hours(plan: PractitionerPlan, days: _Days, grid_min: int) -> Iterator[Span]:
    for rule in plan.rules:
        if rule.kind is RuleKind.BREAK:
            for _, starts_at, ends_at in _occurrences(rule, plan.locations[rule.location_id].zone, days):
                yield cells_touched(starts_at, ends_at, grid_min)


def _off_hours(plan: PractitionerPlan, grid_min: int) -> Iterator[Span]:
    for off in _approved(plan, ExceptionKind.OFF):
        starts_at = wall_to_instant(off.starts_on, off.starts_min, off.zone)
        yield cells_touched(starts_at, wall_to_instant(off.ends_on, off.ends_min, off.zone), grid_min)


def _shut_days(plan: PractitionerPlan, location_id: int, grid_min: int) -> Iterator[Span]:
    zone = plan.locations[location_id].zone
    for closure in plan.closures:
        if closure.location_id in (None, location_id):
            starts_at = wall_to_instant(closure.first_on, 0, zone)
            yield cells_touched(starts_at, wall_to_instant(closure.last_on, DAY_MIN, zone), grid_min)


def _approved(plan: PractitionerPlan, kind: ExceptionKind) -> list[AvailabilityException]:
    return [row for row in plan.exceptions if row.kind is kind and row.status is ExceptionStatus.APPROVED]


def _pieces(block: PlannedSession, is_open: int) -> Iterator[PlannedSession]:
    """What is left of a block, as sessions of at most MAX_CELLS, each stretch cut from its left."""
    first = block.first_cell
    while is_open:
        skipped = (is_open & -is_open).bit_length() - 1
        is_open >>= skipped
        length = min((~is_open & -~is_open).bit_length() - 1, MAX_CELLS)
        first += skipped
        yield replace(block, first_cell=first, cell_count=length)
        is_open >>= length
        first += length


def _begins_on(piece: PlannedSession, plan: PractitionerPlan, grid_min: int) -> date:
    return local_date(masks.to_instant(piece.first_cell, grid_min), plan.locations[piece.location_id].zone)
