"""Which times are free: one query over sessions, arithmetic on their masks. Never names a practitioner to a patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import (
    ACTIVE,
    MAX_CELLS,
    Appointment,
    Audience,
    ClinicSession,
    PractitionerVisitType,
    SessionStatus,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.claims import Part, Piece, held_pieces, not_binding_holds, piece_of
from clinic_portal.scheduling.masks import Stretch
from clinic_portal.scheduling.search import Doer, OwnVisit, Search, Terms, load_terms, own_visits
from clinic_portal.scheduling.strips import first_cell_from

WEEK = 7
ALTERNATIVES = 3
# How far around a lost time the nearest others are looked for.
ALTERNATIVES_DAYS = 14


@dataclass(frozen=True)
class FreeTime:
    """A start that can be booked now, and the places where."""

    starts_at: datetime
    location_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkStretch:
    """Neighbouring sessions of one practitioner at one place; `usable` adds the cells of holds that do not bind."""

    practitioner_id: int
    location_id: int
    cells: Stretch
    usable: int
    parts: tuple[Part, ...]


_SESSIONS = (
    select(
        ClinicSession.practitioner_id,
        ClinicSession.location_id,
        ClinicSession.first_cell,
        ClinicSession.cell_count,
        ClinicSession.free,
        ClinicSession.id,
    )
    .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
    .where(
        PractitionerVisitType.visit_type_id == bindparam("visit_type_id"),
        ClinicSession.first_cell > bindparam("low"),
        ClinicSession.first_cell < bindparam("high"),
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.audience == Audience.PUBLIC,
        ClinicSession.bookable_from <= bindparam("now"),
    )
    .order_by(ClinicSession.practitioner_id, ClinicSession.first_cell)
)
_MOVING = select(Appointment.practitioner_id, Appointment.blocked_from, Appointment.blocked_until).where(
    Appointment.id == bindparam("moving_id"), Appointment.lane == 0, Appointment.status.in_(ACTIVE)
)


def read_stretches(session: Session, terms: Terms, low_cell: int, high_cell: int) -> list[WorkStretch]:
    """All public time of those who do such visits that meets the cells [low, high), neighbours joined.

    Reads further on both sides, so that a start near an end sees the hours around it.
    """
    # A visit at the first cell may need the buffer before it, and one at the last the cells after it.
    reach = max((doer.blocked_cells for doer in terms.doers.values()), default=0)
    rows = run(
        session,
        _SESSIONS,
        {
            "visit_type_id": terms.search.visit_type_id,
            "low": low_cell - MAX_CELLS - reach,
            "high": high_cell + MAX_CELLS + reach,
            "now": terms.now,
        },
    ).all()
    meant = [row for row in rows if row.practitioner_id in terms.doers and row.location_id in terms.zones]
    return list(_joined(meant, _open_pieces(session, terms)))


def _open_pieces(session: Session, terms: Terms) -> dict[int, list[Piece]]:
    """Cells by practitioner that look taken and are not: of holds that do not bind, and of the visit to be moved."""
    found: dict[int, list[Piece]] = {}
    for hold in not_binding_holds(session, terms.now, terms.search.account_id):
        if hold.lane == 0:
            found.setdefault(hold.practitioner_id, []).extend(held_pieces(hold, terms.grid_min))
    if terms.search.moving_id is not None:
        visit = run(session, _MOVING, {"moving_id": terms.search.moving_id}).one_or_none()
        if visit is not None and visit.blocked_from is not None:
            piece = piece_of(visit.blocked_from, visit.blocked_until, terms.grid_min)
            found.setdefault(visit.practitioner_id, []).append(piece)
    return found


def _joined(rows: Iterable[Any], open_pieces: dict[int, list[Piece]]) -> Iterator[WorkStretch]:
    """Join sessions that follow each other without a gap at one place, so that a visit may lie across them."""
    group: list[Any] = []
    for row in rows:
        if group and not _follows(group[-1], row):
            yield _stretch(group, open_pieces)
            group = []
        group.append(row)
    if group:
        yield _stretch(group, open_pieces)


def _follows(before: Any, after: Any) -> bool:
    same = before.practitioner_id == after.practitioner_id and before.location_id == after.location_id
    return bool(same and before.first_cell + before.cell_count == after.first_cell)


def _stretch(group: list[Any], open_pieces: dict[int, list[Piece]]) -> WorkStretch:
    first, free, count = group[0].first_cell, 0, 0
    for row in group:
        free |= row.free << count
        count += row.cell_count
    usable = free
    for piece in open_pieces.get(group[0].practitioner_id, ()):
        usable |= masks.covered(first, count, *piece)
    parts = tuple(Part(row.id, row.first_cell, row.cell_count) for row in group)
    return WorkStretch(group[0].practitioner_id, group[0].location_id, Stretch(first, count, free), usable, parts)


def offered_starts(stretch: WorkStretch, doer: Doer, step_cells: int) -> int:
    """Bit i is set where a visit (not its buffer) may start: cells enough, on a start step or the last that fits."""
    cells = stretch.cells
    blocks = masks.starts(stretch.usable, doer.blocked_cells)
    if not blocks:
        return 0
    allowed = masks.aligned(cells.first_cell, cells.cell_count, step_cells)
    last = cells.cell_count - doer.blocked_cells + doer.before_cells
    return (blocks << doer.before_cells) & (allowed | 1 << last)


def without_own_visits(starts: int, first_cell: int, doer: Doer, own: list[OwnVisit], grid_min: int) -> int:
    """Take away the starts at which the patient would be in two places."""
    for visit in own:
        low, high = piece_of(visit.starts_at, visit.ends_at, grid_min)
        # A visit of n cells meets [low, high) when it starts after low - n and before high.
        low, high = low - doer.visit_cells + 1 - first_cell, high - first_cell
        if high > 0:
            starts &= ~(masks.run(high - max(low, 0)) << max(low, 0))
    return starts


def _starts_by_place(session: Session, terms: Terms, low: datetime, high: datetime) -> dict[int, tuple[int, int]]:
    """For each place one long mask of free starts in [low, high), and the cell of its first bit."""
    # Midnight of a zone that is 45 minutes off lies between two cells of a 10-minute grid.
    base = first_cell_from(low, terms.grid_min)
    count = max(0, first_cell_from(high, terms.grid_min) - base)
    own = own_visits(session, terms.search, low, high + timedelta(days=1))
    found = dict.fromkeys(terms.zones, 0)
    for stretch in read_stretches(session, terms, base, base + count):
        doer, first = terms.doers[stretch.practitioner_id], stretch.cells.first_cell
        starts = without_own_visits(offered_starts(stretch, doer, terms.step_cells), first, doer, own, terms.grid_min)
        found[stretch.location_id] |= starts << (first - base) if first >= base else starts >> (base - first)
    return {place: (mask & masks.run(count), base) for place, mask in found.items()}


def free_times_between(session: Session, terms: Terms, low: datetime, high: datetime) -> list[FreeTime]:
    """The starts free now in [low, high), in order."""
    places = _starts_by_place(session, terms, low, high)
    together = 0
    for mask, _ in places.values():
        together |= mask
    base = next(iter(places.values()))[1]
    return [
        FreeTime(
            masks.to_instant(base + bit, terms.grid_min),
            tuple(place for place, (mask, _) in places.items() if mask >> bit & 1),
        )
        for bit in masks.bits(together)
    ]


def find_free_times(session: Session, search: Search, first_day: date, days: int) -> dict[date, list[FreeTime]]:
    """The times that can really be booked now, by local day; a day without any has an empty list.

    Args: days, how many from `first_day` on.
    Times: days are those of the place; instants are UTC.
    Raises: NotFound when the visit type or place is not offered.
    Source: UC2.1.
    """
    return free_days(session, load_terms(session, search), first_day, days)


def free_days(session: Session, terms: Terms, first_day: date, days: int) -> dict[date, list[FreeTime]]:
    """As `find_free_times`, with the terms already read."""
    found: dict[date, list[FreeTime]] = {first_day + timedelta(days=offset): [] for offset in range(days)}
    low, high = terms.window(first_day, days)
    if low < high:
        for time in free_times_between(session, terms, low, high):
            day = clock.local_date(time.starts_at, terms.zones[time.location_ids[0]])
            if day in found:
                found[day].append(time)
    return found


def bookable_range(session: Session, search: Search) -> tuple[date, date]:
    """First and last local day that notice and horizon allow."""
    return load_terms(session, search).day_range()


def first_free_day(session: Session, search: Search) -> date | None:
    """The first local day with a free time, or None when the horizon has none; looks a week at a time."""
    terms = load_terms(session, search)
    day, last = terms.day_range()
    while day <= last:
        for found, times in free_days(session, terms, day, WEEK).items():
            if times:
                return found
        day += timedelta(days=WEEK)
    return None


def nearest_alternatives(session: Session, search: Search, wanted_at: datetime) -> list[FreeTime]:
    """Up to three times to offer instead of a lost one: same day, same time on another day, earliest; then the nearest.

    Source: UC3.2.
    """
    terms = load_terms(session, search)
    zone = next(iter(terms.zones.values()))
    first, last = terms.day_range()
    wanted_day = min(max(clock.local_date(wanted_at, zone), first), last)
    days = free_days(session, terms, max(first, wanted_day - timedelta(days=WEEK)), WEEK + ALTERNATIVES_DAYS)
    every = [time for times in days.values() for time in times if time.starts_at != wanted_at]
    return sorted(_chosen(every, wanted_at, zone), key=lambda time: time.starts_at)


def _chosen(every: list[FreeTime], wanted_at: datetime, zone: str) -> list[FreeTime]:
    def gap(time: FreeTime) -> timedelta:
        return abs(time.starts_at - wanted_at)

    wanted = clock.local(wanted_at, zone)
    same_day = [time for time in every if clock.local_date(time.starts_at, zone) == wanted.date()]
    same_hour = [time for time in every if clock.local(time.starts_at, zone).time() == wanted.time()]
    picks = [min(group, key=gap) for group in (same_day, same_hour) if group] + every[:1] + sorted(every, key=gap)
    return list(dict.fromkeys(picks))[:ALTERNATIVES]
