"""More requests than time, all at once, while others reserve: who is placed, how fast, and what it costs the others."""

from __future__ import annotations

import random
import secrets
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from clinic_portal import clock, create_app, queues
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.config import load_config
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError
from clinic_portal.models import Appointment, Attempt, ClinicSession, Status
from clinic_portal.scheduling import booking, requests
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.serving import LOST_RACES
from clinic_portal.scheduling.wishes import Wishes
from tests.bench import report
from tests.bench.clinic import CHECK_UP_MIN, GRID, SESSION_CELLS, SESSION_STARTS_MIN, Size
from tests.bench.crew import Crew, Operation, Outcome, Station
from tests.bench.databases import Env, build_clinic, child, database_env
from tests.invariants import broken_invariants
from tests.queue_rules import broken_queue_rules

CLIENTS, ASKING = 8, 4
# Of one practitioner in one day.
VISITS_A_DAY = len(SESSION_STARTS_MIN) * SESSION_CELLS * GRID // CHECK_UP_MIN
ROUND_S = 1.0
PATIENCE_S = 120.0
BOOKED, ASKED = "booked", "asked"


@dataclass(frozen=True)
class Plan:
    """How many ask, and how much time there is; both clinics begin tomorrow, all of it free."""

    requests: int
    practitioners: int
    days: int
    quiet_s: float = 3.0

    @property
    def capacity(self) -> int:
        return self.practitioners * self.days * VISITS_A_DAY

    @property
    def size(self) -> Size:
        return Size(self.practitioners, self.practitioners, self.days + 1, 0, self.requests, 50 * CLIENTS)


FULL, QUICK, SMALL = Plan(5000, 25, 5), Plan(1000, 5, 5), Plan(250, 3, 2, 0.2)


@dataclass
class Rush:
    """What came of it."""

    plan: Plan
    asked: Outcome
    quiet: Outcome
    beside: Outcome
    drain_s: float
    # How many were planned again because somebody was faster, and how many were put off for it.
    planned_again: int
    put_off: int
    # By the clients' own account, and by the rows.
    told: dict[str, list[int]]
    rows: dict[int, Status]
    mine: Counter[Status]
    broken: list[str]

    @property
    def placed(self) -> int:
        return self.mine[Status.BOOKED]

    def faults(self) -> list[str]:
        """Everything that is not as it must be."""
        found, asked, reserved = list(self.broken), self.told[ASKED], self.told[BOOKED]
        if len(set(asked)) != self.plan.requests or len(set(reserved)) != len(reserved):
            found.append(f"{self.plan.requests} asked, {len(set(asked))} were answered")
        if lost := {*asked, *reserved} - self.rows.keys():
            found.append(f"lost: {sorted(lost)}")
        if more := self.rows.keys() - {*asked, *reserved}:
            found.append(f"nobody asked for: {sorted(more)}")
        if {self.rows.get(id_) for id_ in reserved} - {Status.BOOKED}:
            found.append("a reservation is not booked")
        if self.placed != min(self.plan.capacity - len(reserved), self.plan.requests):
            found.append(f"{self.placed} placed and {len(reserved)} reserved of {self.plan.capacity} times")
        if self.placed + self.mine[Status.WAITLIST] != self.plan.requests:
            found.append(f"neither placed nor on the list: {dict(self.mine)}")
        return found


def rush_in(env: Env, plan: Plan) -> Rush:
    """Build the clinic in an empty database, let everybody ask, and serve them while others reserve."""
    clinic, folder = build_clinic(env, plan.size), Path(env["DATA_DIR"])
    with portal(env):
        _forget_today()
    with Crew(env, clinic, CLIENTS) as crew:
        quiet = crew.run(_reservations_taken_back, CLIENTS, plan.quiet_s)
        with portal(env):
            _cancel_all()
        asked = _all_ask(crew, plan, folder)
        beside = _serve_beside_reservations(env, crew)
    told = {word: read_journals(folder, word) for word in (ASKED, BOOKED)}
    with portal(env):
        session = db.session()
        every = session.execute(select(Appointment.id, Appointment.status)).all()
        rows = {id_: status for id_, status in every if status is not Status.CANCELLED}
        drain_s = _drained_in(session, told[ASKED])
        again, put_off = (
            session.scalar(select(func.count(Attempt.appointment_id.distinct())).where(which)) or 0
            for which in (Attempt.lost_races > 0, Attempt.reason == LOST_RACES)
        )
        broken = [*broken_invariants(session), *broken_queue_rules(session)]
    mine = Counter(rows[id_] for id_ in told[ASKED] if id_ in rows)
    return Rush(plan, asked, quiet, beside, drain_s, again, put_off, told, rows, mine, broken)


def _cancel_all() -> None:
    """What the clients had reserved and not yet cancelled when they were stopped."""
    for visit in db.session().scalars(select(Appointment).where(Appointment.status == Status.BOOKED)).all():
        _cancel(visit)


def _cancel(visit: Appointment) -> None:
    actor = Actor(ActorKind.PATIENT, visit.patient_id)
    booking.cancel_appointment(actor=actor, appointment_id=visit.id, token=secrets.token_urlsafe(16))


@writing
def _forget_today(session: Session) -> None:
    """How much of today is left depends on the hour: without it there is a round number of times."""
    tomorrow = clock.day_bounds(clock.local_date(clock.now(), "Europe/London"), "Europe/London")[1]
    session.execute(delete(ClinicSession).where(ClinicSession.starts_at < tomorrow))


def note(station: Station, word: str, visit_id: int) -> None:
    """Write down what this client was told, at once and in a file of its own."""
    with (Path(station.env["DATA_DIR"]) / f"{word}-{station.number}.journal").open("a") as journal:
        journal.write(f"{visit_id}\n")


def read_journals(folder: Path, word: str) -> list[int]:
    """What all clients were told."""
    return [int(line) for file in sorted(folder.glob(f"{word}*.journal")) for line in file.read_text().split()]


def _reserve(station: Station, chance: random.Random) -> Appointment:
    patient_id = station.clinic.patient_without_visits(chance.randrange(station.clinic.size.patients_without_visits))
    return booking.reserve_slot(
        actor=Actor(ActorKind.PATIENT, patient_id), search=Search(station.clinic.check_up_id, patient_id),
        starts_at=station.clinic.random_start(chance), token=secrets.token_urlsafe(16),
    )  # fmt: skip


def _reservations_taken_back(station: Station) -> Operation:
    """A reservation, and then its cancelling, again and again: so that no time is used up."""
    last: list[Appointment] = []

    def reserve_or_cancel() -> str:
        if last:
            _cancel(last.pop())
            return "cancelled"
        try:
            last.append(_reserve(station, station.chance))
        except DomainError as error:
            return error.code
        return BOOKED

    return reserve_or_cancel


def reservations(station: Station) -> Operation:
    """Reservations that stay."""

    def reserve() -> str:
        try:
            visit = _reserve(station, station.chance)
        except DomainError as error:
            return error.code
        note(station, BOOKED, visit.id)
        return BOOKED

    return reserve


def _all_ask(crew: Crew, plan: Plan, folder: Path) -> Outcome:
    """Everybody asks once; nobody is served yet."""
    outcome = Outcome(ASKING, 0.0)
    asking, until = partial(_asking, most=plan.requests), time.monotonic() + PATIENCE_S
    while len(read_journals(folder, ASKED)) < plan.requests and time.monotonic() < until:
        _add(outcome, crew.run(asking, ASKING, ROUND_S))
    return outcome


def _add(outcome: Outcome, part: Outcome) -> None:
    outcome.seconds += part.seconds
    for word, took in part.took.items():
        outcome.took.setdefault(word, array("d")).extend(took)


def _asking(station: Station, *, most: int) -> Operation:
    asked = len(read_journals(Path(station.env["DATA_DIR"]), f"{ASKED}-{station.number}"))
    numbers = iter(range(station.number + 1 + asked * ASKING, most + 1, ASKING))

    def ask() -> str:
        patient_id = next(numbers, None)
        if patient_id is None:
            time.sleep(0.05)
            return "nobody left"
        visit = requests.request_appointment(
            actor=Actor(ActorKind.PATIENT, patient_id), search=Search(station.clinic.check_up_id, patient_id),
            wishes=Wishes(), token=f"ask-{patient_id}",
        )  # fmt: skip
        note(station, ASKED, visit.id)
        return ASKED

    return ask


def _serve_beside_reservations(env: Env, crew: Crew) -> Outcome:
    """Let a real worker serve the queue, and clients reserve until nobody is left in it."""
    beside, until = Outcome(CLIENTS, 0.0), time.monotonic() + PATIENCE_S
    with worker(env), portal(env):
        queues.ring("drain_requests")
        while waiting() and time.monotonic() < until:
            _add(beside, crew.run(reservations, CLIENTS, ROUND_S))
    return beside


@contextmanager
def portal(env: Env) -> Iterator[None]:
    """Inside the portal, with its database."""
    with create_app(load_config(env)).app_context():
        yield
        db.session.remove()
        db.engine.dispose()


@contextmanager
def worker(env: Env) -> Iterator[int]:
    """A worker of the assignment queue, as the supervisor starts it; its process id."""
    with child(["-m", "clinic_portal.cli", "work", queues.ASSIGNMENT], env, Path(env["DATA_DIR"]) / "worker.log") as it:
        yield it.pid


def waiting() -> int:
    """How many requests nobody has looked at."""
    session = db.session()
    session.rollback()
    return session.scalar(select(func.count()).where(Appointment.status == Status.PROPOSED)) or 0


def _drained_in(session: Session, ids: Sequence[int]) -> float:
    """From the first request that was looked at to the last, by the rows. Args: ids, all that were asked, in a row."""
    looks = select(func.min(Attempt.made_at), func.max(Attempt.made_at))
    first, last = session.execute(looks.where(Attempt.appointment_id.between(min(ids), max(ids)))).one()
    return float((last - first).total_seconds())


def describe(rush: Rush) -> str:
    """The figures in a table, and whether everything is as it must be."""
    rows = [
        report.row("asking", rush.asked, ASKED),
        report.row("reserve, alone", rush.quiet, BOOKED),
        report.row("reserve, beside the queue", rush.beside, BOOKED),
    ]
    faults = rush.faults()
    placed, reserved, listed = rush.placed, len(rush.told[BOOKED]), rush.mine[Status.WAITLIST]
    rate = rush.plan.requests / max(rush.drain_s, 0.001)
    served = (
        f"{rush.plan.requests} requests, {rush.plan.capacity} times: {placed} placed, {reserved} reserved by others"
    )
    served += f", {listed} on the list; drained in {rush.drain_s:.1f} s, {rate:.0f} requests a second"
    races = f"{rush.planned_again} planned again because somebody was faster, {rush.put_off} put off"
    return "\n".join([report.table(report.HEAD, rows), served, races, *faults[:10], _verdict(faults)])


def _verdict(faults: Sequence[str]) -> str:
    return f"WRONG: {len(faults)} faults" if faults else "As it must be: nobody lost, nobody twice."


def rush_all(plan: Plan, folder: Path, kinds: Sequence[str], say: Callable[[str], None]) -> bool:
    """Rush on each database, one after the other; whether everything ended as it must."""
    say(report.machine())
    are_right = True
    for kind in kinds:
        with database_env(kind, folder / kind.lower()) as env:
            found = rush_in(env, plan)
            say(f"\n{kind}\n{describe(found)}")
        are_right = are_right and not found.faults()
    return are_right
