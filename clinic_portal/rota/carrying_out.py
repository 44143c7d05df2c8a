"""One way for every change of hours: carry it out, ask about the visits outside of it, or say what is wrong."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, flash, request, url_for

from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, VersionConflict, VisitsOutside
from clinic_portal.languages import N_, _
from clinic_portal.models import Practitioner
from clinic_portal.rota.reach import actor
from clinic_portal.rota.reading import Values, read_instant, write_instant
from clinic_portal.scheduling.hours import Answers, change_hours
from clinic_portal.scheduling.hours_changes import HoursChange
from clinic_portal.scheduling.hours_requests import ask_for_change, must_ask
from clinic_portal.scheduling.stranded import Answer, Stranded, What
from clinic_portal.visit_texts import text_of
from clinic_portal.web import page, see_other
from clinic_portal.web.errors import status_of
from clinic_portal.wording import day_and_time, say

Form = Callable[[list[dict[str, str]], int], Response]
# What is done with all visits at once; else each has its own answer.
EACH = "each"
FOR_ALL = {
    EACH: N_("What is marked below for each"),
    What.KEEP.value: N_("Keep them all: they are seen although these are no hours"),
    What.WAITING_LIST.value: N_("Put them all on the waiting list"),
}
# Not part of the change itself.
OWN = frozenset({"csrf_token", "all"})
ANSWER = "visit-"


def change(practitioner: Practitioner, make: Callable[[], HoursChange], form: Form, done: str) -> Response:
    """Change somebody's hours as their form says; or ask for it, where that needs somebody's agreement.

    Args: make, reads the change from the form. form, as for `carry_out`; done, what is said afterwards.
    """
    url = url_for("rota.week", public_id=practitioner.public_id)
    asks = must_ask(db.session(), actor())

    def act(answers: Answers) -> None:
        given = {"actor": actor(), "practitioner_id": practitioner.id, "change": make(), "token": sent_token()}
        if asks:
            ask_for_change(**given)  # type: ignore[arg-type]
        else:
            change_hours(**given, expected_version=version(), answers=answers)  # type: ignore[arg-type]

    said = _("Your change is written down. It counts as soon as somebody at the clinic agrees.") if asks else done
    return carry_out(act, form, said, url, url)


def carry_out(act: Callable[[Answers], Any], form: Form, done: str, done_url: str, back_url: str) -> Response:
    """Carry a change out with the answers that the form has so far.

    Args: act, the service with all but the answers. form, shows the form again with problems and a status. done, what
    is said afterwards, at `done_url`; back_url, where one goes instead of answering.
    """
    try:
        act(_answers(request.form))
    except VisitsOutside as error:
        return _ask(error, back_url)
    except VersionConflict as error:
        changed = _("Somebody has changed these hours meanwhile. Go back and look at them as they are now.")
        return form([{"field": "", "text": changed}], status_of(error))
    except InvalidRequest as error:
        return form([{"field": error.facts.get("field", ""), "text": say(error)}], 422)
    except DomainError as error:
        if error.code in ("not_found", "not_allowed"):
            raise
        return form([{"field": "", "text": say(error)}], status_of(error))
    flash(done, "success")
    return see_other(done_url)


def token() -> str:
    """The token of a form that is shown: its own once it was sent, so that all its answers are one submission."""
    return request.form.get("token") or secrets.token_urlsafe(16)


def sent_token() -> str:
    """The token of the form that was sent; empty when somebody made the form up, and then refused."""
    return request.form.get("token", "")


def version() -> int | None:
    """Which state of the hours the form was made from."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _answers(values: Values) -> dict[int, Answer]:
    """The answers so far, by visit; one for all goes to each that was asked about."""
    answers = {}
    for_all = values.get("all", EACH)
    for name, text in values.items():
        number = name.removeprefix(ANSWER)
        if name == number or not (number.isascii() and number.isdecimal() and len(number) < 18):
            continue
        answer = _answer(for_all if for_all != EACH and for_all in FOR_ALL else text)
        if answer is not None:
            answers[int(number)] = answer
    return answers


def _answer(text: str) -> Answer | None:
    code, _colon, at = text.partition(":")
    if code not in {what.value for what in What}:
        return None
    what = What(code)
    if what is not What.OTHER_TIME:
        return Answer(what)
    try:
        return Answer(what, read_instant(at))
    except InvalidRequest:
        return None


def _ask(error: VisitsOutside, back_url: str) -> Response:
    """What should become of each visit? What was typed before travels along."""
    visits, given = error.facts["visits"], _answers(request.form)
    asked_before = {name for name in request.form if name.startswith(ANSWER)}
    problem = _("Some of these cannot be done any more, or are new. Look at what is marked now.")
    return page(
        "rota/outside.html",
        status=409,
        errors=[{"field": "all", "text": problem}] if asked_before else [],
        visits=[_shown(one, given.get(one.visit_id), error.facts["unanswered"]) for one in visits],
        for_all=[
            {"value": code, "label": _(words), "hint": "", "is_checked": code == EACH}
            for code, words in FOR_ALL.items()
        ],
        kept=list(_kept(request.form)),
        back_url=back_url,
    )


def _kept(values: Values) -> Iterator[tuple[str, str]]:
    for name, found in values.lists():
        if name not in OWN and not name.startswith(ANSWER):
            yield from ((name, value) for value in found)


def _shown(one: Stranded, given: Answer | None, unanswered: frozenset[int]) -> dict[str, Any]:
    chosen = given if given is not None and one.visit_id not in unanswered else one.proposal
    return {
        "name": f"{ANSWER}{one.visit_id}",
        "when": day_and_time(one.starts_at, one.zone),
        "what": f"{text_of(db.session(), one.visit_type_id).name}, {one.place_name}",
        "patient": one.patient_name,
        "options": [
            {"value": code, "label": label, "hint": "", "is_checked": _code(chosen) == code}
            for code, label in _options(one)
        ],
    }


def _options(one: Stranded) -> Iterator[tuple[str, str]]:
    if one.same_time_with is not None:
        yield What.SAME_TIME.value, _("Same time, with %(name)s", name=one.same_time_with)
    if one.other_at is not None:
        other = _("Move to %(time)s", time=day_and_time(one.other_at, one.zone))
        yield _code(Answer(What.OTHER_TIME, one.other_at)), other
    yield What.WAITING_LIST.value, _("Cancel it, and put the patient on the waiting list")
    yield What.KEEP.value, _("Keep it: the patient is seen although these are no hours")


def _code(answer: Answer) -> str:
    if answer.starts_at is None:
        return answer.what.value
    return f"{answer.what.value}:{write_instant(answer.starts_at)}"
