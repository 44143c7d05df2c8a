"""Your appointments: the list, one of them, its calendar file, and cancelling it."""

from __future__ import annotations

import secrets

from flask import Response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import (
    actor_for,
    appointment_for,
    appointments_for,
    patients_for,
    signed_in,
    signed_in_account,
)
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import _
from clinic_portal.models import Appointment, Status
from clinic_portal.notifications.messages import calendar_file
from clinic_portal.notifications.reminders import days_of_reminders
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import Card, card_of, names_of
from clinic_portal.patient.invited import invited_cards
from clinic_portal.patient.reading import read_public_id, read_reason, read_token, reason_options
from clinic_portal.patient.waiting import waiting_now
from clinic_portal.scheduling.booking import cancel_appointment
from clinic_portal.scheduling.running import late_by
from clinic_portal.scheduling.waiting import offer_for
from clinic_portal.settings import load_settings
from clinic_portal.web import page, see_other
from clinic_portal.wording import days_listed, say

PAST_SHOWN = 20
AHEAD = (Status.BOOKED, Status.ARRIVED)


@blueprint.get("/appointments")
@signed_in
def appointments() -> Response:
    """Your appointments: the next one, later ones, and the latest of the past."""
    account = signed_in_account()
    if not patients_for(account):
        raise NotAllowed
    now, names, settings = clock.now(), names_of(account), load_settings(db.session())
    visits = [visit for visit in appointments_for(account) if visit.status != Status.ENTERED_IN_ERROR]
    ahead = [visit for visit in visits if visit.status in AHEAD and visit.ends_at and visit.ends_at > now]
    past = [visit for visit in reversed(visits) if visit not in ahead][:PAST_SHOWN]
    cards = [card_of(visit, names[visit.patient_id], settings) for visit in ahead]
    return page(
        "patient/appointments.html",
        invited=invited_cards(account),
        waiting=waiting_now(account),
        next_one=cards[0] if cards else None,
        later=cards[1:],
        past=[card_of(visit, names[visit.patient_id], settings) for visit in past],
    )


@blueprint.get("/appointments/<public_id>")
@signed_in
def appointment(public_id: str) -> Response:
    """One appointment, at an address that lasts."""
    visit = _visit(public_id)
    card = _card(visit)
    return page(
        "patient/appointment.html",
        appointment=card,
        reminded=_reminded(visit) if card.can_cancel else None,
        wants_earlier=visit.wants_earlier,
        offer_id=_offer_id(visit),
        late_min=late_by(db.session(), visit),
        calendar_url=_calendar_url(card),
        back_url=url_for("patient.appointments"),
    )


@blueprint.get("/appointments/<public_id>/booked")
@signed_in
def booked(public_id: str) -> Response:
    """Appointment booked."""
    return _confirmation(public_id, _("Appointment booked"))


@blueprint.get("/appointments/<public_id>/moved")
@signed_in
def moved(public_id: str) -> Response:
    """Appointment moved."""
    return _confirmation(public_id, _("Appointment moved"))


@blueprint.get("/appointments/<public_id>/calendar.ics")
@signed_in
def calendar(public_id: str) -> Response:
    """The file that calendars read."""
    visit = _visit(public_id)
    headers = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(calendar_file(db.session(), visit), mimetype="text/calendar", headers=headers)


@blueprint.get("/appointments/<public_id>/cancel")
@signed_in
def cancel(public_id: str) -> Response:
    """Are you sure you want to cancel?"""
    card = _card(_visit(public_id))
    return _cancel_page(card) if card.can_cancel else see_other(_url("appointment", card))


@blueprint.post("/appointments/<public_id>/cancel")
@signed_in
def confirm_cancel(public_id: str) -> Response:
    """Cancel it. The same form again leads to the same page."""
    visit = _visit(public_id)
    token = read_token(request.form.get("token"))
    try:
        reason = read_reason(request.form.get("reason"))
    except InvalidRequest as error:
        return _cancel_page(_card(visit), problem=say(error))
    actor = actor_for(signed_in_account(), visit.patient_id)
    cancel_appointment(actor=actor, appointment_id=visit.id, token=token, reason=reason)
    return see_other(url_for("patient.cancelled", public_id=public_id))


@blueprint.get("/appointments/<public_id>/cancelled")
@signed_in
def cancelled(public_id: str) -> Response:
    """Appointment cancelled."""
    visit = _visit(public_id)
    card = _card(visit)
    if visit.status != Status.CANCELLED:
        return see_other(_url("appointment", card))
    again_url = url_for("patient.visit_type", patient=visit.patient.public_id)
    return page("patient/cancelled.html", appointment=card, told=_told(visit), again_url=again_url)


def _offer_id(visit: Appointment) -> str | None:
    """The earlier time that is kept for the visit now, if there is one."""
    offer = offer_for(db.session(), visit, clock.now()) if visit.wants_earlier else None
    return offer.public_id if offer else None


def _visit(public_id: str) -> Appointment:
    visit = appointment_for(signed_in_account(), read_public_id(public_id))
    if visit.starts_at is None:
        # A request: it has no time to show, move or cancel yet.
        raise NotFound
    return visit


def _card(visit: Appointment) -> Card:
    return card_of(visit, names_of(signed_in_account())[visit.patient_id])


def _url(page_name: str, card: Card) -> str:
    return url_for(f"patient.{page_name}", public_id=card.public_id)


def _calendar_url(card: Card) -> str:
    return _url("calendar", card)


def _confirmation(public_id: str, title: str) -> Response:
    """What stands now; once the visit is cancelled or over, its own page says so instead."""
    visit = _visit(public_id)
    card = _card(visit)
    if not card.can_cancel:
        return see_other(_url("appointment", card))
    has_others = len(patients_for(signed_in_account())) > 1
    return page(
        "patient/booked.html",
        title=title,
        appointment=card,
        told=[sentence for sentence in (_told(visit), _reminded(visit)) if sentence],
        calendar_url=_calendar_url(card),
        others_url=url_for("patient.who") if has_others else None,
    )


def _told(visit: Appointment) -> str:
    """How the news reaches them; only what will really happen."""
    if any(point.is_usable and point.kind == "email" for point in visit.patient.contact_points):
        return _("We are sending you an e-mail about this.")
    return _("We have no e-mail address for you, so please note this down.")


def _reminded(visit: Appointment) -> str | None:
    """When reminders come, as they are planned."""
    days = days_of_reminders(db.session(), visit)
    return _("We will remind you on %(days)s.", days=days_listed(days)) if days else None


def _cancel_page(card: Card, problem: str | None = None) -> Response:
    return page(
        "patient/cancel.html",
        status=422 if problem else 200,
        appointment=card,
        options=reason_options(),
        token=secrets.token_urlsafe(16),
        errors=[{"field": "reason", "text": problem}] if problem else [],
        back_url=_url("appointment", card),
    )
