"""Which times are free: one query over sessions, arithmetic on their masks. Never names a practitioner to a patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from heapq import nsmallest
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, func, select, type_coerce
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
    let_in,
    lets_in,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.claims import Part, Piece, held_pieces, not_binding_holds, open_holds, piece_of
from clinic_portal.scheduling.masks import Stretch
from clinic_portal.scheduling.search import Doer, OwnVisit, Search, Terms, load_terms, own_visits
from clinic_portal.scheduling.strips import first_cell_from
from clinic_portal.unchanged import kept_while_unchanged

WEEK = 7
ALTERNATIVES = 3
# Nothing depends on it: what is kept becomes wrong at instants that are looked up.
KEPT_AT_MOST = timedelta(days=1)


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
        lets_in(ClinicSession.visit_type_ids),
    )
    .order_by(ClinicSession.practitioner_id, ClinicSession.first_cell)
)
_MOVING = select(Appointment.practitioner_id, Appointment.blocked_from, Appointment.blocked_until).where(
    Appointment.id == bindparam("moving_id"), Appointment.lane == 0, Appointment.status.in_(ACTIVE)
)


# A row of _SESSIONS: practitioner, place, first cell, how many cells, free ones, session.
Row = tuple[int, int, int, int, int, int]


_NEXT_RELEASE = select(func.min(ClinicSession.bookable_from)).where(
    ClinicSession.first_cell > bindparam("low"),
    ClinicSession.first_cell < bindparam("high"),
    ClinicSession.bookable_from > bindparam("now"),
)


def read_stretches(
    session: Session, terms: Terms, low_cell: int, high_cell: int, dead: list[Any] | None = None
) -> list[WorkStretch]:
    """All public time of those who do such visits that meets the cells [low, high), neighbours joined.

    Reads further on both sides, so that a start near an end sees the hours around it.

    Args: dead, the holds that do not bind, if they have just been read.
    """
    holds = not_binding_holds(session, terms.now, terms.search.account_id) if dead is None else dead
    open_pieces = _open_pieces(session, terms, holds)
    rows = _read(session, terms, _asked(terms, low_cell, high_cell))
    return [_stretch(group, open_pieces) for group in _joined(rows, terms)]


def _asked(terms: Terms, low_cell: int, high_cell: int) -> dict[str, Any]:
    """Which sessions matter for starts in [low, high)."""
    # A visit at the first cell may need the buffer before it, and one at the last the cells after it.
    reach = MAX_CELLS + max((doer.blocked_cells for doer in terms.doers.values()), default=0)
    return {
        "visit_type_id": terms.search.visit_type_id,
        "low": low_cell - reach,
        "high": high_cell + reach,
        # Nobody's hours are for visits at home: staff plan these.
        "mode": MODE_BIT.get(terms.search.mode, 0),
        **let_in(terms.search.visit_type_id),
    }


def _read(session: Session, terms: Terms, asked: dict[str, Any]) -> Sequence[Any]:
    return run(session, _SESSIONS, {**asked, "now": terms.now}).all()


def _open_pieces(session: Session, terms: Terms, holds: Iterable[Any]) -> dict[int, list[Piece]]:
    """Cells by practitioner that look taken and are not: of holds that do not bind, and of the visit to be moved.

    Dead holds, which nobody has cleared, bind nobody, and an account's own do not bind itself.
    """
    found: dict[int, list[Piece]] = {}
    for hold in holds:
        # What is kept for an offer is no account's.
        is_own = hold.account_id is not None and hold.account_id == terms.search.account_id
        if hold.lane == 0 and (hold.expires_at <= terms.now or is_own):
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


# A place, first cell and number of cells, and the lengths of the visits: all that decides where visits may start.
Alike = tuple[int, int, int, Doer]


class KeptBlocks(NamedTuple):
    """Where cells enough are free, and until when that is right; for all but those who keep a time themselves."""

    blocks: dict[Alike, int]
    since: datetime
    until: datetime
    keepers: frozenset[int]

    def is_right_for(self, terms: Terms) -> bool:
        return self.since <= terms.now < self.until and terms.search.account_id not in self.keepers


def _blocks_alike(session: Session, terms: Terms, low: int, high: int) -> dict[Alike, int]:
    """Where cells enough are free, for stretches of the same place, hours and lengths of visit together.

    A clinic's hours are mostly alike: what follows is done once for all of them. What was found is kept while nothing
    changes, until a hold expires or time is released; for everybody but those who keep or move a time themselves.
    """
    kept = kept_while_unchanged(session)
    if (known := _known_blocks(kept, terms, low, high)) is not None:
        return known
    asked, holds = _asked(terms, low, high), open_holds(session)
    blocks = _count_alike(_read(session, terms, asked), terms, _open_pieces(session, terms, holds))
    if terms.search.moving_id is None:
        found = KeptBlocks(blocks, terms.now, _right_until(session, terms, asked, holds), _keepers(holds))
        if found.is_right_for(terms):
            kept[_key(terms, low, high)] = found
    return blocks


def _known_blocks(kept: dict[Any, Any], terms: Terms, low: int, high: int) -> dict[Alike, int] | None:
    found: KeptBlocks | None = kept.get(_key(terms, low, high)) if terms.search.moving_id is None else None
    return found.blocks if found is not None and found.is_right_for(terms) else None


def _key(terms: Terms, low: int, high: int) -> tuple[Any, ...]:
    """All that `_read` and `_joined` go by, except the clock and the account, which KeptBlocks looks at."""
    return (_SESSIONS, terms.grid_min, *_asked(terms, low, high).values(), *terms.zones, *terms.doers.values())


def _keepers(holds: Iterable[Any]) -> frozenset[int]:
    return frozenset(hold.account_id for hold in holds if hold.account_id is not None)


def _right_until(session: Session, terms: Terms, asked: dict[str, Any], holds: Iterable[Any]) -> datetime:
    """When time becomes free by itself: the next hold expires, or the next session is released."""
    values = {"low": asked["low"], "high": asked["high"], "now": terms.now}
    released_at: datetime | None = run(session, _NEXT_RELEASE, values).scalar_one()
    instants: list[datetime] = [hold.expires_at for hold in holds if hold.expires_at > terms.now]
    instants.append(released_at or terms.now + KEPT_AT_MOST)
    return min(instants)


def _count_alike(rows: Iterable[Any], terms: Terms, open_pieces: dict[int, list[Piece]]) -> dict[Alike, int]:
    found: dict[Alike, int] = {}
    # The same lengths are the same doer here, whoever it is.
    alike = {id_: (doer._replace(practitioner_id=0), doer.blocked_cells) for id_, doer in terms.doers.items()}
    for group in _joined(rows, terms):
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
    return [time for times in _by_day(session, terms, low, high).values() for time in times]


def _by_day(session: Session, terms: Terms, low: datetime, high: datetime) -> dict[date, tuple[FreeTime, ...]]:
    free = _starts_by_place(session, terms, low, high)
    starts = tuple((place, mask, terms.zones[place]) for place, (mask, _) in free.items())
    base = first_cell_from(low, terms.grid_min)
    return _written_out(starts, base, terms.grid_min)


@lru_cache(maxsize=64)
def _written_out(
    starts: tuple[tuple[int, int, str], ...], base: int, grid_min: int
) -> dict[date, tuple[FreeTime, ...]]:
    """The starts of each place in order, by local day; pure, and mostly the same for everybody who looks."""
    zones = {place: zone for place, _, zone in starts}
    found: dict[int, list[int]] = {}
    for place, mask, _ in starts:
        for bit in masks.bits(mask):
            found.setdefault(base + bit, []).append(place)
    days: dict[date, list[FreeTime]] = {}
    for cell in sorted(found):
        starts_at = masks.to_instant(cell, grid_min)
        time = FreeTime(starts_at, tuple(found[cell]))
        days.setdefault(clock.local_date(starts_at, zones[found[cell][0]]), []).append(time)
    return {day: tuple(times) for day, times in days.items()}


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
        for day, times in _by_day(session, terms, low, high).items():
            if day in allowed:
                found[day] = list(times)
    return found


def is_known_as_taken(session: Session, terms: Terms, starts_at: datetime, first_day: date, days: int) -> bool:
    """Whether what is kept of some days already shows that nobody can take a visit at a time among them any more.

    False also when nothing is kept, or when somebody else than a doctor may stand in the way: then a service looks.
    """
    low, high = terms.window(first_day, days)
    cells = first_cell_from(low, terms.grid_min), first_cell_from(high, terms.grid_min)
    is_kept = _known_blocks(kept_while_unchanged(session), terms, *cells) is not None
    if not is_kept or not low <= starts_at < high or own_visits(session, terms.search, low, high):
        return False
    cell = masks.to_cell(starts_at, terms.grid_min)
    return not any(mask >> cell - base & 1 for mask, base in _starts_by_place(session, terms, low, high).values())


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
