"""The assignment queue: everybody who waits, in order, in batches, until nothing is due.

Who is due, and in which order, is found in the rows: see `due.py`.

A batch is one transaction. On SQLite the writer's turn, on Postgres one advisory lock, lets one batch in at a time: so
drains that run twice or side by side serve everybody once, and in order. Reservations beside it are not held up: cells
are claimed by the same guarded statements, and who loses such a race is planned again on a fresh picture.
"""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, take_turns, writing
from clinic_portal.errors import Busy
from clinic_portal.models import ServedList
from clinic_portal.scheduling import serving
from clinic_portal.scheduling.due import GRACE, due_ids, may_be_placed, opened_types, place_in_line
from clinic_portal.scheduling.offers import offers_to_settle, settle_offers
from clinic_portal.scheduling.outlook import Outlook
from clinic_portal.scheduling.request_rows import lock_batch

BATCH = 50
# So many batches are served from one look at the line, before whoever came meanwhile is seen.
LOOK = 10 * BATCH
DRAIN_FOR_S = 60.0
# Any number, the same in all processes, that nothing else takes.
TURNS = 7263011

log = logging.getLogger(__name__)


def drain(for_s: float = DRAIN_FOR_S) -> bool:
    """Serve everybody who is due, batch after batch; says whether nothing was left in that time.

    Args: for_s, seconds after which no further batch begins.
    Commits: each batch by itself.
    Raises: Busy when the database has no turn for it now; everything is found again by the next drain.
    Source: UC1.2, UC1.3, UC1.4.
    """
    until = time.monotonic() + for_s
    while settle_offers() and time.monotonic() < until:
        pass
    line = Line()
    while time.monotonic() < until:
        ids = line.next_due()
        if not ids:
            line.close()
            return True
        for first in range(0, len(ids), BATCH):
            if time.monotonic() < until:
                _serve(ids[first : first + BATCH], line)
    return False


def is_anybody_due() -> bool:
    """Whether a drain would find something to do; a few small queries."""
    session, now = _fresh_session(), clock.now()
    return bool(offers_to_settle(session, now)) or bool(due_ids(session, now, opened_types(session, now), 1))


@dataclass
class Line:
    """One drain's look at the line: what it has judged already, and the picture it places from."""

    judged: set[int] = field(default_factory=set)
    opened: dict[int, datetime] = field(default_factory=dict)
    outlook: Outlook = field(default_factory=Outlook)

    def next_due(self) -> list[int]:
        session, now = _fresh_session(), clock.now()
        self.opened = {type_id: self.opened.get(type_id, now) for type_id in opened_types(session, now)}
        due = due_ids(session, now, list(self.opened), LOOK + len(self.judged))
        return [id_ for id_ in due if id_ not in self.judged][:LOOK]

    def close(self) -> None:
        """Note until when all time that opened has been tried on those who wait."""
        if self.opened:
            _note_served(opened=self.opened)


def _serve(ids: list[int], line: Line) -> None:
    """Serve one batch; when something is wrong with one of it, the others are served without it."""
    try:
        line.judged |= serve_batch(ids=ids, line=line)
    except Busy:
        raise
    except Exception as error:  # noqa: BLE001  # one broken request must not hold up the others
        _log_fault(error)
        for id_ in ids:
            _serve_alone(id_, line)


def _serve_alone(id_: int, line: Line) -> None:
    try:
        line.judged |= serve_batch(ids=[id_], line=line)
    except Busy:
        raise
    except Exception as error:  # noqa: BLE001
        _log_fault(error)
        serving.note_fault(appointment_id=id_)
        line.judged.add(id_)


def _log_fault(error: Exception) -> None:
    # Where, not what: the text of a database error repeats the values of its row.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("requests could not be served: %s\n%s", type(error).__name__, where)


@writing
def serve_batch(session: Session, *, ids: list[int], line: Line) -> set[int]:
    """Place a batch of requests in their order, or say why not; returns whom it has judged.

    Commits: for each that found a time its cells, the visit or the offer, attempt, audit, messages; for the others why.
    Rings: deliver_notifications.
    """
    take_turn(session)
    now = clock.now()
    rows = [row for row in lock_batch(session, ids) if may_be_placed(row, now)]
    rows.sort(key=place_in_line)
    if rows:
        line.outlook.begin()
        serving.serve(session, rows, now, line.outlook)
        line.outlook.end()
    return set(ids)


def take_turn(session: Session) -> None:
    """Wait until no other batch is being served, on Postgres; on SQLite the writer's turn is that already.

    # Race: two batches side by side would place somebody further back first.
    """
    take_turns(session, TURNS)


@writing
def _note_served(session: Session, *, opened: dict[int, datetime]) -> None:
    # Race: two drains side by side would both write the first row of a visit type.
    take_turn(session)
    for type_id, looked_at in sorted(opened.items()):
        session.merge(ServedList(visit_type_id=type_id, served_until=looked_at - GRACE))


def _fresh_session() -> Session:
    session = db.session()
    # What this session saw in the batch before is old by now.
    session.rollback()
    return session
