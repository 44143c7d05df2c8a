"""Asking whoever did not come whether they still need their visit: once, the next morning, and without reproach."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import WAITING, Appointment, Delivery, Event, Notification, Patient, Recipient, Status
from clinic_portal.notifications import ledger
from clinic_portal.notifications.addresses import first_email
from clinic_portal.notifications.outbox import to_patient
from clinic_portal.settings import Settings, load_settings

SETTING, NEXT_MORNING = "missed_message", "next_morning"
MORNING_MIN = 9 * 60

_visit, _patient = Appointment.__table__.c, Patient.__table__.c
_MAILBOX = (
    select(first_email(_visit.is_private).label("contact_point_id"))
    .join_from(Appointment.__table__, Patient.__table__, _patient.id == _visit.patient_id)
    .where(_visit.id == bindparam("visit_id"), _patient.deceased_on.is_(None), _patient.reminders_stopped_at.is_(None))
)


def ask_who_missed(session: Session, visit: Appointment) -> None:
    """Write that the patient is asked the next morning, inside the caller's transaction.

    Who has no mailbox is not called, and who wants no reminders not asked: nothing has changed that they must know.

    Times: at nine on the wall clock of the visit's location, on the day after the present one.
    Source: clinic.md 2, item 6.
    """
    if not _is_wanted(load_settings(session)) or visit.location is None or _is_written(session, visit.id):
        return
    contact_point_id = run(session, _MAILBOX, {"visit_id": visit.id}).scalar()
    if contact_point_id is None:
        return
    zone = visit.location.zone
    tomorrow = clock.local_date(clock.now(), zone) + timedelta(days=1)
    way = to_patient(visit.patient_id, contact_point_id)
    # With the version: it may be asked once more when the mark was taken back and made again.
    event = f"{Event.MISSED}-{visit.version}"
    key = ledger.dedupe_key(visit.id, event, visit.sequence, Recipient.PATIENT, visit.patient_id, way["channel"])
    due_at = clock.wall_to_instant(tomorrow, MORNING_MIN, zone)
    ledger.write(session, [ledger.row(key, visit.id, Event.MISSED, visit.sequence, {}, due_at) | way])


def _is_written(session: Session, visit_id: int) -> bool:
    """Whether it is asked already, or will be: what was overtaken was not."""
    written = exists().where(
        Notification.appointment_id == visit_id,
        Notification.event == Event.MISSED,
        Notification.delivery != Delivery.SUPERSEDED,
    )
    return bool(session.scalar(select(written)))


def why_not_asked(session: Session, visit: Appointment, now: datetime) -> str | None:
    """Why such a message should not leave any more, as a code; None when it should."""
    if visit.status is not Status.NOSHOW:
        return f"visit_{visit.status}"
    if visit.patient.deceased_on is not None:
        return "deceased"
    if visit.patient.reminders_stopped_at is not None:
        return "opted_out"
    if not _is_wanted(load_settings(session)):
        return "switched_off"
    same = select(Appointment.id).where(
        Appointment.patient_id == visit.patient_id, Appointment.visit_type_id == visit.visit_type_id
    )
    is_booked = (Appointment.status == Status.BOOKED, Appointment.starts_at > now)
    has_another = session.scalar(same.where(*is_booked).limit(1)) or session.scalar(
        same.where(Appointment.status.in_(WAITING)).limit(1)
    )
    return "booked_again" if has_another else None


def _is_wanted(settings: Settings) -> bool:
    return bool(settings.value(SETTING) == NEXT_MORNING)
