"""What a patient needs, noted by the desk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import request
from flask_admin import expose

from clinic_portal.backoffice.person import PersonPage, back_to, staff
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest
from clinic_portal.models import Need, Patient
from clinic_portal.profile import needs_form
from clinic_portal.profile.needs import Wanted, change_needs
from clinic_portal.scheduling.fits import Fit
from clinic_portal.scheduling.needs import WORDS, needs_of
from clinic_portal.wording import day_and_time

MINUTE = timedelta(minutes=1)

DETAILS = {Need.INTERPRETER: ("Language", "For example Polish."), Need.OTHER: ("What", "The patient can read this.")}


class NeedsPage(PersonPage):
    """The needs of one patient, to be changed."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if request.method == "GET":
            return self._form(patient, needs_of(db.session(), patient.id))
        try:
            fits = change_needs(actor=staff(), patient_id=patient.id, needs=needs_form.read_form(request.form))
        except InvalidRequest as error:
            return self._form(patient, needs_form.typed(request.form), error)
        return back_to(patient, " ".join(["The needs are saved.", *map(_said, fits)]))

    def _form(self, patient: Patient, ticked: Wanted, error: InvalidRequest | None = None) -> Any:
        options = needs_form.options(ticked, WORDS, {}, DETAILS, "None")
        return self.show("backoffice/patient_needs.html", patient, needs_form.errors_of(error), options=options)


def _said(fit: Fit) -> str:
    """What a visit that is booked already does about it."""
    visit = fit.visit
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    assert visit.location is not None
    when = day_and_time(visit.starts_at, visit.location.zone)
    if fit.is_longer:
        return f"The appointment on {when} takes {(visit.ends_at - visit.starts_at) // MINUTE} minutes now."
    return f"The appointment on {when} does not meet them: see To do."
