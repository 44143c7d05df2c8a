"""The two databases, each with the clinic in it, and the queue beside them as the portal starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_migrate import upgrade

from clinic_portal import create_app, queues
from clinic_portal.config import load_config
from clinic_portal.database import db
from clinic_portal.supervisor import lifeline
from tests.bench.clinic import Clinic, Size, build
from tests.postgres import running_postgres

SQLITE, POSTGRES = "SQLite", "Postgres"
# The server of the tests forgets on a power cut; here every commit must reach the disk, as in production.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on"}
START_S = 20.0

Env = dict[str, str]


@contextmanager
def database_env(kind: str, folder: Path) -> Iterator[Env]:
    """Environment of a portal with an empty database of this kind, stored durably, and an own queue."""
    folder.mkdir(parents=True)
    with running_queue(folder) as queue_url:
        env = {
            "PORTAL_ENV": "test",
            "DATA_DIR": str(folder),
            "REDIS_URL": queue_url,
            "SECRET_KEY": "b" * 48,
            "PASSWORD_SALT": "s" * 24,
        }
        if kind == SQLITE:
            yield env
            return
        with running_postgres() as server:
            server.configure(DURABLE)
            yield {**env, "DATABASE_URL": server.url(server.create())}


def build_clinic(env: Env, size: Size) -> Clinic:
    """Migrate the empty database and build the clinic in it."""
    app = create_app(load_config(env))
    with app.app_context():
        upgrade()
        clinic = build(size)
        db.session.remove()
        db.engine.dispose()
    return clinic


@contextmanager
def running_queue(folder: Path) -> Iterator[str]:
    """The embedded Valkey, kept by the same small process that keeps it in the product."""
    socket = folder / "valkey.sock"
    url = f"unix://{socket}"
    command = ["-m", "clinic_portal.supervisor.valkey", str(folder / "valkey"), str(socket)]
    with child(command, {}, folder / "valkey.log") as process:
        connection = queues.connect(url, patience_s=1.0)
        _wait(lambda: queues.is_up(connection), process, folder / "valkey.log")
        yield url


@contextmanager
def child(command: list[str], env: Env, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of ours that ends with the block, and by itself should we be killed."""
    told = {**os.environ, **env, lifeline.PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, *command], env=told, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(is_up: object, process: subprocess.Popen[bytes], log: Path) -> None:
    assert callable(is_up)
    deadline = time.monotonic() + START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
