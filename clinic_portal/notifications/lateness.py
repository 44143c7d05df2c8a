"""Telling those who are still to come that their session runs late: whom, when, and until when it is true."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock, queues
from clinic_portal.database import after_commit, run
from clinic_portal.models import Appointment, ClinicSession, Event, Patient, Recipient, Status
from clinic_portal.notifications import ledger
from clinic_portal.notifications.addresses import first_email
from clinic_portal.notifications.outbox import to_patient
from clinic_portal.settings import Settings, load_settings

TELL_EVERY = timedelta(minutes=30)
SETTING = "late_message_min"

_visit, _patient = Appointment.__table__.c, Patient.__table__.c
_STILL_TO_COME = (
    select(_visit.id, _visit.patient_id, _visit.sequence, first_email(_visit.is_private).label("contact_point_id"))
    .join_from(Appointment.__table__, Patient.__table__, _patient.id == _visit.patient_id)
    .where(
        _visit.practitioner_id == bindparam("practitioner_id"),
        _visit.status == Status.BOOKED,
        _visit.starts_at >= bindparam("low"),
        _visit.starts_at < bindparam("high"),
        _visit.starts_at > bindparam("due_at"),
        _patient.deceased_on.is_(None),
    )
    .order_by(_visit.id)
)


def tell_running_late(session: Session, planned: ClinicSession) -> None:
    """Tell those of a session who have not come yet that it runs late, inside the caller's transaction.

    The session must be locked. Once in half an hour: what is said of it sooner is told at the end of that, as it is
    then. Who has no mailbox is not called: they would be on their way.

    Commits: when the session is told of.
    Rings: deliver_notifications, after the caller's commit.
    Source: clinic.md 2, item 3; 10, running-late message.
    """
    now, told_at = clock.now(), planned.late_told_at
    if not _is_worth_telling(planned.late_min, load_settings(session)) or (told_at is not None and told_at > now):
        return
    due_at = now if told_at is None else max(now, told_at + TELL_EVERY)
    span = {"practitioner_id": planned.practitioner_id, "low": planned.starts_at, "high": planned.ends_at}
    rows = [
        _row(row, due_at) for row in run(session, _STILL_TO_COME, {**span, "due_at": due_at}) if row.contact_point_id
    ]
    if not rows:
        return
    planned.late_told_at = due_at
    ledger.write(session, rows)
    after_commit(_ring)


def _row(visit: Any, due_at: datetime) -> dict[str, Any]:
    way = to_patient(visit.patient_id, visit.contact_point_id)
    event = f"{Event.RUNNING_LATE}-{due_at:%Y%m%dT%H%M%S}"
    key = ledger.dedupe_key(visit.id, event, visit.sequence, Recipient.PATIENT, visit.patient_id, way["channel"])
    return ledger.row(key, visit.id, Event.RUNNING_LATE, visit.sequence, {}, due_at) | way


def late_min_of(session: Session, visit: Appointment) -> int:
    """How many minutes late the session runs in which a visit begins, as was said last; 0 when nobody has."""
    if visit.starts_at is None or visit.practitioner_id is None:
        return 0
    found = select(ClinicSession.late_min).where(
        ClinicSession.practitioner_id == visit.practitioner_id,
        ClinicSession.lane == 0,
        ClinicSession.starts_at <= visit.starts_at,
        ClinicSession.ends_at > visit.starts_at,
        ClinicSession.late_min > 0,
    )
    return session.scalar(found.limit(1)) or 0


def why_not_told(visit: Appointment, late_min: int, settings: Settings, now: datetime) -> str | None:
    """Why such a message should not leave any more, as a code; None when it should."""
    if visit.starts_at is None or visit.starts_at <= now:
        return "past"
    return None if _is_worth_telling(late_min, settings) else "caught_up"


def _is_worth_telling(late_min: int, settings: Settings) -> bool:
    return 0 < settings.number(SETTING) <= late_min


def _ring() -> None:
    queues.ring("deliver_notifications")
