"""Whatever patients, the desk, the clock and new working hours do, in any order: the rows stay true to each other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import PatientBusy
from clinic_portal.models import (
    ClinicSession,
    Location,
    PractitionerVisitType,
    Status,
    VisitType,
)
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.brute_force import free_starts
from tests.conftest import opened, portal_config, replace_database
from tests.invariants import check_invariants
from tests.postgres import Postgres
from tests.stories import TUESDAY, compare_with_model, hours_to_play_with, tell
from tests.world import NOW, World, add_session, at, build_world

stories = st.lists(st.integers(0, 2**32), min_size=20, max_size=28)


@dataclass
class Stage:
    """A clinic that can be put back to its first day."""

    world: World
    reset: Callable[[], None]


@contextmanager
def _set(env: dict[str, str]) -> Iterator[World]:
    with opened(env), clock.clock_at(NOW):
        if db.engine.dialect.name == "sqlite":
            # No power fails in this test.
            event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        world = build_world()
        hours_to_play_with(world)
        for practitioner_id in (world.chen_id, world.diaz_id):
            refresh_sessions(practitioner_id=practitioner_id)
        db.session.remove()
        db.engine.dispose()
        yield world


@pytest.fixture
def stage(data_dir: Path) -> Iterator[Stage]:
    with _set(portal_config(data_dir)) as world:
        first_day = shutil.copyfile(data_dir / "clinic.db", data_dir / "first-day.db")

        def reset() -> None:
            db.session.remove()
            db.engine.dispose()
            replace_database(first_day, data_dir)

        yield Stage(world, reset)


@pytest.fixture
def postgres_stage(postgres: Postgres, postgres_env: dict[str, str]) -> Iterator[Stage]:
    name = postgres_env["DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    with _set(postgres_env) as world:
        first_day = postgres.create(name)

        def reset() -> None:
            db.session.remove()
            db.engine.dispose()
            postgres.drop(name)
            postgres.create(first_day, name)

        yield Stage(world, reset)
        postgres.drop(first_day)


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def test_any_story_leaves_rows_that_agree_and_times_that_can_be_booked(stage: Stage) -> None:
    @settings(max_examples=12, derandomize=True, deadline=None, database=None, suppress_health_check=CHECKS)
    @given(stories)
    def stories_hold(story: list[int]) -> None:
        stage.reset()
        tell(stage.world, story)

    stories_hold()


@pytest.mark.postgres
@pytest.mark.slow
def test_any_story_holds_on_postgres_too(postgres_stage: Stage) -> None:
    @settings(max_examples=10, derandomize=True, deadline=None, database=None, suppress_health_check=CHECKS)
    @given(stories)
    def stories_hold(story: list[int]) -> None:
        postgres_stage.reset()
        tell(postgres_stage.world, story)

    stories_hold()


# Cases that stories seldom come to.


@writing
def _buffers(session: Session, world: World, before_min: int, after_min: int) -> None:
    session.execute(
        update(PractitionerVisitType)
        .where(PractitionerVisitType.practitioner_id == world.chen_id)
        .values(buffer_before_min=before_min, buffer_after_min=after_min)
    )


def test_the_first_time_after_now_may_have_its_buffer_in_the_hours_before(world: World) -> None:
    """A long day is two sessions; the one before the seam began five hours ago."""
    _buffers(world, 10, 0)
    add_session(world.chen_id, at(5, day=TUESDAY), at(10, day=TUESDAY))
    add_session(world.chen_id, at(10, day=TUESDAY), at(12, day=TUESDAY))
    search = Search(world.check_up_id, world.alice_id)
    with clock.clock_at(at(8, day=TUESDAY)):
        [first, *_] = find_free_times(db.session(), search, at(0, day=TUESDAY).date(), 1)[at(0, day=TUESDAY).date()]
        assert first.starts_at == at(10, day=TUESDAY)
        compare_with_model(search, at(8, day=TUESDAY))


def test_a_time_is_offered_only_when_it_can_be_booked_to_the_second(world: World) -> None:
    add_session(world.chen_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    search, day = Search(world.check_up_id, world.alice_id), at(0, day=TUESDAY).date()
    with clock.clock_at(at(8, day=TUESDAY) + timedelta(milliseconds=1)):
        first = find_free_times(db.session(), search, day, 1)[day][0].starts_at
        assert first == at(10, 15, day=TUESDAY)
        assert booking.reserve_slot(actor=world.alice, search=search, starts_at=first, token="t").id


def test_a_visit_that_ended_early_keeps_its_patients_time_in_the_list_too(world: World) -> None:
    add_session(world.chen_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    add_session(world.diaz_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    search = Search(world.check_up_id, world.alice_id)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=TUESDAY), token="t")
    for status in (Status.ARRIVED, Status.FULFILLED):
        booking.change_status(actor=world.erin, appointment_id=visit.id, to=status)
    compare_with_model(search, NOW)
    with pytest.raises(PatientBusy) as refusal:
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, 15, day=TUESDAY), token="u")
    assert refusal.value.facts == {"appointment_id": visit.id}


def test_the_visit_in_the_way_is_named_and_no_other(world: World) -> None:
    add_session(world.chen_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    add_session(world.diaz_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    search = Search(world.check_up_id, world.alice_id)
    booking.reserve_slot(actor=world.alice, search=search, starts_at=at(11, day=TUESDAY), token="later")
    met = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=TUESDAY), token="met")
    with pytest.raises(PatientBusy) as refusal:
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, 15, day=TUESDAY), token="u")
    assert refusal.value.facts == {"appointment_id": met.id}


def test_a_cancelled_visit_opens_nobody_elses_time(world: World) -> None:
    add_session(world.chen_id, at(9, day=TUESDAY), at(12, day=TUESDAY))
    search = Search(world.check_up_id, world.alice_id)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=TUESDAY), token="t")
    booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="c")
    bobs = Search(world.check_up_id, world.bob_id)
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(10, day=TUESDAY), token="t")
    compare_with_model(Search(world.check_up_id, world.alice_id, moving_id=visit.id), NOW)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham"])
def test_a_place_whose_midnight_lies_between_two_cells_has_times_too(world: World, zone: str) -> None:
    _ten_minute_grid(zone)
    starts_at, ends_at = at(9, day=TUESDAY), at(12, day=TUESDAY)
    _long_cells(world.chen_id, starts_at, ends_at)
    search, day = Search(world.check_up_id, world.alice_id), clock.local_date(starts_at, zone)
    free = [time.starts_at for times in find_free_times(db.session(), search, day, 2).values() for time in times]
    assert free == sorted(free_starts(db.session(), search, NOW))
    assert free[0] == starts_at
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=free[-1], token="t")
    assert visit.ends_at == ends_at
    check_invariants(db.session())


@writing
def _ten_minute_grid(session: Session, zone: str) -> None:
    put_setting(session, "grid_min", 10)
    session.execute(update(Location).values(zone=zone))
    session.execute(update(VisitType).values(start_step_min=20))


@writing
def _long_cells(session: Session, practitioner_id: int, starts_at: datetime, ends_at: datetime) -> None:
    first, count = int(starts_at.timestamp()) // 600, (ends_at - starts_at) // timedelta(minutes=10)
    session.add(
        ClinicSession(practitioner_id=practitioner_id, location_id=1, starts_at=starts_at, ends_at=ends_at,
                      first_cell=first, cell_count=count, free=2**count - 1, bookable_from=NOW)
    )  # fmt: skip
