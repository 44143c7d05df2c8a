"""How many visits a practitioner has on one day at most: which days are full, and that no booking goes beyond.

Visits are counted where they are, in the rows: those that keep their time, in every lane, and times that are kept for
somebody. So nothing has to be kept in step with them. A time that would move a visit within the same day is that visit.

Days are those of the place where the visit begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Date,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, aliased

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


class Taking(NamedTuple):
    """A visit that somebody is about to get on a local day."""

    doer: Doer
    visit_type_id: int
    day: date


@dataclass(frozen=True)
class Loads:
    """How many visits those who have a limit have, by practitioner, local day and visit type; ALL for any."""

    visits: Counter[tuple[int, date, int]] = field(default_factory=Counter)

    def add(self, practitioner_id: int, day: date, visit_type_id: int, visits: int = 1) -> None:
        """Count visits more."""
        self.visits[practitioner_id, day, visit_type_id] += visits
        self.visits[practitioner_id, day, ALL] += visits

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


_LOW: BindParameter[datetime] = bindparam("low")
_HIGH: BindParameter[datetime] = bindparam("high")
_OFFSET = bindparam("offset_min", type_=Integer)


def _sqlite_day(instant: Any) -> Any:
    return type_coerce(func.date(instant, cast(_OFFSET, String) + " minutes"), Date)


def _postgres_day(instant: Any) -> Any:
    return cast(func.timezone("UTC", instant) + func.make_interval(0, 0, 0, 0, 0, _OFFSET), Date)


def _counting(day: Callable[[Any], Any]) -> Select[Any]:
    """The statement that counts visits and times that are kept, by practitioner, type and day.

    It is one, so it sees one state of the rows: a time that is kept and becomes a visit is never both, never neither.

    Args: day, an instant's day at some distance from UTC, as the database says it.
    """
    moved = aliased(Appointment)
    visits = _begun(Appointment, day).where(
        Appointment.status.in_(ACTIVE), Appointment.id.not_in(bindparam("moving_ids", expanding=True))
    )
    kept = (
        _begun(Hold, day)
        .outerjoin(
            moved,
            and_(
                moved.id == Hold.appointment_id,
                moved.practitioner_id == Hold.practitioner_id,
                moved.status.in_(ACTIVE),
                moved.id.not_in(bindparam("moving_ids", expanding=True)),
                day(moved.starts_at) == day(Hold.starts_at),
            ),
        )
        .where(
            moved.id.is_(None),
            Hold.closed_at.is_(None),
            Hold.expires_at > bindparam("now"),
            or_(Hold.account_id.is_(None), Hold.account_id != bindparam("account_id")),
        )
    )
    every = union_all(visits, kept).subquery()
    by = every.c.practitioner_id, every.c.visit_type_id, every.c.day
    return select(*by, func.count().label("visits")).group_by(*by)


def _begun(what: type[Appointment] | type[Hold], day: Callable[[Any], Any]) -> Select[Any]:
    """What begins in a stretch of time with some practitioners, at the places of one zone."""
    return (
        select(what.practitioner_id, what.visit_type_id, day(what.starts_at).label("day"))
        .join(Location, Location.id == what.location_id)
        .where(
            what.practitioner_id.in_(bindparam("practitioner_ids", expanding=True)),
            what.starts_at >= _LOW,
            what.starts_at < _HIGH,
            Location.zone == bindparam("zone"),
        )
    )


_COUNTINGS = {"sqlite": _counting(_sqlite_day), "postgresql": _counting(_postgres_day)}
_ZONES = select(Location.zone).distinct().order_by(Location.zone)


def loads_of(session: Session, terms: Terms, low: datetime, high: datetime) -> Loads:
    """The visits of those who have a limit, on all days that [low, high] touches; nothing is asked where nobody has.

    The visit that is moved, and what the account itself keeps, count for nothing: they give way.
    """
    capped = [id_ for id_, doer in terms.doers.items() if doer.is_capped]
    moving = () if terms.search.moving_id is None else (terms.search.moving_id,)
    return read_loads(session, terms, capped, low, high, moving)


def read_loads(
    session: Session,
    terms: Terms,
    practitioner_ids: Collection[int],
    low: datetime,
    high: datetime,
    moving_ids: Iterable[int] = (),
) -> Loads:
    """The visits of some practitioners on all days that [low, high] touches.

    Args: terms, for the present moment and the account whose kept times do not count; moving_ids, visits that do not.
    """
    loads = Loads()
    if not practitioner_ids:
        return loads
    counting = _COUNTINGS[session.get_bind().dialect.name]
    values = {"practitioner_ids": sorted(practitioner_ids), "moving_ids": sorted(moving_ids), "now": terms.now,
              "account_id": terms.search.account_id or 0}  # fmt: skip
    first, last = (low - A_DAY).astimezone(UTC).date(), (high + A_DAY).astimezone(UTC).date()
    for (zone,) in terms.catalogue.rows(_ZONES):
        for start, end, offset_min in clock.offsets_between(zone, first, last):
            part = {"zone": zone, "low": start, "high": end, "offset_min": offset_min}
            for practitioner_id, visit_type_id, day, visits in run(session, counting, {**values, **part}):
                loads.add(practitioner_id, day, visit_type_id, visits)
    return loads


def have_room(
    session: Session, terms: Terms, takings: Sequence[Taking], moving_ids: Iterable[int] = ()
) -> bool:  # fmt: skip
    """Whether all of some visits are within the limits, and nobody else can fill them before this transaction ends.

    Call it after their cells are claimed, in the savepoint of the claim.

    Args: terms and moving_ids, as for `read_loads`.

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
    loads = read_loads(session, terms, ids, min(days), max(days) + timedelta(days=1), moving_ids)
    for doer, visit_type_id, day in takings:
        if not loads.has_room(doer, day, visit_type_id):
            return False
        loads.add(doer.practitioner_id, day, visit_type_id)
    return True
