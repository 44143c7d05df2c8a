"""Checking what is asked of the clinic, and sending it: a request, the change of one, or the answer to an invitation.

The token of the form travels in the address: whoever goes back, and sends it again, has sent it once.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TypedDict

from flask import Response, flash, request, url_for
from werkzeug.datastructures import MultiDict

from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.accounts.drafts import Written, keep_draft, read_draft
from clinic_portal.database import db
from clinic_portal.errors import (
    AlreadyAsked,
    DomainError,
    InvalidRequest,
    NotBookableOnline,
    NotFound,
    NumberMissing,
    SafetyAnswerMissing,
    SubmissionConflict,
)
from clinic_portal.languages import _
from clinic_portal.models import MAX_NOTE, Account, Appointment, Mode
from clinic_portal.patient import wish_form
from clinic_portal.patient.answers import Answers, invitation_for
from clinic_portal.patient.asking import asked, wish_page
from clinic_portal.patient.asking_rows import rows_of
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.private import asks_private, private_answer
from clinic_portal.patient.questions import change_url
from clinic_portal.patient.reach import phones_of
from clinic_portal.patient.reading import read_token
from clinic_portal.patient.refusals import show_not_online
from clinic_portal.scheduling import submissions
from clinic_portal.scheduling.invitations import let_queue_book
from clinic_portal.scheduling.notes import NoteRefused, clean_note
from clinic_portal.scheduling.privacy import privacy_of_request
from clinic_portal.scheduling.requests import change_request, request_appointment
from clinic_portal.web import page, see_other
from clinic_portal.wording import say

LONGEST_NUMBER = 40
Problem = dict[str, str]


class _Said(TypedDict):
    note: str
    call_number: str | None
    is_private: bool | None
    token: str


@blueprint.get("/ask/check")
@signed_in
def check_request() -> Response:
    """Check your request before you send it."""
    answers = asked()
    if question := answers.open_question():
        return see_other(answers.url(question))
    if answers.token is None:
        return see_other(replace(answers, token=secrets.token_urlsafe(16)).url("patient.check_request"))
    if (sent := _sent_before(answers.token)) is not None:
        return _already_sent(sent)
    return _check_page(answers, _said_before(answers))


def _sent_before(token: str) -> Appointment | None:
    """What the very same form has made already."""
    visit_id = submissions.result_of(db.session(), signed_in_account().id, token)
    return None if visit_id is None else db.session().get(Appointment, visit_id)


def _already_sent(visit: Appointment) -> Response:
    flash(_("You have sent this already. This is how it stands; you can change it here."), "info")
    return see_other(url_for("patient.request_page", public_id=visit.public_id))


def _said_before(answers: Answers) -> Written:
    """What is written so far: before another answer was changed, or on the request that is changed."""
    account, visit = signed_in_account(), _request_of(answers)
    if draft := read_draft(db.session(), account.id, answers.token or ""):
        return draft
    known = phones_of(answers.patient) if answers.patient else []
    number = (visit.call_number if visit else None) or (known[0].value if known else "")
    return Written((visit.note if visit else None) or "", number, visit.is_private if visit else None)


def _request_of(answers: Answers) -> Appointment | None:
    """The request that is changed. Raises: NotFound."""
    if answers.request_id is None:
        return None
    visit = appointment_for(signed_in_account(), answers.request_id)
    if not visit.is_request:
        raise NotFound
    return visit


def _check_page(answers: Answers, written: Written, *, status: int = 422, problem: Problem | None = None) -> Response:
    visit, visit_type, patient = _request_of(answers), answers.visit_type, answers.patient
    assert visit_type is not None
    assert patient is not None
    return page(
        "patient/check_request.html",
        status=status if problem else 200,
        errors=[problem] if problem else [],
        title=_("Check the changes") if visit else _("Check your request before you send it"),
        button=_("Save the changes") if visit else _("Send the request"),
        rows=rows_of(answers),
        asks_note=not visit_type.is_sensitive,
        asks_number=answers.mode is Mode.PHONE,
        asks_private=asks_private(signed_in_account(), patient.id),
        is_private=_is_private(answers) if written.is_private is None else written.is_private,
        note=written.note,
        max_note=MAX_NOTE,
        number=written.number,
        version=visit.version if visit else None,
        back_url=url_for("patient.request_page", public_id=visit.public_id) if visit else answers.url("patient.wish"),
    )


def _is_private(answers: Answers) -> bool:
    """Whether the box is ticked before somebody has answered."""
    assert answers.patient is not None
    assert answers.visit_type is not None
    actor = actor_for(signed_in_account(), answers.patient.id)
    return privacy_of_request(db.session(), actor, answers.patient.id, answers.visit_type.id)


@blueprint.post("/ask/check")
@signed_in
def send_request() -> Response:
    """Send it, or go and change an answer. The same form again leads to the same request."""
    account, answers = signed_in_account(), asked()
    if question := answers.open_question():
        return see_other(answers.url(question))
    token, written = read_token(answers.token), _written(account, answers)
    if what := request.form.get("change"):
        return _change(account, answers, written, what)
    if (answers.request_id or answers.invitation_id) and (sent := _sent_before(token)) is not None:
        # What it was about may be over since.
        return _already_sent(sent)
    try:
        visit = _carry_out(account, answers, written, token)
    except DomainError as error:
        return _refused(account, answers, written, error)
    return see_other(url_for("patient.request_sent", public_id=visit.public_id))


def _refused(account: Account, answers: Answers, written: Written, error: DomainError) -> Response:
    """What to do about it; anything that nothing on these pages can mend is told as everywhere."""
    match error:
        case AlreadyAsked():
            return _check_page(answers, written, status=409, problem=_asked_already(account, error))
        case SubmissionConflict() if (sent := _sent_before(answers.token or "")) is not None:
            # Sent before, and written anew since: what stands is the first.
            return _already_sent(sent)
        case SafetyAnswerMissing():
            return see_other(replace(answers, safety=None).next_url())
        case NotBookableOnline():
            return show_not_online(error, replace(answers, visit_type=None, wishes=None).url("patient.visit_type"))
        case NoteRefused():
            return _check_page(answers, written, problem={"field": "note", "text": say(error)})
        case InvalidRequest() if error.facts.get("field", "number") == "number":
            field = "number" if isinstance(error, NumberMissing) else error.facts.get("field", "")
            return _check_page(answers, written, problem={"field": field, "text": say(error)})
        case InvalidRequest():
            assert answers.wishes is not None
            return wish_page(answers, MultiDict(wish_form.write_wishes(answers.wishes)), error)
    raise error


def _written(account: Account, answers: Answers) -> Written:
    assert answers.patient is not None
    number = request.form.get("number", "")[:LONGEST_NUMBER]
    return Written(request.form.get("note", ""), number, private_answer(account, answers.patient.id))


def _change(account: Account, answers: Answers, written: Written, what: str) -> Response:
    """Go and change one answer; what is written stays with the form meanwhile."""
    try:
        clean_note(written.note)
    except NoteRefused as error:
        return _check_page(answers, written, problem={"field": "note", "text": say(error)})
    url = change_url(answers, what)
    keep_draft(account_id=account.id, token=answers.token or "", written=written)
    return see_other(url)


def _asked_already(account: Account, error: AlreadyAsked) -> Problem:
    """What is wrong, with the way to the other request for who may see it."""
    problem, public_id = {"field": "", "text": say(error)}, error.facts["request"]
    try:
        appointment_for(account, public_id)
    except NotFound:
        return problem
    return {**problem, "url": url_for("patient.request_page", public_id=public_id)}


def _carry_out(account: Account, answers: Answers, written: Written, token: str) -> Appointment:
    assert answers.patient is not None
    assert answers.wishes is not None
    actor = actor_for(account, answers.patient.id)
    search, wishes = answers.search(account), replace(answers.wishes, continuity=answers.continuity)
    said = _Said(
        note=written.note,
        call_number=written.number if answers.mode is Mode.PHONE else None,
        is_private=written.is_private,
        token=token,
    )
    if visit := _request_of(answers):
        return change_request(actor=actor, appointment_id=visit.id, search=search, wishes=wishes,
                              expected_version=_version(), **said)  # fmt: skip
    if answers.invitation_id:
        invitation = invitation_for(answers.patient.id, answers.invitation_id)
        return let_queue_book(actor=actor, invitation_id=invitation.id, search=search, wishes=wishes, **said)
    return request_appointment(actor=actor, search=search, wishes=wishes, **said)


def _version() -> int | None:
    """Which state of the request the form was made from: of two tabs the second is told."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
