"""Asking for an earlier time than the booked one: the visit stays, and earlier times are offered as they open."""

from __future__ import annotations

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition
from clinic_portal.languages import N_
from clinic_portal.models import Appointment, Status
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.request_rows import (
    close_request_tasks,
    leave_queue,
    note_change,
    told,
    wait_anew,
    withdraw_offers,
)
from clinic_portal.scheduling.visits import check_movable, lock_visit
from clinic_portal.scheduling.wishes import Wishes


@writing
def ask_for_earlier(db: Session, *, actor: Actor, appointment_id: int, wishes: Wishes) -> Appointment:
    """Put a booked visit in line for an earlier time, behind all who have none; it moves only with the patient's yes.

    Asking again changes the wishes.

    Commits: the visit, audit; rings.
    Raises: InvalidRequest, BadTransition when it is not booked or has begun, TooLateToMove, NotFound.
    Source: clinic.md 5, A8: a booked visit that wants something earlier is no second appointment.
    """
    visit, now = lock_visit(db, appointment_id), clock.now()
    if visit.status is not Status.BOOKED or visit.starts_at is None or visit.starts_at <= now:
        raise BadTransition(N_("Only an appointment that is still to come can be earlier."), current=visit.status.value)
    check_movable(db, actor, visit)
    wishes.check(clock.local_date(now, clinic_zone(db)))
    before = told(visit)
    withdraw_offers(db, visit, now)
    for name, value in wishes.columns().items():
        setattr(visit, name, value)
    wait_anew(visit, now)
    visit.wants_earlier = True
    note_change(db, actor, "ask_earlier", visit, before, wishes.plain())
    close_request_tasks(db, actor, [visit.id], "asked_anew")
    wake_queue()
    return visit


@writing
def keep_time(db: Session, *, actor: Actor, appointment_id: int) -> Appointment:
    """Offer nothing earlier for a booked visit any more; what is offered now is taken back.

    Commits: the visit, audit; frees an offered time; rings.
    Raises: BadTransition when it is not booked, NotFound.
    """
    visit = lock_visit(db, appointment_id)
    if visit.status is not Status.BOOKED:
        raise BadTransition(current=visit.status.value)
    if not visit.wants_earlier:
        return visit
    before = told(visit)
    withdraw_offers(db, visit, clock.now())
    leave_queue(visit)
    note_change(db, actor, "keep_time", visit, before)
    close_request_tasks(db, actor, [visit.id], "kept")
    wake_queue()
    return visit
