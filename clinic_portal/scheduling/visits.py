"""Finding and locking a visit for a change, and giving its time back."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.errors import BadTransition, NotFound, TooLateToMove, VersionConflict
from clinic_portal.models import ACTIVE, Appointment, HoldEnd, Status
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.assignment import OldTime
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.settings import load_settings

# What the audit log tells about a visit, before and after.
TOLD = ("status", "starts_at", "ends_at", "practitioner_id", "location_id", "mode", "lane", "version", "sequence",
        "outcome_code", "cancel_reason")  # fmt: skip


def lock_visit(session: Session, appointment_id: int, expected_version: int | None = None) -> Appointment:
    """The visit as it is now, with its patient and itself locked until the transaction ends.

    Raises: NotFound, VersionConflict when somebody changed it since the page was made.
    """
    patient_id = session.scalar(select(Appointment.patient_id).where(Appointment.id == appointment_id))
    if patient_id is None:
        raise NotFound
    lock_patient(session, patient_id, for_new_time=False)
    visit = session.scalars(
        select(Appointment)
        .where(Appointment.id == appointment_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    if expected_version not in (None, visit.version):
        raise VersionConflict(version=visit.version)
    return visit


def check_movable(session: Session, actor: Actor, visit: Appointment) -> None:
    """Refuse to move what is not booked, has begun, or, online, is too close.

    Raises: BadTransition, TooLateToMove.
    Source: UC3.6.
    """
    check_step(actor, visit.status, Status.BOOKED)
    if visit.status is not Status.BOOKED or visit.starts_at is None:
        raise BadTransition(current=visit.status.value, to=Status.BOOKED.value)
    if actor.is_clinic:
        return
    cutoff_min = load_settings(session).number("move_cutoff_min", visit.visit_type_id)
    if (visit.starts_at - clock.now()).total_seconds() < cutoff_min * 60:
        raise TooLateToMove


def lock_visit_to_move(session: Session, actor: Actor, search: Search) -> Appointment | None:
    """Lock the visit that a search would move; None when the search moves nothing.

    Raises: NotFound when it is another patient's or another kind of visit, and as `check_movable`.
    """
    if search.moving_id is None:
        return None
    visit = lock_visit(session, search.moving_id)
    if (visit.patient_id, visit.visit_type_id) != (search.patient_id, search.visit_type_id):
        raise NotFound
    check_movable(session, actor, visit)
    return visit


def piece_of_visit(visit: Appointment, grid_min: int) -> claims.Piece | None:
    """The cells that a visit keeps, or None when it keeps none."""
    if visit.status not in ACTIVE or visit.blocked_from is None or visit.blocked_until is None:
        return None
    return claims.piece_of(visit.blocked_from, visit.blocked_until, grid_min)


def old_time(visit: Appointment, grid_min: int) -> OldTime:
    """Where a booked visit is before it is moved."""
    assert visit.practitioner_id is not None
    # A squeeze-in's cells lie in another lane: none of those claimed for the new time can be among them.
    return OldTime(visit.practitioner_id, piece_of_visit(visit, grid_min) if visit.lane == 0 else None)


def time_to_give_back(session: Session, visit: Appointment, grid_min: int) -> OldTime:
    """As `old_time`, with the sessions in which cells will be given back.

    # Race: locks the practitioner before any session, as a rewrite of sessions does.
    """
    old, piece = old_time(visit, grid_min), piece_of_visit(visit, grid_min)
    claims.lock_practitioner(session, old.practitioner_id)
    parts = () if piece is None else claims.parts_of(session, old.practitioner_id, visit.lane, piece)
    return replace(old, parts=tuple(parts))


def give_back(session: Session, visit: Appointment, grid_min: int, kept: claims.Piece | None = None) -> None:
    """Give the cells of a visit back to its practitioner's sessions, except those it keeps elsewhere in the same lane.

    Lets go of holds that would have moved the visit, first: their cells are counted around the visit's.
    """
    now = clock.now()
    claims.close_holds(session, claims.open_holds_for(session, visit.id), now, HoldEnd.RELEASED, grid_min)
    piece = piece_of_visit(visit, grid_min)
    if piece is not None and visit.practitioner_id is not None:
        claims.lock_practitioner(session, visit.practitioner_id)
        claims.release(session, visit.practitioner_id, visit.lane, claims.without(piece, kept))
