"""What happens by itself: the sweep finds everything from rows, takes turns, and lets no failure stop the rest."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock, create_app, jobs, leases, queues
from clinic_portal.config import load_config
from clinic_portal.database import db, writing
from clinic_portal.models import AvailabilityRule, ClinicSession, Hold, HoldEnd, Lease, Location
from clinic_portal.notifications import delivery
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.times import Search
from clinic_portal.supervisor import valkey
from tests.bookings import book, open_clinic, told
from tests.conftest import portal_config
from tests.world import NOW, World, at
from worker import PortalWorker

TEN = at(10, day=1)
SENT = [("booked", "patient", "sent"), ("booked", "practitioner", "sent")]
DUE = [("booked", "patient", "due"), ("booked", "practitioner", "due")]


@pytest.fixture
def world(world: World) -> World:
    open_clinic(world)
    return world


def sweep_at(instant: datetime) -> None:
    with clock.clock_at(instant):
        jobs.sweep()


def done(name: str) -> datetime | None:
    session = db.session()
    session.rollback()
    return leases.done_times(session).get(name)


def seconds(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def test_the_job_sends_what_is_due(world: World) -> None:
    visit = book(world, TEN)
    jobs.deliver_notifications()
    assert told(visit.id) == SENT


def test_with_the_queue_away_the_sweep_sends_by_itself(world: World) -> None:
    visit = book(world, TEN)
    sweep_at(seconds(1))
    assert told(visit.id) == DUE, "a worker gets the first chance"
    sweep_at(seconds(6))
    assert told(visit.id) == SENT


@pytest.fixture
def valkey_url() -> Iterator[str]:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="j") as folder:
        socket = Path(folder) / "valkey.sock"
        server = valkey.start(Path(folder) / "data", socket)
        yield f"unix://{socket}"
        server.stop()


@pytest.fixture
def app_with_queue(app: Flask, valkey_url: str) -> Iterator[Flask]:
    """The same clinic with a queue that answers."""
    connected = create_app(load_config(portal_config(app.config["PORTAL"].data_dir, REDIS_URL=valkey_url)))
    yield connected
    with connected.app_context():
        db.engine.dispose()


def test_a_queue_that_was_emptied_loses_no_message(world: World, app_with_queue: Flask, valkey_url: str) -> None:
    redis = queues.connect(valkey_url)
    with app_with_queue.app_context():
        visit = book(world, TEN)
        redis.flushall()
        sweep_at(seconds(6))
        assert told(visit.id) == DUE, "rung for again, not sent here"
        worker = PortalWorker([queues.NOTIFICATIONS], connection=redis)
        worker.app = app_with_queue
        worker.work(burst=True, logging_level="WARNING")
        assert told(visit.id) == SENT
    redis.close()


def test_when_no_worker_comes_the_sweep_sends_by_itself(world: World, app_with_queue: Flask) -> None:
    with app_with_queue.app_context():
        visit = book(world, TEN)
        sweep_at(seconds(20))
        assert told(visit.id) == DUE
        sweep_at(seconds(40))
        assert told(visit.id) == SENT


def test_a_claim_whose_sender_died_is_found_by_the_sweep(world: World) -> None:
    visit = book(world, TEN)
    delivery.claim_due(token="dead")
    sweep_at(seconds(30))
    assert {each[2] for each in told(visit.id)} == {"sending"}
    sweep_at(seconds(70))
    assert told(visit.id) == SENT


def test_expired_holds_are_cleared(world: World) -> None:
    hold = hold_slot(actor=world.alice, search=Search(world.check_up_id, world.alice_id), starts_at=TEN)
    sweep_at(seconds(60))
    assert hold_end(hold.id) is None
    sweep_at(hold.expires_at + timedelta(seconds=1))
    assert hold_end(hold.id) == HoldEnd.EXPIRED


def hold_end(hold_id: int) -> HoldEnd | None:
    session = db.session()
    session.rollback()
    return session.scalar(select(Hold.closed_because).where(Hold.id == hold_id))


def test_sessions_reach_the_horizon_after_the_first_sweep(world: World) -> None:
    @writing
    def work_on_mondays(session: Session) -> None:
        session.add(AvailabilityRule(practitioner_id=world.diaz_id, location_id=world.location_id, weekday=0,
                                     starts_min=540, ends_min=720, valid_from=date(2026, 1, 1)))  # fmt: skip

    work_on_mondays()
    jobs.sweep()
    sessions = select(func.count()).where(ClinicSession.practitioner_id == world.diaz_id)
    assert (db.session().scalar(sessions) or 0) >= 12


def test_the_nightly_duty_runs_once_a_night_and_makes_up_for_a_missed_one(world: World) -> None:
    two_at_night = at(2, day=1)
    jobs.sweep()
    assert done("roll horizon") == NOW
    sweep_at(two_at_night - timedelta(seconds=1))
    assert done("roll horizon") == NOW
    sweep_at(two_at_night)
    assert done("roll horizon") == two_at_night
    sweep_at(two_at_night + timedelta(hours=20))
    assert done("roll horizon") == two_at_night
    # The machine was off for three nights.
    sweep_at(at(15, day=5))
    assert done("roll horizon") == at(15, day=5)


def test_a_night_whose_two_o_clock_is_skipped_is_one_night_too(world: World) -> None:
    @writing
    def go_west(session: Session) -> None:
        session.get_one(Location, world.location_id).zone = "America/New_York"

    go_west()
    noon = datetime(2026, 3, 6, 17, tzinfo=UTC)
    nights = sorted({jobs._nightly(noon + timedelta(hours=hour)) for hour in range(24, 97)})
    # DST: on 8 March the clock goes from 2 to 3 there.
    assert [clock.local(night, "America/New_York").strftime("%d %H:%M") for night in nights] == [
        "07 02:00", "08 03:00", "09 02:00", "10 02:00",
    ]  # fmt: skip


def test_a_duty_that_fails_stops_no_other_and_rests_before_its_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[datetime] = []
    address = "alice@" + "example.com"

    def fail() -> None:
        tries.append(clock.now())
        raise RuntimeError(address)

    failing = jobs.Duty("failing", fail, jobs._every(4))
    monkeypatch.setattr(jobs, "DUTIES", (failing, *jobs.DUTIES))
    visit = book(world, TEN)
    sweep_at(seconds(5))
    assert told(visit.id) == SENT
    assert done("failing") is None
    for after in (10, 19, 21):
        sweep_at(seconds(after))
    assert tries == [seconds(5), seconds(21)]
    assert "failing failed: RuntimeError" in caplog.text
    assert address not in caplog.text


def all_leases() -> list[tuple[object, ...]]:
    session = db.session()
    session.rollback()
    return [tuple(row) for row in session.execute(select(Lease.name, Lease.holder, Lease.done_at, Lease.expires_at))]


def test_a_second_sweeper_changes_nothing(world: World) -> None:
    book(world, TEN)
    sweep_at(seconds(5))
    before = all_leases()
    sweep_at(seconds(5))
    sweep_at(seconds(7))
    assert all_leases() == before


def test_two_sweepers_at_once_do_each_duty_once(
    any_app: Flask, any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[None] = []
    monkeypatch.setattr(jobs, "DUTIES", (jobs.Duty("counted", lambda: runs.append(None), jobs._every(4)),))
    start = threading.Barrier(4)

    def work() -> None:
        with any_app.app_context():
            start.wait()
            jobs.sweep()
            db.session.remove()

    sweepers = [threading.Thread(target=work) for _ in range(4)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert len(runs) == 1


def test_a_turn_belongs_to_one_until_its_lease_ends(any_world: World) -> None:
    lease = timedelta(seconds=15)
    first = leases.take_turn("duty", due_before=NOW, lease=lease)
    assert first is not None
    assert leases.take_turn("duty", due_before=NOW, lease=lease) is None
    with clock.clock_at(seconds(15)):
        second = leases.take_turn("duty", due_before=NOW, lease=lease)
        assert second is not None
        leases.end_turn("duty", first)
        assert done("duty") is None, "who lost the turn cannot end it"
        leases.end_turn("duty", second)
    assert done("duty") == seconds(15)


def test_the_last_sweep_is_known(world: World) -> None:
    assert jobs.last_sweep_at(db.session()) is None
    sweep_at(seconds(5))
    assert jobs.last_sweep_at(db.session()) == seconds(5)
