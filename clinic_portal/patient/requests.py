"""A request that waits, at an address that lasts: how it stands, changing and withdrawing it.

The page looks by itself while it is open, for some minutes; without scripts its reader presses a link.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Response, make_response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotFound
from clinic_portal.languages import _
from clinic_portal.models import Account, Appointment, CancelledBy, Location, Mode, Need, Status
from clinic_portal.patient.answers import Answers, has_several_places, modes_for, terms_for
from clinic_portal.patient.asking_rows import Row, wish_rows
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import card_of, names_of
from clinic_portal.patient.mode_words import MODE_WORDS
from clinic_portal.patient.reading import read_public_id, read_reason, read_token, reason_options
from clinic_portal.patient.waiting import LOOKS_EVERY_S, LOOKS_FOR, looking_since, state_of, waiting_card
from clinic_portal.scheduling.handling import resume_request
from clinic_portal.scheduling.nearest import nearest_times
from clinic_portal.scheduling.requests import withdraw_request
from clinic_portal.scheduling.safety import from_kept
from clinic_portal.scheduling.wishes import wishes_of
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import htmx
from clinic_portal.wording import say, when_told


@blueprint.get("/requests/<public_id>")
@signed_in
def request_page(public_id: str) -> Response:
    """Your request, and how it stands now."""
    visit = _asked_for(public_id)
    if visit.starts_at is not None and not htmx:
        return see_other(url_for("patient.appointment", public_id=public_id))
    state, since = state_of(visit), looking_since()
    if htmx and request.args.get("state") == state and clock.now() - since < LOOKS_FOR:
        return make_response("", 204)
    return _show(visit, state, since)


@blueprint.get("/requests/<public_id>/sent")
@signed_in
def request_sent(public_id: str) -> Response:
    """We have your request."""
    visit = _asked_for(public_id)
    if not visit.is_request:
        # One step, not two: it may have its time a second after it was sent.
        where = "patient.request_page" if visit.starts_at is None else "patient.appointment"
        return see_other(url_for(where, public_id=public_id))
    return _show(visit, state_of(visit), clock.now(), is_sent=True)


def _asked_for(public_id: str) -> Appointment:
    return appointment_for(signed_in_account(), read_public_id(public_id))


def _show(visit: Appointment, state: str, since: datetime, *, is_sent: bool = False) -> Response:
    account = signed_in_account()
    looks = visit.is_request and clock.now() - since < LOOKS_FOR
    look_url = url_for("patient.request_page", public_id=visit.public_id, state=state, since=int(since.timestamp()))
    return page(
        "patient/request.html",
        "patient/_request.html",
        public_id=visit.public_id,
        reference=visit.reference,
        is_sent=is_sent,
        is_waiting=visit.is_request,
        found_when=card_of(visit).when if visit.starts_at is not None else None,
        card=waiting_card(visit, names_of(account)[visit.patient_id]),
        answer=_ending(visit),
        rows=_rows(visit),
        look_url=look_url if looks else None,
        looks_every_s=LOOKS_EVERY_S,
        others=_other_times(account, visit) if visit.status == Status.WAITLIST else None,
        back_url=url_for("patient.appointments"),
    )


def _ending(visit: Appointment) -> str | None:
    """Why a request waits no more, if it has ended without an appointment."""
    if visit.is_request or visit.starts_at is not None:
        return None
    if visit.triage_note:
        return visit.triage_note
    if visit.cancelled_by is CancelledBy.CLINIC:
        return _("The clinic has ended this request. If you still need an appointment, ask again or call us.")
    return _("This request was taken back. Nobody looks for a time any more.")


def _rows(visit: Appointment) -> list[Row]:
    """What was asked for."""
    place = _place(visit)
    where = [] if visit.mode is not Mode.IN_PERSON else [place.name if place else _("Any of our places")]
    return [
        *(
            [{"key": _("Where"), "lines": where}]
            if where
            else [{"key": _("How"), "lines": [_(MODE_WORDS[visit.mode])]}]
        ),
        *wish_rows(wishes_of(visit), visit.continuity_wish),
        *([{"key": _("Your note"), "lines": [visit.note]}] if visit.note else []),
    ]


def _place(visit: Appointment) -> Location | None:
    location_id = visit.wishes.get("location_id")
    return db.session().get(Location, location_id) if location_id else None


def _other_times(account: Account, visit: Appointment) -> dict[str, Any] | None:
    """The nearest free times, whatever was wished: for somebody to whom nothing fits. Source: UC1.3."""
    answers = _answers_of(account, visit, asks=False)
    try:
        terms = terms_for(answers.search(account))
    except DomainError:
        return None
    told: dict[str, datetime] = {}
    for one in nearest_times(db.session(), terms, wishes_of(visit)):
        told.setdefault(when_told(one.starts_at, terms.told_zone, terms.window_min), one.starts_at)
    times = [{"words": words, "starts_at": starts_at} for words, starts_at in told.items()]
    return {"times": times, "url": answers.url("patient.times")} if times else None


def _answers_of(account: Account, visit: Appointment, *, asks: bool) -> Answers:
    """The answers that led to a request."""
    place, is_in_person = _place(visit), visit.mode is Mode.IN_PERSON
    session = db.session()
    return Answers(
        patient=visit.patient,
        visit_type=visit.visit_type,
        safety=from_kept(visit.safety_answer),
        any_place=place is None,
        location=place,
        needs=frozenset(Need(need) for need in visit.wishes.get("needs", [])),
        mode=visit.mode,
        continuity=visit.continuity_wish,
        asks=asks,
        wishes=wishes_of(visit) if asks else None,
        request_id=visit.public_id if asks else None,
        has_several_people=len(names_of(account)) > 1,
        has_several_modes=len(modes_for(session, visit.visit_type)) > 1,
        has_several_places=is_in_person and has_several_places(session, visit.visit_type),
    )


@blueprint.get("/requests/<public_id>/change")
@signed_in
def change(public_id: str) -> Response:
    """Change what was asked for; the place in the line stays."""
    visit = _waiting(public_id)
    answers = replace(_answers_of(signed_in_account(), visit, asks=True), token=secrets.token_urlsafe(16))
    return see_other(answers.url("patient.check_request"))


@blueprint.get("/requests/<public_id>/withdraw")
@signed_in
def withdraw(public_id: str) -> Response:
    """Do you want to take your request back?"""
    return _withdraw_page(_waiting(public_id))


@blueprint.post("/requests/<public_id>/withdraw")
@signed_in
def confirm_withdraw(public_id: str) -> Response:
    """Take it back. The same form again leads to the same page."""
    visit, token = _asked_for(public_id), read_token(request.form.get("token"))
    try:
        reason = read_reason(request.form.get("reason"))
    except InvalidRequest as error:
        return _withdraw_page(visit, say(error))
    actor = actor_for(signed_in_account(), visit.patient_id)
    withdraw_request(actor=actor, appointment_id=visit.id, token=token, reason=reason)
    return see_other(url_for("patient.request_page", public_id=public_id))


@blueprint.post("/requests/<public_id>/resume")
@signed_in
def resume(public_id: str) -> Response:
    """Go on: offer me times again."""
    visit = _waiting(public_id)
    resume_request(actor=actor_for(signed_in_account(), visit.patient_id), appointment_id=visit.id)
    return see_other(url_for("patient.request_page", public_id=public_id))


def _waiting(public_id: str) -> Appointment:
    """A request that still waits. Raises: NotFound."""
    visit = _asked_for(public_id)
    if not visit.is_request:
        raise NotFound
    return visit


def _withdraw_page(visit: Appointment, problem: str | None = None) -> Response:
    return page(
        "patient/withdraw.html",
        status=422 if problem else 200,
        card=waiting_card(visit, names_of(signed_in_account())[visit.patient_id]),
        options=reason_options(),
        token=secrets.token_urlsafe(16),
        errors=[{"field": "reason", "text": problem}] if problem else [],
        back_url=url_for("patient.request_page", public_id=visit.public_id),
    )
