"""Taking cells of sessions and giving them back: the guarded statements that make double booking impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from clinic_portal import clock
from clinic_portal.database import lock_rows, run
from clinic_portal.models import (
    ACTIVE,
    MAX_CELLS,
    Appointment,
    ClinicSession,
    Hold,
    HoldEnd,
    Practitioner,
    PractitionerVisitType,
    SessionStatus,
    UTCDateTime,
)
from clinic_portal.scheduling import masks

# Cells from the first up to, not including, the second.
Piece = tuple[int, int]
ALL_BITS = (1 << 63) - 1


class Part(NamedTuple):
    """The row of a session as it was read."""

    session_id: int
    first_cell: int
    cell_count: int

    def mask(self, piece: Piece) -> int:
        """The bits of this session that lie in a piece."""
        return masks.covered(self.first_cell, self.cell_count, *piece)


# Whoever waits for such time is tried on it: see `queue.py`.
_OPENED_NOW = case(
    (ClinicSession.bookable_from > bindparam("now", type_=UTCDateTime), ClinicSession.bookable_from),
    else_=bindparam("now", type_=UTCDateTime),
)
_CLAIM = (
    update(ClinicSession)
    .where(
        ClinicSession.id == bindparam("session_id"),
        ClinicSession.first_cell == bindparam("was_first_cell"),
        ClinicSession.cell_count == bindparam("was_cell_count"),
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.free.bitwise_and(bindparam("cells", type_=BigInteger)) == bindparam("cells", type_=BigInteger),
    )
    .values(free=ClinicSession.free.bitwise_and(bindparam("other_cells", type_=BigInteger)))
    .execution_options(synchronize_session=False)
)
_RELEASE = (
    update(ClinicSession)
    .where(
        ClinicSession.id == bindparam("session_id"),
        ClinicSession.first_cell == bindparam("was_first_cell"),
        ClinicSession.cell_count == bindparam("was_cell_count"),
    )
    .values(
        free=ClinicSession.free.bitwise_or(bindparam("cells", type_=BigInteger)),
        opened_at=_OPENED_NOW,
    )
    .execution_options(synchronize_session=False)
)
# The cells of any local day around a cell lie within so many of it, on the finest grid.
CELLS_A_DAY = 26 * 60 // 5
_HAS_CAP = or_(
    exists().where(Practitioner.id == bindparam("whose"), Practitioner.max_visits_a_day.is_not(None)),
    exists().where(
        PractitionerVisitType.practitioner_id == bindparam("whose"),
        PractitionerVisitType.max_a_day.is_not(None),
    ),
)
# Sessions of one practitioner, locked in the order of their ids before they are marked.
_MARKED = aliased(ClinicSession)
_OF_ONE = (
    select(_MARKED.id)
    .where(_MARKED.practitioner_id == bindparam("whose"), _MARKED.lane == 0)
    .order_by(_MARKED.id)
    .with_for_update()
)
_AROUND = _OF_ONE.where(_MARKED.first_cell > bindparam("low"), _MARKED.first_cell < bindparam("high"), _HAS_CAP)
_AHEAD = _OF_ONE.where(_MARKED.ends_at > bindparam("now", type_=UTCDateTime))
_MARK = update(ClinicSession).values(opened_at=_OPENED_NOW).execution_options(synchronize_session=False)
_OPEN_AROUND, _OPEN_AHEAD = (_MARK.where(ClinicSession.id.in_(which)) for which in (_AROUND, _AHEAD))
_PARTS = (
    select(ClinicSession.id, ClinicSession.first_cell, ClinicSession.cell_count)
    .where(
        ClinicSession.practitioner_id == bindparam("practitioner_id"),
        ClinicSession.lane == bindparam("lane"),
        ClinicSession.first_cell > bindparam("low"),
        ClinicSession.first_cell < bindparam("high"),
    )
    .order_by(ClinicSession.id)
)


_LOCK_PARTS = (
    select(ClinicSession.id)
    .where(ClinicSession.id.in_(bindparam("ids", expanding=True)))
    .order_by(ClinicSession.id)
    .with_for_update()
)


# Asked with the cells claimed, whether the claim may stand.
Guard = Callable[[], bool] | None


def claim(session: Session, parts: Iterable[Part], pieces: list[Piece], guard: Guard = None) -> bool:
    """Take the cells of some pieces, all or nothing; False when somebody was faster, or a guard says no.

    # Race: the statement's own condition decides. Postgres evaluates it again after waiting for the row, so two claims
    # on different cells of one session both succeed, and two on the same cell do not.
    """
    wanted = [
        (part, mask)
        for part in sorted(parts, key=lambda part: part.session_id)
        if (mask := sum(part.mask(piece) for piece in pieces))
    ]
    is_one = len(wanted) == 1 and guard is None
    return _claim_part(session, *wanted[0]) if is_one else claim_masks(session, wanted, guard)


def claim_masks(session: Session, wanted: Iterable[tuple[Part, int]], guard: Guard = None) -> bool:
    """Take cells of several sessions, all or nothing. Args: in the order of the sessions' ids, or two could deadlock.

    # Race: a savepoint gives what was taken back, with its locks, when something is not free any more.
    """
    savepoint = session.begin_nested()
    if all(_claim_part(session, part, mask) for part, mask in wanted) and (guard is None or guard()):
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def _claim_part(session: Session, part: Part, mask: int) -> bool:
    return _changed(session, _CLAIM, part, {"cells": mask, "other_cells": ALL_BITS & ~mask})


def _changed(session: Session, statement: Any, part: Part, values: dict[str, Any]) -> bool:
    where = {"session_id": part.session_id, "was_first_cell": part.first_cell, "was_cell_count": part.cell_count}
    return run(session, statement, {**where, **values}).rowcount == 1


def lock_practitioner(session: Session, practitioner_id: int) -> None:
    """Keep the practitioner's sessions from being rewritten until this transaction ends.

    # Race: a rewrite that began earlier still counts the visit we are about to take away; without the wait its cells
    # would stay taken although nobody has them. Claims need no such lock: their own condition notices a rewrite.
    """
    if lock_rows(session):
        run(session, select(Practitioner.id).where(Practitioner.id == practitioner_id).with_for_update(read=True))


def release(session: Session, practitioner_id: int, lane: int, pieces: Iterable[Piece]) -> None:
    """Give cells back; those that no session covers any more are nobody's. Call `lock_practitioner` before.

    Where there is a limit of visits a day, all hours around are open again to whoever waits: not these cells alone.
    """
    for piece in pieces:
        around = {"low": piece[0] - CELLS_A_DAY - MAX_CELLS, "high": piece[1] + CELLS_A_DAY}
        run(session, _OPEN_AROUND, {"whose": practitioner_id, "now": clock.now(), **around})
        for part in parts_of(session, practitioner_id, lane, piece):
            _changed(session, _RELEASE, part, {"cells": part.mask(piece), "now": clock.now()})


def open_to_waiting(session: Session, practitioner_id: int) -> None:
    """Let whoever waits be tried on all that is left of a practitioner's hours. Call `lock_practitioner` before."""
    run(session, _OPEN_AHEAD, {"whose": practitioner_id, "now": clock.now()})


def parts_of(session: Session, practitioner_id: int, lane: int, piece: Piece) -> list[Part]:
    """The sessions that a piece lies in."""
    around = {"practitioner_id": practitioner_id, "lane": lane, "low": piece[0] - MAX_CELLS, "high": piece[1]}
    parts = [Part(row[0], row[1], row[2]) for row in run(session, _PARTS, around)]
    return [part for part in parts if part.mask(piece)]


def lock_parts(session: Session, parts: Iterable[Part]) -> None:
    """Lock sessions in the order of their ids, before some of them lose cells and others get some.

    # Race: two moves that cross would otherwise wait for each other until the database ends one of them.
    """
    if lock_rows(session):
        ids = sorted({part.session_id for part in parts})
        run(session, _LOCK_PARTS, {"ids": ids})


def piece_of(low: datetime, high: datetime, grid_min: int) -> Piece:
    """The cells from one instant to another."""
    return masks.to_cell(low, grid_min), masks.to_cell(high, grid_min)


def without(piece: Piece, other: Piece | None) -> list[Piece]:
    """A piece less another: nothing, one or two pieces."""
    if other is None:
        return [piece]
    left, right = (piece[0], min(piece[1], other[0])), (max(piece[0], other[1]), piece[1])
    return [(low, high) for low, high in dict.fromkeys((left, right)) if low < high]


# Which cells an open hold keeps: its own, less those of the visit it would move (these are the visit's).
_OPEN_HOLDS = (
    select(
        Hold.id,
        Hold.account_id,
        Hold.expires_at,
        Hold.practitioner_id,
        Hold.lane,
        Hold.blocked_from,
        Hold.blocked_until,
        Appointment.blocked_from.label("visit_from"),
        Appointment.blocked_until.label("visit_until"),
    )
    .outerjoin(
        Appointment,
        and_(
            Appointment.id == Hold.appointment_id,
            Appointment.practitioner_id == Hold.practitioner_id,
            Appointment.lane == Hold.lane,
            Appointment.status.in_(ACTIVE),
        ),
    )
    .where(Hold.closed_at.is_(None))
    .order_by(Hold.id)
)
_NOT_BINDING = _OPEN_HOLDS.where(or_(Hold.expires_at <= bindparam("now"), Hold.account_id == bindparam("account_id")))
_OF_PRACTITIONER = _OPEN_HOLDS.where(
    Hold.expires_at <= bindparam("now"),
    Hold.practitioner_id == bindparam("practitioner_id"),
    Hold.blocked_until > bindparam("low"),
    Hold.blocked_from < bindparam("high"),
)
_OF_ACCOUNT = _OPEN_HOLDS.where(Hold.account_id == bindparam("account_id"))
_FOR_VISIT = _OPEN_HOLDS.where(Hold.appointment_id == bindparam("appointment_id"))
_EXPIRED = _OPEN_HOLDS.where(Hold.expires_at <= bindparam("now"))
_CLOSE = (
    update(Hold)
    .where(Hold.id == bindparam("hold_id"), Hold.closed_at.is_(None))
    .values(closed_at=bindparam("now"), closed_because=bindparam("because"), note=None, call_number=None)
    .execution_options(synchronize_session=False)
)


def held_pieces(hold: Any, grid_min: int) -> list[Piece]:
    """The cells that a row of the hold queries keeps from others."""
    own = None if hold.visit_from is None else piece_of(hold.visit_from, hold.visit_until, grid_min)
    return without(piece_of(hold.blocked_from, hold.blocked_until, grid_min), own)


def not_binding_holds(session: Session, now: datetime, account_id: int | None) -> list[Any]:
    """Open holds that keep nothing from this account: dead ones that nobody has cleared, and its own."""
    return list(run(session, _NOT_BINDING, {"now": now, "account_id": account_id or 0}))


def open_holds(session: Session) -> list[Any]:
    """All holds that nobody has closed, dead or alive."""
    return list(run(session, _OPEN_HOLDS))


def close_holds(session: Session, holds: Iterable[Any], now: datetime, because: HoldEnd, grid_min: int) -> int:
    """Close open holds and give their cells back, each once whoever else tries; returns how many were closed here."""
    closed = 0
    for hold in holds:
        lock_practitioner(session, hold.practitioner_id)
        if _close_row(session, hold.id, now, because):
            release(session, hold.practitioner_id, hold.lane, held_pieces(hold, grid_min))
            closed += 1
    return closed


def keep_cells_of_hold(session: Session, hold_id: int, now: datetime) -> bool:
    """Close a hold because its time was booked: the cells pass to the visit."""
    return _close_row(session, hold_id, now, HoldEnd.BOOKED)


def _close_row(session: Session, hold_id: int, now: datetime, because: HoldEnd) -> bool:
    return run(session, _CLOSE, {"hold_id": hold_id, "now": now, "because": because}).rowcount == 1


def close_dead_holds(session: Session, practitioner_id: int, low: datetime, high: datetime, now: datetime,
                     grid_min: int) -> None:  # fmt: skip
    """Clear expired holds of one practitioner that meet [low, high), so that their cells can be claimed."""
    around = {"practitioner_id": practitioner_id, "low": low, "high": high, "now": now}
    close_holds(session, run(session, _OF_PRACTITIONER, around).all(), now, HoldEnd.EXPIRED, grid_min)


def open_holds_of(session: Session, account_id: int) -> list[Any]:
    """The holds that an account has open, dead or alive."""
    return list(run(session, _OF_ACCOUNT, {"account_id": account_id}))


def open_holds_for(session: Session, appointment_id: int) -> list[Any]:
    """The holds that would move a visit."""
    return list(run(session, _FOR_VISIT, {"appointment_id": appointment_id}))


def expired_holds(session: Session, now: datetime) -> list[Any]:
    """All holds that are past their time and not yet cleared."""
    return list(run(session, _EXPIRED, {"now": now}))
