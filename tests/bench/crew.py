"""Processes that do one thing at the same time for a while, and what came of it."""

from __future__ import annotations

import random
import signal
import time
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType

from clinic_portal import create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from tests.bench.clinic import Clinic
from tests.bench.databases import Env

WARM_UP = 3
PATIENCE_S = 60.0

# Does one thing once and says in a word what came of it.
Operation = Callable[[], str]


@dataclass
class Station:
    """What a worker has at hand; `number` counts the workers from 0."""

    number: int
    env: Env
    clinic: Clinic
    chance: random.Random


Prepare = Callable[[Station], Operation]


@dataclass
class Outcome:
    """How long each thing took, in seconds, by what came of it."""

    workers: int
    seconds: float
    took: dict[str, array[float]] = field(default_factory=dict)

    def per_second(self, word: str) -> float:
        return len(self.took.get(word, ())) / self.seconds

    def quantile_ms(self, word: str, part: float) -> float:
        """How many milliseconds this part of all that ended so took at most; not a number when nothing did."""
        took = sorted(self.took.get(word, ()))
        return took[min(int(len(took) * part), len(took) - 1)] * 1000 if took else float("nan")

    def counts(self) -> Counter[str]:
        return Counter({word: len(took) for word, took in self.took.items()})


class Crew:
    """Workers, each in a process of its own, inside the application's context; they end with the block."""

    def __init__(self, env: Env, clinic: Clinic, size: int) -> None:
        # Neither threads nor connections of ours are copied into the workers.
        context = get_context("forkserver")
        context.set_forkserver_preload(["clinic_portal", "tests.bench.crew"])
        self._links: list[Connection] = []
        self._processes = []
        for number in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, number, env, clinic), daemon=True)
            process.start()
            theirs.close()
            self._links.append(ours)
            self._processes.append(process)

    def run(self, prepare: Prepare, workers: int, seconds: float) -> Outcome:
        """Let some of the workers do it again and again, all beginning together."""
        links = self._links[:workers]
        for link in links:
            link.send(prepare)
        for link in links:
            _answer(link, PATIENCE_S)
        for link in links:
            link.send(seconds)
        outcome = Outcome(workers, seconds)
        for link in links:
            for word, took in _answer(link, seconds + PATIENCE_S).items():
                outcome.took.setdefault(word, array("d")).extend(took)
        return outcome

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for link in self._links:
            link.close()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()


def _answer(link: Connection, patience_s: float) -> dict[str, array[float]]:
    if not link.poll(patience_s):
        raise TimeoutError("a worker does not answer")
    answer = link.recv()
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, dict)
    return answer


def _work(link: Connection, number: int, env: Env, clinic: Clinic) -> None:
    """The life of a worker: told what to do, ready, told for how long, done; until the link closes."""
    # Ctrl-C is for whoever leads; when that one is gone, the link closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    station = Station(number, env, clinic, random.Random(number))
    with ExitStack() as stack:
        stack.enter_context(create_app(load_config(env)).app_context())
        stack.callback(db.engine.dispose)
        while True:
            try:
                operation = link.recv()(station)
                for _ in range(WARM_UP):
                    operation()
                link.send({})
                link.send(_repeat(operation, link.recv()))
            except EOFError:
                return
            except Exception as error:
                with suppress(OSError):
                    link.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _repeat(operation: Operation, seconds: float) -> dict[str, array[float]]:
    took: dict[str, array[float]] = {}
    began = time.perf_counter()
    until = began + seconds
    while began < until:
        word = operation()
        ended = time.perf_counter()
        took.setdefault(word, array("d")).append(ended - began)
        began = ended
    return took
