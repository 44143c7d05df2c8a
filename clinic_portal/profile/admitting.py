"""Somebody whom the clinic has never seen, taken down at the desk: a name, a birth date, and a phone number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.accounts import _today
from clinic_portal.audit import Actor, record
from clinic_portal.errors import InvalidRequest, NamesakesKnown
from clinic_portal.models import ContactKind, ContactPoint, IdentityStatus, Patient, Relation, fold
from clinic_portal.profile.values import LONGEST_NAME, one_line, read_contact

OLDEST_YEARS = 130


@dataclass(frozen=True)
class NewPatient:
    """What somebody said of themselves at the desk, as it was typed.

    `is_another`: there is a record of this name and birth date, and somebody has looked: it is not theirs.
    """

    given_name: str
    family_name: str
    birth_on: date | None
    phone: str
    is_another: bool = False


def admit(session: Session, actor: Actor, person: NewPatient) -> Patient:
    """Write a new patient down, inside the caller's transaction.

    Raises: InvalidRequest naming the `field`; NamesakesKnown when there is a record of this name and birth date.
    Source: clinic.md 2, item 13.
    """
    given, family = _name(person.given_name, "given_name"), _name(person.family_name, "family_name")
    birth_on, phone = _birth_date(session, person.birth_on), _phone(person.phone)
    search_name = fold(f"{family} {given}")
    if not person.is_another and (known := _known(session, search_name, birth_on)):
        raise NamesakesKnown(known=known)
    patient = Patient(given_name=given, family_name=family, called_name=given, search_name=search_name,
                      birth_on=birth_on, identity_status=IdentityStatus.SELF_DECLARED,
                      registered_on=_today(session))  # fmt: skip
    session.add(patient)
    session.flush()
    if phone:
        session.add(ContactPoint(patient_id=patient.id, kind=ContactKind.MOBILE, whose=Relation.SELF, value=phone))
        session.flush()
    record(session, actor, "admit", patient, patient_id=patient.id)
    return patient


def _name(text: str, field: str) -> str:
    name = one_line(text)
    if not any(letter.isalpha() for letter in name):
        raise InvalidRequest("Enter the name.", field=field)
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(f"Use {LONGEST_NAME} characters or fewer.", field=field)
    return name


def _birth_date(session: Session, day: date | None) -> date:
    today = _today(session)
    if day is None or day.year < today.year - OLDEST_YEARS or day > today:
        raise InvalidRequest("Enter the birth date, like 4/5/1980.", field="birth_on")
    return day


def _phone(text: str) -> str:
    """The number as it is kept; nothing for somebody who has none."""
    if not text.strip():
        return ""
    try:
        return read_contact(ContactKind.MOBILE, text)
    except InvalidRequest as error:
        raise InvalidRequest(str(error), field="phone") from error


def _known(session: Session, search_name: str, birth_on: date) -> list[int]:
    """The records of this name and birth date that nobody has joined with others."""
    query = select(Patient.id).where(
        Patient.search_name == search_name, Patient.birth_on == birth_on, Patient.merged_into_id.is_(None)
    )
    return list(session.scalars(query.order_by(Patient.id)))
