"""The clinic that is simulated: six clinicians, three kinds of visits, hours with protected time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import writing
from clinic_portal.models import Practitioner, PractitionerKind, PractitionerVisitType, VisitType
from tests.world import GRID, ZONE, World, add_patient, add_session, build_world

FIRST_DAY = date(2026, 3, 2)
DOCTORS = 6
# Minutes on the wall clock; the first hour after noon is protected until the day before.
MORNING, PROTECTED, AFTERNOON = (9 * 60, 13 * 60), (14 * 60, 15 * 60), (15 * 60, 17 * 60)
RELEASED_BEFORE = timedelta(hours=24)
# One of them works Mondays to Wednesdays only.
SHORT_WEEK, SHORT_DAYS = 5, 3
WORKING_DAYS = 5


@dataclass(frozen=True)
class Kind:
    """A kind of visit: how long it takes, how often it is asked for, and who does it."""

    name: str
    minutes: int
    share: float
    doctors: tuple[int, ...]


KINDS = (
    Kind("Check-up", 20, 0.60, (0, 1, 2, 3, 4, 5)),
    Kind("Long check-up", 40, 0.25, (0, 1, 2, 3)),
    # A rare skill.
    Kind("Procedure", 30, 0.15, (0, 4)),
)
MEAN_MINUTES = sum(kind.minutes * kind.share for kind in KINDS)


@dataclass
class Clinic:
    """Ids of everything, plain, so that they survive any session."""

    world: World
    doctors: list[int] = field(default_factory=list)
    # By kind, in the order of KINDS.
    visit_types: list[int] = field(default_factory=list)
    patients: list[int] = field(default_factory=list)

    @property
    def desk(self) -> Actor:
        return self.world.erin

    @property
    def patient(self) -> Actor:
        """As whom everybody asks: what one may ask is not what is looked at here."""
        return Actor(ActorKind.PATIENT, self.world.accounts["alice"])


def build(days: int, patients: int) -> Clinic:
    """Everything in an empty, migrated database, with hours for so many days and the three weeks after them."""
    clinic = Clinic(build_world())
    _add_people(clinic, patients)
    for day in _days(days + 21):
        for number, doctor_id in enumerate(clinic.doctors):
            if works(number, day):
                _add_hours(clinic, doctor_id, day)
    return clinic


def works(number: int, day: date) -> bool:
    """Whether a clinician works on a day. Args: number, counted from 0."""
    return day.weekday() < (SHORT_DAYS if number == SHORT_WEEK else WORKING_DAYS)


def offered_minutes(day: date) -> int:
    """All time of a day, protected or not."""
    each = sum(last - first for first, last in (MORNING, PROTECTED, AFTERNOON))
    return each * sum(works(number, day) for number in range(DOCTORS))


def _days(count: int) -> list[date]:
    return [FIRST_DAY + timedelta(days=number) for number in range(count)]


@writing
def _add_people(session: Session, clinic: Clinic, patients: int) -> None:
    for kind in KINDS:
        visit_type = VisitType(name=kind.name, start_step_min=10)
        session.add(visit_type)
        session.flush()
        clinic.visit_types.append(visit_type.id)
    for number in range(DOCTORS):
        doctor = Practitioner(name=f"Dr {number}", kind=PractitionerKind.DOCTOR)
        session.add(doctor)
        session.flush()
        clinic.doctors.append(doctor.id)
        for kind, visit_type_id in zip(KINDS, clinic.visit_types, strict=True):
            if number in kind.doctors:
                session.add(PractitionerVisitType(practitioner_id=doctor.id, visit_type_id=visit_type_id,
                                                  duration_min=kind.minutes,
                                                  duration_new_patient_min=kind.minutes))  # fmt: skip
    clinic.patients.extend(add_patient(session, f"P{number}", "Simulated").id for number in range(patients))


def _add_hours(clinic: Clinic, doctor_id: int, day: date) -> None:
    for first, last in (MORNING, PROTECTED, AFTERNOON):
        start, end = wall(day, first), wall(day, last)
        released = {"bookable_from": start - RELEASED_BEFORE} if (first, last) == PROTECTED else {}
        add_session(doctor_id, start, end, clinic.world.location_id, **released)


def wall(day: date, minute: int) -> datetime:
    """An instant from the clock on the clinic's wall."""
    return clock.wall_to_instant(day, minute, ZONE)


CELL = timedelta(minutes=GRID)
