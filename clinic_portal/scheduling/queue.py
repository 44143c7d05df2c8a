"""The assignment queue: everybody who waits, in order, in batches, until nothing is due.

Order: urgent first, then by target, then by when it was asked, then by id; people without a visit before people who
want an earlier one. Nothing else is an input: no missed visits, no age, no language (UC1.8).

A batch is one transaction. On SQLite the writer's turn, on Postgres one advisory lock, lets one batch in at a time: so
drains that run twice or side by side serve everybody once, and in order. Reservations beside it are not held up: cells
are claimed by the same guarded statements, and who loses such a race is planned again on a fresh picture.
"""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, lock_rows, writing
from clinic_portal.errors import Busy
from clinic_portal.models import (
    MAX_CELLS,
    WAITING_SQL,
    Appointment,
    Audience,
    ClinicSession,
    PractitionerVisitType,
    PriorityClass,
    ServedList,
    SessionStatus,
    Status,
    TriageStatus,
    VisitType,
)
from clinic_portal.scheduling import serving
from clinic_portal.scheduling.offers import offers_to_settle, settle_offers
from clinic_portal.scheduling.outlook import Outlook
from clinic_portal.scheduling.request_rows import lock_batch
from clinic_portal.scheduling.strips import cell_of
from clinic_portal.settings import load_settings

BATCH = 50
# So many batches are served from one look at the line, before whoever came meanwhile is seen.
LOOK = 10 * BATCH
DRAIN_FOR_S = 60.0
# Whoever frees time writes down when; the commit may come later. Until then it counts as not yet tried.
GRACE = timedelta(seconds=30)
# Any number, the same in all processes, that nothing else takes.
_TURN = text("SELECT pg_advisory_xact_lock(7263011)")

log = logging.getLogger(__name__)

_MAY_BE_PLACED = (
    # Written out, because SQLite uses a partial index only for the very words it was made with.
    text(f"appointments.{WAITING_SQL}"),
    Appointment.status != Status.PENDING,
    Appointment.triage_status.in_((TriageStatus.NOT_NEEDED, TriageStatus.DONE)),
    Appointment.paused_at.is_(None),
)
_WOULD_BE_EARLIER = (
    text("appointments.wants_earlier"),
    Appointment.status == Status.BOOKED,
    Appointment.paused_at.is_(None),
)
# Tried whenever time opens; the others only when they are due by themselves.
TRIED_AGAIN = (Status.WAITLIST, Status.BOOKED)
ORDER = (
    case((Appointment.priority_class == PriorityClass.URGENT, 0), else_=1),
    Appointment.target_at,
    Appointment.requested_at,
    Appointment.id,
)


def place_in_line(visit: Appointment) -> tuple[bool, bool, datetime, datetime, int]:
    """What orders all who wait, as `ORDER` does in the database; people who have a visit come after those without."""
    is_not_urgent, has_visit = visit.priority_class is not PriorityClass.URGENT, visit.starts_at is not None
    return is_not_urgent, has_visit, visit.target_at, visit.requested_at, visit.id


def may_be_placed(visit: Appointment, now: datetime) -> bool:
    """Whether the queue may place a request: nobody has to look at it first, and it is neither paused nor put off.

    Or a booked visit that is still ahead and would be earlier.
    """
    is_ahead = visit.starts_at is not None and visit.starts_at > now
    return (
        (visit.status in (Status.PROPOSED, Status.WAITLIST) or (visit.wants_earlier and is_ahead))
        and visit.triage_status in (TriageStatus.NOT_NEEDED, TriageStatus.DONE)
        and visit.paused_at is None
        and (visit.deferred_until is None or visit.deferred_until <= now)
        and visit.next_try_at is not None
    )


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
    return bool(offers_to_settle(session, now)) or bool(_due_ids(session, now, _opened_types(session, now), 1))


def oldest_due_at(session: Session) -> datetime | None:
    """Since when the request that has waited longest for the queue's look could have had it."""
    oldest: datetime | None = session.scalar(
        select(func.min(Appointment.next_try_at)).where(*_MAY_BE_PLACED, Appointment.next_try_at <= clock.now())
    )
    return oldest


@dataclass
class Line:
    """One drain's look at the line: what it has judged already, and the picture it places from."""

    judged: set[int] = field(default_factory=set)
    opened: dict[int, datetime] = field(default_factory=dict)
    outlook: Outlook = field(default_factory=Outlook)

    def next_due(self) -> list[int]:
        session, now = _fresh_session(), clock.now()
        self.opened = {type_id: self.opened.get(type_id, now) for type_id in _opened_types(session, now)}
        due = _due_ids(session, now, list(self.opened), LOOK + len(self.judged))
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
    if lock_rows(session):
        session.execute(_TURN)


def _due_ids(session: Session, now: datetime, opened_types: list[int], limit: int) -> list[int]:
    is_due: ColumnElement[bool] = Appointment.next_try_at <= now
    if opened_types:
        has_opening = and_(Appointment.status.in_(TRIED_AGAIN), Appointment.visit_type_id.in_(opened_types))
        is_due = or_(is_due, and_(has_opening, Appointment.next_try_at.is_not(None)))
    is_not_deferred = or_(Appointment.deferred_until.is_(None), Appointment.deferred_until <= now)
    due: dict[int, tuple[Any, ...]] = {}
    for who in (_MAY_BE_PLACED, _WOULD_BE_EARLIER):
        found = select(Appointment.id, Appointment.starts_at.is_not(None), *ORDER).where(*who, is_not_deferred, is_due)
        for id_, has_visit, is_not_urgent, *others in session.execute(found.order_by(*ORDER).limit(limit)):
            due[id_] = (is_not_urgent, has_visit, *others)
    return sorted(due, key=due.__getitem__)[:limit]


def _opened_types(session: Session, now: datetime) -> list[int]:
    """Visit types that somebody waits for and that got time since it was last tried on them; from rows alone."""
    grid_min = load_settings(session).number("grid_min")
    waits, would_be_earlier = (
        select(Appointment.id).where(*who, Appointment.visit_type_id == VisitType.id).exists()
        for who in ((_MAY_BE_PLACED[0], Appointment.status == Status.WAITLIST), _WOULD_BE_EARLIER)
    )
    time_opened = (
        select(ClinicSession.id)
        .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
        .where(
            PractitionerVisitType.visit_type_id == VisitType.id,
            PractitionerVisitType.is_active,
            or_(ServedList.served_until.is_(None), ClinicSession.opened_at > ServedList.served_until),
            ClinicSession.opened_at <= now,
            ClinicSession.first_cell > cell_of(now, grid_min) - MAX_CELLS,
            ClinicSession.free != 0,
            ClinicSession.lane == 0,
            ClinicSession.status == SessionStatus.PLANNED,
            ClinicSession.audience == Audience.PUBLIC,
        )
    )
    types = select(VisitType.id).outerjoin(ServedList, ServedList.visit_type_id == VisitType.id)
    return list(session.scalars(types.where(or_(waits, would_be_earlier), time_opened.exists())))


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
