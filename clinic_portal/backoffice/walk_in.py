"""Somebody comes without an appointment: a number for them, then a time of today, or a clinician who sees them now."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from flask import flash, redirect, request
from flask import session as browser
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from clinic_portal import clock
from clinic_portal.backoffice import find, options, places, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.appointments import zone_of
from clinic_portal.backoffice.person import PersonPage, staff
from clinic_portal.backoffice.request_acts import read_version
from clinic_portal.backoffice.today import CHANGED, PLACE, address_of_line, find_visit
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NamesakesKnown, NotAllowed, NotFound, VersionConflict
from clinic_portal.models import (
    AccessPlace,
    Appointment,
    Mode,
    Patient,
    PriorityClass,
    Status,
    VisitType,
    WalkInTicket,
)
from clinic_portal.profile.admitting import NewPatient
from clinic_portal.scheduling.running import call_in, who_could_see
from clinic_portal.scheduling.walk_ins import CLASSES, free_today, give_time, take_in, ticket_of
from clinic_portal.web import see_other
from clinic_portal.web.errors import status_of

FIELDS = ("given_name", "family_name", "birth_on", "phone", "visit_type", "class", "location")
NOT_HERE = (NotFound, NotAllowed)
# How a time stands in a form.
SHAPE = "%Y-%m-%dT%H:%MZ"
# So many times of the rest of today are shown.
SHOWN = 24


class WalkInPage(PersonPage):
    """Take somebody in: a patient whom the address names, or somebody who was never here."""

    def __init__(self) -> None:
        super().__init__("walk_in", "walk-in")
        self.name = "Walk-in"

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """A short form: who it is, what for, how urgent, and where."""
        patient = self.patient() if "id" in request.args else None
        if request.method == "GET":
            return self._form(patient, self._at_first())
        try:
            visit = self._take_in(patient)
        except NOT_HERE:
            raise
        except DomainError as error:
            return self._form(patient, {name: request.form.get(name, "") for name in FIELDS}, error), status_of(error)
        number = ticket_of(db.session(), visit).number
        flash(f"Number {number}: {visit.patient.full_name}.", "success")
        return redirect(address_of_line(visit), 303)

    @expose("/visit/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def visit(self) -> Any:
        """Give somebody who waits a time of today, or say who sees them now."""
        visit = find_visit(request.args.get("id", ""), self.limit)
        ticket = db.session.get(WalkInTicket, visit.id)
        if ticket is None:
            raise NotFound
        if request.method == "GET":
            note_opening(visit.patient_id, AccessPlace.APPOINTMENT)
            return self._visit(find_visit(visit.public_id, self.limit))
        try:
            done = _give(visit) if request.form.get("do") == "time" else _call(visit)
        except NOT_HERE:
            raise
        except DomainError as error:
            return self._visit(find_visit(visit.public_id, self.limit), error), status_of(error)
        flash(done, "success")
        return see_other(address_of_line(visit))

    def _at_first(self) -> dict[str, str]:
        return dict.fromkeys(FIELDS, "") | {
            "class": PriorityClass.ROUTINE.value,
            "location": browser.get(PLACE, "") or next(iter(options.reachable_places()), ("", ""))[0],
        }

    def _take_in(self, patient: Patient | None) -> Appointment:
        form = request.form
        visit_type, location = form.get("visit_type", ""), form.get("location", "")
        if visit_type not in dict(_visit_types()):
            raise InvalidRequest("Choose a kind of visit that takes place here.", field="visit_type")
        if location not in dict(options.reachable_places()):
            raise InvalidRequest("Choose the place.", field="location")
        if form.get("class") not in {each.value for each in CLASSES}:
            raise InvalidRequest("Choose how urgent it is.", field="class")
        return take_in(
            actor=staff(),
            who=patient.id if patient else _read_new(),
            visit_type_id=int(visit_type),
            location_id=int(location),
            priority=PriorityClass(form["class"]),
            token=form.get("token", ""),
        )

    def _form(self, patient: Patient | None, typed: dict[str, str], error: DomainError | None = None) -> Any:
        known = list(error.facts["known"]) if isinstance(error, NamesakesKnown) else []
        return self.render(
            "backoffice/walk_in.html",
            patient=patient,
            typed=typed,
            visit_types=_visit_types(),
            classes=[(each.value, words.PRIORITY[each]) for each in CLASSES],
            locations=options.reachable_places(),
            namesakes=_namesakes(known),
            birth_of=lambda person: words.birth_of(person, places.today()),
            token=request.form.get("token") or secrets.token_urlsafe(16),
            problems=[_problem(error)] if error else [],
        )

    def _visit(self, visit: Appointment, error: DomainError | None = None) -> Any:
        waits = visit.status is Status.ARRIVED and visit.called_at is None and visit.starts_at is None
        problems = [_problem(error)] if error else []
        return self.render(
            "backoffice/walk_in_visit.html",
            visit=visit,
            number=ticket_of(db.session(), visit).number,
            zone=zone_of(visit),
            waits=waits,
            times=_times(visit, problems) if waits else [],
            clinicians=[(str(one.id), one.name) for one in who_could_see(db.session(), visit)] if waits else [],
            typed={name: request.form.get(name, "") for name in ("start", "clinician")},
            token=secrets.token_urlsafe(16),
            back_url=address_of_line(visit),
            problems=problems,
        )


def _visit_types() -> list[tuple[str, str]]:
    """What takes place at a clinic itself."""
    found = db.session.scalars(select(VisitType).where(VisitType.is_active).order_by(VisitType.name, VisitType.id))
    return [(str(row.id), row.name) for row in found if Mode.IN_PERSON in row.modes]


def _read_new() -> NewPatient:
    form = request.form
    return NewPatient(
        form.get("given_name", ""),
        form.get("family_name", ""),
        find.birth_date(form.get("birth_on", "")),
        form.get("phone", ""),
        is_another=form.get("is_another") == "yes",
    )


def _namesakes(ids: list[int]) -> list[Patient]:
    query = select(Patient).where(Patient.id.in_(ids)).options(selectinload(Patient.contact_points))
    return list(db.session.scalars(query.order_by(Patient.id))) if ids else []


def _problem(error: DomainError) -> dict[str, str]:
    text = CHANGED if isinstance(error, VersionConflict) else str(error)
    field = "is_another" if isinstance(error, NamesakesKnown) else error.facts.get("field", error.facts.get("at", ""))
    return {"field": str(field), "text": text}


def _times(visit: Appointment, problems: list[dict[str, str]]) -> list[tuple[str, str]]:
    """The times of the rest of today, by their values in the form and in words."""
    try:
        found = free_today(db.session(), visit)
    except DomainError as error:
        problems.append({"field": "", "text": str(error)})
        return []
    return [(time.starts_at.astimezone(UTC).strftime(SHAPE), words.clock_time(time.starts_at, zone_of(visit)))
            for time in found[:SHOWN]]  # fmt: skip


def _give(visit: Appointment) -> str:
    try:
        starts_at = datetime.strptime(request.form.get("start", ""), SHAPE).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest("Choose one of the times.", field="start") from None
    if starts_at.year not in clock.YEARS:
        raise InvalidRequest("Choose one of the times.", field="start")
    given = give_time(actor=staff(), appointment_id=visit.id, starts_at=starts_at,
                      token=request.form.get("token", ""), expected_version=read_version(request.form))  # fmt: skip
    assert given.practitioner is not None
    return f"{words.clock_time(starts_at, zone_of(given))} with {given.practitioner.name}."


def _call(visit: Appointment) -> str:
    text = request.form.get("clinician", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise InvalidRequest("Choose who sees the patient.", field="clinician")
    called = call_in(actor=staff(), appointment_id=visit.id, practitioner_id=int(text),
                     expected_version=read_version(request.form))  # fmt: skip
    assert called.practitioner is not None
    return f"With {called.practitioner.name} now."
