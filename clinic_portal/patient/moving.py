"""Choosing a new time for a visit; the old one is kept until the new one is certain."""

from __future__ import annotations

from flask import Response, url_for

from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import BadTransition, NotFound, TooLateToMove
from clinic_portal.languages import N_, _
from clinic_portal.models import REMOTE, Account, Appointment, ContinuityWish, Location, Need
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import card_of
from clinic_portal.patient.choosing import Choosing, keep_time, show_times, with_days
from clinic_portal.patient.reading import read_public_id
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.search import Search
from clinic_portal.visit_texts import text_of


@blueprint.get("/appointments/<public_id>/move")
@signed_in
def move(public_id: str) -> Response:
    """Choose a new time."""
    account = signed_in_account()
    return show_times(with_days(choosing_to_move(account, _movable(account, public_id))))


@blueprint.post("/appointments/<public_id>/move")
@signed_in
def hold_to_move(public_id: str) -> Response:
    """Keep the chosen new time while it is checked."""
    account = signed_in_account()
    return keep_time(with_days(choosing_to_move(account, _movable(account, public_id))))


def _movable(account: Account, public_id: str) -> Appointment:
    visit = appointment_for(account, read_public_id(public_id))
    if visit.starts_at is None:
        # A request has no time that could be changed.
        raise NotFound
    card = card_of(visit)
    if not card.can_cancel:
        raise BadTransition(N_("This appointment can no longer be changed."))
    if not card.can_move:
        raise TooLateToMove
    return visit


def choosing_to_move(account: Account, visit: Appointment) -> Choosing:
    """The times page of a visit that is moved: the same kind of visit and place; needs told since count too."""
    location_id = visit.wishes.get("location_id")
    location = db.session().get(Location, location_id) if location_id else None
    needs = needs_of(db.session(), visit.patient_id)
    return Choosing(
        account=account,
        search=Search(
            visit_type_id=visit.visit_type_id,
            patient_id=visit.patient_id,
            location_id=location_id,
            needs=frozenset(Need(need) for need in visit.wishes.get("needs", [])) | frozenset(needs),
            mode=visit.mode,
            continuity=ContinuityWish(visit.wishes.get("continuity", ContinuityWish.NONE)),
            account_id=account.id,
            moving_id=visit.id,
            by=actor_for(account, visit.patient_id).kind,
        ),
        title=_("Choose a new time"),
        visit_name=text_of(db.session(), visit.visit_type_id).name,
        place_name=_place_name(visit, location),
        back_url=url_for("patient.appointment", public_id=visit.public_id),
        endpoint="patient.move",
        values={"public_id": visit.public_id},
        keeps=visit,
    )


def _place_name(visit: Appointment, location: Location | None) -> str | None:
    if visit.mode in REMOTE:
        return None
    return location.name if location else _("any of our places")
