"""How would you like your appointment? And for a call: which number to call."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from clinic_portal.accounts import actor_for, hold_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import _
from clinic_portal.models import Hold, Mode
from clinic_portal.patient.answers import modes_for, read_answers, with_mode
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.check_rows import number_of
from clinic_portal.patient.going_on import go_on
from clinic_portal.patient.mode_words import HINTS, MODE_WORDS
from clinic_portal.patient.questions import ask, option
from clinic_portal.patient.reach import phones_of
from clinic_portal.patient.reading import read_mode, read_public_id
from clinic_portal.scheduling.checkout import keep_number
from clinic_portal.web import page, see_other
from clinic_portal.wording import say

OTHER = "other"


@blueprint.route("/book/how", methods=["GET", "POST"])
@signed_in
def how() -> Response:
    """How would you like your appointment? Asked only when there is more than one way."""
    answers = read_answers(signed_in_account(), request.args)
    if answers.visit_type is None:
        return see_other(answers.next_url())
    chosen = request.form.get("mode") if request.method == "POST" else None
    if chosen:
        return go_on(with_mode(answers, read_mode(chosen)))
    modes = modes_for(db.session(), answers.visit_type)
    if len(modes) <= 1:
        return see_other(answers.next_url())
    options = [option(mode.value, _(MODE_WORDS[mode]), _(HINTS[mode]), mode is answers.mode) for mode in modes]
    return ask("how", _("Choose how you would like your appointment"), "mode", options, answers)


@blueprint.get("/check/<public_id>/number")
@signed_in
def call_number(public_id: str) -> Response:
    """Which number should we call?"""
    return _number_page(_call(public_id))


@blueprint.post("/check/<public_id>/number")
@signed_in
def keep_call_number(public_id: str) -> Response:
    """Keep the number with the time, and go back to checking."""
    kept = _call(public_id)
    known = {point.public_id: point.value for point in phones_of(kept.patient)}
    chosen, typed = request.form.get("which"), request.form.get("number", "")
    if known and chosen not in known and chosen != OTHER:
        return _number_page(kept, "which", _("Choose which number we should call"))
    actor = actor_for(signed_in_account(), kept.patient_id)
    try:
        keep_number(actor=actor, hold_id=kept.id, number=known.get(chosen or "", typed))
    except InvalidRequest as error:
        return _number_page(kept, "number", say(error))
    return see_other(url_for("patient.check", public_id=public_id))


def _call(public_id: str) -> Hold:
    """A kept time for a new visit by phone.

    Raises: NotFound.
    """
    kept = hold_for(signed_in_account(), read_public_id(public_id))
    if kept.mode is not Mode.PHONE or kept.appointment_id is not None:
        raise NotFound
    return kept


def _number_page(kept: Hold, field: str = "", problem: str | None = None) -> Response:
    number, known = number_of(kept), phones_of(kept.patient)
    is_known = any(point.value == number for point in known)
    chosen = request.form.get("which") if problem else None
    options: list[dict[str, Any]] = [
        option(point.public_id, point.value, "", chosen == point.public_id or (not chosen and point.value == number))
        for point in known
    ]
    if known:
        is_other = chosen == OTHER or (not chosen and not is_known)
        options.append(option(OTHER, _("Another number"), _("Type it below."), is_other))
    return page(
        "patient/call_number.html",
        status=422 if problem else 200,
        options=options,
        number=request.form.get("number", "") if problem else "" if is_known else number or "",
        errors=[{"field": field, "text": problem}] if problem else [],
        back_url=url_for("patient.check", public_id=kept.public_id) if number else None,
    )
