"""Others book the proposed times while an absence is applied, and the old ones while it is undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.scheduling.search import Search
from tests import racing
from tests.absences import (
    SEVEN,
    VISITS,
    Morning,
    apply,
    apply_here,
    as_planned,
    new_patient,
    plan_of,
    sick_morning,
    undo_here,
    where,
)
from tests.invariants import check_invariants
from tests.racing import Call, Outcome, Racers, call
from tests.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def morning(any_world: World) -> Iterator[Morning]:
    found = sick_morning(any_world)
    with clock.clock_at(SEVEN):
        yield found


def race(racers: Racers, env: dict[str, str], calls: list[Call]) -> list[Outcome]:
    """Run calls at once; nobody may see anything but an answer or a refusal."""
    db.session.remove()
    outcomes = racers.race(env, SEVEN, calls)
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert not errors, errors[0]
    return outcomes


def bookings(morning: Morning, times: list[object], first: int) -> list[Call]:
    """Somebody else for each time."""
    return [
        call(racing.reserve, actor=morning.world.erin, starts_at=starts_at, token=f"race-{first + number}",
             search=Search(morning.talk_id, new_patient(first + number)))
        for number, starts_at in enumerate(times)
    ]  # fmt: skip


def test_patients_who_book_the_proposed_times_and_the_plan_never_meet(
    racers: Racers, morning: Morning, any_env: dict[str, str]
) -> None:
    rounds: Counter[bool] = Counter()
    for number in range(3):
        before = where(morning)
        plan = as_planned(plan_of(morning))
        times = [choice.starts_at for choice in plan.values()]
        # The plan is somewhere in the middle of the rush.
        calls = bookings(morning, times[:4], 1000 + 100 * number)
        calls.insert(2, call(apply_here, morning=morning, choices=plan, token=f"absence-race-{number}"))
        outcome = race(racers, any_env, calls)[2]
        check_invariants(db.session())
        rounds[outcome.is_done] += 1
        if outcome.is_done:
            break
        assert outcome.refusal == "plan_changed"
        assert where(morning) == before
    if not rounds[True]:
        apply(morning, as_planned(plan_of(morning)))
    assert not plan_of(morning).visits
    check_invariants(db.session())


def test_an_undo_and_patients_who_book_the_old_times_never_meet(
    racers: Racers, morning: Morning, any_env: dict[str, str]
) -> None:
    before = where(morning)
    absence = apply(morning, as_planned(plan_of(morning)))
    times = [starts_at for _, _, starts_at, _, _ in before.values()][:20]
    calls = bookings(morning, list(times), 2000)
    calls.insert(10, call(undo_here, morning=morning, absence_id=absence.id, token="absence-race-back"))
    outcomes = race(racers, any_env, calls)
    assert outcomes[10].is_done
    stays = outcomes[10].value
    assert [id_ for id_, what in where(morning).items() if what != before[id_]] == stays
    check_invariants(db.session())


def test_of_many_who_apply_the_same_plan_one_does(racers: Racers, morning: Morning, any_env: dict[str, str]) -> None:
    plan = as_planned(plan_of(morning))
    calls = [
        call(apply_here, morning=morning, choices=plan, token=f"absence-many-{number}", version=1)
        for number in range(6)
    ]
    outcomes = race(racers, any_env, calls)
    assert Counter(outcome.refusal for outcome in outcomes) == {None: 1, "version_conflict": 5}
    assert len(where(morning)) == VISITS
    check_invariants(db.session())
