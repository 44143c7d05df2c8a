"""What people at the clinic do with a waiting request: look at it, send it elsewhere, reclassify, defer, place it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, SlotTaken
from clinic_portal.languages import N_
from clinic_portal.models import Appointment, PriorityClass, Status, TriageStatus
from clinic_portal.notifications.calls import overtake_calls
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.assignment import place
from clinic_portal.scheduling.by_hand import search_by_hand
from clinic_portal.scheduling.notes import clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.placing import become_visit
from clinic_portal.scheduling.request_rows import (
    close_request_tasks,
    lock_request,
    note_change,
    told,
    wait_anew,
    withdraw_offers,
)
from clinic_portal.scheduling.requests import close_request, set_dates
from clinic_portal.scheduling.search import load_terms
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.wishes import LONGEST_WINDOW


def _only_the_clinic(actor: Actor) -> None:
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed


def _reason(text: str) -> str:
    reason = clean_note(text)
    if reason is None:
        raise InvalidRequest(N_("Say why: it is kept with the request."), field="reason")
    return reason


def _begin(
    session: Session, actor: Actor, token: str | None, appointment_id: int, *what: Any
) -> Appointment | None:  # fmt: skip
    """Note that a form about a request was sent; the request as it is now if the very same form came before."""
    if token is None:
        return None
    submission_id, earlier_id = submissions.begin(session, actor, token, {"what": what, "appointment": appointment_id})
    if earlier_id is not None:
        return session.get_one(Appointment, earlier_id)
    submissions.finish(session, submission_id, appointment_id)
    return None


@writing
def triage_done(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    priority: PriorityClass = PriorityClass.ROUTINE,
    expected_version: int | None = None,
    token: str | None = None,
) -> Appointment:
    """Note that a person has looked at a request and how urgent it is; from now on the queue may place it.

    Args: token, that of the form, if there was one; the same again changes nothing.
    Commits: submission, the request, audit; closes its task; rings.
    Raises: BadTransition when nobody has to look at it, NotAllowed, NotFound, VersionConflict, SubmissionConflict.
    Source: UC1.7; clinic.md A10: the patient never sets the class.
    """
    _only_the_clinic(actor)
    if (earlier := _begin(db, actor, token, appointment_id, "triage", priority)) is not None:
        return earlier
    visit, before = _to_triage(db, appointment_id, expected_version)
    _mark_triaged(visit, actor, TriageStatus.DONE)
    visit.priority_class = priority
    set_dates(db, visit)
    wait_anew(visit, clock.now())
    note_change(db, actor, "triage", visit, before)
    close_request_tasks(db, actor, [visit.id], "triaged")
    wake_queue()
    return visit


@writing
def redirect_request(
    db: Session, *, actor: Actor, appointment_id: int, note: str, expected_version: int | None = None,
    token: str | None = None,
) -> Appointment:  # fmt: skip
    """Answer a request that needs no visit here, or another place: it ends with what the patient should do instead.

    Args: note, what the patient reads on the request's page. token, that of the form, if there was one.
    Commits: submission, the request, audit, a message; closes its tasks.
    Raises: InvalidRequest without a note, BadTransition, NotAllowed, NotFound, VersionConflict, SubmissionConflict.
    """
    _only_the_clinic(actor)
    if (earlier := _begin(db, actor, token, appointment_id, "redirect", note)) is not None:
        return earlier
    visit, _ = _to_triage(db, appointment_id, expected_version)
    visit.triage_note = _reason(note)
    _mark_triaged(visit, actor, TriageStatus.REDIRECTED)
    close_request(db, actor, visit, "redirect")
    return visit


def _to_triage(
    session: Session, appointment_id: int, expected_version: int | None
) -> tuple[Appointment, dict[str, Any]]:
    visit = lock_request(session, appointment_id, expected_version)
    if visit.triage_status is not TriageStatus.WAITING:
        raise BadTransition(N_("Somebody has looked at this request already."), current=visit.triage_status.value)
    return visit, told(visit)


def _mark_triaged(visit: Appointment, actor: Actor, status: TriageStatus) -> None:
    visit.triage_status, visit.triaged_at, visit.triaged_by_account_id = status, clock.now(), actor.account_id


@writing
def reclassify(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    priority: PriorityClass,
    reason: str,
    expected_version: int | None = None,
    token: str | None = None,
) -> Appointment:
    """Make a request more or less urgent; when it was asked for stays, and its dates follow from the new class.

    Args: reason, in words; kept in the audit log. token, that of the form, if there was one.
    Commits: submission, the request, audit; rings.
    Raises: InvalidRequest without a reason, BadTransition, NotAllowed, NotFound, VersionConflict, SubmissionConflict.
    Source: clinic.md 5: raising priority needs a reason and is logged.
    """
    _only_the_clinic(actor)
    if (earlier := _begin(db, actor, token, appointment_id, "reclassify", priority, reason)) is not None:
        return earlier
    visit = lock_request(db, appointment_id, expected_version)
    before, why = told(visit), _reason(reason)
    visit.priority_class = priority
    set_dates(db, visit)
    visit.next_try_at = clock.now()
    note_change(db, actor, "reclassify", visit, before, {"reason": why})
    wake_queue()
    return visit


@writing
def defer(
    db: Session, *, actor: Actor, appointment_id: int, until: datetime, reason: str | None = None,
    expected_version: int | None = None, token: str | None = None,
) -> Appointment:  # fmt: skip
    """Let a request rest until an instant: the queue leaves it alone, and its place stays.

    Args: reason, in words; kept in the audit log. token, that of the form, if there was one.
    Commits: submission, the request, audit; an offered time is taken back.
    Raises: InvalidRequest for a time that is past or more than a year ahead, BadTransition, NotAllowed, NotFound,
    VersionConflict, SubmissionConflict.
    """
    _only_the_clinic(actor)
    if (earlier := _begin(db, actor, token, appointment_id, "defer", until, reason)) is not None:
        return earlier
    visit = lock_request(db, appointment_id, expected_version)
    before, now, why = told(visit), clock.now(), clean_note(reason)
    if not now < until <= now + LONGEST_WINDOW:
        raise InvalidRequest("Choose a day ahead, within a year.", field="until")
    withdraw_offers(db, visit, now)
    overtake_calls(db, [visit.id])
    if visit.status is Status.PENDING:
        visit.status = Status.WAITLIST
    visit.deferred_until = visit.next_try_at = until
    note_change(db, actor, "defer", visit, before, {"reason": why} if why else None)
    wake_queue()
    return visit


@writing
def resume_request(db: Session, *, actor: Actor, appointment_id: int) -> Appointment:
    """Let the queue go on with a request that was paused after unanswered offers, deferred, or given up for a fault.

    Commits: the request, audit; closes its tasks; rings.
    Raises: BadTransition when it waits no more, NotFound.
    """
    visit = lock_request(db, appointment_id)
    before = told(visit)
    overtake_calls(db, [visit.id])
    wait_anew(visit, clock.now())
    note_change(db, actor, "resume", visit, before)
    close_request_tasks(db, actor, [visit.id], "resumed")
    wake_queue()
    return visit


@writing
def place_by_hand(
    db: Session, *, actor: Actor, appointment_id: int, starts_at: datetime, token: str,
    expected_version: int | None = None, beyond_caps: bool = False,
) -> Appointment:  # fmt: skip
    """Book a time for a waiting request, as somebody at the clinic chose it; the best practitioner then takes it.

    The desk is not bound by the patient's wishes, nor by the limits of booking online.

    Args: beyond_caps, whether somebody may get more visits than they have on one day, if nobody has room otherwise.
    Times: starts_at is an instant on the grid.
    Commits: submission, session cells, the visit, attempt, audit, messages; closes its tasks; rings.
    Raises: SlotTaken, PatientBusy, OutsideHorizon, TooSoon, InvalidRequest, BadTransition, NotAllowed, NotFound,
    VersionConflict.
    """
    _only_the_clinic(actor)
    body = {"what": "place", "appointment": appointment_id, "starts_at": starts_at.isoformat()}
    if beyond_caps:
        body["beyond_caps"] = "yes"
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_request(db, appointment_id, expected_version)
    lock_patient(db, visit.patient_id)
    check_step(actor, visit.status, Status.BOOKED)
    withdraw_offers(db, visit, clock.now())
    overtake_calls(db, [visit.id])
    if visit.triage_status is TriageStatus.WAITING:
        # Whoever places it has looked at it.
        _mark_triaged(visit, actor, TriageStatus.DONE)
    search, noted = search_by_hand(visit, actor.kind), None
    try:
        placement = place(db, load_terms(db, search), starts_at)
    except SlotTaken:
        if not beyond_caps:
            raise
        placement = place(db, load_terms(db, replace(search, beyond_caps=True)), starts_at)
        noted = {"beyond_caps": True}
    become_visit(db, actor, visit, placement, "place_by_hand", clock.now(), noted)
    submissions.finish(db, submission_id, visit.id)
    return visit
