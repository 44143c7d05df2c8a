"""Whether a booked visit still suits its patient: a need that is told later may ask for more time, or another place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM, Actor
from clinic_portal.models import REMOTE, Appointment, Location, Need, Practitioner, Status, Task, TaskKind
from clinic_portal.scheduling.lengthening import lengthen, missing_minutes
from clinic_portal.scheduling.needs import GENDER_ASKED, needs_of
from clinic_portal.tasks import close_tasks, open_task

# Until when somebody at the clinic looks at it.
LOOK_WITHIN = timedelta(days=1)
TOO_SHORT, STEPS, CLINICIAN = "too_short", "steps", "clinician"
# How the desk says that it has looked, and leaves the visit as it is.
STAYS = "stays"


class Fit(NamedTuple):
    """A visit for which it matters that needs have changed: it takes longer now, or somebody at the clinic looks."""

    visit: Appointment
    is_longer: bool


def look_at_visits_ahead(session: Session, actor: Actor, patient_id: int, needs: Collection[Need]) -> list[Fit]:
    """Look at all visits ahead of a patient whose needs have changed; returns those that change, or do not suit.

    A visit that is too short takes longer, if what follows is free; else, and where the place or the clinician does
    not suit, the desk gets a task. The patient must be locked; the caller commits.
    """
    ahead = (
        select(Appointment)
        .where(
            Appointment.patient_id == patient_id,
            Appointment.status == Status.BOOKED,
            Appointment.starts_at > clock.now(),
        )
        .order_by(Appointment.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    looked_at = [_fit(session, actor, visit, needs) for visit in session.scalars(ahead).all()]
    return [fit for fit in looked_at if fit is not None]


def look_at_visit(session: Session, visit: Appointment) -> None:
    """Look at a visit that has another time, place or practitioner now; the caller commits."""
    _ask_the_desk(session, visit, _unmet(session, visit, needs_of(session, visit.patient_id)))


def forget_visit(session: Session, visit: Appointment) -> None:
    """A visit will not take place: nobody need look whether it suits."""
    close_tasks(session, SYSTEM, TaskKind.NEEDS_CHANGED, "not_needed", appointment_id=visit.id)


def _fit(session: Session, actor: Actor, visit: Appointment, needs: Collection[Need]) -> Fit | None:
    unmet = _unmet(session, visit, needs)
    # What has to move for another reason gets its length there.
    is_longer = unmet == [TOO_SHORT] and lengthen(session, actor, visit, missing_minutes(session, visit, needs))
    is_looked_at = _ask_the_desk(session, visit, [] if is_longer else unmet)
    return Fit(visit, is_longer) if is_longer or is_looked_at else None


def _ask_the_desk(session: Session, visit: Appointment, unmet: list[str]) -> bool:
    """Let the desk look at what a visit lacks; says whether it does. What it is asked, or has left so, stays."""
    assert visit.starts_at is not None
    last = _last_task(session, visit)
    if last is not None and unmet and last.facts["unmet"] == unmet:
        if last.outcome == STAYS:
            return False
        if last.closed_at is None:
            return True
    # What was found before may not be all of it.
    close_tasks(session, SYSTEM, TaskKind.NEEDS_CHANGED, "newer" if unmet else "not_needed", appointment_id=visit.id)
    if unmet:
        due_at = min(clock.now() + LOOK_WITHIN, visit.starts_at)
        open_task(session, TaskKind.NEEDS_CHANGED, patient_id=visit.patient_id, appointment_id=visit.id, due_at=due_at,
                  facts={"unmet": unmet})  # fmt: skip
    return bool(unmet)


def _last_task(session: Session, visit: Appointment) -> Task | None:
    """What the desk was asked last about a visit, done or not."""
    asked = select(Task).where(Task.kind == TaskKind.NEEDS_CHANGED, Task.appointment_id == visit.id)
    return session.scalar(asked.order_by(Task.id.desc()).limit(1))


def _unmet(session: Session, visit: Appointment, needs: Collection[Need]) -> list[str]:
    """What a visit lacks, as codes."""
    found = []
    if missing_minutes(session, visit, needs):
        found.append(TOO_SHORT)
    needs_no_steps = Need.STEP_FREE in needs and visit.mode not in REMOTE
    if needs_no_steps and not session.get_one(Location, visit.location_id).is_step_free:
        found.append(STEPS)
    asked = {GENDER_ASKED[need] for need in needs if need in GENDER_ASKED}
    if asked and session.get_one(Practitioner, visit.practitioner_id).gender not in asked:
        found.append(CLINICIAN)
    return found
