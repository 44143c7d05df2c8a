"""Codes for accounts: made at the desk for a patient whom the clinic knows, shown once, printed and handed over."""

from __future__ import annotations

from typing import Any

from flask import make_response, request, url_for
from flask_admin import expose

from clinic_portal import clock
from clinic_portal.accounts.invitations import invitations_of, invite, void_code
from clinic_portal.backoffice import places, words
from clinic_portal.backoffice.person import PersonPage, back_to, read_id, staff
from clinic_portal.database import db
from clinic_portal.models import AccountInvitation, Patient
from clinic_portal.web.links import address_of


def state_of(code: AccountInvitation) -> str:
    """What became of a code."""
    zone = places.clinic_zone()
    if code.used_at is not None:
        return f"Used {words.moment(code.used_at, zone)}"
    when = words.moment(code.expires_at, zone)
    return f"Open until {when}" if code.is_open(clock.now()) else f"Ended {when}"


class CodesPage(PersonPage):
    """Make a code for an account, and the codes that were made before."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if request.method == "POST":
            return self._void(patient) if "void" in request.form else self._slip(patient)
        codes = invitations_of(db.session(), patient.id)
        return self.show(
            "backoffice/patient_codes.html",
            patient,
            [],
            zone=places.clinic_zone(),
            codes=[(code, state_of(code), code.is_open(clock.now())) for code in codes],
        )

    def _void(self, patient: Patient) -> Any:
        void_code(actor=staff(), patient_id=patient.id, invitation_id=read_id(request.form["void"]))
        return back_to(patient, "Nobody can use that code any more.")

    def _slip(self, patient: Patient) -> Any:
        """The one page that shows a code; nothing keeps it."""
        code = invite(actor=staff(), patient_id=patient.id)
        made = invitations_of(db.session(), patient.id)[0]
        page = self.render(
            "backoffice/patient_code.html",
            patient=db.session.get_one(Patient, made.patient_id),
            code=code,
            until=words.moment(made.expires_at, places.clinic_zone()),
            address=address_of("entrance.use_code"),
            back_url=url_for("backoffice_patients.details_view", id=request.args["id"]),
        )
        return make_response(page)
