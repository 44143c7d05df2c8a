"""What has changed for a doctor since they last looked: the visits that they were told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.languages import N_
from clinic_portal.models import Appointment, Event, Notification, Practitioner, PractitionerState, Recipient

WORDS = {
    Event.BOOKED: N_("Booked"),
    Event.MOVED: N_("Moved"),
    Event.LENGTHENED: N_("Takes longer"),
    Event.CANCELLED: N_("Cancelled"),
}
SHOWN = 20
# Who has never looked is told of the last days only.
FIRST_LOOK = timedelta(days=2)


@dataclass(frozen=True)
class Change:
    """A visit that is new, elsewhere, longer, or gone."""

    what: str
    called_name: str
    starts_at: datetime
    zone: str
    made_at: datetime


def changes_for(session: Session, practitioner: Practitioner) -> list[Change]:
    """The newest changes since the last look, the newest first; of each visit the last one only."""
    state = session.get(PractitionerState, practitioner.id)
    since = (state.agenda_seen_at if state else None) or clock.now() - FIRST_LOOK
    found = select(Notification).where(
        Notification.practitioner_id == practitioner.id,
        Notification.recipient == Recipient.PRACTITIONER,
        Notification.created_at > since,
        Notification.event.in_(list(WORDS)),
    )
    eager = joinedload(Notification.appointment)
    rows = session.scalars(
        found.options(eager.joinedload(Appointment.patient), eager.joinedload(Appointment.location))
        .order_by(Notification.created_at.desc(), Notification.id.desc())
        .limit(4 * SHOWN)
    )
    changes: dict[int, Change] = {}
    for row in rows:
        visit = row.appointment
        if visit is not None and visit.id not in changes and visit.starts_at is not None and visit.location is not None:
            changes[visit.id] = Change(WORDS[row.event], visit.patient.full_name, visit.starts_at, visit.location.zone,
                                       row.created_at)  # fmt: skip
    return list(changes.values())[:SHOWN]
