"""Choosing a time for a new visit."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request

from clinic_portal.accounts import signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import REMOTE, Account, ContinuityWish
from clinic_portal.patient.answers import Answers, read_answers
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.choosing import Choosing, keep_time, show_times, with_days
from clinic_portal.patient.going_on import written_for
from clinic_portal.visit_texts import text_of
from clinic_portal.web import see_other


@blueprint.get("/book/times")
@signed_in
def times() -> Response:
    """Choose a day and time."""
    account = signed_in_account()
    answers = read_answers(account, request.args)
    if answers.open_question():
        return see_other(answers.next_url())
    return show_times(with_days(choosing_to_book(account, answers)))


@blueprint.post("/book/times")
@signed_in
def hold() -> Response:
    """Keep the chosen time while the answers are checked."""
    account = signed_in_account()
    # With a time the service asks the limits, under its locks.
    answers = read_answers(account, request.args, asks_limits=not request.form.get("start"))
    if answers.open_question():
        return see_other(answers.next_url())
    return keep_time(with_days(choosing_to_book(account, answers)))


def choosing_to_book(account: Account, answers: Answers) -> Choosing:
    """The times page of a new visit."""
    assert answers.visit_type
    any_place = replace(answers, any_place=True, location=None)
    anybody = replace(answers, continuity=ContinuityWish.NONE)
    note, call_number, is_private = written_for(account, answers)
    return Choosing(
        account=account,
        search=answers.search(account),
        title=_("Choose a day and time"),
        visit_name=text_of(db.session(), answers.visit_type.id).name,
        place_name=_place_name(answers),
        back_url=answers.back_url("patient.times"),
        endpoint="patient.times",
        values=answers.query(),
        any_place_url=any_place.url("patient.times") if answers.location else None,
        anybody_url=anybody.url("patient.times") if answers.continuity is ContinuityWish.SAME_ONLY else None,
        note=note,
        call_number=call_number,
        is_private=is_private,
    )


def _place_name(answers: Answers) -> str | None:
    """Where the times are, as far as it matters."""
    if answers.mode in REMOTE:
        return None
    return answers.location.name if answers.location else _("any of our places")
