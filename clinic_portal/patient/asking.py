"""Asking the clinic for an appointment without choosing a time: the wishes, checking them, and sending.

The questions before are those of a booking; `ask` in the address says that no time is chosen in the end.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.errors import (
    AlreadyAsked,
    InvalidRequest,
    NotBookableOnline,
    NotFound,
    NumberMissing,
    SafetyAnswerMissing,
)
from clinic_portal.languages import N_, _
from clinic_portal.models import MAX_NOTE, Account, Appointment, ContinuityWish, Mode, VisitInvitation
from clinic_portal.patient import wish_form
from clinic_portal.patient.answers import Answers, read_answers, terms_for
from clinic_portal.patient.asking_rows import rows_of
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.choosing import CONTINUITY_WORDS
from clinic_portal.patient.questions import option
from clinic_portal.patient.reach import phones_of
from clinic_portal.patient.reading import read_continuity, read_token
from clinic_portal.patient.refusals import show_not_online
from clinic_portal.scheduling.invitations import let_queue_book, open_invitations
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.requests import change_request, request_appointment
from clinic_portal.scheduling.wishes import LONGEST_WINDOW, Wishes
from clinic_portal.web import page, see_other
from clinic_portal.wording import say

LONGEST_NUMBER = 40


@blueprint.get("/ask")
@signed_in
def ask_us() -> Response:
    """Ask us for an appointment; what was answered on the way to the times comes along."""
    answers = read_answers(signed_in_account(), request.args)
    return see_other(replace(answers, asks=True).next_url())


@blueprint.get("/ask/when")
@signed_in
def wish() -> Response:
    """When could you come?"""
    answers = _asked()
    if answers.wishes is None and (question := replace(answers, asks=False).open_question()):
        return see_other(answers.url(question))
    kept = wish_form.write_wishes(answers.wishes) if answers.wishes else None
    return _wish_page(answers, MultiDict(kept) if kept else wish_form.unasked())


@blueprint.post("/ask/when")
@signed_in
def keep_wish() -> Response:
    """Go on to checking, if the wishes can be meant."""
    answers = _asked()
    try:
        wishes = wish_form.read_wishes(request.form)
        wishes.check(clock.local_date(clock.now(), clinic_zone(db.session())))
    except InvalidRequest as error:
        return _wish_page(answers, request.form, error)
    same = read_continuity(request.form.get("same"))
    return see_other(replace(answers, wishes=wishes, continuity=same).next_url())


def _asked() -> Answers:
    """The answers of somebody who asks; the window of an invitation is known.

    Raises: NotFound, and what `read_answers` does.
    """
    values = MultiDict(request.args)
    values["ask"] = "yes"
    return read_answers(signed_in_account(), values)


def _wish_page(answers: Answers, values: MultiDict[str, str], error: InvalidRequest | None = None) -> Response:
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


@blueprint.get("/ask/check")
@signed_in
def check_request() -> Response:
    """Check your request before you send it."""
    answers = _asked()
    if question := answers.open_question():
        return see_other(answers.url(question))
    return _check_page(answers, *_said_before(answers))


def _said_before(answers: Answers) -> tuple[str, str]:
    """Note and number as the request has them, or the first number that the clinic knows."""
    visit = _request_of(answers)
    known = phones_of(answers.patient) if answers.patient else []
    number = (visit.call_number if visit else None) or (known[0].value if known else "")
    return (visit.note if visit else None) or "", number


def _request_of(answers: Answers) -> Appointment | None:
    """The request that is changed. Raises: NotFound."""
    if answers.request_id is None:
        return None
    visit = appointment_for(signed_in_account(), answers.request_id)
    if not visit.is_request:
        raise NotFound
    return visit


def _check_page(answers: Answers, note: str, number: str, *, status: int = 422, **problem: str) -> Response:
    visit, visit_type = _request_of(answers), answers.visit_type
    assert visit_type is not None
    is_new = visit is None and answers.invitation_id is None
    return page(
        "patient/check_request.html",
        status=status if problem else 200,
        errors=[problem] if problem else [],
        title=_("Check the changes") if visit else _("Check your request before you send it"),
        button=_("Save the changes") if visit else _("Send the request"),
        rows=rows_of(answers),
        asks_note=is_new and not visit_type.is_sensitive,
        asks_number=answers.mode is Mode.PHONE,
        note=note,
        max_note=MAX_NOTE,
        number=number,
        version=visit.version if visit else None,
        token=request.form.get("token") or secrets.token_urlsafe(16),
        back_url=url_for("patient.request_page", public_id=visit.public_id) if visit else answers.url("patient.wish"),
    )


@blueprint.post("/ask/check")
@signed_in
def send_request() -> Response:
    """Send it. The same form again leads to the same request."""
    account, answers = signed_in_account(), _asked()
    if question := answers.open_question():
        return see_other(answers.url(question))
    note, number = request.form.get("note", ""), request.form.get("number", "")[:LONGEST_NUMBER]
    token = read_token(request.form.get("token"))
    try:
        visit = _carry_out(account, answers, note, number, token)
    except NoteRefused as error:
        return _check_page(answers, note, number, field="note", text=say(error))
    except NumberMissing as error:
        return _check_page(answers, note, number, field="number", text=say(error))
    except AlreadyAsked as error:
        return _check_page(answers, note, number, status=409, field="", text=say(error))
    except SafetyAnswerMissing:
        return see_other(replace(answers, safety=None).next_url())
    except NotBookableOnline as error:
        return show_not_online(error, replace(answers, visit_type=None, wishes=None).url("patient.visit_type"))
    except InvalidRequest as error:
        if error.facts.get("field") in ("number", None):
            return _check_page(answers, note, number, field=error.facts.get("field", ""), text=say(error))
        assert answers.wishes is not None
        return _wish_page(answers, MultiDict(wish_form.write_wishes(answers.wishes)), error)
    return see_other(url_for("patient.request_sent", public_id=visit.public_id))


def _carry_out(account: Account, answers: Answers, note: str, number: str, token: str) -> Appointment:
    assert answers.patient is not None
    assert answers.wishes is not None
    actor = actor_for(account, answers.patient.id)
    wishes = replace(answers.wishes, continuity=answers.continuity)
    call_number = number if answers.mode is Mode.PHONE else None
    if visit := _request_of(answers):
        return change_request(actor=actor, appointment_id=visit.id, search=answers.search(account), wishes=wishes,
                              token=token, call_number=call_number, expected_version=_version())  # fmt: skip
    if answers.invitation_id:
        return _use_invitation(account, actor, answers, wishes, token, call_number)
    return request_appointment(actor=actor, search=answers.search(account), wishes=wishes, token=token,
                               note=note, call_number=call_number)  # fmt: skip


def _version() -> int | None:
    """Which state of the request the form was made from: of two tabs the second is told."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _use_invitation(
    account: Account, actor: Actor, answers: Answers, wishes: Wishes, token: str, call_number: str | None
) -> Appointment:
    assert answers.patient is not None
    invitation = invitation_for(answers.patient.id, answers.invitation_id or "")
    return let_queue_book(actor=actor, invitation_id=invitation.id, search=answers.search(account), wishes=wishes,
                          token=token, call_number=call_number)  # fmt: skip


def invitation_for(patient_id: int, public_id: str) -> VisitInvitation:
    """One of the open invitations of a patient. Raises: NotFound."""
    found = {one.public_id: one for one in open_invitations(db.session(), [patient_id])}
    if public_id not in found:
        raise NotFound(N_("This invitation cannot be used any more."))
    return found[public_id]
