"""Who may act for a patient: given and ended at the desk."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.backoffice import find, places, words
from clinic_portal.backoffice.person import PersonPage, back_to, read_id, staff
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest
from clinic_portal.models import MAX_EVIDENCE, Patient, PatientAccess, Relation
from clinic_portal.profile.granting import NewRight, end_right, give_right
from clinic_portal.settings import load_settings

FIELDS = ("email", "relation", "starts_on", "ends_on", "evidence_note")
RELATIONS = [(one.value, text) for one, text in words.RELATION.items() if one is not Relation.SELF]


def rights_of(patient: Patient) -> list[PatientAccess]:
    """Every right over a patient, also those that have ended."""
    query = select(PatientAccess).filter_by(patient_id=patient.id).order_by(PatientAccess.id)
    return list(db.session.scalars(query.options(joinedload(PatientAccess.account))))


def state_of(right: PatientAccess) -> str:
    """Whether a right holds, in words."""
    today = places.today()
    if right.revoked_at is not None and right.revoked_at <= clock.now():
        return f"Ended {words.moment(right.revoked_at, places.clinic_zone())}"
    if right.ends_on is not None and right.ends_on <= today:
        return f"Ended {words.day(right.ends_on)}"
    return "Holds" if right.starts_on <= today else "Not yet"


class RightsPage(PersonPage):
    """The rights over one patient, a form to give one, and a button to end each."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if request.method == "GET":
            return self._page(patient, {"starts_on": places.today().isoformat()})
        if "end" in request.form:
            end_right(actor=staff(), patient_id=patient.id, right_id=read_id(request.form["end"]))
            return back_to(patient, "The right has ended.")
        typed = {name: request.form.get(name, "") for name in FIELDS}
        try:
            right = give_right(actor=staff(), patient_id=patient.id, right=_read(typed))
        except InvalidRequest as error:
            return self._page(patient, typed, error)
        until = f" until {words.day(right.ends_on)}" if right.ends_on else ""
        return back_to(patient, f"{right.account.email} may act for {patient.full_name}{until}.")

    def _page(self, patient: Patient, typed: dict[str, str], error: InvalidRequest | None = None) -> Any:
        rights = [(right, state_of(right)) for right in rights_of(patient)]
        settings = load_settings(db.session())
        return self.show(
            "backoffice/patient_rights.html",
            patient,
            [{"field": error.facts.get("field", "email"), "text": str(error)}] if error else [],
            rights=rights,
            zone=places.clinic_zone(),
            relations=RELATIONS,
            typed={name: typed.get(name, "") for name in FIELDS},
            parent_until_age=settings.number("parent_until_age"),
            max_note=MAX_EVIDENCE,
        )


def _read(typed: dict[str, str]) -> NewRight:
    """Raises: InvalidRequest for days that are none."""
    days = {}
    for name in ("starts_on", "ends_on"):
        days[name] = find.birth_date(typed[name]) if typed[name].strip() else None
        if typed[name].strip() and days[name] is None:
            raise InvalidRequest("Enter a day, like 24/11/2026.", field=name)
    relation = next((one for one in Relation if one.value == typed["relation"]), None)
    return NewRight(typed["email"], relation, days["starts_on"], days["ends_on"], typed["evidence_note"])
