"""Who is due in the assignment queue, and in which order: found in the rows alone, whoever rang or did not.

Order: urgent first, then by target, then by when it was asked, then by id; people without a visit before people who
want an earlier one. Nothing else is an input: no missed visits, no age, no language (UC1.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

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
from clinic_portal.scheduling.offers import offer_over_since
from clinic_portal.scheduling.strips import cell_of
from clinic_portal.settings import load_settings

# Whoever frees time writes down when; the commit may come later. Until then it counts as not yet tried.
GRACE = timedelta(seconds=30)

_WAITS = text(f"appointments.{WAITING_SQL}")  # written out: SQLite uses a partial index only for its very words
_HAS_BEEN_LOOKED_AT = Appointment.triage_status.in_((TriageStatus.NOT_NEEDED, TriageStatus.DONE))
_MAY_BE_PLACED = (_WAITS, Appointment.status != Status.PENDING, _HAS_BEEN_LOOKED_AT, Appointment.paused_at.is_(None))
# Tried whenever time opens; the others only when they are due by themselves.
TRIED_AGAIN = (Status.WAITLIST, Status.BOOKED)
_IS_UNTRIED = or_(ServedList.served_until.is_(None), ClinicSession.opened_at > ServedList.served_until)
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
    is_ahead = visit.status is Status.BOOKED and visit.starts_at is not None and visit.starts_at > now
    return (
        (visit.status in (Status.PROPOSED, Status.WAITLIST) or (visit.wants_earlier and is_ahead))
        and visit.triage_status in (TriageStatus.NOT_NEEDED, TriageStatus.DONE)
        and visit.paused_at is None
        and (visit.deferred_until is None or visit.deferred_until <= now)
        and visit.next_try_at is not None
    )


def _would_be_earlier(now: datetime) -> tuple[Any, ...]:
    """Booked visits whose patients would come earlier; one that has begun, or is over, waits for nothing any more."""
    return (
        text("appointments.wants_earlier"),
        Appointment.status == Status.BOOKED,
        Appointment.starts_at > now,
        _HAS_BEEN_LOOKED_AT,
        Appointment.paused_at.is_(None),
    )


def _is_not_deferred(now: datetime) -> ColumnElement[bool]:
    return or_(Appointment.deferred_until.is_(None), Appointment.deferred_until <= now)


def due_ids(session: Session, now: datetime, opened_types: Sequence[int], limit: int) -> list[int]:
    """Those who are due, in their order: by themselves, or because time opened for what they wait for."""
    is_due: ColumnElement[bool] = Appointment.next_try_at <= now
    if opened_types:
        has_opening = and_(
            Appointment.status.in_(TRIED_AGAIN),
            Appointment.visit_type_id.in_(opened_types),
            Appointment.next_try_at.is_not(None),
            # After a fault it is the pause that counts, or a few openings would use all tries up.
            Appointment.tries == 0,
        )
        is_due = or_(is_due, has_opening)
    due: dict[int, tuple[Any, ...]] = {}
    for who in (_MAY_BE_PLACED, _would_be_earlier(now)):
        found = select(Appointment.id, Appointment.starts_at.is_not(None), *ORDER)
        found = found.where(*who, _is_not_deferred(now), is_due).order_by(*ORDER).limit(limit)
        for id_, has_visit, is_not_urgent, *others in session.execute(found):
            due[id_] = (is_not_urgent, has_visit, *others)
    return sorted(due, key=due.__getitem__)[:limit]


def opened_types(session: Session, now: datetime) -> list[int]:
    """Visit types that somebody waits for and that got time since it was last tried on them; from rows alone."""
    waits, would_be_earlier = (
        select(Appointment.id).where(*who, Appointment.visit_type_id == VisitType.id).exists()
        for who in ((_WAITS, Appointment.status == Status.WAITLIST), _would_be_earlier(now))
    )
    time_opened = (
        select(ClinicSession.id)
        .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
        .where(
            PractitionerVisitType.visit_type_id == VisitType.id,
            _IS_UNTRIED,
            *_is_open_time(session, now),
        )
    )
    types = select(VisitType.id).outerjoin(ServedList, ServedList.visit_type_id == VisitType.id)
    return list(session.scalars(types.where(or_(waits, would_be_earlier), time_opened.exists())))


def _is_open_time(session: Session, now: datetime) -> tuple[Any, ...]:
    grid_min = load_settings(session).number("grid_min")
    return (
        PractitionerVisitType.is_active,
        ClinicSession.opened_at <= now,
        ClinicSession.first_cell > cell_of(now, grid_min) - MAX_CELLS,
        ClinicSession.free != 0,
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.audience == Audience.PUBLIC,
    )


def oldest_due_at(session: Session, now: datetime) -> datetime | None:
    """Since when somebody could have had the queue's look: it is their turn, time has opened, or an offer is over."""
    instants = [_time_unlooked_at_since(session, now), offer_over_since(session, now)]
    for who in (_MAY_BE_PLACED, _would_be_earlier(now)):
        is_due = (*who, _is_not_deferred(now), Appointment.next_try_at <= now)
        instants.append(session.scalar(select(func.min(Appointment.next_try_at)).where(*is_due)))
    return min((instant for instant in instants if instant is not None), default=None)


def _time_unlooked_at_since(session: Session, now: datetime) -> datetime | None:
    """Since when there is time that somebody may be waiting for and that no drain has looked at."""
    types = opened_types(session, now)
    if not types:
        return None
    rows = session.execute(
        select(ServedList.served_until, func.min(ClinicSession.opened_at))
        .select_from(PractitionerVisitType)
        .join(ClinicSession, ClinicSession.practitioner_id == PractitionerVisitType.practitioner_id)
        .outerjoin(ServedList, ServedList.visit_type_id == PractitionerVisitType.visit_type_id)
        .where(PractitionerVisitType.visit_type_id.in_(types), _IS_UNTRIED, *_is_open_time(session, now))
        .group_by(PractitionerVisitType.visit_type_id, ServedList.served_until)
    )
    # What was opened just before a drain is tried once more later, but it has been looked at.
    since = (max(served_until + GRACE, opened_at) if served_until else opened_at for served_until, opened_at in rows)
    return min(since, default=None)
