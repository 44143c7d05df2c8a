"""The made-up people as rows: patients, how to reach them, their accounts, and whom those may act for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from clinic_portal.demo.chance import public_id
from clinic_portal.demo.clinic import Clinic
from clinic_portal.demo.households import Member, make_households
from clinic_portal.demo.sign_ins import AccountBook
from clinic_portal.models import (
    Account,
    ContactPoint,
    IdentityStatus,
    Patient,
    PatientAccess,
    PractitionerKind,
    PractitionerPreference,
    PreferenceKind,
    Relation,
    RoleName,
    fold,
)

# From this birthday on nobody acts for somebody by being the parent.
OWN_AFFAIRS_AGE = 16
SHARE_USUAL = 0.25
SHARE_NEVER = 0.02
IDENTITIES = (IdentityStatus.CHECKED_AT_DESK, IdentityStatus.MATCHED, IdentityStatus.SELF_DECLARED)


@dataclass(frozen=True)
class Person:
    """A patient as visits see one: who books for them, whom they usually see, whom never."""

    patient: Patient
    account: Account | None
    relation: Relation
    usual_id: int | None
    never_id: int | None
    is_known: bool = False


def add_people(
    session: Session, rng: random.Random, accounts: AccountBook, clinic: Clinic, today: date
) -> list[Person]:
    """Write three hundred patients with everything that belongs to them."""
    members = make_households(rng, today)
    opened = {email: accounts.open(email, RoleName.PATIENT) for email in dict.fromkeys(_account_emails(members))}
    patients = [_patient(rng, clinic, member) for member in members]
    session.add_all(patients)
    session.flush()
    people = []
    for member, patient in zip(members, patients, strict=True):
        account = opened[member.account] if member.account else None
        if account is not None:
            session.add(_access(account, patient, member))
        usual_id, never_id = _preferences(session, rng, clinic, patient)
        people.append(Person(patient, account, member.relation, usual_id, never_id, member.is_known))
        session.add_all(_contacts(member, patient, accounts.made_at))
    return people


def _account_emails(members: list[Member]) -> list[str]:
    return [member.account for member in members if member.account]


def _patient(rng: random.Random, clinic: Clinic, member: Member) -> Patient:
    return Patient(
        public_id=public_id(rng),
        given_name=member.given,
        family_name=member.family,
        called_name=member.given,
        search_name=fold(f"{member.family} {member.given}"),
        birth_on=member.born_on,
        gender=member.gender,
        preferred_language=member.language,
        identity_status=rng.choices(IDENTITIES, (60, 35, 5))[0],
        home_location_id=rng.choice(list(clinic.places.values())).id,
        registered_on=member.registered_on,
        deceased_on=member.deceased_on,
    )


def _access(account: Account, patient: Patient, member: Member) -> PatientAccess:
    is_child = member.relation is Relation.PARENT
    return PatientAccess(
        account_id=account.id,
        patient_id=patient.id,
        relation=member.relation,
        starts_on=member.registered_on,
        ends_on=member.born_on.replace(year=member.born_on.year + OWN_AFFAIRS_AGE) if is_child else None,
    )


def _contacts(member: Member, patient: Patient, made_at: datetime) -> list[ContactPoint]:
    # Chance of their own: what the other people are must not depend on how many contacts somebody has.
    chance = random.Random(patient.public_id)
    return [
        ContactPoint(public_id=public_id(chance), patient_id=patient.id, kind=contact.kind, value=contact.value,
                     whose=contact.whose, preferred_rank=rank, failed_at=made_at if contact.has_failed else None,
                     failed_reason="bounced" if contact.has_failed else None)
        for rank, contact in enumerate(member.contacts, start=1)
    ]  # fmt: skip


def _preferences(
    session: Session, rng: random.Random, clinic: Clinic, patient: Patient
) -> tuple[int | None, int | None]:
    """At times a doctor whom the patient usually sees, and rarely one whom the patient must never meet."""
    doctors = [each.id for each in clinic.practitioners.values() if each.kind is PractitionerKind.DOCTOR]
    usual, never = rng.sample(doctors, 2)
    found: dict[PreferenceKind, int | None] = {
        PreferenceKind.USUAL: usual if rng.random() < SHARE_USUAL else None,
        PreferenceKind.NEVER: never if rng.random() < SHARE_NEVER else None,
    }
    session.add_all(
        PractitionerPreference(patient_id=patient.id, practitioner_id=practitioner_id, kind=kind)
        for kind, practitioner_id in found.items()
        if practitioner_id is not None
    )
    return found[PreferenceKind.USUAL], found[PreferenceKind.NEVER]
