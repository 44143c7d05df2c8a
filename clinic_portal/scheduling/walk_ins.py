"""People who come without an appointment: taken in with a number, given a time of today, or seen without one.

A walk-in is a visit that has arrived and has no time. It waits in order of class and arrival.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import (
    Appointment,
    Location,
    Mode,
    Origin,
    PriorityClass,
    Status,
    VisitType,
    WalkInTicket,
    WhoMayBook,
    columns_of,
)
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.profile.admitting import NewPatient, admit
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.assignment import place
from clinic_portal.scheduling.by_hand import search_by_hand
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.placing import note_attempt, time_of
from clinic_portal.scheduling.privacy import privacy_of
from clinic_portal.scheduling.referrals import use_referral
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.times import FreeTime, free_days
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.visits import TOLD, give_back, lock_visit
from clinic_portal.settings import load_settings

# Of those that a patient has; the other two are for what can wait.
CLASSES = (PriorityClass.URGENT, PriorityClass.ROUTINE)
# In which order people are seen who wait at the same time.
RANK = {each: number for number, each in enumerate(PriorityClass)}


def _only_the_clinic(actor: Actor) -> None:
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed


@writing
def take_in(
    db: Session,
    *,
    actor: Actor,
    who: int | NewPatient,
    visit_type_id: int,
    location_id: int,
    priority: PriorityClass,
    token: str,
) -> Appointment:
    """Take somebody in who came without an appointment, and give them the next number of the day at this place.

    Args: who, a patient's id, or what somebody said who was never here. token, the form's own; the same again returns
    the same visit.
    Commits: submission, the new patient if there is one, the visit, its ticket, audit.
    Raises: InvalidRequest naming the field, BadTransition when they wait here already, NotAllowed, NotFound,
    SubmissionConflict, NamesakesKnown.
    Source: clinic.md A11, A19; UC7.9.
    """
    _only_the_clinic(actor)
    body = {"what": "walk_in", "who": str(who), "visit_type": visit_type_id, "location": location_id, "class": priority}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    patient_id = who if isinstance(who, int) else admit(db, actor, who).id
    lock_patient(db, patient_id)
    visit_type, location = _what_and_where(db, visit_type_id, location_id, priority)
    today = clock.local_date(clock.now(), location.zone)
    _refuse_twice(db, patient_id, location_id, today)
    visit = _new_walk_in(db, actor, patient_id, visit_type, location_id, priority, today)
    db.add(visit)
    db.flush()
    if visit_type.who_may_book is WhoMayBook.REFERRED:
        use_referral(db, visit, today)
    number = _next_number(db, location_id, today)
    db.add(WalkInTicket(appointment_id=visit.id, location_id=location_id, day=today, number=number))
    db.flush()
    told = columns_of(visit, TOLD) | {"ticket": number}
    record(db, actor, "walk_in", visit, after=told, patient_id=patient_id)
    submissions.finish(db, submission_id, visit.id)
    return visit


def _what_and_where(
    session: Session, visit_type_id: int, location_id: int, priority: PriorityClass
) -> tuple[VisitType, Location]:
    """The kind of visit and the place, locked so that the numbers are given one after the other."""
    # Race: without the lock two could read the same last number; the constraint would refuse one of them.
    location = session.get(Location, location_id, with_for_update={"key_share": True}, populate_existing=True)
    if location is None or not location.is_active:
        raise InvalidRequest("Choose the place.", field="location")
    visit_type = session.get(VisitType, visit_type_id)
    if visit_type is None or not visit_type.is_active or Mode.IN_PERSON not in visit_type.modes:
        raise InvalidRequest("Choose a kind of visit that takes place here.", field="visit_type")
    if priority not in CLASSES:
        raise InvalidRequest("Choose how urgent it is.", field="class")
    return visit_type, location


def _refuse_twice(session: Session, patient_id: int, location_id: int, today: date) -> None:
    known = (
        select(WalkInTicket.number)
        .join(WalkInTicket.appointment)
        .where(
            Appointment.patient_id == patient_id,
            Appointment.status == Status.ARRIVED,
            WalkInTicket.location_id == location_id,
            WalkInTicket.day == today,
        )
    )
    number = session.scalar(known.limit(1))
    if number is not None:
        raise BadTransition(f"They are here already, with number {number}.", current=Status.ARRIVED.value)


def _new_walk_in(
    session: Session,
    actor: Actor,
    patient_id: int,
    visit_type: VisitType,
    location_id: int,
    priority: PriorityClass,
    today: date,
) -> Appointment:
    now = clock.now()
    check_step(actor, Status.PROPOSED, Status.ARRIVED)
    needs = frozenset(needs_of(session, patient_id))
    search = Search(visit_type.id, patient_id, location_id, needs, by=ActorKind.STAFF)
    return Appointment(
        patient_id=patient_id,
        visit_type_id=visit_type.id,
        location_id=location_id,
        status=Status.ARRIVED,
        version=1,
        sequence=0,
        origin=Origin.WALK_IN,
        booked_by_account_id=actor.account_id,
        priority_class=priority,
        requested_at=now,
        target_at=now,
        arrived_at=now,
        wishes=search.wishes(),
        is_private=privacy_of(session, actor, None, patient_id, today, is_sensitive=visit_type.is_sensitive),
    )


def _next_number(session: Session, location_id: int, today: date) -> int:
    last = select(func.max(WalkInTicket.number)).where(
        WalkInTicket.location_id == location_id, WalkInTicket.day == today
    )
    return (session.scalar(last) or 0) + 1


def free_today(session: Session, visit: Appointment) -> list[FreeTime]:
    """The times of the rest of today that can be given to a walk-in at its place, in order.

    Raises: NotFound and ModeNotOffered when the clinic does not offer such visits any more.
    """
    assert visit.location is not None
    terms = load_terms(session, search_by_hand(visit, ActorKind.STAFF))
    return free_days(session, terms, clock.local_date(terms.now, visit.location.zone), 1).popitem()[1]


@writing
def give_time(
    db: Session, *, actor: Actor, appointment_id: int, starts_at: datetime, token: str, expected_version: int
) -> Appointment:
    """Give somebody who walked in a free time of today; the best practitioner then sees them.

    Nobody is written to: the patient stands at the desk.

    Times: starts_at is an instant on the grid.
    Commits: submission, session cells, the visit (version up), attempt, audit.
    Raises: SlotTaken, PatientBusy, TooSoon, OutsideHorizon, InvalidRequest, BadTransition, NotAllowed, NotFound,
    VersionConflict, SubmissionConflict.
    """
    _only_the_clinic(actor)
    body = {"what": "give_time", "appointment": appointment_id, "starts_at": starts_at.isoformat()}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_visit(db, appointment_id, expected_version)
    lock_patient(db, visit.patient_id)
    location = _waits_without_time(visit)
    terms = load_terms(db, search_by_hand(visit, actor.kind))
    if clock.local_date(starts_at, location.zone) != clock.local_date(terms.now, location.zone):
        raise InvalidRequest("Choose a time of today.", at="start")
    placement = place(db, terms, starts_at)
    before = columns_of(visit, TOLD)
    _set(visit, time_of(placement, 0))
    _write_down(db, actor, "give_time", visit, before)
    note_attempt(db, visit, placement, terms.now)
    submissions.finish(db, submission_id, visit.id)
    return visit


def _waits_without_time(visit: Appointment) -> Location:
    """Where somebody waits who walked in and has neither a time nor been called."""
    is_waiting = visit.status is Status.ARRIVED and visit.origin is Origin.WALK_IN
    if not is_waiting or visit.starts_at is not None or visit.called_at is not None or visit.location is None:
        raise BadTransition("They do not wait for a time any more.", current=visit.status.value)
    return visit.location


@writing
def take_time_back(
    db: Session, *, actor: Actor, appointment_id: int, expected_version: int | None = None
) -> Appointment:
    """Take the time of somebody who walked in back, as an undo: they wait without one again.

    Commits: session cells, the visit (version up), audit; rings for whoever waits for the time.
    Raises: BadTransition when they were called or are not here, NotAllowed, NotFound, VersionConflict.
    """
    _only_the_clinic(actor)
    visit = lock_visit(db, appointment_id, expected_version)
    is_waiting = visit.status is Status.ARRIVED and visit.origin is Origin.WALK_IN and visit.called_at is None
    if not is_waiting or visit.starts_at is None:
        raise BadTransition("There is no time to take back.", current=visit.status.value)
    before = columns_of(visit, TOLD)
    give_back(db, visit, load_settings(db).number("grid_min"))
    _set(visit, dict.fromkeys(("practitioner_id", "starts_at", "ends_at", "blocked_from", "blocked_until")))
    _set(visit, {"choice": {}, "extra_minutes": 0})
    _write_down(db, actor, "undo", visit, before)
    wake_queue()
    return visit


def _set(visit: Appointment, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(visit, name, value)


def _write_down(session: Session, actor: Actor, action: str, visit: Appointment, before: dict[str, Any]) -> None:
    visit.version += 1
    session.flush()
    record(session, actor, action, visit, before=before, after=columns_of(visit, TOLD), patient_id=visit.patient_id)


def ticket_of(session: Session, visit: Appointment) -> WalkInTicket:
    """The number that somebody got who walked in.

    Raises: NotFound when they did not.
    """
    ticket = session.get(WalkInTicket, visit.id)
    if ticket is None:
        raise NotFound
    return ticket
