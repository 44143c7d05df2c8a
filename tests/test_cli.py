"""The commands do what their help says, and refuse what would hurt."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import inspect, text

from clinic_portal import create_app, demo
from clinic_portal.cli import main
from clinic_portal.config import load_config
from clinic_portal.database import db
from clinic_portal.supervisor import lock
from tests.conftest import portal_config

PRODUCTION = {
    "PORTAL_ENV": "production",
    "BASE_URL": "https://portal.example",
    "SMTP_HOST": "mail.example",
    "MAIL_FROM": "desk@portal.example",
    "SECRET_KEY": "s" * 40,
    "PASSWORD_SALT": "p" * 40,
}


def run(folder: Path, *arguments: str, answer: str = "", **env: str) -> Result:
    return CliRunner().invoke(main, arguments, env=portal_config(folder, **env), input=answer)


def count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "clinic.db") as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(rows)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_says_what_it_is_for(command: str, tmp_path: Path) -> None:
    result = run(tmp_path, command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 3


def test_migrate_makes_the_schema_in_an_empty_folder_and_does_nothing_the_second_time(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, "migrate").exit_code == 0
    assert count(tmp_path, "appointments") == 0


@pytest.mark.parametrize("command", ["seed-demo", "reset-demo"])
def test_production_never_gets_the_demo_clinic(command: str, tmp_path: Path) -> None:
    result = run(tmp_path, command, answer="y\n", **PRODUCTION)
    assert result.exit_code == 1
    assert "not for PORTAL_ENV=production" in result.output


def test_a_wrong_setting_is_told_in_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, "migrate", PORT="eighty")
    assert result.exit_code == 1
    assert result.output == "Error: PORT is 'eighty'; it must be a whole number from 0 to 65535.\n"


def test_the_demo_is_not_reset_while_the_portal_runs(data_dir: Path) -> None:
    with lock.claim(load_config(portal_config(data_dir))):
        result = run(data_dir, "reset-demo", "--yes")
    assert result.exit_code == 1
    assert "Already running" in result.output


def test_the_demo_is_not_reset_unless_somebody_says_yes(data_dir: Path) -> None:
    before = (data_dir / "clinic.db").read_bytes()
    assert run(data_dir, "reset-demo", answer="n\n", PORTAL_ENV="demo").exit_code == 1
    assert (data_dir / "clinic.db").read_bytes() == before


@pytest.mark.slow
def test_the_demo_can_be_made_once_and_made_again_after_a_reset(data_dir: Path) -> None:
    assert run(data_dir, "seed-demo", PORTAL_ENV="demo").exit_code == 0
    patients = count(data_dir, "patients")
    assert patients > 100
    again = run(data_dir, "seed-demo", PORTAL_ENV="demo")
    assert again.exit_code == 1
    assert "not empty" in again.output
    with sqlite3.connect(data_dir / "clinic.db") as connection:
        connection.execute("CREATE TABLE leftover (id INTEGER)")
    connection.close()
    assert run(data_dir, "reset-demo", "--yes", PORTAL_ENV="demo").exit_code == 0
    assert count(data_dir, "patients") == patients
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        count(data_dir, "leftover")


@pytest.mark.postgres
@pytest.mark.slow
def test_a_demo_on_postgres_is_made_again_from_nothing(postgres_env: dict[str, str]) -> None:
    env = {**postgres_env, "PORTAL_ENV": "demo"}
    app = create_app(load_config(env))
    assert CliRunner().invoke(main, ["migrate"], env=env).exit_code == 0
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE leftover (id INTEGER)"))
    assert CliRunner().invoke(main, ["reset-demo", "--yes"], env=env).exit_code == 0
    with app.app_context():
        tables = inspect(db.engine).get_table_names()
        assert not demo.is_empty()
        db.session.remove()
        db.engine.dispose()
    assert "appointments" in tables
    assert "leftover" not in tables
