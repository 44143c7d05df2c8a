"""The commands do what their help says, and refuse what would hurt."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import inspect, select, text

from clinic_portal import create_app, demo
from clinic_portal.cli import main
from clinic_portal.config import load_config
from clinic_portal.database import db
from clinic_portal.models import AuditEntry
from clinic_portal.settings import load_settings
from clinic_portal.supervisor import lock
from tests.conftest import opened, portal_config, replace_database
from tests.signing_in import set_up_app
from tests.visitor import Visitor
from tests.world import World, build_world

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


REQUIRED = {"clinic_phone": "020 7946 0000", "opening_hours": "Monday to Friday, 8am to 6pm", "emergency_number": "999",
            "urgent_advice": "Call 111, day or night."}  # fmt: skip


def test_production_neither_starts_nor_serves_before_the_clinic_says_whom_to_call(data_dir: Path) -> None:
    refused = run(data_dir, "run", **PRODUCTION, PORT="0")
    assert refused.exit_code == 1
    assert "The clinic must first set clinic_phone, opening_hours, emergency_number, urgent_advice:" in refused.output
    assert "The clinic must first set" in run(data_dir, "web", **PRODUCTION).output
    app = create_app(load_config(portal_config(data_dir, **PRODUCTION)))
    browser = app.test_client()
    page, ready = browser.get("/"), browser.get("/readyz")
    assert (page.status_code, page.mimetype) == (503, "text/plain")
    assert "clinic_phone" in page.text
    assert ready.status_code == 503
    assert "clinic_phone" in ready.json["settings"]  # type: ignore[index]
    assert browser.get("/healthz").status_code == 200
    for name, value in REQUIRED.items():
        assert run(data_dir, "set", name, value, **PRODUCTION).exit_code == 0
    assert "Call 111, day or night." in browser.get("/").text
    assert browser.get("/readyz").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_elsewhere_the_defaults_will_do(data_dir: Path) -> None:
    app = create_app(load_config(portal_config(data_dir)))
    assert app.test_client().get("/").status_code == 200
    assert app.test_client().get("/readyz").status_code == 200
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such", "1"], "There is no setting 'no_such'"),
        (["horizon_days", "many"], "must be a whole number of days"),
        (["horizon_days", "9999"], "9999 is not a valid value"),
        (["clinic_name", ""], "is not a valid value"),
        (["grid_min", "10"], "chosen at the first start"),
        (["clinic_name", "X", "--visit-type", "Check-up"], "no visit types named 'Check-up'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_one_line(data_dir: Path, arguments: list[str], says: str) -> None:
    result = run(data_dir, "set", *arguments)
    assert result.exit_code == 1
    assert says in result.output
    assert count(data_dir, "settings") == count(data_dir, "audit_entries") == 0


def test_a_setting_is_changed_for_all_or_for_one_visit_type_and_remembered(data_dir: Path, now: None) -> None:
    with opened(portal_config(data_dir)):
        world = build_world()
    assert run(data_dir, "set", "horizon_days", "30").exit_code == 0
    assert run(data_dir, "set", "horizon_days", "10", "--visit-type", "Vaccine").exit_code == 0
    assert "all visit types" in run(data_dir, "set", "clinic_name", "X", "--visit-type", "Vaccine").output
    with opened(portal_config(data_dir)):
        settings = load_settings(db.session())
        assert (settings.number("horizon_days"), settings.number("horizon_days", world.vaccine_id)) == (30, 10)
        entries = db.session.scalars(select(AuditEntry).filter_by(action="set").order_by(AuditEntry.id)).all()
        assert [(entry.values.before, entry.values.after) for entry in entries if entry.values] == [
            ({"horizon_days": 42}, {"horizon_days": 30}), ({"horizon_days": 30}, {"horizon_days": 10}),
        ]  # fmt: skip


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
        assert visitor.follow(answer, 303).headers["Location"] == "/account/second-step"
        set_up_app(visitor)
        assert visitor.get("/start", 302).headers["Location"] == "/backoffice/"
        visitor.get("/backoffice/settings/")
        db.session.remove()
        db.engine.dispose()
    again = run(data_dir, "create-account", "--role", "front_desk", "ada@clinic.example")
    assert again.exit_code == 0
    assert count(data_dir, "role_grants") == 2
    assert count(data_dir, "accounts") == 1


def test_a_lost_second_step_is_reset_by_command(furnished: tuple[Path, World], tmp_path: Path) -> None:
    replace_database(furnished[0], tmp_path)
    assert run(tmp_path, "reset-second-factor", "Erin@example.com").exit_code == 0
    assert count(tmp_path, "audit_entries") == 1
    wrong = run(tmp_path, "reset-second-factor", "nobody@example.com")
    assert wrong.exit_code == 1
    assert "There is no account with this address" in wrong.output


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
