"""Holds: a chosen time is kept for a few minutes while the answers are checked, or while the desk is on the phone.

A hold is a row with an expiry that is judged when it is read. Its cells are taken from the session like a visit's; once
it has expired they count as free for everybody, and whoever claims them first clears it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import add_at_once, run, writing
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import Account, Hold, HoldEnd, HoldKind, Mode
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.assignment import Placement
from clinic_portal.scheduling.modes import clean_number
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.visits import lock_visit_to_move, old_time
from clinic_portal.scheduling.windows import place_as_told
from clinic_portal.settings import load_settings

_ACCOUNT = select(Account.id).where(Account.id == bindparam("account_id")).with_for_update(key_share=True)
# Whoever comes back to a time after this long gets it kept as if for the first time.
REMEMBERED = timedelta(hours=1)
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
    call_number: str | None = None,
    is_private: bool | None = None,
) -> Hold:
    """Keep a time for somebody for a few minutes; an account keeps one time at once, so an earlier one is let go.

    Args: note, call_number and is_private, what the patient has written and said already, before an earlier time was
    lost.
    Commits: the hold, with the cells of its session.
    Raises: SlotTaken, PatientBusy, TooSoon, OutsideHorizon, InvalidRequest, NotFound, NotAllowed, and as the limits:
    NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast, SafetyAnswerMissing.
    Source: UC3.8.
    """
    return make_hold(db, actor, search, starts_at, kind, note=note, call_number=call_number, is_private=is_private)


def make_hold(
    session: Session,
    actor: Actor,
    search: Search,
    starts_at: datetime,
    kind: HoldKind,
    *,
    note: str | None,
    call_number: str | None,
    is_private: bool | None,
    until: datetime | None = None,
) -> Hold:
    """Keep a time inside the caller's transaction.

    Args: until, when it ends; None for as long as the setting and the earlier holds on that time allow.
    """
    if actor.account_id is None or search.patient_id is None:
        raise NotAllowed
    lock_patient(session, search.patient_id)
    _lock_account(session, actor.account_id)
    moving = lock_visit_to_move(session, actor, search)
    terms = load_terms(session, replace(search, by=actor.kind))
    terms.check_limits(starts_at)
    dead = let_go(session, actor, terms.now, terms.grid_min)
    old = None if moving is None else old_time(moving, terms.grid_min)
    placement = place_as_told(session, terms, starts_at, old, dead)
    hold = _new_hold(actor.account_id, terms, placement, kind)
    hold.expires_at = until or _ends_at(session, hold, terms)
    hold.note = allowed_note(clean_note(note), is_sensitive=terms.limits.rules.is_sensitive)
    hold.is_private = is_private
    hold.call_number = clean_number(call_number) if hold.mode is Mode.PHONE else None
    add_at_once(session, hold)
    return hold


_FIRST_KEPT = select(func.min(Hold.created_at)).where(
    Hold.account_id == bindparam("account_id"),
    Hold.patient_id == bindparam("patient_id"),
    Hold.starts_at == bindparam("starts_at"),
    Hold.created_at > bindparam("since"),
)


def _ends_at(session: Session, hold: Hold, terms: Terms) -> datetime:
    """When a new hold ends. Choosing the same time again renews it once: nobody keeps a time from others for ever.

    Source: clinic.md 10, not renewable twice on the same time; the desk's on the phone is.
    """
    length = timedelta(minutes=terms.settings.number(HOLD_SETTING[hold.kind]))
    if hold.kind is not HoldKind.PATIENT_CHECKOUT:
        return terms.now + length
    of_same_time = {"account_id": hold.account_id, "patient_id": hold.patient_id, "starts_at": hold.starts_at}
    first = run(session, _FIRST_KEPT, {**of_same_time, "since": terms.now - REMEMBERED}).scalar()
    latest = (first or terms.now) + 2 * length
    return max(terms.now, min(terms.now + length, latest))


def _lock_account(session: Session, account_id: int) -> None:
    """# Race: an account that acts for two people could otherwise keep two times at once, one for each."""
    run(session, _ACCOUNT, {"account_id": account_id})


def _new_hold(account_id: int, terms: Terms, placement: Placement, kind: HoldKind) -> Hold:
    search = terms.search
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
        mode=search.mode,
        wishes=search.wishes(),
        choice=placement.choice,
        safety_answer=terms.safety_kept(),
        created_at=terms.now,
    )


@writing
def release_hold(db: Session, *, actor: Actor, hold_id: int) -> None:
    """Let a kept time go; nothing happens when it is gone already.

    Commits: the hold's end, with the cells given back.
    Raises: NotFound when there is no such hold of this account.
    """
    hold = db.get(Hold, hold_id)
    if hold is None or hold.account_id is None or hold.account_id != actor.account_id:
        raise NotFound
    # Only this one: another page of the account may keep a newer time.
    still_open = [row for row in claims.open_holds_of(db, hold.account_id) if row.id == hold_id]
    claims.close_holds(db, still_open, clock.now(), HoldEnd.RELEASED, load_settings(db).number("grid_min"))


@writing
def close_expired_holds(db: Session) -> int:
    """Clear holds past their time; only tidiness, since a dead hold already binds nobody. Returns how many."""
    now, grid_min = clock.now(), load_settings(db).number("grid_min")
    return claims.close_holds(db, claims.expired_holds(db, now), now, HoldEnd.EXPIRED, grid_min)


def let_go(session: Session, actor: Actor, now: datetime, grid_min: int) -> list[Any]:
    """Close whatever an account holds, inside the caller's transaction; returns the dead holds of others."""
    holds = claims.not_binding_holds(session, now, actor.account_id)
    own = [hold for hold in holds if hold.account_id == actor.account_id]
    claims.close_holds(session, own, now, HoldEnd.RELEASED, grid_min)
    return [hold for hold in holds if hold.account_id != actor.account_id]


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
    meant = (hold.patient_id, hold.visit_type_id, hold.starts_at, hold.appointment_id, hold.mode)
    if meant != (search.patient_id, search.visit_type_id, starts_at, search.moving_id, search.mode):
        raise NotFound
    if not hold.is_live(now) or starts_at <= now:
        return None
    return hold if claims.keep_cells_of_hold(session, hold.id, now) else None
