"""What pages worked out, kept for as long as nothing at all has changed in the database since.

The database itself says whether anything has: that is asked before whatever is kept under the answer is read. So a time
that somebody took is never shown as free once that is committed, in whichever process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Text, cast, func, select
from sqlalchemy.orm import Session

from clinic_portal.database import is_writing, read_once

MOST_KEPT = 200

_SNAPSHOT = select(cast(func.pg_current_snapshot(), Text))


def kept_while_unchanged(session: Session) -> dict[Any, Any]:
    """What was kept under the state of the database that this page reads; empty after any change whatever.

    Time passes without a change: whoever keeps something that depends on it must keep until when it is right, too.
    Inside a service it is always empty, and nobody else gets what is put there: its changes may yet be taken back.
    """
    if is_writing():
        return {}
    connection = session.connection()
    state = STATES[connection.dialect.name](session, connection)
    # With the connection, since SQLite counts changes for each.
    known, found = connection.info.get("kept", (None, {}))
    if known != state or len(found) >= MOST_KEPT:
        found = {}
        connection.info["kept"] = (state, found)
    kept: dict[Any, Any] = found
    return kept


def _sqlite_state(_session: Session, connection: Connection) -> tuple[int, int]:
    """Counts of what others committed, as of what this transaction sees, and of what this connection wrote."""
    driver: Any = connection.connection.driver_connection
    return driver.execute("PRAGMA data_version").fetchone()[0], driver.total_changes


def _postgres_state(session: Session, _connection: Connection) -> str:
    """Which transactions were over when the page began to read: the same snapshot shows the same rows."""
    return str(read_once(session, _SNAPSHOT, {})[0][0])


STATES: dict[str, Callable[[Session, Connection], Any]] = {"sqlite": _sqlite_state, "postgresql": _postgres_state}
