"""Real databases, queue and browser for the tests; only the clock and the mail sink are replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from passlib.hash import argon2
from sqlalchemy.pool import QueuePool

from clinic_portal import clock, create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from tests.belongings import Belongings, furnish, ids_of, put_back, replace_database
from tests.postgres import Postgres, running_postgres
from tests.racing import Call, Outcome, Race, Racers
from tests.world import NOW, World, build_world


def portal_config(data_dir: Path, **env: str) -> dict[str, str]:
    """Environment of a portal for tests, in its own data folder and with no queue to reach."""
    # The cast's password is hashed once for all tests, so they all need the same salt.
    fixed = {"PORTAL_ENV": "test", "PASSWORD_SALT": "p" * 40, "REDIS_URL": "redis://127.0.0.1:1"}
    return {**fixed, "DATA_DIR": str(data_dir), **env}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, so that a plain mistake shows within a minute; then slow, Postgres and browser tests."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("browser", "postgres", "slow")])


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """A tenth of a second for each password is right in a clinic, and a third of all the time here."""
    argon2.default_rounds, argon2.memory_cost, argon2.parallelism = 1, 64, 1


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


@pytest.fixture(scope="session")
def shared_portal(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Flask:
    """One portal for all tests that need no settings of their own: making it costs more than most of them."""
    return create_app(load_config(portal_config(tmp_path_factory.mktemp("shared"))))


@pytest.fixture
def app(shared_portal: Flask, empty_database: Path) -> Iterator[Flask]:
    """The portal on a fresh SQLite database, inside its application context."""
    settings, folder = dict(shared_portal.config), shared_portal.config["PORTAL"].data_dir
    shutil.rmtree(folder / "mail", ignore_errors=True)
    replace_database(empty_database, folder)
    with shared_portal.app_context():
        yield shared_portal
        db.session.remove()
        db.engine.dispose()
    shared_portal.config.clear()
    shared_portal.config.update(settings)


@pytest.fixture
def now() -> Iterator[None]:
    """Monday 2 March 2026, 08:00 in London."""
    with clock.clock_at(NOW):
        yield


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> tuple[Path, World]:
    """A SQLite file with the small clinic in it, built once, and the ids of everything."""
    folder = tmp_path_factory.mktemp("furnished")
    replace_database(empty_database, folder)
    with clock.clock_at(NOW), opened(portal_config(folder)):
        return folder / "clinic.db", build_world()


@pytest.fixture
def world(app: Flask, now: None, furnished: tuple[Path, World]) -> World:
    """The small clinic of `tests/world.py`, in the database of `app`."""
    db.session.remove()
    db.engine.dispose()
    replace_database(furnished[0], app.config["PORTAL"].data_dir)
    return deepcopy(furnished[1])


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory: pytest.TempPathFactory, furnished: tuple[Path, World]) -> tuple[Path, World]:
    """A data folder in which the small clinic has visits, a kept time and mails, and its ids; made once."""
    folder, world = tmp_path_factory.mktemp("lived-in"), deepcopy(furnished[1])
    replace_database(furnished[0], folder)
    with clock.clock_at(NOW), opened(portal_config(folder)):
        furnish(world)
    return folder, world


@pytest.fixture
def belongings(app: Flask, now: None, lived_in: tuple[Path, World]) -> Belongings:
    """All that is Alice's, in the database of `app`."""
    folder, world = lived_in
    put_back(app, folder)
    shutil.copytree(folder / "mail", app.config["PORTAL"].mail_dir)
    return Belongings(app, deepcopy(world), folder, ids_of(app, world))


@contextmanager
def opened(env: dict[str, str]) -> Iterator[Flask]:
    """The portal with this environment, inside its application context."""
    app = create_app(load_config(env))
    with app.app_context():
        yield app
        db.session.remove()
        if isinstance(db.engine.pool, QueuePool):
            assert db.engine.pool.checkedout() == 0, "a connection was left open: is a thread still running?"
        db.engine.dispose()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The Postgres server of this run, with a database named `migrated` that is there to be copied."""
    with running_postgres() as server:
        url = server.url(server.create(name="migrated"))
        with opened(portal_config(tmp_path_factory.mktemp("migrated"), DATABASE_URL=url)):
            upgrade()
        yield server


@pytest.fixture
def postgres_env(postgres: Postgres, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment of a portal on a fresh Postgres database."""
    name = postgres.create("migrated")
    yield portal_config(tmp_path / "data", DATABASE_URL=postgres.url(name))
    postgres.drop(name)


@pytest.fixture
def postgres_app(postgres_env: dict[str, str]) -> Iterator[Flask]:
    """The portal on a fresh Postgres database, inside its application context."""
    with opened(postgres_env) as app:
        yield app


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Environment of a portal on a fresh database, once for each kind of database."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_env")
    return portal_config(request.getfixturevalue("data_dir"))


@pytest.fixture
def any_app(any_env: dict[str, str]) -> Iterator[Flask]:
    """The portal inside its application context, once for each kind of database."""
    with opened(any_env) as app:
        yield app


@pytest.fixture
def any_world(any_app: Flask, now: None) -> World:
    return build_world()


@pytest.fixture
def time_goes_on(world: World) -> Iterator[None]:
    """A second passes whenever somebody looks at the clock."""
    instant = clock.now()

    def tick() -> datetime:
        nonlocal instant
        instant += timedelta(seconds=1)
        return instant

    with clock.clock_at(tick):
        yield


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    """Processes that wait for races to run."""
    found = Racers()
    yield found
    found.stop()


@pytest.fixture
def race(racers: Racers, any_world: World, any_env: dict[str, str]) -> Race:
    """Run calls against the database of this test; nobody may see anything but an answer or a refusal."""

    def run(calls: Sequence[Call]) -> list[Outcome]:
        db.session.remove()
        outcomes = racers.race(any_env, NOW, calls)
        errors = [outcome.error for outcome in outcomes if outcome.error]
        assert not errors, errors[0]
        return outcomes

    return run
