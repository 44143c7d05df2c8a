"""Doctors change their hours while clients book: nobody sees an error, nobody booked is lost, free time is right."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError, VisitsOutside
from clinic_portal.models import (
    Appointment,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    ExceptionKind,
    ExceptionStatus,
    Practitioner,
    Status,
)
from clinic_portal.scheduling import booking, hours
from clinic_portal.scheduling.blocks import Away, Block
from clinic_portal.scheduling.hours_changes import EndAway, WeekChange
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import SessionChanges, refresh_sessions
from clinic_portal.scheduling.stranded import Answer, What
from clinic_portal.settings import put_setting
from tests.bench import report
from tests.bench.clinic import SESSION_STARTS_MIN, ZONE, Size
from tests.bench.crew import Crew, Operation, Outcome, Station
from tests.bench.databases import Env, build_clinic, database_env
from tests.bench.rush import BOOKED, note, portal, read_journals
from tests.invariants import broken_invariants

AHEAD_DAYS, WORK_MIN = 90, 240
CHANGED, ASKED, CANCELLED = "changed", "changed, visits moved", "cancelled"
SATURDAY = 5


@dataclass(frozen=True)
class Plan:
    """How many doctors and clients, and for how long."""

    doctors: int = 12
    clients: int = 16
    seconds: float = 60.0

    @property
    def size(self) -> Size:
        return Size(self.doctors, self.doctors, AHEAD_DAYS, 0, 400, 400)


FULL, QUICK, SMALL = Plan(), Plan(seconds=10.0), Plan(3, 3, 3.0)


@dataclass
class Rota:
    """What came of it."""

    plan: Plan
    # One doctor, and nobody else.
    alone: Outcome
    outcome: Outcome
    told: list[int]
    rows: dict[int, Status]
    broken: list[str]

    def faults(self) -> list[str]:
        """Everything that is not as it must be."""
        found = list(self.broken)
        if lost := set(self.told) - self.rows.keys():
            found.append(f"lost: {sorted(lost)}")
        if more := self.rows.keys() - set(self.told):
            found.append(f"nobody booked: {sorted(more)}")
        known = {CHANGED, ASKED, BOOKED, CANCELLED, *REFUSED}
        return found + [f"{word}: {count}" for word, count in self.outcome.counts().items() if word not in known]


# What may be refused: a time that was free a moment ago, or a change that somebody made at the same moment.
REFUSED = ("slot_taken", "patient_busy", "outside_horizon", "too_soon")


def rota_in(env: Env, plan: Plan) -> Rota:
    """Build the clinic with weekly hours, and let doctors and clients do as they like."""
    clinic, folder = build_clinic(env, plan.size), Path(env["DATA_DIR"])
    with portal(env):
        _give_hours()
        for practitioner_id in db.session().scalars(select(Practitioner.id)).all():
            refresh_sessions(practitioner_id=practitioner_id)
    with Crew(env, clinic, plan.doctors + plan.clients) as crew:
        alone = crew.run(_doctor_or_client, 1, min(plan.seconds, 3.0))
        outcome = crew.run(_doctor_or_client, plan.doctors + plan.clients, plan.seconds)
    with portal(env):
        broken = [*_stale_sessions(), *broken_invariants(db.session())]
        rows = dict(map(tuple, db.session().execute(select(Appointment.id, Appointment.status))))
    return Rota(plan, alone, outcome, read_journals(folder, BOOKED), rows, broken)


@writing
def _give_hours(session: Session) -> None:
    """Everybody works mornings and afternoons, Monday to Friday, by rules instead of written sessions."""
    session.execute(delete(ClinicSession))
    put_setting(session, "sessions_ahead_days", AHEAD_DAYS)
    today = clock.local_date(clock.now(), ZONE)
    session.add_all(
        AvailabilityRule(practitioner_id=practitioner_id, location_id=1, weekday=weekday, starts_min=starts,
                         ends_min=starts + WORK_MIN, valid_from=today)
        for practitioner_id in session.scalars(select(Practitioner.id))
        for weekday in range(5) for starts in SESSION_STARTS_MIN
    )  # fmt: skip


def _stale_sessions() -> list[str]:
    """Whose sessions are not those that the rules mean."""
    ids = db.session().scalars(select(Practitioner.id)).all()
    again = {id_: refresh_sessions(practitioner_id=id_) for id_ in ids}
    return [f"sessions of {id_}: {one}" for id_, one in again.items() if one != SessionChanges(one.kept, 0, 0, 0, 0)]


def _doctor_or_client(station: Station) -> Operation:
    doctors = station.clinic.size.practitioners
    return _changes(station, station.number + 1) if station.number < doctors else _bookings(station)


def _changes(station: Station, practitioner_id: int) -> Operation:
    """Take a day off and back, open a Saturday and close it, again and again; whoever is in the way is moved."""
    turns = iter(range(10**9))

    def change() -> str:
        act = (_take_day_off, _take_back, _open_saturday, _close_saturday)[next(turns) % 4]
        try:
            act(station, practitioner_id, hours.NO_ANSWERS)
        except VisitsOutside as asked:
            return _answer(station, practitioner_id, act, asked)
        return CHANGED

    return change


Act = Callable[[Station, int, hours.Answers], None]


def _answer(station: Station, practitioner_id: int, act: Act, asked: VisitsOutside) -> str:
    """As proposed; what is gone by then goes to the waiting list, and what came since is asked about as well."""
    answers = {one.visit_id: one.proposal for one in asked.facts["visits"]}
    for _ in range(50):
        try:
            act(station, practitioner_id, answers)
        except VisitsOutside as again:
            answers |= {visit_id: Answer(What.KEEP) for visit_id in again.facts["unanswered"]}
        else:
            return ASKED
    return "never answered"


def _desk() -> Actor:
    return Actor(ActorKind.STAFF, 1)


def _common(practitioner_id: int, answers: hours.Answers) -> dict[str, object]:
    db.session().rollback()
    return {"actor": _desk(), "practitioner_id": practitioner_id, "token": f"hours-{secrets.token_hex(8)}",
            "answers": answers}  # fmt: skip


def _take_day_off(station: Station, practitioner_id: int, answers: hours.Answers) -> None:
    day = station.clinic.first_day + timedelta(days=1 + len(answers) % 7 + station.chance.randrange(20) * (not answers))
    away = Away(ExceptionKind.OFF, ZONE, day, 0, day, 24 * 60)
    hours.change_hours(change=away, **_common(practitioner_id, answers))  # type: ignore[arg-type]


def _take_back(_station: Station, practitioner_id: int, answers: hours.Answers) -> None:
    common = _common(practitioner_id, answers)
    live = select(AvailabilityException.id).filter_by(practitioner_id=practitioner_id, status=ExceptionStatus.APPROVED)
    found = db.session().scalar(live.order_by(AvailabilityException.id))
    if found is not None:
        hours.change_hours(change=EndAway(found), **common)  # type: ignore[arg-type]


def _open_saturday(station: Station, practitioner_id: int, answers: hours.Answers) -> None:
    block = Block(1, SATURDAY, 540, 720, station.clinic.first_day)
    if not _saturdays(practitioner_id):
        change = WeekChange(adds=[block])
        hours.change_hours(change=change, **_common(practitioner_id, answers))  # type: ignore[arg-type]


def _close_saturday(station: Station, practitioner_id: int, answers: hours.Answers) -> None:
    yesterday = station.clinic.first_day - timedelta(days=1)
    ends = dict.fromkeys(_saturdays(practitioner_id), yesterday)
    hours.change_hours(change=WeekChange(ends), **_common(practitioner_id, answers))  # type: ignore[arg-type]


def _saturdays(practitioner_id: int) -> list[int]:
    db.session().rollback()
    today = clock.local_date(clock.now(), ZONE)
    rules = hours.rules_of(db.session(), practitioner_id, today)
    return [rule.id for rule in rules if rule.weekday == SATURDAY]


def _bookings(station: Station) -> Operation:
    """Reserve, and now and then cancel again."""
    mine: list[Appointment] = []

    def reserve_or_cancel() -> str:
        chance = station.chance
        try:
            if mine and chance.random() < 0.4:
                visit = mine.pop(chance.randrange(len(mine)))
                booking.cancel_appointment(actor=Actor(ActorKind.PATIENT, visit.patient_id), appointment_id=visit.id,
                                           token=secrets.token_urlsafe(16))  # fmt: skip
                return CANCELLED
            patient_id = station.clinic.random_patient(chance)
            visit = booking.reserve_slot(
                actor=Actor(ActorKind.PATIENT, patient_id), search=Search(station.clinic.check_up_id, patient_id),
                starts_at=station.clinic.random_start(chance), token=secrets.token_urlsafe(16),
            )  # fmt: skip
        except DomainError as error:
            return error.code
        mine.append(visit)
        note(station, BOOKED, visit.id)
        return BOOKED

    return reserve_or_cancel


def describe(rota: Rota) -> str:
    """The figures in a table, and whether everything is as it must be."""
    words = (CHANGED, ASKED, BOOKED, CANCELLED, *REFUSED)
    rows = [report.row("changed, alone", rota.alone, CHANGED)]
    rows += [report.row(word, rota.outcome, word) for word in words if rota.outcome.counts()[word]]
    faults = rota.faults()
    verdict = f"WRONG: {len(faults)} faults" if faults else "As it must be: no error, nobody lost, free time right."
    plan = rota.plan
    told = f"{plan.doctors} doctors, {plan.clients} clients, {plan.seconds:.0f} s, {AHEAD_DAYS} days of sessions each"
    return "\n".join([told, report.table(report.HEAD, rows), *faults[:10], verdict])


def rota_all(plan: Plan, folder: Path, kinds: Sequence[str], say: Callable[[str], None]) -> bool:
    """Do it on each database, one after the other; whether everything ended as it must."""
    say(report.machine())
    are_right = True
    for kind in kinds:
        with database_env(kind, folder / kind.lower()) as env:
            found = rota_in(env, plan)
            say(f"\n{kind}\n{describe(found)}")
        are_right = are_right and not found.faults()
    return are_right
