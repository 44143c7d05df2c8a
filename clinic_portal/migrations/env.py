"""Alembic's entry: migrates the application's own engine."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from clinic_portal.database import db
from clinic_portal.models import Base


def run() -> None:
    engine = db.engine
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Rebuilding a table drops and renames it: references must not be checked meanwhile.
            # The pragma does nothing inside a transaction, and the connection begins one by itself.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        else:
            # Race: several hosts may start a new release at once; the second waits and finds nothing to do.
            connection.execute(text("SELECT pg_advisory_lock(7263001)"))
            connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.invalidate()


run()
