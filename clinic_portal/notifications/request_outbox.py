"""Messages about requests, offers and invitations, in the same ledger; and the ring that wakes the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, false, func, select
from sqlalchemy.orm import Session

from clinic_portal import queues
from clinic_portal.database import after_commit, run
from clinic_portal.models import Appointment, Event, Notification, Patient, Recipient, VisitInvitation
from clinic_portal.notifications import ledger
from clinic_portal.notifications.addresses import first_email
from clinic_portal.notifications.calls import ask_to_call
from clinic_portal.notifications.outbox import to_patient

_visit, _patient = Appointment.__table__.c, Patient.__table__.c
_CONTACTS = (
    select(_visit.id, _patient.deceased_on, first_email(_visit.is_private))
    .join_from(Appointment.__table__, Patient.__table__, _patient.id == _visit.patient_id)
    .where(_visit.id.in_(bindparam("ids", expanding=True)))
)
_CONTACT = select(_patient.deceased_on, first_email(false())).where(_patient.id == bindparam("patient_id"))
_HOW_OFTEN = select(Notification.appointment_id, Notification.event, func.count()).where(
    Notification.appointment_id.in_(bindparam("ids", expanding=True))
).group_by(Notification.appointment_id, Notification.event)  # fmt: skip


# Who has no mailbox and asked at the desk or by phone knows that it was asked; and whoever let offers pass is called by
# somebody with another task anyway, to ask what to do.
NO_CALL = (Event.REQUEST_RECEIVED, Event.REQUEST_PAUSED)


@dataclass(frozen=True)
class Told:
    """One thing to tell the patient of a request."""

    appointment: Appointment
    event: Event
    facts: dict[str, Any] = field(default_factory=dict)
    # Until when somebody without a mailbox should be called; within a day anyway.
    call_by: datetime | None = None


def tell_of_requests(session: Session, told: Sequence[Told]) -> None:
    """Tell patients what became of their requests, inside the caller's transaction.

    Args: appointments, flushed.
    Rings: deliver_notifications, after the caller's commit.
    Source: UC6.1, UC6.3.
    """
    ids = {"ids": sorted({each.appointment.id for each in told})}
    contacts = {row[0]: row[1:] for row in run(session, _CONTACTS, ids)}
    often = {(row[0], Event(row[1])): row[2] for row in run(session, _HOW_OFTEN, ids)}
    rows = []
    for each in told:
        deceased_on, contact_point_id = contacts[each.appointment.id]
        is_call = contact_point_id is None
        if deceased_on is not None or (is_call and each.event in NO_CALL):
            continue
        number = often[each.appointment.id, each.event] = often.get((each.appointment.id, each.event), 0) + 1
        rows.append(_row(each, number, contact_point_id))
        if is_call:
            ask_to_call(session, each.appointment.patient_id, each.appointment.id, each.call_by)
    if rows:
        ledger.write(session, rows)
        after_commit(_ring_messages)


def _row(told: Told, number: int, contact_point_id: int | None) -> dict[str, Any]:
    visit, way = told.appointment, to_patient(told.appointment.patient_id, contact_point_id)
    # The same may have to be told again: a second offer is another message.
    key = ledger.dedupe_key(visit.id, told.event, visit.sequence, Recipient.PATIENT, visit.patient_id, way["channel"])
    return ledger.row(f"{key}:{number}", visit.id, told.event, visit.sequence, told.facts) | way


def tell_invited(session: Session, invitation: VisitInvitation) -> None:
    """Ask a patient to book the visit of an invitation, inside the caller's transaction.

    Rings: deliver_notifications, after the caller's commit.
    """
    deceased_on, contact_point_id = run(session, _CONTACT, {"patient_id": invitation.patient_id}).one()
    if deceased_on is not None:
        return
    key = f"visit_invitation:{invitation.id}:{Event.INVITATION}"
    row = ledger.row(key, None, Event.INVITATION, 0, {}) | to_patient(invitation.patient_id, contact_point_id)
    ledger.write(session, [row | {"visit_invitation_id": invitation.id}])
    if contact_point_id is None:
        ask_to_call(session, invitation.patient_id)
    after_commit(_ring_messages)


def wake_queue() -> None:
    """After the commit, ask that whoever waits is served: somebody asked, or time was freed."""
    after_commit(_ring_queue)


def _ring_messages() -> None:
    queues.ring("deliver_notifications")


def _ring_queue() -> None:
    queues.ring("drain_requests")
