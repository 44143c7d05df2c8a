"""Settings, visit types, places and who does what are kept in memory, and never served after they have changed."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from clinic_portal import catalogue
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Account,
    Base,
    Location,
    LocationText,
    Practitioner,
    PractitionerVisitType,
    Setting,
    VisitType,
    VisitTypeText,
)
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.settings import load_settings, put_setting
from tests.statements import sent_statements
from tests.world import World

WATCHED = [Setting, VisitType, VisitTypeText, Location, LocationText, Practitioner, PractitionerVisitType]


def horizon() -> int:
    """As the next page would read it."""
    db.session.rollback()
    return load_settings(db.session()).number("horizon_days")


@writing
def put(session: Session, value: int, error: Exception | None = None) -> int:
    put_setting(session, "horizon_days", value)
    session.flush()
    seen = load_settings(session).number("horizon_days")
    if error is not None:
        raise error
    return seen


def elsewhere(statement: str, **values: object) -> None:
    """Commit something past this process's sessions, as any other process or program would."""
    with db.engine.begin() as connection:
        connection.execute(text(statement), values)


def stamp(connection: Connection) -> str:
    return str(connection.execute(text("SELECT value FROM catalogue_stamp")).scalar_one())


@pytest.mark.parametrize("model", WATCHED)
def test_whoever_changes_such_a_table_changes_the_stamp(any_world: World, model: type[Base]) -> None:
    table, column = model.__tablename__, next(iter(model.__table__.primary_key.columns)).name
    with db.engine.connect() as connection:
        before = stamp(connection)
        connection.execute(text(f"UPDATE {table} SET {column} = {column}"))
        assert stamp(connection) != before


def test_each_of_these_tables_has_its_triggers_for_every_kind_of_change(any_app: Flask) -> None:
    """A migration that rebuilds a table on SQLite loses them: it must make them again."""
    ask = {
        "sqlite": "SELECT tbl_name, upper(substr(name, length(tbl_name) + 10)) FROM sqlite_master "
        "WHERE type = 'trigger' AND sql LIKE '%catalogue_stamp%'",
        "postgresql": "SELECT event_object_table, event_manipulation FROM information_schema.triggers "
        "WHERE action_statement LIKE '%stamp_catalogue%'",
    }[db.engine.dialect.name]
    with db.engine.connect() as connection:
        found = {(table, act) for table, act in connection.execute(text(ask))}
    assert found == {(table, act) for table in catalogue.WATCHED for act in ("INSERT", "UPDATE", "DELETE")}


def test_the_tables_that_are_watched_are_those_tried_here() -> None:
    assert {model.__tablename__ for model in WATCHED} == catalogue.WATCHED


def test_a_service_sees_its_own_change_and_everybody_else_only_what_was_committed(any_app: Flask) -> None:
    assert horizon() == 42
    assert put(7) == 7
    assert horizon() == 7
    with pytest.raises(ZeroDivisionError):
        put(99, ZeroDivisionError())
    assert horizon() == 7


def test_what_another_process_commits_is_seen_by_the_next_page(any_app: Flask) -> None:
    put(7)
    assert horizon() == 7
    elsewhere("UPDATE settings SET value = '8' WHERE name = 'horizon_days'")
    assert horizon() == 8
    elsewhere("DELETE FROM settings WHERE name = 'horizon_days'")
    assert horizon() == 42


def test_without_the_triggers_it_would_be_served_stale(app: Flask) -> None:
    """The control: this is what the stamp prevents."""
    put(7)
    assert horizon() == 7
    elsewhere("DROP TRIGGER settings_stamped_update")
    elsewhere("UPDATE settings SET value = '8' WHERE name = 'horizon_days'")
    assert horizon() == 7


def test_a_page_that_began_before_a_change_leaves_nothing_stale_behind(any_app: Flask) -> None:
    put(7)
    horizon()
    db.session.rollback()
    session = db.session()
    catalogue.catalogue(session)
    elsewhere("UPDATE settings SET value = '8' WHERE name = 'horizon_days'")
    load_settings(session)
    assert horizon() == 8


def test_a_doctor_who_left_is_offered_no_more_as_soon_as_that_is_committed(any_world: World) -> None:
    search = Search(any_world.check_up_id, any_world.alice_id)
    assert any_world.chen_id in load_terms(db.session(), search).doers
    elsewhere("UPDATE practitioners SET is_active = :no WHERE id = :id", no=False, id=any_world.chen_id)
    db.session.rollback()
    assert any_world.chen_id not in load_terms(db.session(), search).doers


def test_a_page_asks_once_whether_anything_changed_and_reads_nothing_again(any_app: Flask) -> None:
    horizon()
    db.session.rollback()
    with sent_statements() as seen:
        for _ in range(3):
            load_settings(db.session())
    assert [statement for statement in seen if statement != "BEGIN"] == [str(select(catalogue.CatalogueStamp.value))]


def test_a_table_that_is_not_watched_is_refused(app: Flask) -> None:
    assert Account.__tablename__ in Base.metadata.tables
    with pytest.raises(RuntimeError, match="accounts"):
        catalogue.catalogue(db.session()).rows(select(Account.id).join(Practitioner))
