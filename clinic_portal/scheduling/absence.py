"""A clinician is away: the hours, every visit in them and whom to call, changed in one go, and undone in one go.

What is told of it waits for some minutes, so that an undo leaves nobody with a message that is not true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import take_turns, writing
from clinic_portal.errors import DomainError, NotAllowed, NotFound, PlanChanged, VersionConflict
from clinic_portal.models import (
    Absence,
    AbsenceAct,
    AbsenceReason,
    AbsenceVisit,
    Appointment,
    Delivery,
    Event,
    Mode,
    Notification,
    Practitioner,
    columns_of,
)
from clinic_portal.notifications import ledger
from clinic_portal.notifications.calls import ask_to_call
from clinic_portal.scheduling import hours, session_rows, stranded, submissions
from clinic_portal.scheduling.absence_options import Away, Choice, number_of, visit_terms
from clinic_portal.scheduling.absence_plan import SOON, Choices, concerned
from clinic_portal.scheduling.assignment import place
from clinic_portal.scheduling.blocks import Away as Period
from clinic_portal.scheduling.blocks import plain
from clinic_portal.scheduling.booking import carry_out_cancel
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.placing import put_elsewhere
from clinic_portal.scheduling.request_rows import lock_batch
from clinic_portal.scheduling.requests import ask_again
from clinic_portal.scheduling.visits import time_to_give_back
from clinic_portal.settings import load_settings

# What of a visit is changed, and so kept until it cannot be undone any more.
KEPT = (
    "status", "sequence", "practitioner_id", "location_id", "lane", "squeeze_in_reason", "starts_at", "ends_at",
    "blocked_from", "blocked_until", "extra_minutes", "mode", "call_number", "join_url", "shown_window_min", "wishes",
    "choice", "wants_earlier", "escalate_at", "next_try_at", "not_placed_because", "deferred_until", "paused_at",
    "referral_id", "outcome_code", "cancelled_at", "cancelled_by", "cancel_reason", "is_late_cancel", "confirmation",
    "confirmed_at", "confirmed_via",
)  # fmt: skip
UNTOLD = (Delivery.DUE, Delivery.SENDING, Delivery.TO_CALL)
CALL_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class _Work:
    """What is the same for all visits of one absence."""

    actor: Actor
    absence: Absence
    now: datetime

    @property
    def noted(self) -> dict[str, str]:
        """Who caused it: measures tell the clinic's own changes from the patients'."""
        return {"caused_by": "clinic", "absence_id": str(self.absence.id)}


@writing
def apply_absence(
    db: Session,
    *,
    actor: Actor,
    practitioner_id: int,
    period: Period,
    reason: AbsenceReason,
    choices: Choices,
    token: str,
    expected_version: int | None = None,
) -> Absence:
    """Note that a clinician is away and do with every visit then as was chosen; all of it or nothing.

    Args: choices, by visit; token, the form's own: the same again changes nothing more; expected_version, of the hours
    as the plan was made for.
    Commits: submission, time off, sessions, moved and cancelled visits, requests, calls, audit, messages that wait;
    rings.
    Raises: PlanChanged, naming as facts the visits that are `new` and those whose choice is `gone`; InvalidRequest
    naming the field, VersionConflict, NotAllowed for anybody but staff, NotFound, SubmissionConflict.
    Source: UC7.3, UC4.3; clinic.md 2, item 5.
    """
    _only_staff(actor)
    body = {"what": "absence", "practitioner": practitioner_id, "period": plain(period), "reason": reason,
            "choices": {str(id_): str(choices[id_]) for id_ in sorted(choices)}}  # fmt: skip
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Absence, earlier_id)
    if db.get(Practitioner, practitioner_id) is None:
        raise NotFound
    # Race: two that move visits to each other's clinicians would wait for each other until the database ends one.
    take_turns(db, hours.TURNS)
    locked = {visit.id: visit for visit in lock_batch(db, choices)}
    session_rows.lock_practitioner(db, practitioner_id)
    version = hours.hours_version(db, practitioner_id)
    if expected_version not in (None, version):
        raise VersionConflict(version=version)
    absence = _note_absence(db, actor, practitioner_id, period, reason)
    low, high = period.bounds()
    # Race: what was booked meanwhile is read after the sessions are rewritten, since a claim keeps its session until
    # it can be read; nobody has chosen anything for it.
    ids = [visit.id for visit in concerned(db, Away(practitioner_id, low, high))]
    new = frozenset(id_ for id_ in ids if id_ not in locked)
    with ledger.holding_back(db, absence.leaves_at, absence.id):
        hours.note_change(db, actor, practitioner_id)
        gone = _carry_out(
            db, _Work(actor, absence, clock.now()), [locked[id_] for id_ in ids if id_ in locked], choices
        )
    if new or gone:
        raise PlanChanged(new=new, gone=gone)
    record(db, actor, "away", absence, after={"practitioner_id": practitioner_id, "visits": len(ids)})
    submissions.finish(db, submission_id, absence.id)
    return absence


def _only_staff(actor: Actor) -> None:
    if actor.kind is not ActorKind.STAFF or actor.account_id is None:
        raise NotAllowed


def _note_absence(
    session: Session, actor: Actor, practitioner_id: int, period: Period, reason: AbsenceReason
) -> Absence:
    grid_min = load_settings(session).number("grid_min")
    exception = hours.note_away(session, actor, practitioner_id, period)
    hours.rewrite(session, practitioner_id, (period.starts_on, period.ends_on))
    stranded.let_go_of_holds_outside(session, practitioner_id, grid_min)
    now = clock.now()
    assert actor.account_id is not None
    absence = Absence(
        practitioner_id=practitioner_id,
        exception_id=exception.id,
        reason=reason,
        created_at=now,
        created_by_account_id=actor.account_id,
        leaves_at=now + timedelta(minutes=load_settings(session).number("absence_undo_min")),
    )
    session.add(absence)
    session.flush()
    return absence


def _carry_out(session: Session, work: _Work, visits: list[Appointment], choices: Choices) -> frozenset[int]:
    """Do with each visit as was chosen; the ids of those with which that cannot be done any more."""
    untold = _untold(session, [visit.id for visit in visits])
    gone = set()
    for visit in visits:
        choice = choices[visit.id]
        before = columns_of(visit, KEPT) | {"untold": untold.get(visit.id, {})}
        again = None
        if choice.takes_time:
            if not _move(session, work, visit, choice):
                gone.add(visit.id)
                continue
        elif choice.act is not AbsenceAct.KEEP:
            again = _cancel(session, work, visit, choice)
        session.flush()
        session.add(
            AbsenceVisit(
                absence_id=work.absence.id,
                appointment_id=visit.id,
                act=choice.act,
                before=before,
                version=visit.version,
                again_id=again.id if again else None,
                again_version=again.version if again else None,
            )
        )
    return frozenset(gone)


def _untold(session: Session, visit_ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """By visit, the messages that have not been told yet, and how each stands: an undo brings them back."""
    rows = select(Notification.appointment_id, Notification.id, Notification.delivery).where(
        Notification.appointment_id.in_(list(visit_ids)),
        Notification.event != Event.REMINDER,
        Notification.delivery.in_(UNTOLD),
    )
    found: dict[int, dict[str, str]] = {}
    for visit_id, id_, delivery in session.execute(rows):
        assert visit_id is not None
        is_call = delivery is Delivery.TO_CALL
        found.setdefault(visit_id, {})[str(id_)] = (Delivery.TO_CALL if is_call else Delivery.DUE).value
    return found


def _move(session: Session, work: _Work, visit: Appointment, choice: Choice) -> bool:
    """Give a visit the time that was chosen; false when that cannot be had any more."""
    mode = Mode.PHONE if choice.act is AbsenceAct.PHONE else visit.mode
    terms = visit_terms(session, visit, mode)
    assert choice.starts_at is not None
    if terms is None or visit.patient.deceased_on is not None or choice.practitioner_id not in terms.doers:
        return False
    number = number_of(visit.patient, is_private=visit.is_private)
    only = {choice.practitioner_id: terms.doers[choice.practitioner_id]}
    was_soon = visit.starts_at is not None and visit.starts_at - work.now < SOON
    is_other_time = visit.starts_at != choice.starts_at
    way: Mapping[str, Any] = {}
    try:
        if mode is not visit.mode:
            way = way_to_meet(mode, number, terms.settings)
        old = time_to_give_back(session, visit, terms.grid_min)
        placement = place(session, replace(terms, doers=only), choice.starts_at, old)
    except DomainError:
        return False
    put_elsewhere(session, work.actor, visit, placement, "move_with_hours", terms.now, way=way, noted=work.noted)
    if was_soon and (is_other_time or way):
        # A mail may be read too late.
        ask_to_call(session, visit.patient_id, visit.id, work.now)
    return True


def _cancel(session: Session, work: _Work, visit: Appointment, choice: Choice) -> Appointment | None:
    """Cancel a visit for the clinic, and let it wait where that was chosen; somebody calls the patient.

    Source: clinic.md 2, item 5: it keeps since when it was asked for, one class higher.
    """
    starts_at = visit.starts_at
    assert starts_at is not None
    carry_out_cancel(session, work.actor, visit, None, work.noted, action="cancel_with_hours")
    if visit.patient.deceased_on is not None:
        return None
    again = ask_again(session, work.actor, visit) if choice.act is AbsenceAct.WAITING_LIST else None
    if again is not None:
        # The queue would tell at once what may be undone.
        again.next_try_at = work.absence.leaves_at
    ask_to_call(session, visit.patient_id, visit.id, starts_at - CALL_AHEAD)
    return again
