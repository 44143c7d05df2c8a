"""Check your answers: while the time is kept, each can be changed without losing it; then book, or move."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request, url_for
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.accounts import actor_for, hold_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import (
    InvalidRequest,
    NotBookableOnline,
    NotFound,
    NumberMissing,
    PatientBusy,
    SafetyAnswerMissing,
    SlotTaken,
)
from clinic_portal.languages import _
from clinic_portal.models import MAX_NOTE, Account, Appointment, Hold, HoldEnd, Mode, Submission
from clinic_portal.patient.answers import answers_of
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.booking import choosing_to_book
from clinic_portal.patient.cards import card_of, names_of
from clinic_portal.patient.check_rows import number_of, rows_of
from clinic_portal.patient.choosing import Choosing, show_busy, show_taken, show_times
from clinic_portal.patient.going_on import back_at_check, leave_check
from clinic_portal.patient.moving import choosing_to_move
from clinic_portal.patient.private import asks_private, is_private, private_answer
from clinic_portal.patient.questions import change_url
from clinic_portal.patient.reading import read_public_id
from clinic_portal.patient.refusals import show_not_online
from clinic_portal.scheduling.booking import move_appointment, reserve_slot
from clinic_portal.scheduling.checkout import keep_written
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.web import page, see_other
from clinic_portal.wording import say


@blueprint.get("/check/<public_id>")
@signed_in
def check(public_id: str) -> Response:
    """Check your answers before you book. A time that is no longer kept may still be free."""
    account = signed_in_account()
    kept = hold_for(account, read_public_id(public_id))
    back_at_check()
    if kept.closed_because == HoldEnd.BOOKED:
        return see_other(_done_url(kept, _made_with(account, kept)))
    if _lacks_number(kept):
        return see_other(url_for("patient.call_number", public_id=public_id))
    return _check_page(account, kept, kept.note or "", kept.is_private)


def _lacks_number(kept: Hold) -> bool:
    is_open = kept.closed_at is None and kept.appointment_id is None
    return is_open and kept.mode is Mode.PHONE and number_of(kept) is None


def _check_page(account: Account, kept: Hold, note: str, private: bool | None, problem: str | None = None) -> Response:
    seconds = max(0, int((kept.expires_at - clock.now()).total_seconds())) if kept.closed_at is None else 0
    moved = kept.appointment
    return page(
        "patient/check.html",
        status=422 if problem else 200,
        errors=[{"field": "note", "text": problem}] if problem else [],
        asks_note=_asks_note(kept),
        note=note,
        max_note=MAX_NOTE,
        asks_private=kept.appointment_id is None and asks_private(account, kept.patient_id),
        is_private=is_private(kept) if private is None else private,
        title=_("Check the new time") if moved else _("Check your answers before you book"),
        button=_("Move appointment") if moved else _("Book appointment"),
        rows=rows_of(account, kept),
        number=number_of(kept) if kept.mode is Mode.PHONE and not moved else None,
        zone=kept.location.zone,
        hold_until=kept.expires_at,
        hold_seconds=seconds,
        keeps=card_of(moved) if moved else None,
        back_url=_times_url(account, kept),
    )


def _asks_note(kept: Hold) -> bool:
    return kept.appointment is None and not kept.visit_type.is_sensitive


@blueprint.post("/check/<public_id>")
@signed_in
def confirm(public_id: str) -> Response:
    """Book the time that was kept, or move the visit there. The same form again leads to the same visit."""
    account = signed_in_account()
    kept = hold_for(account, read_public_id(public_id))
    note, private = request.form.get("note", ""), private_answer(account, kept.patient_id)
    if what := request.form.get("change"):
        return _change(account, kept, what, note, private)
    number = request.form.get("number") or number_of(kept)
    choosing = replace(_choosing(account, kept), note=note, call_number=number, is_private=private)
    try:
        visit = _carry_out(account, kept, choosing)
    except NoteRefused as error:
        return _check_page(account, kept, note, private, say(error))
    except NumberMissing:
        return see_other(url_for("patient.call_number", public_id=public_id))
    except SlotTaken:
        return show_taken(choosing, kept.starts_at)
    except PatientBusy as error:
        return show_busy(choosing, error, kept.starts_at)
    except SafetyAnswerMissing:
        # It was answered too long ago, or the list has changed since.
        return see_other(replace(answers_of(account, kept), safety=None, kept_id=kept.public_id).next_url())
    except NotBookableOnline as error:
        return show_not_online(error, _instead_of(account, kept))
    except InvalidRequest as error:
        return show_times(choosing, problem=say(error))
    return see_other(_done_url(kept, visit))


def _change(account: Account, kept: Hold, what: str, note: str, private: bool | None) -> Response:
    """Go and change one answer. What was written and said stays with the kept time meanwhile."""
    if kept.appointment_id is None:
        actor, written = actor_for(account, kept.patient_id), note if _asks_note(kept) else None
        try:
            keep_written(actor=actor, hold_id=kept.id, note=written, is_private=private)
        except NoteRefused as error:
            return _check_page(account, kept, note, private, say(error))
    if what == "time":
        return see_other(_times_url(account, kept))
    if kept.appointment_id is not None:
        raise NotFound
    if what == "number":
        return see_other(url_for("patient.call_number", public_id=kept.public_id))
    if what == "contact":
        leave_check(kept)
        return see_other(_profile_url(account, kept))
    return see_other(change_url(replace(answers_of(account, kept), kept_id=kept.public_id), what))


def _profile_url(account: Account, kept: Hold) -> str:
    if names_of(account)[kept.patient_id] is None:
        return url_for("patient.profile")
    return url_for("patient.person", person_id=kept.patient.public_id)


def _carry_out(account: Account, kept: Hold, choosing: Choosing) -> Appointment:
    actor, starts_at = actor_for(account, kept.patient_id), kept.starts_at
    # The form is about this hold and nothing else, so the hold's own random id is its token.
    if kept.appointment_id is None:
        return reserve_slot(
            actor=actor,
            search=choosing.search,
            starts_at=starts_at,
            token=kept.public_id,
            hold_id=kept.id,
            note=choosing.note,
            call_number=choosing.call_number,
            is_private=choosing.is_private,
        )
    return move_appointment(
        actor=actor,
        appointment_id=kept.appointment_id,
        search=choosing.search,
        starts_at=starts_at,
        token=kept.public_id,
        hold_id=kept.id,
    )


def _instead_of(account: Account, kept: Hold) -> str:
    """Where to choose something else, or, for a visit that is moved, that visit."""
    if kept.appointment is not None:
        return url_for("patient.appointment", public_id=kept.appointment.public_id)
    return replace(answers_of(account, kept), visit_type=None).url("patient.visit_type")


def _made_with(account: Account, kept: Hold) -> Appointment:
    """The visit that was booked or moved with this hold."""
    return (
        db.session()
        .scalars(
            select(Appointment)
            .join(Submission, Submission.result_id == Appointment.id)
            .where(Submission.account_id == account.id, Submission.token == kept.public_id)
        )
        .one()
    )


def _done_url(kept: Hold, visit: Appointment) -> str:
    return url_for("patient.moved" if kept.appointment_id else "patient.booked", public_id=visit.public_id)


def _choosing(account: Account, kept: Hold) -> Choosing:
    if kept.appointment is not None:
        return choosing_to_move(account, kept.appointment)
    return choosing_to_book(account, replace(answers_of(account, kept), kept_id=kept.public_id))


def _times_url(account: Account, kept: Hold) -> str:
    """The page of the kept day, to choose another time; what was written comes along."""
    return _choosing(account, kept).url(day=clock.local_date(kept.starts_at, kept.location.zone))
