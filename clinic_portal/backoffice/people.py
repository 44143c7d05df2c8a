"""The lists of patients and of clinicians."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import selectinload

from clinic_portal.backoffice import find, options, places, words
from clinic_portal.backoffice.lists import Column, ReadOnlyList
from clinic_portal.database import db
from clinic_portal.models import ContactPoint, Patient, Practitioner, PractitionerVisitType


def _contact(patient: Patient) -> ContactPoint | None:
    """The first way to reach somebody that still works."""
    return next((point for point in patient.contact_points if point.is_usable), None)


def _standing(patient: Patient) -> str:
    if patient.deceased_on:
        return f"Died {words.day(patient.deceased_on)}"
    return "Merged into another record" if patient.merged_into_id else "Current"


class PatientList(ReadOnlyList):
    noun = "patient"
    search_label = "Name or birth date"
    search_hint = "For example archer, alice archer or 4/5/1980."
    empty_message = "No patient has this name or birth date."
    columns = (
        Column("search_name", "Name", lambda row, _: row.full_name, sorts=True),
        Column("birth_on", "Birth date (age)", lambda row, _: words.birth_of(row, places.today()), sorts=True),
        Column("contact", "First contact", lambda row, _: words.contact_tail(_contact(row))),
        Column("record", "Record", lambda row, _: _standing(row)),
    )
    order = (("search_name", False), ("id", False))
    loads = (selectinload(Patient.contact_points),)

    def matching(self, search: str) -> ColumnElement[bool]:
        return find.people(search)


class PractitionerList(ReadOnlyList):
    noun = "clinician"
    empty_message = "There are no clinicians yet."
    columns = (
        Column("name", "Name", sorts=True),
        Column("kind", "Kind", lambda row, _: words.PRACTITIONER_KIND[row.kind]),
        Column("visit_types", "Visit types", lambda row, known: ", ".join(known["does"].get(row.id, [words.NOTHING]))),
        Column("is_active", "Sees patients", lambda row, _: words.yes_no(row.is_active)),
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
