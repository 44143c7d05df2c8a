"""Whether a booked visit still suits its patient: a need that is told later may ask for more time, or another place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM
from clinic_portal.models import REMOTE, Appointment, Location, Need, Practitioner, Status, TaskKind
from clinic_portal.scheduling.needs import GENDER_ASKED, extra_minutes, needs_of
from clinic_portal.settings import load_settings
from clinic_portal.tasks import close_tasks, open_task

# Until when somebody at the clinic looks at it.
LOOK_WITHIN = timedelta(days=1)
TOO_SHORT, STEPS, CLINICIAN = "too_short", "steps", "clinician"


def look_at_visits_ahead(session: Session, patient_id: int, needs: Collection[Need]) -> bool:
    """Look at all visits ahead of a patient whose needs have changed; says whether one of them does not suit.

    The caller commits, with the tasks for the desk.
    """
    ahead = select(Appointment).where(
        Appointment.patient_id == patient_id,
        Appointment.status == Status.BOOKED,
        Appointment.starts_at > clock.now(),
    )
    visits = session.scalars(ahead.order_by(Appointment.id)).all()
    return sum(_look(session, visit, needs) for visit in visits) > 0


def look_at_visit(session: Session, visit: Appointment) -> None:
    """Look at a visit that has another time, place or practitioner now; the caller commits."""
    _look(session, visit, needs_of(session, visit.patient_id))


def forget_visit(session: Session, visit: Appointment) -> None:
    """A visit will not take place: nobody need look whether it suits."""
    close_tasks(session, SYSTEM, TaskKind.NEEDS_CHANGED, "not_needed", appointment_id=visit.id)


def _look(session: Session, visit: Appointment, needs: Collection[Need]) -> bool:
    assert visit.starts_at is not None
    unmet = _unmet(session, visit, needs)
    # What was found before may not be all of it.
    close_tasks(session, SYSTEM, TaskKind.NEEDS_CHANGED, "newer" if unmet else "not_needed", appointment_id=visit.id)
    if unmet:
        due_at = min(clock.now() + LOOK_WITHIN, visit.starts_at)
        open_task(session, TaskKind.NEEDS_CHANGED, patient_id=visit.patient_id, appointment_id=visit.id, due_at=due_at,
                  facts={"unmet": unmet})  # fmt: skip
    return bool(unmet)


def _unmet(session: Session, visit: Appointment, needs: Collection[Need]) -> list[str]:
    """What a visit lacks, as codes."""
    found = []
    if extra_minutes(load_settings(session), visit.visit_type_id, needs) > visit.extra_minutes:
        found.append(TOO_SHORT)
    needs_no_steps = Need.STEP_FREE in needs and visit.mode not in REMOTE
    if needs_no_steps and not session.get_one(Location, visit.location_id).is_step_free:
        found.append(STEPS)
    asked = {GENDER_ASKED[need] for need in needs if need in GENDER_ASKED}
    if asked and session.get_one(Practitioner, visit.practitioner_id).gender not in asked:
        found.append(CLINICIAN)
    return found
