"""Private visits: those that nobody who acts for the patient may see or hear of."""

from __future__ import annotations

from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts import _today
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import NotAllowed
from clinic_portal.models import Appointment, Patient, PatientAccess, Relation, VisitType, columns_of
from clinic_portal.scheduling.visits import lock_visit
from clinic_portal.settings import load_settings

TOLD = ("is_private", "version")


def is_acted_for(session: Session, patient_id: int) -> bool:
    """Whether somebody else has a right to act for this patient, now or from a later day on."""
    now, today = clock.now(), _today(session)
    others = select(PatientAccess.id).where(
        PatientAccess.patient_id == patient_id,
        PatientAccess.relation != Relation.SELF,
        or_(PatientAccess.ends_on.is_(None), PatientAccess.ends_on > today),
        or_(PatientAccess.revoked_at.is_(None), PatientAccess.revoked_at > now),
    )
    return session.scalar(others.limit(1)) is not None


def is_private_by_default(session: Session, patient_id: int, day: date, *, is_sensitive: bool) -> bool:
    """Whether a visit is private unless somebody says otherwise: it is sensitive, and the patient is old enough then.

    Source: UC3.7, clinic.md A4.
    """
    if not is_sensitive or not is_acted_for(session, patient_id):
        return False
    age = session.get_one(Patient, patient_id).age_on(day)
    # Whose age is not known is not taken for a small child.
    return age is None or age >= load_settings(session).number("private_from_age")


def privacy_of(
    session: Session, actor: Actor, chosen: bool | None, patient_id: int, day: date, *, is_sensitive: bool
) -> bool:
    """Whether a new visit is private. Who acts for somebody knows of what they book, and cannot hide it from itself."""
    if actor.kind is ActorKind.PROXY:
        return False
    if chosen is not None:
        return chosen
    return is_private_by_default(session, patient_id, day, is_sensitive=is_sensitive)


def privacy_of_request(
    session: Session, actor: Actor, patient_id: int, visit_type_id: int, chosen: bool | None = None
) -> bool:
    """As `privacy_of`, for a request, which has no day yet: its patient is as old as today."""
    is_sensitive = session.get_one(VisitType, visit_type_id).is_sensitive
    return privacy_of(session, actor, chosen, patient_id, _today(session), is_sensitive=is_sensitive)


@writing
def set_private(
    session: Session, *, actor: Actor, appointment_id: int, is_private: bool, expected_version: int | None = None
) -> Appointment:
    """Hide a visit from those who act for its patient, or show it to them; what was told before is not taken back.

    Messages that have not left yet look again before they do: a mailbox that somebody else reads gets none.
    Commits: the visit (version up), audit.
    Raises: NotAllowed for anybody but the clinic, NotFound, VersionConflict.
    """
    if not actor.is_clinic:
        raise NotAllowed
    visit = lock_visit(session, appointment_id, expected_version)
    if visit.is_private != is_private:
        before = columns_of(visit, TOLD)
        visit.is_private = is_private
        visit.version += 1
        action = "make_private" if is_private else "make_visible"
        record(session, actor, action, visit, before=before, after=columns_of(visit, TOLD), patient_id=visit.patient_id)
    return visit
