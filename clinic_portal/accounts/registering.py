"""Opening an account: by a patient, who then shows that the address is theirs, or by whoever runs the portal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import _today, actor_of, emails, tokens
from clinic_portal.accounts.passwords import new_uniquifier
from clinic_portal.accounts.same_person import ask_about_account
from clinic_portal.database import writing
from clinic_portal.languages import ENGLISH
from clinic_portal.models import (
    Account,
    ContactKind,
    ContactPoint,
    Event,
    IdentityStatus,
    Patient,
    PatientAccess,
    Relation,
    Role,
    RoleGrant,
    RoleName,
    fold,
)
from clinic_portal.notifications.account_outbox import tell_account, tell_if_there_is


@dataclass(frozen=True)
class Person:
    """What people say about themselves when they register."""

    given_name: str
    family_name: str
    birth_on: date
    email: str
    # In which they read the page, and will read their mails.
    language: str = ENGLISH


def register(person: Person, password_hash: str) -> None:
    """Open an account for somebody new; whoever has one is told by mail that somebody tried.

    The answer is the same in both cases, and a record that the clinic already has is neither joined nor mentioned.
    Commits: account, patient and message in one transaction.
    Rings: deliver_notifications.
    """
    try:
        _register(person, password_hash)
    except IntegrityError:
        # Race: the same address was registered a moment ago; now it is found.
        _register(person, password_hash)


@writing
def _register(session: Session, person: Person, password_hash: str) -> None:
    account = emails.find(session, person.email, lock=True)
    if account is not None and account.confirmed_at is not None:
        tell_account(session, account.id, Event.ALREADY_REGISTERED)
        return
    if account is None:
        account = _new_account(session, person.email, RoleName.PATIENT)
        patient = _add_patient(session, account, person)
    else:
        patient = _own_patient(session, account) or _add_patient(session, account, person)
        _describe(patient, person)
    # Nobody has shown yet that the address is theirs: the newest who says so counts, and older links are dead.
    account.password, account.fs_uniquifier = password_hash, new_uniquifier()
    account.language = person.language
    session.flush()
    audit.record(session, actor_of(account), "register", account, patient_id=patient.id)
    tell_account(session, account.id, Event.CONFIRM_EMAIL)


@writing
def ask_to_confirm(session: Session, *, email: str) -> None:
    """Send the link to confirm an address once more, if an account waits for it. Nobody is told whether one does.

    Commits: the message.
    Rings: deliver_notifications.
    """
    account = emails.find(session, email, lock=True)
    waits = account is not None and account.confirmed_at is None and account.active and account.password
    tell_if_there_is(session, account if waits else None, Event.CONFIRM_EMAIL)


@writing
def confirm(session: Session, *, token: str) -> None:
    """Note that somebody reads the mails of the account's address. The same link again changes nothing.

    Commits: the account, and a task for the desk where its person may be known already.
    Raises: LinkExpired.
    """
    account = tokens.read(session, tokens.Purpose.CONFIRM, token, lock=True)
    if account.confirmed_at is None:
        account.confirmed_at = clock.now()
        ask_about_account(session, account)
        audit.record(session, actor_of(account), "confirm_email", account)


@writing
def open_account(session: Session, *, email: str, role: RoleName) -> Account:
    """Open an account for somebody who works at the clinic, or give the one they have another role.

    Commits: the account and its role. It has no password: its owner sets one with a link.
    """
    account = emails.find(session, email, lock=True)
    if account is None:
        account = _new_account(session, email, role)
    else:
        grant(session, account, role)
    audit.record(session, audit.SYSTEM, "open_account", account, after={"role": role.value})
    return account


def grant(session: Session, account: Account, role: RoleName) -> None:
    """Give an account a role everywhere, inside the caller's transaction, unless it has it."""
    kept = session.scalar(select(Role).filter_by(name=role.value)) or Role(name=role.value)
    session.add(kept)
    session.flush()
    has = select(RoleGrant).filter_by(account_id=account.id, role_id=kept.id, location_id=None)
    if session.scalar(has) is None:
        session.add(RoleGrant(account_id=account.id, role_id=kept.id))
        session.flush()
        session.refresh(account, ["roles"])


def _new_account(session: Session, email: str, role: RoleName) -> Account:
    account = Account(email=email, fs_uniquifier=new_uniquifier(), created_at=clock.now())
    session.add(account)
    session.flush()
    grant(session, account, role)
    return account


def _add_patient(session: Session, account: Account, person: Person) -> Patient:
    today = _today(session)
    patient = Patient(identity_status=IdentityStatus.SELF_DECLARED, registered_on=today)
    _describe(patient, person)
    session.add(patient)
    session.flush()
    session.add(PatientAccess(account_id=account.id, patient_id=patient.id, relation=Relation.SELF, starts_on=today))
    session.add(ContactPoint(patient_id=patient.id, kind=ContactKind.EMAIL, whose=Relation.SELF, value=person.email))
    return patient


def _describe(patient: Patient, person: Person) -> None:
    patient.given_name, patient.family_name = person.given_name, person.family_name
    patient.called_name, patient.birth_on = person.given_name, person.birth_on
    patient.preferred_language = person.language
    patient.search_name = fold(f"{person.family_name} {person.given_name}")


def _own_patient(session: Session, account: Account) -> Patient | None:
    """The person that an unconfirmed account was registered for."""
    return session.scalar(
        select(Patient)
        .join(PatientAccess, PatientAccess.patient_id == Patient.id)
        .where(
            PatientAccess.account_id == account.id,
            PatientAccess.relation == Relation.SELF,
            Patient.identity_status == IdentityStatus.SELF_DECLARED,
        )
        .order_by(Patient.id)
    )
