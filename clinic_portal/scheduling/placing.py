"""A time for a visit, new or asked for; but for the queue's batches (see `serving.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import run
from clinic_portal.models import Appointment, Attempt, Location, Status, VisitType, WhoMayBook
from clinic_portal.notifications import outbox
from clinic_portal.scheduling.assignment import Placement
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.needs import arrange_interpreter
from clinic_portal.scheduling.referrals import use_referral
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, note_change, told
from clinic_portal.settings import load_settings, shown_window


def time_of(placement: Placement, window_min: int) -> dict[str, Any]:
    """The columns of a visit that say when, where and with whom it is.

    Args: window_min, how long the stretch of the day is that the patient is told.
    """
    return {
        "practitioner_id": placement.practitioner_id,
        "location_id": placement.location_id,
        # A squeeze-in that is moved to a free time is none any more.
        "lane": 0,
        "squeeze_in_reason": None,
        "starts_at": placement.starts_at,
        "ends_at": placement.ends_at,
        "blocked_from": placement.blocked_from,
        "blocked_until": placement.blocked_until,
        "extra_minutes": placement.extra_minutes,
        "shown_window_min": window_min,
        "choice": placement.choice,
    }


_ATTEMPT = insert(Attempt)


def note_attempt(session: Session, visit: Appointment, placement: Placement, now: datetime) -> None:
    """Keep how a visit came to its practitioner."""
    attempt = {
        "appointment_id": visit.id,
        "made_at": now,
        "practitioner_id": placement.practitioner_id,
        "candidates": placement.candidates,
        "lost_races": placement.lost_races,
    }
    run(session, _ATTEMPT, attempt)


def settle(session: Session, visit: Appointment, who_may_book: WhoMayBook) -> None:
    """What else a visit brings along that just got its time: a referral is used up, an interpreter is looked for."""
    assert visit.starts_at is not None
    if who_may_book is WhoMayBook.REFERRED:
        location = session.get_one(Location, visit.location_id)
        use_referral(session, visit, clock.local_date(visit.starts_at, location.zone))
    arrange_interpreter(session, visit)


def become_visit(
    session: Session, actor: Actor, visit: Appointment, placement: Placement, action: str, now: datetime
) -> None:
    """Turn a request into a booked visit whose cells are claimed, inside the caller's transaction."""
    before = told(visit)
    settings = load_settings(session)
    window_min = shown_window(settings, visit.mode, visit.visit_type_id)
    way = way_to_meet(visit.mode, visit.call_number, settings)
    for name, value in {**way, **time_of(placement, window_min)}.items():
        setattr(visit, name, value)
    visit.status, visit.booked_at = Status.BOOKED, now
    leave_queue(visit)
    note_change(session, actor, action, visit, before)
    note_attempt(session, visit, placement, now)
    settle(session, visit, session.get_one(VisitType, visit.visit_type_id).who_may_book)
    close_request_tasks(session, actor, [visit.id], "booked")
    outbox.tell_booked(session, visit)
