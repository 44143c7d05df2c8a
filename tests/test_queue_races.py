"""The queue in many processes at once, and killed in the middle; the same without its guards goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.models import Appointment, Notification, Offer, Submission
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times
from tests import racing
from tests.asking import ask, drain, fresh, offers, status
from tests.invariants import broken_invariants, check_invariants
from tests.racing import Race, call
from tests.test_races import add_doctors, add_patients, refusals
from tests.world import NOW, World, add_session, at

pytestmark = pytest.mark.slow

People = list[tuple[Actor, int]]


def all_ask(world: World, people: People) -> list[int]:
    return [ask(world, patient_id, actor).id for actor, patient_id in people]


def statuses() -> dict[str, int]:
    session = db.session()
    session.rollback()
    rows = session.execute(select(Appointment.status, func.count()).group_by(Appointment.status)).all()
    return {found.value: how_many for found, how_many in rows}


def overtakes(ids: list[int]) -> list[tuple[int, int]]:
    """Pairs of requests that wish the same, where who stands behind got an earlier time, or one at all."""
    visits = [fresh(id_) for id_ in ids]
    visits.sort(key=lambda visit: (visit.target_at, visit.requested_at, visit.id))
    late = datetime.max.replace(tzinfo=UTC)
    return [
        (ahead.id, behind.id)
        for number, ahead in enumerate(visits)
        for behind in visits[number + 1 :]
        if (behind.starts_at or late) < (ahead.starts_at or late)
    ]


def test_many_workers_at_once_place_each_request_once_and_in_order(any_world: World, race: Race) -> None:
    for doctor_id in add_doctors(any_world, 4):
        add_session(doctor_id, at(9, day=1), at(13, day=1))
    ids = all_ask(any_world, add_patients(60))
    outcomes = race([call(racing.drain) for _ in range(6)])
    assert all(outcome.is_done for outcome in outcomes)
    assert statuses() == {"booked": 32, "waitlist": 28}
    assert overtakes(ids) == []
    check_invariants(db.session())


def test_two_requests_for_the_last_time_make_one_visit_and_one_that_waits(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(9, 30, day=1))
    first, second = all_ask(any_world, add_patients(2))
    race([call(racing.drain) for _ in range(6)])
    assert (status(first), status(second)) == ("booked", "waitlist")
    check_invariants(db.session())


def test_drains_beside_reservations_lose_and_double_nothing(any_world: World, race: Race) -> None:
    for doctor_id in add_doctors(any_world, 4):
        add_session(doctor_id, at(9, day=1), at(13, day=1))
    people = add_patients(54)
    ids = all_ask(any_world, people[:24])
    reserving: list[Any] = [
        call(racing.reserve, actor=actor, search=Search(any_world.check_up_id, patient_id), token="r",
             starts_at=at(9, day=1) + timedelta(minutes=15 * (number % 8)))
        for number, (actor, patient_id) in enumerate(people[24:])
    ]  # fmt: skip
    outcomes = race([*reserving[:15], call(racing.drain), call(racing.drain), *reserving[15:], call(racing.drain)])
    assert refusals(outcomes) <= {"slot_taken"}
    drain()
    left = find_free_times(db.session(), Search(any_world.check_up_id), NOW.date(), 3)
    is_full = not any(left.values())
    assert statuses().get("waitlist", 0) == 0 or is_full
    assert statuses()["booked"] == len(reserving) - sum(not outcome.is_done for outcome in outcomes) + sum(
        status(id_) == "booked" for id_ in ids
    )
    check_invariants(db.session())


def test_a_queue_without_its_guards_places_people_twice(any_world: World, race: Race) -> None:
    """The control: the same requests served by workers that look first and write later."""
    racing.drop_guarantees(db.session())
    add_session(any_world.chen_id, at(9, day=1), at(13, day=1))
    all_ask(any_world, add_patients(6))
    race([call(racing.naive_drain) for _ in range(6)])
    assert statuses()["booked"] > 6
    assert any("overlap" in problem for problem in broken_invariants(db.session()))


def test_a_double_click_on_two_servers_makes_one_request(any_world: World, race: Race) -> None:
    search = Search(any_world.check_up_id, any_world.alice_id)
    outcomes = race([call(racing.ask, actor=any_world.alice, search=search, token="one") for _ in range(12)])
    assert len({outcome.value for outcome in outcomes}) == 1
    assert statuses() == {"proposed": 1}
    check_invariants(db.session())


def test_two_forms_for_the_same_make_one_request(any_world: World, race: Race) -> None:
    search = Search(any_world.check_up_id, any_world.alice_id)
    outcomes = race([call(racing.ask, actor=any_world.alice, search=search, token=f"t{n}") for n in range(12)])
    assert sum(outcome.is_done for outcome in outcomes) == 1
    assert refusals(outcomes) == {"already_asked"}
    check_invariants(db.session())


def test_requests_made_while_the_queue_is_served_are_lost_by_nobody(any_world: World, race: Race) -> None:
    for doctor_id in add_doctors(any_world, 3):
        add_session(doctor_id, at(9, day=1), at(13, day=1))
    calls = [
        call(racing.ask, actor=actor, search=Search(any_world.check_up_id, patient_id), token="ask")
        for actor, patient_id in add_patients(20)
    ]
    outcomes = race([*calls[:10], call(racing.drain), *calls[10:], call(racing.drain), call(racing.drain)])
    assert all(outcome.is_done for outcome in outcomes)
    drain()
    assert statuses() == {"booked": 20}
    check_invariants(db.session())


def test_yes_no_and_withdrawal_of_one_offer_at_once_end_in_one_story(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=3), at(9, 30, day=3))
    visit = ask(any_world, is_ask_first=True)
    drain()
    [offer] = offers(visit)
    outcomes = race(
        [
            *[call(racing.accept, actor=any_world.alice, offer_id=offer.id) for _ in range(4)],
            *[call(racing.decline, actor=any_world.alice, offer_id=offer.id) for _ in range(4)],
            call(racing.withdraw, actor=any_world.alice, appointment_id=visit.id, token="w"),
            call(racing.drain),
        ]
    )
    assert refusals(outcomes) <= {"offer_gone", "bad_transition"}
    assert db.session().scalar(select(func.count()).select_from(Offer)) == 1
    assert status(visit) in ("booked", "waitlist", "cancelled")
    check_invariants(db.session())


def test_never_two_offers_for_one_time_from_many_workers(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=3), at(10, 30, day=3))
    people = add_patients(12)
    for actor, patient_id in people:
        ask(any_world, patient_id, actor, is_ask_first=True)
    race([call(racing.drain) for _ in range(6)])
    kept = db.session().scalars(select(Offer)).all()
    assert sorted(offer.starts_at for offer in kept) == [at(9, day=3), at(9, 30, day=3), at(10, day=3)]
    assert statuses() == {"pending": 3, "waitlist": 9}
    check_invariants(db.session())


@pytest.mark.parametrize("batches", [0, 1])
def test_a_worker_killed_in_the_middle_of_a_batch_leaves_whole_batches_and_the_rest_is_served_after(
    any_world: World, any_env: dict[str, str], batches: int
) -> None:
    for doctor_id in add_doctors(any_world, 4):
        add_session(doctor_id, at(9, day=1), at(14, day=1))
        add_session(doctor_id, at(14, day=1), at(19, day=1))
    ids = all_ask(any_world, add_patients(70))
    db.session.remove()
    assert racing.run_until_it_dies(any_env, NOW, racing.die_in_the_middle_of_a_batch, after=batches) == 9
    assert statuses() == ({"proposed": 70} if not batches else {"booked": 50, "proposed": 20})
    check_invariants(db.session())
    with clock.clock_at(NOW + timedelta(seconds=10)):
        drain()
    assert statuses() == {"booked": 70}
    assert overtakes(ids) == []
    told = select(func.count()).select_from(Notification).where(Notification.event == "booked")
    assert db.session().scalar(told.where(Notification.recipient == "patient")) == 70
    assert db.session().scalar(select(func.count()).select_from(Submission)) == 70
    check_invariants(db.session())
