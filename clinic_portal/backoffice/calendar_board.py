"""The calendar as it is drawn: a board for each zone of the clinic's places, with a column for each clinician."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from clinic_portal import clock, wording
from clinic_portal.backoffice import options, places, words
from clinic_portal.backoffice.calendar_asked import Asked
from clinic_portal.backoffice.calendar_columns import (
    HOUR_ROWS,
    ROW_MIN,
    Column,
    Frame,
    Hours,
    Item,
    column,
    wall_minute,
)
from clinic_portal.backoffice.calendar_rows import Rows, Window, read_rows
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.models import Audience, Confirmation, Mode, Status
from clinic_portal.models.people import years_between
from clinic_portal.scheduling.needs import told_at_clinic
from clinic_portal.settings import load_settings

# The weekday on which it begins; Monday is 0.
WEEKEND = 5
# From when to when a board without any hours runs.
USUAL_HOURS = (8, 18)
# How much must have passed before somebody is said to wait, or to be late; and the steps in which it is said, so that
# a page that nobody changed stays as it is.
SAID_FROM_MIN, SAID_STEP_MIN = 5, 5
# What a visit is just now, in words; each has a sign of its own.
STATE = {
    "booked": "Booked",
    "due": "Not here yet",
    "unknown": "No outcome yet",
    "arrived": "Arrived",
    "called": "With the clinician",
    "fulfilled": "Seen",
    "noshow": "Did not come",
}
BY_MODE = {Mode.PHONE: "Phone", Mode.VIDEO: "Video", Mode.HOME: "At home"}
# More columns are no use on one page; the rest is on further ones.
MOST_COLUMNS = 60
# Headings that say more are read whole under the pointer.
MOST_HEAD_LINES = 6
# A column: whose, where, or None for everywhere, and on which day.
Key = tuple[int, int | None, date]
OFF_WORDS = {"off": "Not working", "break": "Break", "away": "Away", "closed": "Closed"}


@dataclass(frozen=True)
class Board:
    """Columns that share one clock."""

    frame: Frame
    place_names: str
    columns: list[Column]
    # The row of the present on the board's days, if it is on the board.
    now_row: int | None

    @property
    def hours(self) -> Iterator[tuple[int, str]]:
        """Each full hour: its row, and what the clock shows."""
        for hour in range(self.frame.first_hour, self.frame.last_hour):
            yield (hour - self.frame.first_hour) * HOUR_ROWS + 1, wording.minute_told(hour * 60)

    @property
    def height(self) -> int:
        """In hours."""
        return self.frame.last_hour - self.frame.first_hour

    @property
    def head_lines(self) -> int:
        """How many lines the longest heading has below its name: for each stretch of work and what is special."""
        lines = [sum(2 if _is_special(hours) else 1 for hours in each.hours) for each in self.columns]
        return min(max(lines, default=1), MOST_HEAD_LINES)

    @property
    def today(self) -> date:
        return clock.local_date(self.frame.now, self.frame.zone)


@dataclass(frozen=True)
class Drawn:
    """Everything that the boards show."""

    boards: list[Board]
    # Of all columns of the day, which are shown: the first of each page of them, and the one of this page.
    pages: list[tuple[int, str]]
    first: int
    closures: list[str]
    needs: dict[int, list[str]]
    now: datetime


def draw(asked: Asked, limit: frozenset[int] | None, clinicians: Sequence[Any]) -> Drawn:
    """Read and lay out what somebody looks at. Args: limit, the only places that may be looked at."""
    seen = [place for place in places.places_within(limit) if asked.place in (None, place)]
    rows = read_rows(_window(asked, limit, clinicians, [place.zone for place in seen]))
    now, ids = clock.now(), {row.public_id: row.id for row in clinicians}
    rank = {ids[each]: index for index, each in enumerate(asked.picked or ids)}
    plans = [_plan(asked, rows, zone, place_ids, rank, now) for zone, place_ids in places.by_zone(seen).items()]
    keys = [key for plan in plans for key in plan.keys]
    first = asked.first if asked.first < len(keys) else 0
    shown = set(keys[first : first + MOST_COLUMNS])
    boards = [board for plan in plans if (board := _board(asked, rows, plan, shown)).columns]
    needs = {row.id: told_at_clinic(row, rows.needs.get(row.patient_id, {})) for row in rows.visits}
    return Drawn(boards, _pages(len(keys)), first, [_closed(row) for row in rows.closures], needs, now)


def _window(asked: Asked, limit: frozenset[int] | None, clinicians: Sequence[Any], zones: list[str]) -> Window:
    days = asked.days
    bounds = [(clock.day_bounds(days[0], zone)[0], clock.day_bounds(days[-1], zone)[1]) for zone in zones]
    narrowed = limit if asked.place is None else frozenset({asked.place.id})
    picked = frozenset(row.id for row in clinicians if row.public_id in asked.picked) if asked.picked else None
    return Window(
        min((low for low, _ in bounds), default=clock.ALWAYS),
        max((high for _, high in bounds), default=clock.ALWAYS),
        days[0],
        days[-1],
        load_settings(db.session()).number("grid_min"),
        narrowed,
        picked,
    )


def _pages(count: int) -> list[tuple[int, str]]:
    """The first column of each page and what it is called; none where all fit on one."""
    starts = range(0, count, MOST_COLUMNS) if count > MOST_COLUMNS else ()
    return [(start, f"{start + 1}–{min(start + MOST_COLUMNS, count)}") for start in starts]


@dataclass(frozen=True)
class _Plan:
    """What a board would show if there were room for everything."""

    frame: Frame
    place_ids: list[int]
    keys: list[Key]


def _plan(asked: Asked, rows: Rows, zone: str, place_ids: list[int], rank: dict[int, int], now: datetime) -> _Plan:
    busy = [row for row in (*rows.sessions, *rows.visits) if row.location_id in place_ids]
    frame = _frame(asked.days, busy, zone, now, rows.window.grid_min)
    keys = _week_keys(asked, busy, rank, zone) if asked.is_week else _day_keys(asked, busy, place_ids, rank, zone)
    return _Plan(frame, place_ids, keys)


def _board(asked: Asked, rows: Rows, plan: _Plan, shown: set[Key]) -> Board:
    columns = [column(plan.frame, rows, *key) for key in plan.keys if key in shown]
    names = options.names()["locations"]
    place_names = ", ".join(names[each] for each in plan.place_ids)
    return Board(plan.frame, place_names, columns, _now_row(plan.frame, asked.days))


def _frame(days: list[date], busy: Iterable[Any], zone: str, now: datetime, grid_min: int) -> Frame:
    """From the first hour in which anything begins to the last in which anything ends, on any of the days."""
    first, last = DAY_MIN, 0
    for row in busy:
        for day in (clock.local_date(row.starts_at, zone), clock.local_date(row.ends_at, zone)):
            if day in days:
                low, high = wall_minute(row.starts_at, day, zone), wall_minute(row.ends_at, day, zone)
                first, last = min(first, low), max(last, high, low + 1)
    if first >= last:
        return Frame(zone, now, grid_min, *USUAL_HOURS)
    return Frame(zone, now, grid_min, first // 60, min(-(-last // 60), 24))


def _day_keys(asked: Asked, busy: Iterable[Any], place_ids: list[int], rank: dict[int, int], zone: str) -> list[Key]:
    """Who works where that day: by place, then by name, or as they were picked."""
    low, high = clock.day_bounds(asked.day, zone)
    found = {(row.practitioner_id, row.location_id) for row in busy if row.starts_at < high and row.ends_at > low}
    ordered = sorted(found, key=lambda one: (place_ids.index(one[1]), rank[one[0]]))
    return [(who, where, asked.day) for who, where in ordered]


def _week_keys(asked: Asked, busy: Sequence[Any], rank: dict[int, int], zone: str) -> list[Key]:
    """Each day of the week for each who was picked and works; a weekend only where somebody works."""
    whose = sorted({row.practitioner_id for row in busy}, key=rank.__getitem__)
    worked = {clock.local_date(at, zone) for row in busy for at in (row.starts_at, row.ends_at - timedelta(minutes=1))}
    return [(who, None, on) for on in asked.days if on.weekday() < WEEKEND or on in worked for who in whose]


def _now_row(frame: Frame, days: list[date]) -> int | None:
    today = clock.local_date(frame.now, frame.zone)
    row = (wall_minute(frame.now, today, frame.zone) - frame.first_hour * 60) // ROW_MIN + 1
    return row if today in days and 1 <= row <= frame.row_count else None


def _closed(row: Any) -> str:
    where = "all locations" if row.location_id is None else options.names()["locations"][row.location_id]
    days = words.day(row.first_on)
    return (
        f"Closed: {row.name}, {where}, {days if row.first_on == row.last_on else f'{days} to {words.day(row.last_on)}'}"
    )


def _is_special(hours: Hours) -> bool:
    return bool(hours.late_min or hours.released_at or hours.audience is not Audience.PUBLIC or hours.visit_type_ids)


# What stands in an item


def state_of(visit: Any, now: datetime) -> str:
    """What a visit is just now, as a key of `STATE`."""
    if visit.status is Status.BOOKED:
        if visit.ends_at <= now:
            return "unknown"
        return "due" if _minutes(visit.starts_at, now) else "booked"
    return "called" if visit.status is Status.ARRIVED and visit.called_at is not None else str(visit.status.value)


def told_state(visit: Any, now: datetime) -> str:
    """The state in words, with how long somebody waits or is late."""
    state = state_of(visit, now)
    if state == "due":
        return f"{STATE[state]}, {_minutes(visit.starts_at, now)} min late"
    if state == "arrived" and (waits := _minutes(max(visit.arrived_at or visit.starts_at, visit.starts_at), now)):
        return f"{STATE[state]}, waits {waits} min"
    return STATE[state]


def _minutes(since: datetime, now: datetime) -> int:
    passed = int((now - since) / timedelta(minutes=1))
    return passed - passed % SAID_STEP_MIN if passed >= SAID_FROM_MIN else 0


def is_movable(visit: Any) -> bool:
    """Whether a visit can be given another time."""
    return bool(visit.status is Status.BOOKED)


def marks_of(visit: Any, needs: Iterable[str], item: Item) -> list[str]:
    """What must be known of a visit at a glance."""
    found = [] if item.visit.lane == 0 else ["Squeezed in"]
    found += ["Outside the hours"] if item.is_outside else []
    found += [] if visit.was_here else ["First visit"]
    found += [BY_MODE[visit.mode]] if visit.mode in BY_MODE else []
    found += needs
    found += ["Says they will come"] if visit.confirmation is Confirmation.CONFIRMED else []
    found += ["Private"] if visit.is_private else []
    return [*found, "Note"] if visit.has_note else found


def place_names(column: Column) -> str:
    """Where somebody works that day, in order of the day."""
    names = options.names()["locations"]
    return ", ".join(dict.fromkeys(names[hours.place_id] for hours in column.hours))


def age_of(visit: Any, on: date) -> str:
    """Whole years on that day, or nothing when the birth date is not known."""
    return "" if visit.birth_on is None else str(years_between(visit.birth_on, on))


def kept_back(item: Item | Hours, zone: str) -> str:
    """For whom and for what time is, and until when others cannot book it."""
    names = options.names()["visit_types"]
    kinds = ", ".join(sorted(names[each] for each in item.visit_type_ids))
    whom = "" if item.audience is Audience.PUBLIC else words.AUDIENCE[item.audience]
    until = "" if item.released_at is None else f"kept back until {words.moment(item.released_at, zone)}"
    told = ", ".join(filter(None, (f"only {kinds}" if kinds else "", whom, until)))
    return told[:1].upper() + told[1:]
