"""Invitations: somebody at the clinic wants a patient to have one visit within some days, now or in some months.

The patient books it, or lets the queue find the time; or the clinic lets the queue do it at once. Beyond the horizon it
simply waits. Whether an invitation was used is found in the rows, however the visit came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import AlreadyAsked, BadTransition, InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import (
    ACTIVE,
    WAITING,
    Appointment,
    ContinuityWish,
    Event,
    Origin,
    PriorityClass,
    Status,
    VisitInvitation,
    VisitType,
)
from clinic_portal.notifications.calls import overtake_invitation_calls
from clinic_portal.notifications.request_outbox import Told, tell_invited, tell_of_requests, wake_queue
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.modes import way_asked
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.privacy import privacy_of_request
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.request_rows import next_escalation, told
from clinic_portal.scheduling.requests import set_dates
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.wishes import LONGEST_WINDOW, Wishes
from clinic_portal.settings import load_settings

AT_ONCE = 100
IS_UNUSED = and_(VisitInvitation.used_by_appointment_id.is_(None), VisitInvitation.withdrawn_at.is_(None))


@writing
def invite(
    db: Session,
    *,
    actor: Actor,
    patient_id: int,
    visit_type_id: int,
    due_from: date,
    due_until: date,
    token: str,
    priority: PriorityClass = PriorityClass.ROUTINE,
    message: str | None = None,
    continuity: ContinuityWish = ContinuityWish.NONE,
    is_for_queue: bool = False,
) -> VisitInvitation:
    """Ask a patient to book one visit within some days; or let the queue book it for them.

    Args: due_from, due_until, local days, both included. message, what the patient reads about it on our pages.
    continuity, whether the queue should find the same person as last time. is_for_queue, the queue finds the time at
    once, as for a request.
    Commits: submission, the invitation, audit, a message; or the request of the queue; rings.
    Raises: InvalidRequest, AlreadyAsked, NotAllowed, NotFound, SubmissionConflict.
    Source: UC1.9; clinic.md A7.
    """
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed
    body = {"what": "invite", "patient": patient_id, "visit_type": visit_type_id, "from": due_from, "until": due_until,
            "message": message, "continuity": continuity, "queue": is_for_queue}  # fmt: skip
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(VisitInvitation, earlier_id)
    lock_patient(db, patient_id)
    invitation = VisitInvitation(
        patient_id=patient_id, visit_type_id=visit_type_id, due_from=due_from, due_until=due_until,
        priority_class=priority, continuity_wish=continuity, message=clean_note(message),
        made_by_account_id=actor.account_id, made_at=clock.now(),
        expires_at=_end_of(db, visit_type_id, due_from, due_until),
    )  # fmt: skip
    db.add(invitation)
    db.flush()
    record(db, actor, "invite", invitation, after={"due_until": due_until.isoformat()}, patient_id=patient_id)
    if is_for_queue:
        search = Search(visit_type_id, patient_id, needs=frozenset(needs_of(db, patient_id)))
        _request(db, actor, invitation, search, Wishes(), "request_for")
    else:
        tell_invited(db, invitation)
    submissions.finish(db, submission_id, invitation.id)
    return invitation


def _end_of(session: Session, visit_type_id: int, due_from: date, due_until: date) -> datetime:
    """When an invitation lapses: at the end of its last day at the clinic."""
    zone = clinic_zone(session)
    visit_type = session.get(VisitType, visit_type_id)
    if visit_type is None or not visit_type.is_active:
        raise NotFound(N_("This kind of appointment is not offered."))
    today = clock.local_date(clock.now(), zone)
    if not today <= due_until <= today + LONGEST_WINDOW or due_until < due_from:
        raise InvalidRequest(N_("Choose days from today on, the last within a year."), field="due_until")
    return clock.day_bounds(due_until, zone)[1]


@writing
def let_queue_book(
    db: Session, *, actor: Actor, invitation_id: int, search: Search, wishes: Wishes, token: str,
    note: str | None = None, call_number: str | None = None, is_private: bool | None = None,
) -> Appointment:  # fmt: skip
    """Let the queue find a time for the visit of an invitation, within its days and the patient's wishes.

    Args: as for `request_appointment`.
    Commits: submission, the request, audit, a message; rings.
    Raises: BadTransition when it was used, withdrawn or has lapsed, InvalidRequest, AlreadyAsked, NotFound,
    ModeNotOffered, NumberMissing, NoteRefused.
    """
    note = clean_note(note)
    search = replace(search, continuity=wishes.continuity)
    way = {"mode": search.mode, "number": call_number, "note": note, "is_private": is_private}
    body = {"what": "use_invitation", "invitation": invitation_id, **way, **search.wishes(), **wishes.plain()}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    invitation = _lock(db, invitation_id)
    if (invitation.patient_id, invitation.visit_type_id) != (search.patient_id, search.visit_type_id):
        raise NotFound
    if not invitation.is_open(clock.now()):
        raise BadTransition(N_("This invitation cannot be used any more."))
    wishes.check(clock.local_date(clock.now(), clinic_zone(db)))
    visit = _request(db, actor, invitation, search, wishes, call_number=call_number, is_private=is_private)
    visit.note = allowed_note(note, is_sensitive=visit.visit_type.is_sensitive)
    submissions.finish(db, submission_id, visit.id)
    return visit


def _lock(session: Session, invitation_id: int) -> VisitInvitation:
    """An invitation as it is now, with its patient locked.

    Raises: NotFound, NotAllowed.
    """
    patient_id = session.scalar(select(VisitInvitation.patient_id).where(VisitInvitation.id == invitation_id))
    if patient_id is None:
        raise NotFound
    lock_patient(session, patient_id)
    found = select(VisitInvitation).where(VisitInvitation.id == invitation_id).with_for_update(key_share=True)
    return session.scalars(found.execution_options(populate_existing=True)).one()


def _request(
    session: Session,
    actor: Actor,
    invitation: VisitInvitation,
    search: Search,
    wishes: Wishes,
    action: str = "request",
    call_number: str | None = None,
    is_private: bool | None = None,
) -> Appointment:
    """The request of an invitation: whoever is invited need not be looked at first, nor be counted."""
    asked = select(Appointment.public_id).where(
        Appointment.patient_id == invitation.patient_id,
        Appointment.visit_type_id == invitation.visit_type_id,
        Appointment.status.in_(WAITING),
    )
    if (same := session.scalar(asked)) is not None:
        raise AlreadyAsked(request=same)
    settings, now = load_settings(session), clock.now()
    notice = settings.number("minimum_notice_min", invitation.visit_type_id)
    within = replace(
        wishes,
        continuity=max(wishes.continuity, invitation.continuity_wish, key=list(ContinuityWish).index),
        from_on=max(invitation.due_from, wishes.from_on or invitation.due_from),
        until_on=min(invitation.due_until, wishes.until_on or invitation.due_until),
        # The clinic asked, so its notice is not the limit; the patient's time to come is.
        min_warning_min=max(wishes.min_warning_min, notice),
    )
    if within.from_on is not None and within.until_on is not None and within.from_on > within.until_on:
        raise InvalidRequest(N_("Choose days within those of the invitation."), field="from")
    search = replace(search, continuity=within.continuity, by=actor.kind)
    terms = load_terms(session, search)
    visit = Appointment(
        patient_id=invitation.patient_id, visit_type_id=invitation.visit_type_id, status=Status.PROPOSED, version=1,
        sequence=0, origin=Origin.INVITATION, booked_by_account_id=actor.account_id, requested_at=now,
        priority_class=invitation.priority_class, next_try_at=now, wishes=search.wishes(),
        safety_answer=terms.safety_kept(),
        is_private=privacy_of_request(session, actor, invitation.patient_id, invitation.visit_type_id, is_private),
        **way_asked(search.mode, call_number), **within.columns(),
    )  # fmt: skip
    set_dates(session, visit)
    # Source: clinic.md 5: an invitation's target is the end of its days.
    visit.target_at = invitation.expires_at
    visit.escalate_at = next_escalation(visit, settings)
    session.add(visit)
    session.flush()
    invitation.used_by_appointment_id = visit.id
    overtake_invitation_calls(session, invitation.patient_id)
    record(session, actor, action, visit, after=told(visit) | within.plain(), patient_id=visit.patient_id)
    tell_of_requests(session, [Told(visit, Event.REQUEST_RECEIVED)])
    wake_queue()
    return visit


@writing
def withdraw_invitation(db: Session, *, actor: Actor, invitation_id: int) -> VisitInvitation:
    """Take an invitation back; nothing happens when it is used or has been taken back already.

    Commits: the invitation, audit; takes a call about it off the desk's list.
    Raises: NotAllowed, also for a practitioner who did not make it; NotFound.
    """
    if not actor.is_clinic:
        raise NotAllowed
    invitation = _lock(db, invitation_id)
    if actor.kind is ActorKind.PRACTITIONER and invitation.made_by_account_id != actor.account_id:
        raise NotAllowed
    if invitation.used_by_appointment_id is None and invitation.withdrawn_at is None:
        invitation.withdrawn_at = clock.now()
        db.flush()
        overtake_invitation_calls(db, invitation.patient_id)
        record(db, actor, "withdraw", invitation, patient_id=invitation.patient_id)
    return invitation


@writing
def note_used_invitations(session: Session) -> int:
    """Note which invitations were used by a visit that was booked, and open again those whose visit came to nothing.

    Calls about invitations that are over, also because their days are, leave the desk's list.

    Commits: the invitations, calls with their tasks. Returns how many changed.
    """
    ended = (Status.CANCELLED, Status.ENTERED_IN_ERROR)
    reopened = session.scalars(
        select(VisitInvitation)
        .join(VisitInvitation.used_by)
        .where(Appointment.status.in_(ended), VisitInvitation.expires_at > clock.now())
        .limit(AT_ONCE)
    ).all()
    for invitation in reopened:
        invitation.used_by_appointment_id = None
    session.flush()
    is_its_visit = and_(
        Appointment.patient_id == VisitInvitation.patient_id,
        Appointment.visit_type_id == VisitInvitation.visit_type_id,
        Appointment.booked_at >= VisitInvitation.made_at,
        Appointment.status.in_(ACTIVE),
    )
    rows = session.execute(
        select(VisitInvitation, Appointment.id)
        .join(Appointment, is_its_visit)
        .where(IS_UNUSED)
        .order_by(VisitInvitation.due_until, Appointment.id)
        .limit(AT_ONCE)
    ).all()
    taken: set[int] = set()
    for invitation, appointment_id in rows:
        if invitation.used_by_appointment_id is None and appointment_id not in taken:
            invitation.used_by_appointment_id = appointment_id
            taken.add(appointment_id)
    session.flush()
    return len(reopened) + len(taken) + overtake_invitation_calls(session)


def open_invitations(session: Session, patient_ids: Sequence[int]) -> list[VisitInvitation]:
    """What some patients are asked to book, the nearest end first."""
    found = select(VisitInvitation).where(
        IS_UNUSED, VisitInvitation.patient_id.in_(patient_ids), VisitInvitation.expires_at > clock.now()
    )
    return list(
        session.scalars(found.options(joinedload(VisitInvitation.visit_type)).order_by(VisitInvitation.due_until))
    )
