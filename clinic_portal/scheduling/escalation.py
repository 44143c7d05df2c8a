"""Requests that wait too long become tasks: before the promised answer is late, and before the visit itself is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import writing
from clinic_portal.models import WAITING_SQL, Appointment, TaskKind
from clinic_portal.scheduling.request_rows import escalations, next_escalation
from clinic_portal.settings import Settings, load_settings
from clinic_portal.tasks import open_task

AT_ONCE = 100
_DUE = text(f"appointments.{WAITING_SQL}")


@writing
def escalate(session: Session) -> int:
    """Make a task of each request whose promise or target comes near. Returns how many.

    Commits: the tasks, and when each request is due for the next one.
    Source: UC1.4; clinic.md 10.
    """
    now, settings = clock.now(), load_settings(session)
    due = (
        select(Appointment)
        .where(_DUE, Appointment.escalate_at <= now)
        .order_by(Appointment.escalate_at, Appointment.id)
        .limit(AT_ONCE)
        # Race: whoever serves the request right now ends its waiting; then it needs no task.
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    rows = list(session.scalars(due))
    for row in rows:
        _ask_somebody(session, row, now, settings)
        row.escalate_at = next_escalation(row, settings, after=now)
    return len(rows)


def _ask_somebody(session: Session, row: Appointment, now: datetime, settings: Settings) -> None:
    passed = sorted(what for what, at in escalations(row, settings).items() if at <= now)
    if passed:
        due_at = row.answer_by if "answer" in passed and row.answer_by is not None else row.target_at
        open_task(session, TaskKind.PAST_PROMISE, patient_id=row.patient_id, appointment_id=row.id, due_at=due_at,
                  facts={"before": passed})  # fmt: skip
