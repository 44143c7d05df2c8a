"""Asking for a visit without naming a time: ask, change what was wished, withdraw. What the clinic does: `handling.py`.

A request is an appointment that has no time yet. It is stored before anything answers; the queue serves it soon after
(see `queue.py`), and finds it in the rows if nobody rings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import AlreadyAsked, NotFound, TooManyOpenVisits
from clinic_portal.languages import N_
from clinic_portal.models import (
    WAITING,
    Appointment,
    CancelReason,
    Event,
    Need,
    Origin,
    PriorityClass,
    Status,
    TaskKind,
    TriageStatus,
    VisitType,
)
from clinic_portal.notifications.calls import overtake_calls
from clinic_portal.notifications.request_outbox import Told, tell_of_requests, wake_queue
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.booking import CANCELLED_BY, ORIGIN_OF
from clinic_portal.scheduling.modes import way_asked
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.privacy import privacy_of_request
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.request_rows import (
    close_request_tasks,
    dates_of,
    leave_queue,
    lock_batch,
    lock_request,
    next_escalation,
    note_change,
    told,
    wait_anew,
    withdraw_offers,
)
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.wishes import Wishes
from clinic_portal.settings import load_settings
from clinic_portal.tasks import open_task


@writing
def request_appointment(
    db: Session,
    *,
    actor: Actor,
    search: Search,
    wishes: Wishes,
    token: str,
    note: str | None = None,
    call_number: str | None = None,
    is_private: bool | None = None,
    origin: Origin | None = None,
) -> Appointment:
    """Take down that a patient asks for a visit; the queue finds the time and the practitioner.

    Args: search, what for whom, where, how and with which needs; wishes, when and with whom. token, the form's own;
    the same again returns the same request. note, what the patient wrote about it. call_number, which number to call,
    for a visit by phone. is_private, whether those who act for the patient may not know of it; None where nobody was
    asked.
    Times: days of the wishes are those of the place.
    Commits: submission, the request, audit, a message, and a task where a person must look at it first; rings.
    Raises: InvalidRequest, AlreadyAsked, NotFound, NotAllowed, NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast,
    SafetyAnswerMissing, ModeNotOffered, NumberMissing, NoteRefused, SubmissionConflict.
    Source: UC1.1, UC1.5, UC1.7.
    """
    search = replace(search, continuity=wishes.continuity)
    if search.patient_id is None or search.moving_id is not None:
        raise NotFound
    note = clean_note(note)
    body = {"what": "request", **_body(search, wishes, call_number, is_private), "note": note}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    lock_patient(db, search.patient_id)
    terms = _checked(db, actor, search, wishes)
    visit = _new_request(db, actor, terms, wishes, origin or ORIGIN_OF[actor.kind], call_number)
    visit.note = allowed_note(note, is_sensitive=terms.limits.rules.is_sensitive)
    visit.is_private = privacy_of_request(db, actor, visit.patient_id, visit.visit_type_id, is_private)
    db.add(visit)
    db.flush()
    record(db, actor, "request", visit, after=told(visit) | wishes.plain(), patient_id=visit.patient_id)
    _have_it_looked_at(db, visit)
    tell_of_requests(db, [Told(visit, Event.REQUEST_RECEIVED)])
    submissions.finish(db, submission_id, visit.id)
    wake_queue()
    return visit


def _body(search: Search, wishes: Wishes, call_number: str | None, is_private: bool | None) -> dict[str, Any]:
    what = {
        "patient": search.patient_id,
        "visit_type": search.visit_type_id,
        "mode": search.mode,
        "number": call_number,
        "is_private": is_private,
    }
    return {**what, **search.wishes(), **wishes.plain()}


def _checked(session: Session, actor: Actor, search: Search, wishes: Wishes, changing_id: int | None = None) -> Terms:
    """The clinic's terms for a request that may be made.

    Args: changing_id, the request that is changed: it does not stand in its own way.
    """
    terms = load_terms(session, replace(search, by=actor.kind))
    wishes.check(clock.local_date(terms.now, clinic_zone(session)))
    assert search.patient_id is not None
    others = session.execute(
        select(Appointment.visit_type_id, Appointment.public_id).where(
            Appointment.patient_id == search.patient_id,
            Appointment.status.in_(WAITING),
            Appointment.id != (changing_id or 0),
        )
    ).all()
    same = next((public_id for visit_type_id, public_id in others if visit_type_id == search.visit_type_id), None)
    if same is not None:
        raise AlreadyAsked(request=same)
    if refusal := terms.refusal():
        raise refusal
    _refuse_too_many(terms, len(others))
    terms.check_safety()
    return terms


def _refuse_too_many(terms: Terms, open_requests: int) -> None:
    """Requests count with the visits ahead: each of them is to become one."""
    person, most = terms.limits.person, terms.limits.rules.max_open_in_all
    if person is not None and sum(visit.is_ahead for visit in person.visits) + open_requests >= most:
        raise TooManyOpenVisits(
            N_(
                "There are already %(most)s appointments and requests; more cannot be asked for online. "
                "Call us, and we will look at it with you."
            ),
            most=most,
        )


def _new_request(
    session: Session, actor: Actor, terms: Terms, wishes: Wishes, origin: Origin, call_number: str | None
) -> Appointment:
    search = terms.search
    assert search.patient_id is not None
    needs_triage = session.get_one(VisitType, search.visit_type_id).needs_triage
    visit = Appointment(
        patient_id=search.patient_id,
        visit_type_id=search.visit_type_id,
        status=Status.PROPOSED,
        version=1,
        sequence=0,
        origin=origin,
        booked_by_account_id=actor.account_id,
        priority_class=PriorityClass.ROUTINE,
        requested_at=terms.now,
        triage_status=TriageStatus.WAITING if needs_triage else TriageStatus.NOT_NEEDED,
        next_try_at=terms.now,
        wishes=search.wishes(),
        safety_answer=terms.safety_kept(),
        **way_asked(search.mode, call_number),
        **wishes.columns(),
    )
    set_dates(session, visit)
    return visit


def set_dates(session: Session, visit: Appointment) -> None:
    """Work out anew until when a request is answered and served, from when it was asked and its class."""
    dates = dates_of(session, visit.requested_at, visit.priority_class, visit.visit_type_id)
    visit.answer_by, visit.target_at = dates.answer_by, dates.target_at
    visit.escalate_at = next_escalation(visit, load_settings(session))


def _have_it_looked_at(session: Session, visit: Appointment) -> None:
    if visit.triage_status is TriageStatus.WAITING and visit.answer_by is not None:
        open_task(session, TaskKind.TRIAGE, patient_id=visit.patient_id, appointment_id=visit.id,
                  due_at=visit.answer_by)  # fmt: skip


HIGHER = {PriorityClass.FLEXIBLE: PriorityClass.ROUTINE, PriorityClass.ROUTINE: PriorityClass.SOON}


def ask_again(session: Session, actor: Actor, visit: Appointment) -> Appointment | None:
    """Let the queue find another time for a visit that the clinic has cancelled, inside the caller's transaction.

    It keeps since when it was asked for, and goes one class higher; its patient is asked before anything is booked.
    None when the patient waits for such a visit already.
    Source: clinic.md 2, item 5.
    """
    same = _REQUEST_FOR_KIND.where(
        Appointment.patient_id == visit.patient_id, Appointment.visit_type_id == visit.visit_type_id
    )
    if session.scalar(same) is not None:
        return None
    now, asked = clock.now(), visit.priority_class or PriorityClass.ROUTINE
    again = Appointment(
        patient_id=visit.patient_id,
        visit_type_id=visit.visit_type_id,
        status=Status.PROPOSED,
        version=1,
        sequence=0,
        origin=Origin.DESK,
        booked_by_account_id=actor.account_id,
        priority_class=HIGHER.get(asked, asked),
        requested_at=visit.requested_at,
        triage_status=TriageStatus.NOT_NEEDED,
        next_try_at=now,
        wishes=visit.wishes,
        safety_answer=visit.safety_answer,
        is_private=visit.is_private,
        note=visit.note,
        **way_asked(visit.mode, visit.call_number),
        **Wishes(continuity=visit.continuity_wish, is_ask_first=True).columns(),
    )
    set_dates(session, again)
    # The answer is promised from now on: the patient hears only now that there is something to wait for.
    again.answer_by = dates_of(session, now, again.priority_class, again.visit_type_id).answer_by
    again.escalate_at = next_escalation(again, load_settings(session), now)
    session.add(again)
    session.flush()
    record(session, actor, "request_again", again, after=told(again), patient_id=again.patient_id)
    tell_of_requests(session, [Told(again, Event.REQUEST_RECEIVED)])
    wake_queue()
    return again


_REQUEST_FOR_KIND = select(Appointment.id).where(Appointment.status.in_(WAITING)).limit(1)


@writing
def change_request(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    search: Search,
    wishes: Wishes,
    token: str,
    note: str | None = None,
    call_number: str | None = None,
    is_private: bool | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Change what a waiting request wishes; the place in the queue stays, unless another kind of visit is asked for.

    What is offered for it is taken back: it may not fit any more.

    Args: note, what stands there from now on; is_private, None where nobody was asked.
    Commits: submission, the request, audit; frees an offered time; rings.
    Raises: as `request_appointment`, and BadTransition when it waits no more, VersionConflict.
    Source: UC1.6; clinic.md 5: editing wishes keeps `requested_at`, changing the visit type starts anew.
    """
    search = replace(search, continuity=wishes.continuity)
    note = clean_note(note)
    body = {"what": "change_request", "appointment": appointment_id, "note": note,
            **_body(search, wishes, call_number, is_private)}  # fmt: skip
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_request(db, appointment_id, expected_version)
    if visit.patient_id != search.patient_id:
        raise NotFound
    lock_patient(db, visit.patient_id)
    terms = _checked(db, actor, search, wishes, changing_id=visit.id)
    before, now = told(visit), terms.now
    withdraw_offers(db, visit, now)
    overtake_calls(db, [visit.id])
    if visit.visit_type_id != search.visit_type_id:
        _start_anew(db, actor, visit, search.visit_type_id, now)
    visit.note = allowed_note(note, is_sensitive=terms.limits.rules.is_sensitive)
    if is_private is not None:
        visit.is_private = privacy_of_request(db, actor, visit.patient_id, visit.visit_type_id, is_private)
    _wish(visit, search, wishes, call_number, now)
    db.flush()
    note_change(db, actor, "change_request", visit, before, wishes.plain())
    submissions.finish(db, submission_id, visit.id)
    wake_queue()
    return visit


def _start_anew(session: Session, actor: Actor, visit: Appointment, visit_type_id: int, now: datetime) -> None:
    """Another kind of visit is another request: its place in the queue, its promise and its triage begin now."""
    visit.visit_type_id, visit.requested_at, visit.priority_class = visit_type_id, now, PriorityClass.ROUTINE
    needs_triage = session.get_one(VisitType, visit_type_id).needs_triage
    visit.triage_status = TriageStatus.WAITING if needs_triage else TriageStatus.NOT_NEEDED
    visit.triaged_at = visit.triaged_by_account_id = None
    visit.is_private = visit.is_private or privacy_of_request(session, actor, visit.patient_id, visit_type_id)
    visit.status = Status.PROPOSED
    close_request_tasks(session, actor, [visit.id], "asked_anew")
    set_dates(session, visit)
    session.flush()
    _have_it_looked_at(session, visit)


def _wish(visit: Appointment, search: Search, wishes: Wishes, call_number: str | None, now: datetime) -> None:
    if visit.status is Status.PENDING:
        visit.status = Status.PROPOSED
    visit.wishes = search.wishes()
    for name, value in {**way_asked(search.mode, call_number), **wishes.columns()}.items():
        setattr(visit, name, value)
    wait_anew(visit, now)


def note_needs(session: Session, actor: Actor, patient_id: int, needs: Iterable[Need]) -> None:
    """Let what a patient has asked for be looked for with these needs, inside the caller's transaction; rings.

    Also an earlier time for a booked visit. The patient must be locked. What is offered is taken back: it may not suit
    any more.
    """
    waiting = select(Appointment.id).where(
        Appointment.patient_id == patient_id, or_(Appointment.status.in_(WAITING), Appointment.wants_earlier)
    )
    now, wanted = clock.now(), sorted(needs)
    for visit in lock_batch(session, session.scalars(waiting).all()):
        if visit.wishes.get("needs", []) == wanted:
            continue
        before = told(visit)
        withdraw_offers(session, visit, now)
        overtake_calls(session, [visit.id])
        if visit.status is Status.PENDING:
            visit.status = Status.PROPOSED
        visit.wishes = {**visit.wishes, "needs": wanted}
        wait_anew(visit, now)
        note_change(session, actor, "note_needs", visit, before, {"needs": wanted})
        wake_queue()


@writing
def withdraw_request(
    db: Session, *, actor: Actor, appointment_id: int, token: str, reason: CancelReason | None = None
) -> Appointment:
    """Take a waiting request back; who and why stays, and a time offered for it is free for others at once.

    Commits: submission, the request, audit; frees an offered time, closes its tasks; a message when the clinic does
    it; rings.
    Raises: BadTransition when it waits no more, NotFound, SubmissionConflict.
    Source: UC1.6.
    """
    body = {"what": "withdraw", "appointment": appointment_id, "reason": reason}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_request(db, appointment_id)
    check_step(actor, visit.status, Status.CANCELLED)
    close_request(db, actor, visit, "withdraw", reason)
    submissions.finish(db, submission_id, visit.id)
    return visit


def close_request(
    session: Session, actor: Actor, visit: Appointment, action: str, reason: CancelReason | None = None
) -> None:
    """End a request inside the caller's transaction, without a visit."""
    before, now = told(visit), clock.now()
    withdraw_offers(session, visit, now)
    overtake_calls(session, [visit.id])
    visit.status, visit.cancelled_at, visit.cancelled_by = Status.CANCELLED, now, CANCELLED_BY[actor.kind]
    visit.cancel_reason = reason
    leave_queue(visit)
    note_change(session, actor, action, visit, before)
    close_request_tasks(session, actor, [visit.id], action)
    if actor.is_clinic:
        tell_of_requests(session, [Told(visit, Event.REQUEST_CLOSED)])
    wake_queue()
