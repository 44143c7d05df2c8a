"""Reminders that no longer follow the rules that hold: found from the rows alone, and planned anew by the sweep."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import writing
from clinic_portal.models import Appointment, Patient, Status
from clinic_portal.notifications.reminder_rules import rules_for
from clinic_portal.notifications.reminders import plan_for_all
from clinic_portal.settings import Settings, load_settings

BATCH = 50
# The sweeper has other duties, and comes back.
PLAN_FOR_S = 8.0


def plan_all(for_s: float = PLAN_FOR_S) -> int:
    """Plan anew where reminders do not follow the rules that hold now; says for how many patients.

    Args: for_s: seconds after which the rest is left to the next time.
    Commits: some patients at a time, so that reservations beside it never wait long.
    Source: UC6.2, changed settings.
    """
    started, planned = time.monotonic(), 0
    while time.monotonic() - started < for_s and (patient_ids := plan_some()):
        planned += len(patient_ids)
    return planned


@writing
def plan_some(session: Session, *, limit: int = BATCH) -> list[int]:
    """Plan anew for a few of the patients who need it; returns their ids.

    Commits: their reminders.
    """
    stale = _stale(session, load_settings(session))
    if not stale:
        return []
    query = select(Appointment.patient_id).where(*_to_come(), or_(*stale)).distinct().order_by(Appointment.patient_id)
    patient_ids = list(session.scalars(query.limit(limit)))
    # Race: whoever books, moves or cancels for a patient holds this lock too.
    session.execute(
        select(Patient.id).where(Patient.id.in_(patient_ids)).order_by(Patient.id).with_for_update(key_share=True)
    )
    plan_for_all(session, patient_ids)
    return patient_ids


def _to_come() -> tuple[Any, ...]:
    return Appointment.status == Status.BOOKED, Appointment.starts_at > clock.now()


def _stale(session: Session, settings: Settings) -> list[Any]:
    """Which visits to come follow other rules than those that hold, as conditions."""
    kinds = session.execute(
        select(Appointment.visit_type_id, Appointment.mode, Appointment.reminder_rules).where(*_to_come()).distinct()
    )
    return [
        and_(
            Appointment.visit_type_id == visit_type_id,
            Appointment.mode == mode,
            Appointment.reminder_rules.is_not_distinct_from(rules),
        )
        for visit_type_id, mode, rules in kinds
        if rules_for(settings, visit_type_id, mode).text != rules
    ]
