"""How much is asked of the database for what happens most; each statement more is paid by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask

from clinic_portal.database import db
from clinic_portal.patient.reading import write_instant
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from tests.asking import ask, drain
from tests.bookings import book, open_clinic
from tests.statements import sent_statements
from tests.test_queue import patients
from tests.visitor import Visitor
from tests.world import World, at

TIMES = "/book/times?visit_type={type}&place=any&needs=none"


@pytest.fixture
def clinic(any_world: World) -> World:
    open_clinic(any_world)
    return any_world


@pytest.fixture
def alice(any_app: Flask, clinic: World) -> Visitor:
    visitor = Visitor(any_app, "alice")
    visitor.csrf_token()
    return visitor


def times_url(world: World) -> str:
    return TIMES.format(type=db.session().connection().exec_driver_sql(
        f"SELECT public_id FROM visit_types WHERE id = {world.check_up_id}"
    ).scalar_one())  # fmt: skip


@contextmanager
def statements(sqlite: int, postgres: int) -> Iterator[None]:
    """So many and no more: on Postgres a page asks whether anything changed, and services lock what they change."""
    with sent_statements() as seen:
        yield
    most = sqlite if db.engine.dialect.name == "sqlite" else postgres
    assert len(seen) == most, [" ".join(statement.split())[:60] for statement in seen]


def test_a_page_of_times(alice: Visitor, clinic: World) -> None:
    url = times_url(clinic)
    alice.get(url)
    book(clinic, at(9, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
    db.session.rollback()
    with statements(12, 13):
        alice.get(url)
    with statements(7, 8):
        alice.get(url)


def test_choosing_a_time_and_booking_it(alice: Visitor, clinic: World) -> None:
    url = times_url(clinic)
    alice.get(url)
    with statements(16, 17):
        kept = alice.post(url, start=write_instant(at(9, day=1)))
    with statements(29, 30):
        alice.post(kept.headers["Location"])


def test_being_late_for_a_time(alice: Visitor, clinic: World) -> None:
    url = times_url(clinic)
    alice.get(url)
    book(clinic, at(9, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
    db.session.rollback()
    lost = {"start": write_instant(at(9, day=1))}
    with statements(21, 23):
        alice.post(url, 409, **lost)
    alice.post(url, 409, **lost)
    with statements(9, 10):
        alice.post(url, 409, **lost)


def test_reserving_without_a_page(clinic: World) -> None:
    search = Search(clinic.check_up_id, clinic.alice_id, account_id=clinic.accounts["alice"])
    booking.reserve_slot(actor=clinic.alice, search=search, starts_at=at(9, day=1), token="the-first-one")
    with statements(22, 22):
        booking.reserve_slot(actor=clinic.alice, search=search, starts_at=at(10, day=1), token="the-second-one")


def test_a_batch_of_the_queue_asks_no_more_for_more_people(clinic: World) -> None:
    asked: list[list[str]] = []
    # The first finds nothing in memory yet.
    for how_many in (1, 1, 4):
        for patient_id in patients(how_many):
            ask(clinic, patient_id, clinic.erin)
        with sent_statements() as sent:
            drain()
        asked.append([" ".join(statement.split())[:60] for statement in sent if not statement.startswith("INSERT")])
    assert asked[2] == asked[1]
