"""The one way to write: everything or nothing, in line, tried again where that helps, and never from anywhere else."""

from __future__ import annotations

import multiprocessing as mp
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection as EngineConnection
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from clinic_portal import database
from clinic_portal.database import LockTimeout, add_at_once, after_commit, db, writing
from clinic_portal.errors import Busy, Overlap, SlotTaken
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    CancelledBy,
    Hold,
    HoldKind,
    Lease,
    Notification,
    Origin,
    PriorityClass,
    Setting,
    Status,
    new_public_id,
)
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import put_setting
from tests.world import NOW, World, add_session, at


def names() -> set[str]:
    session = db.session()
    session.rollback()
    return set(session.scalars(select(Setting.name)))


@writing
def keep(session: Session, name: str, value: object) -> None:
    put_setting(session, name, value)


@writing
def fail_after_writing(session: Session, error: Exception) -> None:
    put_setting(session, "horizon_days", 7)
    session.flush()
    raise error


# Everything or nothing


@pytest.mark.parametrize("error", [SlotTaken(), ValueError("a bug")], ids=["refusal", "bug"])
def test_an_error_leaves_nothing_written(any_world: World, error: Exception) -> None:
    with pytest.raises(type(error)):
        fail_after_writing(error)
    assert "horizon_days" not in names()


def test_what_is_done_after_the_commit_happens_after_it_and_not_after_a_rollback(any_world: World) -> None:
    seen = []

    @writing
    def ring_and(session: Session, *, fails: bool) -> None:
        put_setting(session, "horizon_days", 7)
        after_commit(lambda: seen.append("horizon_days" in names()))
        if fails:
            raise SlotTaken

    with pytest.raises(SlotTaken):
        ring_and(fails=True)
    assert seen == []
    ring_and(fails=False)
    assert seen == [True]


def test_after_commit_outside_a_transaction_is_refused(any_app: Flask) -> None:
    with pytest.raises(RuntimeError, match="outside a transaction"):
        after_commit(list)


def test_one_transaction_inside_another_is_refused_and_writes_nothing(any_world: World) -> None:
    @writing
    def outer(session: Session) -> None:
        put_setting(session, "horizon_days", 7)
        keep("continuity_months", 3)

    with pytest.raises(RuntimeError, match="called inside another"):
        outer()
    assert names().isdisjoint({"horizon_days", "continuity_months"})


def test_a_change_outside_a_service_is_refused_as_soon_as_it_would_be_written(any_world: World) -> None:
    session = db.session()
    session.add(Setting(name="horizon_days", value=7))
    with pytest.raises(RuntimeError, match="inside @writing only"):
        session.flush()
    session.rollback()
    setting = session.scalars(select(Setting)).first()
    assert setting is not None
    setting.value = "Another clinic"
    with pytest.raises(RuntimeError, match="inside @writing only"):
        session.commit()
    session.rollback()


def test_a_service_sees_what_others_committed_since_its_caller_read(any_world: World) -> None:
    keep("horizon_days", 7)
    kept = db.session().scalars(select(Setting).filter_by(name="horizon_days")).one()
    with db.engine.connect() as other:
        other.execute(text("UPDATE settings SET value = '9' WHERE name = 'horizon_days'"))
        other.commit()

    @writing
    def read(session: Session) -> object:
        return session.get_one(Setting, kept.id).value

    assert read() == 9


# In line


@contextmanager
def writer_elsewhere() -> Iterator[None]:
    """Another process has the writer's turn and does not give it back."""
    path = f"{db.engine.url.database}.lock"
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_keep_turn, args=(path, theirs))
    process.start()
    assert ours.recv() == "locked"
    try:
        yield
    finally:
        ours.send("enough")
        process.join(10)


def _keep_turn(path: str, end: Connection) -> None:
    with open(path, "a") as handle:  # noqa: PTH123
        flock(handle, LOCK_EX)
        end.send("locked")
        end.recv()


def test_a_turn_that_does_not_come_in_time_is_busy_and_reads_go_on_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.3)
    with writer_elsewhere():
        started = time.monotonic()
        with pytest.raises(Busy):
            keep("horizon_days", 7)
        assert 0.25 < time.monotonic() - started < 2
        started = time.monotonic()
        assert "horizon_days" not in names()
        assert time.monotonic() - started < 0.2
    # The one who gave up left the line: nobody waits for a ghost.
    keep("horizon_days", 7)
    assert "horizon_days" in names()


def test_a_writer_interrupted_while_it_waits_leaves_the_line_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    def interrupted(_thread: threading.Thread, _timeout: float | None = None) -> None:
        raise Interrupted

    with writer_elsewhere(), monkeypatch.context() as patched:
        patched.setattr(database.threading.Thread, "join", interrupted)
        with pytest.raises(Interrupted):
            keep("horizon_days", 7)
    keep("horizon_days", 8)
    assert "horizon_days" in names()


def test_writers_come_in_turn_and_none_is_lost(any_app: Flask, any_world: World) -> None:
    @writing
    def count_up(session: Session) -> None:
        kept = session.scalars(select(Setting).filter_by(name="horizon_days").with_for_update()).one()
        kept.value = kept.value + 1

    def client() -> None:
        with any_app.app_context():
            for _ in range(5):
                count_up()

    keep("horizon_days", 0)
    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session = db.session()
    session.rollback()
    assert session.scalar(select(Setting.value).filter_by(name="horizon_days")) == 30


# Tried again


def test_a_row_added_at_once_that_was_taken_back_makes_room_for_another_with_its_id(any_world: World) -> None:
    made: list[Hold] = []

    @writing
    def add(session: Session, error: Exception | None = None) -> Hold:
        hold = Hold(**_hold(any_world))
        made.append(hold)
        add_at_once(session, hold)
        assert hold in session
        if error is not None:
            raise error
        return hold

    with pytest.raises(ZeroDivisionError):
        add(ZeroDivisionError())
    assert made[0] not in db.session()
    kept = add()
    session = db.session()
    assert kept in session
    assert not session.dirty
    session.expire_all()
    assert (kept.closed_at, kept.choice, kept.lane) == (None, {}, 0)
    assert len(kept.public_id) == 16


@pytest.mark.postgres
def test_two_who_wait_for_each_other_both_get_through(postgres_app: Flask) -> None:
    """A deadlock on Postgres: the one who is sent away tries again, and its caller never hears of it."""
    meeting = threading.Barrier(2)
    tries: list[str] = []

    @writing
    def swap(session: Session, first: str, second: str) -> None:
        tries.append(first)
        session.execute(update(Lease).where(Lease.name == first).values(holder=first + second))
        if len(tries) <= 2:
            meeting.wait(5)
        session.execute(update(Lease).where(Lease.name == second).values(holder=first + second))

    @writing
    def begin(session: Session) -> None:
        session.add_all([Lease(name=name, holder="", expires_at=NOW) for name in "ab"])

    def client(first: str, second: str) -> None:
        with postgres_app.app_context():
            swap(first, second)

    begin()
    threads = [threading.Thread(target=client, args=pair) for pair in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) > 2, "nobody had to try again: the two never met"
    assert set(db.session().scalars(select(Lease.holder))) in ({"ab"}, {"ba"})


@pytest.mark.postgres
def test_connections_that_the_server_ended_meanwhile_are_replaced_unseen(
    postgres_app: Flask, postgres_env: dict[str, str]
) -> None:
    with db.engine.connect() as one, db.engine.connect() as other:
        own = {_backend(one), _backend(other)}
    assert len(own) == 2
    with psycopg.connect(postgres_env["DATABASE_URL"]) as admin:
        for number in own:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
    assert names() == set()
    keep("clinic_name", "Harbour")
    assert names() == {"clinic_name"}


def _backend(connection: EngineConnection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@pytest.mark.postgres
def test_a_page_reads_without_a_transaction_and_a_migration_has_one(postgres_app: Flask) -> None:
    session = db.session()
    session.execute(select(1))
    assert _in_transaction(session.connection()) is False
    session.rollback()
    with db.engine.connect() as connection:
        connection.execute(select(1))
        assert _in_transaction(connection) is True


def test_a_savepoint_gives_back_its_part_and_the_rest_is_committed(any_app: Flask) -> None:
    @writing
    def work(session: Session) -> None:
        put_setting(session, "horizon_days", 7)
        session.flush()
        savepoint = session.begin_nested()
        put_setting(session, "sessions_ahead_days", 7)
        session.flush()
        savepoint.rollback()

    work()
    assert names() == {"horizon_days"}


def _in_transaction(connection: EngineConnection) -> bool:
    status = connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]
    return bool(status == psycopg.pq.TransactionStatus.INTRANS)


@pytest.mark.postgres
def test_a_serialisation_failure_is_tried_again_and_too_many_of_them_are_busy(postgres_app: Flask) -> None:
    tries = []

    @writing
    def lose(session: Session, times: int) -> str:
        tries.append(times)
        if len(tries) <= times:
            session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"))
        return "won"

    assert lose(2) == "won"
    assert len(tries) > 2, "nobody had to try again: the two never met"
    tries.clear()
    with pytest.raises(Busy):
        lose(100)
    assert len(tries) == database.TRIES


@pytest.mark.postgres
def test_a_row_that_another_keeps_locked_is_busy_in_the_end(postgres_app: Flask) -> None:
    @writing
    def begin(session: Session) -> None:
        session.add(Lease(name="a", holder="", expires_at=NOW))

    @writing
    def want(session: Session) -> None:
        session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        session.execute(update(Lease).values(holder="mine"))

    begin()
    with db.engine.connect() as other:
        other.execute(update(Lease).values(holder="theirs"))
        with pytest.raises(Busy):
            want()


# What the database itself refuses


def _visit(world: World, **values: object) -> dict[str, object]:
    return {
        "patient_id": world.alice_id, "visit_type_id": world.check_up_id, "status": Status.BOOKED, "lane": 0,
        "practitioner_id": world.chen_id, "location_id": world.location_id, "public_id": new_public_id(),
        "starts_at": at(10, day=1), "ends_at": at(10, 30, day=1), "blocked_from": at(10, day=1),
        "blocked_until": at(10, 30, day=1), "origin": Origin.IMPORT, "priority_class": PriorityClass.ROUTINE,
        "requested_at": NOW, "target_at": NOW, "wishes": {}, "choice": {}, **values,
    }  # fmt: skip


@writing
def put(session: Session, model: type, **values: object) -> None:
    """A row as an import or a repair by hand would write it, past every service."""
    session.execute(insert(model).values(**values))


AGAINST_THE_GUARANTEE = {
    "the same doctor": {"patient_id": "bob"},
    "the same patient with another doctor": {"practitioner_id": "diaz"},
    "a minute of the same doctor": {
        "patient_id": "bob", "starts_at": at(10, 29, day=1), "blocked_from": at(10, 29, day=1),
        "ends_at": at(11, day=1), "blocked_until": at(11, day=1),
    },
    "only the buffer of the same doctor": {
        "patient_id": "bob", "starts_at": at(10, 35, day=1), "blocked_from": at(10, 25, day=1),
        "ends_at": at(11, day=1), "blocked_until": at(11, day=1),
    },
}  # fmt: skip


@pytest.mark.parametrize("values", AGAINST_THE_GUARANTEE.values(), ids=AGAINST_THE_GUARANTEE)
def test_the_database_refuses_overlapping_visits_whoever_writes_them(
    any_world: World, values: dict[str, object]
) -> None:
    people = {"bob": any_world.bob_id, "diaz": any_world.diaz_id}
    put(Appointment, **_visit(any_world))
    with pytest.raises(Overlap):
        put(Appointment, **_visit(any_world, **{key: people.get(str(v), v) for key, v in values.items()}))
    assert db.session().scalar(select(func.count()).select_from(Appointment)) == 1


def test_what_does_not_overlap_is_let_through(any_world: World) -> None:
    bob = {"patient_id": any_world.bob_id}
    put(Appointment, **_visit(any_world))
    next_door = {name: at(10, 30, day=1) for name in ("starts_at", "blocked_from")}
    put(Appointment, **_visit(any_world, **bob, **next_door, ends_at=at(11, day=1), blocked_until=at(11, day=1)))
    put(Appointment, **_visit(any_world, **bob, lane=1, squeeze_in_reason="acute pain", status=Status.ARRIVED))
    ended = {"cancelled_at": NOW, "cancelled_by": CancelledBy.CLINIC}
    put(Appointment, **_visit(any_world, status=Status.CANCELLED, **ended))
    put(Appointment, **_visit(any_world, status=Status.ENTERED_IN_ERROR))
    assert db.session().scalar(select(func.count()).select_from(Appointment)) == 5


def test_a_cancelled_visit_cannot_come_back_over_another(any_world: World) -> None:
    ended = {"cancelled_at": NOW, "cancelled_by": CancelledBy.CLINIC}
    put(Appointment, **_visit(any_world, status=Status.CANCELLED, **ended))
    put(Appointment, **_visit(any_world, patient_id=any_world.bob_id))

    @writing
    def revive(session: Session) -> None:
        session.execute(
            update(Appointment).where(Appointment.patient_id == any_world.alice_id).values(status=Status.BOOKED)
        )

    with pytest.raises(Overlap):
        revive()


def _hold(world: World) -> dict[str, object]:
    """A hold as far as it has no defaults."""
    return {
        "kind": HoldKind.STAFF_CALL, "account_id": world.accounts["erin"], "patient_id": world.alice_id,
        "visit_type_id": world.check_up_id, "practitioner_id": world.chen_id, "location_id": world.location_id,
        "starts_at": at(10, day=1), "ends_at": at(11, day=1), "blocked_from": at(10, day=1),
        "blocked_until": at(11, day=1), "created_at": NOW, "expires_at": at(9),
    }  # fmt: skip


def test_two_holds_or_two_sessions_of_one_doctor_cannot_overlap(any_world: World) -> None:
    hold = _hold(any_world) | {"wishes": {}, "choice": {}, "lane": 0}
    put(Hold, **hold, public_id="one")
    with pytest.raises(Overlap):
        put(Hold, **hold, public_id="two")
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    with pytest.raises(Overlap):
        add_session(any_world.chen_id, at(11, 55, day=1), at(13, day=1))


def test_the_audit_log_and_visits_are_never_deleted_and_the_log_never_changed(any_world: World) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(any_world.check_up_id, any_world.alice_id)
    booking.reserve_slot(actor=any_world.alice, search=search, starts_at=at(10, day=1), token="t")
    for statement in (
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
        "DELETE FROM appointments",
    ):
        with pytest.raises(DBAPIError, match="kept: "):
            _run(statement)
    assert db.session().scalar(select(AuditEntry.action)) == "reserve"


@writing
def _run(session: Session, statement: str) -> None:
    session.execute(text(statement))


def test_a_full_disk_is_an_error_that_leaves_nothing_half_written_and_reads_go_on(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(world.check_up_id, world.alice_id)

    @writing
    def fill(session: Session) -> None:
        connection = session.connection()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        put_setting(session, "clinic_name", "A clinic with a full disk")
        session.execute(text("CREATE TABLE too_much AS SELECT randomblob(10000000) AS x"))

    with pytest.raises(OperationalError, match="full"):
        fill()
    assert db.session().scalar(select(Setting.value).filter_by(name="clinic_name")) == "Harbour Street Clinic"
    _allow_two_more_pages()
    with pytest.raises(OperationalError, match="full"):
        _book_and_cancel_for_ever(world, search)
    session = db.session()
    visits = session.scalar(select(func.count()).select_from(Appointment))
    told = session.scalar(select(func.count(Notification.appointment_id.distinct())))
    assert visits == told


@writing
def _allow_two_more_pages(session: Session) -> None:
    """Enough for a few rows only."""
    connection = session.connection()
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")


def _book_and_cancel_for_ever(world: World, search: Search) -> None:
    for number in count():
        visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=1), token=f"t{number}")
        booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token=f"c{number}")


def test_a_lock_that_times_out_is_said_so(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    handle = database._locked_file(path, 1)
    with pytest.raises(LockTimeout):
        database._locked_file(path, 0.05)
    database.os.close(handle)
    database.os.close(database._locked_file(path, 1))
