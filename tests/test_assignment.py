"""UC5: who takes a visit. Rules first, then scores; the same state gives the same answer, and the reason is kept."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import SlotTaken
from clinic_portal.models import (
    Appointment,
    ClinicSession,
    Practitioner,
    PractitionerKind,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    Status,
    VisitType,
)
from clinic_portal.scheduling import booking, masks
from clinic_portal.scheduling.assignment import find_candidates
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.settings import put_setting
from tests.world import GRID, World, add_patient, add_session, at


def chosen(search: Search, starts_at: datetime) -> int:
    """Who would take the visit, without taking it."""
    return find_candidates(db.session(), load_terms(db.session(), search), starts_at)[0].practitioner_id


@writing
def prefer(session: Session, patient_id: int, practitioner_id: int, kind: PreferenceKind) -> None:
    session.add(PractitionerPreference(patient_id=patient_id, practitioner_id=practitioner_id, kind=kind))


@writing
def add_skill(session: Session, practitioner_id: int, name: str, duration_min: int = 30) -> int:
    """A new visit type that, so far, only this practitioner does."""
    visit_type = VisitType(name=name, start_step_min=15)
    session.add(visit_type)
    session.flush()
    session.add(_does(practitioner_id, visit_type.id, duration_min))
    return visit_type.id


def _does(practitioner_id: int, visit_type_id: int, duration_min: int) -> PractitionerVisitType:
    return PractitionerVisitType(practitioner_id=practitioner_id, visit_type_id=visit_type_id,
                                 duration_min=duration_min, duration_new_patient_min=duration_min)  # fmt: skip


@writing
def weigh(session: Session, **weights: int) -> None:
    for name in ("continuity", "scarcity", "load", "gaps"):
        put_setting(session, f"weight_{name}", weights.get(name, 0))


@pytest.fixture
def both(world: World) -> World:
    """Both doctors work on Tuesday morning."""
    for practitioner_id in (world.chen_id, world.diaz_id):
        add_session(practitioner_id, at(9, day=1), at(12, day=1))
    return world


def test_all_else_equal_the_answer_is_always_the_same(both: World) -> None:
    search = Search(both.check_up_id, patient_id=both.alice_id)
    assert {chosen(search, at(9, day=1)) for _ in range(3)} == {both.chen_id}


def test_the_doctor_seen_last_is_preferred_and_the_usual_one_more(both: World) -> None:
    search = Search(both.check_up_id, patient_id=both.alice_id)
    seen = booking.reserve_slot(actor=both.alice, search=search, starts_at=at(11, 30, day=1), token="past")

    @writing
    def seen_by_diaz(session: Session) -> None:
        visit = session.get_one(Appointment, seen.id)
        visit.status, visit.practitioner_id = Status.FULFILLED, both.diaz_id

    seen_by_diaz()
    assert chosen(search, at(9, day=1)) == both.diaz_id
    prefer(both.alice_id, both.chen_id, PreferenceKind.USUAL)
    assert chosen(search, at(9, day=1)) == both.chen_id


def test_never_decides_before_any_score(both: World) -> None:
    search = Search(both.check_up_id, patient_id=both.alice_id)
    prefer(both.alice_id, both.chen_id, PreferenceKind.NEVER)
    assert chosen(search, at(9, day=1)) == both.diaz_id
    prefer(both.alice_id, both.diaz_id, PreferenceKind.NEVER)
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=both.alice, search=search, starts_at=at(9, day=1), token="nobody")


def test_a_rare_skill_is_kept_free(both: World) -> None:
    add_skill(both.chen_id, "Minor procedure")
    assert chosen(Search(both.check_up_id, patient_id=both.alice_id), at(9, day=1)) == both.diaz_id


def test_work_goes_to_the_one_with_more_of_the_day_left(both: World) -> None:
    weigh(load=40)
    bob = Search(both.check_up_id, patient_id=both.bob_id)
    first = booking.reserve_slot(actor=both.bob, search=bob, starts_at=at(9, day=1), token="first")
    assert first.practitioner_id == both.chen_id
    assert chosen(Search(both.check_up_id, patient_id=both.alice_id), at(10, day=1)) == both.diaz_id


def test_workload_is_relative_to_the_time_offered(world: World) -> None:
    weigh(load=40)
    add_session(world.chen_id, at(9, day=1), at(10, day=1))
    add_session(world.diaz_id, at(9, day=1), at(13, day=1))
    bob = Search(world.vaccine_id, patient_id=world.bob_id)
    booking.reserve_slot(actor=world.bob, search=bob, starts_at=at(9, day=1), token="chen")
    booking.reserve_slot(actor=world.bob, search=bob, starts_at=at(9, 10, day=1), token="diaz")
    # One visit each: ten minutes are a sixth of Dr Chen's hour, and little of Dr Diaz's four.
    assert chosen(Search(world.vaccine_id, patient_id=world.alice_id), at(9, 30, day=1)) == world.diaz_id


def test_no_gap_is_left_that_nobody_could_use(world: World) -> None:
    weigh(gaps=30)
    add_session(world.chen_id, at(9, day=1), at(9, 35, day=1))
    add_session(world.diaz_id, at(9, day=1), at(9, 30, day=1))
    # With Dr Chen five minutes would be lost behind a check-up.
    assert chosen(Search(world.check_up_id, patient_id=world.alice_id), at(9, day=1)) == world.diaz_id


def test_the_reason_is_stored_with_the_visit(both: World) -> None:
    prefer(both.alice_id, both.diaz_id, PreferenceKind.USUAL)
    search = Search(both.check_up_id, patient_id=both.alice_id)
    visit = booking.reserve_slot(actor=both.alice, search=search, starts_at=at(9, day=1), token="why")
    assert visit.practitioner_id == both.diaz_id
    assert visit.choice["familiar"] == "usual"
    assert visit.choice["candidates"] == 2
    assert set(visit.choice) >= {"continuity", "scarcity", "load", "gaps", "total"}


def test_keeping_scarce_skills_free_refuses_fewer_patients_than_even_load_alone(world: World) -> None:
    """Four doctors, one of them with a skill nobody else has; visits of both kinds come in random order.

    Source: UC5.2; the policy must beat plain least-loaded assignment, which is its control here.
    """
    refused = {}
    for policy, weights in (("load only", {"load": 40}), ("scarcity too", {"load": 40, "scarcity": 60})):
        refused[policy] = sum(_refusals(world, policy, seed, weights) for seed in range(3))
    assert refused["load only"] > 0
    assert refused["scarcity too"] < refused["load only"]


def _refusals(world: World, policy: str, seed: int, weights: dict[str, int]) -> int:
    weigh(**weights)
    day = 2 + seed + (10 if policy == "load only" else 0)
    rare_id, patients = _crowd(f"{policy}-{seed}", world, day)
    rng = random.Random(seed)
    # Seven places for the rare kind, 21 for the common one; about four fifths are asked for.
    wanted = [rare_id] * 6 + [world.check_up_id] * 17
    rng.shuffle(wanted)
    return sum(
        not _booked_somewhere(world, visit_type_id, patient_id, day, rng)
        for visit_type_id, patient_id in zip(wanted, patients, strict=True)
    )


def _booked_somewhere(world: World, visit_type_id: int, patient_id: int, day: int, rng: random.Random) -> bool:
    search = Search(visit_type_id, patient_id=patient_id)
    starts = [at(9, day=day) + timedelta(minutes=30 * step) for step in range(7)]
    rng.shuffle(starts)
    for starts_at in starts:
        try:
            token = f"{visit_type_id}-{patient_id}-{starts_at.isoformat()}"
            booking.reserve_slot(actor=world.erin, search=search, starts_at=starts_at, token=token)
        except SlotTaken:
            continue
        return True
    return False


@writing
def _crowd(session: Session, name: str, world: World, day: int) -> tuple[int, list[int]]:
    """Two helpers and a specialist beside the two doctors' empty day; 23 patients."""
    rare = VisitType(name=f"Rare {name}", start_step_min=30)
    session.add(rare)
    people = [Practitioner(name=f"Dr {name} {number}", kind=PractitionerKind.DOCTOR) for number in range(4)]
    session.add_all(people)
    session.flush()
    for person in people:
        session.add(_does(person.id, world.check_up_id, 30))
        session.add(_session(person.id, day))
    # The specialist comes first in every tie.
    session.add(_does(people[0].id, rare.id, 30))
    patients = [add_patient(session, f"P{number}", name, email=False).id for number in range(23)]
    return rare.id, patients


def _session(practitioner_id: int, day: int) -> ClinicSession:
    starts_at, ends_at = at(9, day=day), at(12, 30, day=day)
    first = masks.to_cell(starts_at, GRID)
    return ClinicSession(practitioner_id=practitioner_id, location_id=1, starts_at=starts_at, ends_at=ends_at,
                         first_cell=first, cell_count=42, free=masks.run(42), bookable_from=clock.ALWAYS)  # fmt: skip
