"""The session rows of one practitioner in the database: what decides them is read here, and what differs is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import lock_rows
from clinic_portal.models import (
    ACTIVE,
    MAX_CELLS,
    Appointment,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Closure,
    Hold,
    Location,
    Modes,
    Practitioner,
    SessionStatus,
    VisitTypeIds,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.availability import REACH, PlannedSession, PractitionerPlan, Terms
from clinic_portal.scheduling.strips import Span, Strip, cells_touched

DAY = timedelta(days=1)


class SessionRow(NamedTuple):
    """A session row, as far as the rules decide it."""

    id: int
    location_id: int
    first_cell: int
    cell_count: int
    audience: Audience
    bookable_from: datetime
    modes: Modes
    visit_type_ids: VisitTypeIds
    rule_id: int | None
    exception_id: int | None

    @property
    def end_cell(self) -> int:
        return self.first_cell + self.cell_count

    @property
    def terms(self) -> Terms:
        return Terms(
            self.audience, self.bookable_from, self.modes, self.visit_type_ids, self.rule_id, self.exception_id
        )


@dataclass(frozen=True)
class Differences:
    """What to write, and how many rows stay; the rows that end now have their new length already."""

    kept: int
    added: list[PlannedSession]
    updated: list[tuple[SessionRow, PlannedSession]]
    ended: list[SessionRow]
    removed: list[SessionRow]


def lock_practitioner(session: Session, practitioner_id: int) -> bool | None:
    """Whether the practitioner is active; None when there is none.

    Race: two refreshes of one practitioner queue up here, and so does whoever gives time back (see `claims`), since
    its session may be about to go. Beside us rows only lose free cells, by claims.
    """
    return session.scalar(_PRACTITIONER, {"practitioner_id": practitioner_id})


def load_plan(session: Session, practitioner_id: int, first_day: date, last_day: date) -> PractitionerPlan:
    """Everything that decides the practitioner's sessions on these days."""
    values = {"practitioner_id": practitioner_id, "first_day": first_day - REACH, "last_day": last_day + REACH}
    # Race: what the caller read before the lock may be stale by now.
    fresh = {"populate_existing": True}
    return PractitionerPlan(
        rules=session.scalars(_RULES, values, execution_options=fresh).all(),
        exceptions=session.scalars(_EXCEPTIONS, values, execution_options=fresh).all(),
        closures=session.scalars(_CLOSURES, values, execution_options=fresh).all(),
        locations={location.id: location for location in session.scalars(_LOCATIONS, execution_options=fresh)},
    )


def last_day(session: Session, practitioner_id: int) -> date:
    """The day of the practitioner's last session, at its place."""
    last = session.execute(_LAST_ROW, {"practitioner_id": practitioner_id}).first()
    return date.min if last is None else clock.local_date(last.starts_at, last.zone)


def read_rows(session: Session, practitioner_id: int, strip: Strip) -> list[SessionRow]:
    """The planned sessions that meet a strip of cells."""
    values = {"practitioner_id": practitioner_id, "low": strip.first_cell - MAX_CELLS, "high": strip.end_cell}
    return [SessionRow(*row) for row in session.execute(_ROWS, values)]


def write(session: Session, practitioner_id: int, found: Differences, grid_min: int) -> None:
    """Write the differences; what makes room goes first, since the database never lets two sessions overlap."""
    _lock(session, [row.id for row in (*found.ended, *found.removed)])
    changed: list[SessionRow | PlannedSession] = [*found.ended, *found.added]
    times = list(_times(session, practitioner_id, changed, grid_min)) if changed else []
    if found.removed:
        session.execute(delete(ClinicSession).where(ClinicSession.id.in_([row.id for row in found.removed])))
    ended, added = times[: len(found.ended)], times[len(found.ended) :]
    if ended:
        session.execute(
            update(ClinicSession), [{"id": row.id, **when} for row, when in zip(found.ended, ended, strict=True)]
        )
    if found.updated:
        session.execute(update(ClinicSession), [{"id": row.id, **_opened(wish)} for row, wish in found.updated])
    if added:
        session.execute(
            insert(ClinicSession),
            [
                {"practitioner_id": practitioner_id, "location_id": wish.location_id, **_opened(wish), **when}
                for wish, when in zip(found.added, added, strict=True)
            ],
        )


def _opened(wish: PlannedSession) -> dict[str, Any]:
    """The terms of a session that is new, or for others than before: whoever waits may have its time from now on."""
    return {**wish.terms._asdict(), "opened_at": max(clock.now(), wish.terms.bookable_from)}


def _lock(session: Session, row_ids: Sequence[int]) -> None:
    """Wait for the claims on these rows.

    Race: a claim keeps its row until its visit can be read, so visits are read after this.
    """
    if row_ids and lock_rows(session):
        rows = select(ClinicSession.id).where(ClinicSession.id.in_(row_ids))
        session.execute(rows.order_by(ClinicSession.id).with_for_update())


def _times(
    session: Session, practitioner_id: int, changed: Sequence[SessionRow | PlannedSession], grid_min: int
) -> Iterator[dict[str, Any]]:
    """For each session, the columns that say when it is and which of its cells are free."""
    low = min(each.first_cell for each in changed)
    strip = Strip(low, max(each.end_cell for each in changed) - low)
    taken = strip.mask(_taken(session, practitioner_id, strip, grid_min))
    for each in changed:
        yield {
            "starts_at": masks.to_instant(each.first_cell, grid_min),
            "ends_at": masks.to_instant(each.end_cell, grid_min),
            "first_cell": each.first_cell,
            "cell_count": each.cell_count,
            "free": masks.run(each.cell_count) & ~strip.cut(taken, each.first_cell, each.cell_count),
        }


def _taken(session: Session, practitioner_id: int, strip: Strip, grid_min: int) -> Iterator[Span]:
    """The cells that visits and open holds keep; a hold that expired keeps them until whoever takes them closes it."""
    starts_at = masks.to_instant(strip.first_cell, grid_min)
    values = {
        "practitioner_id": practitioner_id,
        # No visit is longer than a day: with both bounds a short stretch of the index is read.
        "day_before": starts_at - DAY,
        "starts_at": starts_at,
        "ends_at": masks.to_instant(strip.end_cell, grid_min),
    }
    # Race: a hold that becomes a visit between the two reads is seen twice this way, and the other way not at all.
    for statement in (_HOLDS, _APPOINTMENTS):
        for low, high in session.execute(statement, values):
            # Who walked in without a time has neither; the comparison has left them out already.
            if low is not None and high is not None:
                yield cells_touched(low, high, grid_min)


_WHOSE: BindParameter[int] = bindparam("practitioner_id")
_PRACTITIONER = select(Practitioner.is_active).where(Practitioner.id == _WHOSE).with_for_update(key_share=True)
_RULES = select(AvailabilityRule).where(AvailabilityRule.practitioner_id == _WHOSE)
_EXCEPTIONS = select(AvailabilityException).where(
    AvailabilityException.practitioner_id == _WHOSE,
    AvailabilityException.starts_on <= bindparam("last_day"),
    AvailabilityException.ends_on >= bindparam("first_day"),
)
_CLOSURES = select(Closure).where(Closure.first_on <= bindparam("last_day"), Closure.last_on >= bindparam("first_day"))
_LOCATIONS = select(Location)
_PLANNED = (
    ClinicSession.practitioner_id == _WHOSE,
    ClinicSession.lane == 0,
    ClinicSession.status == SessionStatus.PLANNED,
)
_ROWS: Select[*tuple[Any, ...]] = select(
    ClinicSession.id,
    ClinicSession.location_id,
    ClinicSession.first_cell,
    ClinicSession.cell_count,
    ClinicSession.audience,
    ClinicSession.bookable_from,
    ClinicSession.modes,
    ClinicSession.visit_type_ids,
    ClinicSession.rule_id,
    ClinicSession.exception_id,
).where(*_PLANNED, ClinicSession.first_cell > bindparam("low"), ClinicSession.first_cell < bindparam("high"))
_LAST_ROW = (
    select(ClinicSession.starts_at, Location.zone)
    .join(Location, Location.id == ClinicSession.location_id)
    .where(*_PLANNED)
    .order_by(ClinicSession.first_cell.desc())
    .limit(1)
)
_APPOINTMENTS = select(Appointment.blocked_from, Appointment.blocked_until).where(
    Appointment.practitioner_id == _WHOSE,
    Appointment.lane == 0,
    Appointment.status.in_(ACTIVE),
    Appointment.blocked_from > bindparam("day_before"),
    Appointment.blocked_from < bindparam("ends_at"),
    Appointment.blocked_until > bindparam("starts_at"),
)
_HOLDS = select(Hold.blocked_from, Hold.blocked_until).where(
    Hold.practitioner_id == _WHOSE,
    Hold.lane == 0,
    Hold.closed_at.is_(None),
    Hold.blocked_from < bindparam("ends_at"),
    Hold.blocked_until > bindparam("starts_at"),
)
