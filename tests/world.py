"""The fixed cast and the small clinic that most tests use.

Monday 2 March 2026, 08:00 in London, is "now" unless a test says otherwise. Alice and Bob are patients with accounts,
Dr Chen and Dr Diaz see them, Erin sits at the desk, Mallory has an account and no right to anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache

from flask_security.utils import hash_password
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import writing
from clinic_portal.models import (
    ALL_MODES,
    ALL_VISIT_TYPES,
    Account,
    Audience,
    ClinicSession,
    ContactKind,
    ContactPoint,
    Gender,
    IdentityStatus,
    Location,
    LocationText,
    Modes,
    Patient,
    PatientAccess,
    Practitioner,
    PractitionerKind,
    PractitionerVisitType,
    Relation,
    Role,
    RoleGrant,
    RoleName,
    VisitType,
    VisitTypeIds,
    VisitTypeText,
)
from clinic_portal.profile.notice import VERSION
from clinic_portal.scheduling import masks
from clinic_portal.settings import put_setting

ZONE = "Europe/London"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
GRID = 5


# Most tests book more than patients may, with a password alone; those of the limits and of signing in set their own.
SETTINGS = {"clinic_name": "Harbour Street Clinic", "clinic_phone": "020 7946 0000", "max_open_per_patient": 100,
            "max_open_in_all": 100, "second_factor": "off"}  # fmt: skip


@dataclass
class World:
    """Ids of everything in the small clinic, plain so that they survive any session."""

    location_id: int = 0
    second_location_id: int = 0
    check_up_id: int = 0
    vaccine_id: int = 0
    chen_id: int = 0
    diaz_id: int = 0
    alice_id: int = 0
    bob_id: int = 0
    accounts: dict[str, int] = field(default_factory=dict)

    @property
    def alice(self) -> Actor:
        return Actor(ActorKind.PATIENT, self.accounts["alice"])

    @property
    def bob(self) -> Actor:
        return Actor(ActorKind.PATIENT, self.accounts["bob"])

    @property
    def erin(self) -> Actor:
        return Actor(ActorKind.STAFF, self.accounts["erin"])

    @property
    def chen(self) -> Actor:
        return Actor(ActorKind.PRACTITIONER, self.accounts["chen"])


def at(hour: int, minute: int = 0, day: int = 0) -> datetime:
    """An instant on "today plus day" in London in winter, where local time is UTC."""
    return NOW.replace(hour=hour, minute=minute) + timedelta(days=day)


@writing
def build_world(db: Session) -> World:
    """Harbour Street and Mill Lane, a 30-minute check-up and a 10-minute vaccine, two doctors, no sessions yet."""
    world = World()
    roles = {name: Role(name=name.value) for name in RoleName}
    db.add_all(roles.values())
    harbour = Location(name="Harbour Street", address="12 Harbour Street", zone=ZONE, phone="020 7946 0000",
                       is_step_free=True)  # fmt: skip
    mill = Location(name="Mill Lane", address="3 Mill Lane", zone=ZONE, phone="020 7946 0001")
    check_up = VisitType(name="Check-up", start_step_min=15, hint="A general check")
    vaccine = VisitType(name="Vaccine", start_step_min=10, is_sensitive=True)
    harbour.texts = [LocationText(language="de", entrance_note="")]
    # Only its name is translated.
    check_up.texts = [VisitTypeText(language="de", name="Untersuchung")]
    db.add_all([harbour, mill, check_up, vaccine])
    accounts = {name: _account(db, name, roles[role]) for name, role in _CAST.items()}
    db.flush()
    chen = _practitioner(db, "Dr Chen", accounts["chen"], Gender.FEMALE)
    diaz = _practitioner(db, "Dr Diaz", accounts["diaz"], Gender.MALE)
    for practitioner in (chen, diaz):
        db.add(_does(practitioner, check_up, 30))
        db.add(_does(practitioner, vaccine, 10))
    world.alice_id = add_patient(db, "Alice", "Archer", accounts["alice"]).id
    world.bob_id = add_patient(db, "Bob", "Baker", accounts["bob"]).id
    for name, value in SETTINGS.items():
        put_setting(db, name, value)
    db.flush()
    world.location_id, world.second_location_id = harbour.id, mill.id
    world.check_up_id, world.vaccine_id = check_up.id, vaccine.id
    world.chen_id, world.diaz_id = chen.id, diaz.id
    world.accounts = {name: account.id for name, account in accounts.items()}
    return world


_CAST = {
    "alice": RoleName.PATIENT,
    "bob": RoleName.PATIENT,
    "mallory": RoleName.PATIENT,
    "chen": RoleName.PRACTITIONER,
    "diaz": RoleName.PRACTITIONER,
    "erin": RoleName.FRONT_DESK,
}


@cache
def _password_hash() -> str:
    """Slow on purpose, so once for all tests."""
    return str(hash_password(PASSWORD))


def _account(db: Session, name: str, role: Role) -> Account:
    account = Account(
        email=f"{name}@example.com",
        password=_password_hash(),
        fs_uniquifier=f"fs-{name}",
        created_at=NOW,
        confirmed_at=NOW,
        privacy_notice_version=VERSION,
    )
    account.grants.append(RoleGrant(role=role))
    db.add(account)
    return account


def _practitioner(db: Session, name: str, account: Account, gender: Gender) -> Practitioner:
    practitioner = Practitioner(name=name, kind=PractitionerKind.DOCTOR, account_id=account.id, gender=gender,
                                email=account.email)  # fmt: skip
    db.add(practitioner)
    db.flush()
    return practitioner


def _does(practitioner: Practitioner, visit_type: VisitType, duration_min: int) -> PractitionerVisitType:
    return PractitionerVisitType(practitioner_id=practitioner.id, visit_type_id=visit_type.id,
                                 duration_min=duration_min, duration_new_patient_min=duration_min)  # fmt: skip


def add_patient(db: Session, given: str, family: str, account: Account | None = None, *, email: bool = True) -> Patient:
    """A patient, with an own account's access and e-mail address if given."""
    patient = Patient(given_name=given, family_name=family, called_name=given, search_name=f"{family} {given}".lower(),
                      birth_on=date(1980, 5, 4), identity_status=IdentityStatus.MATCHED,
                      registered_on=NOW.date())  # fmt: skip
    db.add(patient)
    db.flush()
    if account is not None:
        db.add(PatientAccess(account_id=account.id, patient_id=patient.id, relation=Relation.SELF,
                             starts_on=date(2020, 1, 1)))  # fmt: skip
    if email:
        db.add(ContactPoint(patient_id=patient.id, kind=ContactKind.EMAIL, whose=Relation.SELF,
                            value=account.email if account else f"{given.lower()}@example.com"))  # fmt: skip
    return patient


@writing
def add_session(
    db: Session,
    practitioner_id: int,
    starts_at: datetime,
    ends_at: datetime,
    location_id: int = 1,
    *,
    lane: int = 0,
    audience: Audience = Audience.PUBLIC,
    bookable_from: datetime = masks.EPOCH,
    modes: Modes = ALL_MODES,
    visit_type_ids: VisitTypeIds = ALL_VISIT_TYPES,
) -> int:
    """One stretch of free time, without rules behind it."""
    first = masks.to_cell(starts_at, GRID)
    count = masks.to_cell(ends_at, GRID) - first
    session = ClinicSession(practitioner_id=practitioner_id, location_id=location_id, starts_at=starts_at,
                            ends_at=ends_at, first_cell=first, cell_count=count, free=masks.run(count), lane=lane,
                             audience=audience, bookable_from=bookable_from,
                             opened_at=max(clock.now(), bookable_from), modes=modes,
                            visit_type_ids=visit_type_ids)  # fmt: skip
    db.add(session)
    db.flush()
    return session.id


def free_cells(db: Session, session_id: int) -> int:
    """How many cells of a session are free, read afresh."""
    return db.execute(select(ClinicSession.free).where(ClinicSession.id == session_id)).scalar_one().bit_count()
