"""What a patient's needs change: where and with whom the visit is, how long it takes, how early it must be booked.

A need that changes none of these is told to the people who will meet the patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import count

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM
from clinic_portal.database import run
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import Appointment, Closure, Gender, Need, PatientNeed, Status, Task, TaskKind
from clinic_portal.settings import Settings
from clinic_portal.tasks import close_tasks, open_task

Needs = frozenset[Need]
# For each patient what is needed now, and the language or the words that belong to it.
Live = dict[int, dict[Need, str | None]]

GENDER_ASKED = {Need.FEMALE_CLINICIAN: Gender.FEMALE, Need.MALE_CLINICIAN: Gender.MALE}
# Somebody has to be found who comes along, and everything is said twice.
INTERPRETED = frozenset({Need.INTERPRETER, Need.SIGN_LANGUAGE})
MINUTES = {"interpreter_extra_min": INTERPRETED, "longer_visit_extra_min": frozenset({Need.LONGER_VISIT})}
FRIDAY = 4
# Until when somebody should have asked for an interpreter.
ASK_WITHIN = timedelta(days=1)

# How the people at the clinic call each.
WORDS = {
    Need.INTERPRETER: N_("Interpreter"),
    Need.SIGN_LANGUAGE: N_("Sign language interpreter"),
    Need.STEP_FREE: N_("Step-free access"),
    Need.FEMALE_CLINICIAN: N_("A female clinician"),
    Need.MALE_CLINICIAN: N_("A male clinician"),
    Need.LONGER_VISIT: N_("More time"),
    Need.HEARING: N_("Hearing loss"),
    Need.VISION: N_("Sight loss"),
    Need.CARER_PRESENT: N_("Somebody comes along"),
    Need.EASY_READ: N_("Easy read"),
    Need.LARGE_PRINT: N_("Large print"),
    Need.OTHER: N_("Other"),
}


def extra_minutes(settings: Settings, visit_type_id: int, needs: Iterable[Need]) -> int:
    """How much longer a visit of this type takes with these needs; one interpreter adds once, however they interpret.

    Source: clinic.md A9, A17.
    """
    return sum(settings.number(name, visit_type_id) for name, those in MINUTES.items() if those & set(needs))


_CLOSED = select(Closure.first_on, Closure.last_on).where(
    Closure.location_id.is_(None), Closure.last_on >= bindparam("today")
)


def notice_for_interpreter(session: Session, now: datetime, working_days: int, zone: str) -> timedelta:
    """How long it takes until so many working days have passed: Mondays to Fridays on which not everything is closed.

    Times: a working day counts from midnight to midnight at the clinic, so that Friday at ten is two working days
    before Tuesday at ten.
    """
    shown = clock.local(now, zone)
    closed = [(row.first_on, row.last_on) for row in run(session, _CLOSED, {"today": shown.date()})]
    working = (day for day in _days_from(shown.date()) if _is_working(day, closed))
    first = next(working)
    # On a day off nothing is arranged: counting begins with the next working day.
    minute = shown.hour * 60 + shown.minute if first == shown.date() else 0
    last = first
    for _day in range(working_days):
        last = next(working)
    return max(clock.wall_to_instant(last, minute, zone) - now, timedelta(0))


def _days_from(day: date) -> Iterable[date]:
    return (day + timedelta(days=number) for number in count())


def _is_working(day: date, closed: list[tuple[date, date]]) -> bool:
    return day.weekday() <= FRIDAY and not any(first <= day <= last for first, last in closed)


def live_needs(session: Session, patient_ids: Iterable[int]) -> Live:
    """What these patients need now; patients without needs are not in it."""
    found: Live = {}
    query = select(PatientNeed).where(PatientNeed.patient_id.in_(set(patient_ids)), PatientNeed.ended_at.is_(None))
    for row in session.scalars(query.order_by(PatientNeed.id)):
        found.setdefault(row.patient_id, {})[row.kind] = row.detail
    return found


def needs_of(session: Session, patient_id: int) -> dict[Need, str | None]:
    """What one patient needs now, in the order in which it is asked."""
    live = live_needs(session, [patient_id]).get(patient_id, {})
    return {need: live[need] for need in Need if need in live}


def told_at_clinic(
    visit: Appointment, live: Mapping[Need, str | None], *, without: frozenset[Need] = frozenset()
) -> list[str]:
    """What those who prepare a visit must know: what it was booked with and what the patient needs now, in words.

    Args: without, needs that are none of the reader's business.
    """
    asked = {*visit.wishes.get("needs", []), *live} - without
    found = [_told(need, live.get(need)) for need in Need if need in asked]
    longer = ngettext("%(num)d minute longer", "%(num)d minutes longer", visit.extra_minutes)
    return [*found, longer] if visit.extra_minutes else found


def _told(need: Need, detail: str | None) -> str:
    words = _(WORDS[need])
    return f"{words}: {detail}" if detail else words


def arrange_interpreter(session: Session, visit: Appointment) -> None:
    """Ask the desk to book an interpreter for a visit that was booked or moved, or to tell one the new time."""
    if INTERPRETED & set(visit.wishes.get("needs", [])):
        _ask_for_interpreter(session, visit, "tell_new_time" if _was_arranged(session, visit) else "book")


def dismiss_interpreter(session: Session, visit: Appointment) -> None:
    """A visit will not take place: nobody need look for an interpreter, and one who was found must be told."""
    was_arranged = _was_arranged(session, visit)
    close_tasks(session, SYSTEM, TaskKind.INTERPRETER, "not_needed", appointment_id=visit.id)
    if was_arranged:
        _ask_for_interpreter(session, visit, "call_off")


def tell_interpreter(session: Session, visit: Appointment) -> None:
    """A visit takes longer than somebody who was found for it knows."""
    if _was_arranged(session, visit):
        _ask_for_interpreter(session, visit, "tell_new_time")


def arrange_for_visits_ahead(session: Session, patient_id: int, *, is_needed: bool) -> None:
    """What a patient needs has changed: ask for interpreters for the visits that are booked already, or for none."""
    ahead = select(Appointment).where(
        Appointment.patient_id == patient_id,
        Appointment.status == Status.BOOKED,
        Appointment.starts_at > clock.now(),
    )
    for visit in session.scalars(ahead.order_by(Appointment.id)).all():
        if is_needed and not _was_arranged(session, visit):
            _ask_for_interpreter(session, visit, "book")
        elif not is_needed:
            dismiss_interpreter(session, visit)


def _was_arranged(session: Session, visit: Appointment) -> bool:
    """Whether somebody at the clinic has found an interpreter for it."""
    done = select(Task.facts).where(
        Task.appointment_id == visit.id, Task.kind == TaskKind.INTERPRETER, Task.outcome == "done"
    )
    facts = session.scalar(done.order_by(Task.id.desc()).limit(1))
    return facts is not None and facts["what"] != "call_off"


def _ask_for_interpreter(session: Session, visit: Appointment, what: str) -> None:
    assert visit.starts_at is not None
    due_at = min(clock.now() + ASK_WITHIN, visit.starts_at)
    open_task(session, TaskKind.INTERPRETER, patient_id=visit.patient_id, appointment_id=visit.id, due_at=due_at,
              facts={"what": what})  # fmt: skip
