"""The columns of the calendar: one clinician's day at one place, as stretches that follow each other. No database.

Rows are five minutes of the clock on the wall of the place. Where that clock is put forward an hour stays empty; where
it is put back two hours share their rows, side by side, and are told apart by the names of their zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from clinic_portal import clock
from clinic_portal.backoffice.calendar_rows import Rows
from clinic_portal.clock import DAY_MIN
from clinic_portal.models import ALL_VISIT_TYPES, Audience, VisitTypeIds
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.availability import takes_place_on

ROW_MIN = 5
HOUR_ROWS = 60 // ROW_MIN
# What stands in a column besides visits.
# Of free time, what is too short for any visit of the clinician is only told.
FREE, SHORT, KEPT_BACK, HELD = "free", "short", "kept_back", "held"
OFF, BREAK, AWAY, CLOSED, ELSEWHERE = "off", "break", "away", "closed", "elsewhere"
# No more stand side by side; further ones share the last place.
MOST_LANES = 4

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Item:
    """A stretch of a column; `lane` of `lanes` that stand side by side."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    row: int
    rows: int
    lane: int = 1
    lanes: int = 1
    # Of a visit.
    visit: Any = None
    is_outside: bool = False
    # Of free time: from when on it can be booked, None when it has passed; and of time kept back, until when, for whom.
    book_from: datetime | None = None
    released_at: datetime | None = None
    audience: Audience = Audience.PUBLIC
    visit_type_ids: VisitTypeIds = ALL_VISIT_TYPES
    # Of hours elsewhere.
    place_id: int = 0

    @property
    def minutes(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds()) // 60

    @property
    def past_min(self) -> int:
        """How much of free time has passed already."""
        return 0 if self.book_from is None else int((self.book_from - self.starts_at).total_seconds()) // 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of work: how many visits stand in it, and how many of the shortest would still fit."""

    starts_at: datetime
    ends_at: datetime
    place_id: int
    booked: int
    left: int
    late_min: int
    released_at: datetime | None
    audience: Audience
    visit_type_ids: VisitTypeIds


@dataclass(frozen=True, slots=True)
class Column:
    """One clinician on one day, at one place or, in a week, at all of them."""

    practitioner_id: int
    place_id: int | None
    on: date
    zone: str
    hours: list[Hours]
    items: list[Item]


@dataclass(frozen=True)
class Frame:
    """What all columns of one board share: the zone, the present, and from which hour to which they run."""

    zone: str
    now: datetime
    grid_min: int
    first_hour: int
    last_hour: int

    @property
    def row_count(self) -> int:
        return (self.last_hour - self.first_hour) * HOUR_ROWS

    def rows_of(self, on: date, starts_at: datetime, ends_at: datetime) -> tuple[int, int]:
        """The first row of a stretch on a day, from 1, and how many rows it takes."""
        first, end = wall_minute(starts_at, on, self.zone), wall_minute(ends_at, on, self.zone)
        if end <= first:
            # DST: the clock was put back in between.
            end = first + int((ends_at - starts_at).total_seconds()) // 60
        base = self.first_hour * 60
        low = max(first - base, 0) // ROW_MIN
        high = min(-(-(end - base) // ROW_MIN), self.row_count)
        return low + 1, max(high - low, 1)

    def bounds(self, on: date) -> Span:
        """The instants at which the columns of a day begin and end."""
        return tuple(clock.wall_to_instant(on, hour * 60, self.zone) for hour in (self.first_hour, self.last_hour))  # type: ignore[return-value]  # two of them


def wall_minute(instant: datetime, on: date, zone: str) -> int:
    """The minute that the clock shows, counted from midnight of the day; before and after it, its ends."""
    shown = clock.local(instant, zone)
    if shown.date() != on:
        return 0 if shown.date() < on else DAY_MIN
    return shown.hour * 60 + shown.minute


@dataclass(frozen=True)
class Stretch:
    """Sessions that follow each other and are for the same people; bit 0 of `free` is `first_cell`."""

    first: Any
    end_cell: int
    free: int
    late_min: int

    @property
    def cell_count(self) -> int:
        return self.end_cell - int(self.first.first_cell)


def column(frame: Frame, rows: Rows, practitioner_id: int, place_id: int | None, on: date) -> Column:
    """One column. Args: place_id, where; None for all places."""
    mine = Mine(frame, rows, practitioner_id, place_id, on)
    return Column(practitioner_id, place_id, on, frame.zone, list(mine.hours()), list(mine.items()))


@dataclass
class Mine:
    """What belongs to one column."""

    frame: Frame
    rows: Rows
    practitioner_id: int
    place_id: int | None
    on: date
    visits: list[Any] = field(init=False)
    holds: list[Any] = field(init=False)
    stretches: list[Stretch] = field(init=False)
    elsewhere: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.low, self.high = clock.day_bounds(self.on, self.frame.zone)
        mine = [row for row in self._of_mine("sessions") if self._meets(row)]
        self.visits = [row for row in self._of_mine("visits") if self._meets(row) and self._is_here(row)]
        self.holds = [row for row in self._of_mine("holds") if self._meets(row) and self._is_here(row)]
        self.stretches = list(_joined(row for row in mine if self._is_here(row)))
        self.elsewhere = [row for row in mine if not self._is_here(row)]

    def _of_mine(self, what: str) -> Sequence[Any]:
        return self.rows.by_clinician[what].get(self.practitioner_id, ())

    def _meets(self, row: Any) -> bool:
        return bool(row.starts_at < self.high and row.ends_at > self.low)

    def _is_here(self, row: Any) -> bool:
        return self.place_id is None or row.location_id == self.place_id

    # Hours

    def hours(self) -> Iterator[Hours]:
        shortest = self._shortest_cells()
        for stretch in self.stretches:
            starts_at, ends_at = self._span(stretch)
            gaps = list(self._gaps(stretch))
            yield Hours(
                starts_at,
                ends_at,
                stretch.first.location_id,
                sum(starts_at <= visit.starts_at < ends_at for visit in self.visits),
                sum(self._cells_ahead(gap) // shortest for gap in gaps),
                stretch.late_min,
                self._released_at(stretch),
                stretch.first.audience,
                stretch.first.visit_type_ids,
            )

    def _shortest_cells(self) -> int:
        return -(-self.rows.shortest.get(self.practitioner_id, self.frame.grid_min) // self.frame.grid_min)

    def _span(self, stretch: Stretch) -> Span:
        low, high = (
            masks.to_instant(cell, self.frame.grid_min) for cell in (stretch.first.first_cell, stretch.end_cell)
        )
        return low, high

    def _released_at(self, stretch: Stretch) -> datetime | None:
        released_at: datetime = stretch.first.bookable_from
        return released_at if released_at > self.frame.now else None

    def _cells_ahead(self, gap: Span) -> int:
        book_from = self._book_from(gap)
        if book_from is None:
            return 0
        return int((gap[1] - book_from) / timedelta(minutes=self.frame.grid_min))

    def _book_from(self, gap: Span) -> datetime | None:
        """The first instant of a gap on the grid that has not passed; None when it has passed wholly."""
        cell = -((masks.EPOCH - self.frame.now) // timedelta(minutes=self.frame.grid_min))
        found = max(gap[0], masks.to_instant(cell, self.frame.grid_min))
        return found if found < gap[1] else None

    def _gaps(self, stretch: Stretch) -> Iterator[Span]:
        """The free time of a stretch: dead holds, which nobody has cleared, keep nothing."""
        first, count, grid_min = stretch.first.first_cell, stretch.cell_count, self.frame.grid_min
        free = stretch.free
        for hold in self.holds:
            if hold.lane == 0 and hold.expires_at <= self.frame.now:
                free |= masks.covered(first, count, *_cells(hold, grid_min))
        for visit in self.visits:
            if visit.lane == 0:
                free &= ~masks.covered(first, count, *_cells(visit, grid_min))
        while free:
            bit = (free & -free).bit_length() - 1
            length = (~(free >> bit) & -~(free >> bit)).bit_length() - 1
            free &= ~(masks.run(length) << bit)
            yield masks.to_instant(first + bit, grid_min), masks.to_instant(first + bit + length, grid_min)

    # Items

    def items(self) -> Iterator[Item]:
        found = [*self._off_items(), *self._free_items(), *self._busy_items()]
        return iter(sorted(found, key=lambda item: (item.starts_at, item.kind == "visit", item.lane)))

    def _item(self, kind: str, span: Span, **more: Any) -> Item:
        low, high = max(span[0], self.low), min(span[1], self.high)
        return Item(kind, span[0], span[1], *self.frame.rows_of(self.on, low, high), **more)

    def _free_items(self) -> Iterator[Item]:
        for stretch in self.stretches:
            released_at, audience = self._released_at(stretch), stretch.first.audience
            kind = FREE if released_at is None and audience is Audience.PUBLIC else KEPT_BACK
            for gap in self._gaps(stretch):
                if clipped := _clip(gap, (self.low, self.high)):
                    if 0 < self._cells_ahead(gap) < self._shortest_cells():
                        yield self._item(SHORT, clipped)
                        continue
                    yield self._item(kind, clipped, book_from=self._book_from(clipped), released_at=released_at,
                                     audience=audience, visit_type_ids=stretch.first.visit_type_ids,
                                     place_id=stretch.first.location_id)  # fmt: skip

    def _busy_items(self) -> Iterator[Item]:
        live = [hold for hold in self.holds if hold.expires_at > self.frame.now]
        worked = [self._span(stretch) for stretch in self.stretches]
        found = [
            (self._item("visit", (visit.starts_at, visit.ends_at), visit=visit,
                        is_outside=not any(low <= visit.starts_at < high for low, high in worked)), visit.lane > 0)
            for visit in self.visits
        ]  # fmt: skip
        found += [(self._item(HELD, (hold.starts_at, hold.ends_at)), hold.lane > 0) for hold in live]
        return side_by_side(found)

    def _off_items(self) -> Iterator[Item]:
        """What is not worked, with why."""
        worked = [self._span(stretch) for stretch in self.stretches]
        named = list(self._named())
        for gap in _without(self.frame.bounds(self.on), worked):
            for kind, span, place_id in _named_pieces(gap, named):
                yield self._item(kind, span, place_id=place_id)

    def _named(self) -> Iterator[tuple[str, Span, int]]:
        """Whatever may be why somebody does not work, the weightiest first."""
        for closure in self.rows.closures:
            is_here = closure.location_id is None or closure.location_id == self.place_id
            if is_here and closure.first_on <= self.on <= closure.last_on:
                yield CLOSED, (self.low, self.high), 0
        for row in self.elsewhere:
            yield ELSEWHERE, (row.starts_at, row.ends_at), row.location_id
        for row in self._of_mine("away"):
            starts_at = clock.wall_to_instant(row.starts_on, row.starts_min, row.zone)
            yield AWAY, (starts_at, clock.wall_to_instant(row.ends_on, row.ends_min, row.zone)), 0
        for row in self._of_mine("breaks"):
            yield from ((BREAK, span, 0) for span in _occurrences(row, self.on, self.frame.zone))


def _occurrences(row: Any, on: date, zone: str) -> Iterator[Span]:
    """The breaks of a rule that begin on a day or the day before."""
    for day in (on - timedelta(days=1), on):
        if day.weekday() == row.weekday and takes_place_on(row, day):
            yield (
                clock.wall_to_instant(day, row.starts_min, zone),
                clock.wall_to_instant(day, row.ends_min, zone),
            )


def _cells(row: Any, grid_min: int) -> tuple[int, int]:
    return masks.to_cell(row.blocked_from, grid_min), masks.to_cell(row.blocked_until, grid_min)


def _joined(rows: Iterable[Any]) -> Iterator[Stretch]:
    """Sessions that follow each other at one place and are for the same people, as one."""
    found: Stretch | None = None
    for row in rows:
        if found is not None and _goes_on(found, row):
            free = found.free | row.free << found.cell_count
            found = Stretch(found.first, row.first_cell + row.cell_count, free, max(found.late_min, row.late_min))
            continue
        if found is not None:
            yield found
        found = Stretch(row, row.first_cell + row.cell_count, row.free, row.late_min)
    if found is not None:
        yield found


def _goes_on(stretch: Stretch, row: Any) -> bool:
    first = stretch.first
    alike = ("location_id", "audience", "bookable_from", "modes", "visit_type_ids")
    return bool(stretch.end_cell == row.first_cell) and all(
        getattr(first, name) == getattr(row, name) for name in alike
    )


def _clip(span: Span, within: Span) -> Span | None:
    low, high = max(span[0], within[0]), min(span[1], within[1])
    return (low, high) if low < high else None


def _without(span: Span, taken: Sequence[Span]) -> Iterator[Span]:
    """What is left of a stretch between others."""
    low, high = span
    for first, last in sorted(taken):
        if first > low and min(first, high) > low:
            yield low, min(first, high)
        low = max(low, last)
    if low < high:
        yield low, high


def _named_pieces(gap: Span, named: Sequence[tuple[str, Span, int]]) -> Iterator[tuple[str, Span, int]]:
    """A stretch without work, cut where the reason changes."""
    inside = [(kind, span, place) for kind, whole, place in named if (span := _clip(whole, gap))]
    cuts = sorted({*gap, *(edge for _, span, _ in inside for edge in span)})
    last: tuple[str, Span, int] | None = None
    for low, high in pairwise(cuts):
        kind, place = next(((kind, place) for kind, (a, b), place in inside if a <= low and high <= b), (OFF, 0))
        if last is not None and (last[0], last[2]) == (kind, place):
            last = (kind, (last[1][0], high), place)
            continue
        if last is not None:
            yield last
        last = (kind, (low, high), place)
    if last is not None:
        yield last


def side_by_side(items: Iterable[tuple[Item, bool]]) -> Iterator[Item]:
    """Give those that overlap a place beside each other. Args: each with whether it is squeezed in: never the first."""
    group: list[tuple[Item, int]] = []
    end = 0
    for item, is_squeezed in sorted(items, key=lambda one: (one[0].row, one[1], one[0].starts_at)):
        if group and item.row >= end:
            yield from _spread(group)
            group = []
        ends = [
            max((other.row + other.rows for other, at in group if at == lane), default=0)
            for lane in range(len(group) + 2)
        ]
        free = next(lane for lane, until in enumerate(ends) if until <= item.row and not (is_squeezed and lane == 0))
        group.append((item, free))
        end = max(end if len(group) > 1 else 0, item.row + item.rows)
    yield from _spread(group)


def _spread(group: list[tuple[Item, int]]) -> Iterator[Item]:
    lanes = min(max((lane for _, lane in group), default=0) + 1, MOST_LANES)
    for item, lane in group:
        yield item if lanes == 1 else replace(item, lane=min(lane + 1, lanes), lanes=lanes)
