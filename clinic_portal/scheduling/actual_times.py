"""The times of visits as they came about: of somebody who was seen without a time.

Whoever walks in and is seen between two others has no time until it is over; then the visit gets the one it took, in a
lane of its own beside the practitioner's ordinary time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from clinic_portal.errors import BadTransition, PatientBusy
from clinic_portal.models import ACTIVE, Appointment, ClinicSession
from clinic_portal.scheduling import masks, session_rows
from clinic_portal.scheduling.strips import cells_touched

WALKED_IN = "walked in"
# Nobody is seen for longer; who forgets to say when it ended is told of at most this.
LONGEST = timedelta(hours=4)
DAY = timedelta(days=1)


def take_time_it_took(session: Session, visit: Appointment, now: datetime, grid_min: int) -> None:
    """Give a visit that ends now, and has no time, the time since its patient was called; whole cells of the grid.

    Less what other visits of the same patient take. The visit and its patient must be locked.
    # Race: under the practitioner's lock, so that two such visits take different lanes.
    Raises: BadTransition when nobody sees the patient, PatientBusy when another visit takes all of it.
    Source: clinic.md A1, A19.
    """
    if visit.practitioner_id is None or visit.called_at is None:
        raise BadTransition("Say first who sees the patient.", current=visit.status.value)
    session_rows.lock_practitioner(session, visit.practitioner_id)
    # One that ends in the minute in which it began takes a cell all the same.
    until = max(min(now, visit.called_at + LONGEST), visit.called_at + timedelta(microseconds=1))
    low, high = (masks.to_instant(cell, grid_min) for cell in cells_touched(visit.called_at, until, grid_min))
    low, high = _without_others(session, visit, low, high)
    visit.lane, visit.squeeze_in_reason = _free_lane(session, visit.practitioner_id, low, high), WALKED_IN
    visit.starts_at, visit.ends_at, visit.blocked_from, visit.blocked_until = low, high, low, high


def forget_time_it_took(visit: Appointment) -> None:
    """Take it back: the visit goes on, and has no time again. Others keep theirs."""
    if visit.squeeze_in_reason == WALKED_IN:
        visit.starts_at = visit.ends_at = visit.blocked_from = visit.blocked_until = visit.squeeze_in_reason = None
        visit.lane = 0


def _without_others(session: Session, visit: Appointment, low: datetime, high: datetime) -> tuple[datetime, datetime]:
    others = select(Appointment.id, Appointment.starts_at, Appointment.ends_at).where(
        Appointment.patient_id == visit.patient_id,
        Appointment.id != visit.id,
        Appointment.status.in_(ACTIVE),
        Appointment.starts_at < high,
        Appointment.starts_at > low - DAY,
        Appointment.ends_at > low,
    )
    for other in session.execute(others.order_by(Appointment.starts_at)):
        if other.starts_at > low:
            return low, other.starts_at
        low = other.ends_at
        if low >= high:
            raise PatientBusy(appointment_id=other.id)
    return low, high


def _free_lane(session: Session, practitioner_id: int, low: datetime, high: datetime) -> int:
    visits = select(Appointment.lane).where(
        Appointment.practitioner_id == practitioner_id,
        Appointment.status.in_(ACTIVE),
        Appointment.blocked_from < high,
        Appointment.blocked_from > low - DAY,
        Appointment.blocked_until > low,
    )
    planned = select(ClinicSession.lane).where(
        ClinicSession.practitioner_id == practitioner_id,
        ClinicSession.starts_at < high,
        ClinicSession.starts_at > low - DAY,
        ClinicSession.ends_at > low,
    )
    taken = set(session.scalars(union_all(visits, planned)))
    lanes: Iterator[int] = count(1)
    return next(lane for lane in lanes if lane not in taken)
