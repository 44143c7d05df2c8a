"""Two records that may be one person's: noticed when somebody registers, told to the desk only, never to whoever asks.

Nothing is joined by itself: a name and a birth date are no proof of who somebody is.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import Account, IdentityStatus, Patient, PatientAccess, Relation, TaskKind
from clinic_portal.tasks import open_task

# Until then the desk should have looked: the visits of one person would hang on two records.
LOOK_WITHIN = timedelta(days=1)


def namesakes(session: Session, patient: Patient) -> list[Patient]:
    """The other records of this name and birth date, the oldest first, without those that are joined already."""
    if patient.birth_on is None:
        return []
    query = select(Patient).where(
        Patient.search_name == patient.search_name,
        Patient.birth_on == patient.birth_on,
        Patient.merged_into_id.is_(None),
        Patient.id != patient.id,
    )
    return list(session.scalars(query.order_by(Patient.id)))


def ask_whether_same(session: Session, patient: Patient) -> None:
    """Let the desk look at a record whose name and birth date another one has, inside the caller's transaction."""
    if namesakes(session, patient):
        open_task(session, TaskKind.SAME_PERSON, patient_id=patient.id, due_at=clock.now() + LOOK_WITHIN)


def ask_about_account(session: Session, account: Account) -> None:
    """The same for the person that a newly confirmed account was registered for.

    Only now: what strangers type into the form of an account makes no work for the desk.
    """
    own = (
        select(Patient)
        .join(PatientAccess, PatientAccess.patient_id == Patient.id)
        .where(
            PatientAccess.account_id == account.id,
            PatientAccess.relation == Relation.SELF,
            PatientAccess.revoked_at.is_(None),
            Patient.identity_status == IdentityStatus.SELF_DECLARED,
            Patient.merged_into_id.is_(None),
        )
    )
    for patient in session.scalars(own).all():
        ask_whether_same(session, patient)
