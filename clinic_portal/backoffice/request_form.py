"""The short form in which the desk writes down what a patient asks for, or when the visit of an invitation suits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from clinic_portal.audit import ActorKind
from clinic_portal.backoffice import options, request_words, words
from clinic_portal.backoffice.request_acts import read_day
from clinic_portal.database import db
from clinic_portal.errors import AlreadyAsked, DomainError, InvalidRequest, ModeNotOffered, NumberMissing
from clinic_portal.models import ALL_PARTS, MODE_BIT, ContinuityWish, Mode, Origin, Patient, VisitType
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import DAYS_A_WEEK, DayPart, Wishes, parts_mask

Form = MultiDict[str, str]

WARNINGS_MIN = (0, 2 * 60, 24 * 60, 3 * 24 * 60)
HOW = {Origin.PHONE: "By phone", Origin.DESK: "At the desk"}
ONE_LINE = ("visit_type", "mode", "call_number", "location", "from_on", "until_on", "continuity", "warning", "how",
            "note", "ask_first")  # fmt: skip
SEVERAL = ("days", "parts")
# Where a refusal is shown that names no field of this form.
FIELD_OF: tuple[tuple[type[DomainError], str], ...] = (
    (NoteRefused, "note"),
    (NumberMissing, "call_number"),
    (ModeNotOffered, "mode"),
    (AlreadyAsked, "visit_type"),
)
# As the services call the fields of wishes.
SERVICE_FIELDS = {"until": "until_on", "from": "from_on", "parts": "parts", "warning": "warning"}


def typed_in(form: Form) -> dict[str, Any]:
    """What was typed, to be shown again."""
    return {name: form.get(name, "") for name in ONE_LINE} | {name: form.getlist(name) for name in SEVERAL}


def read_search(form: Form, patient: Patient, visit_type_id: int | None = None) -> Search:
    """What is asked for, for whom, where and how; with what the patient needs as the record says it.

    Args: visit_type_id, where it is known before.
    Raises: InvalidRequest naming the field.
    """
    mode = form.get("mode", "")
    if mode not in {one.value for one in MODE_BIT}:
        raise InvalidRequest("Choose how the patient is seen.", at="mode")
    return Search(
        visit_type_id or _visit_type(form.get("visit_type", "")),
        patient.id,
        _place(form.get("location", "")),
        frozenset(needs_of(db.session(), patient.id)),
        mode=Mode(mode),
        by=ActorKind.STAFF,
    )


def read_wishes(form: Form) -> Wishes:
    """When it suits; nothing ticked means that anything does.

    Raises: InvalidRequest naming the field.
    """
    continuity, warning = form.get("continuity", ""), form.get("warning", "")
    if continuity not in set(ContinuityWish):
        raise InvalidRequest("Choose whom the patient wants to see.", at="continuity")
    if warning not in {str(each) for each in WARNINGS_MIN}:
        raise InvalidRequest("Choose how early the patient must know.", at="warning")
    return Wishes(
        _day(form, "from_on"),
        _day(form, "until_on"),
        _parts(form),
        ContinuityWish(continuity),
        int(warning),
        is_ask_first=form.get("ask_first") == "yes",
    )


def read_how(form: Form) -> Origin:
    """How the patient asked.

    Raises: InvalidRequest.
    """
    how = form.get("how", "")
    if how not in {one.value for one in HOW}:
        raise InvalidRequest("Choose how they asked.", at="how")
    return Origin(how)


def problem_of(error: DomainError) -> dict[str, str]:
    """What is wrong, and at which field."""
    named = error.facts.get("at") or SERVICE_FIELDS.get(error.facts.get("field", ""))
    field = named or next((field for kind, field in FIELD_OF if isinstance(error, kind)), "visit_type")
    return {"field": field, "text": str(error)}


def choices() -> dict[str, Any]:
    """Everything that the form lets one choose from."""
    return {
        "visit_types": visit_types(),
        "modes": [(mode.value, words.MODE[mode]) for mode in MODE_BIT],
        "locations": options.reachable_places(),
        "day_names": [(str(number), name) for number, name in enumerate(request_words.DAYS)],
        "part_names": [(str(part.value), text.capitalize()) for part, text in request_words.PART.items()],
        "continuities": [(one.value, text) for one, text in request_words.CONTINUITY.items()],
        "warnings": [(str(each), request_words.warning(each) if each else "No time") for each in WARNINGS_MIN],
        "hows": [(one.value, text) for one, text in HOW.items()],
    }


def visit_types() -> list[tuple[str, str]]:
    """The visit types in use, by their public ids."""
    query = select(VisitType.public_id, VisitType.name).where(VisitType.is_active).order_by(VisitType.sort_order)
    return [(row.public_id, row.name) for row in db.session.execute(query)]


def _visit_type(public_id: str) -> int:
    known = select(VisitType.id).where(VisitType.public_id == (public_id if public_id.isprintable() else ""))
    found = db.session.scalar(known)
    if found is None:
        raise InvalidRequest("Choose a visit type.", at="visit_type")
    return found


def _place(chosen: str) -> int | None:
    if not chosen:
        return None
    if chosen not in dict(options.reachable_places()):
        raise InvalidRequest("Choose a place, or any.", at="location")
    return int(chosen)


def _day(form: Form, field: str) -> date | None:
    typed = form.get(field, "").strip()
    return read_day(typed, field) if typed else None


def _parts(form: Form) -> int:
    days = _ticked(form.getlist("days"), range(DAYS_A_WEEK), "days")
    parts = _ticked(form.getlist("parts"), [part.value for part in DayPart], "parts")
    if not days and not parts:
        return ALL_PARTS
    return parts_mask((day, DayPart(part)) for day in days or range(DAYS_A_WEEK) for part in parts or list(DayPart))


def _ticked(values: list[str], known: Iterable[int], field: str) -> list[int]:
    numbers = {str(number): number for number in known}
    if any(value not in numbers for value in values):
        raise InvalidRequest("Choose from the list.", at=field)
    return [numbers[value] for value in values]
