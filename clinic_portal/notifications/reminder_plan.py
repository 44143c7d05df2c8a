"""Which reminders one patient gets, and when: worked out from all their visits at once. Pure.

Two visits on one day share their reminders: the one that would come first tells of both.
Source: UC6.2; clinic.md 7.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from clinic_portal import clock
from clinic_portal.notifications.reminder_rules import Offset, Rules

# Two reminders are at least so long apart.
APART = timedelta(hours=12)
# Who books closer than this is not reminded of what they did yesterday.
NONE_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Ahead:
    """A booked visit still to come, and what was done about its reminders so far.

    `since`: when it got its present time. `waiting`: when reminders leave that are written and have not left, by label.
    `told`: when those left that did, or are leaving now; alone or together with another visit's.
    """

    id: int
    starts_at: datetime
    zone: str
    since: datetime
    is_private: bool
    rules: Rules
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    told: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def day(self) -> tuple[date, bool]:
        """What its reminders may be shared for: the day at its place, and who may read of it."""
        return clock.local_date(self.starts_at, self.zone), self.is_private


@dataclass(frozen=True)
class Slot:
    """When one reminder of a visit leaves; `is_shared`: the mail is written about another visit and names this one."""

    due_at: datetime
    is_shared: bool = False


def plan(visits: Iterable[Ahead], now: datetime) -> dict[tuple[int, str], Slot]:
    """The reminders still to come, by visit and label."""
    by_day: dict[tuple[date, bool], list[Ahead]] = defaultdict(list)
    for visit in visits:
        by_day[visit.day].append(visit)
    slots: dict[tuple[int, str], Slot] = {}
    for together in by_day.values():
        slots.update(_plan_day(together, now))
    return slots


def _plan_day(visits: list[Ahead], now: datetime) -> dict[tuple[int, str], Slot]:
    by_label: dict[str, list[tuple[datetime, datetime, int]]] = defaultdict(list)
    for visit in visits:
        told_nearby = [(label, at) for other in visits if other is not visit for label, at in other.told.items()]
        for offset, due_at in _wanted(visit, told_nearby, now).items():
            by_label[offset.label].append((due_at, visit.starts_at, visit.id))
    slots = {}
    for label, wanted in by_label.items():
        first_due_at, _, first_id = min(wanted)
        for due_at, _, visit_id in wanted:
            is_shared = Offset(label).is_days and visit_id != first_id
            slots[visit_id, label] = Slot(first_due_at if is_shared else due_at, is_shared)
    return slots


def _wanted(visit: Ahead, told_nearby: list[tuple[str, datetime]], now: datetime) -> dict[Offset, datetime]:
    """What a visit would get if it were alone on its day, but for what its patient was told about that day already."""
    if visit.starts_at - visit.since < NONE_WITHIN:
        return {}
    wanted: dict[Offset, datetime] = {}
    for due_at, offset in sorted(_possible(visit, now), key=lambda each: each[0]):
        others = [*visit.told.values(), *wanted.values()]
        if offset.is_days:
            others += [at for label, at in told_nearby if label == offset.label]
        if all(abs(due_at - other) >= APART for other in others):
            wanted[offset] = due_at
    return wanted


def _possible(visit: Ahead, now: datetime) -> Iterable[tuple[datetime, Offset]]:
    """Reminders that have not left and whose time is ahead; one that waits to leave keeps its time, if late."""
    for offset in visit.rules.offsets:
        due_at = visit.rules.due_at(offset, visit.starts_at, visit.zone)
        is_inside = visit.since > offset.before(visit.starts_at, visit.zone)
        if offset.label in visit.told or is_inside:
            continue
        if due_at > now:
            yield due_at, offset
        elif offset.label in visit.waiting:
            yield visit.waiting[offset.label], offset
