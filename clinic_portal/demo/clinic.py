"""The demo clinic without its patients: settings, places, visit types, clinicians, their weeks and their sessions."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.demo import german, rota
from clinic_portal.demo.chance import public_id
from clinic_portal.demo.rota import Block, Clinician
from clinic_portal.demo.sign_ins import AccountBook
from clinic_portal.models import (
    AvailabilityException,
    AvailabilityRule,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Location,
    LocationText,
    Practitioner,
    PractitionerVisitType,
    RoleName,
    VisitType,
    VisitTypeText,
)
from clinic_portal.scheduling.sessions import write_sessions
from clinic_portal.settings import BY_NAME, name_in, put_setting

DAYS_BACK = 28
DAYS_AHEAD = 28


@dataclass(frozen=True)
class Clinic:
    """What visits need to know of the clinic; all by name."""

    grid_min: int
    places: dict[str, Location]
    visit_types: dict[str, VisitType]
    practitioners: dict[str, Practitioner]
    skills: list[PractitionerVisitType]

    @cached_property
    def kinds(self) -> dict[int, str]:
        """The name of each visit type by its id."""
        return {visit_type.id: name for name, visit_type in self.visit_types.items()}


def add_clinic(session: Session, rng: random.Random, accounts: AccountBook, today: date, grid_min: int) -> Clinic:
    """Write everything that stands before the first patient comes, and the sessions of past and future weeks."""
    places = {row["name"]: Location(public_id=public_id(rng), zone=rota.ZONE, **row) for row in rota.LOCATIONS}
    visit_types = {
        row["name"]: VisitType(public_id=public_id(rng), sort_order=order, **row)
        for order, row in enumerate(rota.VISIT_TYPES, start=1)
    }
    for name, place in places.items():
        place.texts = [LocationText(language=german.LANGUAGE, **german.PLACE_TEXTS[name])]
    for name, visit_type in visit_types.items():
        visit_type.texts = [VisitTypeText(language=german.LANGUAGE, **german.VISIT_TEXTS[name])]
        visit_type.start_step_min = whole_cells_min(visit_type.start_step_min, grid_min)
    session.add_all([*places.values(), *visit_types.values()])
    practitioners = {each.name: _practitioner(rng, accounts, each) for each in rota.CLINICIANS}
    session.add_all(practitioners.values())
    session.flush()
    clinic = Clinic(grid_min, places, visit_types, practitioners, [])
    for each in rota.CLINICIANS:
        clinic.skills.extend(_skills(clinic, each))
    session.add_all(clinic.skills)
    _put_settings(session, clinic)
    _add_weeks(session, clinic, today)
    _add_exceptions(session, clinic, today)
    session.flush()
    _write_sessions(session, clinic, today)
    return clinic


def whole_cells_min(minutes: int, grid_min: int) -> int:
    """The minutes of the whole schedule cells that cover so many minutes."""
    return -(-minutes // grid_min) * grid_min


def _practitioner(rng: random.Random, accounts: AccountBook, each: Clinician) -> Practitioner:
    return Practitioner(public_id=public_id(rng), account=accounts.open(each.email, RoleName.PRACTITIONER),
                        name=each.name, email=each.email, kind=each.kind, gender=each.gender)  # fmt: skip


def _skills(clinic: Clinic, each: Clinician) -> list[PractitionerVisitType]:
    return [
        PractitionerVisitType(
            practitioner_id=clinic.practitioners[each.name].id,
            visit_type_id=clinic.visit_types[name].id,
            duration_min=whole_cells_min(known, clinic.grid_min),
            duration_new_patient_min=whole_cells_min(new, clinic.grid_min),
            buffer_after_min=whole_cells_min(rota.BUFFER_AFTER_MIN[name], clinic.grid_min),
        )
        for name, (known, new) in each.does.items()
    ]


def _put_settings(session: Session, clinic: Clinic) -> None:
    for name, value in {**rota.CLINIC_SETTINGS, "grid_min": clinic.grid_min}.items():
        put_setting(session, name, value)
    for name, text in german.SETTINGS.items():
        put_setting(session, name_in(name, german.LANGUAGE), text)
    for name, visit_type, value in rota.VISIT_TYPE_SETTINGS:
        put_setting(session, name, value, clinic.visit_types[visit_type].id)


def _add_weeks(session: Session, clinic: Clinic, today: date) -> None:
    first = _monday(today - timedelta(days=DAYS_BACK))
    for each in rota.CLINICIANS:
        practitioner_id = clinic.practitioners[each.name].id
        session.add_all(
            _rule(clinic, practitioner_id, block, weekday, first) for block in each.blocks for weekday in block.days
        )


def _rule(clinic: Clinic, practitioner_id: int, block: Block, weekday: int, first: date) -> AvailabilityRule:
    policy, before, at = block.release
    return AvailabilityRule(
        practitioner_id=practitioner_id,
        location_id=clinic.places[block.place].id,
        kind=block.kind,
        weekday=weekday,
        starts_min=rota.minutes(block.starts),
        ends_min=rota.minutes(block.ends),
        valid_from=first,
        every_n_weeks=1 if block.week is None else 2,
        anchor_on=None if block.week is None else first + timedelta(weeks=block.week),
        audience=block.audience,
        modes=block.modes,
        visit_type_ids=frozenset(clinic.visit_types[name].id for name in block.only),
        release_policy=policy,
        release_before=before,
        release_at_min=rota.minutes(at),
    )


def _add_exceptions(session: Session, clinic: Clinic, today: date) -> None:
    """A course, an illness, a flu Saturday, leave that waits for approval, and a training day at one place."""

    def differs(name: str, kind: ExceptionKind, first: date, days: int, reason: str) -> AvailabilityException:
        return AvailabilityException(
            practitioner_id=clinic.practitioners[name].id, kind=kind, status=ExceptionStatus.APPROVED, zone=rota.ZONE,
            starts_on=first, starts_min=0, ends_on=first + timedelta(days=days - 1), ends_min=clock.DAY_MIN,
            reason=reason)  # fmt: skip

    course = differs("Dr Samuel Brandt", ExceptionKind.OFF, _next(rota.TUE, today, 9), 2, "Course")
    ill = differs("Dr Leila Haddad", ExceptionKind.OFF, _next(rota.THU, today, -14), 1, "Ill")
    extra = differs("Nurse Grace Adeyemi", ExceptionKind.EXTRA, _next(rota.SAT, today, 5), 1, "Flu Saturday")
    extra.location_id = clinic.places[rota.HARBOUR].id
    extra.starts_min, extra.ends_min = rota.minutes("09:00"), rota.minutes("12:00")
    leave = differs("Dr Kwame Mensah", ExceptionKind.OFF, _next(rota.MON, today, 40), 5, "Holiday")
    leave.status = ExceptionStatus.REQUESTED
    training = _next(rota.FRI, today, 16)
    session.add_all([course, ill, extra, leave])
    session.add(Closure(location_id=clinic.places[rota.MILL].id, first_on=training, last_on=training,
                        name="Staff training"))  # fmt: skip


def _write_sessions(session: Session, clinic: Clinic, today: date) -> None:
    first_day = today - timedelta(days=DAYS_BACK)
    last_day = today + timedelta(days=BY_NAME["sessions_ahead_days"].default)
    # Sessions are never changed after the event, so those of past weeks are written as if it were then.
    with clock.clock_at(clock.day_bounds(first_day, rota.ZONE)[0]):
        for practitioner in clinic.practitioners.values():
            write_sessions(session, practitioner.id, first_day, last_day)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _next(weekday: int, today: date, after_days: int) -> date:
    """The first such weekday at least so many days after today."""
    day = today + timedelta(days=after_days)
    return day + timedelta(days=(weekday - day.weekday()) % 7)
