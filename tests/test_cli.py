"""The commands do what their help says, and refuse what would hurt."""

from __future__ import annotations

import re
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
from tests.conftest import portal_config, replace_database
from tests.visitor import Visitor
from tests.world import World

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


def test_a_clinic_gets_its_first_administrator_with_a_link_that_sets_a_password_once(data_dir: Path) -> None:
    result = run(data_dir, "create-account", "--role", "admin", "Ada@Clinic.example")
    assert result.exit_code == 0, result.output
    path = result.output.strip().removeprefix("http://127.0.0.1:8000")
    app = create_app(load_config(portal_config(data_dir)))
    with app.app_context():
        visitor = Visitor(app)
        visitor.submit(visitor.get(path), password="a good password")
        visitor.get(path, 410)
        answer = visitor.submit(visitor.get("/login"), 302, email="ada@clinic.example", password="a good password")
        assert visitor.follow(answer, 302).headers["Location"] == "/backoffice/"
        visitor.get("/backoffice/settings/")
        db.session.remove()
        db.engine.dispose()
    again = run(data_dir, "create-account", "--role", "front_desk", "ada@clinic.example")
    assert again.exit_code == 0
    assert count(data_dir, "role_grants") == 2
    assert count(data_dir, "accounts") == 1


def test_a_code_is_printed_for_a_patient_and_for_nobody_else(furnished: tuple[Path, World], tmp_path: Path) -> None:
    replace_database(furnished[0], tmp_path)
    with sqlite3.connect(tmp_path / "clinic.db") as connection:
        ((public_id,),) = connection.execute("SELECT public_id FROM patients WHERE given_name = 'Alice'").fetchall()
    connection.close()
    result = run(tmp_path, "invite-patient", public_id)
    assert re.fullmatch(r"[A-Z0-9]{5}-[A-Z0-9]{5}\n", result.output)
    wrong = run(tmp_path, "invite-patient", "nobody")
    assert wrong.exit_code == 1
    assert "There is no patient with this public id" in wrong.output
