"""The chain over the audit log: what is sealed, and every way of tampering that must be noticed."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from clinic_portal import audit, audit_seal, clock
from clinic_portal.audit_seal import Seal, newest_seal, seal_audit, verify, verify_nightly
from clinic_portal.database import db, snapshot, writing
from clinic_portal.models import AuditEntry, AuditSeal, AuditValues, Patient
from tests.racing import drop_guarantees
from tests.world import World


@writing
def note(session: Session, world: World, count: int = 1) -> None:
    alice = session.get_one(Patient, world.alice_id)
    for number in range(count):
        audit.record(session, audit.SYSTEM, "looked", alice, before={}, after={"note": f"n{number} ü"},
                     patient_id=alice.id)  # fmt: skip


def seals() -> list[AuditSeal]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(AuditSeal).order_by(AuditSeal.number)))


def faults(**more: Any) -> list[tuple[int, str]]:
    with snapshot() as session:
        return verify(session, **more).faults


@pytest.fixture
def sealed(any_world: World) -> World:
    """Five entries, sealed, in a database that lets itself be tampered with."""
    note(any_world, 5)
    assert seal_audit() >= 5
    drop_guarantees(db.session())
    if db.engine.dialect.name != "sqlite":
        for table in ("audit_entries", "audit_seals"):
            db.session().execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_kept"))
        db.session().commit()
    return any_world


def tamper(statement: str) -> None:
    db.session().rollback()
    assert db.session().execute(text(statement)).rowcount >= 1  # type: ignore[attr-defined]
    db.session().commit()


def test_every_committed_entry_is_sealed_once_and_the_chain_verifies(any_world: World) -> None:
    note(any_world, 3)
    first = seal_audit()
    note(any_world, 2)
    assert seal_audit() == 2
    assert seal_audit() == 0
    made = seals()
    assert [seal.number for seal in made] == list(range(1, first + 3))
    assert {seal.audit_entry_id for seal in made} == set(db.session().scalars(select(AuditEntry.id)))
    assert (faults(), newest_seal(db.session())) == ([], Seal(made[-1].number, made[-1].digest))


def test_two_sealers_at_once_give_no_number_twice(any_world: World) -> None:
    note(any_world, 40)
    app, start = current_app._get_current_object(), Barrier(4)  # type: ignore[attr-defined]

    def turn(_: int) -> int:
        with app.app_context():
            start.wait()
            return seal_audit()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(turn, range(4))) >= 40
    assert len({seal.audit_entry_id for seal in seals()}) == len(seals())
    assert faults() == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit_entries SET action = 'nothing' WHERE id = {entry}", [(3, "changed")]),
        ("UPDATE audit_entries SET for_patient_id = NULL WHERE id = {entry}", [(3, "changed")]),
        ("UPDATE audit_seals SET audit_entry_id = 99999 WHERE number = 3", [(3, "entry_gone")]),
        ("UPDATE audit_values SET after = '{{}}' WHERE audit_entry_id = {entry}", [(3, "values_changed")]),
        ("UPDATE audit_values SET salt = 'x' WHERE audit_entry_id = {entry}", [(3, "values_changed")]),
        ("UPDATE audit_seals SET values_digest = '' WHERE number = 3", [(3, "changed")]),
        # Whoever works out the digest of the entry that was changed breaks the one after it.
        ("UPDATE audit_seals SET digest = 'x' WHERE number = 3", [(3, "changed"), (4, "changed")]),
        ("DELETE FROM audit_seals WHERE number = 3", [(3, "seal_gone"), (4, "changed")]),
    ],
)
def test_whatever_is_changed_inside_of_the_chain_is_found_at_its_place(
    sealed: World, statement: str, found: list[tuple[int, str]]
) -> None:
    tamper(statement.format(entry=seals()[2].audit_entry_id))
    assert faults() == found


def test_values_may_be_erased_with_their_person_and_the_chain_still_verifies(sealed: World) -> None:
    tamper("DELETE FROM audit_values")
    assert faults() == []
    # Erased before the seal was made.
    note(sealed, 1)
    tamper("DELETE FROM audit_values")
    assert (seal_audit(), faults()) == (1, [])


def test_the_same_words_have_another_digest_each_time_so_that_erased_ones_cannot_be_guessed(any_world: World) -> None:
    for _ in range(2):
        note(any_world)
    seal_audit()
    first, second = seals()[-2:]
    assert first.values_digest != second.values_digest
    assert all(len(salt) == 16 for salt in db.session().scalars(select(AuditValues.salt)))


def test_a_chain_that_was_cut_or_made_anew_is_found_by_a_seal_that_was_noted(sealed: World) -> None:
    noted = newest_seal(db.session())
    assert faults(noted=noted) == []
    tamper(f"DELETE FROM audit_seals WHERE number = {noted.number}")
    assert faults() == []
    assert faults(noted=noted) == [(noted.number, "seal_gone")]
    assert faults(noted=Seal(2, "another")) == [(2, "not_as_noted")]


def test_part_of_the_chain_is_verified_from_a_seal_on(sealed: World) -> None:
    tamper(f"UPDATE audit_entries SET action = 'nothing' WHERE id = {seals()[2].audit_entry_id}")
    assert faults(after=3) == []
    assert faults(after=2) == [(3, "changed")]


def test_an_entry_that_became_visible_very_late_is_sealed_at_night(
    any_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_seal, "LATE", 0)
    note(any_world, 2)
    entries = list(db.session().scalars(select(AuditEntry.id).order_by(AuditEntry.id)))
    monkeypatch.setattr(audit_seal, "_UNSEALED", audit_seal._UNSEALED.where(AuditEntry.id != entries[-2]))
    seal_audit()
    monkeypatch.undo()
    monkeypatch.setattr(audit_seal, "LATE", 0)
    assert seal_audit() == 0
    assert audit_seal.count_unsealed(db.session(), clock.now() + timedelta(minutes=1)) == 1
    with caplog.at_level(logging.INFO, "clinic_portal.audit_seal"):
        verify_nightly()
    assert f"audit log sealed up to {newest_seal(db.session())}" in caplog.text
    assert len(seals()) == db.session().scalar(select(func.count()).select_from(AuditEntry))


def test_the_night_says_that_the_chain_is_broken(sealed: World, caplog: pytest.LogCaptureFixture) -> None:
    tamper(f"UPDATE audit_entries SET action = 'nothing' WHERE id = {seals()[2].audit_entry_id}")
    verify_nightly()
    assert "the audit log has 1 faults, the first at (3, 'changed')" in caplog.text


def test_the_database_keeps_its_seals(any_world: World) -> None:
    note(any_world)
    seal_audit()
    for statement in ("UPDATE audit_seals SET digest = ''", "DELETE FROM audit_seals"):
        with pytest.raises(IntegrityError, match="kept: audit_seals"):
            db.session().execute(text(statement))
        db.session().rollback()
