"""One run in a database of its own, and many runs side by side."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flask_migrate import upgrade
from sqlalchemy.orm import Session

from clinic_portal import clock, create_app
from clinic_portal.config import load_config
from clinic_portal.database import db, writing
from clinic_portal.settings import put_setting
from tests.simulate.clinic import FIRST_DAY, MEAN_MINUTES, build, offered_minutes, wall
from tests.simulate.days import Days
from tests.simulate.measures import Measures, measure

WEIGHTS = ("continuity", "scarcity", "load", "gaps")


@dataclass(frozen=True)
class Run:
    """What is simulated: a seed, a load, and the weights that differ from the clinic's usual ones."""

    seed: int
    load: float
    days: int
    weights: tuple[tuple[str, int], ...] = ()


def run_all(runs: Sequence[Run], processes: int = 0) -> list[Measures]:
    """All runs, as many at once as there are processors; each in a new process, so that nothing is left over."""
    context = mp.get_context("spawn")
    at_once = processes or os.cpu_count()
    # There is no queue to ring, and it would say so each time.
    quiet = partial(logging.disable, logging.WARNING)
    with ProcessPoolExecutor(at_once, mp_context=context, max_tasks_per_child=1, initializer=quiet) as pool:
        return list(pool.map(run_one, runs))


def run_one(run: Run) -> Measures:
    """Simulate, and read the measures from what is there afterwards."""
    with tempfile.TemporaryDirectory(prefix="simulate-") as name, _portal(Path(name)):
        with clock.clock_at(wall(FIRST_DAY, 0)):
            clinic = build(run.days, _people(run))
            _weigh(run.weights)
        story = Days(clinic, run.seed, run.load, run.days).run()
        return measure(db.session(), clinic, story, run.days)


def _people(run: Run) -> int:
    """One patient for each who comes."""
    whole = sum(offered_minutes(FIRST_DAY.fromordinal(FIRST_DAY.toordinal() + day)) for day in range(run.days))
    return round(run.load * whole / MEAN_MINUTES) + run.days


@writing
def _weigh(session: Session, weights: Sequence[tuple[str, int]]) -> None:
    for name, value in weights:
        put_setting(session, f"weight_{name}", value)


@contextmanager
def _portal(folder: Path) -> Iterator[None]:
    """An own portal without a queue: the events serve it."""
    env = {"PORTAL_ENV": "test", "DATA_DIR": str(folder), "REDIS_URL": "redis://127.0.0.1:1",
           "SECRET_KEY": "s" * 48, "PASSWORD_SALT": "s" * 24}  # fmt: skip
    with create_app(load_config(env)).app_context():
        upgrade()
        yield
        db.session.remove()
        db.engine.dispose()
