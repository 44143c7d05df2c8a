"""Whatever patients, the desk and the clock do to the queue, in any order: nobody is lost, doubled or overtaken."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import db
from tests.conftest import opened, portal_config, replace_database
from tests.postgres import Postgres
from tests.queue_stories import furnish, open_first_hours, tell
from tests.world import NOW, World, build_world

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
# A story that fails is not made shorter: that would take minutes.
PHASES = [Phase.explicit, Phase.generate]
Stage = tuple[World, list[tuple[Actor, int]], Callable[[], None]]


@contextmanager
def _set(env: dict[str, str]) -> Iterator[tuple[World, list[tuple[Actor, int]]]]:
    with opened(env), clock.clock_at(NOW):
        if db.engine.dialect.name == "sqlite":
            # No power fails in this test.
            event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        world = build_world()
        people = furnish(world=world)
        open_first_hours(world)
        db.session.remove()
        db.engine.dispose()
        yield world, people


@pytest.fixture
def stage(data_dir: Path) -> Iterator[Stage]:
    with _set(portal_config(data_dir)) as (world, people):
        first_day = shutil.copyfile(data_dir / "clinic.db", data_dir / "first-day.db")

        def reset() -> None:
            db.session.remove()
            db.engine.dispose()
            replace_database(first_day, data_dir)

        yield world, people, reset


@pytest.fixture
def postgres_stage(postgres: Postgres, postgres_env: dict[str, str]) -> Iterator[Stage]:
    name = postgres_env["DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    with _set(postgres_env) as (world, people):
        first_day = postgres.create(name)

        def reset() -> None:
            db.session.remove()
            db.engine.dispose()
            postgres.drop(name)
            postgres.create(first_day, name)

        yield world, people, reset
        postgres.drop(first_day)


def hold_for_all(stage: Stage, examples: int, steps: int) -> Counter[str]:
    """Tell stories, as many as wanted; what was done in them."""
    world, people, reset = stage
    done: Counter[str] = Counter()

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=CHECKS,
              phases=PHASES)  # fmt: skip
    @given(st.lists(st.integers(0, 2**32), min_size=steps, max_size=steps + 8))
    def stories_hold(story: list[int]) -> None:
        reset()
        done.update(tell(world, people, story).done)

    stories_hold()
    return done


def test_any_story_of_the_queue_leaves_nobody_lost_doubled_or_overtaken(stage: Stage) -> None:
    hold_for_all(stage, examples=6, steps=24)


@pytest.mark.slow
def test_long_stories_of_the_queue_hold(stage: Stage) -> None:
    done = hold_for_all(stage, examples=20, steps=45)
    assert all(done[name] for name in ("answer", "handle", "move", "triage", "wish_earlier")), done


@pytest.mark.slow
@pytest.mark.postgres
def test_stories_of_the_queue_hold_on_postgres(postgres_stage: Stage) -> None:
    hold_for_all(postgres_stage, examples=8, steps=24)
