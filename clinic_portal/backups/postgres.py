"""Postgres: its own programs copy and bring back; a shared snapshot lets us count the very rows that they copy."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from clinic_portal.backups.kind import BackupError, Kind, Rows

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
# The text of a row is the same in both places once both tell the time alike.
ROWS = "SELECT count(*), coalesce(sum(hashtextextended(each::text, 0)::numeric), 0)::text FROM {} AS each"


def _dump(url: str, copy: Path) -> Rows:
    with _connected(url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        _run(url, "pg_dump", f"--snapshot={snapshot}", "--format=custom", f"--file={copy}")
        return _rows(connection)


def _refuse_unless_empty(url: str) -> None:
    with _connected(url) as connection:
        if connection.execute(TABLES).fetchall():
            raise BackupError("The database is not empty: make a new one, and name it in DATABASE_URL.")


def _load(url: str, copy: Path, compare: Callable[[Rows], None]) -> None:
    _run(url, "pg_restore", "--exit-on-error", "--single-transaction", str(copy))
    with _connected(url) as connection:
        connection.autocommit = True
        try:
            compare(_rows(connection))
        except BackupError:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            raise


def _connected(url: str) -> psycopg.Connection[tuple[str, ...]]:
    return psycopg.connect(_conninfo(url), options="-c timezone=UTC")


def _rows(connection: psycopg.Connection[tuple[str, ...]]) -> Rows:
    found: Rows = {}
    for (table,) in connection.execute(TABLES).fetchall():
        for count, content in connection.execute(sql.SQL(ROWS).format(sql.Identifier(table))):
            found[table] = (int(count), content)
    return found


def _run(url: str, program: str, *options: str) -> None:
    """Owners and rights are those of whoever brings it back; the password stays out of the list of processes."""
    if shutil.which(program) is None:
        raise BackupError(f"{program} is not there: install the client programs of Postgres, of the server's version.")
    parts = {name: str(value) for name, value in conninfo_to_dict(_conninfo(url)).items()}
    environment = {**os.environ, "PGPASSWORD": parts.pop("password", "")}
    where = f"--dbname={make_conninfo('', **parts)}"
    command = [program, "--no-owner", "--no-privileges", "--no-comments", where, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()}")


def _conninfo(url: str) -> str:
    return f"postgresql://{url.partition('://')[2]}"


KIND = Kind("Postgres", _dump, _refuse_unless_empty, _load)
