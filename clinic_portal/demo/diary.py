"""The diary of the demo clinic: who may come when, and putting one visit into a session."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta

from clinic_portal import clock
from clinic_portal.demo import rota
from clinic_portal.demo.chance import public_id
from clinic_portal.demo.clinic import Clinic
from clinic_portal.demo.lives import Moment, ask, live
from clinic_portal.demo.meetings import meeting_of
from clinic_portal.demo.people import Person
from clinic_portal.models import Account, Appointment, ClinicSession, PractitionerVisitType
from clinic_portal.scheduling import masks

AGES = {rota.SEXUAL_HEALTH: range(16, 66), rota.PROCEDURE: range(18, 90), rota.PHYSIO: range(8, 100)}
ANY_AGE = range(130)
# Visits ahead: one of a kind, and so many in all; more for those who book by phone, where nobody counts.
MOST_AHEAD_ONLINE, MOST_AHEAD_BY_PHONE = 3, 5
DAYS_BETWEEN = 4
# People are registered before they first ask, at most two weeks and a weekend ahead of the visit.
REGISTERED_BEFORE = timedelta(days=16)
# How long somebody counts as new to the clinic.
NEW_FOR = timedelta(days=40)
ENTERED_IN_ERROR_EVERY = 150


@dataclass
class Diary:
    """Everything that a further visit must fit in with."""

    rng: random.Random
    clinic: Clinic
    moment: Moment
    people: list[Person]
    desk: Account
    visits: list[Appointment] = field(default_factory=list)
    days_of: dict[int, list[date]] = field(default_factory=lambda: defaultdict(list))
    ahead: Counter[int] = field(default_factory=Counter)
    ahead_of_kind: set[tuple[int, int]] = field(default_factory=set)

    def name_of(self, skill: PractitionerVisitType) -> str:
        return self.clinic.kinds[skill.visit_type_id]

    def skills_for(self, work: ClinicSession) -> list[PractitionerVisitType]:
        """What the session's practitioner does in it."""
        return [
            skill
            for skill in self.clinic.skills
            if skill.practitioner_id == work.practitioner_id
            and (not work.visit_type_ids or skill.visit_type_id in work.visit_type_ids)
        ]


def day_of(work: ClinicSession) -> date:
    """The day of a session at the clinic."""
    return clock.local_date(work.starts_at, rota.ZONE)


def may_come(diary: Diary, person: Person, work: ClinicSession, skill: PractitionerVisitType) -> bool:
    """Whether this person could have such a visit in that session."""
    patient, day, today = person.patient, day_of(work), diary.moment.today
    if person.never_id == work.practitioner_id or patient.age_on(day) not in AGES.get(diary.name_of(skill), ANY_AGE):
        return False
    if patient.deceased_on is not None and day >= patient.deceased_on:
        return False
    if min(day, today) - patient.registered_on < REGISTERED_BEFORE:
        return False
    if any(abs((day - other).days) < DAYS_BETWEEN for other in diary.days_of[patient.id]):
        return False
    return day < today or _has_room(diary, person, skill)


def _has_room(diary: Diary, person: Person, skill: PractitionerVisitType) -> bool:
    most = MOST_AHEAD_ONLINE if person.account else MOST_AHEAD_BY_PHONE
    has_one = (person.patient.id, skill.visit_type_id) in diary.ahead_of_kind
    return not has_one and diary.ahead[person.patient.id] < most


def book(
    diary: Diary, work: ClinicSession, skill: PractitionerVisitType, person: Person, *, is_sure: bool = False
) -> bool:
    """Put one visit into a session if it fits; a sure one is not called off or missed."""
    grid_min = diary.clinic.grid_min
    is_new = day_of(work) - person.patient.registered_on < NEW_FOR
    visit_cells = (skill.duration_new_patient_min if is_new else skill.duration_min) // grid_min
    cells = visit_cells + skill.buffer_after_min // grid_min
    step_cells = diary.clinic.visit_types[diary.name_of(skill)].start_step_min // grid_min
    steps = masks.aligned(work.first_cell, work.cell_count, step_cells)
    starts = list(masks.bits(masks.starts(work.free, cells) & steps))
    if not starts:
        return False
    # Most people take the first time there is; the rest of the session stays in one piece, for longer visits.
    at = starts[0] if diary.rng.random() < 0.75 else diary.rng.choice(starts)
    how = meeting_of(diary.rng, person, work, diary.clinic.visit_types[diary.name_of(skill)])
    if how is None:
        return False
    visit = ask(diary.rng, diary.moment, person, diary.desk, day_of(work), work)
    for name, value in how.items():
        setattr(visit, name, value)
    visit.public_id = public_id(diary.rng)
    visit.visit_type_id, visit.practitioner_id = skill.visit_type_id, work.practitioner_id
    visit.location_id, visit.lane = work.location_id, 0
    first = work.first_cell + at
    visit.starts_at = visit.blocked_from = masks.to_instant(first, grid_min)
    visit.ends_at = masks.to_instant(first + visit_cells, grid_min)
    visit.blocked_until = masks.to_instant(first + cells, grid_min)
    is_error = len(diary.visits) % ENTERED_IN_ERROR_EVERY == ENTERED_IN_ERROR_EVERY - 1
    live(diary.rng, diary.moment, visit, is_sure=is_sure, is_error=is_error and not is_sure)
    _keep(diary, work, visit, masks.run(cells) << at)
    return True


def _keep(diary: Diary, work: ClinicSession, visit: Appointment, cells: int) -> None:
    """Note the visit and, unless it was called off, take its time from the session and from the patient."""
    diary.visits.append(visit)
    if not visit.is_active:
        return
    work.free &= ~cells
    diary.days_of[visit.patient_id].append(day_of(work))
    if day_of(work) >= diary.moment.today:
        diary.ahead[visit.patient_id] += 1
        diary.ahead_of_kind.add((visit.patient_id, visit.visit_type_id))
