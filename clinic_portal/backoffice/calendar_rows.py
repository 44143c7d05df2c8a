"""What the calendar is drawn from: a handful of queries, as many for one clinician as for fifty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import aliased

from clinic_portal.database import db
from clinic_portal.models import (
    ACTIVE,
    MAX_CELLS,
    Appointment,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Hold,
    Patient,
    Practitioner,
    PractitionerVisitType,
    RuleKind,
    SessionStatus,
    Status,
    VisitType,
)
from clinic_portal.scheduling.needs import Live, live_needs
from clinic_portal.scheduling.strips import cells_touched

Query = Select[*tuple[Any, ...]]
# No visit and no kept time is longer.
LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """What is looked at: from one instant to another, where and whose; None for all that may be seen."""

    low: datetime
    high: datetime
    first: date
    last: date
    grid_min: int
    places: frozenset[int] | None
    practitioner_ids: frozenset[int] | None

    def narrow(self, query: Query, model: Any) -> Query:
        """Only rows of these places and clinicians."""
        if self.places is not None:
            query = query.where(model.location_id.in_(self.places))
        return self.of_clinicians(query, model)

    def of_clinicians(self, query: Query, model: Any) -> Query:
        if self.practitioner_ids is not None:
            query = query.where(model.practitioner_id.in_(self.practitioner_ids))
        return query


@dataclass(frozen=True)
class Rows:
    """Everything that stands in the window, as read."""

    window: Window
    sessions: Sequence[Any]
    visits: Sequence[Any]
    holds: Sequence[Any]
    breaks: Sequence[Any]
    away: Sequence[Any]
    closures: Sequence[Any]
    # By patient.
    needs: Live
    # By clinician, the length of the shortest visit with its buffers.
    shortest: dict[int, int]

    @cached_property
    def by_clinician(self) -> dict[str, dict[int, list[Any]]]:
        """What belongs to somebody, by kind and whose it is, each in order."""
        found: dict[str, dict[int, list[Any]]] = {}
        for name in ("sessions", "visits", "holds", "breaks", "away"):
            mine = found.setdefault(name, {})
            for row in getattr(self, name):
                mine.setdefault(row.practitioner_id, []).append(row)
        return found


def read_rows(window: Window) -> Rows:
    """Read the window."""
    visits = db.session.execute(_visits(window)).all()
    sessions = db.session.execute(_sessions(window)).all()
    working = {row.practitioner_id for row in (*sessions, *visits)}
    return Rows(
        window,
        sessions,
        visits,
        db.session.execute(_holds(window)).all(),
        db.session.execute(_breaks(window, working)).all(),
        db.session.execute(_away(window, working)).all(),
        db.session.execute(_closures(window)).all(),
        live_needs(db.session(), {row.patient_id for row in visits}),
        {row[0]: row[1] for row in db.session.execute(_shortest(working))},
    )


def _sessions(window: Window) -> Query:
    low, high = cells_touched(window.low, window.high, window.grid_min)
    query = select(
        ClinicSession.practitioner_id,
        ClinicSession.location_id,
        ClinicSession.starts_at,
        ClinicSession.ends_at,
        ClinicSession.first_cell,
        ClinicSession.cell_count,
        ClinicSession.free,
        ClinicSession.audience,
        ClinicSession.bookable_from,
        ClinicSession.modes,
        ClinicSession.visit_type_ids,
        ClinicSession.late_min,
    ).where(
        ClinicSession.first_cell > low - MAX_CELLS,
        ClinicSession.first_cell < high,
        ClinicSession.ends_at > window.low,
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
    )
    return window.narrow(query, ClinicSession).order_by(ClinicSession.first_cell)


def _visits(window: Window) -> Query:
    earlier = aliased(Appointment)
    was_here = select(earlier.id).where(
        earlier.patient_id == Appointment.patient_id,
        earlier.status == Status.FULFILLED,
        earlier.starts_at < Appointment.starts_at,
    )
    query = (
        select(
            Appointment.id,
            Appointment.public_id,
            Appointment.version,
            Appointment.practitioner_id,
            Appointment.location_id,
            Appointment.patient_id,
            Appointment.status,
            Appointment.lane,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.blocked_from,
            Appointment.blocked_until,
            Appointment.arrived_at,
            Appointment.called_at,
            Appointment.confirmation,
            Appointment.mode,
            Appointment.wishes,
            Appointment.extra_minutes,
            Appointment.is_private,
            Appointment.note.is_not(None).label("has_note"),
            Patient.given_name,
            Patient.family_name,
            Patient.birth_on,
            VisitType.name.label("visit_name"),
            was_here.exists().label("was_here"),
        )
        .join(Patient, Patient.id == Appointment.patient_id)
        .join(VisitType, VisitType.id == Appointment.visit_type_id)
        .where(
            Appointment.status.in_(ACTIVE),
            Appointment.starts_at > window.low - LONGEST,
            Appointment.starts_at < window.high,
            Appointment.ends_at > window.low,
        )
    )
    return window.narrow(query, Appointment).order_by(Appointment.starts_at, Appointment.id)


def _holds(window: Window) -> Query:
    query = select(
        Hold.practitioner_id, Hold.location_id, Hold.starts_at, Hold.ends_at, Hold.blocked_from, Hold.blocked_until,
        Hold.expires_at, Hold.lane,
    ).where(
        Hold.closed_at.is_(None),
        Hold.starts_at > window.low - LONGEST,
        Hold.starts_at < window.high,
        Hold.ends_at > window.low,
    )  # fmt: skip
    return window.narrow(query, Hold).order_by(Hold.starts_at, Hold.id)


def _breaks(window: Window, working: set[int]) -> Query:
    """The weekly breaks that may fall into the window; `takes_place_on` decides."""
    return select(
        AvailabilityRule.practitioner_id, AvailabilityRule.location_id, AvailabilityRule.weekday,
        AvailabilityRule.starts_min, AvailabilityRule.ends_min, AvailabilityRule.valid_from,
        AvailabilityRule.valid_until, AvailabilityRule.every_n_weeks, AvailabilityRule.anchor_on,
        AvailabilityRule.nth_of_month,
    ).where(
        AvailabilityRule.kind == RuleKind.BREAK,
        AvailabilityRule.practitioner_id.in_(working),
        AvailabilityRule.valid_from <= window.last,
        or_(AvailabilityRule.valid_until.is_(None), AvailabilityRule.valid_until >= window.first),
    )  # fmt: skip


def _away(window: Window, working: set[int]) -> Query:
    return select(
        AvailabilityException.practitioner_id, AvailabilityException.zone, AvailabilityException.starts_on,
        AvailabilityException.starts_min, AvailabilityException.ends_on, AvailabilityException.ends_min,
    ).where(
        AvailabilityException.kind == ExceptionKind.OFF,
        AvailabilityException.status == ExceptionStatus.APPROVED,
        AvailabilityException.practitioner_id.in_(working),
        AvailabilityException.starts_on <= window.last,
        AvailabilityException.ends_on >= window.first,
    )  # fmt: skip


def _closures(window: Window) -> Query:
    query = select(Closure.location_id, Closure.first_on, Closure.last_on, Closure.name).where(
        Closure.first_on <= window.last, Closure.last_on >= window.first
    )
    if window.places is not None:
        query = query.where(or_(Closure.location_id.is_(None), Closure.location_id.in_(window.places)))
    return query.order_by(Closure.first_on, Closure.id)


def _shortest(working: set[int]) -> Query:
    length = (
        PractitionerVisitType.duration_min
        + PractitionerVisitType.buffer_before_min
        + PractitionerVisitType.buffer_after_min
    )
    return (
        select(PractitionerVisitType.practitioner_id, func.min(length))
        .where(PractitionerVisitType.is_active, PractitionerVisitType.practitioner_id.in_(working))
        .group_by(PractitionerVisitType.practitioner_id)
    )


def clinicians() -> list[Any]:
    """Every clinician with id, public id and name, by name."""
    query = select(Practitioner.id, Practitioner.public_id, Practitioner.name, Practitioner.is_active)
    return list(db.session.execute(query.order_by(Practitioner.name, Practitioner.id)))
