"""Many fill one doctor's day at once, at different times: no more get in than the limit lets in.

The same races without the guards go beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.models import Status
from clinic_portal.scheduling.search import Search
from tests import racing
from tests.asking import ask, drain, fresh
from tests.bookings import book, cancel
from tests.invariants import check_invariants
from tests.racing import PROCESSES, Call, Race, call
from tests.test_caps import counts, limit
from tests.test_queue import patients
from tests.test_races import add_patients, booked, refusals
from tests.world import World, add_session, at

pytestmark = pytest.mark.slow

CAP = 5


@pytest.fixture
def clinic(any_world: World) -> World:
    """Dr Chen has time for sixteen, in four sessions: those who book different ones do not wait for the same row."""
    for hour in (9, 11, 13, 15):
        add_session(any_world.chen_id, at(hour, day=1), at(hour + 2, day=1))
    limit(any_world, most_a_day=CAP)
    return any_world


def all_book(act: Callable[..., object], world: World, people: list[tuple[Actor, int]]) -> list[Call]:
    """Everybody another time of the day."""
    return [
        call(act, actor=actor, search=Search(world.check_up_id, patient_id), token="one",
             starts_at=at(9, day=1) + timedelta(minutes=30 * (number * 5 % 16)))
        for number, (actor, patient_id) in enumerate(people)
    ]  # fmt: skip


def on_the_day(world: World) -> int:
    return counts(db.session())[world.chen_id, at(9, day=1).date(), 0]


def test_of_sixteen_who_book_different_times_of_a_day_as_many_get_one_as_the_limit_lets_in(
    clinic: World, race: Race
) -> None:
    outcomes = race(all_book(racing.reserve, clinic, add_patients(16)))
    assert sum(outcome.is_done for outcome in outcomes) == CAP == len(booked()) == on_the_day(clinic)
    assert refusals(outcomes) == {"slot_taken"}
    check_invariants(db.session())


def test_the_same_race_with_a_look_before_and_none_at_the_save_goes_beyond_the_limit(clinic: World, race: Race) -> None:
    """The control: what the page shows is not asked again when it is booked."""
    people = [(clinic.erin, patient_id) for _, patient_id in add_patients(16)]
    calls = all_book(racing.naive_capped_reserve, clinic, people)
    outcomes = race([replace(each, values={**each.values, "token": f"t{n}"}) for n, each in enumerate(calls)])
    assert sum(outcome.is_done for outcome in outcomes) > CAP
    assert on_the_day(clinic) > CAP


def test_the_same_race_without_the_turn_goes_beyond_the_limit_where_writers_write_side_by_side(
    clinic: World, race: Race
) -> None:
    """The other control: counted with the cells claimed, but nobody waits for those who count beside them."""
    try:
        race([call(racing.take_turns_at_caps, is_guarded=False)] * PROCESSES)
        outcomes = race(all_book(racing.reserve, clinic, add_patients(16)))
    finally:
        race([call(racing.take_turns_at_caps, is_guarded=True)] * PROCESSES)
    done = sum(outcome.is_done for outcome in outcomes)
    if db.engine.dialect.name == "sqlite":
        assert done == CAP, "the writer's turn is that already"
    else:
        assert done > CAP


def test_holds_bookings_the_queue_and_cancels_side_by_side_stay_within_the_limit(clinic: World, race: Race) -> None:
    people = add_patients(20)
    cancelled = book(clinic, at(9, day=1))
    waiting = [ask(clinic, patient_id, clinic.erin).id for patient_id in patients(4)]
    books = all_book(racing.reserve, clinic, people[:10])
    keeps = [
        call(racing.hold, actor=actor, search=Search(clinic.check_up_id, patient_id, account_id=actor.account_id),
             starts_at=at(9, day=1) + timedelta(minutes=30 * number))
        for number, (actor, patient_id) in enumerate(people[10:])
    ]  # fmt: skip
    gone = call(racing.cancel, actor=clinic.alice, appointment_id=cancelled.id, token="gone")
    outcomes = race([call(racing.drain), *books, gone, *keeps, call(racing.drain)])
    # Who lost may have lost to the visit that was cancelled last: then there is room until the queue looks.
    assert CAP - 1 <= on_the_day(clinic) <= CAP
    assert refusals(outcomes) <= {"slot_taken"}
    check_invariants(db.session())
    drain()
    assert on_the_day(clinic) == CAP
    assert {fresh(id_).status for id_ in waiting} <= {Status.BOOKED, Status.WAITLIST}


def test_a_place_that_two_cancels_free_goes_to_two(clinic: World, race: Race) -> None:
    people = add_patients(16)
    visits = [book(clinic, at(9, day=1) + timedelta(minutes=30 * number)) for number in range(CAP)]
    for visit in visits[:2]:
        cancel(clinic, visit)
    outcomes = race(all_book(racing.reserve, clinic, people))
    assert sum(outcome.is_done for outcome in outcomes) == 2
    assert on_the_day(clinic) == CAP
