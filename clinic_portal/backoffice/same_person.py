"""Two records that may be one person's, side by side: tell them apart, or join them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, request
from flask_admin import expose
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.accounts.same_person import namesakes
from clinic_portal.backoffice import options, places, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.person import PersonPage, back_to, page_of, staff
from clinic_portal.database import db
from clinic_portal.errors import BadTransition, NotAllowed, Overlap
from clinic_portal.models import ACTIVE, AccessPlace, Account, Appointment, Patient, PatientAccess
from clinic_portal.profile.merging import keeper_of, merge_patients, tell_apart


@dataclass(frozen=True)
class Side:
    """One of the two records, as far as it tells who somebody is."""

    patient: Patient
    birth: str
    home: str
    ahead: list[Appointment]
    past: int
    accounts: list[tuple[str, str]]


@dataclass(frozen=True)
class Pair:
    """This record beside another one of the same name and birth date, and which of them would stay."""

    other: Side
    stays: Patient
    goes: Patient


class SamePersonPage(PersonPage):
    """Is it the same person? Nothing is joined unless somebody at the desk says so."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if patient.merged_into_id is not None:
            # Already joined: the same form again, or an old tab.
            return redirect(page_of(db.session.get_one(Patient, patient.merged_into_id)), 303)
        if request.method == "GET":
            return self._page(patient)
        if request.form.get("answer") == "different":
            tell_apart(actor=staff(), patient_id=patient.id)
            return back_to(patient, "Noted: this is not the same person.")
        return self._join(patient)

    def _join(self, patient: Patient) -> Any:
        chosen = request.form.get("other")
        other = next((one for one in namesakes(db.session(), patient) if one.public_id == chosen), None)
        if other is None:
            return self._page(patient, "This record was joined or changed meanwhile. Look again.")
        if not request.form.get("is_checked"):
            return self._page(patient, "Tick that you have checked that this is one person", f"checked-{chosen}")
        stays, goes = keeper_of(patient, other)
        try:
            merge_patients(actor=staff(), loser_id=goes.id, winner_id=stays.id)
        except NotAllowed:
            return self._page(patient, "A record of somebody who has died is not joined here.")
        except (Overlap, BadTransition) as error:
            return self._page(patient, str(error))
        flash("The two records are one now.", "success")
        return redirect(page_of(stays), 303)

    def _page(self, patient: Patient, problem: str = "", field: str = "") -> Any:
        others = namesakes(db.session(), patient)
        if request.method == "GET":
            # Both are looked at.
            for public_id in [other.public_id for other in others]:
                note_opening(_id_of(public_id), AccessPlace.PATIENT)
            patient, others = db.session.get_one(Patient, patient.id), namesakes(db.session(), patient)
        pairs = [Pair(_side(other, self.limit), *keeper_of(patient, other)) for other in others]
        problems = [{"field": field, "text": problem}] if problem else []
        return self.show("backoffice/patient_same.html", patient, problems, one=_side(patient, self.limit), pairs=pairs,
                         zone=places.clinic_zone())  # fmt: skip


def _id_of(public_id: str) -> int:
    return db.session.scalars(select(Patient.id).filter_by(public_id=public_id)).one()


def _side(patient: Patient, limit: frozenset[int] | None) -> Side:
    visits = select(Appointment).where(Appointment.patient_id == patient.id, Appointment.status.in_(ACTIVE))
    if limit is not None:
        visits = visits.where(Appointment.location_id.in_(limit))
    ahead = visits.where(Appointment.ends_at > clock.now()).order_by(Appointment.starts_at)
    past = select(func.count()).select_from(visits.where(Appointment.ends_at <= clock.now()).subquery())
    loads = (joinedload(Appointment.visit_type), joinedload(Appointment.location))
    return Side(
        patient,
        words.birth_of(patient, places.today()),
        options.names()["locations"].get(patient.home_location_id or 0, words.NOTHING),
        list(db.session.scalars(ahead.options(*loads))),
        db.session.scalar(past) or 0,
        _accounts(patient),
    )


def _accounts(patient: Patient) -> list[tuple[str, str]]:
    """Who could see the joined record: e-mail address and relation."""
    query = (
        select(Account.email, PatientAccess.relation)
        .join(PatientAccess, PatientAccess.account_id == Account.id)
        .where(PatientAccess.patient_id == patient.id, PatientAccess.revoked_at.is_(None))
        .order_by(PatientAccess.id)
    )
    return [(email, words.RELATION[relation]) for email, relation in db.session.execute(query)]
