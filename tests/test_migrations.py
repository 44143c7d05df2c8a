"""The schema grows from nothing on both databases, and says the same as the models; every column has a user."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask_migrate import upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from clinic_portal.database import db
from clinic_portal.models import Base

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clinic_portal"


def test_the_migrated_schema_is_the_one_of_the_models(any_app: Flask) -> None:
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migrating_again_changes_nothing(any_app: Flask) -> None:
    before = _schema()
    upgrade()
    assert _schema() == before


def test_the_migrations_are_one_line_without_branches(app: Flask) -> None:
    scripts = ScriptDirectory(current_app.extensions["migrate"].directory)
    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1


def test_foreign_keys_are_checked_after_migrating(any_app: Flask) -> None:
    with db.engine.connect() as connection, pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        connection.execute(text("INSERT INTO role_grants (account_id, role_id) VALUES (99, 99)"))


def _schema() -> dict[str, list[str]]:
    found = inspect(db.engine)
    return {table: [column["name"] for column in found.get_columns(table)] for table in found.get_table_names()}


def unused_columns() -> list[str]:
    """Columns that no line outside the models, the migrations and the tests names."""
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "templates").rglob("*.html"), *(ROOT / "templates").rglob("*.txt")]
    text = "\n".join(
        path.read_text() for path in files if not {"models", "migrations"} & set(path.relative_to(ROOT).parts)
    )
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    # A relationship is another name of its column: `visit.practitioner` uses practitioner_id.
    names = {
        f"{mapper.local_table.name}.{column.key}": {column.key, *_ways_to(mapper, column)}
        for mapper in Base.registry.mappers
        for column in mapper.column_attrs
    }
    return sorted(column for column, ways in names.items() if not ways & words)


def _ways_to(mapper: object, attribute: object) -> set[str]:
    columns = set(attribute.columns)  # type: ignore[attr-defined]
    return {relation.key for relation in mapper.relationships if columns & relation.local_columns}  # type: ignore[attr-defined]


def test_every_column_has_a_user() -> None:
    assert unused_columns() == []
