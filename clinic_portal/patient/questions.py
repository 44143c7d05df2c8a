"""The questions before a time is chosen, one to a page: who, what and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Response, request

from clinic_portal.accounts import rights_of, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import NotBookableOnline, NotFound, TooManyOpenVisits, TooSoonAfterLast
from clinic_portal.languages import _
from clinic_portal.models import Location, PatientAccess, Relation, VisitType
from clinic_portal.patient.answers import (
    ANY_PLACE,
    Answers,
    offered_visit_types,
    places_for,
    read_answers,
    refusal_of,
    with_patient,
    with_place,
    with_visit_type,
)
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.going_on import go_on
from clinic_portal.visit_texts import text_of
from clinic_portal.web import page, see_other
from clinic_portal.wording import say

# What is changed on a page of its own, by the name of its row.
QUESTIONS = {
    "who": "patient.who",
    "visit_type": "patient.visit_type",
    "emergency": "patient.emergency",
    "how": "patient.how",
    "place": "patient.place",
    "help": "patient.help_needed",
    "when": "patient.wish",
}


def change_url(answers: Answers, what: str) -> str:
    """The page on which one answer is changed. Raises: NotFound."""
    if what not in QUESTIONS:
        raise NotFound
    # Needs that are known are asked about only by who wants to change them.
    more = {"change": "yes"} if what == "help" else {}
    return answers.url(QUESTIONS[what], **more)


@blueprint.route("/book/who", methods=["GET", "POST"])
@signed_in
def who() -> Response:
    """Who is the appointment for? Asked only of those who act for several people."""
    account, answers = signed_in_account(), _start()
    rights = rights_of(account)
    if len(rights) == 1:
        return see_other(answers.next_url())
    if chosen := _chosen("patient"):
        patients = [right.patient for right in rights]
        answered = with_patient(answers, patients, chosen)
        # What one person needs says nothing about another.
        needs = answers.needs if answered.patient == answers.patient else None
        return go_on(replace(answered, needs=needs))
    options = [_person(right, answers) for right in rights]
    return ask("who", _("Choose who the appointment is for"), "patient", options, answers)


@blueprint.route("/book/visit-type", methods=["GET", "POST"])
@signed_in
def visit_type() -> Response:
    """What do you need?"""
    answers = _start()
    if answers.patient is None:
        return see_other(answers.next_url())
    if chosen := _chosen("visit_type"):
        return go_on(with_visit_type(signed_in_account(), answers, chosen))
    refusals = {one: _refusal(answers, one) for one in offered_visit_types(db.session())}
    options = [_visit_type(one, answers) for one, refusal in refusals.items() if refusal is None]
    return ask("visit_type", _("Choose what you need"), "visit_type", options, answers, why_not=_told(refusals))


def _visit_type(one: VisitType, answers: Answers) -> dict[str, Any]:
    text = text_of(db.session(), one.id)
    return option(one.public_id, text.name, text.hint, one == answers.visit_type)


def _refusal(answers: Answers, visit_type: VisitType) -> NotBookableOnline | None:
    return refusal_of(signed_in_account(), replace(answers, visit_type=visit_type))


def _told(refusals: Mapping[VisitType, NotBookableOnline | None]) -> list[str]:
    """Why something is missing that the patient has had or has booked; what is not for this person is left unsaid."""
    temporary = (TooManyOpenVisits, TooSoonAfterLast)
    return list(dict.fromkeys(say(refusal) for refusal in refusals.values() if isinstance(refusal, temporary)))


@blueprint.route("/book/place", methods=["GET", "POST"])
@signed_in
def place() -> Response:
    """Where would you like to go? Asked only when there is more than one place."""
    answers = _start()
    if answers.visit_type is None:
        return see_other(answers.next_url())
    if chosen := _chosen("place"):
        return go_on(with_place(answers, chosen))
    places = places_for(db.session(), answers.visit_type)
    if len(places) <= 1:
        return see_other(answers.next_url())
    options = [option(one.public_id, one.name, _place_hint(one), one == answers.location) for one in places]
    options.append(option(ANY_PLACE, _("Any of these"), _("You see the times of all places"), answers.any_place))
    return ask("place", _("Choose where you would like to go"), "place", options, answers)


def _start() -> Answers:
    return read_answers(signed_in_account(), request.args)


def _chosen(field: str) -> str | None:
    return request.form.get(field) if request.method == "POST" else None


def ask(name: str, problem: str, field: str, options: list[dict[str, Any]], answers: Answers, **more: Any) -> Response:
    """The page of one question; with its error summary when the form came without an answer."""
    is_wrong = request.method == "POST"
    return page(
        f"patient/{name}.html",
        status=422 if is_wrong else 200,
        options=options,
        errors=[{"field": field, "text": problem}] if is_wrong else [],
        back_url=answers.back_url(request.endpoint or ""),
        **more,
    )


def option(value: str, label: str, hint: str, is_checked: bool) -> dict[str, Any]:
    return {"value": value, "label": label, "hint": hint, "is_checked": is_checked}


def _person(right: PatientAccess, answers: Answers) -> dict[str, Any]:
    patient, is_own = right.patient, right.relation == Relation.SELF
    born = _("Born %(year)s", year=patient.birth_on.year) if patient.birth_on and not is_own else ""
    label = _("Me, %(name)s", name=patient.full_name) if is_own else patient.full_name
    return option(patient.public_id, label, born, patient == answers.patient)


def _place_hint(location: Location) -> str:
    steps = _("Step-free access.") if location.is_step_free else _("There are steps at the entrance.")
    return f"{location.address}. {steps}"
