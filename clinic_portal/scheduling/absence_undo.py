"""Undo the plan of an absence while nobody has heard of it: the hours, and each visit where it was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Enum, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import take_turns, writing
from clinic_portal.errors import BadTransition, NotAllowed, NotFound
from clinic_portal.models import (
    Absence,
    AbsenceAct,
    AbsenceVisit,
    Appointment,
    Delivery,
    Event,
    ExceptionStatus,
    Notification,
    Status,
    TaskKind,
    UTCDateTime,
    columns_of,
)
from clinic_portal.notifications import reminders
from clinic_portal.notifications.calls import ask_to_call
from clinic_portal.scheduling import claims, hours, session_rows, submissions
from clinic_portal.scheduling.absence import CALL_AHEAD, KEPT
from clinic_portal.scheduling.fits import look_at_visit
from clinic_portal.scheduling.needs import arrange_interpreter
from clinic_portal.scheduling.referrals import use_referral
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, lock_batch, note_change, told
from clinic_portal.scheduling.running import state_of
from clinic_portal.scheduling.search import Search, own_visits
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.visits import TOLD, give_back, piece_of_visit
from clinic_portal.settings import load_settings
from clinic_portal.tasks import close_tasks

UNDONE = "undone"
# Why a visit stays where the plan put it.
CHANGED, TAKEN, PATIENT_BUSY = "changed", "taken", "patient_busy"
TOO_LATE = "The messages of this absence have left. Change each appointment by itself, and end the time off."


@writing
def undo_absence(db: Session, *, actor: Actor, absence_id: int, token: str) -> Absence:
    """Take an absence back: the hours are as before, each visit is where it was, and nobody hears of it.

    A visit that somebody has changed since, or whose old time was taken meanwhile, stays where it is; its row says why,
    and its message leaves.
    Args: token, the form's own: the same again changes nothing more.
    Commits: submission, time off, sessions, visits, requests, calls, messages that do not leave, audit; rings.
    Raises: BadTransition when its messages have left or it was undone; NotAllowed for anybody but staff, NotFound.
    """
    if actor.kind is not ActorKind.STAFF or actor.account_id is None:
        raise NotAllowed
    submission_id, earlier_id = submissions.begin(db, actor, token, {"what": "undo_absence", "absence": absence_id})
    if earlier_id is not None:
        return db.get_one(Absence, earlier_id)
    take_turns(db, hours.TURNS)
    absence = db.scalar(select(Absence).where(Absence.id == absence_id).with_for_update(key_share=True))
    if absence is None:
        raise NotFound
    rows = list(absence.visits)
    ids = [row.appointment_id for row in rows] + [row.again_id for row in rows if row.again_id is not None]
    visits = {visit.id: visit for visit in lock_batch(db, ids)}
    _check_untold(db, absence)
    _open_hours(db, actor, absence)
    _lock_times(db, rows, visits)
    for row in rows:
        row.stays_because = _put_back(db, actor, row, visits)
    absence.undone_at, absence.undone_by_account_id = clock.now(), actor.account_id
    record(db, actor, "undo_away", absence, after={"practitioner_id": absence.practitioner_id})
    submissions.finish(db, submission_id, absence.id)
    return absence


def _check_untold(session: Session, absence: Absence) -> None:
    """Refuse once anything was told.

    # Race: a sender that has taken a message has its row locked, or marked it; one that comes later finds it overtaken.
    """
    if not absence.can_be_undone(clock.now()):
        raise BadTransition(TOO_LATE)
    deliveries = select(Notification.delivery).where(Notification.absence_id == absence.id)
    found = set(session.scalars(deliveries.order_by(Notification.id).with_for_update()))
    if found & {Delivery.SENDING, Delivery.SENT}:
        raise BadTransition(TOO_LATE)


def _open_hours(session: Session, actor: Actor, absence: Absence) -> None:
    """The hours as they were; whose they are never heard of it."""
    exception, practitioner_id = absence.exception, absence.practitioner_id
    session_rows.lock_practitioner(session, practitioner_id)
    if exception.status is not ExceptionStatus.REFUSED:
        hours.note_back(session, actor, practitioner_id, exception.id)
        hours.rewrite(session, practitioner_id, (exception.starts_on, exception.ends_on))
        state_of(session, practitioner_id).hours_version += 1
    of_account = select(Notification).where(
        Notification.absence_id == absence.id, Notification.event == Event.HOURS_CHANGED
    )
    for message in session.scalars(of_account):
        message.delivery, message.detail = Delivery.SUPERSEDED, UNDONE


def _lock_times(session: Session, rows: list[AbsenceVisit], visits: dict[int, Appointment]) -> None:
    """Lock the sessions of all old and new times, in the order of all services."""
    grid_min, parts = load_settings(session).number("grid_min"), []
    times = {(row.before["practitioner_id"], row.before["lane"], _old_piece(row, grid_min)) for row in rows}
    for visit in visits.values():
        if (piece := piece_of_visit(visit, grid_min)) is not None and visit.practitioner_id is not None:
            times.add((visit.practitioner_id, visit.lane, piece))
    for practitioner_id in sorted({practitioner_id for practitioner_id, _, _ in times}):
        claims.lock_practitioner(session, practitioner_id)
    for practitioner_id, lane, piece in times:
        parts += claims.parts_of(session, practitioner_id, lane, piece)
    claims.lock_parts(session, parts)


def _old_piece(row: AbsenceVisit, grid_min: int) -> claims.Piece:
    low, high = (datetime.fromisoformat(row.before[name]) for name in ("blocked_from", "blocked_until"))
    return claims.piece_of(low, high, grid_min)


def _put_back(session: Session, actor: Actor, row: AbsenceVisit, visits: dict[int, Appointment]) -> str | None:
    """Put one visit where it was; why it stays, when it does."""
    if row.act is AbsenceAct.KEEP:
        return None
    visit, again = visits[row.appointment_id], visits.get(row.again_id or 0)
    if visit.version != row.version or (again is not None and again.version != row.again_version):
        return CHANGED
    low, high = (datetime.fromisoformat(row.before[name]) for name in ("starts_at", "ends_at"))
    if own_visits(session, Search(visit.visit_type_id, visit.patient_id, moving_id=visit.id), low, high):
        return PATIENT_BUSY
    # No other step leads out of a cancel: this one takes the old cells again, and nobody has heard of the cancel.
    if visit.status is not Status.CANCELLED:
        check_step(actor, visit.status, Status.BOOKED)
    if not _claim_old_time(session, row, visit):
        return TAKEN
    before = columns_of(visit, TOLD)
    _restore(session, row, visit)
    visit.version += 1
    session.flush()
    record(session, actor, "put_back", visit, before=before,
           after={**columns_of(visit, TOLD), "caused_by": "clinic", "absence_id": str(row.absence_id)},
           patient_id=visit.patient_id)  # fmt: skip
    if again is not None:
        _take_back_request(session, actor, again)
    arrange_interpreter(session, visit)
    look_at_visit(session, visit)
    _tell_nobody(session, actor, row, visit, again)
    return None


def _claim_old_time(session: Session, row: AbsenceVisit, visit: Appointment) -> bool:
    """Take the old cells, and give the present ones back.

    # Race: the guarded claim decides whether somebody else has them now.
    """
    grid_min = load_settings(session).number("grid_min")
    practitioner_id, lane, old = row.before["practitioner_id"], row.before["lane"], _old_piece(row, grid_min)
    is_same_lane = (practitioner_id, lane) == (visit.practitioner_id, visit.lane)
    present = piece_of_visit(visit, grid_min) if is_same_lane else None
    parts = claims.parts_of(session, practitioner_id, lane, old)
    # Cells outside of all sessions are nobody's: the visit was kept there by hand.
    if parts and (wanted := claims.without(old, present)) and not claims.claim(session, parts, wanted):
        return False
    if visit.is_active:
        give_back(session, visit, grid_min, kept=old if is_same_lane else None)
    return True


def _restore(session: Session, row: AbsenceVisit, visit: Appointment) -> None:
    used_referral = row.before["referral_id"] is not None and visit.referral_id is None
    for name in KEPT:
        if name != "referral_id":
            setattr(visit, name, _read(name, row.before[name]))
    if used_referral and visit.starts_at is not None and visit.location is not None:
        use_referral(session, visit, clock.local_date(visit.starts_at, visit.location.zone))


def _read(name: str, value: Any) -> Any:
    """A kept value as the column has it."""
    kind = Appointment.__table__.c[name].type
    if value is None:
        return None
    if isinstance(kind, UTCDateTime):
        return datetime.fromisoformat(value)
    return kind.python_type(value) if isinstance(kind, Enum) else value


def _take_back_request(session: Session, actor: Actor, again: Appointment) -> None:
    """The request that was to wait in the visit's place was never told of."""
    check_step(actor, again.status, Status.ENTERED_IN_ERROR)
    before = told(again)
    leave_queue(again)
    close_request_tasks(session, actor, [again.id], UNDONE)
    again.status = Status.ENTERED_IN_ERROR
    again.sequence += 1
    note_change(session, actor, "enter_in_error", again, before)


def _tell_nobody(
    session: Session, actor: Actor, row: AbsenceVisit, visit: Appointment, again: Appointment | None
) -> None:
    """What was not told yet is not told; what was to be told before the plan is told after all."""
    about = [visit.id] + ([again.id] if again is not None else [])
    mine = select(Notification).where(Notification.absence_id == row.absence_id, Notification.appointment_id.in_(about))
    for message in session.scalars(mine).all():
        message.delivery, message.detail = Delivery.SUPERSEDED, UNDONE
        # The next change of this visit has the same number: it must not be taken for a message that is there.
        message.dedupe_key = f"{message.dedupe_key}:{UNDONE}:{row.absence_id}"
    close_tasks(session, actor, TaskKind.CALL, UNDONE, appointment_id=visit.id)
    for id_, delivery in row.before["untold"].items():
        message = session.get_one(Notification, int(id_))
        if message.delivery is Delivery.SUPERSEDED:
            message.delivery, message.detail = Delivery(delivery), None
            if message.delivery is Delivery.TO_CALL and visit.starts_at is not None:
                session.flush()
                ask_to_call(session, visit.patient_id, visit.id, visit.starts_at - CALL_AHEAD)
    session.flush()
    reminders.plan_for(session, visit.patient_id)
