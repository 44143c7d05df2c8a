"""Keep practitioners' sessions as their rules mean them, touching only what differs.

Sessions are derived from rules, so a future row that the rules no longer mean is deleted. What has been stays: a row
that ended is never touched, and of a session that is running only the rest follows the rules.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound
from clinic_portal.models import Location, Practitioner
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import masks, session_rows
from clinic_portal.scheduling.availability import PlannedSession, derive_sessions
from clinic_portal.scheduling.session_rows import Differences, SessionRow
from clinic_portal.scheduling.strips import first_cell_from, strip_over
from clinic_portal.settings import load_settings

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
S = TypeVar("S", SessionRow, PlannedSession)
# What is left of a session from now on, and where: a row and a plan with the same key are the same session.
Key = tuple[int, int, int]


@dataclass(frozen=True)
class SessionChanges:
    """How many rows a refresh kept, added, gave other terms, ended now, and removed."""

    kept: int
    added: int
    updated: int
    ended: int
    removed: int


@writing
def refresh_sessions(session: Session, *, practitioner_id: int) -> SessionChanges:
    """Bring one practitioner's sessions up to date with the rules, from today to as far ahead as sessions are made.

    Commits: the changed session rows.
    Raises: NotFound when there is no such practitioner.
    """
    today = clock.now().astimezone(UTC).date()
    horizon = today + timedelta(days=load_settings(session).number("sessions_ahead_days"))
    # Rows made under a longer horizon must not go stale; and west of Greenwich it may still be yesterday.
    last_day = max(horizon, session_rows.last_day(session, practitioner_id))
    return write_sessions(session, practitioner_id, today - DAY, last_day)


def roll_sessions() -> int:
    """Make the sessions of the days that have come nearer, and count the practitioners done.

    One practitioner whose sessions cannot be made is logged by id, and the rest are served.

    Commits: each practitioner's rows by themselves.
    """
    done = 0
    for practitioner_id in db.session().scalars(select(Practitioner.id).order_by(Practitioner.id)).all():
        try:
            refresh_sessions(practitioner_id=practitioner_id)
            done += 1
        except Exception:
            log.exception("could not make the sessions of practitioner %d", practitioner_id)
    return done


def write_sessions(session: Session, practitioner_id: int, first_day: date, last_day: date) -> SessionChanges:
    """Make the sessions that begin on these days what the rules say, inside the caller's transaction.

    Times: days at each location; nothing that lies before the present moment changes.
    Raises: NotFound when there is no such practitioner.
    """
    is_active = session_rows.lock_practitioner(session, practitioner_id)
    if is_active is None:
        raise NotFound
    grid_min = load_settings(session).number("grid_min")
    plan = session_rows.load_plan(session, practitioner_id, first_day, last_day)
    ahead = _Ahead(first_day, last_day, grid_min, first_cell_from(clock.now(), grid_min), plan.locations)
    rows = session_rows.read_rows(session, practitioner_id, strip_over(first_day, last_day, grid_min))
    # What began the day before may still be running.
    planned = derive_sessions(plan, first_day - DAY, last_day, grid_min) if is_active else []
    found = _compare(ahead, rows, planned)
    session_rows.write(session, practitioner_id, found, grid_min)
    if found.added or found.updated:
        wake_queue()
    return SessionChanges(
        kept=found.kept,
        added=len(found.added),
        updated=len(found.updated),
        ended=len(found.ended),
        removed=len(found.removed),
    )


@dataclass(frozen=True)
class _Ahead:
    """What is compared: what begins or goes on in these days, as far as it lies ahead."""

    first_day: date
    last_day: date
    grid_min: int
    now_cell: int
    locations: Mapping[int, Location]

    def by_key(self, sessions: Iterable[S]) -> dict[Key, S]:
        keyed = {}
        for each in sessions:
            first = max(each.first_cell, self.now_cell)
            day = clock.local_date(masks.to_instant(first, self.grid_min), self.locations[each.location_id].zone)
            if first < each.end_cell and self.first_day <= day <= self.last_day:
                keyed[first, each.end_cell, each.location_id] = each
        return keyed


def _compare(ahead: _Ahead, rows: list[SessionRow], planned: list[PlannedSession]) -> Differences:
    have, want = ahead.by_key(rows), ahead.by_key(planned)
    new = {key: wish for key, wish in want.items() if key not in have}
    gone = [row for key, row in have.items() if key not in want]
    updated = [(row, want[key]) for key, row in have.items() if key in want and row.terms != want[key].terms]
    return Differences(
        kept=len(have) - len(gone) - len(updated),
        added=[replace(wish, first_cell=first, cell_count=end - first) for (first, end, _), wish in new.items()],
        updated=updated,
        ended=[
            row._replace(cell_count=ahead.now_cell - row.first_cell) for row in gone if row.first_cell < ahead.now_cell
        ],
        removed=[row for row in gone if row.first_cell >= ahead.now_cell],
    )
