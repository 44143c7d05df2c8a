"""A visit from the calendar: the clinician and the time are chosen, then the patient, then what it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, request, url_for
from sqlalchemy import select

from clinic_portal import wording
from clinic_portal.audit import ActorKind
from clinic_portal.backoffice import find, places, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.calendar_spot import (
    Typed,
    calendar_of,
    place_at,
    practitioner_of,
    problem_of,
    zone_of_instant,
)
from clinic_portal.backoffice.lists import LONGEST_SEARCH, Page
from clinic_portal.backoffice.person import staff
from clinic_portal.backoffice.request_form import HOW, read_how
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import (
    MAX_NOTE,
    MODE_BIT,
    AccessPlace,
    Appointment,
    ContactKind,
    Mode,
    Origin,
    Patient,
    Practitioner,
    PractitionerVisitType,
    VisitType,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.booking import reserve_slot
from clinic_portal.scheduling.exactly import Spot, find_room
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.web.errors import status_of

ELSEWHERE = "You do not work at the place where this clinician is then."
# As many people of one name or birth date as are listed.
MOST_FOUND = 20
PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)
FIELDS = {"note_refused": "note", "number_missing": "call_number", "mode_not_offered": "mode",
          "patient_busy": "visit_type"}  # fmt: skip
TYPED = ("visit_type", "mode", "call_number", "note", "how")


@dataclass(frozen=True)
class Choice:
    """A visit type that the clinician does, how long it would be, and why it cannot begin then, if so."""

    public_id: str
    name: str
    told: str
    fits: bool


class BookForm:
    """The page on which the desk books what it has found in the calendar."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.typed = Typed.read(request.form if "clinician" in request.form else request.args)
        self.who = practitioner_of(self.typed.clinician)

    def answer(self) -> Any:
        if self.who is None:
            # Whoever comes without one has not come from the calendar.
            raise NotFound
        patient = _patient(request.args.get("patient", ""))
        if request.method == "GET":
            if patient is not None:
                note_opening(patient.id, AccessPlace.PATIENT)
                patient = _patient(request.args["patient"])
            return self._show(patient, self._problems_at_first())
        if request.form.get("do") == "find" or patient is None:
            return self._found()
        try:
            visit = self._book(patient)
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            patient = _patient(request.args["patient"])
            problem = problem_of(error, self._name(), self._zone(), FIELDS)
            return self._show(patient, [problem], status_of(error))
        assert visit.location is not None
        flash(f"Booked: {told(visit)}.", "success")
        return redirect(calendar_of(visit.starts_at, visit.location.zone), 303)

    def _name(self) -> str:
        who = practitioner_of(self.typed.clinician)
        return who.name if who else ""

    def _zone(self) -> str:
        spot = self._spot()
        return places.clinic_zone() if spot is None else zone_of_instant(spot.practitioner_id, spot.starts_at)

    def _spot(self) -> Spot | None:
        try:
            return self.typed.spot()
        except InvalidRequest:
            return None

    def _problems_at_first(self) -> list[dict[str, str]]:
        try:
            self.typed.spot()
        except InvalidRequest as error:
            return [problem_of(error, "", places.clinic_zone(), FIELDS)]
        return []

    # Whom

    def _found(self) -> Any:
        search = request.form.get("who", "").strip()[:LONGEST_SEARCH]
        if not search:
            return self._show(None, [{"field": "who", "text": "Enter a name or a birth date."}], 422)
        query = select(Patient).where(
            find.people(search), Patient.merged_into_id.is_(None), Patient.deceased_on.is_(None)
        )
        order = Patient.search_name, Patient.birth_on, Patient.id
        people = list(db.session.scalars(query.order_by(*order).limit(MOST_FOUND + 1)))
        return self._show(None, [], 200, search=search, people=people)

    # What

    def _choices(self, patient: Patient, spot: Spot | None) -> list[Choice]:
        """What the clinician does, with what fits then for this patient; nothing fits at a time that is none."""
        query = (
            select(VisitType.id, VisitType.public_id, VisitType.name, VisitType.modes)
            .join(PractitionerVisitType, PractitionerVisitType.visit_type_id == VisitType.id)
            .join(Practitioner, Practitioner.id == PractitionerVisitType.practitioner_id)
            .where(Practitioner.public_id == self.typed.clinician, PractitionerVisitType.is_active, VisitType.is_active)
            .order_by(VisitType.sort_order, VisitType.id)
        )
        needs = frozenset(needs_of(db.session(), patient.id))
        asked = _mode(request.form.get("mode", ""))
        return [self._choice(row, patient, needs, spot, asked) for row in db.session.execute(query).all()]

    def _choice(
        self, row: Any, patient: Patient, needs: frozenset[Any], spot: Spot | None, asked: Mode | None
    ) -> Choice:
        if spot is None:
            return Choice(row.public_id, row.name, "", fits=False)
        mode = asked if asked in row.modes else next((mode for mode in MODE_BIT if mode in row.modes), Mode.IN_PERSON)
        search = Search(row.id, patient.id, None, needs, mode=mode or Mode.IN_PERSON, by=ActorKind.STAFF,
                        beyond_caps=_is_beyond())  # fmt: skip
        try:
            terms = load_terms(db.session(), search)
            room = find_room(db.session(), terms, spot)
            if self.page.limit is not None and room.location_id not in self.page.limit:
                raise NotAllowed(ELSEWHERE)
        except DomainError as error:
            text = problem_of(error, self._name(), self._zone(), FIELDS)["text"]
            return Choice(row.public_id, row.name, f"Does not fit. {text}", fits=False)
        ends_at = masks.to_instant(room.visit[1], terms.grid_min)
        length = words.minutes((room.visit[1] - room.visit[0]) * terms.grid_min)
        return Choice(
            row.public_id, row.name, f"{length}, until {wording.time_short(ends_at, self._zone())}", fits=True
        )

    def _book(self, patient: Patient) -> Appointment:
        form, spot = request.form, self.typed.spot()
        mode = _mode(form.get("mode", ""))
        if mode is None:
            raise InvalidRequest("Choose how the patient is seen.", field="mode")
        chosen = form.get("visit_type", "")
        known = select(VisitType.id).where(VisitType.public_id == (chosen if chosen.isprintable() else ""))
        visit_type_id = db.session.scalar(known)
        if visit_type_id is None:
            raise InvalidRequest("Choose a visit type.", field="visit_type")
        try:
            origin = read_how(form)
        except InvalidRequest as error:
            raise InvalidRequest(str(error), field="how") from error
        search = Search(
            visit_type_id,
            patient.id,
            None,
            frozenset(needs_of(db.session(), patient.id)),
            mode=mode,
            by=ActorKind.STAFF,
            beyond_caps=_is_beyond(),
        )
        return reserve_slot(
            actor=staff(),
            search=search,
            starts_at=spot.starts_at,
            token=form.get("token", ""),
            origin=origin,
            note=form.get("note"),
            call_number=form.get("call_number"),
            practitioner_id=spot.practitioner_id,
            places=self.page.limit,
        )

    # The page

    def _show(
        self,
        patient: Patient | None,
        problems: list[dict[str, str]],
        status: int = 200,
        *,
        search: str = "",
        people: list[Patient] | None = None,
    ) -> Any:
        spot, zone = self._spot(), self._zone()
        page = self.page.render(
            "backoffice/calendar_book.html",
            clinician_name=self._name(),
            when="" if spot is None else words.moment(spot.starts_at, zone),
            where="" if spot is None else place_at(spot.practitioner_id, spot.starts_at)[1],
            back_url=calendar_of(spot.starts_at if spot else None, zone),
            spot=self.typed,
            patient=patient,
            birth=words.birth_of(patient, places.today()) if patient else "",
            choices=self._choices(patient, spot) if patient else [],
            typed=self._typed(patient),
            modes=[(mode.value, words.MODE[mode]) for mode in MODE_BIT],
            hows=[(how.value, text) for how, text in HOW.items()],
            longest=MAX_NOTE,
            search=search,
            people=people,
            most_found=MOST_FOUND,
            born=lambda one: words.birth_of(one, places.today()),
            person_url=lambda one: _address(self.typed, one),
            is_beyond=_is_beyond(),
            is_full=any(one["field"] == "beyond" for one in problems),
            token=secrets.token_urlsafe(16),
            problems=problems,
        )
        return (page, status) if status != 200 else page

    def _typed(self, patient: Patient | None) -> dict[str, str]:
        if request.method == "POST":
            return {name: request.form.get(name, "") for name in TYPED}
        points = patient.contact_points if patient else []
        usable = [point.value for point in points if point.kind in PHONES and point.is_usable]
        return dict.fromkeys(TYPED, "") | {
            "mode": Mode.IN_PERSON.value, "how": Origin.PHONE.value, "call_number": usable[0] if usable else "",
        }  # fmt: skip


def _address(typed: Typed, patient: Patient) -> str:
    """The same page with a patient, named by a random id."""
    said = {"clinician": typed.clinician, "day": typed.day, "time": typed.time, "start": typed.start}
    known: dict[str, Any] = {name: value for name, value in said.items() if value}
    return url_for("backoffice_calendar.book", **known, patient=patient.public_id)


def _patient(public_id: str) -> Patient | None:
    """The patient whom the address names, if it names one. Raises: NotFound."""
    if not public_id:
        return None
    known = select(Patient).filter_by(public_id=public_id if public_id.isprintable() else "")
    found = db.session.scalar(known)
    if found is None:
        raise NotFound
    return found


def _is_beyond() -> bool:
    """Whether the clinician may get more visits than they have on one day: asked once that is refused."""
    return request.form.get("beyond") == "yes"


def _mode(text: str) -> Mode | None:
    return Mode(text) if text in {mode.value for mode in MODE_BIT} else None


def told(visit: Appointment) -> str:
    """A visit in a line, without its patient: "Tue 24 Nov, 10:15am, Check-up with Dr Chen, Harbour Street"."""
    assert visit.practitioner is not None
    assert visit.location is not None
    when = words.moment(visit.starts_at, visit.location.zone)
    return f"{when}, {visit.visit_type.name} with {visit.practitioner.name}, {visit.location.name}"
