"""The ledger of messages: one row per event, person and channel, written in the transaction of the change itself.

A change that is rolled back tells nobody, and one that is committed tells everybody, whatever happens to the queue, the
workers or the mail server afterwards. Rows keep facts, never texts. Nothing is taken back here when a later change
overtakes a message: that is judged when it is about to leave (see `delivery.py`). Reminders are planned anew with every
change (see `reminders.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Boolean, bindparam, func, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock, queues
from clinic_portal.audit import SYSTEM
from clinic_portal.database import after_commit, run
from clinic_portal.models import (
    Appointment,
    Channel,
    ContactPoint,
    Delivery,
    Event,
    Notification,
    Patient,
    Practitioner,
    Recipient,
    TaskKind,
)
from clinic_portal.notifications import ledger, reminders
from clinic_portal.notifications.addresses import first_email
from clinic_portal.notifications.calls import ask_to_call
from clinic_portal.tasks import close_tasks

CALL_AHEAD = timedelta(days=1)

# Written against the tables themselves, and made once: both run inside every reservation.
_patient, _practitioner, _visit = Patient.__table__.c, Practitioner.__table__.c, Appointment.__table__.c
_FIRST_EMAIL = first_email(bindparam("is_private", type_=Boolean()))
_CONCERNED = (
    select(_patient.deceased_on, _FIRST_EMAIL, _practitioner.id, _practitioner.email)
    .join_from(
        Patient.__table__, Practitioner.__table__, _practitioner.id.in_([bindparam("first"), bindparam("second")])
    )
    .where(_patient.id == bindparam("patient"))
)
_CONCERNED_TOGETHER = (
    select(_visit.id, _patient.deceased_on, first_email(_visit.is_private), _practitioner.email)
    .join_from(Appointment.__table__, Patient.__table__, _patient.id == _visit.patient_id)
    .outerjoin(Practitioner.__table__, _practitioner.id == _visit.practitioner_id)
    .where(_visit.id.in_(bindparam("ids", expanding=True)))
)

# Calls have no moment of sending at which they could be found overtaken.
_OVERTAKE_CALLS = (
    update(Notification)
    .where(Notification.appointment_id == bindparam("visit"), Notification.delivery == Delivery.TO_CALL)
    .values(delivery=Delivery.SUPERSEDED, detail="newer")
    .execution_options(synchronize_session=False)
)


_IS_ASKING = Notification.event == Event.VERIFY


class _People(NamedTuple):
    """Whom a change concerns, and how they can be reached."""

    is_deceased: bool
    contact_point_id: int | None
    practitioners_with_email: frozenset[int]


def tell_booked(session: Session, appointment: Appointment) -> None:
    """Tell the patient and the practitioner that a visit was booked, inside the caller's transaction.

    Args: appointment: flushed, with its practitioner and its final sequence.
    Rings: deliver_notifications, after the caller's commit.
    Source: UC6.1, UC6.3.
    """
    _tell(session, appointment, Event.BOOKED, {appointment.practitioner_id: Event.BOOKED}, {})


def tell_booked_together(session: Session, appointments: Sequence[Appointment]) -> None:
    """As `tell_booked`, for visits that were booked together.

    Rings: deliver_notifications, after the caller's commit.
    """
    concerned = {
        row[0]: row[1:] for row in run(session, _CONCERNED_TOGETHER, {"ids": [each.id for each in appointments]})
    }
    rows = []
    for appointment in appointments:
        deceased_on, contact_point_id, practitioner_email = concerned[appointment.id]
        if deceased_on is not None:
            continue
        rows.append(_patient_row(appointment, Event.BOOKED, {}, contact_point_id))
        if contact_point_id is None:
            _ask_to_call(session, appointment.patient_id, appointment.id, appointment.starts_at)
        if practitioner_email and appointment.practitioner_id is not None:
            rows.append(_practitioner_row(appointment, Event.BOOKED, {}, appointment.practitioner_id))
    if rows:
        ledger.write(session, rows)
        after_commit(_ring)
    reminders.plan_for_all(session, [appointment.patient_id for appointment in appointments])


def tell_moved(
    session: Session,
    appointment: Appointment,
    *,
    old_starts_at: datetime,
    old_practitioner_id: int,
    old_location_id: int | None = None,
    old_window_min: int = 0,
    tells_patient: bool = True,
) -> None:
    """Tell everybody that a visit was moved; a practitioner who lost it hears of a cancel, one who got it of a booking.

    Args: appointment: flushed, as it is now; old_location_id: where it was, if elsewhere;
    old_window_min: how long the stretch of the day was that the patient had been told; tells_patient: false when
    somebody at the clinic has told them: that is written down, and only the practitioners and the reminders follow.
    Rings: deliver_notifications, after the caller's commit.
    Source: UC6.1, UC6.3.
    """
    facts = {
        "old_starts_at": old_starts_at.isoformat(),
        "old_location_id": old_location_id,
        "old_window_min": old_window_min,
    }
    if old_practitioner_id == appointment.practitioner_id:
        practitioners: dict[int | None, Event] = {old_practitioner_id: Event.MOVED}
    else:
        practitioners = {old_practitioner_id: Event.CANCELLED, appointment.practitioner_id: Event.BOOKED}
    _tell(session, appointment, Event.MOVED, practitioners, facts, tells_patient=tells_patient)


def tell_lengthened(session: Session, appointment: Appointment) -> None:
    """Tell the patient and the practitioner that a visit takes longer, from the same time on.

    Args: appointment: flushed; its sequence was raised, so that calendars show the new end.
    Rings: deliver_notifications, after the caller's commit.
    Source: UC6.1, UC6.3.
    """
    _tell(session, appointment, Event.LENGTHENED, {appointment.practitioner_id: Event.LENGTHENED}, {})


def tell_cancelled(session: Session, appointment: Appointment) -> None:
    """Tell the patient and the practitioner that a visit will not take place.

    Args: appointment: flushed; its sequence was raised by the cancel, so that calendars take the entry out.
    Rings: deliver_notifications, after the caller's commit.
    Source: UC6.1, UC6.3.
    """
    _tell(session, appointment, Event.CANCELLED, {appointment.practitioner_id: Event.CANCELLED}, {})


def ask_to_verify(session: Session, contact: ContactPoint) -> None:
    """Ask by mail whether mails to a new address arrive, inside the caller's transaction.

    Rings: deliver_notifications, after the caller's commit.
    """
    asked = session.scalar(select(func.count()).where(Notification.contact_point_id == contact.id, _IS_ASKING))
    key = f"contact_point:{contact.id}:{Event.VERIFY}:{asked}"
    asks = ledger.row(key, None, Event.VERIFY, asked or 0, {})
    ledger.write(session, [asks | to_patient(contact.patient_id, contact.id)])
    after_commit(_ring)


def times_asked(
    session: Session, since: datetime, *, patient_id: int | None = None, contact_id: int | None = None
) -> int:
    """How many mails of that kind were written since then for a patient, or for one address."""
    whose = Notification.patient_id == patient_id if patient_id else Notification.contact_point_id == contact_id
    counted = select(func.count()).where(whose, _IS_ASKING, Notification.created_at > since)
    return session.scalar(counted) or 0


def call_instead(session: Session, row: Notification) -> None:
    """Put a message that cannot reach its patient by mail on the desk's list of calls, in the caller's transaction."""
    if row.recipient != Recipient.PATIENT or row.patient_id is None or row.event == Event.VERIFY:
        return
    if row.event in (Event.REMINDER, Event.RUNNING_LATE, Event.MISSED):
        # The visit was told before, and stands: at the desk this would only bury the calls that must be made.
        return
    # The same message by another way: the key of the mail, with the way at its end.
    key = f"{row.dedupe_key}:{Channel.CALL}"
    told = ledger.row(key, row.appointment_id, row.event, row.sequence, row.facts)
    about = {"visit_invitation_id": row.visit_invitation_id}
    ledger.write(session, [told | to_patient(row.patient_id, None) | about])
    if row.appointment_id is not None:
        starts_at = session.scalar(select(Appointment.starts_at).where(Appointment.id == row.appointment_id))
        _ask_to_call(session, row.patient_id, row.appointment_id, starts_at)
    elif row.visit_invitation_id is not None:
        ask_to_call(session, row.patient_id)


def _tell(
    session: Session,
    appointment: Appointment,
    event: Event,
    practitioners: dict[int | None, Event],
    facts: dict[str, Any],
    *,
    tells_patient: bool = True,
) -> None:
    people = _people(session, appointment, list(practitioners))
    if people.is_deceased:
        reminders.plan_for(session, appointment.patient_id)
        return
    if tells_patient:
        rows = [_patient_row(appointment, event, facts, people.contact_point_id)]
    else:
        rows = []
        ledger.write(session, [_told_row(appointment, event, facts)])
    for practitioner_id, what in practitioners.items():
        if practitioner_id is not None and practitioner_id in people.practitioners_with_email:
            rows.append(_practitioner_row(appointment, what, facts, practitioner_id))
    if appointment.sequence:
        run(session, _OVERTAKE_CALLS, {"visit": appointment.id})
        close_tasks(session, SYSTEM, TaskKind.CALL, "newer", appointment_id=appointment.id)
    if rows:
        ledger.write(session, rows)
    if people.contact_point_id is None and tells_patient:
        _ask_to_call(session, appointment.patient_id, appointment.id, appointment.starts_at)
    reminders.plan_for(session, appointment.patient_id)
    after_commit(_ring)


def _ask_to_call(session: Session, patient_id: int, appointment_id: int, starts_at: datetime | None) -> None:
    """What cannot be written is said by phone: within a day, and at once when the visit is near."""
    ask_to_call(session, patient_id, appointment_id, None if starts_at is None else starts_at - CALL_AHEAD)


def _ring() -> None:
    queues.ring("deliver_notifications")


def _people(session: Session, appointment: Appointment, practitioner_ids: list[int | None]) -> _People:
    ids = {"patient": appointment.patient_id, "first": practitioner_ids[0], "second": practitioner_ids[-1]}
    found = run(session, _CONCERNED, {**ids, "is_private": appointment.is_private}).all()
    deceased_on, contact_point_id = found[0][:2]
    return _People(deceased_on is not None, contact_point_id, frozenset(row[2] for row in found if row[3]))


def _patient_row(
    appointment: Appointment, event: Event, facts: dict[str, Any], contact_point_id: int | None
) -> dict[str, Any]:
    way = to_patient(appointment.patient_id, contact_point_id)
    key = ledger.dedupe_key(
        appointment.id, event, appointment.sequence, Recipient.PATIENT, appointment.patient_id, way["channel"]
    )
    return ledger.row(key, appointment.id, event, appointment.sequence, facts) | way


def _told_row(appointment: Appointment, event: Event, facts: dict[str, Any]) -> dict[str, Any]:
    """What somebody at the clinic has said to the patient already: it is written down, and nothing is sent."""
    told = {"delivery": Delivery.SENT, "sent_at": clock.now(), "detail": "told_already"}
    return _patient_row(appointment, event, facts, None) | told


def _practitioner_row(
    appointment: Appointment, event: Event, facts: dict[str, Any], practitioner_id: int
) -> dict[str, Any]:
    key = ledger.dedupe_key(
        appointment.id, event, appointment.sequence, Recipient.PRACTITIONER, practitioner_id, Channel.EMAIL
    )
    return ledger.row(key, appointment.id, event, appointment.sequence, facts) | {
        "recipient": Recipient.PRACTITIONER,
        "practitioner_id": practitioner_id,
        "channel": Channel.EMAIL,
        "delivery": Delivery.DUE,
    }


def to_patient(patient_id: int, contact_point_id: int | None) -> dict[str, Any]:
    """To a patient: by mail, or as a call for the desk where there is no address."""
    by_mail = contact_point_id is not None
    return {
        "recipient": Recipient.PATIENT,
        "patient_id": patient_id,
        "contact_point_id": contact_point_id,
        "channel": Channel.EMAIL if by_mail else Channel.CALL,
        "delivery": Delivery.DUE if by_mail else Delivery.TO_CALL,
    }
