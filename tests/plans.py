"""Plans of one practitioner at two places, written as a clinic would say them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from clinic_portal import clock
from clinic_portal.models import (
    ALL_MODES,
    ALL_VISIT_TYPES,
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
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.availability import PlannedSession, PractitionerPlan, derive_sessions
from tests.world import GRID

LONDON = "Europe/London"
HARBOUR, MILL = 1, 2
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
PLAIN_MONDAY = date(2026, 3, 2)


def hm(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def rule(
    weekday: int, starts: str, ends: str, *, number: int = 1, location_id: int = HARBOUR, **more: object
) -> AvailabilityRule:
    values = {
        "kind": RuleKind.CLINIC, "valid_from": date(2020, 1, 1), "valid_until": None, "every_n_weeks": 1,
        "anchor_on": None, "nth_of_month": None, "audience": Audience.PUBLIC,
        "release_policy": ReleasePolicy.AT_ONCE, "release_before": 0, "release_at_min": 0, "modes": ALL_MODES,
        "visit_type_ids": ALL_VISIT_TYPES,
    }  # fmt: skip
    return AvailabilityRule(id=number, practitioner_id=1, location_id=location_id, weekday=weekday,
                            starts_min=hm(starts), ends_min=hm(ends), **{**values, **more})  # fmt: skip


def pause(weekday: int, starts: str, ends: str, *, number: int = 90, location_id: int = HARBOUR) -> AvailabilityRule:
    return rule(weekday, starts, ends, number=number, location_id=location_id, kind=RuleKind.BREAK)


def change(
    kind: ExceptionKind, starts_on: date, starts: str, ends_on: date, ends: str, *, number: int = 1,
    location_id: int | None = None, status: ExceptionStatus = ExceptionStatus.APPROVED, zone: str = LONDON,
    modes: Modes = ALL_MODES,
) -> AvailabilityException:  # fmt: skip
    return AvailabilityException(id=number, practitioner_id=1, kind=kind, status=status, zone=zone,
                                 location_id=location_id, starts_on=starts_on, starts_min=hm(starts), ends_on=ends_on,
                                 ends_min=hm(ends), modes=modes, visit_type_ids=ALL_VISIT_TYPES)  # fmt: skip


def off(day: date, starts: str = "0:00", ends: str = "24:00", **more: object) -> AvailabilityException:
    return change(ExceptionKind.OFF, day, starts, day, ends, **more)  # type: ignore[arg-type]


def extra(day: date, starts: str, ends: str, location_id: int = HARBOUR, **more: object) -> AvailabilityException:
    return change(ExceptionKind.EXTRA, day, starts, day, ends, location_id=location_id, **more)  # type: ignore[arg-type]


def plan(
    *rules: AvailabilityRule,
    exceptions: Sequence[AvailabilityException] = (),
    closures: Sequence[Closure] = (),
    zones: tuple[str, str] = (LONDON, LONDON),
) -> PractitionerPlan:
    places = {
        key: Location(id=key, zone=zone, is_active=True) for key, zone in zip((HARBOUR, MILL), zones, strict=True)
    }
    return PractitionerPlan(rules, exceptions, closures, places)


def hours(plan: PractitionerPlan, day: date, until: date | None = None) -> list[str]:
    """Sessions that begin on these days, as the wall clock shows them."""
    found = []
    for each in derive_sessions(plan, day, until or day, GRID):
        zone = plan.locations[each.location_id].zone
        low, high = (clock.local(masks.to_instant(c, GRID), zone) for c in (each.first_cell, each.end_cell))
        found.append(f"{low:%H:%M}-{high:%H:%M}")
    return found


def begins(each: PlannedSession) -> datetime:
    return masks.to_instant(each.first_cell, GRID)
