"""The doorbell: wakes a worker soon. Nothing lives here that the database does not know.

A ring carries no data, only the name of a job, and every job means "look, and do what is due". Losing a ring, or the
whole queue, costs a few seconds: the sweep looks again every five. That is why jobs are never retried here, and why
ringing gives up at once when the queue is away.
"""

from __future__ import annotations

import logging
import time

from flask import Flask, current_app
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue

NOTIFICATIONS = "notifications"
ASSIGNMENT = "assignment"
# One worker each, so that slow work of one kind never waits behind another.
QUEUES = (NOTIFICATIONS, ASSIGNMENT)
# Every job that can be rung for, and the queue it waits in. The bodies are the functions of the same name in jobs.py.
JOBS = {"deliver_notifications": NOTIFICATIONS, "drain_requests": ASSIGNMENT}

PATIENCE_S = 0.2
SILENCE_S = 2.0
# One ring in this time is enough while nobody has answered it. As short as the sweep's beat: should a worker die
# between taking the job and answering the bell, nobody waits longer than for the next but one sweep.
BELL_TTL_MS = 5_000
JOB_TIMEOUT_S = 120
# While no worker runs, jobs that wait this long are dropped: the first one that is left does the work of all.
WAITING_TTL_S = 300
FAILURE_TTL_S = 86_400

log = logging.getLogger(__name__)


class Doorbell:
    """Rings for jobs over one connection pool, and keeps quiet for a moment after the queue did not answer."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url, patience_s=PATIENCE_S)
        self._queues = {name: Queue(name, connection=self._connection) for name in QUEUES}
        self._silent_until = 0.0

    def ring(self, job_name: str) -> bool:
        """Ask that a job runs soon; say whether somebody will hear it."""
        queue = self._queues[JOBS[job_name]]
        if time.monotonic() < self._silent_until:
            return False
        try:
            if self._connection.set(_bell(job_name), 1, nx=True, px=BELL_TTL_MS):
                self._enqueue(queue, job_name)
        except (RedisError, OSError) as error:
            # An outage must not cost every request its patience: the sweep serves meanwhile.
            self._silent_until = time.monotonic() + SILENCE_S
            log.warning("the queue does not answer (%s); the sweep takes over", type(error).__name__)
            return False
        return True

    def _enqueue(self, queue: Queue, job_name: str) -> None:
        queue.enqueue_call(
            f"clinic_portal.jobs.{job_name}",
            timeout=JOB_TIMEOUT_S,
            result_ttl=0,
            ttl=WAITING_TTL_S,
            failure_ttl=FAILURE_TTL_S,
        )


def install(app: Flask, url: str) -> None:
    """Give the app its doorbell."""
    app.extensions["doorbell"] = Doorbell(url)


def ring(job_name: str) -> bool:
    """Ask that a job runs soon. Best effort: never raises for a queue that is away, never waits longer than a blink.

    Args: job_name: one of `JOBS`.
    """
    doorbell: Doorbell = current_app.extensions["doorbell"]
    return doorbell.ring(job_name)


def answer(connection: Redis, job_name: str) -> None:
    """Say that a worker is about to look: whoever rings from now on causes another look.

    # Race: called before the job reads the first row, never after, or a change made meanwhile would wait for the sweep.
    """
    connection.delete(_bell(job_name))


def connect(url: str, *, patience_s: float | None = None) -> Redis:
    """Open a connection pool to the queue.

    Args: patience_s: seconds that one command may take, and no second try; None: as long as it takes (workers).
    """
    if patience_s is None:
        return Redis.from_url(url)
    return Redis.from_url(
        url,
        socket_timeout=patience_s,
        socket_connect_timeout=patience_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def is_up(connection: Redis) -> bool:
    """Whether the queue answers."""
    try:
        return bool(connection.ping())
    except (RedisError, OSError):
        return False


def _bell(job_name: str) -> str:
    return f"clinic-portal:bell:{job_name}"
