"""Which times are free, worked out the slow way: every grid instant, every practitioner, every cell by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.models import (
    Appointment,
    Audience,
    ClinicSession,
    Hold,
    Location,
    Mode,
    PractitionerVisitType,
    SessionStatus,
    Status,
    VisitType,
)
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import load_settings
from tests.invariants import KEEPS_ITS_TIME, cells


@dataclass(frozen=True)
class Hours:
    """Work without a gap at one place; cells from the first up to, not including, the end."""

    location_id: int
    first: int
    end: int


def free_starts(session: Session, search: Search, now: datetime) -> dict[datetime, set[int]]:
    """Every start that could be booked at this moment, and the places where."""
    settings = load_settings(session)
    grid_min = settings.number("grid_min")
    visits = list(session.scalars(select(Appointment)))
    taken = _taken(session, search, visits, now, grid_min)
    own = [v for v in visits if v.patient_id == search.patient_id and v.status in KEEPS_ITS_TIME]
    own_cells = set().union(*(cells(v.starts_at, v.ends_at, grid_min) for v in own if v.id != search.moving_id))
    is_new = search.patient_id is not None and not any(v.status == Status.FULFILLED for v in own)
    visit_type = session.get_one(VisitType, search.visit_type_id)
    zones = {place.id: place.zone for place in session.scalars(select(Location))}
    is_remote = search.mode in (Mode.PHONE, Mode.VIDEO)
    notice = "remote_notice_min" if is_remote else "minimum_notice_min"
    notice_min = 0 if search.is_by_clinic else settings.number(notice, search.visit_type_id)
    earliest = now + timedelta(minutes=notice_min)
    days_ahead = timedelta(days=settings.number("horizon_days", search.visit_type_id))
    found: dict[datetime, set[int]] = defaultdict(set)
    for doer in session.scalars(select(PractitionerVisitType).filter_by(visit_type_id=search.visit_type_id)):
        length = -(-(doer.duration_new_patient_min if is_new else doer.duration_min) // grid_min)
        before, after = (-(-minutes // grid_min) for minutes in (doer.buffer_before_min, doer.buffer_after_min))
        for hours in _hours(session, doer.practitioner_id, now, search.mode):
            zone = ZoneInfo(zones[hours.location_id])
            if search.location_id not in (None, hours.location_id) and not is_remote:
                continue
            for start in range(hours.first + before, hours.end - length - after + 1):
                starts_at = datetime.fromtimestamp(start * grid_min * 60, UTC)
                if (
                    (start * grid_min % visit_type.start_step_min == 0 or start + length + after == hours.end)
                    and starts_at >= earliest
                    and taken[doer.practitioner_id].isdisjoint(range(start - before, start + length + after))
                    and own_cells.isdisjoint(range(start, start + length))
                    and starts_at.astimezone(zone).date() <= now.astimezone(zone).date() + days_ahead
                ):
                    found[starts_at].add(hours.location_id)
    return dict(found)


def by_day(found: dict[datetime, set[int]], first_day: date, days: int, zone: str) -> dict[date, list[tuple]]:
    """The starts of each local day, in order; for clinics in one zone."""
    listed: dict[date, list[tuple]] = {first_day + timedelta(days=number): [] for number in range(days)}
    for starts_at in sorted(found):
        day = starts_at.astimezone(ZoneInfo(zone)).date()
        if day in listed:
            listed[day].append((starts_at, sorted(found[starts_at])))
    return listed


def _taken(
    session: Session, search: Search, visits: list[Appointment], now: datetime, grid_min: int
) -> dict[int, set[int]]:
    """By practitioner, the cells that are not to be had: other visits, and what others hold at this moment."""
    kept = {v.id: v for v in visits if v.status in KEEPS_ITS_TIME and v.lane == 0}
    taken: dict[int, set[int]] = defaultdict(set)
    for hold in session.scalars(select(Hold).where(Hold.closed_at.is_(None))):
        is_own = hold.account_id is not None and hold.account_id == search.account_id
        if hold.expires_at > now and not is_own:
            held = cells(hold.blocked_from, hold.blocked_until, grid_min)
            moved = kept.get(hold.appointment_id or 0)
            if moved is not None and moved.practitioner_id == hold.practitioner_id:
                held -= cells(moved.blocked_from, moved.blocked_until, grid_min)
            taken[hold.practitioner_id] |= held
    for visit in kept.values():
        if visit.id != search.moving_id:
            taken[visit.practitioner_id] |= cells(visit.blocked_from, visit.blocked_until, grid_min)
    return taken


def _hours(session: Session, practitioner_id: int, now: datetime, mode: Mode) -> Iterator[Hours]:
    """Public time for this mode that is open by now, with what touches at one place joined."""
    joined: Hours | None = None
    rows = select(ClinicSession).filter_by(practitioner_id=practitioner_id, lane=0, status=SessionStatus.PLANNED)
    for row in session.scalars(rows.order_by(ClinicSession.starts_at)):
        if row.audience != Audience.PUBLIC or row.bookable_from > now or mode not in row.modes:
            continue
        end = row.first_cell + row.cell_count
        if joined is not None and (joined.location_id, joined.end) == (row.location_id, row.first_cell):
            joined = Hours(joined.location_id, joined.first, end)
            continue
        if joined is not None:
            yield joined
        joined = Hours(row.location_id, row.first_cell, end)
    if joined is not None:
        yield joined
