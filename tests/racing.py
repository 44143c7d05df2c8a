"""Many processes, each with several clients, that all start at the same instant. The racing processes import it too."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from clinic_portal import clock, create_app
from clinic_portal.audit import Actor
from clinic_portal.config import load_config
from clinic_portal.database import db, take_turns_at
from clinic_portal.errors import DomainError
from clinic_portal.models import (
    Appointment,
    ClinicSession,
    Need,
    Origin,
    PriorityClass,
    Status,
    WalkInTicket,
    new_public_id,
)
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling import booking, caps, claims, holds, masks, offers, queue, requests, serving, walk_ins
from clinic_portal.scheduling.assignment import find_candidates
from clinic_portal.scheduling.exactly import Spot, find_room_to_move, move_exactly
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.wishes import Wishes

PROCESSES = 6
PATIENCE_S = 60.0
# A process that has the application loaded makes each racer: a tenth of a second instead of two.
_context = mp.get_context("forkserver")
_context.set_forkserver_preload(["tests.racing"])


@dataclass(frozen=True)
class Call:
    """What one client does: a function of this module, with plain values."""

    act: Callable[..., Any]
    values: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of it: a value, a refusal of the domain, or an error that nobody should ever see."""

    value: Any = None
    refusal: str | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        return self.refusal is None and self.error is None


def call(act: Callable[..., Any], **values: Any) -> Call:
    return Call(act, values)


# Runs calls at once and says what came of each.
Race = Callable[[Sequence[Call]], list[Outcome]]


class Racers:
    """Processes that wait for races to run."""

    def __init__(self) -> None:
        self._barrier = _context.Barrier(PROCESSES)
        self._ends: list[Connection] = []
        self._processes = []
        for _ in range(PROCESSES):
            ours, theirs = _context.Pipe()
            process = _context.Process(target=_serve, args=(theirs, self._barrier), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def race(self, env: dict[str, str], now: datetime, calls: Sequence[Call]) -> list[Outcome]:
        """Let every call start at once, spread over the processes, and return what came of each, in their order."""
        for number, end in enumerate(self._ends):
            end.send((env, now, calls[number::PROCESSES]))
        outcomes: list[Outcome] = [Outcome()] * len(calls)
        for number, end in enumerate(self._ends):
            assert end.poll(PATIENCE_S), "a racer hangs"
            outcomes[number::PROCESSES] = end.recv()
        return outcomes

    def stop(self) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(5)
            process.kill()
            process.join()


def run_until_it_dies(env: dict[str, str], now: datetime, act: Callable[..., Any], **values: Any) -> int | None:
    """Run one act in a process of its own that is expected to be killed in the middle; its exit code."""
    process = _context.Process(target=_alone, args=(env, now, Call(act, values)))
    process.start()
    process.join(PATIENCE_S)
    return process.exitcode


def _alone(env: dict[str, str], now: datetime, what: Call) -> None:
    with _opened(env, now):
        what.act(**what.values)


def _serve(end: Connection, barrier: Any) -> None:
    while True:
        try:
            env, now, calls = end.recv()
        except (EOFError, OSError):
            return
        with _opened(env, now) as app:
            end.send(_run(app, calls, barrier))


@contextmanager
def _opened(env: dict[str, str], now: datetime) -> Iterator[Flask]:
    app = create_app(load_config(env))
    with app.app_context(), clock.clock_at(now):
        yield app
        db.session.remove()
        db.engine.dispose()


def _run(app: Flask, calls: Sequence[Call], barrier: Any) -> list[Outcome]:
    outcomes = [Outcome()] * len(calls)
    ready, go = threading.Barrier(len(calls) + 1), threading.Event()

    def client(number: int) -> None:
        with app.app_context():
            # Connected and warm: the race is about the rows, not about who connects first.
            db.session.execute(select(ClinicSession.id).limit(1)).all()
            ready.wait(PATIENCE_S)
            go.wait(PATIENCE_S)
            outcomes[number] = _outcome(calls[number])

    threads = [threading.Thread(target=client, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE_S)
    barrier.wait(PATIENCE_S)
    go.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    return outcomes


def _outcome(what: Call) -> Outcome:
    started = time.perf_counter()
    try:
        value = what.act(**what.values)
    except DomainError as refusal:
        return Outcome(refusal=refusal.code, seconds=time.perf_counter() - started)
    except Exception:
        return Outcome(error=traceback.format_exc(), seconds=time.perf_counter() - started)
    return Outcome(value, seconds=time.perf_counter() - started)


# What clients do. They return ids, since rows stay behind in their process.


def reserve(
    actor: Actor, search: Search, starts_at: datetime, token: str, hold_id: int | None = None
) -> tuple[int, int | None]:
    visit = booking.reserve_slot(actor=actor, search=search, starts_at=starts_at, token=token, hold_id=hold_id)
    return visit.id, visit.practitioner_id


def hold(actor: Actor, search: Search, starts_at: datetime) -> int:
    return holds.hold_slot(actor=actor, search=search, starts_at=starts_at).id


def move(actor: Actor, search: Search, starts_at: datetime, token: str) -> int:
    assert search.moving_id is not None
    return booking.move_appointment(
        actor=actor, appointment_id=search.moving_id, search=search, starts_at=starts_at, token=token
    ).id


def move_there(actor: Actor, appointment_id: int, spot: Spot, token: str, version: int | None = None) -> int:
    return move_exactly(actor=actor, appointment_id=appointment_id, spot=spot, token=token, expected_version=version).id


def reserve_there(actor: Actor, search: Search, spot: Spot, token: str) -> int:
    return booking.reserve_slot(
        actor=actor, search=search, starts_at=spot.starts_at, token=token, practitioner_id=spot.practitioner_id
    ).id


def naive_move(appointment_id: int, spot: Spot) -> int:
    """Look whether a clinician is free, then write, with nothing that keeps others out."""
    session = db.session()
    visit = session.get_one(Appointment, appointment_id)
    room, terms = find_room_to_move(session, visit, spot)
    free = {part.session_id: _free(session, part.session_id) for part in room.parts}
    session.rollback()
    time.sleep(0.05)
    for part in room.parts:
        session.execute(_set_free(part.session_id, free[part.session_id] & ~part.mask(room.block)))
    low, high = (masks.to_instant(cell, terms.grid_min) for cell in room.visit)
    where = {"starts_at": low, "ends_at": high, "blocked_from": low, "blocked_until": high}
    session.execute(update(Appointment).where(Appointment.id == appointment_id).values(where))
    session.commit()
    return appointment_id


def cancel(actor: Actor, appointment_id: int, token: str) -> int:
    return booking.cancel_appointment(actor=actor, appointment_id=appointment_id, token=token).id


def need_more_time(actor: Actor, patient_id: int) -> bool:
    fits = change_needs(actor=actor, patient_id=patient_id, needs={Need.LONGER_VISIT: None})
    return [fit.is_longer for fit in fits] == [True]


def refresh(practitioner_id: int) -> int:
    return refresh_sessions(practitioner_id=practitioner_id).added


def ask(actor: Actor, search: Search, token: str, *, is_ask_first: bool = False) -> int:
    return requests.request_appointment(
        actor=actor, search=search, wishes=Wishes(is_ask_first=is_ask_first), token=token
    ).id


def drain() -> bool:
    return queue.drain()


def accept(actor: Actor, offer_id: int) -> int:
    return offers.accept_offer(actor=actor, offer_id=offer_id).id


def decline(actor: Actor, offer_id: int) -> int:
    return offers.decline_offer(actor=actor, offer_id=offer_id).id


def withdraw(actor: Actor, appointment_id: int, token: str) -> int:
    return requests.withdraw_request(actor=actor, appointment_id=appointment_id, token=token).id


def walk_in(actor: Actor, patient_id: int, visit_type_id: int, location_id: int, token: str) -> int:
    visit = walk_ins.take_in(
        actor=actor, who=patient_id, visit_type_id=visit_type_id, location_id=location_id,
        priority=PriorityClass.ROUTINE, token=token,
    )  # fmt: skip
    return walk_ins.ticket_of(db.session(), visit).number


def die_in_the_middle_of_a_batch(after: int) -> None:
    """Serve so many batches, and die in the next one with its cells claimed."""
    told, left = serving.tell_booked_together, [after]

    def die(session: Session, rows: Sequence[Appointment]) -> None:
        if not left[0]:
            os._exit(9)
        left[0] -= 1
        told(session, rows)

    serving.tell_booked_together = die
    queue.drain()


def naive_drain() -> int:
    """What a naive queue does: look who waits and what is free, then write, with nothing that keeps others out."""
    session = db.session()
    waiting = session.execute(
        select(Appointment.id, Appointment.patient_id, Appointment.visit_type_id)
        .where(Appointment.status == Status.PROPOSED)
        .order_by(Appointment.id)
    ).all()
    session.rollback()
    # Long enough for all who race to have looked.
    time.sleep(0.2)
    served = 0
    for row in waiting:
        search = Search(row.visit_type_id, row.patient_id)
        days = find_free_times(session, search, clock.now().date(), 7)
        session.rollback()
        first = next((free.starts_at for times in days.values() for free in times), None)
        if first is not None:
            with suppress(_Taken):
                naive_reserve(search, first)
                served += 1
    return served


def die_between_claim_and_commit(actor: Actor, search: Search, starts_at: datetime) -> None:
    def die(*_: object) -> None:
        os._exit(9)

    # The ledger's rows are the last thing written before the commit.
    booking.outbox.tell_booked = die
    reserve(actor, search, starts_at, "killed")


def die_before_ringing(actor: Actor, search: Search, starts_at: datetime) -> None:
    def die(_job: str) -> bool:
        os._exit(9)

    booking.outbox.queues.ring = die
    reserve(actor, search, starts_at, "killed")


# The same without the guards: what a naive portal would do. These must go wrong, or the races prove nothing.


def naive_reserve(search: Search, starts_at: datetime) -> int:
    """Look, then write: no lock, no condition in the statement."""
    session = db.session()
    terms = load_terms(session, search)
    candidates = find_candidates(session, terms, starts_at)
    if not candidates:
        raise _Taken
    best = candidates[0]
    free = {part.session_id: _free(session, part.session_id) for part in best.parts}
    # As database drivers do by themselves: reading opens no transaction.
    session.rollback()
    # Long enough for others to look, too, on two busy cores.
    time.sleep(0.05)
    for part in best.parts:
        left = free[part.session_id] & ~part.mask(best.block)
        session.execute(_set_free(part.session_id, left))
    low, high = starts_at, starts_at + timedelta(minutes=5) * (best.visit[1] - best.visit[0])
    made = session.execute(
        insert(Appointment)
        .values(
            patient_id=search.patient_id, visit_type_id=search.visit_type_id, status=Status.BOOKED,
            practitioner_id=best.practitioner_id, location_id=best.location_id, starts_at=low, ends_at=high,
            blocked_from=low, blocked_until=high, origin=Origin.DESK, priority_class=PriorityClass.ROUTINE,
            requested_at=terms.now, target_at=terms.now, wishes={}, choice={}, public_id=new_public_id(),
        )
        .returning(Appointment.id)
    ).scalar_one()  # fmt: skip
    session.commit()
    return made


def naive_capped_reserve(actor: Actor, search: Search, starts_at: datetime, token: str) -> tuple[int, int | None]:
    """Look whether the doctor's day has room, then book, without asking again, as the desk may."""
    session = db.session()
    candidates = find_candidates(session, load_terms(session, search), starts_at)
    session.rollback()
    if not candidates:
        raise _Taken
    time.sleep(0.2)
    return reserve(actor, replace(search, beyond_caps=True), starts_at, token)


def take_turns_at_caps(*, is_guarded: bool) -> None:
    """Leave out, in this process, that those who fill one doctor's day wait for each other; or as it is."""
    caps.take_turns_at = take_turns_at if is_guarded else lambda *_: time.sleep(0.1)


def naive_limited_reserve(search: Search, starts_at: datetime) -> int:
    """Count first, book later, without the patient's lock between."""
    load_terms(db.session(), search).check_limits(starts_at)
    db.session().rollback()
    time.sleep(0.1)
    return naive_reserve(search, starts_at)


def naive_need_more_time(appointment_id: int) -> bool:
    """Look whether what follows a visit is free, then take it, with nothing that keeps others out."""
    session = db.session()
    visit = session.get_one(Appointment, appointment_id)
    assert visit.blocked_until is not None
    ends_at = visit.blocked_until + timedelta(minutes=10)
    piece = claims.piece_of(visit.blocked_until, ends_at, 5)
    assert visit.practitioner_id is not None
    [part] = claims.parts_of(session, visit.practitioner_id, 0, piece)
    mask, free = part.mask(piece), _free(session, part.session_id)
    session.rollback()
    time.sleep(0.05)
    if free & mask != mask:
        raise _Taken
    session.execute(_set_free(part.session_id, free & ~mask))
    session.execute(
        update(Appointment)
        .where(Appointment.id == appointment_id)
        .values(ends_at=ends_at, blocked_until=ends_at)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    return True


def naive_walk_in(patient_id: int, visit_type_id: int, location_id: int) -> int:
    """Read the last number, then write the next one, with nothing that keeps others out."""
    session = db.session()
    number = (session.execute(select(func.max(WalkInTicket.number))).scalar_one() or 0) + 1
    session.rollback()
    time.sleep(0.05)
    visit_id = session.execute(
        insert(Appointment)
        .values(
            patient_id=patient_id, visit_type_id=visit_type_id, location_id=location_id, status=Status.ARRIVED,
            origin=Origin.WALK_IN, priority_class=PriorityClass.ROUTINE, requested_at=clock.now(),
            target_at=clock.now(), arrived_at=clock.now(), wishes={}, choice={}, public_id=new_public_id(),
        )
        .returning(Appointment.id)
    ).scalar_one()  # fmt: skip
    values = {"appointment_id": visit_id, "location_id": location_id, "day": clock.now().date(), "number": number}
    session.execute(insert(WalkInTicket).values(values))
    session.commit()
    return number


def naive_cancel(appointment_id: int) -> int:
    """Read first, lock later: the mask that is written back is the one that was read before others wrote."""
    session = db.session()
    visit = session.get_one(Appointment, appointment_id)
    assert visit.blocked_from is not None
    assert visit.blocked_until is not None
    piece = claims.piece_of(visit.blocked_from, visit.blocked_until, 5)
    rows = session.execute(
        select(ClinicSession.id, ClinicSession.first_cell, ClinicSession.cell_count, ClinicSession.free).where(
            ClinicSession.practitioner_id == visit.practitioner_id
        )
    ).all()
    session.rollback()
    time.sleep(0.01)
    for row in rows:
        mask = claims.Part(row.id, row.first_cell, row.cell_count).mask(piece)
        session.execute(_set_free(row.id, row.free | mask))
    session.execute(
        update(Appointment)
        .where(Appointment.id == appointment_id)
        .values(status=Status.CANCELLED, cancelled_at=clock.now(), cancelled_by="clinic")
        .execution_options(synchronize_session=False)
    )
    session.commit()
    return appointment_id


def drop_guarantees(session: Session) -> None:
    """Take the database's own constraints away, in a scratch database, for a control."""
    if session.get_bind().dialect.name == "sqlite":
        triggers = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for name in triggers:
            session.execute(text(f"DROP TRIGGER {name}"))
    else:
        for name in ("appointments_lane", "appointments_patient"):
            session.execute(text(f"ALTER TABLE appointments DROP CONSTRAINT no_overlap_{name}"))
    session.commit()


def forget_unique_numbers(session: Session) -> None:
    """The same for the numbers of those who walk in."""
    session.execute(text("DROP TABLE walk_in_tickets"))
    session.execute(
        text("CREATE TABLE walk_in_tickets (appointment_id INTEGER, location_id INTEGER, day DATE, number INTEGER)")
    )
    session.commit()


class _Taken(DomainError):
    """Nobody is free."""

    code = "slot_taken"


def _free(session: Session, session_id: int) -> int:
    return session.execute(select(ClinicSession.free).where(ClinicSession.id == session_id)).scalar_one()


def _set_free(session_id: int, free: int) -> Any:
    return (
        update(ClinicSession)
        .where(ClinicSession.id == session_id)
        .values(free=free)
        .execution_options(synchronize_session=False)
    )
