"""Referrals of one patient: entered and ended at the desk."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal.backoffice import find, places
from clinic_portal.backoffice.person import PersonPage, back_to, read_id, staff
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest
from clinic_portal.models import MAX_FROM_WHOM, Patient, Referral, VisitType, WhoMayBook
from clinic_portal.profile.values import one_line
from clinic_portal.scheduling.referrals import end_referral, enter_referral

FIELDS = ("visit_type", "from_whom", "received_on", "valid_until", "visits_allowed")


def referrals_of(patient: Patient) -> list[Referral]:
    """Every referral of a patient, the newest first."""
    query = select(Referral).filter_by(patient_id=patient.id).order_by(Referral.id.desc())
    return list(db.session.scalars(query.options(joinedload(Referral.visit_type), joinedload(Referral.entered_by))))


def state_of(referral: Referral) -> str:
    """Whether something can be booked with it."""
    if referral.ended_at is not None:
        return "Ended"
    if referral.valid_until < places.today():
        return "Too old"
    left = referral.visits_allowed - referral.visits_used
    return f"{left} left" if left else "Used up"


class ReferralsPage(PersonPage):
    """The referrals of one patient, a form to enter one, and a button to end each."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if request.method == "GET":
            return self._page(patient, {"received_on": places.today().isoformat(), "visits_allowed": "1"})
        if "end" in request.form:
            end_referral(actor=staff(), patient_id=patient.id, referral_id=read_id(request.form["end"]))
            return back_to(patient, "Nothing more is booked with that referral.")
        typed = {name: request.form.get(name, "") for name in FIELDS}
        try:
            entered = enter_referral(actor=staff(), patient_id=patient.id, **_read(typed))
        except InvalidRequest as error:
            return self._page(patient, typed, error)
        return back_to(patient, f"The referral from {entered.from_whom} is entered.")

    def _page(self, patient: Patient, typed: dict[str, str], error: InvalidRequest | None = None) -> Any:
        return self.show(
            "backoffice/patient_referrals.html",
            patient,
            [{"field": error.facts.get("field", "visit_type"), "text": str(error)}] if error else [],
            referrals=[(one, state_of(one)) for one in referrals_of(patient)],
            visit_types=_visit_types(),
            typed={name: typed.get(name, "") for name in FIELDS},
            longest=MAX_FROM_WHOM,
        )


def _visit_types() -> list[tuple[str, str]]:
    """Those that need a referral; for others it would change nothing."""
    needing = select(VisitType).filter_by(who_may_book=WhoMayBook.REFERRED, is_active=True)
    return [(one.public_id, one.name) for one in db.session.scalars(needing.order_by(VisitType.sort_order))]


def _read(typed: dict[str, str]) -> dict[str, Any]:
    """Raises: InvalidRequest for what cannot be read."""
    found: dict[str, Any] = {"from_whom": one_line(typed["from_whom"])}
    for name in ("received_on", "valid_until"):
        found[name] = find.birth_date(typed[name])
        if found[name] is None:
            raise InvalidRequest("Enter a day, like 24/11/2026.", field=name)
    number = typed["visits_allowed"].strip()
    found["visits_allowed"] = int(number) if number.isascii() and number.isdecimal() and len(number) < 6 else 0
    chosen = typed["visit_type"] if typed["visit_type"].isprintable() else ""
    found["visit_type_id"] = db.session.scalar(select(VisitType.id).filter_by(public_id=chosen)) or 0
    return found
