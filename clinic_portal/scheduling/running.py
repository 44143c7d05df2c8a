"""The day as it runs: who is called in, and how late a session is. Nothing here moves anybody."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import Appointment, ClinicSession, Practitioner, PractitionerState, SessionStatus, Status
from clinic_portal.notifications.lateness import late_min_of, tell_running_late
from clinic_portal.scheduling import session_rows
from clinic_portal.scheduling.visits import lock_visit

LATEST_MIN, LATE_STEP_MIN = 240, 5


@writing
def call_in(
    db: Session, *, actor: Actor, appointment_id: int, is_in: bool = True, expected_version: int | None = None
) -> Appointment:
    """Note that a patient who has arrived is with the practitioner now, or, as an undo, is not.

    Commits: the visit (version up), audit.
    Raises: BadTransition when the patient has not arrived, NotAllowed, VersionConflict, NotFound.
    Source: clinic.md A11: the wait ends when the patient is called.
    """
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed
    visit = lock_visit(db, appointment_id, expected_version)
    if visit.status is not Status.ARRIVED:
        raise BadTransition(N_("Mark the patient as arrived first."), current=visit.status.value)
    if (visit.called_at is not None) != is_in:
        visit.called_at = clock.now() if is_in else None
        visit.version += 1
        db.flush()
        record(db, actor, "call_in" if is_in else "undo", visit, patient_id=visit.patient_id)
    return visit


@writing
def run_late(db: Session, *, actor: Actor, session_id: int, late_min: int) -> ClinicSession:
    """Say how many minutes late a session of today runs; bookings stay where they are.

    Commits: the session, audit, messages to those who are still to come when it is worth telling; rings for them.
    Raises: InvalidRequest for other than whole steps up to four hours, or on another day; NotAllowed for whom it is
    not; NotFound.
    Source: clinic.md 2, item 3.
    """
    row = db.get(ClinicSession, session_id, with_for_update={"key_share": True})
    if row is None or row.status is not SessionStatus.PLANNED:
        raise NotFound
    owner = db.get_one(Practitioner, row.practitioner_id).account_id
    if actor.kind is not ActorKind.STAFF and (actor.kind is not ActorKind.PRACTITIONER or owner != actor.account_id):
        raise NotAllowed
    if not 0 <= late_min <= LATEST_MIN or late_min % LATE_STEP_MIN:
        raise InvalidRequest(N_("Enter minutes in steps of 5, up to 240."), field="late_min")
    if not _is_today(row, clock.now()):
        raise InvalidRequest(N_("Only a session of today can run late."), field="late_min")
    before = row.late_min
    if before != late_min:
        row.late_min = late_min
        record(db, actor, "run_late", row, before={"late_min": before}, after={"late_min": late_min})
    if before < late_min:
        tell_running_late(db, row)
    return row


def _is_today(row: ClinicSession, now: datetime) -> bool:
    zone = row.location.zone
    return clock.local_date(now, zone) in {clock.local_date(row.starts_at, zone), clock.local_date(row.ends_at, zone)}


def late_by(session: Session, visit: Appointment) -> int:
    """How many minutes late the session runs in which a visit of today begins; 0 when nobody said so, or it is over."""
    # Long before and long after, it is said of no visit.
    is_near = visit.starts_at is not None and abs(visit.starts_at - clock.now()) <= timedelta(hours=12)
    return late_min_of(session, visit) if is_near and visit.status is Status.BOOKED else 0


@writing
def see_agenda(db: Session, *, practitioner_id: int) -> None:
    """Note that a practitioner knows of everything that has changed until now.

    Commits: the practitioner.
    """
    session_rows.lock_practitioner(db, practitioner_id)
    state_of(db, practitioner_id).agenda_seen_at = clock.now()


def state_of(session: Session, practitioner_id: int) -> PractitionerState:
    """What changes often about a practitioner, as it is now; made when there is nothing yet.

    # Race: the practitioner must be locked, or two could make it at once.
    """
    found = session.get(PractitionerState, practitioner_id, populate_existing=True)
    if found is None:
        found = PractitionerState(practitioner_id=practitioner_id, hours_version=0)
        session.add(found)
        session.flush()
    return found
