"""Whether somebody wants reminders: said on their page, or by the link in a reminder. Changes are told all the same."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import writing
from clinic_portal.errors import LinkExpired
from clinic_portal.links import StopLink
from clinic_portal.models import ContactPoint, Patient, Relation, columns_of
from clinic_portal.notifications.reminders import plan_for
from clinic_portal.scheduling.people import lock_patient

TOLD = ("reminders_stopped_at",)


@writing
def want_reminders(session: Session, *, actor: Actor, patient_id: int, wanted: bool) -> None:
    """Send a patient reminders from now on, or none. Saying it again changes nothing.

    Commits: the wish, the reminders that follow from it, audit.
    Raises: NotFound, NotAllowed.
    Source: UC6.5.
    """
    lock_patient(session, patient_id)
    _set(session, actor, session.get_one(Patient, patient_id), wanted=wanted)


@writing
def stop_reminders(session: Session, *, link: StopLink) -> None:
    """Send no more reminders about the patient whom the reader of a mail was reminded of.

    Commits: as `want_reminders`.
    Raises: LinkExpired when we do not write to that mailbox any more, NotAllowed.
    Source: RFC 8058.
    """
    contact = session.scalar(select(ContactPoint).filter_by(public_id=link.contact_public_id))
    patient = session.scalar(select(Patient).filter_by(public_id=link.patient_public_id))
    if contact is None or patient is None or contact.ended_at is not None:
        raise LinkExpired
    lock_patient(session, patient.id)
    actor = Actor(ActorKind.PATIENT if contact.whose == Relation.SELF else ActorKind.PROXY)
    _set(session, actor, patient, wanted=False)


def _set(session: Session, actor: Actor, patient: Patient, *, wanted: bool) -> None:
    if wanted is (patient.reminders_stopped_at is None):
        return
    before = columns_of(patient, TOLD)
    patient.reminders_stopped_at = None if wanted else clock.now()
    session.flush()
    action = "want_reminders" if wanted else "stop_reminders"
    audit.record(session, actor, action, patient, before=before, after=columns_of(patient, TOLD), patient_id=patient.id)
    plan_for(session, patient.id)
