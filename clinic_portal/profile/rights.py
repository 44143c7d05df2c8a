"""Whose details an account may see and change, and giving up a right to act for somebody."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import public_id_now, rights_of
from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound
from clinic_portal.models import Account, ContactPoint, PatientAccess, Relation, columns_of
from clinic_portal.scheduling.people import lock_patient


def right_for(account: Account, patient_public_id: str) -> PatientAccess:
    """The account's right to act for this patient today, with the patient.

    Raises: NotFound.
    """
    rights = {right.patient.public_id: right for right in rights_of(account)}
    right = rights.get(patient_public_id) or rights.get(public_id_now(patient_public_id))
    if right is None:
        raise NotFound
    return right


def own_right(account: Account) -> PatientAccess:
    """The account's right as its own person.

    Raises: NotFound for accounts that act only for others.
    """
    for right in rights_of(account):
        if right.relation == Relation.SELF:
            return right
    raise NotFound


def contact_for(account: Account, public_id: str) -> tuple[ContactPoint, PatientAccess]:
    """A way to reach somebody the account may act for, even one that has ended, and that right.

    Raises: NotFound.
    """
    contact = db.session().scalar(select(ContactPoint).filter_by(public_id=public_id))
    if contact is None:
        raise NotFound
    for right in rights_of(account):
        if right.patient_id == contact.patient_id:
            return contact, right
    raise NotFound


@writing
def give_up(session: Session, *, actor: Actor, patient_id: int) -> None:
    """End an account's own rights to act for somebody else; only the clinic can give them again.

    Commits: the end of the rights, at once.
    Raises: NotFound.
    """
    lock_patient(session, patient_id, for_new_time=False)
    now = clock.now()
    mine = select(PatientAccess).where(
        PatientAccess.account_id == actor.account_id,
        PatientAccess.patient_id == patient_id,
        PatientAccess.relation != Relation.SELF,
        or_(PatientAccess.revoked_at.is_(None), PatientAccess.revoked_at > now),
    )
    for right in session.scalars(mine.order_by(PatientAccess.id)):
        before = columns_of(right, ("revoked_at",))
        right.revoked_at = now
        after = columns_of(right, ("revoked_at",))
        audit.record(session, actor, "give_up_right", right, before=before, after=after, patient_id=patient_id)
