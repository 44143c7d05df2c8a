"""From one answer to the next question, or back to the check page where the answer was changed."""

from __future__ import annotations

from flask import Response, flash, session, url_for

from clinic_portal import clock
from clinic_portal.accounts import actor_for, hold_for, signed_in_account
from clinic_portal.errors import DomainError, NotFound
from clinic_portal.languages import _
from clinic_portal.models import Account, Hold
from clinic_portal.patient.answers import Answers
from clinic_portal.scheduling.checkout import change_answers
from clinic_portal.web import see_other

CHECKING = "checking"


def go_on(answers: Answers) -> Response:
    """Go to the first open question; without one to the times, or with a kept time back to checking it.

    Call it only for a form: it keeps the time for the changed answers.
    """
    kept = kept_time(signed_in_account(), answers)
    if kept is None or answers.patient is None or answers.open_question():
        return see_other(answers.next_url())
    account = signed_in_account()
    actor = actor_for(account, answers.patient.id)
    try:
        changed = change_answers(actor=actor, hold_id=kept.id, search=answers.search(account))
    except DomainError:
        # Taken, too soon, another length, another place: whatever it is, the times page shows what can be had.
        flash(_("The time that you chose does not go with this answer. Choose another time."), "info")
        return see_other(answers.next_url())
    return see_other(url_for("patient.check", public_id=changed.public_id))


def kept_time(account: Account, answers: Answers) -> Hold | None:
    """The kept time whose answers are being changed, if it is this account's and was not booked meanwhile."""
    if answers.kept_id is None:
        return None
    try:
        kept = hold_for(account, answers.kept_id)
    except NotFound:
        return None
    return kept if kept.closed_at is None and kept.appointment_id is None else None


def written_for(account: Account, answers: Answers) -> tuple[str, str | None, bool | None]:
    """Note, number and whether it is private, as said of a kept time, as far as they go with these answers."""
    kept = kept_time(account, answers)
    if kept is None or answers.patient is None or answers.visit_type is None:
        return "", None, None
    is_same_type = kept.visit_type_id == answers.visit_type.id
    is_same_person = kept.patient_id == answers.patient.id
    is_same = is_same_type and is_same_person
    number = kept.call_number if is_same_person else None
    return (kept.note or "") if is_same else "", number, kept.is_private if is_same else None


def leave_check(kept: Hold) -> None:
    """Remember which check page somebody comes back to from their own details."""
    session[CHECKING] = kept.public_id


def check_left() -> str | None:
    """The address of the check page that somebody left for their own details, while the time is kept."""
    public_id = session.get(CHECKING)
    if public_id is None:
        return None
    try:
        kept = hold_for(signed_in_account(), public_id)
    except NotFound:
        return None
    return url_for("patient.check", public_id=public_id) if kept.is_live(clock.now()) else None


def back_at_check() -> None:
    """Somebody is back."""
    session.pop(CHECKING, None)
