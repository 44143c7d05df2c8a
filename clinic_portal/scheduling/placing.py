"""A time for a visit, new or asked for; but for the queue's batches (see `serving.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, record
from clinic_portal.database import run
from clinic_portal.models import Appointment, Attempt, Confirmation, Location, Status, VisitType, WhoMayBook, columns_of
from clinic_portal.notifications import outbox
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.assignment import Placement
from clinic_portal.scheduling.fits import look_at_visit
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.needs import arrange_interpreter
from clinic_portal.scheduling.referrals import use_referral
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, note_change, told
from clinic_portal.scheduling.visits import TOLD, give_back
from clinic_portal.settings import load_settings, shown_window


def time_of(placement: Placement, window_min: int) -> dict[str, Any]:
    """The columns of a visit that say when, where and with whom it is.

    Args: window_min, how long the stretch of the day is that the patient is told.
    """
    return {
        "practitioner_id": placement.practitioner_id,
        "location_id": placement.location_id,
        # A squeeze-in that is moved to a free time is none any more.
        "lane": 0,
        "squeeze_in_reason": None,
        "starts_at": placement.starts_at,
        "ends_at": placement.ends_at,
        "blocked_from": placement.blocked_from,
        "blocked_until": placement.blocked_until,
        "extra_minutes": placement.extra_minutes,
        "shown_window_min": window_min,
        "choice": placement.choice,
    }


_ATTEMPT = insert(Attempt)


def note_attempt(session: Session, visit: Appointment, placement: Placement, now: datetime) -> None:
    """Keep how a visit came to its practitioner."""
    attempt = {
        "appointment_id": visit.id,
        "made_at": now,
        "practitioner_id": placement.practitioner_id,
        "candidates": placement.candidates,
        "lost_races": placement.lost_races,
    }
    run(session, _ATTEMPT, attempt)


def put_elsewhere(
    session: Session,
    actor: Actor,
    visit: Appointment,
    placement: Placement,
    action: str,
    now: datetime,
    wishes: dict[str, Any] | None = None,
    *,
    way: Mapping[str, Any] = MappingProxyType({}),
    noted: Mapping[str, Any] = MappingProxyType({}),
    tells_patient: bool = True,
) -> None:
    """Give a booked visit another time or practitioner, whose cells are claimed, inside the caller's transaction.

    The old cells go back, everybody concerned is told once, and whoever waits may have them.

    Args: action, what the audit log calls it, and `noted`, what it says besides; wishes, why it was put there, and way,
    how both sides meet, if these have changed; tells_patient, false when somebody at the clinic has told them.
    """
    before = columns_of(visit, TOLD)
    old_starts_at, old_practitioner_id, old_location_id = visit.starts_at, visit.practitioner_id, visit.location_id
    old_window_min, settings = visit.shown_window_min, load_settings(session)
    assert old_starts_at is not None
    assert old_practitioner_id is not None
    grid_min = settings.number("grid_min")
    # New visits lie in lane 0.
    same_lane = (placement.practitioner_id, 0) == (visit.practitioner_id, visit.lane)
    taken = claims.piece_of(placement.blocked_from, placement.blocked_until, grid_min)
    give_back(session, visit, grid_min, kept=taken if same_lane else None)
    window_min = shown_window(settings, way.get("mode", visit.mode), visit.visit_type_id)
    for name, value in {**way, **time_of(placement, window_min)}.items():
        setattr(visit, name, value)
    visit.version, visit.sequence = visit.version + 1, visit.sequence + 1
    _unconfirm(visit)
    visit.wishes = visit.wishes if wishes is None else wishes
    session.flush()
    note_attempt(session, visit, placement, now)
    after = {**columns_of(visit, TOLD), **noted}
    record(session, actor, action, visit, before=before, after=after, patient_id=visit.patient_id)
    arrange_interpreter(session, visit)
    look_at_visit(session, visit)
    outbox.tell_moved(session, visit, old_starts_at=old_starts_at, old_practitioner_id=old_practitioner_id,
                      old_location_id=old_location_id, old_window_min=old_window_min,
                      tells_patient=tells_patient)  # fmt: skip
    wake_queue()


def _unconfirm(visit: Appointment) -> None:
    """Whoever said that they will come said it of the time before the move."""
    visit.confirmation, visit.confirmed_at, visit.confirmed_via = Confirmation.NOT_ASKED, None, None


def settle(session: Session, visit: Appointment, who_may_book: WhoMayBook) -> None:
    """What else a visit brings along that just got its time: a referral is used up, an interpreter is looked for."""
    assert visit.starts_at is not None
    if who_may_book is WhoMayBook.REFERRED:
        location = session.get_one(Location, visit.location_id)
        use_referral(session, visit, clock.local_date(visit.starts_at, location.zone))
    arrange_interpreter(session, visit)


def become_visit(
    session: Session,
    actor: Actor,
    visit: Appointment,
    placement: Placement,
    action: str,
    now: datetime,
    noted: dict[str, Any] | None = None,
) -> None:
    """Turn a request into a booked visit whose cells are claimed, inside the caller's transaction.

    Args: noted, what the audit log says besides.
    """
    before = told(visit)
    settings = load_settings(session)
    window_min = shown_window(settings, visit.mode, visit.visit_type_id)
    way = way_to_meet(visit.mode, visit.call_number, settings)
    for name, value in {**way, **time_of(placement, window_min)}.items():
        setattr(visit, name, value)
    visit.status, visit.booked_at = Status.BOOKED, now
    leave_queue(visit)
    note_change(session, actor, action, visit, before, noted)
    note_attempt(session, visit, placement, now)
    settle(session, visit, session.get_one(VisitType, visit.visit_type_id).who_may_book)
    close_request_tasks(session, actor, [visit.id], "booked")
    outbox.tell_booked(session, visit)
