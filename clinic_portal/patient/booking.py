"""Choosing a time for a new visit, checking the answers while it is kept, and booking or moving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, request, url_for
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.accounts import actor_for, hold_for, signed_in, signed_in_account
from clinic_portal.audit import ActorKind
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotBookableOnline, PatientBusy, SafetyAnswerMissing, SlotTaken
from clinic_portal.languages import _, ngettext
from clinic_portal.models import MAX_NOTE, Account, Appointment, Hold, HoldEnd, Need, Submission
from clinic_portal.patient.answers import Answers, answers_of, read_answers
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import card_of
from clinic_portal.patient.choosing import Choosing, keep_time, show_busy, show_taken, show_times, with_days
from clinic_portal.patient.moving import choosing_to_move
from clinic_portal.patient.needs import told
from clinic_portal.patient.reading import PRIVATE, read_private, read_public_id
from clinic_portal.patient.refusals import show_not_online
from clinic_portal.scheduling.booking import move_appointment, reserve_slot
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.scheduling.privacy import is_acted_for, is_private_by_default
from clinic_portal.web import page, see_other
from clinic_portal.wording import day_and_time, say


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
    answers = read_answers(account, request.args)
    if answers.open_question():
        return see_other(answers.next_url())
    return keep_time(with_days(choosing_to_book(account, answers)))


@blueprint.get("/check/<public_id>")
@signed_in
def check(public_id: str) -> Response:
    """Check your answers before you book. A time that is no longer kept may still be free."""
    account = signed_in_account()
    kept = hold_for(account, read_public_id(public_id))
    if kept.closed_because == HoldEnd.BOOKED:
        return see_other(_done_url(kept, _made_with(account, kept)))
    return _check_page(account, kept, kept.note or "", kept.is_private)


def _check_page(
    account: Account, kept: Hold, note: str, is_private: bool | None, problem: str | None = None
) -> Response:
    seconds = max(0, int((kept.expires_at - clock.now()).total_seconds())) if kept.closed_at is None else 0
    moved = kept.appointment
    back_url = _choosing(account, kept).url(day=clock.local_date(kept.starts_at, kept.location.zone))
    return page(
        "patient/check.html",
        status=422 if problem else 200,
        errors=[{"field": "note", "text": problem}] if problem else [],
        asks_note=moved is None and not kept.visit_type.is_sensitive,
        note=note,
        max_note=MAX_NOTE,
        asks_private=_asks_private(account, kept),
        is_private=_is_private(kept) if is_private is None else is_private,
        title=_("Check the new time") if moved else _("Check your answers before you book"),
        button=_("Move appointment") if moved else _("Book appointment"),
        rows=_rows(account, kept, back_url),
        zone=kept.location.zone,
        hold_until=kept.expires_at,
        hold_seconds=seconds,
        keeps=card_of(moved) if moved else None,
        back_url=back_url,
    )


@blueprint.post("/check/<public_id>")
@signed_in
def confirm(public_id: str) -> Response:
    """Book the time that was kept, or move the visit there. The same form again leads to the same visit."""
    account = signed_in_account()
    kept = hold_for(account, read_public_id(public_id))
    note = request.form.get("note", "")
    private = _private(account, kept)
    choosing = replace(_choosing(account, kept), note=note, private=private)
    try:
        visit = _carry_out(account, kept, choosing)
    except NoteRefused as error:
        return _check_page(account, kept, note, PRIVATE[private], say(error))
    except SlotTaken:
        return show_taken(choosing, kept.starts_at)
    except PatientBusy as error:
        return show_busy(choosing, error, kept.starts_at)
    except SafetyAnswerMissing:
        # It was answered too long ago, or the list has changed since.
        return see_other(replace(answers_of(account, kept), safety=None).next_url())
    except NotBookableOnline as error:
        return show_not_online(error, _instead_of(account, kept))
    except InvalidRequest as error:
        return show_times(choosing, problem=say(error))
    return see_other(_done_url(kept, visit))


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
            is_private=PRIVATE[choosing.private],
        )
    return move_appointment(
        actor=actor,
        appointment_id=kept.appointment_id,
        search=choosing.search,
        starts_at=starts_at,
        token=kept.public_id,
        hold_id=kept.id,
    )


def _asks_private(account: Account, kept: Hold) -> bool:
    """Whether there is anybody to keep a new visit from, and the patient is asking."""
    is_own = actor_for(account, kept.patient_id).kind is ActorKind.PATIENT
    return kept.appointment_id is None and is_own and is_acted_for(db.session(), kept.patient_id)


def _is_private(kept: Hold) -> bool:
    day = clock.local_date(kept.starts_at, kept.location.zone)
    return is_private_by_default(db.session(), kept.patient_id, kept.visit_type_id, day)


def _private(account: Account, kept: Hold) -> str:
    """What was answered, where it was asked: the box that is not ticked sends nothing by itself."""
    if not _asks_private(account, kept):
        return ""
    given = request.form.getlist("private")
    return read_private(given[-1]) if given else ""


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


def choosing_to_book(account: Account, answers: Answers) -> Choosing:
    """The times page of a new visit."""
    assert answers.visit_type
    any_place = replace(answers, any_place=True, location=None)
    return Choosing(
        account=account,
        search=answers.search(account),
        title=_("Choose a day and time"),
        visit_name=answers.visit_type.name,
        place_name=answers.location.name if answers.location else _("any of our places"),
        back_url=answers.back_url("patient.times"),
        endpoint="patient.times",
        values=answers.query(),
        any_place_url=any_place.url("patient.times") if answers.location else None,
    )


def _choosing(account: Account, kept: Hold) -> Choosing:
    if kept.appointment is not None:
        return choosing_to_move(account, kept.appointment)
    return choosing_to_book(account, answers_of(account, kept))


def _rows(account: Account, kept: Hold, back: str) -> list[dict[str, Any]]:
    """The answers to check, each with the way to change it."""
    answers, is_move = answers_of(account, kept), kept.appointment_id is not None
    place = [kept.location.name, kept.location.address]
    needs = told(_with_details(kept.patient_id, answers.needs or frozenset())) or [_("None")]
    minutes = int((kept.ends_at - kept.starts_at).total_seconds()) // 60
    length = ngettext("%(num)d minute", "%(num)d minutes", minutes)
    rows = [
        _row(_("When"), [day_and_time(kept.starts_at, kept.location.zone)], back),
        _row(
            _("What for"),
            [f"{kept.visit_type.name}, {length}"],
            answers.url("patient.visit_type"),
        ),
        _row(_("Where"), place, answers.url("patient.place") if answers.has_several_places else None),
        _row(_("Your needs"), needs, answers.url("patient.help_needed", change="yes")),
    ]
    if kept.safety_answer:
        rows.insert(2, _row(_("Emergency check"), [_("None of these apply")], answers.url("patient.emergency")))
    if answers.has_several_people:
        rows.insert(0, _row(_("For"), [kept.patient.full_name], answers.url("patient.who")))
    return [row if not is_move or row["change_url"] == back else {**row, "change_url": None} for row in rows]


def _with_details(patient_id: int, needs: frozenset[Need]) -> dict[Need, str | None]:
    """The needs of an answer, with the words that the patient's record has for them."""
    known = needs_of(db.session(), patient_id)
    return {need: known.get(need) for need in Need if need in needs}


def _row(key: str, lines: list[str], change_url: str | None) -> dict[str, Any]:
    return {"key": key, "lines": lines, "change_url": change_url, "change_what": None}
