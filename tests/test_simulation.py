"""The simulated clinic judges rightly: it finds a planted overtake, solves small cases exactly, and repeats itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_portal.database import db
from tests.asking import ask
from tests.simulate import watching
from tests.simulate.measures import together
from tests.simulate.picture import draw
from tests.simulate.runs import Run, run_one
from tests.simulate.seating import Seated, Wanted, is_seatable
from tests.test_queue import patients
from tests.world import NOW, World, at

MORNING = {1: [(0, 4)], 2: [(0, 4)]}
EVERYBODY, ONLY_FIRST = frozenset({1, 2}), frozenset({1})


def test_one_more_is_seated_by_changing_who_sees_the_others() -> None:
    seated = [Seated((0, 4), EVERYBODY)]
    assert is_seatable(MORNING, MORNING, seated, Wanted(4, frozenset({0}), ONLY_FIRST))


@pytest.mark.parametrize(
    ("seated", "wanted"),
    [
        ([Seated((0, 4), ONLY_FIRST)], Wanted(4, frozenset({0}), ONLY_FIRST)),
        ([Seated((0, 4), EVERYBODY), Seated((0, 4), EVERYBODY)], Wanted(2, frozenset({0, 2}), EVERYBODY)),
        ([], Wanted(5, frozenset({0}), EVERYBODY)),
        ([], Wanted(2, frozenset(), EVERYBODY)),
    ],
    ids=["the only one who can is taken", "all are taken", "nobody works that long", "no start suits"],
)
def test_what_cannot_be_seated_is_told(seated: list[Seated], wanted: Wanted) -> None:
    assert not is_seatable(MORNING, MORNING, seated, wanted)


def test_protected_time_holds_who_is_there_and_nobody_new() -> None:
    open_hours = {1: [(0, 2)], 2: [(0, 2)]}
    wanted = Wanted(2, frozenset({0, 2}), EVERYBODY)
    assert is_seatable(MORNING, open_hours, [Seated((2, 4), EVERYBODY)], wanted)
    assert not is_seatable(MORNING, open_hours, [Seated((0, 2), EVERYBODY), Seated((0, 2), EVERYBODY)], wanted)


def test_a_planted_overtake_is_found(world: World) -> None:
    first, second = (ask(world, patient_id, world.erin) for patient_id in patients(2))
    before = watching.waiting_now(db.session(), NOW)
    assert [one.id for one in before] == [first.id, second.id]
    time = at(9, day=2)
    assert watching.overtakes(before, {second.id: time}, NOW) == 1
    assert watching.overtakes(before, {first.id: time}, NOW) == 0
    assert watching.overtakes(before, {second.id: time}, NOW, spared=[first.id]) == 0


def test_who_could_not_have_come_was_not_overtaken(world: World) -> None:
    people = patients(2)
    ask(world, people[0], world.erin, from_on=(NOW + timedelta(days=5)).date())
    second = ask(world, people[1], world.erin)
    before = watching.waiting_now(db.session(), NOW)
    assert watching.overtakes(before, {second.id: at(9, day=2)}, NOW) == 0


@pytest.mark.slow
def test_a_seed_is_a_story_in_which_nobody_is_overtaken_and_which_can_be_drawn() -> None:
    one, again = run_one(Run(7, 1.0, 1)), run_one(Run(7, 1.0, 1))
    assert one == again
    assert one.asked > 60
    assert one.overtakes == 0
    assert one.placed > 0
    assert "people who came" in draw([1.0], {1.0: together([one, again])})
