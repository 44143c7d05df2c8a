"""Holds: a chosen time is kept for a few minutes while the answers are checked, or while the desk is on the phone.

A hold is a row with an expiry that is judged when it is read. Its cells are taken from the session like a visit's; once
it has expired they count as free for everybody, and whoever claims them first clears it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import run, writing
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import Account, Hold, HoldEnd, HoldKind
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.assignment import Placement, place
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.visits import lock_visit_to_move, old_time
from clinic_portal.settings import load_settings

_ACCOUNT = select(Account.id).where(Account.id == bindparam("account_id")).with_for_update(key_share=True)
HOLD_SETTING = {HoldKind.PATIENT_CHECKOUT: "checkout_hold_min", HoldKind.STAFF_CALL: "staff_hold_min"}


@writing
def hold_slot(
    db: Session,
    *,
    actor: Actor,
    search: Search,
    starts_at: datetime,
    kind: HoldKind = HoldKind.PATIENT_CHECKOUT,
    note: str | None = None,
    is_private: bool | None = None,
) -> Hold:
    """Keep a time for somebody for a few minutes; an account keeps one time at once, so an earlier one is let go.

    Args: note and is_private, what the patient has written and said already, before an earlier time was lost.
    Commits: the hold, with the cells of its session.
    Raises: SlotTaken, PatientBusy, TooSoon, OutsideHorizon, InvalidRequest, NotFound, NotAllowed, and as the limits:
    NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast, SafetyAnswerMissing.
    Source: UC3.8.
    """
    if actor.account_id is None or search.patient_id is None:
        raise NotAllowed
    lock_patient(db, search.patient_id)
    _lock_account(db, actor.account_id)
    moving = lock_visit_to_move(db, actor, search)
    terms = load_terms(db, replace(search, by=actor.kind))
    terms.check_limits(starts_at)
    let_go(db, actor, terms.now, terms.grid_min)
    old = None if moving is None else old_time(moving, terms.grid_min)
    placement = place(db, terms, starts_at, old)
    hold = _new_hold(actor.account_id, search, terms, placement, kind)
    hold.note = allowed_note(clean_note(note), is_sensitive=terms.limits.rules.is_sensitive)
    hold.is_private = is_private
    db.add(hold)
    db.flush()
    return hold


def _lock_account(session: Session, account_id: int) -> None:
    """# Race: an account that acts for two people could otherwise keep two times at once, one for each."""
    run(session, _ACCOUNT, {"account_id": account_id})


def _new_hold(account_id: int, search: Search, terms: Terms, placement: Placement, kind: HoldKind) -> Hold:
    assert search.patient_id is not None
    return Hold(
        kind=kind,
        account_id=account_id,
        patient_id=search.patient_id,
        visit_type_id=search.visit_type_id,
        appointment_id=search.moving_id,
        practitioner_id=placement.practitioner_id,
        location_id=placement.location_id,
        starts_at=placement.starts_at,
        ends_at=placement.ends_at,
        blocked_from=placement.blocked_from,
        blocked_until=placement.blocked_until,
        extra_minutes=placement.extra_minutes,
        wishes=search.wishes(),
        choice=placement.choice,
        safety_answer=terms.safety_kept(),
        created_at=terms.now,
        expires_at=terms.now + timedelta(minutes=terms.settings.number(HOLD_SETTING[kind])),
    )


@writing
def release_hold(db: Session, *, actor: Actor, hold_id: int) -> None:
    """Let a kept time go; nothing happens when it is gone already.

    Commits: the hold's end, with the cells given back.
    Raises: NotFound when there is no such hold of this account.
    """
    hold = db.get(Hold, hold_id)
    if hold is None or hold.account_id != actor.account_id:
        raise NotFound
    # Only this one: another page of the account may keep a newer time.
    still_open = [row for row in claims.open_holds_of(db, hold.account_id) if row.id == hold_id]
    claims.close_holds(db, still_open, clock.now(), HoldEnd.RELEASED, load_settings(db).number("grid_min"))


@writing
def close_expired_holds(db: Session) -> int:
    """Clear holds past their time; only tidiness, since a dead hold already binds nobody. Returns how many."""
    now, grid_min = clock.now(), load_settings(db).number("grid_min")
    return claims.close_holds(db, claims.expired_holds(db, now), now, HoldEnd.EXPIRED, grid_min)


def let_go(session: Session, actor: Actor, now: datetime, grid_min: int) -> None:
    """Close whatever an account holds, inside the caller's transaction."""
    if actor.account_id is not None:
        holds = claims.open_holds_of(session, actor.account_id)
        claims.close_holds(session, holds, now, HoldEnd.RELEASED, grid_min)


def take_over(
    session: Session, actor: Actor, hold_id: int, search: Search, starts_at: datetime, now: datetime
) -> Hold | None:
    """Turn an own live hold into its booking: its cells pass to the visit.

    None when it no longer lives: then the time must be claimed anew.

    Raises: NotFound when the hold is somebody else's or for something else.
    """
    hold = session.scalar(
        select(Hold).where(Hold.id == hold_id).with_for_update().execution_options(populate_existing=True)
    )
    if hold is None or hold.account_id != actor.account_id:
        raise NotFound
    meant = (hold.patient_id, hold.visit_type_id, hold.starts_at, hold.appointment_id)
    if meant != (search.patient_id, search.visit_type_id, starts_at, search.moving_id):
        raise NotFound
    if not hold.is_live(now) or starts_at <= now:
        return None
    return hold if claims.keep_cells_of_hold(session, hold.id, now) else None
