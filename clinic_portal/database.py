"""The database and the one way to write to it: `@writing`.

SQLite lets one writer in at a time and has no fair queue for the others; a file lock beside the database is that queue.
Postgres runs writers side by side and asks the loser of a conflict to try again. A service function sees neither.
"""

from __future__ import annotations

import fcntl
import functools
import os
import random
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, CursorResult, Engine, Executable, Table, event, insert, inspect, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.orm import Session, SessionTransaction, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from clinic_portal.errors import Busy, Overlap
from clinic_portal.models.base import Base

P = ParamSpec("P")
R = TypeVar("R")

# The longest that a request waits for its turn to write; beyond it the page says "busy", and nothing was changed.
LOCK_WAIT_S = 5.0
TURN_WAIT_S = 20.0
TRIES = 6
# Postgres: serialisation failure and deadlock. Neither is anybody's fault, and the second try usually wins.
RETRIED = frozenset({"40001", "40P01"})
REFUSED_FOR_TIME = frozenset({"55P03", "57014"})

db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False}, disable_autonaming=True)
_depth: ContextVar[int] = ContextVar("writing", default=0)
_after_commit: ContextVar[list[Callable[[], None]] | None] = ContextVar("after_commit", default=None)


class LockTimeout(Exception):
    """Another writer kept the database for too long."""


def writing(service: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Make a service function one transaction: take the writer's turn before its first read, commit, then ring.

    The function gets the session as its first argument and is run again from the start after a serialisation failure
    or a deadlock, so it must not do anything that a rollback does not undo. Calling one such function from another is
    refused: it would commit half of the outer one's work.

    Commits: once, everything or nothing.
    Raises: Busy when the turn did not come in time; whatever the function raises, after rolling back.
    """

    @functools.wraps(service)
    def transaction(*args: P.args, **kwargs: P.kwargs) -> R:
        if _depth.get():
            raise RuntimeError(f"{service.__name__} is a transaction of its own and was called inside another")
        for attempt in range(1, TRIES + 1):
            try:
                return _run_once(service, args, kwargs)
            except IntegrityError as error:
                if _is_overlap(error):
                    raise Overlap from error
                raise
            except OperationalError as error:
                if not _is_worth_retrying(error) or attempt == TRIES:
                    raise _as_refusal(error) from error
                # Random pauses keep two losers from meeting again.
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    return transaction


def after_commit(action: Callable[[], None]) -> None:
    """Do something once the present transaction has been committed, and not at all if it is rolled back."""
    actions = _after_commit.get()
    if actions is None:
        raise RuntimeError("after_commit outside a transaction")
    actions.append(action)


def _run_once(service: Callable[..., R], args: Any, kwargs: Any) -> R:
    session: Session = db.session()
    # What was read before the lock may be stale by now: forget it. A rollback alone forgets nothing when the last
    # transaction was committed, since its rows stay readable after it.
    session.rollback()
    session.expire_all()
    session.info["added"] = []
    actions: list[Callable[[], None]] = []
    entered, listed = _depth.set(1), _after_commit.set(actions)
    try:
        with _turn_to_write(db.engine):
            try:
                result = service(session, *args, **kwargs)
                session.commit()
            except BaseException:
                session.rollback()
                _forget_added(session)
                raise
    except LockTimeout as error:
        raise Busy from error
    finally:
        _depth.reset(entered)
        _after_commit.reset(listed)
    for action in actions:
        action()
    return result


def _is_worth_retrying(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in RETRIED


def _is_overlap(error: IntegrityError) -> bool:
    """Whether the database's own guarantee spoke: the net under every bug, import and manual fix."""
    return getattr(error.orig, "sqlstate", None) == "23P01" or "overlap: " in str(error.orig)


def _as_refusal(error: OperationalError) -> Exception:
    """`database is locked` and statement time-outs mean busy; a full disk or a lost server stay what they are."""
    if getattr(error.orig, "sqlstate", None) in RETRIED | REFUSED_FOR_TIME:
        return Busy()
    if isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig):
        return Busy()
    return error


@contextmanager
def _turn_to_write(engine: Engine) -> Iterator[None]:
    if engine.dialect.name != "sqlite":
        yield
        return
    handle = _locked_file(f"{engine.url.database}.lock", LOCK_WAIT_S)
    try:
        yield
    finally:
        os.close(handle)


def _locked_file(path: str, wait_s: float) -> int:
    """Open the lock file and wait in line for it. An own descriptor per turn: threads exclude each other too."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _wait_in_line(handle, wait_s)
    return handle


def _wait_in_line(handle: int, wait_s: float) -> None:
    """The kernel serves flock in order, but cannot time it out: so a thread of its own does the waiting."""
    turn = threading.Lock()
    state = {"given_up": False, "locked": False}

    def wait() -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with turn:
            if state["given_up"]:
                os.close(handle)
            state["locked"] = True

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    try:
        waiter.join(wait_s)
    except BaseException:
        # A job's time limit or Ctrl-C struck while we waited: a lock that nobody remembers would stop every writer.
        with turn:
            state["given_up"] = True
            if state["locked"]:
                os.close(handle)
        raise
    with turn:
        if not state["locked"]:
            state["given_up"] = True
            raise LockTimeout


def run(session: Session, statement: Executable, params: Any = None) -> CursorResult[*tuple[Any, ...]]:
    """Execute a prepared statement on the session's connection, past the ORM: half the time for rows of plain values.

    Nothing is flushed before it; the hot paths write what they read themselves.
    """
    return session.connection().execute(statement, params or {})


def add_at_once(session: Session, row: Any) -> None:
    """Insert a new row now, so that it has its id; as a flush does, in a third of its time.

    Args: row, of a table whose key the database makes.
    """
    model: type[Base] = type(row)
    values = {}
    for name, column in _columns(model):
        if name not in row.__dict__:
            default = None if column.default is None else column.default.arg
            set_committed_value(row, name, default(None) if callable(default) else default)
        values[column.name] = row.__dict__[name]
    row.id = run(session, _insert(model), values).scalar_one()
    make_transient_to_detached(row)
    session.add(row)
    session.info["added"].append(row)


def _forget_added(session: Session) -> None:
    """Rows that a rollback took back: another row may get the same id, and the session would take one for the other."""
    for row in session.info["added"]:
        if row in session:
            session.expunge(row)


@cache
def _columns(model: type[Base]) -> list[tuple[str, Any]]:
    attributes = inspect(model).column_attrs
    return [(each.key, each.columns[0]) for each in attributes if not each.columns[0].primary_key]


@cache
def _insert(model: type[Base]) -> Executable:
    table = cast("Table", model.__table__)
    return insert(table).returning(table.c.id)


def read_once(session: Session, statement: Executable, params: dict[str, Any]) -> Sequence[Any]:
    """The rows of a prepared statement; while one page reads, the same question is asked once.

    A service asks every time: it may have waited for a lock meanwhile.
    """
    memory = remembered(session)
    if memory is None:
        return run(session, statement, params).all()
    key = (statement, *params.values())
    if key not in memory:
        memory[key] = run(session, statement, params).all()
    rows: Sequence[Any] = memory[key]
    return rows


def is_writing() -> bool:
    """Whether a service is at work."""
    return bool(_depth.get())


def remembered(session: Session) -> dict[Any, Any] | None:
    """What was found so far since a page began to read; it forgets when the reading ends, so before every service.

    None inside a service: what it reads may be its own change, or what a lock made it wait for.
    """
    if _depth.get():
        return None
    reading = session.get_transaction()
    if reading is None:
        session.connection()
        reading = session.get_transaction()
    known, found = session.info.get("remembered", (None, {}))
    if known is not reading:
        found = {}
        session.info["remembered"] = (reading, found)
    memory: dict[Any, Any] = found
    return memory


@contextmanager
def snapshot() -> Iterator[Session]:
    """A session of its own in which every read sees the database at one moment; nothing may be written in it."""
    engine = db.engine
    if engine.dialect.name != "sqlite":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as session:
        yield session


def lock_rows(session: Session) -> bool:
    """Whether rows must be locked one by one: on SQLite the writer's turn already excludes everybody."""
    return session.get_bind().dialect.name != "sqlite"


def take_turns(session: Session, what: int) -> None:
    """Wait until nobody else is at the same kind of change; the turn ends with the transaction.

    Args: what, the kind, as a number of its own. On SQLite all writers take turns anyhow.
    """
    if lock_rows(session):
        # A turn lasts longer than a row is locked, and there may be a line.
        session.execute(_LOCK_TIMEOUT, {"wait": f"{TURN_WAIT_S:.0f}s"})
        session.execute(_TURN, {"what": what})
        session.execute(_LOCK_TIMEOUT, {"wait": f"{LOCK_WAIT_S:.0f}s"})


_TURN = text("SELECT pg_advisory_xact_lock(:what)")
_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :wait, true)")


def install(engine: Engine) -> None:
    """Prepare a new engine: connection settings, and how a transaction begins."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _set_up_postgres)
        event.listen(engine, "checkout", _refuse_dead_connection)
        event.listen(engine, "checkin", _end_autocommit)


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not begin transactions by itself: see _begin_sqlite.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000",
                   "cache_size=-16000", "fullfsync=ON"):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # By the driver itself: it happens for every page, and through the engine it costs as much as a query.
    statement = "BEGIN IMMEDIATE" if _depth.get() else "BEGIN"
    try:
        connection.connection.driver_connection.execute(statement)  # type: ignore[union-attr]
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def _set_up_postgres(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT_S:.0f}s'")
        cursor.execute("SET statement_timeout = '30s'")
    connection.commit()


def _refuse_dead_connection(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool replace a connection whose server went away while nobody used it.

    A server that ends says so, and its end of the line closes: both can be seen without asking it anything.
    """
    if connection.closed:
        raise DisconnectionError
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    if line.poll(0):
        raise DisconnectionError


def _read_without_transaction(_session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """Spare Postgres the BEGIN and ROLLBACK around what a page reads.

    There each statement sees what is committed when it begins, inside a transaction or not.
    """
    # A savepoint begins inside a transaction, which it must not change.
    if connection.dialect.name == "postgresql" and not transaction.nested:
        connection.connection.driver_connection.autocommit = not _depth.get()  # type: ignore[union-attr]


def _end_autocommit(connection: Any, _record: Any) -> None:
    """Whoever gets the connection next may not be a session of ours: a migration is one transaction."""
    if connection is not None and connection.autocommit and not connection.closed:
        connection.autocommit = False


def refuse_writes_outside_transactions(_session: Session, *_: Any) -> None:
    """A flush outside `@writing` would write without the lock and without a commit: a bug, told at once."""
    if not _depth.get():
        raise RuntimeError("a change was made outside a service function: write inside @writing only")


event.listen(db.session, "before_flush", refuse_writes_outside_transactions)
event.listen(db.session, "after_begin", _read_without_transaction)


def database_answers(session: Session) -> bool:
    """Whether a trivial query works now."""
    return bool(session.execute(text("SELECT 1")).scalar())
