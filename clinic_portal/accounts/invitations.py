"""Codes from the clinic: they link an account to the record that the clinic already has of that person."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import _today, actor_of
from clinic_portal.accounts.codes import new_code, plain, shown
from clinic_portal.accounts.joined_needs import move_needs
from clinic_portal.accounts.registering import grant
from clinic_portal.accounts.tokens import keyed
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import (
    Account,
    AccountInvitation,
    Appointment,
    ContactKind,
    ContactPoint,
    IdentityStatus,
    Patient,
    PatientAccess,
    Relation,
    RoleName,
    TaskKind,
    id_from_reference,
)
from clinic_portal.settings import load_settings
from clinic_portal.tasks import close_tasks

WRONG = N_("The code or the date of birth is not right, or the code is too old. Check both, or call us.")


@writing
def invite(session: Session, *, actor: audit.Actor, patient_id: int) -> str:
    """Make a code for a patient, to be given to nobody else. It is told once and kept nowhere; older ones are void.

    Commits: the invitation.
    Raises: NotFound; NotAllowed for somebody who has died or whose record was joined with another.
    Source: codes go to the contact on file, never to one that somebody just told.
    """
    patient = session.get(Patient, patient_id, with_for_update={"key_share": True})
    if patient is None:
        raise NotFound
    if patient.deceased_on is not None or patient.merged_into_id is not None:
        raise NotAllowed
    now, code = clock.now(), new_code()
    session.execute(
        update(AccountInvitation)
        .where(AccountInvitation.patient_id == patient.id, AccountInvitation.expires_at > now)
        .values(expires_at=now)
    )
    made = AccountInvitation(
        patient_id=patient.id,
        code_hash=keyed(code),
        made_by_account_id=actor.account_id,
        made_at=now,
        expires_at=now + timedelta(days=load_settings(session).number("invitation_days")),
    )
    session.add(made)
    session.flush()
    audit.record(session, actor, "invite", made, patient_id=patient.id)
    return shown(code)


@writing
def void_code(session: Session, *, actor: audit.Actor, patient_id: int, invitation_id: int) -> None:
    """Let nobody use a code any more; one that was used or is too old stays as it is.

    Commits: its end, audit.
    Raises: NotFound when it is not one of this patient's; NotAllowed for anybody but the clinic.
    """
    if not actor.is_clinic:
        raise NotAllowed
    invitation = session.get(AccountInvitation, invitation_id, with_for_update=True)
    if invitation is None or invitation.patient_id != patient_id:
        raise NotFound
    now = clock.now()
    if invitation.is_open(now):
        invitation.expires_at = now
        audit.record(session, actor, "void", invitation, patient_id=patient_id)


def invitations_of(session: Session, patient_id: int) -> list[AccountInvitation]:
    """The codes that were made for a patient, the newest first."""
    query = select(AccountInvitation).filter_by(patient_id=patient_id).order_by(AccountInvitation.id.desc())
    return list(session.scalars(query))


@writing
def use_code(session: Session, *, account_id: int, code: str, birth_on: date) -> Patient:
    """Link an account to the record that the code was made for, as the person itself.

    What the account was registered with is joined to that record while no visit hangs on it.
    Commits: the right, and that the code was used.
    Raises: InvalidRequest with the same words whatever was wrong; also for a code that belongs to somebody else.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    invitation = _open_invitation(session, code)
    patient = invitation.patient
    if patient.birth_on != birth_on or patient.deceased_on is not None or patient.merged_into_id is not None:
        raise InvalidRequest(WRONG)
    for right in _own_rights(session, account):
        _make_room(session, right, patient)
    now, today = clock.now(), _today(session)
    invitation.used_at, invitation.used_by_account_id = now, account.id
    _give_right(session, account, patient, today)
    _reach_by_mail(session, account, patient)
    grant(session, account, RoleName.PATIENT)
    audit.record(session, actor_of(account), "use_code", invitation, patient_id=patient.id)
    return patient


def find_patient(session: Session, name: str) -> Patient:
    """A patient by their public id, or by the reference of one of their visits.

    Raises: NotFound.
    """
    found = session.scalar(select(Patient).filter_by(public_id=name))
    visit_id = id_from_reference(name)
    if found is None and visit_id is not None:
        found = session.scalar(select(Patient).join(Appointment).where(Appointment.id == visit_id))
    if found is None:
        raise NotFound("There is no patient with this public id, nor a visit with this reference.")
    return found


def _open_invitation(session: Session, code: str) -> AccountInvitation:
    invitation = session.scalar(
        select(AccountInvitation)
        .where(
            AccountInvitation.code_hash == keyed(plain(code)),
            AccountInvitation.used_at.is_(None),
            AccountInvitation.expires_at > clock.now(),
        )
        .with_for_update()
    )
    if invitation is None:
        raise InvalidRequest(WRONG)
    return invitation


def _own_rights(session: Session, account: Account) -> list[PatientAccess]:
    """The rights by which the account is a person itself."""
    own = select(PatientAccess).filter_by(account_id=account.id, relation=Relation.SELF, revoked_at=None)
    return list(session.scalars(own))


def _make_room(session: Session, right: PatientAccess, patient: Patient) -> None:
    """One account is one person: its own, self-told record gives way to the clinic's.

    Raises: InvalidRequest when the account already is somebody else.
    """
    own = right.patient
    if own.id == patient.id:
        return
    if own.identity_status != IdentityStatus.SELF_DECLARED or own.birth_on != patient.birth_on:
        raise InvalidRequest(WRONG)
    if session.scalar(select(exists().where(Appointment.patient_id == own.id))):
        raise InvalidRequest(
            N_("You already have appointments with this account. Call us, and we will join your records.")
        )
    move_needs(session, own.id, patient.id)
    own.merged_into_id, right.revoked_at = patient.id, clock.now()
    close_tasks(session, audit.SYSTEM, TaskKind.SAME_PERSON, "joined", patient_id=own.id)


def _give_right(session: Session, account: Account, patient: Patient, today: date) -> None:
    same_day = session.scalar(
        select(PatientAccess).filter_by(account_id=account.id, patient_id=patient.id, starts_on=today)
    )
    right = same_day or PatientAccess(account_id=account.id, patient_id=patient.id, starts_on=today)
    right.relation, right.ends_on, right.revoked_at = Relation.SELF, None, None
    session.add(right)


def _reach_by_mail(session: Session, account: Account, patient: Patient) -> None:
    """Whom the clinic could not mail so far, it now can: the address was confirmed."""
    if not any(point.kind is ContactKind.EMAIL and point.is_usable for point in patient.contact_points):
        session.add(
            ContactPoint(patient_id=patient.id, kind=ContactKind.EMAIL, whose=Relation.SELF, value=account.email)
        )
