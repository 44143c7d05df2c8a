"""What happens to a visit: reserve, move, cancel, arrive, fulfil, no-show. Each public function is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import add_at_once, writing
from clinic_portal.errors import BadTransition, NotAllowed, NotFound, PatientBusy
from clinic_portal.languages import N_
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    CancelledBy,
    CancelReason,
    Hold,
    Mode,
    Origin,
    Outcome,
    Status,
    TriageStatus,
    WhoMayBook,
    columns_of,
)
from clinic_portal.notifications import outbox
from clinic_portal.notifications.calls import overtake_calls
from clinic_portal.notifications.missed import ask_who_missed
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.actual_times import forget_time_it_took, take_time_it_took
from clinic_portal.scheduling.assignment import Placement
from clinic_portal.scheduling.exactly import Spot, place_exactly
from clinic_portal.scheduling.fits import forget_visit
from clinic_portal.scheduling.holds import let_go, take_over
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.needs import arrange_interpreter, dismiss_interpreter
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.placing import note_attempt, put_elsewhere, time_of
from clinic_portal.scheduling.privacy import privacy_of
from clinic_portal.scheduling.referrals import give_back_referral, use_referral
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, lock_request_for, withdraw_offers
from clinic_portal.scheduling.search import Search, Terms, load_terms, own_visits
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.visits import TOLD, check_movable, give_back, lock_visit, time_to_give_back
from clinic_portal.scheduling.windows import place_as_told
from clinic_portal.settings import load_settings

ORIGIN_OF = {
    ActorKind.PATIENT: Origin.PATIENT_ONLINE,
    ActorKind.PROXY: Origin.PROXY_ONLINE,
    ActorKind.STAFF: Origin.DESK,
    ActorKind.PRACTITIONER: Origin.DESK,
}
LEFT = CancelReason.LEFT_WITHOUT_BEING_SEEN
CANCELLED_BY = {
    ActorKind.PATIENT: CancelledBy.PATIENT,
    ActorKind.PROXY: CancelledBy.PROXY,
    ActorKind.STAFF: CancelledBy.CLINIC,
    ActorKind.PRACTITIONER: CancelledBy.CLINIC,
    ActorKind.SYSTEM: CancelledBy.SYSTEM,
}


@writing
def reserve_slot(
    db: Session,
    *,
    actor: Actor,
    search: Search,
    starts_at: datetime,
    token: str,
    hold_id: int | None = None,
    origin: Origin | None = None,
    note: str | None = None,
    is_private: bool | None = None,
    call_number: str | None = None,
    practitioner_id: int | None = None,
    places: frozenset[int] | None = None,
) -> Appointment:
    """Book a time for a patient with the best practitioner who is free then; a request for such a visit becomes it.

    Args: token, the form's own; the same again returns the same visit. hold_id, the time kept for this actor, if any.
    note, what the patient wrote about it. call_number, which number to call, for a visit by phone. is_private, whether
    those who act for the patient may not know of it; None where nobody was asked. practitioner_id, whom somebody at the
    clinic chose: that one at exactly this time, or nobody; at one of `places`, where these are given.
    Times: starts_at is an instant on the grid; a visit by phone may begin at another one in the stretch told.
    Commits: submission, session cells, appointment, attempt, audit, messages; rings for the messages.
    Raises: SlotTaken, PatientBusy, TooSoon, OutsideHorizon, InvalidRequest, NotFound, NotAllowed, SubmissionConflict,
    NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast, SafetyAnswerMissing, ModeNotOffered, NoteRefused,
    NumberMissing.
    Source: UC3.1-UC3.5, UC5.
    """
    if search.patient_id is None or search.moving_id is not None:
        raise NotFound
    if practitioner_id is not None and not actor.is_clinic:
        raise NotAllowed
    note = clean_note(note)
    said = {"note": note, "number": call_number, "is_private": is_private, "practitioner": practitioner_id}
    body = _body("reserve", search, starts_at) | {name: value for name, value in said.items() if value is not None}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    lock_patient(db, search.patient_id)
    asked_for = lock_request_for(db, actor, search.patient_id, search.visit_type_id)
    if practitioner_id is None:
        placement, terms = _take(db, actor, search, starts_at, hold_id)
    else:
        placement, terms = _take_exactly(db, actor, search, Spot(practitioner_id, starts_at), places)
    visit = asked_for or _new_visit(terms, origin or ORIGIN_OF[actor.kind])
    before = columns_of(visit, TOLD) if asked_for else None
    if asked_for:
        _leave_line(db, actor, asked_for, terms.now)
    way = way_to_meet(terms.search.mode, call_number, terms.settings)
    for name, value in _chosen(actor, placement, terms, way).items():
        setattr(visit, name, value)
    day = clock.local_date(starts_at, terms.zones[placement.location_id])
    _set_note_and_privacy(db, actor, visit, note, is_private, day, is_sensitive=terms.limits.rules.is_sensitive)
    if terms.limits.rules.who_may_book is WhoMayBook.REFERRED:
        use_referral(db, visit, day)
    if asked_for:
        db.flush()
    else:
        add_at_once(db, visit)
    note_attempt(db, visit, placement, terms.now)
    record(
        db,
        actor,
        "choose_time" if asked_for else "reserve",
        visit,
        before=before,
        after=columns_of(visit, TOLD) | ({"beyond_caps": True} if terms.search.beyond_caps else {}),
        patient_id=visit.patient_id,
    )
    arrange_interpreter(db, visit)
    outbox.tell_booked(db, visit)
    submissions.finish(db, submission_id, visit.id)
    return visit


def _take_exactly(
    session: Session, actor: Actor, search: Search, spot: Spot, places: frozenset[int] | None
) -> tuple[Placement, Terms]:
    """Claim the time that somebody at the clinic chose, with the clinician whom they chose."""
    terms = load_terms(session, replace(search, by=actor.kind))
    return place_exactly(session, terms, spot, places=places), terms


def _set_note_and_privacy(
    session: Session,
    actor: Actor,
    visit: Appointment,
    note: str | None,
    is_private: bool | None,
    day: date,
    *,
    is_sensitive: bool,
) -> None:
    visit.note = allowed_note(note or visit.note, is_sensitive=is_sensitive)
    # A request that was private stays so, unless its patient says otherwise.
    private = visit.is_private or None if is_private is None else is_private
    visit.is_private = privacy_of(session, actor, private, visit.patient_id, day, is_sensitive=is_sensitive)


def _body(what: str, search: Search, starts_at: datetime) -> dict[str, Any]:
    return {
        "what": what,
        "patient": search.patient_id,
        "visit_type": search.visit_type_id,
        "moving": search.moving_id,
        "starts_at": starts_at.isoformat(),
        "mode": search.mode,
        **search.wishes(),
    }


def _take(
    session: Session, actor: Actor, search: Search, starts_at: datetime, hold_id: int | None
) -> tuple[Placement, Terms]:
    """The cells for a visit: those of the actor's hold while it lives, else claimed anew."""
    terms = load_terms(session, replace(search, by=actor.kind))
    # Race: asked again under the patient's lock; since the time was held, another account may have booked.
    terms.check_limits(starts_at)
    hold = None if hold_id is None else take_over(session, actor, hold_id, search, starts_at, terms.now)
    dead = let_go(session, actor, terms.now, terms.grid_min)
    if hold is None:
        return place_as_told(session, terms, starts_at, dead=dead), terms
    # Since the time was held, the patient may have booked something else.
    if busy := own_visits(session, search, hold.starts_at, hold.ends_at):
        raise PatientBusy(appointment_id=busy[0].appointment_id)
    return placement_of_hold(hold), terms


def placement_of_hold(hold: Hold) -> Placement:
    """The time that a hold keeps, as a placement."""
    return Placement(
        hold.practitioner_id, hold.location_id, hold.starts_at, hold.ends_at, hold.blocked_from, hold.blocked_until,
        hold.choice, hold.choice["candidates"], 0, hold.extra_minutes,
    )  # fmt: skip


def _new_visit(terms: Terms, origin: Origin) -> Appointment:
    search = terms.search
    assert search.patient_id is not None
    return Appointment(
        patient_id=search.patient_id,
        visit_type_id=search.visit_type_id,
        version=1,
        sequence=0,
        origin=origin,
        requested_at=terms.now,
        # As a routine request would have. Source: clinic.md 5, class targets.
        target_at=terms.now + timedelta(days=terms.settings.number("target_routine_days", search.visit_type_id)),
        is_private=False,
    )


def _chosen(actor: Actor, placement: Placement, terms: Terms, way_to_meet: dict[str, Any]) -> dict[str, Any]:
    """The columns of a visit whose time somebody has chosen."""
    return {
        "status": Status.BOOKED,
        "booked_by_account_id": actor.account_id,
        "booked_at": terms.now,
        "wishes": terms.search.wishes(),
        "safety_answer": terms.safety_kept(),
        **way_to_meet,
        **time_of(placement, terms.window_min),
    }


def _leave_line(session: Session, actor: Actor, visit: Appointment, now: datetime) -> None:
    """A request whose time is chosen by hand waits for none any more; when it was asked for stays."""
    check_step(actor, visit.status, Status.BOOKED)
    withdraw_offers(session, visit, now)
    overtake_calls(session, [visit.id])
    leave_queue(visit)
    if visit.triage_status is TriageStatus.WAITING:
        # It could be booked without anybody looking at it.
        visit.triage_status = TriageStatus.NOT_NEEDED
    close_request_tasks(session, actor, [visit.id], "booked")
    visit.version += 1


@writing
def move_appointment(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    search: Search,
    starts_at: datetime,
    token: str,
    hold_id: int | None = None,
) -> Appointment:
    """Move a booked visit to another time; the old one is given up only with the new one certain.

    Args: search must name the visit as `moving_id`; its practitioner is kept where that is possible.
    Commits: submission, both times' cells, the visit (version and sequence up), attempt, audit, messages; rings.
    Raises: as `reserve_slot`, and TooLateToMove, BadTransition.
    Source: UC3.6.
    """
    submission_id, earlier_id = submissions.begin(db, actor, token, _body("move", search, starts_at))
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_visit(db, appointment_id)
    if (visit.id, visit.patient_id, visit.visit_type_id) != (search.moving_id, search.patient_id, search.visit_type_id):
        raise NotFound
    lock_patient(db, visit.patient_id)
    check_movable(db, actor, visit)
    _move(db, actor, visit, search, starts_at, hold_id)
    submissions.finish(db, submission_id, visit.id)
    return visit


def _move(
    session: Session, actor: Actor, visit: Appointment, search: Search, starts_at: datetime, hold_id: int | None
) -> None:
    if starts_at == visit.starts_at:
        raise BadTransition(N_("Choose a time other than the one you have."))
    terms = load_terms(session, replace(search, by=actor.kind))
    terms.check_limits(starts_at)
    placement = _new_time(session, actor, visit, terms, starts_at, hold_id)
    put_elsewhere(session, actor, visit, placement, "move", terms.now, wishes=terms.search.wishes())


def _new_time(
    session: Session, actor: Actor, visit: Appointment, terms: Terms, starts_at: datetime, hold_id: int | None
) -> Placement:
    """The cells of the new time; with a live hold they are already ours."""
    search = terms.search
    hold = None if hold_id is None else take_over(session, actor, hold_id, search, starts_at, terms.now)
    dead = let_go(session, actor, terms.now, terms.grid_min)
    if hold is None:
        return place_as_told(session, terms, starts_at, time_to_give_back(session, visit, terms.grid_min), dead)
    if busy := own_visits(session, search, hold.starts_at, hold.ends_at):
        raise PatientBusy(appointment_id=busy[0].appointment_id)
    return placement_of_hold(hold)


@writing
def cancel_appointment(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    token: str,
    reason: CancelReason | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Cancel a visit; its time is free for others at once, and the record stays with who and why.

    Commits: submission, the visit (version and sequence up), session cells, audit, messages; rings.
    Raises: BadTransition when it has begun, is over or was cancelled before; NotFound; SubmissionConflict;
    VersionConflict.
    Source: UC3.6: patients cancel until the start; a late cancel is marked, never refused.
    """
    body = {"what": "cancel", "appointment": appointment_id, "reason": reason}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_visit(db, appointment_id, expected_version)
    carry_out_cancel(db, actor, visit, reason)
    submissions.finish(db, submission_id, visit.id)
    return visit


def carry_out_cancel(
    session: Session,
    actor: Actor,
    visit: Appointment,
    reason: CancelReason | None,
    noted: Mapping[str, str] = MappingProxyType({}),
    action: str = "cancel",
) -> None:
    """Cancel a locked visit inside the caller's transaction.

    Args: noted, what the audit log says besides; action, what it calls it.
    Raises: BadTransition, NotAllowed.
    """
    now = clock.now()
    check_step(actor, visit.status, Status.CANCELLED)
    if not actor.is_clinic and visit.starts_at is not None and visit.starts_at <= now:
        raise BadTransition(N_("The appointment has already started."), current=visit.status.value)
    before = columns_of(visit, TOLD)
    _mark_cancelled(session, actor, visit, reason, now)
    session.flush()
    after = {**columns_of(visit, TOLD), **noted}
    record(session, actor, action, visit, before=before, after=after, patient_id=visit.patient_id)
    dismiss_interpreter(session, visit)
    forget_visit(session, visit)
    # Who left without being seen knows.
    if visit.starts_at is not None and visit.starts_at > now and reason is not LEFT:
        outbox.tell_cancelled(session, visit)
    wake_queue()


def _mark_cancelled(
    session: Session, actor: Actor, visit: Appointment, reason: CancelReason | None, now: datetime
) -> None:
    settings = load_settings(session)
    give_back(session, visit, settings.number("grid_min"))
    _end_waiting(session, actor, visit, "cancelled")
    late = timedelta(minutes=settings.number("late_cancel_min", visit.visit_type_id))
    give_back_referral(session, visit)
    visit.status = Status.CANCELLED
    visit.cancelled_at = now
    by_clinic = actor.is_clinic and reason is not LEFT
    visit.cancelled_by = CancelledBy.PATIENT if reason is LEFT else CANCELLED_BY[actor.kind]
    visit.cancel_reason = reason
    visit.is_late_cancel = not actor.is_clinic and visit.starts_at is not None and visit.starts_at - now < late
    visit.outcome_code = Outcome.CANCELLED_BY_CLINIC if by_clinic else Outcome.CANCELLED_BY_PATIENT
    visit.version += 1
    visit.sequence += 1


def _end_waiting(session: Session, actor: Actor, visit: Appointment, outcome: str) -> None:
    """Neither the queue nor anybody at the clinic has to do anything any more for what was a request."""
    leave_queue(visit)
    close_request_tasks(session, actor, [visit.id], outcome)


# What a step other than booking, moving and cancelling is called in the audit log.
ACTION = {
    Status.BOOKED: "undo",
    Status.ARRIVED: "arrive",
    Status.FULFILLED: "fulfil",
    Status.NOSHOW: "no_show",
    Status.ENTERED_IN_ERROR: "enter_in_error",
}


@writing
def change_status(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    to: Status,
    expected_version: int | None = None,
    came_too_late: bool = False,
) -> Appointment:
    """Note at the clinic what became of a visit: arrived, fulfilled, no-show, wrongly entered, or an undo of these.

    Args: came_too_late, with no-show: the patient came and could not be seen any more.
    Commits: the visit, audit; session cells and messages when the visit was wrongly entered.
    Raises: BadTransition, NotAllowed, VersionConflict, NotFound; PatientBusy where a time is needed.
    Source: UC7.2, UC7.8; outcome codes of the NHS Data Dictionary.
    """
    visit, now = lock_visit(db, appointment_id, expected_version), clock.now()
    if to not in ACTION:
        raise BadTransition(current=visit.status.value, to=to.value)
    step = check_step(actor, visit.status, to)
    _check_sense(visit, to, now)
    before, was_expected = columns_of(visit, TOLD), visit.is_active
    grid_min = load_settings(db).number("grid_min")
    if to is Status.ENTERED_IN_ERROR:
        give_back(db, visit, grid_min)
        visit.sequence += 1
        dismiss_interpreter(db, visit)
        forget_visit(db, visit)
        give_back_referral(db, visit)
    if visit.wants_earlier:
        withdraw_offers(db, visit, now)
    if visit.is_request or visit.wants_earlier or to is Status.ENTERED_IN_ERROR:
        _end_waiting(db, actor, visit, to.value)
    _see_to_time(db, visit, to, now, grid_min)
    _mark(visit, to, now, came_too_late)
    db.flush()
    if to is Status.NOSHOW and not came_too_late:
        ask_who_missed(db, visit)
    action = "undo" if step.is_undo else ACTION[to]
    record(db, actor, action, visit, before=before, after=columns_of(visit, TOLD), patient_id=visit.patient_id)
    # After a cancel everybody has been told already.
    if to is Status.ENTERED_IN_ERROR and was_expected and visit.starts_at is not None and visit.starts_at > now:
        outbox.tell_cancelled(db, visit)
    return visit


def _check_sense(visit: Appointment, to: Status, now: datetime) -> None:
    """What the table cannot say: no outcome before the start, nobody seen who never came, moves have their own way."""
    if (visit.status, to) == (Status.BOOKED, Status.BOOKED):
        raise BadTransition(current=visit.status.value, to=to.value)
    if to is Status.BOOKED and visit.status not in ACTIVE:
        raise BadTransition(current=visit.status.value, to=to.value)
    if to is Status.NOSHOW and (visit.starts_at is None or visit.starts_at > now):
        raise BadTransition(N_("The appointment has not started yet."), current=visit.status.value, to=to.value)
    if visit.origin is Origin.WALK_IN and to in (Status.BOOKED, Status.NOSHOW):
        raise BadTransition("They came without an appointment.", current=visit.status.value, to=to.value)
    if (visit.status, to) == (Status.BOOKED, Status.FULFILLED) and visit.mode not in (Mode.PHONE, Mode.VIDEO):
        raise BadTransition(N_("Mark the patient as arrived first."), current=visit.status.value, to=to.value)


def _see_to_time(session: Session, visit: Appointment, to: Status, now: datetime, grid_min: int) -> None:
    """A visit that has taken place has a time; one that goes on after all has the one it had before."""
    if to is Status.FULFILLED and visit.starts_at is None:
        take_time_it_took(session, visit, now, grid_min)
    if (visit.status, to) == (Status.FULFILLED, Status.ARRIVED):
        forget_time_it_took(visit)


def _mark(visit: Appointment, to: Status, now: datetime, came_too_late: bool) -> None:
    visit.status = to
    visit.version += 1
    if to is Status.BOOKED:
        visit.arrived_at = visit.called_at = visit.ended_at = visit.outcome_code = None
    elif to is Status.ARRIVED:
        visit.arrived_at = visit.arrived_at or now
        visit.ended_at = visit.outcome_code = None
    elif to is Status.FULFILLED:
        visit.ended_at = now
        visit.outcome_code = _attended(visit)
    elif to is Status.NOSHOW:
        if not came_too_late:
            # From `arrived` this takes a wrong check-in back.
            visit.arrived_at = visit.called_at = None
        visit.outcome_code = Outcome.LATE_COULD_NOT_BE_SEEN if came_too_late else Outcome.DID_NOT_ATTEND


def _attended(visit: Appointment) -> Outcome:
    came_late = visit.arrived_at is not None and visit.starts_at is not None and visit.arrived_at > visit.starts_at
    return Outcome.ATTENDED_LATE if came_late else Outcome.ATTENDED_ON_TIME
