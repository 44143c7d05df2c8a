"""A request becomes a visit: the one place where it does, but for the queue's batches (see `serving.py`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.models import Appointment, Location, Status, VisitType, WhoMayBook
from clinic_portal.notifications import outbox
from clinic_portal.scheduling.assignment import Placement
from clinic_portal.scheduling.booking import note_attempt, time_of
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.needs import arrange_interpreter
from clinic_portal.scheduling.referrals import use_referral
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, note_change, told
from clinic_portal.settings import load_settings, shown_window


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
