"""Joining two records of one person: everything of the one goes over to the other, and the empty one stays as a sign.

Nothing here decides whether they are one person: somebody at the desk has looked at both.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session, aliased

from clinic_portal import clock
from clinic_portal.accounts.joined_needs import move_needs
from clinic_portal.audit import SYSTEM, Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, Overlap
from clinic_portal.models import (
    ACTIVE,
    WAITING,
    AccountInvitation,
    Appointment,
    ContactPoint,
    Hold,
    IdentityStatus,
    Notification,
    Offer,
    Patient,
    PatientAccess,
    PractitionerPreference,
    PreferenceKind,
    Referral,
    Task,
    TaskKind,
    VisitInvitation,
)
from clinic_portal.profile.values import is_same
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.tasks import close_tasks

# What simply goes over. Nothing in these tables can stand twice for one person.
GOES_OVER: tuple[Any, ...] = (Hold, Notification, Referral, Offer, VisitInvitation)
CERTAINTY = (IdentityStatus.SELF_DECLARED, IdentityStatus.MATCHED, IdentityStatus.CHECKED_AT_DESK)


def keeper_of(one: Patient, other: Patient) -> tuple[Patient, Patient]:
    """Which of two records stays, and which is joined into it: the one the clinic is surer of, else the older."""
    first, second = sorted((one, other), key=lambda each: (-CERTAINTY.index(each.identity_status), each.id))
    return first, second


@writing
def merge_patients(session: Session, *, actor: Actor, loser_id: int, winner_id: int) -> Patient:
    """Join a record into another of the same person; its visits, contacts, needs and rights are the other's from now.

    Commits: everything that pointed to the losing record, that record as joined, audit. Joining twice changes nothing.
    Raises: Overlap naming both visits while the two records hold visits at the same time or both wait for the same kind
    of visit; NotFound; NotAllowed for
    anybody but the clinic, and where one of the two has died; BadTransition when one is joined with a third.
    Source: UC7.10, clinic.md A3.
    """
    if not actor.is_clinic:
        raise NotAllowed
    if loser_id == winner_id:
        raise InvalidRequest("Choose two different records.")
    for patient_id in sorted((loser_id, winner_id)):
        lock_patient(session, patient_id, for_new_time=False)
    loser, winner = (session.get_one(Patient, id_, populate_existing=True) for id_ in (loser_id, winner_id))
    if loser.merged_into_id == winner.id:
        return winner
    _check(session, loser, winner)
    _move_everything(session, loser, winner)
    loser.merged_into_id = winner.id
    session.execute(update(Patient).where(Patient.merged_into_id == loser.id).values(merged_into_id=winner.id))
    session.flush()
    for patient in (loser, winner):
        close_tasks(session, actor, TaskKind.SAME_PERSON, "joined", patient_id=patient.id)
    told = {"joined": loser.id, "into": winner.id}
    for patient in (loser, winner):
        record(session, actor, "merge", patient, after=told, patient_id=patient.id)
    return winner


@writing
def tell_apart(session: Session, *, actor: Actor, patient_id: int) -> None:
    """Note that a record is not that of the other person of this name and birth date.

    Commits: the end of the task.
    Raises: NotAllowed for anybody but the clinic, NotFound.
    """
    if not actor.is_clinic:
        raise NotAllowed
    lock_patient(session, patient_id, for_new_time=False)
    close_tasks(session, actor, TaskKind.SAME_PERSON, "not_same", patient_id=patient_id)


def _check(session: Session, loser: Patient, winner: Patient) -> None:
    if loser.merged_into_id is not None or winner.merged_into_id is not None:
        raise BadTransition("One of the two records is joined with a third one already.")
    if loser.deceased_on is not None or winner.deceased_on is not None:
        raise NotAllowed
    clash = _first_clash(session, loser.id, winner.id)
    if clash is not None:
        one, other = clash
        raise Overlap(
            f"Appointments {one.reference} and {other.reference} are at the same time. Cancel or move one first.",
            appointment_ids=[one.id, other.id],
        )
    asked_twice = _first_asked_twice(session, loser.id, winner.id)
    if asked_twice is not None:
        one, other = asked_twice
        raise Overlap(
            f"Requests {one.reference} and {other.reference} ask for the same kind of visit. Withdraw one first.",
            appointment_ids=[one.id, other.id],
        )


def _first_asked_twice(session: Session, one_id: int, other_id: int) -> tuple[Appointment, Appointment] | None:
    """One person has one open request for each kind of visit."""
    one, other = aliased(Appointment), aliased(Appointment)
    query = select(one, other).join(other, one.visit_type_id == other.visit_type_id)
    query = query.where(one.patient_id == one_id, other.patient_id == other_id)
    row = session.execute(query.where(one.status.in_(WAITING), other.status.in_(WAITING)).order_by(one.id)).first()
    return None if row is None else (row[0], row[1])


def _first_clash(session: Session, one_id: int, other_id: int) -> tuple[Appointment, Appointment] | None:
    one, other = aliased(Appointment), aliased(Appointment)
    meet = and_(one.starts_at < other.ends_at, other.starts_at < one.ends_at)
    query = select(one, other).join(other, meet).where(one.patient_id == one_id, other.patient_id == other_id)
    row = session.execute(query.where(one.status.in_(ACTIVE), other.status.in_(ACTIVE)).order_by(one.id)).first()
    return None if row is None else (row[0], row[1])


def _move_everything(session: Session, loser: Patient, winner: Patient) -> None:
    for table in GOES_OVER:
        session.execute(update(table).where(table.patient_id == loser.id).values(patient_id=winner.id))
    _move_visits(session, loser.id, winner.id)
    _move_rights(session, loser.id, winner.id)
    _move_contacts(session, loser.id, winner.id)
    move_needs(session, loser.id, winner.id)
    _move_preferences(session, loser.id, winner.id)
    _move_tasks(session, loser.id, winner.id)
    _void_codes(session, loser.id)
    session.flush()


def _move_visits(session: Session, loser_id: int, winner_id: int) -> None:
    session.execute(
        update(Appointment)
        .where(Appointment.patient_id == loser_id)
        .values(patient_id=winner_id, version=Appointment.version + 1)
    )


def _move_rights(session: Session, loser_id: int, winner_id: int) -> None:
    """Whoever could act for the one can act for the other; two rights of one account from one day cannot both stand."""
    theirs = select(PatientAccess).filter_by(patient_id=winner_id)
    kept = {(right.account_id, right.starts_on) for right in session.scalars(theirs)}
    for right in session.scalars(select(PatientAccess).filter_by(patient_id=loser_id)):
        if (right.account_id, right.starts_on) in kept:
            right.revoked_at = right.revoked_at or clock.now()
        else:
            right.patient_id = winner_id


def _move_contacts(session: Session, loser_id: int, winner_id: int) -> None:
    """After those that are there; what reaches the same place is there once."""
    kept = list(session.scalars(select(ContactPoint).filter_by(patient_id=winner_id, ended_at=None)))
    rank = max((contact.preferred_rank for contact in kept), default=0)
    moved = select(ContactPoint).filter_by(patient_id=loser_id).order_by(ContactPoint.preferred_rank, ContactPoint.id)
    for contact in session.scalars(moved).all():
        alike = [one for one in kept if one.kind == contact.kind and is_same(one.kind, one.value, contact.value)]
        if alike and contact.ended_at is None:
            contact.ended_at = clock.now()
        rank += 1
        contact.patient_id, contact.preferred_rank = winner_id, rank


def _move_preferences(session: Session, loser_id: int, winner_id: int) -> None:
    """Of two rules about one practitioner `never` stands."""
    rules = select(PractitionerPreference).where(PractitionerPreference.patient_id.in_((loser_id, winner_id)))
    kept = {rule.practitioner_id: rule for rule in session.scalars(rules) if rule.patient_id == winner_id}
    for rule in session.scalars(rules.filter_by(patient_id=loser_id)).all():
        known = kept.get(rule.practitioner_id)
        if known is None:
            rule.patient_id = winner_id
        elif rule.kind is PreferenceKind.NEVER:
            known.kind = PreferenceKind.NEVER


def _move_tasks(session: Session, loser_id: int, winner_id: int) -> None:
    """Tasks about a visit go with it; of each other kind one open task is enough for a person."""
    of_person = and_(Task.appointment_id.is_(None), Task.closed_at.is_(None))
    kept = set(session.scalars(select(Task.kind).where(Task.patient_id == winner_id, of_person)))
    is_twice = and_(of_person, Task.kind.in_(kept))
    for task in session.scalars(select(Task).where(Task.patient_id == loser_id, is_twice)).all():
        close_tasks(session, SYSTEM, task.kind, "joined", patient_id=loser_id)
    rest = and_(Task.patient_id == loser_id, or_(Task.kind != TaskKind.SAME_PERSON, Task.closed_at.is_not(None)))
    session.execute(update(Task).where(rest).values(patient_id=winner_id))


def _void_codes(session: Session, loser_id: int) -> None:
    """A code for the losing record would open nothing."""
    now = clock.now()
    session.execute(
        update(AccountInvitation)
        .where(AccountInvitation.patient_id == loser_id, AccountInvitation.expires_at > now)
        .values(expires_at=now)
    )
