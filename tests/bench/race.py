"""Many patients want one time at the same moment: as many get it as there are doctors, all others are told at once."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from clinic_portal import clock, create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from clinic_portal.models import Appointment, Status
from clinic_portal.patient.reading import write_instant
from tests.bench import report, server
from tests.bench.clinic import SESSION_STARTS_MIN, STEP_MIN, ZONE, Clinic, Size
from tests.bench.databases import Env, build_clinic, database_env
from tests.bench.http import Answer, Client
from tests.bench.pages import times_url
from tests.bench.visitors import Visitor, sign_in_all

CLIENTS, DOCTORS, WEB_PROCESSES = 64, 8, 4
ROUNDS, QUICK_ROUNDS = 20, 3
# Eight doctors for eight weeks, the first two mostly booked by others; those who race have no visit yet.
SIZE = Size(DOCTORS, DOCTORS, 56, 14, 400, CLIENTS)
# Every time that a page offers.
OFFERED = re.compile(r'value="(\d{8}T\d{4}Z)"')


@dataclass
class Racer:
    """One patient in one round: the answers in order, and how long each took."""

    visitor: Visitor
    wanted: str
    answers: list[Answer] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    fault: str = ""

    @property
    def is_booked(self) -> bool:
        return len(self.answers) == 2 and self.answers[1].location.endswith("/booked")

    @property
    def was_told(self) -> bool:
        """Whether the time was gone, and the page offered others and not this one."""
        if not self.answers or self.answers[-1].status != 409:
            return False
        offered = OFFERED.findall(self.answers[-1].text)
        return bool(offered) and self.wanted not in offered


@dataclass(frozen=True)
class Round:
    """How one wave went; `doctors` has one entry for each visit that the database knows at this time."""

    racers: list[Racer]
    doctors: list[int]

    @property
    def booked(self) -> int:
        return sum(racer.is_booked for racer in self.racers)

    @property
    def told(self) -> int:
        return sum(racer.was_told for racer in self.racers)

    @property
    def longest_s(self) -> float:
        return max((took for racer in self.racers for took in racer.took_s), default=0.0)

    def statuses(self) -> Counter[str]:
        """The last answer to each, by status; what went wrong on the way, by name."""
        return Counter(racer.fault or str(racer.answers[-1].status) for racer in self.racers)

    def is_right(self) -> bool:
        one_each = len(self.doctors) == len(set(self.doctors)) == DOCTORS
        return self.booked == DOCTORS and self.told == CLIENTS - DOCTORS and one_each


def race_in(env: Env, rounds: int) -> list[Round]:
    """Build the clinic in an empty database, serve it, and race for a different time in each round."""
    clinic = build_clinic(env, SIZE)
    visitors = sign_in_all(env, [clinic.patient_without_visits(number) for number in range(CLIENTS)])
    with server.portal(env, WEB_PROCESSES) as port:
        _wake(port, visitors, clinic)
        return [
            Round(run_round(port, visitors, clinic, starts_at), _doctors_at(env, starts_at))
            for starts_at in _times(clinic, rounds)
        ]


def _wake(port: int, visitors: Sequence[Visitor], clinic: Clinic) -> None:
    """Every web process makes its first page of times before the clock runs."""
    for visitor in visitors[: 4 * WEB_PROCESSES]:
        with Client(port, visitor.cookie) as client:
            client.get(times_url(clinic.public_ids[clinic.check_up_id]))


def _times(clinic: Clinic, rounds: int) -> list[datetime]:
    """A time for each round at which nobody is booked yet and all doctors work."""
    first = clinic.first_day + timedelta(days=clinic.size.filled_days + 1)
    return [
        clock.wall_to_instant(first + timedelta(days=number), SESSION_STARTS_MIN[number % 2] + STEP_MIN * 2, ZONE)
        for number in range(rounds)
    ]


def run_round(port: int, visitors: Sequence[Visitor], clinic: Clinic, starts_at: datetime) -> list[Racer]:
    """All connect, all wait for each other, all choose the same time; who gets it kept books it."""
    racers, start = [Racer(visitor, write_instant(starts_at)) for visitor in visitors], threading.Barrier(len(visitors))
    url = times_url(clinic.public_ids[clinic.check_up_id])
    threads = [threading.Thread(target=_run, args=(port, racer, start, url)) for racer in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return racers


def _run(port: int, racer: Racer, start: threading.Barrier, url: str) -> None:
    form = {"csrf_token": racer.visitor.csrf_token}
    try:
        with Client(port, racer.visitor.cookie) as client:
            client.connect()
            start.wait(30)
            kept = _timed(racer, lambda: client.post(url, {**form, "start": racer.wanted}))
            if kept.status == 303:
                _timed(racer, lambda: client.post(kept.location, form))
    except (OSError, threading.BrokenBarrierError) as error:
        racer.fault = type(error).__name__


def _timed(racer: Racer, ask: Callable[[], Answer]) -> Answer:
    began = time.perf_counter()
    answer = ask()
    racer.took_s.append(time.perf_counter() - began)
    racer.answers.append(answer)
    return answer


def _doctors_at(env: Env, starts_at: datetime) -> list[int]:
    """Whose visits the database has at this time."""
    with create_app(load_config(env)).app_context():
        query = select(Appointment.practitioner_id).where(
            Appointment.starts_at == starts_at, Appointment.status == Status.BOOKED
        )
        doctors = [doctor for doctor in db.session().scalars(query) if doctor is not None]
        db.session.remove()
        db.engine.dispose()
    return doctors


def describe(rounds: Sequence[Round]) -> str:
    """All rounds in a table, and what the longest wait was."""
    rows = [
        [
            str(number),
            str(each.booked),
            str(len(set(each.doctors))),
            str(each.told),
            f"{each.longest_s * 1000:.0f}",
            str(dict(each.statuses())),
        ]
        for number, each in enumerate(rounds, 1)
    ]
    verdict = "as it must be" if all(each.is_right() for each in rounds) else "WRONG"
    # In the first round every process makes its first page of this kind.
    cold_ms, warm_ms = rounds[0].longest_s * 1000, max((each.longest_s for each in rounds[1:]), default=0.0) * 1000
    return (
        f"{report.table(('round', 'booked', 'by doctors', '409 with others', 'longest ms', 'last answers'), rows)}\n"
        f"{CLIENTS} clients, {DOCTORS} doctors, {WEB_PROCESSES} web processes: {verdict}; longest wait "
        f"{cold_ms:.0f} ms in the first round, {warm_ms:.0f} ms later"
        f"{'' if max(cold_ms, warm_ms) < 1000 else ': OVER A SECOND'}."
    )


def race_all(rounds: int, folder: Path, kinds: Sequence[str], say: Callable[[str], None]) -> bool:
    """Race on each database, one after the other; whether every round ended as it must."""
    say(report.machine())
    are_right = True
    for kind in kinds:
        with database_env(kind, folder / kind.lower()) as env:
            found = race_in(env, rounds)
            say(f"\n{kind}\n{describe(found)}")
        are_right = are_right and all(each.is_right() for each in found)
    return are_right
