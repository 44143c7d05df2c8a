"""Booking, moving and cancelling in one line, through the services that the pages use."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from sqlalchemy import select

from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.models import Appointment, Event, Notification
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.times import Search
from tests.world import World, add_session, at

_tokens = (f"token-{number}" for number in count())


def open_clinic(world: World, day: int = 1) -> None:
    """Dr Chen works from 9 to 12 that many days ahead."""
    add_session(world.chen_id, at(9, day=day), at(12, day=day), world.location_id)


def book(
    world: World, starts_at: datetime, *, visit_type_id: int = 0, patient_id: int = 0, actor: Actor | None = None
) -> Appointment:
    search = Search(visit_type_id or world.check_up_id, patient_id or world.alice_id)
    return booking.reserve_slot(actor=actor or world.alice, search=search, starts_at=starts_at, token=next(_tokens))


def move(world: World, visit: Appointment, starts_at: datetime, *, location_id: int | None = None) -> Appointment:
    search = Search(visit.visit_type_id, visit.patient_id, location_id, moving_id=visit.id)
    return booking.move_appointment(
        actor=world.alice, appointment_id=visit.id, search=search, starts_at=starts_at, token=next(_tokens)
    )


def cancel(world: World, visit: Appointment) -> Appointment:
    return booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token=next(_tokens))


def messages_of(visit_id: int) -> list[Notification]:
    """The ledger's rows about one visit but its reminders, read afresh, oldest first."""
    return [row for row in _rows_of(visit_id) if row.event != Event.REMINDER]


def reminders_of(visit_id: int) -> list[Notification]:
    """The reminders of one visit, read afresh: those of an older time first, then those that come first."""
    rows = [row for row in _rows_of(visit_id) if row.event == Event.REMINDER]
    return sorted(rows, key=lambda row: (row.sequence, row.due_at, row.id))


def _rows_of(visit_id: int) -> list[Notification]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Notification).filter_by(appointment_id=visit_id).order_by(Notification.id)))


def told(visit_id: int) -> list[tuple[str, str, str]]:
    """Event, recipient and delivery of each message about one visit but its reminders."""
    return [(row.event.value, row.recipient.value, row.delivery.value) for row in messages_of(visit_id)]
