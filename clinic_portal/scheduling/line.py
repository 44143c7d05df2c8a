"""The whole line of those who wait, as the people at the clinic see it. Reads only."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text, true
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.models import (
    WAITING,
    WAITING_SQL,
    Appointment,
    Offer,
    OfferState,
    PriorityClass,
    Status,
    Task,
    TriageStatus,
)
from clinic_portal.scheduling.due import ORDER
from clinic_portal.scheduling.request_rows import TASKS
from clinic_portal.scheduling.waiting import Next, next_action, offer_for

# So many of the requests that have ended are listed.
MOST_ENDED = 200


class Show(enum.StrEnum):
    """Which part of the line somebody at the clinic looks at."""

    ALL = "all"
    # Whatever the queue cannot do by itself.
    PERSON = "person"
    TRIAGE = "triage"
    # Not answered by when it was promised, or without a visit by when it should have been.
    LATE = "late"


@dataclass(frozen=True)
class InLine:
    """One who waits, as the people at the clinic see them; in the order in which the queue serves."""

    appointment: Appointment
    next: Next
    offered_until: datetime | None
    is_past_promise: bool
    # Whether it has been answered at all, so that the promise is kept and only its target matters.
    is_answered: bool
    is_past_target: bool
    # Whether somebody at the clinic has been asked to see to it.
    has_task: bool


def staff_queue(
    session: Session,
    *,
    show: Show = Show.ALL,
    priority: PriorityClass | None = None,
    places: frozenset[int] | None = None,
    start: int = 0,
    most: int | None = None,
) -> list[InLine]:
    """Everybody who waits for a time, in the order of the queue: nobody is invisible, whatever the reason.

    Those who have to be looked at first stand in the order of what they were promised.

    Args: priority, only requests of this class; places, only those that ask for one of these places, or for any.
    start, how many to pass over; most, how many to give.
    Source: UC7.5, UC1.7.
    """
    now = clock.now()
    by_promise = (func.coalesce(Appointment.answer_by, Appointment.target_at),) if show is Show.TRIAGE else ()
    found = select(Appointment).where(_of(show), *_waiting(priority, places)).order_by(*by_promise, *ORDER)
    loads = (joinedload(Appointment.patient), joinedload(Appointment.visit_type))
    visits = list(session.scalars(found.options(*loads).offset(start).limit(most)))
    ids = [visit.id for visit in visits]
    open_offers = select(Offer).where(Offer.state == OfferState.OPEN, Offer.appointment_id.in_(ids))
    offers = session.scalars(open_offers.options(joinedload(Offer.hold)))
    until = {offer.appointment_id: offer.expires_at for offer in offers if offer.is_live(now)}
    asked = set(session.scalars(select(Task.appointment_id).where(*_OPEN_TASK, Task.appointment_id.in_(ids))))
    return [_in_line(visit, now, until.get(visit.id), has_task=visit.id in asked) for visit in visits]


def _in_line(visit: Appointment, now: datetime, offered_until: datetime | None, *, has_task: bool) -> InLine:
    is_answered = visit.status is not Status.PROPOSED and visit.triage_status is not TriageStatus.WAITING
    return InLine(
        visit,
        next_action(visit, now, is_offered=offered_until is not None),
        offered_until,
        is_past_promise=not is_answered and visit.answer_by is not None and visit.answer_by < now,
        is_answered=is_answered,
        is_past_target=visit.target_at < now,
        has_task=has_task,
    )


def one_in_line(session: Session, visit: Appointment) -> InLine:
    """One request as it stands in the line."""
    now = clock.now()
    offer = offer_for(session, visit, now)
    has_task = session.scalar(select(Task.id).where(*_OPEN_TASK, Task.appointment_id == visit.id).limit(1)) is not None
    return _in_line(visit, now, offer.expires_at if offer else None, has_task=has_task)


def count_waiting(session: Session, show: Show = Show.ALL, places: frozenset[int] | None = None) -> int:
    """How many there are of them."""
    return session.scalar(select(func.count()).select_from(Appointment).where(_of(show), *_waiting(None, places))) or 0


def count_each(
    session: Session, priority: PriorityClass | None = None, places: frozenset[int] | None = None
) -> dict[Show, int]:
    """How many there are in each part of the line, asked at once."""
    parts = [func.count(case((_of(show), 1))) for show in Show]
    return dict(zip(Show, session.execute(select(*parts).where(*_waiting(priority, places))).one(), strict=True))


def at_places(places: frozenset[int] | None) -> ColumnElement[bool]:
    """A condition: the visit is at one of these places; without a time, it is asked for at one of them, or at any."""
    if places is None:
        return true()
    asked = Appointment.wishes["location_id"].as_integer()
    is_for_them = or_(asked.is_(None), asked.in_(places))
    return or_(Appointment.location_id.in_(places), and_(Appointment.location_id.is_(None), is_for_them))


# Written out, because SQLite uses a partial index only for the very words it was made with.
_IS_WAITING = text(f"appointments.{WAITING_SQL}")
# What is asked of people about requests, as far as it is open.
_OPEN_TASK = (Task.closed_at.is_(None), Task.kind.in_(TASKS))


def _of(show: Show) -> ColumnElement[bool]:
    """A condition on those who wait: they belong to that part of the line now."""
    now = clock.now()
    to_triage = Appointment.triage_status == TriageStatus.WAITING
    is_unanswered = or_(Appointment.status == Status.PROPOSED, to_triage)
    is_late = or_(and_(is_unanswered, Appointment.answer_by < now), Appointment.target_at < now)
    is_asked = select(Task.id).where(*_OPEN_TASK, Task.appointment_id == Appointment.id).exists()
    is_stuck = or_(Appointment.paused_at.is_not(None), Appointment.next_try_at.is_(None))
    which: dict[Show, ColumnElement[bool]] = {
        Show.ALL: true(),
        Show.PERSON: or_(to_triage, is_stuck, is_late, is_asked),
        Show.TRIAGE: to_triage,
        Show.LATE: is_late,
    }
    return which[show]


def _waiting(priority: PriorityClass | None, places: frozenset[int] | None) -> tuple[Any, ...]:
    is_of_class = true() if priority is None else Appointment.priority_class == priority
    return _IS_WAITING, is_of_class, at_places(places)


def ended_requests(session: Session, since: datetime, places: frozenset[int] | None = None) -> list[Appointment]:
    """Requests that wait no more since an instant: those that became a visit, and those that ended without one."""
    loads = (
        joinedload(Appointment.patient),
        joinedload(Appointment.visit_type),
        joinedload(Appointment.location),
        joinedload(Appointment.practitioner),
    )
    found = select(Appointment).where(Appointment.status.not_in(WAITING), at_places(places)).options(*loads)
    served = found.where(Appointment.answer_by.is_not(None), Appointment.booked_at >= since)
    ended = found.where(Appointment.starts_at.is_(None), Appointment.cancelled_at >= since)
    newest = [
        *session.scalars(served.order_by(Appointment.booked_at.desc()).limit(MOST_ENDED)),
        *session.scalars(ended.order_by(Appointment.cancelled_at.desc()).limit(MOST_ENDED)),
    ]
    return sorted(newest, key=lambda visit: visit.booked_at or visit.cancelled_at or since, reverse=True)[:MOST_ENDED]
