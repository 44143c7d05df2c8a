"""The processes behind the pages: `worker.py work QUEUE` runs the jobs of one queue, `worker.py sweep` looks around.

Run as many of each as you like, on as many machines: jobs are safe to run twice, and the sweep takes turns by a lease.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import time
import traceback
from types import FrameType
from typing import Any

import click
from flask import Flask
from redis import RedisError
from rq import SimpleWorker

from clinic_portal import create_app, jobs, queues
from clinic_portal.supervisor import lifeline

SWEEP_S = 5.0
# Short, so that RQ notices within seconds what became of another worker's jobs.
WORKER_TTL_S = 25
MAINTENANCE_S = 10
PAUSE_S = 1.0

log = logging.getLogger("worker")


class JobFailed(Exception):
    """A job raised the named kind of error."""


class PortalWorker(SimpleWorker):
    """Runs jobs in this very process, each in its own app context.

    No fork per job: forking manages 5 jobs a second where this manages 150, and after `kill -9` no orphan goes on
    working beside its successor. The price, a job that takes the worker down with it, is paid by the supervisor.
    """

    app: Flask
    is_stopping = False
    max_connection_wait_time = 2.0

    def perform_job(self, job: Any, queue: Any, execution: Any) -> bool:
        queues.answer(self.connection, job.func_name.rpartition(".")[2])
        with self.app.app_context():
            return super().perform_job(job, queue, execution)

    def _finalize_failure(self, job: Any, queue: Any, execution: Any, exc_info: Any) -> None:
        """Keep what went wrong and where, never the text: a database error repeats the values of its row."""
        kind, _, where = exc_info
        super()._finalize_failure(job, queue, execution, (JobFailed, JobFailed(kind.__name__), where))

    def subscribe(self) -> None:
        """Nobody commands workers through Redis, so none listens: one thread and one connection less to lose."""

    def request_stop(self, signum: Any, frame: Any) -> None:
        self.is_stopping = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def run_jobs(app: Flask, queue_name: str) -> None:
    """Serve one queue until told to stop; while Redis is away, wait for it."""
    is_away = False
    while True:
        # RQ's own handlers end with its work loop.
        _leave_on_signals()
        worker = None
        try:
            worker = _hire(app, queue_name)
            is_away = False
            worker.work(logging_level="WARNING")
        except (RedisError, OSError) as error:
            if not is_away:
                log.warning("%s: the queue does not answer (%s); waiting for it", queue_name, type(error).__name__)
            is_away = True
        if worker and worker.is_stopping:
            return
        time.sleep(PAUSE_S)


def _hire(app: Flask, queue_name: str) -> PortalWorker:
    worker = PortalWorker(
        [queue_name],
        connection=queues.connect(app.config["PORTAL"].queue_url),
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_S,
        log_job_description=False,
    )
    worker.app = app
    return worker


def keep_sweeping(app: Flask) -> None:
    """Look every five seconds for what is due and nobody rang for; nothing that goes wrong ends it."""
    _leave_on_signals()
    while True:
        try:
            with app.app_context():
                jobs.sweep()
        except Exception as error:  # noqa: BLE001
            # Where, not what: the text of a database error repeats the values of its row.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("sweep failed (%s); the next one looks again\n%s", type(error).__name__, where)
        # Uneven steps keep several sweepers from arriving together.
        time.sleep(SWEEP_S * random.uniform(0.9, 1.1))


def _leave_on_signals() -> None:
    def leave(_signum: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def _begin() -> Flask:
    lifeline.hold()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    return create_app()


@click.group()
def main() -> None:
    """The processes behind the pages."""


@main.command()
@click.argument("queue", type=click.Choice(queues.QUEUES))
def work(queue: str) -> None:
    """Run the jobs of one queue."""
    run_jobs(_begin(), queue)


@main.command()
def sweep() -> None:
    """Look every five seconds for what is due."""
    keep_sweeping(_begin())


if __name__ == "__main__":
    main()
