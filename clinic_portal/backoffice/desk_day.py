"""Today at one place as the desk works through it: who is here, who is with somebody, who is still to come."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from clinic_portal import clock
from clinic_portal.backoffice import words
from clinic_portal.backoffice.lists import COUNTED
from clinic_portal.backoffice.places import Place
from clinic_portal.models import (
    REMOTE,
    Appointment,
    CancelReason,
    ClinicSession,
    ContactPoint,
    Mode,
    Need,
    Origin,
    Patient,
    SessionStatus,
    Status,
    WalkInTicket,
)
from clinic_portal.scheduling.day_steps import DayStep, steps_of
from clinic_portal.scheduling.needs import live_needs, told_at_clinic
from clinic_portal.scheduling.walk_ins import RANK
from clinic_portal.settings import Settings


class Part(enum.StrEnum):
    """What has become of a visit of today."""

    HERE = "here"
    INSIDE = "inside"
    EXPECTED = "expected"
    SEEN = "seen"
    LEFT = "left"
    MISSED = "missed"


PART_WORDS = {
    Part.HERE: "Here, waiting",
    Part.INSIDE: "With a clinician",
    Part.EXPECTED: "Expected",
    Part.SEEN: "Seen",
    Part.LEFT: "Left without being seen",
    Part.MISSED: "Did not come",
}
# What is over stands apart, folded.
OVER = (Part.SEEN, Part.LEFT, Part.MISSED)
# Each step by its button, and by its key where it has one: who leaves is not taken back, so no slip may say it.
STEP_WORDS = {
    DayStep.ARRIVED: ("Arrived", "a"),
    DayStep.CALLED: ("With clinician", "w"),
    DayStep.SEEN: ("Done", "d"),
    DayStep.NO_SHOW: ("Did not come", "n"),
    DayStep.TOO_LATE: ("Came too late", ""),
    DayStep.LEFT: ("Left", ""),
    DayStep.UNDO: ("Undo", "u"),
}
# So long somebody who walked in stays on the page while nobody says how it ended.
LEFT_OVER = timedelta(days=30)
_OF_TODAY = or_(
    Appointment.status.in_((Status.BOOKED, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW)),
    and_(
        Appointment.status == Status.CANCELLED, Appointment.cancel_reason == CancelReason.LEFT_WITHOUT_BEING_SEEN
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One visit with what the desk must see of it, and the steps that can be noted now: code, words, key."""

    visit: Appointment
    part: Part
    # Of somebody who walked in.
    number: int | None
    says: str
    is_pressing: bool
    marks: list[str]
    steps: list[tuple[str, str, str]]

    @property
    def needs_time(self) -> bool:
        """Whether somebody who walked in has neither a time nor a clinician."""
        return self.part is Part.HERE and self.visit.starts_at is None


@dataclass(frozen=True)
class DeskDay:
    """All of it, by what has become of each."""

    lines: dict[Part, list[Line]]
    sessions: list[ClinicSession] = field(default_factory=list)

    @property
    def counts(self) -> list[tuple[Part, str, int]]:
        return [(part, PART_WORDS[part], len(self.lines[part])) for part in Part]

    @property
    def over_count(self) -> int:
        return sum(len(self.lines[part]) for part in OVER)


def read_desk_day(session: Session, place: Place, settings: Settings) -> DeskDay:
    """Every visit of today at a place, with those who walked in; five questions, however many there are.

    Times: the day is that of the place.
    """
    now = clock.now()
    low, high = clock.day_bounds(clock.local_date(now, place.zone), place.zone)
    numbers = _numbers(session, place, now)
    visits = _visits(session, place, low, high, list(numbers))
    live = live_needs(session, [visit.patient_id for visit in visits])
    lines: dict[Part, list[Line]] = {part: [] for part in Part}
    for visit in visits:
        line = _line(visit, numbers.get(visit.id), live.get(visit.patient_id, {}), now, settings)
        lines[line.part].append(line)
    for part, found in lines.items():
        found.sort(key=_by_class_and_arrival if part is Part.HERE else _by_time)
    return DeskDay(lines, _sessions(session, place, low, high))


def _numbers(session: Session, place: Place, now: datetime) -> dict[int, int]:
    """The numbers of today, and of those of the days before of whom nobody has said how it ended."""
    today = clock.local_date(now, place.zone)
    query = select(WalkInTicket.appointment_id, WalkInTicket.number).where(
        WalkInTicket.location_id == place.id,
        WalkInTicket.day.between(today - LEFT_OVER, today),
        or_(WalkInTicket.day == today, Appointment.status == Status.ARRIVED),
    )
    found = query.join(WalkInTicket.appointment).order_by(WalkInTicket.day.desc(), WalkInTicket.number)
    return {row[0]: row[1] for row in session.execute(found.limit(COUNTED))}


def _visits(session: Session, place: Place, low: datetime, high: datetime, ids: list[int]) -> list[Appointment]:
    at_a_time = and_(Appointment.starts_at >= low, Appointment.starts_at < high, Appointment.location_id == place.id)
    eager = (
        joinedload(Appointment.patient).options(selectinload(Patient.contact_points)),
        joinedload(Appointment.visit_type),
        joinedload(Appointment.practitioner),
        joinedload(Appointment.location),
    )
    # One after the other: no index answers both.
    found: dict[int, Appointment] = {}
    for which in (at_a_time, Appointment.id.in_(ids)):
        query = select(Appointment).where(which, _OF_TODAY).options(*eager).order_by(Appointment.id).limit(COUNTED)
        found |= {visit.id: visit for visit in session.scalars(query)}
    return list(found.values())


def _sessions(session: Session, place: Place, low: datetime, high: datetime) -> list[ClinicSession]:
    query = select(ClinicSession).where(
        ClinicSession.location_id == place.id,
        ClinicSession.starts_at >= low,
        ClinicSession.starts_at < high,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.lane == 0,
    )
    found = session.scalars(query.options(joinedload(ClinicSession.practitioner)).limit(COUNTED))
    return sorted(found, key=lambda row: (row.practitioner.name, row.starts_at))


def _line(
    visit: Appointment, number: int | None, needs: Mapping[Need, str | None], now: datetime, settings: Settings
) -> Line:
    part = part_of(visit)
    says, is_pressing = _said(visit, part, now, settings)
    return Line(visit, part, number, says, is_pressing, _marks(visit, needs), desk_steps(visit, now, settings))


def part_of(visit: Appointment) -> Part:
    """What has become of a visit so far."""
    if visit.status is Status.ARRIVED:
        return Part.HERE if visit.called_at is None else Part.INSIDE
    return {Status.BOOKED: Part.EXPECTED, Status.FULFILLED: Part.SEEN, Status.NOSHOW: Part.MISSED}.get(
        visit.status, Part.LEFT
    )


def desk_steps(visit: Appointment, now: datetime, settings: Settings) -> list[tuple[str, str, str]]:
    """The steps that the desk can note of a visit, by code, words and key."""
    grace_over = visit.starts_at is not None and _minutes(visit.starts_at, now) >= settings.number("late_grace_min")
    codes = [code for code in steps_of(visit, now) if code is not DayStep.TOO_LATE or grace_over]
    return [(code.value, *_worded(visit, code)) for code in codes]


def _worded(visit: Appointment, code: DayStep) -> tuple[str, str]:
    """The button and the key of a step. That nobody walked in at all is not taken back either."""
    waits = visit.status is Status.ARRIVED and visit.called_at is None and visit.starts_at is None
    return ("Wrong entry", "") if code is DayStep.UNDO and waits else STEP_WORDS[code]


def _said(visit: Appointment, part: Part, now: datetime, settings: Settings) -> tuple[str, bool]:
    """How long somebody waits, is inside, or is overdue; and whether that is too long."""
    if part is Part.HERE and visit.arrived_at is not None:
        waited = _minutes(max(visit.arrived_at, visit.starts_at or visit.arrived_at), now)
        here = _minutes(visit.arrived_at, now)
        told = f"Waits {words.minutes(waited)}" if waited >= 0 else f"Early, here {words.minutes(here)}"
        return told, waited > settings.number("waiting_limit_min")
    if part is Part.INSIDE and visit.called_at is not None:
        return f"For {words.minutes(_minutes(visit.called_at, now))}", False
    if part is Part.EXPECTED and visit.starts_at is not None and visit.starts_at <= now:
        late = _minutes(visit.starts_at, now)
        told = "Time has come" if visit.mode in REMOTE or late == 0 else f"{words.minutes(late)} late"
        return told, late >= settings.number("late_grace_min")
    return "", False


def _minutes(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds() // 60)


def _marks(visit: Appointment, needs: Mapping[Need, str | None]) -> list[str]:
    how = [] if visit.mode is Mode.IN_PERSON else [words.MODE[visit.mode]]
    unclear = [point for point in visit.patient.contact_points if _is_unclear(point)]
    asks = [f"{words.CONTACT_KIND[point.kind]}: ask, not confirmed" for point in unclear[:1]]
    return [*how, *told_at_clinic(visit, needs), *asks]


def _is_unclear(point: ContactPoint) -> bool:
    return point.ended_at is None and point.unverified_since is not None


def _by_class_and_arrival(line: Line) -> tuple[int, datetime, int]:
    visit = line.visit
    due = visit.arrived_at if visit.origin is Origin.WALK_IN else visit.starts_at
    return RANK[visit.priority_class], due or visit.requested_at, visit.id


def _by_time(line: Line) -> tuple[datetime, int]:
    return line.visit.starts_at or line.visit.arrived_at or line.visit.requested_at, line.visit.id
