"""SQLite: one file, copied page by page while others read and write."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from clinic_portal.backups.kind import BackupError, Kind, Rows


def _dump(url: str, copy: Path) -> Rows:
    """One step copies one instant; writers go on beside it, into the write-ahead log."""
    path = _path(url)
    if not path.exists():
        raise BackupError(f"There is no database at {path}.")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # A copy is one file: it needs no log beside it.
        target.execute("PRAGMA journal_mode=DELETE")
        return _checked_rows(target)


def _refuse_unless_empty(url: str) -> None:
    if (path := _path(url)).exists():
        raise BackupError(f"There is a database at {path} already: move it away first.")


def _load(url: str, copy: Path, compare: Callable[[Rows], None]) -> None:
    path = _path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        shutil.copyfile(copy, partial)
        partial.chmod(0o600)
        with closing(sqlite3.connect(partial)) as connection:
            compare(_checked_rows(connection))
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _checked_rows(connection: sqlite3.Connection) -> Rows:
    if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        raise BackupError("The copy of the database is damaged.")
    if connection.execute("PRAGMA foreign_key_check").fetchall():
        raise BackupError("The copy of the database has rows that belong to rows that are not there.")
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: _rows(connection, name) for (name,) in tables.fetchall()}


def _rows(connection: sqlite3.Connection, table: str) -> tuple[int, str]:
    count, content = 0, hashlib.sha256()
    for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY 1'):  # noqa: S608  # a name of our own schema
        count += 1
        content.update(repr(row).encode())
    return count, content.hexdigest()


def _path(url: str) -> Path:
    return Path(str(make_url(url).database))


KIND = Kind("SQLite", _dump, _refuse_unless_empty, _load)
