"""What is measured without HTTP: bare commits, the same through `@writing`, reservations, and the search for times."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import timedelta

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor, ActorKind
from clinic_portal.config import load_config
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError
from clinic_portal.models import Appointment
from clinic_portal.scheduling import booking, times
from clinic_portal.scheduling.search import Search
from tests.bench.crew import Operation, Station

TABLE = "CREATE TABLE bench_rows (id {id} PRIMARY KEY, worker INTEGER NOT NULL)"
ID = {"sqlite": "INTEGER", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY"}
ONE_ROW = "INSERT INTO bench_rows (worker) VALUES ({})"
DONE, BOOKED, CANCELLED = "done", "booked", "cancelled"
# So that the clinic does not fill up while we look.
CANCELS = 0.1


@writing
def make_table(session: Session) -> None:
    """The table for bare commits."""
    session.execute(text(TABLE.format(id=ID[session.get_bind().dialect.name])))


def driver_commits(station: Station) -> Operation:
    """One row and a commit, by the driver alone: nothing that writes this durably can be faster."""
    config = load_config(station.env)
    if not config.is_sqlite:
        server = psycopg.connect(station.env["DATABASE_URL"])

        def insert_there() -> str:
            server.execute(ONE_ROW.format("%s"), [station.number])
            server.commit()
            return DONE

        return insert_there
    file = sqlite3.connect(db.engine.url.database or "", isolation_level=None, timeout=5)
    file.execute("PRAGMA synchronous=FULL")

    def insert_here() -> str:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return "locked"
        file.execute(ONE_ROW.format("?"), [station.number])
        file.execute("COMMIT")
        return DONE

    return insert_here


_ONE_ROW = text(ONE_ROW.format(":worker"))


@writing
def _insert_row(session: Session, *, worker: int) -> None:
    session.execute(_ONE_ROW, {"worker": worker})


def portal_commits(station: Station) -> Operation:
    """One row and a commit, as every service of the portal does it."""

    def insert() -> str:
        _insert_row(worker=station.number)
        return DONE

    return insert


def reservations(station: Station, *, special: bool) -> Operation:
    """Random patients book random times, and now and then one cancels.

    Args: special, the visit type that only the specialists do; else check-ups and longer visits, which all do.
    """
    clinic, chance = station.clinic, station.chance
    booked: list[Appointment] = []

    def reserve() -> str:
        patient_id = clinic.random_patient(chance)
        type_id = clinic.special_id if special else clinic.random_type(chance)
        visit = booking.reserve_slot(
            actor=Actor(ActorKind.PATIENT, patient_id),
            search=Search(type_id, patient_id, account_id=patient_id),
            starts_at=clinic.random_start(chance),
            token=secrets.token_urlsafe(16),
        )
        booked.append(visit)
        return BOOKED

    def cancel() -> str:
        visit = booked.pop(chance.randrange(len(booked)))
        actor = Actor(ActorKind.PATIENT, visit.patient_id)
        booking.cancel_appointment(actor=actor, appointment_id=visit.id, token=secrets.token_urlsafe(16))
        return CANCELLED

    def reserve_or_cancel() -> str:
        try:
            return cancel() if booked and chance.random() < CANCELS else reserve()
        except DomainError as error:
            return error.code

    return reserve_or_cancel


def searches(station: Station, *, special: bool, days: int) -> Operation:
    """Which times are free, in the days that are mostly booked."""
    clinic, chance = station.clinic, station.chance
    type_id = clinic.special_id if special else clinic.check_up_id

    def find() -> str:
        session = db.session()
        patient_id = clinic.patient_without_visits(chance.randrange(clinic.size.patients_without_visits))
        first_day = clinic.first_day + timedelta(days=1 if days > 1 else chance.randrange(1, clinic.size.filled_days))
        found = times.find_free_times(session, Search(type_id, patient_id), first_day, days)
        session.rollback()
        return DONE if any(found.values()) else "nothing free"

    return find
