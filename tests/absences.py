"""A morning on which Dr Chen, with 24 visits, calls in sick, and five others are partly free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Absence,
    AbsenceReason,
    Appointment,
    ContactKind,
    ContactPoint,
    ExceptionKind,
    Mode,
    Practitioner,
    PractitionerKind,
    PractitionerVisitType,
    Relation,
    VisitType,
)
from clinic_portal.scheduling.absence import apply_absence
from clinic_portal.scheduling.absence_options import Away, Choice
from clinic_portal.scheduling.absence_plan import NO_CHOICES, Choices, Plan, make_plan
from clinic_portal.scheduling.absence_undo import undo_absence
from clinic_portal.scheduling.blocks import Away as Period
from tests.bookings import book
from tests.plans import MON, TUE, hm
from tests.rota import TODAY, block, work
from tests.world import ZONE, World, add_patient, at

SEVEN = at(7)
VISITS = 24
_tokens = (f"absence-{number}" for number in count())


@dataclass
class Morning:
    """Ids of what happens on it."""

    world: World
    talk_id: int = 0
    others: list[int] = field(default_factory=list)
    visits: list[int] = field(default_factory=list)

    @property
    def away(self) -> Away:
        return Away(self.world.chen_id, *self.period.bounds())

    @property
    def period(self) -> Period:
        return Period(ExceptionKind.OFF, ZONE, TODAY, hm("00:00"), TODAY, hm("24:00"))


@writing
def _furnish(session: Session, morning: Morning, others: int) -> None:
    world = morning.world
    talk = VisitType(name="Consultation", start_step_min=15, hint="A talk",
                     modes=frozenset({Mode.IN_PERSON, Mode.PHONE}))  # fmt: skip
    session.add(talk)
    session.flush()
    doers = [world.chen_id]
    for number in range(others):
        doctor = Practitioner(
            name=f"Dr Other {number}", kind=PractitionerKind.DOCTOR, email=f"other{number}@example.org"
        )
        session.add(doctor)
        session.flush()
        doers.append(doctor.id)
    for doer in doers:
        session.add(PractitionerVisitType(practitioner_id=doer, visit_type_id=talk.id, duration_min=15,
                                          duration_new_patient_min=15))  # fmt: skip
    morning.talk_id, morning.others = talk.id, doers[1:]


@writing
def new_patient(session: Session, number: int, *, email: bool = True, mobile: bool = True) -> int:
    """A patient with a name of their own."""
    patient = add_patient(session, f"Pat{number}", f"Ient{number}", email=email)
    if mobile:
        session.add(ContactPoint(patient_id=patient.id, kind=ContactKind.MOBILE, whose=Relation.SELF,
                                 value=f"07700 900{number:03d}"))  # fmt: skip
    return patient.id


def sick_morning(world: World, *, visits: int = VISITS, others: int = 5, is_busy: bool = True) -> Morning:
    """Dr Chen has a visit every 15 minutes from eight.

    The others work two hours each, later ones later, and one on the next day; some of it is taken. Every sixth patient
    has no mailbox, and of these every second no mobile.
    """
    morning = Morning(world)
    _furnish(morning, others)
    work(world, block(world, MON, "08:00", "14:00"), actor=world.erin)
    for number in range(visits):
        bare = number % 6 == 0
        patient_id = new_patient(number, email=not bare, mobile=number % 12 != 0)
        visit = book(world, at(8) + timedelta(minutes=15 * number), visit_type_id=morning.talk_id,
                     patient_id=patient_id, actor=world.erin)  # fmt: skip
        morning.visits.append(visit.id)
    for number, doctor in enumerate(morning.others):
        start = 8 * 60 + 60 * number
        hours = (f"{each // 60:02d}:{each % 60:02d}" for each in (start, start + 120))
        work(world, block(world, MON, *hours), block(world, TUE, "09:00", "10:00"), practitioner_id=doctor,
             actor=world.erin)  # fmt: skip
    for number in range(others * 2 if is_busy else 0):
        # The first and the last but one hour of each.
        taken = at(8 + number // 2, 75 * (number % 2) % 60) + timedelta(hours=number % 2)
        book(world, taken, visit_type_id=morning.talk_id, patient_id=new_patient(100 + number), actor=world.erin)
    return morning


def plan_of(morning: Morning, pins: Choices = NO_CHOICES) -> Plan:
    """The plan as a page shows it now."""
    db.session().rollback()
    db.session().expire_all()
    return make_plan(db.session(), morning.away, pins)


def as_planned(plan: Plan) -> dict[int, Choice]:
    return {one.visit.id: one.chosen for one in plan.visits}


def apply(
    morning: Morning, choices: Mapping[int, Choice], *, token: str = "", actor: Actor | None = None,
    period: Period | None = None,
) -> Absence:  # fmt: skip
    """By the desk, because Dr Chen is sick today, unless it is said otherwise."""
    return apply_absence(actor=actor or morning.world.erin, practitioner_id=morning.world.chen_id,
                         period=period or morning.period, reason=AbsenceReason.SICK, choices=choices,
                         token=token or next(_tokens))  # fmt: skip


def undo(morning: Morning, absence: Absence, *, token: str = "") -> Absence:
    return undo_absence(actor=morning.world.erin, absence_id=absence.id, token=token or next(_tokens))


def where(morning: Morning) -> dict[int, tuple[str, int | None, datetime | None, str, int]]:
    """How each visit of the morning stands, read afresh."""
    session = db.session()
    session.rollback()
    session.expire_all()
    rows = session.scalars(select(Appointment).where(Appointment.id.in_(morning.visits)))
    return {
        row.id: (row.status.value, row.practitioner_id, row.starts_at, row.mode.value, row.sequence) for row in rows
    }


# What racing processes do. They return ids, since rows stay behind in their process.


def apply_here(morning: Morning, choices: Mapping[int, Choice], token: str, version: int | None = None) -> int:
    return apply_absence(
        actor=morning.world.erin, practitioner_id=morning.world.chen_id, period=morning.period,
        reason=AbsenceReason.SICK, choices=choices, token=token, expected_version=version,
    ).id  # fmt: skip


def undo_here(morning: Morning, absence_id: int, token: str) -> list[int]:
    """The visits that stay where they are."""
    undone = undo_absence(actor=morning.world.erin, absence_id=absence_id, token=token)
    return [row.appointment_id for row in undone.visits if row.stays_because]
