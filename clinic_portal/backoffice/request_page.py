"""Everything that the page of one request tells."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from clinic_portal import clock
from clinic_portal.backoffice import appointments
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.models import Appointment, Hold, Offer, Patient, Task
from clinic_portal.scheduling.line import at_places, one_in_line
from clinic_portal.scheduling.waiting import offer_for


def find_request(public_id: str, limit: frozenset[int] | None) -> Appointment:
    """A request as it is now, also one that has ended, and a visit for which an earlier time may be offered.

    Raises: NotFound.
    """
    known = select(Appointment).where(at_places(limit), Appointment.public_id == public_id)
    loads = (
        joinedload(Appointment.visit_type),
        joinedload(Appointment.location),
        joinedload(Appointment.practitioner),
        joinedload(Appointment.booked_by),
        joinedload(Appointment.triaged_by),
        joinedload(Appointment.patient).options(selectinload(Patient.contact_points)),
    )
    found = db.session.scalar(known.options(*loads)) if public_id.isprintable() else None
    if found is None:
        raise NotFound
    return found


def about_request(visit: Appointment) -> dict[str, Any]:
    """Everything beside the row itself."""
    session, now = db.session(), clock.now()
    return {
        **appointments.about(visit),
        "appointment": visit,
        "line": one_in_line(session, visit) if visit.is_request else None,
        "offer": offer_for(session, visit, now),
        "offers": _offers(visit),
        "tasks": _open_tasks(visit),
    }


def _offers(visit: Appointment) -> list[Offer]:
    query = select(Offer).where(Offer.appointment_id == visit.id).order_by(Offer.id)
    loads = (joinedload(Offer.practitioner), joinedload(Offer.hold).joinedload(Hold.location))
    return list(db.session.scalars(query.options(*loads).limit(appointments.LONGEST_STORY)))


def _open_tasks(visit: Appointment) -> list[Task]:
    query = select(Task).where(Task.appointment_id == visit.id, Task.closed_at.is_(None))
    return list(db.session.scalars(query.order_by(Task.due_at, Task.id)))
