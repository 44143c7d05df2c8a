"""Forms about one patient: opened from the patient's page, and back to it when they are done."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_login import current_user
from sqlalchemy import select

from clinic_portal.accounts import actor_of
from clinic_portal.audit import Actor
from clinic_portal.backoffice import words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.lists import Page
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.models import AccessPlace, Patient


class PersonPage(Page):
    """A page about one patient; not in the menu. Looking at it is noted like any look at a record."""

    words = words

    def __init__(self, endpoint: str, url: str) -> None:
        super().__init__(name="Patients", endpoint=f"backoffice_{endpoint}", url=url)

    def is_visible(self) -> bool:
        return False

    def patient(self) -> Patient:
        """The patient whom the address names.

        Raises: NotFound.
        """
        public_id = request.args.get("id", "")
        known = select(Patient.id).filter_by(public_id=public_id if public_id.isprintable() else "")
        patient_id = db.session.scalar(known)
        if patient_id is None:
            raise NotFound
        if request.method == "GET":
            note_opening(patient_id, AccessPlace.PATIENT)
        return db.session.get_one(Patient, patient_id)

    def show(
        self, template: str, patient: Patient, problems: list[dict[str, str]], status: int = 422, **context: Any
    ) -> Any:
        """The form, with what is wrong with it, and then with a status that says so."""
        page = self.render(template, patient=patient, problems=problems, back_url=page_of(patient), **context)
        return (page, status) if problems else page


def read_id(text: str) -> int:
    """The id of a row in a form.

    Raises: NotFound when it cannot be one.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise NotFound
    return int(text)


def staff() -> Actor:
    """Whoever is signed in at the desk."""
    return actor_of(current_user)


def page_of(patient: Patient) -> str:
    """The address of a patient's page."""
    return url_for("backoffice_patients.details_view", id=patient.public_id)


def back_to(patient: Patient, news: str) -> Any:
    """The patient's page, with what was done."""
    flash(news, "success")
    return redirect(page_of(patient), 303)
