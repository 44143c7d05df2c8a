"""A request that waits, at an address that lasts: how it stands, changing and withdrawing it.

The page looks by itself while it is open, for some minutes; without scripts its reader presses a link.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Response, make_response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import actor_for, appointment_for, open_requests_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotFound
from clinic_portal.languages import N_, _
from clinic_portal.models import Account, Appointment, Location, Mode, Need, Status
from clinic_portal.patient.answers import Answers, has_several_places, modes_for, terms_for
from clinic_portal.patient.asking_rows import Row, wish_rows
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import card_of, names_of
from clinic_portal.patient.mode_words import MODE_WORDS
from clinic_portal.patient.reading import read_public_id, read_reason, read_token, reason_options
from clinic_portal.scheduling.handling import resume_request
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.requests import withdraw_request
from clinic_portal.scheduling.safety import from_kept
from clinic_portal.scheduling.times import first_free_day, free_days
from clinic_portal.scheduling.waiting import Next, RequestCard, request_card
from clinic_portal.scheduling.wishes import wishes_of
from clinic_portal.settings import load_settings, shown_window
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import htmx
from clinic_portal.wording import day_and_time, say, when_told

LOOKS_EVERY_S = 5
LOOKS_FOR = timedelta(minutes=10)
OTHER_TIMES = 3
# What is said of each state; `answer_by` is when the clinic answers at the latest.
NEXT_WORDS = {
    Next.LOOK_AT_IT: N_("Somebody at the clinic reads your request first. We answer by %(answer_by)s."),
    Next.PLACE_BY_HAND: N_("Somebody at the clinic looks for a time for you. We answer by %(answer_by)s."),
    Next.ASK_PATIENT: N_(
        "We offered you times and did not hear from you. We offer you no more until you tell us to go on."
    ),
    Next.ANSWER_OFFER: N_("A time is free for you. Take it, or let it pass."),
    Next.BEING_PLACED: N_("We are looking for a time now. We answer by %(answer_by)s, mostly much sooner."),
    Next.TRIED_AGAIN: N_("It takes longer than usual. We keep trying, and answer by %(answer_by)s."),
    Next.WAITS_FOR_TIME: N_(
        "Nothing that suits you is free at the moment. You are on the waiting list: as soon as a time is freed, we "
        "tell you. You need not do anything."
    ),
    Next.DEFERRED: N_(
        "We have put your request off for some days, and go on by ourselves. Call us if that is too late."
    ),
}


@dataclass(frozen=True)
class WaitingCard:
    """A request on a page, in the reader's words."""

    public_id: str
    visit_name: str
    for_whom: str | None
    what_next: str
    offered: str | None
    offer_id: str | None
    kept_until: str | None
    is_paused: bool


def waiting_cards(account: Account) -> list[WaitingCard]:
    """Everything that the people of an account have asked for and that still waits, the oldest first."""
    names = names_of(account)
    return [waiting_card(visit, names[visit.patient_id]) for visit in open_requests_for(account)]


def waiting_card(visit: Appointment, for_whom: str | None) -> WaitingCard:
    """One request as its patient reads it."""
    found = request_card(db.session(), visit)
    offer, window_min = found.offer, shown_window(load_settings(db.session()), visit.mode, visit.visit_type_id)
    return WaitingCard(
        public_id=found.public_id,
        visit_name=found.visit_name,
        for_whom=for_whom,
        what_next=_(NEXT_WORDS[found.next], answer_by=_answer_by(found)),
        offered=when_told(offer.starts_at, offer.location.zone, window_min) if offer else None,
        offer_id=offer.public_id if offer else None,
        kept_until=day_and_time(offer.expires_at, offer.location.zone) if offer else None,
        is_paused=found.next is Next.ASK_PATIENT,
    )


def _answer_by(found: RequestCard) -> str:
    return day_and_time(found.answer_by or found.asked_at, clinic_zone(db.session()))


@blueprint.get("/requests/<public_id>")
@signed_in
def request_page(public_id: str) -> Response:
    """Your request, and how it stands now."""
    visit = _asked_for(public_id)
    if visit.starts_at is not None and not htmx:
        return see_other(url_for("patient.appointment", public_id=public_id))
    state, since = _state(visit), _since()
    if htmx and request.args.get("state") == state and clock.now() - since < LOOKS_FOR:
        return make_response("", 204)
    return _show(visit, state, since)


@blueprint.get("/requests/<public_id>/sent")
@signed_in
def request_sent(public_id: str) -> Response:
    """We have your request."""
    visit = _asked_for(public_id)
    if not visit.is_request:
        return see_other(url_for("patient.request_page", public_id=public_id))
    return _show(visit, _state(visit), clock.now(), is_sent=True)


def _asked_for(public_id: str) -> Appointment:
    return appointment_for(signed_in_account(), read_public_id(public_id))


def _state(visit: Appointment) -> str:
    """What has to change for the page to look another way."""
    found = request_card(db.session(), visit)
    return f"{visit.status}.{visit.version}.{found.next}"


def _since() -> datetime:
    """Since when the page looks by itself; a made-up instant only ends its looking."""
    text = request.args.get("since", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return clock.now()
    return datetime.fromtimestamp(int(text), UTC)


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
        answer=None if visit.is_request else visit.triage_note,
        rows=_rows(visit),
        look_url=look_url if looks else None,
        looks_every_s=LOOKS_EVERY_S,
        others=_other_times(account, visit) if visit.status == Status.WAITLIST else [],
        back_url=url_for("patient.appointments"),
    )


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


def _other_times(account: Account, visit: Appointment) -> list[dict[str, str]]:
    """The nearest free times, whatever was wished: for somebody to whom nothing fits. Source: UC1.3."""
    answers = _answers_of(account, visit, asks=False)
    try:
        terms = terms_for(answers.search(account))
        day = first_free_day(db.session(), answers.search(account))
    except DomainError:
        return []
    times = free_days(db.session(), terms, day, 1)[day] if day else []
    if day is None:
        return []
    url = answers.url("patient.times", day=day.isoformat())
    told = dict.fromkeys(when_told(one.starts_at, terms.told_zone, terms.window_min) for one in times)
    return [{"words": words, "url": url} for words in list(told)[:OTHER_TIMES]]


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
    return see_other(_answers_of(signed_in_account(), visit, asks=True).url("patient.check_request"))


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
