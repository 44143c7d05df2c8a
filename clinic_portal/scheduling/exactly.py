"""One clinician at one time, as somebody at the clinic chose them: whether that can be, and a visit moved there.

Limits of booking online, start steps, releases and audiences bind patients; people at the clinic are bound by what is
booked, by the hours, and by who may see the patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import run, writing
from clinic_portal.errors import (
    BadTransition,
    DayFull,
    InvalidRequest,
    NotAllowed,
    NotFound,
    PatientBusy,
    SlotTaken,
    TooSoon,
)
from clinic_portal.models import (
    MAX_CELLS,
    MODE_BIT,
    Appointment,
    ClinicSession,
    ContinuityWish,
    SessionStatus,
)
from clinic_portal.scheduling import claims, masks, submissions
from clinic_portal.scheduling.assignment import OldTime, Placement
from clinic_portal.scheduling.caps import Taking, have_room, loads_of
from clinic_portal.scheduling.notes import clean_note
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.placing import put_elsewhere
from clinic_portal.scheduling.planning import search_of
from clinic_portal.scheduling.search import Terms, load_terms, own_visits
from clinic_portal.scheduling.visits import check_movable, lock_visit, old_time, time_to_give_back

DOES_NOT = "This clinician does not do such visits, or not for this patient."
NO_HOURS = "The clinician does not work then, or not for long enough."
WRONG_MODE = "These hours are not for visits in this way."
WRONG_KIND = "These hours are not for this kind of visit."
WRONG_PLACE = "This place does not fit what the patient needs."
TAKEN = "Something else stands there already."


@dataclass(frozen=True)
class Spot:
    """With whom, and from when."""

    practitioner_id: int
    starts_at: datetime


@dataclass(frozen=True)
class Room:
    """Time enough for a visit with one clinician; `block` is the visit with its buffers, in cells."""

    spot: Spot
    location_id: int
    parts: tuple[claims.Part, ...]
    visit: claims.Piece
    block: claims.Piece
    # Whether a dead hold, which nobody has cleared, has some of the cells.
    is_kept: bool


_HOURS = (
    select(
        ClinicSession.id,
        ClinicSession.first_cell,
        ClinicSession.cell_count,
        ClinicSession.free,
        ClinicSession.location_id,
        ClinicSession.modes,
        ClinicSession.visit_type_ids,
    )
    .where(
        ClinicSession.practitioner_id == bindparam("practitioner_id"),
        ClinicSession.first_cell > bindparam("low"),
        ClinicSession.first_cell < bindparam("high"),
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
    )
    .order_by(ClinicSession.first_cell)
)


def find_room(session: Session, terms: Terms, spot: Spot, old: OldTime | None = None) -> Room:
    """Whether a visit can begin exactly then with exactly this clinician.

    Args: old, where the visit that is moved is now: its own cells do not stand in its way.
    Times: spot.starts_at is an instant on the grid.
    Raises: InvalidRequest naming the field, TooSoon; SlotTaken with `taken_from` and `taken_until`; PatientBusy;
    DayFull, unless the search may go beyond the limits of a day.
    """
    doer = terms.doers.get(spot.practitioner_id)
    if doer is None:
        raise InvalidRequest(DOES_NOT, field="clinician")
    cell = _cell(terms, spot.starts_at)
    visit = (cell, cell + doer.visit_cells)
    block = (visit[0] - doer.before_cells, visit[1] + doer.after_cells)
    rows = _hours(session, spot.practitioner_id, block)
    location_id = _place_of(rows, terms)
    taken, is_kept = _taken(session, terms, spot.practitioner_id, block, rows, old)
    if taken:
        raise SlotTaken(TAKEN, **_first_run(taken, block[0], terms.grid_min))
    if busy := own_visits(session, terms.search, *(masks.to_instant(each, terms.grid_min) for each in visit)):
        raise PatientBusy(appointment_id=busy[0].appointment_id)
    taking = _taking(terms, spot, location_id)
    loads = loads_of(session, terms, spot.starts_at, spot.starts_at)
    if doer.is_capped and not loads.has_room(doer, taking.day, taking.visit_type_id):
        raise DayFull(field="beyond")
    parts = tuple(claims.Part(row.id, row.first_cell, row.cell_count) for row in rows)
    return Room(spot, location_id, parts, visit, block, is_kept)


def _taking(terms: Terms, spot: Spot, location_id: int) -> Taking:
    """On whose day the visit would count, and as what."""
    day = clock.local_date(spot.starts_at, terms.zones[location_id])
    return Taking(terms.doers[spot.practitioner_id], terms.search.visit_type_id, day)


def _cell(terms: Terms, starts_at: datetime) -> int:
    try:
        cell = masks.to_cell(starts_at, terms.grid_min)
    except ValueError:
        raise InvalidRequest(f"Times are in steps of {terms.grid_min} minutes.", field="time") from None
    if starts_at < terms.now:
        raise TooSoon(field="time")
    return cell


def _hours(session: Session, practitioner_id: int, block: claims.Piece) -> list[Any]:
    """The sessions in which a block lies, wholly. Raises: InvalidRequest when it does not."""
    around = {"practitioner_id": practitioner_id, "low": block[0] - MAX_CELLS, "high": block[1]}
    rows = [row for row in run(session, _HOURS, around) if row.first_cell + row.cell_count > block[0]]
    worked = sum(_within(block, row.first_cell, masks.run(row.cell_count)) for row in rows)
    if worked != masks.run(block[1] - block[0]) or len({row.location_id for row in rows}) > 1:
        raise InvalidRequest(NO_HOURS, field="time")
    return rows


def _place_of(rows: list[Any], terms: Terms) -> int:
    """Where a block of these hours is. Raises: InvalidRequest when the visit, or its way, is not what they are for."""
    mode = terms.search.mode
    # Nobody's hours are for visits at home: staff plan these.
    if mode in MODE_BIT and any(mode not in row.modes for row in rows):
        raise InvalidRequest(WRONG_MODE, field="time")
    if any(row.visit_type_ids and terms.search.visit_type_id not in row.visit_type_ids for row in rows):
        raise InvalidRequest(WRONG_KIND, field="time")
    location_id: int = rows[0].location_id
    if location_id not in terms.zones:
        raise InvalidRequest(WRONG_PLACE, field="time")
    return location_id


def _within(block: claims.Piece, first_cell: int, cells: int) -> int:
    """The part of a mask that lies in a block; bit 0 is the block's first cell."""
    offset = first_cell - block[0]
    moved = cells << offset if offset >= 0 else cells >> -offset
    return moved & masks.run(block[1] - block[0])


def _taken(
    session: Session, terms: Terms, practitioner_id: int, block: claims.Piece, rows: list[Any], old: OldTime | None
) -> tuple[int, bool]:
    """The cells of a block that are somebody else's, and whether a dead hold has others of them."""
    taken = masks.run(block[1] - block[0]) & ~sum(_within(block, row.first_cell, row.free) for row in rows)
    if old is not None and old.practitioner_id == practitioner_id and old.piece is not None:
        taken &= ~masks.covered(block[0], block[1] - block[0], *old.piece)
    if not taken:
        return 0, False
    dead = 0
    for hold in claims.not_binding_holds(session, terms.now, None):
        if (hold.practitioner_id, hold.lane) == (practitioner_id, 0):
            for piece in claims.held_pieces(hold, terms.grid_min):
                dead |= masks.covered(block[0], block[1] - block[0], *piece)
    return taken & ~dead, bool(taken & dead)


def _first_run(taken: int, first_cell: int, grid_min: int) -> dict[str, datetime]:
    """From when until when the first of the taken cells are, in one row."""
    first = next(masks.bits(taken))
    length = next(masks.bits(~(taken >> first) & masks.run(taken.bit_length() + 1)))
    low, high = first_cell + first, first_cell + first + length
    return {"taken_from": masks.to_instant(low, grid_min), "taken_until": masks.to_instant(high, grid_min)}


def place_exactly(
    session: Session,
    terms: Terms,
    spot: Spot,
    old: OldTime | None = None,
    places: frozenset[int] | None = None,
) -> Placement:
    """Claim the cells of a visit that begins exactly then with exactly this clinician, in the caller's transaction.

    Args: old, the time of the visit being moved; places, the only ones that whoever chose reaches.
    Raises: as `find_room`; NotAllowed at another place.
    """
    room = find_room(session, terms, spot, old)
    if places is not None and room.location_id not in places:
        raise NotAllowed
    blocked_from, blocked_until = (masks.to_instant(cell, terms.grid_min) for cell in room.block)
    if room.is_kept:
        claims.close_dead_holds(session, spot.practitioner_id, blocked_from, blocked_until, terms.now, terms.grid_min)
    if old is not None and old.parts:
        claims.lock_parts(session, [*old.parts, *room.parts])
    own = old.piece if old is not None and old.practitioner_id == spot.practitioner_id else None
    # Race: somebody may have been faster since the look.
    if not claims.claim(session, room.parts, claims.without(room.block, own)):
        raise SlotTaken(TAKEN)
    moving = () if terms.search.moving_id is None else (terms.search.moving_id,)
    # Race: somebody may have got the last visit of the day at another time.
    if not have_room(session, terms, [_taking(terms, spot, room.location_id)], moving):
        raise DayFull(field="beyond")
    starts_at, ends_at = (masks.to_instant(cell, terms.grid_min) for cell in room.visit)
    # Nothing was weighed: a person chose.
    return Placement(
        spot.practitioner_id, room.location_id, starts_at, ends_at, blocked_from, blocked_until,
        {}, 1, 0, terms.extra_minutes,
    )  # fmt: skip


def terms_to_move(session: Session, visit: Appointment, *, beyond_caps: bool = False) -> Terms:
    """The clinic's terms for a visit that somebody there gives another time or clinician; its place may change.

    Raises: BadTransition when the clinic does not offer such visits any more.
    """
    search = replace(search_of(visit), by=ActorKind.STAFF, location_id=None, continuity=ContinuityWish.NONE,
                     beyond_caps=beyond_caps)  # fmt: skip
    try:
        return load_terms(session, search, keeps_mode=True)
    except NotFound as error:
        raise BadTransition(error.message, current=visit.status.value) from error


def find_room_to_move(
    session: Session, visit: Appointment, spot: Spot, *, beyond_caps: bool = False
) -> tuple[Room, Terms]:
    """As `find_room`, for a visit that is booked; nothing is claimed, and it may be taken a moment later.

    Raises: as `find_room`; BadTransition.
    """
    _refuse_no_move(visit, spot)
    terms = terms_to_move(session, visit, beyond_caps=beyond_caps)
    return find_room(session, terms, spot, old_time(visit, terms.grid_min)), terms


def _refuse_no_move(visit: Appointment, spot: Spot) -> None:
    if (visit.practitioner_id, visit.starts_at, visit.lane) == (spot.practitioner_id, spot.starts_at, 0):
        raise BadTransition("It is with this clinician at this time already.", current=visit.status.value)


@writing
def move_exactly(
    db: Session,
    *,
    actor: Actor,
    appointment_id: int,
    spot: Spot,
    token: str,
    expected_version: int | None = None,
    untold_because: str | None = None,
    places: frozenset[int] | None = None,
    beyond_caps: bool = False,
) -> Appointment:
    """Move a booked visit to exactly the clinician and time that somebody at the clinic chose; the old time goes back.

    Args: untold_because, why the patient gets no message of it; kept in the audit log. None where the patient is told.
    places, the only ones that whoever chose reaches. beyond_caps, whether the clinician may get more visits than they
    have on one day.
    Times: spot.starts_at is an instant on the grid.
    Commits: submission, both times' cells, the visit (version and sequence up), attempt, audit, messages; rings.
    Raises: as `find_room`; BadTransition, VersionConflict, NotAllowed, NotFound, NoteRefused, SubmissionConflict.
    Source: UC7.1; clinic.md 11, item 12.
    """
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed
    why = clean_note(untold_because)
    body = {
        "what": "move_exactly",
        "appointment": appointment_id,
        "practitioner": spot.practitioner_id,
        "starts_at": spot.starts_at.isoformat(),
        "untold_because": why,
    }
    if beyond_caps:
        body["beyond_caps"] = "yes"
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Appointment, earlier_id)
    visit = lock_visit(db, appointment_id, expected_version)
    lock_patient(db, visit.patient_id)
    check_movable(db, actor, visit)
    _refuse_no_move(visit, spot)
    terms = terms_to_move(db, visit, beyond_caps=beyond_caps)
    placement = place_exactly(db, terms, spot, time_to_give_back(db, visit, terms.grid_min), places)
    noted = {} if why is None else {"patient_told": False, "reason": why}
    if beyond_caps:
        noted["beyond_caps"] = True
    put_elsewhere(db, actor, visit, placement, "move", terms.now, tells_patient=why is None, noted=noted)
    submissions.finish(db, submission_id, visit.id)
    return visit
