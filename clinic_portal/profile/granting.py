"""Rights to act for a patient, given and ended by the clinic: for whom, by what, from when until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import _today, emails
from clinic_portal.accounts.registering import grant
from clinic_portal.audit import SYSTEM, Actor
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import (
    MAX_EVIDENCE,
    Account,
    Appointment,
    Location,
    Patient,
    PatientAccess,
    Relation,
    RoleName,
    TaskKind,
    VisitType,
    columns_of,
)
from clinic_portal.profile.values import one_line
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.settings import load_settings
from clinic_portal.tasks import close_tasks, open_task

TOLD = ("account_id", "relation", "starts_on", "ends_on", "review_on", "revoked_at")
LOOK_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class NewRight:
    """What somebody at the desk enters; without an end a parent's right ends on a birthday."""

    email: str
    relation: Relation | None
    starts_on: date | None
    ends_on: date | None
    evidence_note: str


@writing
def give_right(session: Session, *, actor: Actor, patient_id: int, right: NewRight) -> PatientAccess:
    """Let an account act for a patient from a day on. Sensitive visits of those who are old enough become private.

    The same right again changes nothing.
    Commits: the right, the role of a patient for the account, audit.
    Raises: InvalidRequest naming the `field` that is wrong; NotAllowed for anybody but the clinic, and for patients who
    have died or whose record was joined with another; NotFound.
    Source: UC3.7, clinic.md A4.
    """
    if not actor.is_clinic:
        raise NotAllowed
    lock_patient(session, patient_id)
    patient, settings = session.get_one(Patient, patient_id), load_settings(session)
    account = _account(session, right.email)
    values = _checked(session, patient, right, settings.number("parent_until_age"))
    standing = _standing(session, account.id, patient_id)
    if standing is not None:
        if all(getattr(standing, name) == values[name] for name in ("relation", "starts_on", "ends_on")):
            return standing
        raise InvalidRequest("This account may act for the patient already. End that right first.", field="email")
    values["review_on"] = _review_on(session, patient, values, settings.number("right_review_age"))
    given = _written(session, actor, account.id, patient_id, values)
    grant(session, account, RoleName.PATIENT)
    _hide_sensitive_visits(session, patient, settings.number("private_from_age"))
    audit.record(session, actor, "give_right", given, after=columns_of(given, TOLD), patient_id=patient_id)
    return given


@writing
def end_right(session: Session, *, actor: Actor, patient_id: int, right_id: int) -> None:
    """End a right to act for a patient, at once; one that has ended stays as it is.

    Commits: its end, audit; the task to look at it, if no other right is left to look at.
    Raises: NotFound when it is none of this patient's, NotAllowed for anybody but the clinic.
    """
    if not actor.is_clinic:
        raise NotAllowed
    lock_patient(session, patient_id, for_new_time=False)
    right = session.get(PatientAccess, right_id, populate_existing=True)
    if right is None or right.patient_id != patient_id:
        raise NotFound
    if right.revoked_at is not None:
        return
    before = columns_of(right, TOLD)
    right.revoked_at = clock.now()
    session.flush()
    after = columns_of(right, TOLD)
    audit.record(session, actor, "end_right", right, before=before, after=after, patient_id=patient_id)
    if not session.scalar(_live(session).where(PatientAccess.patient_id == patient_id).limit(1)):
        close_tasks(session, actor, TaskKind.REVIEW_RIGHT, "ended", patient_id=patient_id)


@writing
def ask_for_reviews(session: Session) -> int:
    """Ask the desk to look at the rights whose day has come; returns how many.

    Commits: the tasks.
    """
    due = _live(session).where(PatientAccess.review_on <= _today(session)).order_by(PatientAccess.id)
    rights = list(session.scalars(due.with_for_update(skip_locked=True)))
    for right in rights:
        right.review_on = None
        open_task(session, TaskKind.REVIEW_RIGHT, patient_id=right.patient_id, due_at=clock.now() + LOOK_WITHIN)
    return len(rights)


def birthday(born_on: date, age: int) -> date:
    """The day on which somebody reaches an age; somebody born on 29 February does so on 1 March in other years."""
    try:
        return born_on.replace(year=born_on.year + age)
    except ValueError:
        return date(born_on.year + age, 3, 1)


def _live(session: Session) -> Any:
    """Rights of others than the patient that hold today or later."""
    return select(PatientAccess).where(
        PatientAccess.relation != Relation.SELF,
        or_(PatientAccess.ends_on.is_(None), PatientAccess.ends_on > _today(session)),
        PatientAccess.revoked_at.is_(None),
    )


def _account(session: Session, email: str) -> Account:
    try:
        account = emails.find(session, emails.clean(email))
    except InvalidRequest as error:
        raise InvalidRequest("Enter an e-mail address like name@example.com", field="email") from error
    if account is None or account.confirmed_at is None:
        raise InvalidRequest(
            "No account has this e-mail address yet. Ask them to create one and to confirm it.", field="email"
        )
    return account


def _checked(session: Session, patient: Patient, right: NewRight, until_age: int) -> dict[str, Any]:
    """The columns of a new right.

    Raises: InvalidRequest.
    """
    today, note = _today(session), one_line(right.evidence_note)
    if right.relation in (None, Relation.SELF):
        raise InvalidRequest("Choose the relation.", field="relation")
    starts_on, ends_on = right.starts_on or today, right.ends_on
    if ends_on is None and right.relation is Relation.PARENT and patient.birth_on is not None:
        ends_on = birthday(patient.birth_on, until_age)
        if ends_on <= starts_on:
            raise InvalidRequest(
                f"A parent’s right ends at {until_age}. Choose another relation, or enter an end.", field="relation"
            )
    if ends_on is not None and ends_on <= max(starts_on, today):
        raise InvalidRequest("The end must be after the start, and ahead.", field="ends_on")
    if not note or len(note) > MAX_EVIDENCE:
        raise InvalidRequest(f"Enter what you saw, in {MAX_EVIDENCE} characters or fewer.", field="evidence_note")
    return {"relation": right.relation, "starts_on": starts_on, "ends_on": ends_on, "evidence_note": note}


def _standing(session: Session, account_id: int, patient_id: int) -> PatientAccess | None:
    """A right of the account that has not ended, also its right as the patient."""
    today = _today(session)
    query = select(PatientAccess).where(
        PatientAccess.account_id == account_id,
        PatientAccess.patient_id == patient_id,
        PatientAccess.revoked_at.is_(None),
        or_(PatientAccess.ends_on.is_(None), PatientAccess.ends_on > today),
    )
    return session.scalar(query.order_by(PatientAccess.id).limit(1))


def _review_on(session: Session, patient: Patient, values: dict[str, Any], age: int) -> date | None:
    if values["relation"] is not Relation.PARENT or patient.birth_on is None:
        return None
    day = birthday(patient.birth_on, age)
    is_ahead = day > max(values["starts_on"], _today(session))
    return day if is_ahead and (values["ends_on"] is None or day < values["ends_on"]) else None


def _written(session: Session, actor: Actor, account_id: int, patient_id: int, values: dict[str, Any]) -> PatientAccess:
    """A right that began and ended on the same day is given again, not a second time."""
    key = {"account_id": account_id, "patient_id": patient_id, "starts_on": values["starts_on"]}
    given = session.scalar(select(PatientAccess).filter_by(**key)) or PatientAccess(**key)
    for name, value in values.items():
        setattr(given, name, value)
    given.granted_by_account_id, given.revoked_at = actor.account_id, None
    session.add(given)
    session.flush()
    return given


def _hide_sensitive_visits(session: Session, patient: Patient, from_age: int) -> None:
    """What was booked while nobody else could see it was never asked about."""
    visits = (
        select(Appointment, Location.zone)
        .join(VisitType, VisitType.id == Appointment.visit_type_id)
        .outerjoin(Location, Location.id == Appointment.location_id)
        .where(Appointment.patient_id == patient.id, VisitType.is_sensitive, Appointment.is_private.is_(False))
    )
    for visit, zone in session.execute(visits).all():
        age = patient.age_on(clock.local_date(visit.starts_at or visit.requested_at, zone or "UTC"))
        if age is None or age >= from_age:
            visit.is_private = True
            visit.version += 1
            audit.record(session, SYSTEM, "make_private", visit, after={"is_private": True}, patient_id=patient.id)
