"""From rules to sessions: every minute compared with a model that walks along the wall clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_portal import clock
from clinic_portal.models import (
    ALL_MODES,
    ALL_VISIT_TYPES,
    MAX_CELLS,
    AvailabilityException,
    AvailabilityRule,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Mode,
    Modes,
    RuleKind,
    VisitTypeIds,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.availability import PlannedSession, PractitionerPlan, derive_sessions
from tests.plans import AUTUMN, HARBOUR, MILL, SPRING, begins, change, plan, rule
from tests.world import GRID

CHANGE_DAYS = {
    "Europe/London": (SPRING, AUTUMN),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "Asia/Kolkata": (SPRING, AUTUMN),
    "America/Santiago": (date(2026, 9, 6), date(2026, 4, 4)),
}
ALL_ZONES = sorted(CHANGE_DAYS)
# Place, rule, exception, modes, kinds of visits.
Owner = tuple[int, int | None, int | None, Modes, VisitTypeIds]
VISIT_TYPES = [ALL_VISIT_TYPES, frozenset({7}), frozenset({7, 8})]
MODES = [ALL_MODES, frozenset({Mode.PHONE}), frozenset({Mode.IN_PERSON, Mode.VIDEO})]


@cache
def walk(zone: str, first_day: date, days: int) -> list[datetime]:
    """What a wall clock shows at every UTC minute, were it never turned back: a repeated hour waits at its end."""
    start, found = datetime.combine(first_day, time.min, UTC), []
    latest = datetime.combine(date.min, time.min)
    for minute in range(-120, days * 1440):
        shown = (start + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        latest = max(latest, shown)
        found.append(latest)
    return found[120:]


def meant(each: AvailabilityRule, day: date) -> bool:
    """Whether a rule begins on a day, found by counting instead of dividing."""
    if day.weekday() != each.weekday or day < each.valid_from:
        return False
    if each.valid_until is not None and day > each.valid_until:
        return False
    if each.nth_of_month is not None:
        same = [d for d in range(1, day.day + 1) if day.replace(day=d).weekday() == day.weekday()]
        if len(same) != each.nth_of_month:
            return False
    anchor = each.anchor_on or day
    while anchor.weekday() != day.weekday():
        anchor += timedelta(days=1 if day.weekday() > anchor.weekday() else -1)
    while anchor < day:
        anchor += timedelta(weeks=each.every_n_weeks)
    while anchor > day:
        anchor -= timedelta(weeks=each.every_n_weeks)
    return anchor == day


@dataclass
class Model:
    """Open or not, minute by minute, asked of the wall clocks."""

    plan: PractitionerPlan
    first_day: date
    days: int

    def walk(self, zone: str) -> list[datetime]:
        return walk(zone, self.first_day, self.days)

    def minutes_of_rule(self, each: AvailabilityRule) -> list[bool]:
        begins_on = cache(lambda day: meant(each, day))
        return [
            any(
                each.starts_min <= (shown.hour + 24 * back) * 60 + shown.minute < each.ends_min
                and begins_on(shown.date() - timedelta(days=back))
                for back in (0, 1)
            )
            for shown in self.walk(self.plan.locations[each.location_id].zone)
        ]

    def minutes_of_exception(self, each: AvailabilityException) -> list[bool]:
        low = datetime.combine(each.starts_on, time.min) + timedelta(minutes=each.starts_min)
        high = datetime.combine(each.ends_on, time.min) + timedelta(minutes=each.ends_min)
        is_approved = each.status is ExceptionStatus.APPROVED
        return [is_approved and low <= shown < high for shown in self.walk(each.zone)]

    def minutes_shut(self, location_id: int) -> list[bool]:
        shut = [each for each in self.plan.closures if each.location_id in (None, location_id)]
        zone = self.plan.locations[location_id].zone
        return [any(each.first_on <= shown.date() <= each.last_on for each in shut) for shown in self.walk(zone)]

    def owners(self, grid_min: int) -> list[Owner | None]:
        """For each cell its place, rule and exception, and for which modes and kinds of visits it is."""
        rules = sorted(self.plan.rules, key=lambda each: each.id)
        pauses = [self.minutes_of_rule(each) for each in rules if each.kind is RuleKind.BREAK]
        exceptions = sorted(self.plan.exceptions, key=lambda each: each.id)
        offs = [self.minutes_of_exception(each) for each in exceptions if each.kind is ExceptionKind.OFF]
        shut = {key: self.minutes_shut(key) for key in self.plan.locations}
        claims = [((each.location_id, each.id, None, each.modes, each.visit_type_ids),
                   self.minutes_of_rule(each), [*pauses, *offs])
                  for each in rules if each.kind is RuleKind.CLINIC]  # fmt: skip
        claims += [((each.location_id or 0, None, each.id, each.modes, each.visit_type_ids),
                    self.minutes_of_exception(each), offs)
                   for each in exceptions if each.kind is ExceptionKind.EXTRA]  # fmt: skip
        found: list[Owner | None] = []
        for first in range(0, self.days * 1440, grid_min):
            cell = slice(first, first + grid_min)
            found.append(next((owner for owner, minutes, away in claims
                               if all(minutes[cell]) and not any(any(each[cell]) for each in [*away, shut[owner[0]]])),
                              None))  # fmt: skip
        return found


@st.composite
def plans(draw: st.DrawFn) -> tuple[PractitionerPlan, date]:
    """A few rules of all kinds around a change day of the first place's zone, crowded around the change itself."""
    zone = draw(st.sampled_from(ALL_ZONES))
    zones = (zone, draw(st.sampled_from([zone, zone, *ALL_ZONES])))
    day = draw(st.sampled_from(CHANGE_DAYS[zone]))
    minute = st.sampled_from([0, 30, 60, 75, 90, 100, 120, 150, 180, 183, 240, 540, 720, 1260, 1380, 1410, 1439])
    place = st.sampled_from([HARBOUR, MILL])
    near = st.sampled_from([day + timedelta(days=n) for n in (0, -1, 1, -2)])

    def block(number: int) -> AvailabilityRule:
        each = rule(draw(near).weekday(), "0:00", "0:00", number=number, location_id=draw(place))
        each.starts_min = draw(minute)
        each.ends_min = each.starts_min + draw(st.sampled_from([30, 45, 60, 61, 120, 240, 480, 1440]))
        each.modes = draw(st.sampled_from(MODES))
        each.visit_type_ids = draw(st.sampled_from(VISIT_TYPES))
        each.kind = draw(st.sampled_from([RuleKind.CLINIC, RuleKind.CLINIC, RuleKind.BREAK]))
        odd = draw(st.sampled_from(["", "", "", "weeks", "nth", "from", "until"]))
        if odd == "weeks":
            each.every_n_weeks, each.anchor_on = draw(st.sampled_from([2, 3])), draw(near) - timedelta(weeks=60)
        elif odd == "nth":
            each.nth_of_month = draw(st.sampled_from([1, 2, 4, 5]))
        elif odd == "from":
            each.valid_from = draw(near)
        elif odd == "until":
            each.valid_until = draw(near)
        return each

    def exception(number: int) -> AvailabilityException:
        starts_on = draw(near)
        ends_on = starts_on + timedelta(days=draw(st.sampled_from([0, 0, 1, 2])))
        each = change(draw(st.sampled_from(ExceptionKind)), starts_on, "0:00", ends_on, "24:00", number=number,
                      location_id=draw(place), zone=draw(st.sampled_from(zones)),
                      status=draw(st.sampled_from([ExceptionStatus.APPROVED] * 3 + [*ExceptionStatus])))  # fmt: skip
        each.starts_min, each.ends_min = draw(minute), draw(minute)
        each.modes = draw(st.sampled_from(MODES))
        each.visit_type_ids = draw(st.sampled_from(VISIT_TYPES))
        return each

    rules = [block(number) for number in range(1, draw(st.integers(2, 6)) + 1)]
    exceptions = [exception(number) for number in range(1, draw(st.integers(0, 3)) + 1)]
    closures = [Closure(location_id=draw(st.none() | place), first_on=first, last_on=first, name="Holiday")
                for first in draw(st.lists(near, max_size=1))]  # fmt: skip
    return plan(*rules, exceptions=exceptions, closures=closures, zones=zones), day


def by_cell(found: list[PlannedSession]) -> dict[int, Owner]:
    return {cell: (each.location_id, each.terms.rule_id, each.terms.exception_id, each.terms.modes,
                   each.terms.visit_type_ids)
            for each in found for cell in range(each.first_cell, each.end_cell)}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(plans(), st.sampled_from([5, 10, 15]))
def test_every_cell_is_open_exactly_when_a_walk_along_the_clock_says_so(
    drawn: tuple[PractitionerPlan, date], grid_min: int
) -> None:
    the_plan, day = drawn
    first_day, days = day - timedelta(days=1), 3
    found = derive_sessions(the_plan, day - timedelta(days=4), day + timedelta(days=4), grid_min)
    assert sum(each.cell_count for each in found) == len(by_cell(found)), "two sessions overlap"
    assert all(1 <= each.cell_count <= MAX_CELLS for each in found)
    base = masks.to_cell(datetime.combine(first_day, time.min, UTC), grid_min)
    owners, got = Model(the_plan, first_day, days).owners(grid_min), by_cell(found)
    wrong = [(masks.to_instant(cell, grid_min), got.get(cell), owner)
             for cell, owner in enumerate(owners, base) if got.get(cell) != owner]  # fmt: skip
    assert not wrong


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(-6, 3), st.integers(0, 6))
def test_the_same_rules_give_the_same_sessions_whatever_days_are_asked_for(
    drawn: tuple[PractitionerPlan, date], shift: int, length: int
) -> None:
    the_plan, day = drawn
    first = day + timedelta(days=shift)
    last = first + timedelta(days=length)
    wide = derive_sessions(the_plan, day - timedelta(days=40), day + timedelta(days=40), GRID)

    def is_asked_for(each: PlannedSession) -> bool:
        return first <= clock.local_date(begins(each), the_plan.locations[each.location_id].zone) <= last

    assert derive_sessions(the_plan, first, last, GRID) == [each for each in wide if is_asked_for(each)]
