"""Asking the clinic for an appointment without choosing a time: when somebody could come.

The questions before are those of a booking; `ask` in the address says that no time is chosen in the end.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.accounts import signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import (
    InvalidRequest,
    NotFound,
)
from clinic_portal.languages import _
from clinic_portal.models import ContinuityWish
from clinic_portal.patient import wish_form
from clinic_portal.patient.answers import Answers, read_answers, terms_for
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.choosing import CONTINUITY_WORDS
from clinic_portal.patient.questions import option
from clinic_portal.patient.reading import read_continuity
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.wishes import LONGEST_WINDOW
from clinic_portal.web import page, see_other
from clinic_portal.wording import say

LONGEST_NUMBER = 40


@blueprint.get("/ask")
@signed_in
def ask_us() -> Response:
    """Ask us for an appointment; what was answered on the way to the times comes along."""
    answers = read_answers(signed_in_account(), request.args)
    return see_other(replace(answers, asks=True, token=secrets.token_urlsafe(16)).next_url())


@blueprint.get("/ask/when")
@signed_in
def wish() -> Response:
    """When could you come?"""
    answers = asked()
    if answers.wishes is None and (question := replace(answers, asks=False).open_question()):
        return see_other(answers.url(question))
    kept = wish_form.write_wishes(answers.wishes) if answers.wishes else None
    return wish_page(answers, MultiDict(kept) if kept else wish_form.unasked())


@blueprint.post("/ask/when")
@signed_in
def keep_wish() -> Response:
    """Go on to checking, if the wishes can be meant."""
    answers = asked()
    try:
        wishes = wish_form.read_wishes(request.form)
        wishes.check(clock.local_date(clock.now(), clinic_zone(db.session())))
    except InvalidRequest as error:
        return wish_page(answers, request.form, error)
    same = read_continuity(request.form.get("same"))
    return see_other(replace(answers, wishes=wishes, continuity=same).next_url())


def asked() -> Answers:
    """The answers of somebody who asks.

    Raises: NotFound, and what `read_answers` does.
    """
    values = MultiDict(request.args)
    values["ask"] = "yes"
    return read_answers(signed_in_account(), values)


def wish_page(answers: Answers, values: MultiDict[str, str], error: InvalidRequest | None = None) -> Response:
    """The page of the wishes; with what was wrong with them."""
    today = clock.local_date(clock.now(), clinic_zone(db.session()))
    return page(
        "patient/wish.html",
        status=422 if error else 200,
        errors=[{"field": error.facts.get("field", "earliest"), "text": say(error)}] if error else [],
        same=_same(answers, values.get("same")),
        first_day=today,
        last_day=today + LONGEST_WINDOW,
        back_url=answers.back_url("patient.wish"),
        **wish_form.choices(values),
    )


def _same(answers: Answers, chosen: str | None) -> list[dict[str, Any]]:
    """Whether it should be the same person as last time; asked only of somebody who has one."""
    anybody = replace(answers, continuity=ContinuityWish.NONE)
    if answers.patient is None or answers.visit_type is None:
        return []
    try:
        terms = terms_for(anybody.search(signed_in_account()))
    except NotFound:
        return []
    if terms.same_id is None:
        return []
    wished = chosen or answers.continuity.value
    return [option(one.value, _(words), "", one.value == wished) for one, words in CONTINUITY_WORDS.items()]
