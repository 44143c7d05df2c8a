"""Several people drag visits onto one time while others book it, and several drag one visit: one of them gets it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from clinic_portal.audit import ActorKind
from clinic_portal.database import db, writing
from clinic_portal.scheduling.exactly import Spot
from clinic_portal.scheduling.search import Search
from tests import racing
from tests.asking import fresh
from tests.bookings import messages_of
from tests.calendars import book_with
from tests.invariants import broken_invariants, check_invariants
from tests.racing import Race, call
from tests.world import World, add_patient, add_session, at

pytestmark = pytest.mark.slow

GOAL = at(14, day=1)
MOVERS, BOOKERS = 8, 8


@writing
def new_patient(session: Session, number: int) -> int:
    return add_patient(session, f"Patient{number}", "Racer").id


@pytest.fixture
def visits(any_world: World) -> list[int]:
    """Dr Chen's, half an hour each from nine on; Dr Diaz has nothing yet."""
    for who in (any_world.chen_id, any_world.diaz_id):
        add_session(who, at(9, day=1), at(14, day=1))
        add_session(who, at(14, day=1), at(17, day=1))
    starts = (at(9, day=1) + timedelta(minutes=30) * number for number in range(MOVERS))
    return [
        book_with(any_world, any_world.chen_id, starts_at, patient_id=new_patient(number)).id
        for number, starts_at in enumerate(starts)
    ]


def test_of_all_who_drag_or_book_onto_one_time_one_gets_it_and_the_others_keep_theirs(
    any_world: World, visits: list[int], race: Race
) -> None:
    spot = Spot(any_world.diaz_id, GOAL)
    before = {each: fresh(each).starts_at for each in visits}
    calls = [
        call(racing.move_there, actor=any_world.erin, appointment_id=each, spot=spot, token=f"drag-{each}", version=1)
        for each in visits
    ]
    calls += [
        call(racing.reserve_there, actor=any_world.erin, spot=spot, token=f"book-{number}",
             search=Search(any_world.check_up_id, new_patient(100 + number), by=ActorKind.STAFF))
        for number in range(BOOKERS)
    ]  # fmt: skip
    outcomes = race(calls)
    assert Counter(outcome.refusal for outcome in outcomes) == {None: 1, "slot_taken": MOVERS + BOOKERS - 1}
    [winner] = [outcome.value for outcome in outcomes if outcome.is_done]
    assert (fresh(winner).practitioner_id, fresh(winner).starts_at) == (any_world.diaz_id, GOAL)
    stays = [each for each in visits if each != winner]
    assert {each: fresh(each).starts_at for each in stays} == {each: before[each] for each in stays}
    assert not [row for each in stays for row in messages_of(each) if row.sequence]
    check_invariants(db.session())


def test_the_same_drags_without_the_guards_put_several_onto_one_time(
    any_world: World, visits: list[int], race: Race
) -> None:
    """The control."""
    racing.drop_guarantees(db.session())
    spot = Spot(any_world.chen_id, GOAL)
    outcomes = race([call(racing.naive_move, appointment_id=each, spot=spot) for each in visits])
    assert sum(outcome.is_done for outcome in outcomes) > 1
    assert broken_invariants(db.session())


def test_of_all_who_drag_one_visit_somewhere_one_does_and_the_others_are_told(
    any_world: World, visits: list[int], race: Race
) -> None:
    goals = [Spot(any_world.diaz_id, GOAL + timedelta(minutes=10) * number) for number in range(8)]
    outcomes = race([
        call(racing.move_there, actor=any_world.erin, appointment_id=visits[0], spot=spot, token=f"one-{number}",
             version=1)
        for number, spot in enumerate(goals)
    ])  # fmt: skip
    assert Counter(outcome.refusal for outcome in outcomes) == {None: 1, "version_conflict": 7}
    [goal] = [spot for spot, outcome in zip(goals, outcomes, strict=True) if outcome.is_done]
    assert fresh(visits[0]).starts_at == goal.starts_at
    assert fresh(visits[0]).version == 2
    check_invariants(db.session())
