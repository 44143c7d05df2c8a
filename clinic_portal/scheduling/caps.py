"""How many visits a practitioner has on one day at most: which days are full, and that no booking goes beyond.

Visits are counted where they are, in the rows: those that keep their time, in every lane, and times that are kept for
somebody. So nothing has to be kept in step with them. A time that would move a visit within the same day is that visit.

Days are those of the place where the visit begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, cast, func, null, or_, select, union_all
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run, take_turns_at
from clinic_portal.models import ACTIVE, Appointment, Hold, Location
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.doers import Doer
from clinic_portal.scheduling.search import Terms

# Names the turns of those who fill somebody's days.
TURNS = 726301
# Stands for all visit types together.
ALL = 0
# No local day is longer, and no zone further away.
A_DAY = timedelta(hours=26)
# No visit is longer than a day: that bounds the search in the index.
LONGEST_VISIT = timedelta(days=1)


class Taking(NamedTuple):
    """A visit that somebody is about to get on a local day."""

    doer: Doer
    visit_type_id: int
    day: date


@dataclass(frozen=True)
class Loads:
    """How many visits those who have a limit have, by practitioner, local day and visit type; ALL for any."""

    visits: Counter[tuple[int, date, int]] = field(default_factory=Counter)

    def add(self, practitioner_id: int, day: date, visit_type_id: int) -> None:
        """Count one visit more."""
        self.visits[practitioner_id, day, visit_type_id] += 1
        self.visits[practitioner_id, day, ALL] += 1

    def has_room(self, doer: Doer, day: date, visit_type_id: int) -> bool:
        """Whether one visit more of a type is within the limits of that day."""
        for most, counted in ((doer.most_a_day, ALL), (doer.most_of_type, visit_type_id)):
            if most is not None and self.visits[doer.practitioner_id, day, counted] >= most:
                return False
        return True

    def full_cells(self, doer: Doer, visit_type_id: int, cells: tuple[int, int], zone: str, grid_min: int) -> int:
        """The cells of full days among those from the first up to the second, as a mask: there no visit may begin."""
        found, first = 0, cells[0]
        while doer.is_capped and first < cells[1]:
            day = clock.local_date(masks.to_instant(first, grid_min), zone)
            ends_at = clock.day_bounds(day, zone)[1]
            # The first cell that begins on the next day.
            end = -(-int(ends_at.timestamp()) // (grid_min * 60))
            if not self.has_room(doer, day, visit_type_id):
                found |= masks.covered(cells[0], cells[1] - cells[0], first, end)
            first = max(end, first + 1)
        return found


def _counted(what: Any, moves_id: Any, *where: Any) -> Any:
    """Visits, or times that are kept, that begin in a stretch of time with some practitioners."""
    return (
        select(
            what.practitioner_id, what.visit_type_id, what.starts_at, Location.zone, what.id, moves_id.label("moves_id")
        )
        .join(Location, Location.id == what.location_id)
        .where(
            what.practitioner_id.in_(bindparam("practitioner_ids", expanding=True)),
            what.blocked_from > bindparam("since"),
            what.starts_at >= bindparam("low"),
            what.starts_at < bindparam("high"),
            *where,
        )
    )


# One statement, so one state of the rows: a time that is kept and becomes a visit is never both, and never neither.
_COUNTED = union_all(
    _counted(
        Appointment,
        cast(null(), BigInteger),
        Appointment.status.in_(ACTIVE),
        Appointment.id.not_in(bindparam("moving_ids", expanding=True)),
    ),
    _counted(
        Hold,
        # Of what has no time yet it moves nothing.
        func.coalesce(Hold.appointment_id, 0),
        Hold.closed_at.is_(None),
        Hold.expires_at > bindparam("now"),
        or_(Hold.account_id.is_(None), Hold.account_id != bindparam("account_id")),
    ),
)


def loads_of(session: Session, terms: Terms, low: datetime, high: datetime) -> Loads:
    """The visits of those who have a limit, on all days that [low, high] touches; nothing is asked where nobody has.

    The visit that is moved, and what the account itself keeps, count for nothing: they give way.
    """
    capped = [id_ for id_, doer in terms.doers.items() if doer.is_capped]
    search = terms.search
    moving = () if search.moving_id is None else (search.moving_id,)
    return read_loads(session, capped, low, high, terms.now, search.account_id, moving)


def read_loads(
    session: Session,
    practitioner_ids: Sequence[int],
    low: datetime,
    high: datetime,
    now: datetime,
    account_id: int | None = None,
    moving_ids: Iterable[int] = (),
) -> Loads:
    """The visits of some practitioners on all days that [low, high] touches.

    Args: account_id, whose kept times do not count; moving_ids, visits that do not.
    """
    if not practitioner_ids:
        return Loads()
    rows = run(session, _COUNTED, {
        "practitioner_ids": sorted(practitioner_ids), "moving_ids": sorted(moving_ids), "account_id": account_id or 0,
        "low": low - A_DAY, "high": high + A_DAY, "since": low - A_DAY - LONGEST_VISIT, "now": now,
    }).all()  # fmt: skip
    days = [clock.local_date(row.starts_at, row.zone) for row in rows]
    visits = {(row.practitioner_id, day, row.id) for row, day in zip(rows, days, strict=True) if row.moves_id is None}
    loads = Loads()
    for row, day in zip(rows, days, strict=True):
        if row.moves_id is None or (row.practitioner_id, day, row.moves_id) not in visits:
            loads.add(row.practitioner_id, day, row.visit_type_id)
    return loads


def have_room(
    session: Session, takings: Sequence[Taking], now: datetime, account_id: int | None = None,
    moving_ids: Iterable[int] = (),
) -> bool:  # fmt: skip
    """Whether all of some visits are within the limits, and nobody else can fill them before this transaction ends.

    Call it after their cells are claimed, in the savepoint of the claim.

    # Race: whoever fills days of the same practitioner waits here, and then counts what the other has committed. On
    # SQLite the writer's turn is that already. Cells before turns, everywhere: so two bookings never wait crosswise.
    """
    takings = [each for each in takings if each.doer.is_capped]
    if not takings:
        return True
    ids = sorted({each.doer.practitioner_id for each in takings})
    for practitioner_id in ids:
        take_turns_at(session, TURNS, practitioner_id)
    days = [datetime.combine(each.day, time(), UTC) for each in takings]
    loads = read_loads(session, ids, min(days), max(days) + timedelta(days=1), now, account_id, moving_ids)
    for doer, visit_type_id, day in takings:
        if not loads.has_room(doer, day, visit_type_id):
            return False
        loads.add(doer.practitioner_id, day, visit_type_id)
    return True
