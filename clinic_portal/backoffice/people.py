"""The lists of patients and of clinicians."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_admin import expose
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload, selectinload

from clinic_portal import clock
from clinic_portal.accounts.invitations import invitations_of
from clinic_portal.accounts.same_person import namesakes
from clinic_portal.backoffice import find, options, places, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.changes import changes
from clinic_portal.backoffice.lists import Column, ReadOnlyList
from clinic_portal.backoffice.referrals import referrals_of, state_of
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.models import (
    WAITING,
    AccessPlace,
    Account,
    AccountInvitation,
    Appointment,
    AuditEntry,
    ContactPoint,
    Patient,
    PatientAccess,
    PatientNeed,
    Practitioner,
    PractitionerVisitType,
    Referral,
)
from clinic_portal.scheduling.invitations import open_invitations
from clinic_portal.scheduling.line import at_places
from clinic_portal.scheduling.people import records_of

# The tables whose changes are changes of a record.
RECORD = (Patient, ContactPoint, PatientAccess, PatientNeed, AccountInvitation, Referral)
# As many visits, and as many changes, as a page tells about one patient.
SHOWN = 100


def _contact(patient: Patient) -> ContactPoint | None:
    """The first way to reach somebody that still works."""
    return next((point for point in patient.contact_points if point.is_usable), None)


def _standing(patient: Patient) -> str:
    if patient.deceased_on:
        return f"Died {words.day(patient.deceased_on)}"
    return "Merged into another record" if patient.merged_into_id else "Current"


class PatientList(ReadOnlyList):
    """Patients by name, and one patient with everything the desk needs; opening one is noted."""

    noun = "patient"
    served = ("index_view", "details_view")
    can_view_details = True
    details_template = "backoffice/patient.html"
    search_label = "Name or birth date"
    search_hint = "For example archer, alice archer or 4/5/1980."
    empty_message = "No patient has this name or birth date."
    columns = (
        Column("search_name", "Name", "show_name", sorts=True),
        Column("birth_on", "Birth date (age)", lambda row, _: words.birth_of(row, places.today()), sorts=True),
        Column("contact", "First contact", lambda row, _: words.contact_tail(_contact(row))),
        Column("record", "Record", lambda row, _: _standing(row)),
    )
    order = (("search_name", False), ("id", False))
    loads = (selectinload(Patient.contact_points),)

    def get_pk_value(self, model: Patient) -> str:
        return model.public_id

    def matching(self, search: str) -> ColumnElement[bool]:
        return find.people(search)

    @expose("/details/")  # type: ignore[untyped-decorator]
    def details_view(self) -> Any:
        patient_id = db.session.scalar(select(Patient.id).filter_by(public_id=request.args.get("id", "")))
        if patient_id is None:
            raise NotFound
        note_opening(patient_id, AccessPlace.PATIENT)
        patient = db.session.get_one(Patient, patient_id, options=self.loads)
        return self.render(self.details_template, patient=patient, **_about(patient, self.limit))


def _about(patient: Patient, limit: frozenset[int] | None) -> dict[str, Any]:
    """Everything beside the row itself that its page tells; of visits only those at locations one's role reaches."""
    zone = places.clinic_zone()
    return {
        "zone": zone,
        "birth": words.birth_of(patient, places.today()),
        "standing": _standing(patient),
        "home": options.names()["locations"].get(patient.home_location_id or 0, words.NOTHING),
        "needs": _needs(patient),
        "joined_into": db.session.get(Patient, patient.merged_into_id) if patient.merged_into_id else None,
        "namesakes": namesakes(db.session(), patient) if patient.merged_into_id is None else [],
        "visits": _visits(patient, limit),
        "requests": _requests(patient, limit),
        "invitations": open_invitations(db.session(), [patient.id]),
        "rights": _rights(patient),
        "referrals": [(one, state_of(one)) for one in referrals_of(patient)],
        "open_codes": [code for code in invitations_of(db.session(), patient.id) if code.is_open(clock.now())],
        "history": _history(patient, zone),
    }


def _needs(patient: Patient) -> list[PatientNeed]:
    query = select(PatientNeed).where(PatientNeed.patient_id == patient.id, PatientNeed.ended_at.is_(None))
    return list(db.session.scalars(query.order_by(PatientNeed.id)))


def _visits(patient: Patient, limit: frozenset[int] | None) -> list[Appointment]:
    query = select(Appointment).where(Appointment.patient_id == patient.id, Appointment.status.not_in(WAITING))
    if limit is not None:
        query = query.where(Appointment.location_id.in_(limit))
    loads = (joinedload(Appointment.visit_type), joinedload(Appointment.practitioner), joinedload(Appointment.location))
    return list(db.session.scalars(query.options(*loads).order_by(Appointment.id.desc()).limit(SHOWN)))


def _requests(patient: Patient, limit: frozenset[int] | None) -> list[Appointment]:
    query = select(Appointment).where(
        Appointment.patient_id == patient.id, Appointment.status.in_(WAITING), at_places(limit)
    )
    return list(db.session.scalars(query.options(joinedload(Appointment.visit_type)).order_by(Appointment.id)))


def _rights(patient: Patient) -> list[tuple[PatientAccess, str]]:
    query = (
        select(PatientAccess, Account.email)
        .join(Account, Account.id == PatientAccess.account_id)
        .where(PatientAccess.patient_id == patient.id)
        .order_by(PatientAccess.id)
    )
    return [(right, email) for right, email in db.session.execute(query)]


def _history(patient: Patient, zone: str) -> list[dict[str, Any]]:
    """What was changed in the record itself; changes of visits stand on the visits' own pages."""
    kinds = [kind.__tablename__ for kind in RECORD]
    query = (
        select(AuditEntry, Account.email)
        .outerjoin(Account, Account.id == AuditEntry.actor_account_id)
        .where(AuditEntry.for_patient_id.in_(records_of(patient.id)), AuditEntry.subject_type.in_(kinds))
        .options(joinedload(AuditEntry.values))
        .order_by(AuditEntry.id.desc())
        .limit(SHOWN)
    )
    return [
        {"entry": entry, "who": email, "changes": changes(entry, zone, options.names())}
        for entry, email in db.session.execute(query)
    ]


class PractitionerList(ReadOnlyList):
    noun = "clinician"
    empty_message = "There are no clinicians yet."
    columns = (
        Column("name", "Name", sorts=True),
        Column("kind", "Kind", lambda row, _: words.PRACTITIONER_KIND[row.kind]),
        Column("visit_types", "Visit types", lambda row, known: ", ".join(known["does"].get(row.id, [words.NOTHING]))),
        Column("is_active", "Sees patients", lambda row, _: words.yes_no(row.is_active)),
        Column("hours", "Hours", "show_hours"),
        Column("away", "Away", "show_away"),
    )
    order = (("name", False), ("id", False))

    def known_about(self, rows: list[Practitioner]) -> dict[str, Any]:
        """What each does and how long it takes with them."""
        query = select(PractitionerVisitType).where(
            PractitionerVisitType.practitioner_id.in_([row.id for row in rows]), PractitionerVisitType.is_active
        )
        does: dict[int, list[str]] = {}
        for one in db.session.scalars(query.order_by(PractitionerVisitType.id)):
            name = options.names()["visit_types"][one.visit_type_id]
            does.setdefault(one.practitioner_id, []).append(f"{name} ({words.minutes(one.duration_min)})")
        return {"does": does}
