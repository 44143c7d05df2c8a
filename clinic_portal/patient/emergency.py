"""Check this is not an emergency: asked where the visit type may be acute; whoever says yes is told to call."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request

from clinic_portal import clock
from clinic_portal.accounts import signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.languages import N_, _
from clinic_portal.patient.answers import Answers, read_answers, safety_text
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.going_on import go_on
from clinic_portal.scheduling.safety import SafetyAnswer, lines_of, version_of
from clinic_portal.web import page, see_other

APPLY, NONE = "apply", "none"
WORDS = {APPLY: N_("One or more of these apply"), NONE: N_("None of these apply")}


@blueprint.route("/book/emergency", methods=["GET", "POST"])
@signed_in
def emergency() -> Response:
    """Check this is not an emergency. Nothing is chosen beforehand, also not what was answered before."""
    answers = read_answers(signed_in_account(), request.args)
    if answers.patient is None or answers.visit_type is None or not answers.visit_type.may_be_acute:
        return see_other(answers.next_url())
    text = safety_text(db.session(), answers.visit_type)
    if request.method != "POST":
        return _ask(answers, text)
    chosen = request.form.get("emergency")
    if chosen == APPLY:
        return see_other(replace(answers, safety=None).url("patient.call_now"))
    if chosen != NONE:
        return _ask(answers, text, _("Choose whether any of these apply"))
    if request.form.get("version") != version_of(text):
        return _ask(answers, text, _("This list has changed. Read it again and choose whether any of these apply"))
    return go_on(replace(answers, safety=SafetyAnswer(version_of(text), clock.now())))


@blueprint.get("/book/call-now")
@signed_in
def call_now() -> Response:
    """Call the emergency number now; there is nothing to book here."""
    answers = read_answers(signed_in_account(), request.args)
    return page("patient/call_now.html", back_url=answers.url("patient.emergency"))


def _ask(answers: Answers, text: str, problem: str | None = None) -> Response:
    return page(
        "patient/emergency.html",
        status=422 if problem else 200,
        # Each line is in the language of the whole.
        signs=[type(text)(line) for line in lines_of(text)],
        version=version_of(text),
        options=[
            {"value": value, "label": _(words), "hint": "", "is_checked": False} for value, words in WORDS.items()
        ],
        errors=[{"field": "emergency", "text": problem}] if problem else [],
        back_url=answers.back_url("patient.emergency"),
    )
