"""A big clinic, written in bulk: weeks of sessions, the first of them mostly booked; masks equal hours minus visits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Account,
    Appointment,
    ClinicSession,
    ContactKind,
    ContactPoint,
    IdentityStatus,
    Location,
    Origin,
    Patient,
    PatientAccess,
    Practitioner,
    PractitionerKind,
    PractitionerVisitType,
    Relation,
    Role,
    RoleGrant,
    RoleName,
    Status,
    VisitType,
)
from clinic_portal.profile import notice
from clinic_portal.scheduling import masks
from clinic_portal.settings import put_setting

ZONE = "Europe/London"
GRID = 5
SESSION_STARTS_MIN = (8 * 60, 13 * 60)
SESSION_CELLS = 48
CHECK_UP_MIN, LONGER_MIN, STEP_MIN = 15, 30, 15
CHECK_UPS_OF_ALL = 0.7
# With visits of these lengths and gaps of 15 minutes between some of them, 70 % of the time is booked.
NEXT_IS_BOOKED = 0.642
ANCIENT = date(2020, 1, 1)


@dataclass(frozen=True)
class Size:
    """How big a clinic to build; `specialists` do one visit type more."""

    practitioners: int
    specialists: int
    days: int
    filled_days: int
    patients: int
    patients_without_visits: int


@dataclass(frozen=True)
class Clinic:
    """What was built, as plain values that can be sent to other processes."""

    size: Size
    first_day: date
    check_up_id: int
    longer_id: int
    special_id: int
    public_ids: dict[int, str]

    def random_start(self, chance: random.Random) -> datetime:
        """A start on some day from tomorrow on; in the first weeks most practitioners are busy then."""
        day = self.first_day + timedelta(days=chance.randrange(1, self.size.days))
        steps = SESSION_CELLS * GRID // STEP_MIN - LONGER_MIN // STEP_MIN
        minute = chance.choice(SESSION_STARTS_MIN) + STEP_MIN * chance.randrange(steps + 1)
        return clock.wall_to_instant(day, minute, ZONE)

    def random_type(self, chance: random.Random) -> int:
        return self.check_up_id if chance.random() < CHECK_UPS_OF_ALL else self.longer_id

    def random_patient(self, chance: random.Random) -> int:
        """A patient and, by the same number, the account that acts for this patient."""
        return chance.randrange(self.size.patients) + 1

    def patient_without_visits(self, number: int) -> int:
        """Another patient with the account of the same number; nobody books for these unless the caller does."""
        return self.size.patients + 1 + number % self.size.patients_without_visits


def build(size: Size) -> Clinic:
    """Fill the migrated, empty database of the present application."""
    today = clock.local_date(clock.now(), ZONE)
    _build(size=size, today=today)
    if db.engine.dialect.name == "postgresql":
        _let_postgres_look_at_it()
    public_ids = {row.id: row.public_id for row in db.session().execute(select(VisitType.id, VisitType.public_id))}
    return Clinic(size, today, check_up_id=1, longer_id=2, special_id=3, public_ids=public_ids)


@writing
def _build(db: Session, *, size: Size, today: date) -> None:
    _add_place_and_types(db, size)
    _add_patients(db, size.patients + size.patients_without_visits)
    sessions, visits = _plan(size, today)
    _insert(db, ClinicSession, sessions)
    _insert(db, Appointment, visits)
    put_setting(db, "horizon_days", size.days)
    # The load is one of many bookings: no patient of it is held back.
    for name in ("max_open_per_patient", "max_open_in_all"):
        put_setting(db, name, 100)


def _add_place_and_types(db: Session, size: Size) -> None:
    names = ("Harbour Street", "Mill Lane")
    _insert(db, Location, [{"name": name, "address": name, "zone": ZONE, "phone": "1"} for name in names])
    types = ("Check-up", "Longer visit", "Special visit")
    _insert(db, VisitType, [{"name": name, "start_step_min": STEP_MIN} for name in types])
    numbers = range(1, size.practitioners + 1)
    _insert(
        db, Practitioner, [{"name": f"Dr {n}", "kind": PractitionerKind.DOCTOR, "email": _email(n)} for n in numbers]
    )
    _insert(db, PractitionerVisitType, [
        {"practitioner_id": number, "visit_type_id": kind, "duration_min": minutes, "duration_new_patient_min": minutes}
        for number in numbers
        for kind, minutes in ((1, CHECK_UP_MIN), (2, LONGER_MIN), (3, CHECK_UP_MIN))
        if kind != 3 or number <= size.specialists
    ])  # fmt: skip


def _email(number: int) -> str:
    return f"doctor{number}@example.com"


def _add_patients(db: Session, count: int) -> None:
    """As many accounts as patients, the n-th for the n-th; nobody signs in with a password here."""
    numbers, now = range(1, count + 1), clock.now()
    _insert(db, Role, [{"name": name.value} for name in RoleName])
    role_id = db.execute(select(Role.id).where(Role.name == RoleName.PATIENT.value)).scalar_one()
    _insert(db, Account, [
        {"email": f"p{n}@example.com", "fs_uniquifier": f"bench-{n}", "created_at": now, "active": True,
         "confirmed_at": now, "privacy_notice_version": notice.VERSION}
        for n in numbers
    ])  # fmt: skip
    _insert(db, RoleGrant, [{"account_id": n, "role_id": role_id} for n in numbers])
    _insert(db, Patient, [
        {"given_name": "Pat", "family_name": f"Name{n}", "called_name": "Pat", "search_name": f"name{n} pat",
         "identity_status": IdentityStatus.MATCHED, "registered_on": ANCIENT}
        for n in numbers
    ])  # fmt: skip
    _insert(db, PatientAccess, [
        {"account_id": n, "patient_id": n, "relation": Relation.SELF, "starts_on": ANCIENT} for n in numbers
    ])  # fmt: skip
    _insert(db, ContactPoint, [
        {"patient_id": n, "kind": ContactKind.EMAIL, "value": f"p{n}@example.com", "whose": Relation.SELF}
        for n in numbers
    ])  # fmt: skip


def _plan(size: Size, today: date) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of all sessions, and of the visits in the first days; a patient has at most one visit a day."""
    chance = random.Random(1)
    sessions: list[dict[str, Any]] = []
    visits: list[dict[str, Any]] = []
    for offset in range(size.days):
        day = today + timedelta(days=offset)
        patients = chance.sample(range(1, size.patients + 1), size.patients)
        for number in range(1, size.practitioners + 1):
            for minute in SESSION_STARTS_MIN:
                row = _session(number, clock.wall_to_instant(day, minute, ZONE))
                for first, count in _booked(chance) if offset < size.filled_days else ():
                    if patients:
                        visits.append(_visit(row, first, count, patients.pop()))
                        row["free"] &= ~(masks.run(count) << first)
                sessions.append(row)
    return sessions, visits


def _session(practitioner_id: int, starts_at: datetime) -> dict[str, Any]:
    return {
        "practitioner_id": practitioner_id, "location_id": 1 + practitioner_id % 2, "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=SESSION_CELLS * GRID), "first_cell": masks.to_cell(starts_at, GRID),
        "cell_count": SESSION_CELLS, "free": masks.run(SESSION_CELLS), "bookable_from": masks.EPOCH,
    }  # fmt: skip


def _booked(chance: random.Random) -> Iterator[tuple[int, int]]:
    """First cell and number of cells of each visit of one session."""
    cell = 0
    while cell < SESSION_CELLS:
        count = (CHECK_UP_MIN if chance.random() < CHECK_UPS_OF_ALL else LONGER_MIN) // GRID
        is_booked = chance.random() < NEXT_IS_BOOKED
        if is_booked and cell + count <= SESSION_CELLS:
            yield cell, count
        cell += count if is_booked else STEP_MIN // GRID


def _visit(session: dict[str, Any], first: int, count: int, patient_id: int) -> dict[str, Any]:
    starts_at = session["starts_at"] + timedelta(minutes=first * GRID)
    ends_at = starts_at + timedelta(minutes=count * GRID)
    asked_at = datetime.combine(ANCIENT, datetime.min.time(), UTC)
    return {
        "patient_id": patient_id, "visit_type_id": 1 if count * GRID == CHECK_UP_MIN else 2, "status": Status.BOOKED,
        "practitioner_id": session["practitioner_id"], "location_id": session["location_id"], "starts_at": starts_at,
        "ends_at": ends_at, "blocked_from": starts_at, "blocked_until": ends_at, "origin": Origin.IMPORT,
        "requested_at": asked_at, "target_at": asked_at,
    }  # fmt: skip


def _insert(db: Session, model: Any, rows: list[dict[str, Any]]) -> None:
    """Write rows in bulk; their ids are 1, 2, 3 and so on."""
    if not rows:
        return
    db.connection().execute(insert(model.__table__), rows)
    assert db.execute(select(func.max(model.__table__.c.id))).scalar_one() == len(rows)


def _let_postgres_look_at_it() -> None:
    """What its autovacuum would do within a minute."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
