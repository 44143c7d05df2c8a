"""One day of one practitioner: each session with its visits, kept times and free time, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.doctor.steps import Step, steps_for
from clinic_portal.languages import _, ngettext
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    ClinicSession,
    Hold,
    Location,
    Mode,
    Need,
    Patient,
    Practitioner,
    SessionStatus,
    Status,
)
from clinic_portal.scheduling.needs import GENDER_ASKED, live_needs, told_at_clinic
from clinic_portal.scheduling.zones import clinic_zone
from clinic_portal.visit_texts import text_of
from clinic_portal.wording import time_told

# Who sees the patient need not be told whom the patient asked for.
UNTOLD = frozenset(GENDER_ASKED)


@dataclass(frozen=True)
class Row:
    """A line of the day: a visit, a time that is being booked now, or free time."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    called_name: str = ""
    age: str | None = None
    visit_name: str = ""
    # How both sides meet where the patient does not come: a sentence, and the link of a video room.
    how: str | None = None
    join_url: str | None = None
    status: str = ""
    needs: list[str] = field(default_factory=list)
    note: str = ""
    is_over: bool = False
    # Of a visit.
    public_id: str = ""
    version: int = 0
    is_called: bool = False
    lacks_outcome: bool = False
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Busy:
    """A line, and the time that it takes from the session; None for a squeeze-in, which takes none."""

    row: Row
    blocks: tuple[datetime, datetime] | None
    place: Location


@dataclass(frozen=True)
class SessionOfDay:
    """A stretch of work with its lines; not planned when a visit stands where there is no session."""

    starts_at: datetime
    ends_at: datetime
    zone: str
    place_name: str
    rows: list[Row]
    is_planned: bool = True
    # None where no hours are planned.
    session_id: int | None = None
    late_min: int = 0

    @property
    def booked_count(self) -> int:
        return sum(row.kind == "visit" for row in self.rows)

    @property
    def free_min(self) -> int:
        free = (row.ends_at - row.starts_at for row in self.rows if row.kind == "free")
        return int(sum(length.total_seconds() for length in free)) // 60


def zone_of_days(session: Session, practitioner: Practitioner) -> str:
    """The zone in which a practitioner's days begin: that of the next place of work, else the clinic's first place."""
    next_place = (
        select(Location.zone)
        .join(ClinicSession, ClinicSession.location_id == Location.id)
        .where(ClinicSession.practitioner_id == practitioner.id, ClinicSession.ends_at > clock.now())
        .order_by(ClinicSession.first_cell)
        .limit(1)
    )
    return session.scalar(next_place) or clinic_zone(session)


def read_day(session: Session, practitioner: Practitioner, on: date) -> list[SessionOfDay]:
    """The practitioner's sessions of a day, and visits that stand outside of any session.

    Times: the day begins and ends at midnight of the practitioner's place.
    """
    low, high = clock.day_bounds(on, zone_of_days(session, practitioner))
    sessions = _sessions(session, practitioner, low, high)
    # The last session may run past midnight.
    until = max([high, *(planned.ends_at for planned in sessions)])
    busy = _visits(session, practitioner, on, low, until) + _holds(session, practitioner, low, until)
    found = [_planned(planned, busy) for planned in sessions if planned.starts_at >= low]
    stranded = [one for one in busy if one.row.starts_at < high and not any(_holds_start(s, one) for s in sessions)]
    return sorted(found + [_stranded(one) for one in stranded], key=lambda one: one.starts_at)


def _holds_start(planned: ClinicSession, one: Busy) -> bool:
    return planned.starts_at <= one.row.starts_at < planned.ends_at


def _sessions(session: Session, practitioner: Practitioner, low: datetime, high: datetime) -> list[ClinicSession]:
    query = select(ClinicSession).where(
        ClinicSession.practitioner_id == practitioner.id,
        ClinicSession.starts_at < high,
        ClinicSession.ends_at > low,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.lane == 0,
    )
    return list(session.scalars(query.options(joinedload(ClinicSession.location)).order_by(ClinicSession.first_cell)))


def _visits(session: Session, practitioner: Practitioner, on: date, low: datetime, high: datetime) -> list[Busy]:
    query = select(Appointment).where(
        Appointment.practitioner_id == practitioner.id,
        Appointment.status.in_(ACTIVE),
        Appointment.starts_at >= low,
        Appointment.blocked_from < high,
    )
    eager = (
        joinedload(Appointment.patient),
        joinedload(Appointment.visit_type),
        joinedload(Appointment.location, innerjoin=True),
    )
    visits = session.scalars(query.options(*eager).order_by(Appointment.starts_at)).all()
    live = live_needs(session, [visit.patient_id for visit in visits])
    return [_busy(visit, on, live.get(visit.patient_id, {})) for visit in visits]


def _busy(visit: Appointment, on: date, needs: Mapping[Need, str | None]) -> Busy:
    # An active visit has all its times: the database insists.
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    assert visit.blocked_from is not None
    assert visit.blocked_until is not None
    assert visit.location is not None
    row = Row(
        kind="visit",
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        called_name=visit.patient.full_name,
        age=_age(visit.patient, on),
        visit_name=text_of(db.session(), visit.visit_type_id).name,
        how=_how(visit),
        join_url=visit.join_url,
        status=visit.status.value,
        needs=told_at_clinic(visit, needs, without=UNTOLD),
        note=visit.note or "",
        is_over=visit.status in (Status.FULFILLED, Status.NOSHOW),
        public_id=visit.public_id,
        version=visit.version,
        is_called=visit.called_at is not None and visit.status is Status.ARRIVED,
        lacks_outcome=visit.status is Status.BOOKED and visit.ends_at <= clock.now(),
        steps=steps_for(visit, clock.now()),
    )
    return Busy(row, (visit.blocked_from, visit.blocked_until) if visit.lane == 0 else None, visit.location)


def _how(visit: Appointment) -> str | None:
    """What to do to meet the patient; the patient may have been told a stretch of the day."""
    if visit.mode is Mode.VIDEO:
        return _("By video")
    if visit.mode is not Mode.PHONE or visit.starts_at is None or visit.location is None:
        return None
    told = time_told(visit.starts_at, visit.location.zone, visit.shown_window_min)
    return _("By phone: call %(number)s. The patient was told: %(time)s.", number=visit.call_number, time=told)


def _age(patient: Patient, on: date) -> str | None:
    years = patient.age_on(on)
    if years is None:
        return None
    return ngettext("%(num)d year", "%(num)d years", years)


def _holds(session: Session, practitioner: Practitioner, low: datetime, high: datetime) -> list[Busy]:
    query = select(Hold).where(
        Hold.practitioner_id == practitioner.id,
        Hold.closed_at.is_(None),
        Hold.expires_at > clock.now(),
        Hold.starts_at >= low,
        Hold.starts_at < high,
    )
    return [
        Busy(Row("held", hold.starts_at, hold.ends_at), (hold.blocked_from, hold.blocked_until), hold.location)
        for hold in session.scalars(query.options(joinedload(Hold.location)))
    ]


def _gaps(planned: ClinicSession, busy: list[Busy]) -> Iterator[Row]:
    """What is left of a session between the times that are taken, buffers included."""
    start = planned.starts_at
    for low, high in sorted(one.blocks for one in busy if one.blocks):
        if high <= start or low >= planned.ends_at:
            continue
        if low > start:
            yield Row("free", start, low)
        start = max(start, high)
    if start < planned.ends_at:
        yield Row("free", start, planned.ends_at)


def _planned(planned: ClinicSession, busy: list[Busy]) -> SessionOfDay:
    place = planned.location
    rows = [one.row for one in busy if _holds_start(planned, one)] + list(_gaps(planned, busy))
    rows.sort(key=lambda row: row.starts_at)
    return SessionOfDay(planned.starts_at, planned.ends_at, place.zone, place.name, rows, session_id=planned.id,
                        late_min=planned.late_min)  # fmt: skip


def _stranded(one: Busy) -> SessionOfDay:
    return SessionOfDay(one.row.starts_at, one.row.ends_at, one.place.zone, one.place.name, [one.row], is_planned=False)
