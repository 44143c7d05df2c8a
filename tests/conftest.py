"""Real databases, queue and browser for the tests; only the clock and the mail sink are replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade

from clinic_portal import clock, create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from tests.world import NOW, World, build_world


def portal_config(data_dir: Path, **env: str) -> dict[str, str]:
    """Environment of a portal for tests, in its own data folder and with no queue to reach."""
    return {"PORTAL_ENV": "test", "DATA_DIR": str(data_dir), "REDIS_URL": "redis://127.0.0.1:1", **env}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file migrated from nothing once; each test copies it."""
    folder = tmp_path_factory.mktemp("template")
    app = create_app(load_config(portal_config(folder)))
    with app.app_context():
        upgrade()
        db.engine.dispose()
    return folder / "clinic.db"


@pytest.fixture
def data_dir(tmp_path: Path, empty_database: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "clinic.db")
    return folder


@pytest.fixture
def app(data_dir: Path) -> Iterator[Flask]:
    """The portal on a fresh SQLite database, inside its application context."""
    app = create_app(load_config(portal_config(data_dir)))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def now() -> Iterator[None]:
    """Monday 2 March 2026, 08:00 in London."""
    with clock.clock_at(NOW):
        yield


@pytest.fixture
def world(app: Flask, now: None) -> World:
    return build_world()
