"""Which times are free: one query over sessions, arithmetic on their masks. Never names a practitioner to a patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from heapq import nsmallest
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import (
    ACTIVE,
    MAX_CELLS,
    MODE_BIT,
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


class FreeTime(NamedTuple):
    """A start that can be booked now, and the places where."""

    starts_at: datetime
    location_ids: tuple[int, ...]


class WorkStretch(NamedTuple):
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
        type_coerce(ClinicSession.modes, Integer).bitwise_and(bindparam("mode", type_=Integer)) != 0,
    )
    .order_by(ClinicSession.practitioner_id, ClinicSession.first_cell)
)
_MOVING = select(Appointment.practitioner_id, Appointment.blocked_from, Appointment.blocked_until).where(
    Appointment.id == bindparam("moving_id"), Appointment.lane == 0, Appointment.status.in_(ACTIVE)
)


# A row of _SESSIONS: practitioner, place, first cell, how many cells, free ones, session.
Row = tuple[int, int, int, int, int, int]


def read_stretches(session: Session, terms: Terms, low_cell: int, high_cell: int) -> list[WorkStretch]:
    """All public time of those who do such visits that meets the cells [low, high), neighbours joined.

    Reads further on both sides, so that a start near an end sees the hours around it.
    """
    groups, open_pieces = _read(session, terms, low_cell, high_cell)
    return [_stretch(group, open_pieces) for group in groups]


def _read(
    session: Session, terms: Terms, low_cell: int, high_cell: int
) -> tuple[Iterator[list[Row]], dict[int, list[Piece]]]:
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
            # Nobody's hours are for visits at home: staff plan these.
            "mode": MODE_BIT.get(terms.search.mode, 0),
        },
    ).all()
    return _joined(rows, terms), _open_pieces(session, terms)


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


def _joined(rows: Iterable[Any], terms: Terms) -> Iterator[list[Row]]:
    """Sessions that follow each other without a gap at one place, together: a visit may lie across them."""
    group: list[Row] = []
    last_practitioner = last_place = last_end = -1
    for row in rows:
        practitioner, place, first, count, _, _ = row
        if practitioner not in terms.doers or place not in terms.zones:
            continue
        if group and not (first == last_end and practitioner == last_practitioner and place == last_place):
            yield group
            group = []
        group.append(row)
        last_practitioner, last_place, last_end = practitioner, place, first + count
    if group:
        yield group


def _stretch(group: list[Row], open_pieces: dict[int, list[Piece]]) -> WorkStretch:
    practitioner, place, start, _, _, _ = group[0]
    free, length, parts = 0, 0, []
    for _, _, first, count, mask, session_id in group:
        free |= mask << length
        length += count
        parts.append(Part(session_id, first, count))
    usable = free
    for piece in open_pieces.get(practitioner, ()):
        usable |= masks.covered(start, length, *piece)
    return WorkStretch(practitioner, place, Stretch(start, length, free), usable, tuple(parts))


def offered_starts(stretch: WorkStretch, doer: Doer, step_cells: int) -> int:
    """Bit i is set where a visit (not its buffer) may start: cells enough, on a start step or the last that fits."""
    blocks = masks.starts(stretch.usable, doer.blocked_cells)
    return _allowed(blocks, stretch.cells.first_cell, stretch.cells.cell_count, doer, step_cells) if blocks else 0


def _allowed(blocks: int, first_cell: int, cell_count: int, doer: Doer, step_cells: int) -> int:
    """Of the places where the cells are enough, those where a visit may start."""
    on_steps = masks.aligned(first_cell, cell_count, step_cells)
    last = cell_count - doer.blocked_cells + doer.before_cells
    return (blocks << doer.before_cells) & (on_steps | 1 << last)


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
    for (place, first, length, doer), blocks in _blocks_alike(session, terms, base, base + count).items():
        starts = _allowed(blocks, first, length, doer, terms.step_cells)
        starts = without_own_visits(starts, first, doer, own, terms.grid_min)
        found[place] |= starts << (first - base) if first >= base else starts >> (base - first)
    return {place: (mask & masks.run(count), base) for place, mask in found.items()}


def _blocks_alike(session: Session, terms: Terms, low: int, high: int) -> dict[tuple[int, int, int, Doer], int]:
    """Where cells enough are free, for stretches of the same place, hours and lengths of visit together.

    A clinic's hours are mostly alike: what follows is done once for all of them.
    """
    found: dict[tuple[int, int, int, Doer], int] = {}
    # The same lengths are the same doer here, whoever it is.
    alike = {id_: (doer._replace(practitioner_id=0), doer.blocked_cells) for id_, doer in terms.doers.items()}
    groups, open_pieces = _read(session, terms, low, high)
    for group in groups:
        practitioner, place, first, length, usable, _ = group[0]
        if len(group) > 1 or practitioner in open_pieces:
            stretch = _stretch(group, open_pieces)
            length, usable = stretch.cells.cell_count, stretch.usable
        doer, needed = alike[practitioner]
        if blocks := masks.starts(usable, needed):
            key = (place, first, length, doer)
            found[key] = found.get(key, 0) | blocks
    return found


def free_times_between(session: Session, terms: Terms, low: datetime, high: datetime) -> list[FreeTime]:
    """The starts free now in [low, high), in order."""
    found: dict[int, list[int]] = {}
    for place, (mask, base) in _starts_by_place(session, terms, low, high).items():
        for bit in masks.bits(mask):
            found.setdefault(base + bit, []).append(place)
    return [FreeTime(masks.to_instant(cell, terms.grid_min), tuple(found[cell])) for cell in sorted(found)]


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
    # As the services refuse them: a day on which the clinic does not let this patient book.
    allowed = {day for day in found if terms.limits.refusal_on(day) is None}
    low, high = terms.window(first_day, days)
    if low < high and allowed:
        for time in free_times_between(session, terms, low, high):
            day = clock.local_date(time.starts_at, terms.zones[time.location_ids[0]])
            if day in allowed:
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


def nearest_alternatives(days: dict[date, list[FreeTime]], wanted_at: datetime, zone: str) -> list[FreeTime]:
    """Up to three of some free times to offer instead of a lost one, in order.

    The same day, the same time on another day, the earliest; then the nearest.

    Times: days and hours are those of `zone`.
    Source: UC3.2.
    """
    return sorted(_chosen(days, wanted_at, zone), key=lambda time: time.starts_at)


def _chosen(days: dict[date, list[FreeTime]], wanted_at: datetime, zone: str) -> list[FreeTime]:
    def gap(time: FreeTime) -> timedelta:
        return abs(time.starts_at - wanted_at)

    wanted = clock.local(wanted_at, zone)
    every = [time for times in days.values() for time in times if time.starts_at != wanted_at]
    same_day = [time for time in days.get(wanted.date(), ()) if time.starts_at != wanted_at]
    minute = wanted.hour * 60 + wanted.minute
    on_the_clock = {clock.wall_to_instant(day, minute, zone) for day in days}
    same_hour = [time for time in every if time.starts_at in on_the_clock]
    picks = [min(group, key=gap) for group in (same_day, same_hour) if group] + every[:1]
    # Some of the nearest may be among the picks already.
    picks += nsmallest(ALTERNATIVES + len(picks), every, key=gap)
    return list(dict.fromkeys(picks))[:ALTERNATIVES]
