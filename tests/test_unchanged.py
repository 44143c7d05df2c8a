"""Free times are kept in memory while nothing changes, and no change, hold or hour is ever missed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from clinic_portal import clock, unchanged
from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.errors import SlotTaken
from clinic_portal.scheduling import booking, holds, times
from clinic_portal.scheduling.search import Search
from tests.statements import sent_statements
from tests.world import NOW, World, add_session, at

DAY = NOW.date() + timedelta(days=1)
NINE, TEN = at(9, day=1), at(10, day=1)


@pytest.fixture
def clinic(any_world: World) -> World:
    """Dr Chen works tomorrow from nine to eleven: room for four check-ups."""
    add_session(any_world.chen_id, NINE, at(11, day=1))
    return any_world


def search(world: World, who: str = "alice") -> Search:
    return Search(world.check_up_id, patient_id=getattr(world, f"{who}_id"), account_id=world.accounts[who])


def is_free(world: World, starts_at: datetime, who: str = "alice") -> bool:
    """As the next page of somebody would show it."""
    db.session.rollback()
    found = times.find_free_times(db.session(), search(world, who), DAY, 1)[DAY]
    return starts_at in [time.starts_at for time in found]


def elsewhere(app: Flask, act: Callable[[], object]) -> None:
    """Do something on another connection, as another process would."""

    def run() -> None:
        with app.app_context():
            act()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def reserve(world: World, actor: Actor, who: str, starts_at: datetime) -> None:
    booking.reserve_slot(actor=actor, search=search(world, who), starts_at=starts_at, token=f"{who}-{starts_at}")


@contextmanager
def reads_nothing() -> Iterator[None]:
    """The control of each test: what is asked inside comes from memory."""
    with sent_statements() as seen:
        yield
    assert not [statement for statement in seen if "FROM sessions" in statement]


def test_what_nobody_changed_is_not_read_again(clinic: World) -> None:
    assert is_free(clinic, NINE)
    with reads_nothing():
        assert is_free(clinic, NINE)
        assert is_free(clinic, NINE, "bob")


def test_a_time_booked_on_another_connection_is_gone_and_a_cancelled_one_is_back(any_app: Flask, clinic: World) -> None:
    assert is_free(clinic, NINE)
    elsewhere(any_app, lambda: reserve(clinic, clinic.bob, "bob", NINE))
    assert not is_free(clinic, NINE)
    visit_id = db.session().execute(text("SELECT max(id) FROM appointments")).scalar_one()
    elsewhere(any_app, lambda: booking.cancel_appointment(actor=clinic.bob, appointment_id=visit_id, token="cancel-it"))
    assert is_free(clinic, NINE)


def test_a_time_booked_on_the_own_connection_is_gone(clinic: World) -> None:
    assert is_free(clinic, NINE)
    reserve(clinic, clinic.bob, "bob", NINE)
    assert not is_free(clinic, NINE)


def test_a_change_past_the_portal_is_seen(clinic: World) -> None:
    assert is_free(clinic, NINE)
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET status = 'cancelled'"))
    assert not is_free(clinic, NINE)


def test_a_page_that_began_before_a_change_leaves_nothing_stale_behind(any_app: Flask, clinic: World) -> None:
    db.session.rollback()
    session = db.session()
    unchanged.kept_while_unchanged(session)
    elsewhere(any_app, lambda: reserve(clinic, clinic.bob, "bob", NINE))
    times.find_free_times(session, search(clinic), DAY, 1)
    assert not is_free(clinic, NINE)


def test_a_kept_time_is_free_for_whoever_keeps_it_and_for_all_the_second_it_expires(clinic: World) -> None:
    kept = holds.hold_slot(actor=clinic.bob, search=search(clinic, "bob"), starts_at=NINE)
    for _ in range(2):
        assert not is_free(clinic, NINE)
        assert is_free(clinic, NINE, "bob")
    with clock.clock_at(kept.expires_at - timedelta(microseconds=1)), reads_nothing():
        assert not is_free(clinic, NINE)
    with clock.clock_at(kept.expires_at):
        assert is_free(clinic, NINE)


def test_time_that_is_released_appears_at_that_second(clinic: World) -> None:
    add_session(clinic.diaz_id, at(12, day=1), at(13, day=1), bookable_from=at(8, 3))
    with clock.clock_at(at(8, 1)):
        assert not is_free(clinic, at(12, day=1))
    with clock.clock_at(at(8, 3) - timedelta(microseconds=1)):
        assert not is_free(clinic, at(12, day=1))
    with clock.clock_at(at(8, 3)):
        assert is_free(clinic, at(12, day=1))
    # A clock that was set back has not seen the release yet.
    with clock.clock_at(at(8, 2)):
        assert not is_free(clinic, at(12, day=1))


def test_what_somebody_is_moving_counts_as_free_for_them_only(clinic: World) -> None:
    reserve(clinic, clinic.bob, "bob", NINE)
    assert not is_free(clinic, NINE)
    visit_id = db.session().execute(text("SELECT max(id) FROM appointments")).scalar_one()
    moving = Search(clinic.check_up_id, clinic.bob_id, account_id=clinic.accounts["bob"], moving_id=visit_id)
    assert NINE in [time.starts_at for time in times.find_free_times(db.session(), moving, DAY, 1)[DAY]]
    assert not is_free(clinic, NINE)


def test_a_service_goes_by_the_rows_and_by_nothing_kept(
    any_app: Flask, clinic: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with a proof that never changes, pages are stale, and still nobody is booked twice."""
    monkeypatch.setattr(unchanged, "STATES", dict.fromkeys(unchanged.STATES, lambda *_: "always the same"))
    assert is_free(clinic, NINE)
    elsewhere(any_app, lambda: reserve(clinic, clinic.bob, "bob", NINE))
    assert is_free(clinic, NINE)
    with pytest.raises(SlotTaken):
        reserve(clinic, clinic.alice, "alice", NINE)
