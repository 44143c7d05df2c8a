"""Tell me if an earlier time becomes free: for a visit that is booked, and stays until the earlier one is taken."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request, url_for
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.errors import BadTransition, InvalidRequest, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import Appointment
from clinic_portal.patient import wish_form
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import card_of
from clinic_portal.patient.reading import read_public_id
from clinic_portal.scheduling.earlier import ask_for_earlier, keep_time
from clinic_portal.scheduling.wishes import wishes_of
from clinic_portal.web import page, see_other
from clinic_portal.wording import say


@blueprint.get("/appointments/<public_id>/earlier")
@signed_in
def earlier(public_id: str) -> Response:
    """When could you come, if an earlier time becomes free?"""
    visit = _visit(public_id)
    kept = wish_form.write_wishes(wishes_of(visit)) if visit.wants_earlier else None
    return _page(visit, MultiDict(kept) if kept else wish_form.unasked())


@blueprint.post("/appointments/<public_id>/earlier")
@signed_in
def ask_earlier(public_id: str) -> Response:
    """Put it in line; asking again changes the wishes."""
    visit, form = _visit(public_id), MultiDict(request.form)
    # An earlier time is always offered first.
    form["first"] = wish_form.ASK_FIRST
    actor = actor_for(signed_in_account(), visit.patient_id)
    try:
        # With whom is not asked here: what was wished before stays.
        wishes = replace(wish_form.read_wishes(form), continuity=visit.continuity_wish)
        ask_for_earlier(actor=actor, appointment_id=visit.id, wishes=wishes)
    except InvalidRequest as error:
        return _page(visit, form, error)
    return see_other(url_for("patient.appointment", public_id=public_id))


@blueprint.post("/appointments/<public_id>/earlier/stop")
@signed_in
def stop_earlier(public_id: str) -> Response:
    """Keep the time, and be offered no other."""
    visit = appointment_for(signed_in_account(), read_public_id(public_id))
    keep_time(actor=actor_for(signed_in_account(), visit.patient_id), appointment_id=visit.id)
    return see_other(url_for("patient.appointment", public_id=public_id))


def _visit(public_id: str) -> Appointment:
    visit = appointment_for(signed_in_account(), read_public_id(public_id))
    if visit.starts_at is None:
        raise NotFound
    if not card_of(visit).can_move:
        raise BadTransition(N_("Only an appointment that is still to come can be earlier."))
    return visit


def _page(visit: Appointment, values: MultiDict[str, str], error: InvalidRequest | None = None) -> Response:
    assert visit.location is not None
    assert visit.starts_at is not None
    zone = visit.location.zone
    return page(
        "patient/earlier.html",
        status=422 if error else 200,
        errors=[{"field": error.facts.get("field", "earliest"), "text": say(error)}] if error else [],
        appointment=card_of(visit),
        is_asked=visit.wants_earlier,
        first_day=clock.local_date(clock.now(), zone),
        last_day=clock.local_date(visit.starts_at, zone),
        back_url=url_for("patient.appointment", public_id=visit.public_id),
        **wish_form.choices(values),
    )
