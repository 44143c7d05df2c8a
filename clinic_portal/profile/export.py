"""Everything that the clinic keeps of one patient, for that patient: plain values, no ids, nobody else's name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import audit, clock
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.errors import NotAllowed
from clinic_portal.models import (
    AccessEntry,
    Appointment,
    AuditEntry,
    ContactPoint,
    Notification,
    Patient,
    PatientAccess,
    PatientNeed,
    Recipient,
    Referral,
    Relation,
)
from clinic_portal.models.base import plain
from clinic_portal.profile.access import openings_of
from clinic_portal.scheduling.people import records_of
from clinic_portal.visit_texts import text_of

Export = dict[str, Any]

DETAILS = ("given_name", "family_name", "called_name", "birth_on", "gender", "preferred_language", "identity_status",
           "registered_on", "reminders_stopped_at")  # fmt: skip
CONTACT = ("kind", "value", "whose", "unverified_since", "failed_at", "ended_at")
VISIT = ("reference", "status", "starts_at", "ends_at", "mode", "origin", "requested_at", "booked_at", "arrived_at",
         "ended_at", "outcome_code", "cancelled_at", "cancelled_by", "cancel_reason", "is_late_cancel", "is_private",
         "sequence", "extra_minutes", "confirmation", "confirmed_at", "confirmed_via", "note")  # fmt: skip
MESSAGE = ("event", "channel", "delivery", "created_at", "due_at", "sent_at")
NEED = ("asked_at", "source", "ended_at")
REFERRAL = ("from_whom", "received_on", "valid_until", "visits_allowed", "visits_used", "ended_at")
RIGHT = ("relation", "starts_on", "ends_on", "revoked_at")


@writing
def export_data(session: Session, *, actor: Actor, patient_id: int) -> Export:
    """Put together what is kept of a patient, for the patient's own account only.

    Commits: the audit entry that says it was handed out.
    Raises: NotAllowed for anybody else: it tells of private visits.
    Source: GDPR 15 and 20.
    """
    own = select(PatientAccess.id).where(
        PatientAccess.account_id == actor.account_id,
        PatientAccess.patient_id == patient_id,
        PatientAccess.relation == Relation.SELF,
    )
    if session.scalar(own.limit(1)) is None:
        raise NotAllowed
    patient = session.get_one(Patient, patient_id)
    audit.record(session, actor, "export", patient, patient_id=patient_id)
    return {
        "made_at": clock.now().isoformat(),
        "details": _values(patient, DETAILS),
        "contact_points": [_values(one, CONTACT) for one in _contacts(session, patient_id)],
        "needs": [_need(one) for one in _needs(session, patient_id)],
        "referrals": [_referral(session, one) for one in _referrals(session, patient_id)],
        "appointments": [_visit(session, one) for one in _visits(session, patient_id)],
        "messages": [_message(one) for one in _messages(session, patient_id)],
        "who_may_act_for_you": [_values(one, RIGHT) for one in _rights(session, patient_id)],
        "changes": [_entry(one, actor) for one in _entries(session, patient_id)],
        "who_looked": [_opening(one) for one in openings_of(session, patient_id)],
    }


def _values(row: Any, names: tuple[str, ...]) -> Export:
    """The named values in a form that JSON can keep."""
    return {name: _told(getattr(row, name)) for name in names}


def _told(value: Any) -> Any:
    value = plain(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _visit(session: Session, visit: Appointment) -> Export:
    return {
        **_values(visit, VISIT),
        "visit_type": text_of(session, visit.visit_type_id).name,
        "practitioner": visit.practitioner.name if visit.practitioner else None,
        "place": visit.location.name if visit.location else None,
        "zone": visit.location.zone if visit.location else None,
        "needs": visit.wishes.get("needs", []),
    }


def _need(need: PatientNeed) -> Export:
    return {"need": need.kind.value, "in_your_words": need.detail, **_values(need, NEED)}


def _referral(session: Session, referral: Referral) -> Export:
    return {"visit_type": text_of(session, referral.visit_type_id).name, **_values(referral, REFERRAL)}


def _message(message: Notification) -> Export:
    about = message.appointment.reference if message.appointment else None
    return {**_values(message, MESSAGE), "appointment": about}


def _opening(opening: AccessEntry) -> Export:
    return {"opened_at": _told(opening.opened_at), "role": opening.role.value, "page": opening.place.value}


def _entry(entry: AuditEntry, reader: Actor) -> Export:
    """What was done and in which role; who it was only where it was the reader."""
    by_reader = entry.actor_account_id is not None and entry.actor_account_id == reader.account_id
    who = "you" if by_reader else entry.actor_kind
    return {"made_at": entry.made_at.isoformat(), "action": entry.action, "by": who}


def _contacts(session: Session, patient_id: int) -> list[ContactPoint]:
    return list(session.scalars(select(ContactPoint).filter_by(patient_id=patient_id).order_by(ContactPoint.id)))


def _needs(session: Session, patient_id: int) -> list[PatientNeed]:
    return list(session.scalars(select(PatientNeed).filter_by(patient_id=patient_id).order_by(PatientNeed.id)))


def _referrals(session: Session, patient_id: int) -> list[Referral]:
    query = select(Referral).filter_by(patient_id=patient_id).order_by(Referral.id)
    return list(session.scalars(query.options(joinedload(Referral.visit_type))))


def _visits(session: Session, patient_id: int) -> list[Appointment]:
    query = select(Appointment).filter_by(patient_id=patient_id).order_by(Appointment.requested_at, Appointment.id)
    parts = (Appointment.visit_type, Appointment.practitioner, Appointment.location)
    return list(session.scalars(query.options(*[joinedload(part) for part in parts])))


def _messages(session: Session, patient_id: int) -> list[Notification]:
    query = select(Notification).filter_by(patient_id=patient_id, recipient=Recipient.PATIENT)
    return list(session.scalars(query.options(joinedload(Notification.appointment)).order_by(Notification.id)))


def _rights(session: Session, patient_id: int) -> list[PatientAccess]:
    return list(session.scalars(select(PatientAccess).filter_by(patient_id=patient_id).order_by(PatientAccess.id)))


def _entries(session: Session, patient_id: int) -> list[AuditEntry]:
    whose = AuditEntry.for_patient_id.in_(records_of(patient_id))
    return list(session.scalars(select(AuditEntry).where(whose).order_by(AuditEntry.id)))
