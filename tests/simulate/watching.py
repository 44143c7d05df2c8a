"""What the rows say while the clinic runs: who overtook whom, and who was put on the list though there was a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    ClinicSession,
    Hold,
    Offer,
    OfferState,
    PractitionerVisitType,
    Status,
    VisitType,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.due import may_be_placed, place_in_line
from clinic_portal.scheduling.strips import first_cell_from
from clinic_portal.scheduling.wishes import suiting_starts
from tests.simulate.clinic import CELL
from tests.simulate.seating import Cells, Seated, Wanted, is_seatable
from tests.world import GRID, ZONE

DAY_CELLS = 24 * 60 // GRID


@dataclass(frozen=True)
class Wish:
    """When somebody could come, as it is kept on a request."""

    wish_from: date | None
    wish_until: date | None
    wish_parts: int


@dataclass(frozen=True)
class Waiting:
    """One who waits, as the line and the wishes see them."""

    id: int
    place: tuple[bool, bool, datetime, datetime, int]
    alike: tuple[object, ...]
    min_warning: timedelta
    is_new: bool
    wish: Wish

    def would_take(self, starts_at: datetime, now: datetime) -> bool:
        """Whether a start lies within the wishes."""
        cell = masks.to_cell(starts_at, GRID)
        low = cell // DAY_CELLS * DAY_CELLS
        starts = suiting_starts(self.wish, ZONE, low, low + DAY_CELLS, GRID)
        return bool(starts >> cell - low & 1) and starts_at - now >= self.min_warning


def waiting_now(session: Session, now: datetime) -> list[Waiting]:
    """Everybody whom the queue may place, in its order."""
    found = session.scalars(select(Appointment).where(Appointment.status.in_((Status.PROPOSED, Status.WAITLIST))))
    ready = sorted((row for row in found if may_be_placed(row, now)), key=place_in_line)
    return [
        Waiting(
            row.id, place_in_line(row),
            (row.visit_type_id, row.priority_class, row.is_ask_first, row.continuity_wish),
            timedelta(minutes=row.min_warning_min), row.status is Status.PROPOSED,
            Wish(row.wish_from, row.wish_until, row.wish_parts),
        )
        for row in ready
    ]  # fmt: skip


def overtakes(before: Sequence[Waiting], given: dict[int, datetime], now: datetime, spared: Iterable[int] = ()) -> int:
    """How many got a time that somebody further ahead, who asked for the same in the same way, would have taken.

    Args: given, which times were booked for or offered to whom; spared, people whom such times must not be given to
    now: they have just let one pass.
    """
    still = [one for one in before if one.id not in given and one.id not in set(spared)]
    return sum(
        any(ahead.place < one.place and ahead.alike == one.alike and ahead.would_take(given[one.id], now)
            for ahead in still)
        for one in before
        if one.id in given
    )  # fmt: skip


def given_since(session: Session, before: Sequence[Waiting]) -> dict[int, datetime]:
    """The times that those who waited have been given, as a visit or as an offer."""
    ids = [one.id for one in before]
    booked = select(Appointment.id, Appointment.starts_at).where(
        Appointment.id.in_(ids), Appointment.starts_at.is_not(None)
    )
    offered = select(Offer.appointment_id, Offer.starts_at).where(
        Offer.appointment_id.in_(ids), Offer.state == OfferState.OPEN
    )
    return {id_: starts_at for id_, starts_at in [*session.execute(booked), *session.execute(offered)]}  # noqa: C416


def has_refused(session: Session, before: Sequence[Waiting]) -> set[int]:
    """Those who were offered something already: what they let pass is not offered again."""
    ids = [one.id for one in before]
    return set(session.scalars(select(Offer.appointment_id).where(Offer.appointment_id.in_(ids))))


def was_seatable(session: Session, request: Appointment, days: int) -> bool:
    """Whether a request that found nothing could have been seated by other clinicians for the visits of some day."""
    now = clock.now()
    today = first_cell_from(now, GRID) // DAY_CELLS
    return any(_seatable_on(session, request, (today + number) * DAY_CELLS, now) for number in range(days))


def _seatable_on(session: Session, request: Appointment, low: int, now: datetime) -> bool:
    wished = suiting_starts(request, ZONE, low, low + DAY_CELLS, GRID)
    earliest = first_cell_from(now + timedelta(minutes=request.min_warning_min), GRID)
    step = session.get_one(VisitType, request.visit_type_id).start_step_min // GRID
    starts = frozenset(cell for bit in masks.bits(wished) if (cell := low + bit) >= earliest and cell % step == 0)
    if not starts:
        return False
    does = _who_does(session)
    length = next(cells for (_doctor, kind), cells in does.items() if kind == request.visit_type_id)
    wanted = Wanted(length, starts, frozenset(doctor for doctor, kind in does if kind == request.visit_type_id))
    hours, open_hours = _hours(session, low, now)
    return is_seatable(hours, open_hours, _seated(session, low, does), wanted)


def _who_does(session: Session) -> dict[tuple[int, int], int]:
    """Who does what, and in how many cells."""
    rows = select(
        PractitionerVisitType.practitioner_id, PractitionerVisitType.visit_type_id, PractitionerVisitType.duration_min
    )
    return {(doctor, kind): minutes // GRID for doctor, kind, minutes in session.execute(rows)}


def _hours(session: Session, low: int, now: datetime) -> tuple[dict[int, list[Cells]], dict[int, list[Cells]]]:
    rows = session.execute(
        select(ClinicSession.practitioner_id, ClinicSession.first_cell, ClinicSession.cell_count,
               ClinicSession.bookable_from)
        .where(ClinicSession.first_cell >= low, ClinicSession.first_cell < low + DAY_CELLS)
    ).all()  # fmt: skip
    everybody = {doctor for doctor, _kind in _who_does(session)}
    hours: dict[int, list[Cells]] = {doctor: [] for doctor in everybody}
    open_hours: dict[int, list[Cells]] = {doctor: [] for doctor in everybody}
    for doctor, first, count, bookable_from in rows:
        hours[doctor].append((first, first + count))
        if bookable_from <= now:
            open_hours[doctor].append((first, first + count))
    return hours, open_hours


def _seated(session: Session, low: int, does: dict[tuple[int, int], int]) -> list[Seated]:
    """Visits and kept times of a day; who is kept a time has not been told with whom."""
    start, end = masks.to_instant(low, GRID), masks.to_instant(low + DAY_CELLS, GRID)
    visits = select(Appointment.visit_type_id, Appointment.starts_at, Appointment.ends_at).where(
        Appointment.status.in_(ACTIVE), Appointment.starts_at >= start, Appointment.starts_at < end
    )
    holds = select(Hold.visit_type_id, Hold.starts_at, Hold.ends_at).where(
        Hold.closed_at.is_(None), Hold.expires_at > clock.now(), Hold.starts_at >= start, Hold.starts_at < end
    )
    return [
        Seated(
            (masks.to_cell(starts_at, GRID), masks.to_cell(ends_at, GRID)),
            frozenset(doctor for doctor, other in does if other == kind),
        )
        for kind, starts_at, ends_at in [*session.execute(visits), *session.execute(holds)]
    ]


def covered(start: datetime, end: datetime, others: Iterable[tuple[datetime, datetime]]) -> int:
    """How many minutes of a stretch lie under others."""
    cells = range(round((end - start) / CELL))
    taken = sum(any(low <= start + CELL * number < high for low, high in others) for number in cells)
    return taken * GRID
