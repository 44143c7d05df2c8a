"""A time that is kept for a patient: take it or let it pass, signed in or by the link in the message about it.

Opening the page changes nothing, because mail programs open links by themselves. By the link it names nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, current_app, request, url_for

from clinic_portal import links
from clinic_portal.accounts import actor_for, appointment_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, LinkExpired, OfferGone, PatientBusy
from clinic_portal.languages import N_
from clinic_portal.links import OfferLink
from clinic_portal.models import REMOTE, Appointment, Location
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import Place, place_of
from clinic_portal.patient.mail_links import refuse_link
from clinic_portal.patient.reading import read_public_id
from clinic_portal.scheduling.offered import Offered, Standing, answer_by_link, find_offered, find_offered_by_link
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.settings import load_settings, shown_window
from clinic_portal.visit_texts import text_of
from clinic_portal.web import page, see_other, without_referrer
from clinic_portal.wording import day_and_time, when_told

LINK = "/o/<token>"


@dataclass(frozen=True)
class OfferCard:
    """An offered time, as much of it as its page may tell."""

    when: str
    kept_until: str
    # None where it is told to nobody, or where nobody has to go anywhere.
    place: Place | None
    mode: str
    visit_name: str | None
    # The time that the patient has, unless it is the offered one by now; None for a request.
    keeps: str | None


@blueprint.get("/offers/<public_id>")
@signed_in
def offer(public_id: str) -> Response:
    """This time is kept for you."""
    return _show(_own(public_id), url_for("patient.offer", public_id=public_id), is_by_link=False)


@blueprint.post("/offers/<public_id>")
@signed_in
def answer_offer(public_id: str) -> Response:
    """Take it, or let it pass."""
    offered = _own(public_id)
    url = url_for("patient.offer", public_id=public_id)
    actor = actor_for(signed_in_account(), offered.visit.patient_id)
    answer, had_time = accept_offer if _takes() else decline_offer, offered.visit.starts_at is not None
    try:
        visit = answer(actor=actor, offer_id=offered.offer.id)
    except OfferGone:
        return _show(_own(public_id), url, is_by_link=False, refused=True)
    except PatientBusy:
        return _show(_own(public_id), url, is_by_link=False, is_busy=True)
    return see_other(_after(visit, "patient.moved" if had_time else "patient.booked", is_taken=answer is accept_offer))


def _own(public_id: str) -> Offered:
    """An offer to somebody for whom the account may act. Raises: NotFound."""
    offered = find_offered(db.session(), read_public_id(public_id))
    appointment_for(signed_in_account(), offered.visit.public_id)
    return offered


def _after(visit: Appointment, done: str = "patient.appointment", *, is_taken: bool = False) -> str:
    """Where the answer can be seen."""
    if visit.is_request:
        return url_for("patient.request_page", public_id=visit.public_id)
    return url_for(done if is_taken else "patient.appointment", public_id=visit.public_id)


@blueprint.get(LINK)
@without_referrer
def offer_link(token: str) -> Response:
    """This time is kept for you; by the link in the message."""
    offered, _actor = find_offered_by_link(db.session(), _link(token))
    return _show(offered, url_for("patient.offer_link", token=token), is_by_link=True)


@blueprint.post(LINK)
@without_referrer
def answer_offer_link(token: str) -> Response:
    """Take it, or let it pass, without signing in."""
    link, url = _link(token), url_for("patient.offer_link", token=token)
    problem = {}
    try:
        answer_by_link(db.session(), link, takes=_takes())
    except (LinkExpired, OfferGone):
        problem = {"refused": True}
    except PatientBusy:
        problem = {"is_busy": True}
    if not problem:
        return see_other(url)
    offered, _actor = find_offered_by_link(db.session(), link)
    return _show(offered, url, is_by_link=True, **problem)


def _link(token: str) -> OfferLink:
    return links.read_offer(current_app.config["PORTAL"].secret_key, token) or refuse_link()


def _takes() -> bool:
    """Which button was pressed. Raises: InvalidRequest."""
    answer = request.form.get("answer")
    if answer not in ("take", "leave"):
        raise InvalidRequest(N_("Press one of the two buttons: take the time, or let it pass."))
    return answer == "take"


def _show(
    offered: Offered, post_url: str, *, is_by_link: bool, refused: bool = False, is_busy: bool = False
) -> Response:
    """The offer as it stands now; what stands no more says what happens next."""
    is_gone, visit = offered.standing in (Standing.GONE, Standing.NOT_YOURS), offered.visit
    return page(
        "patient/offer.html",
        status=410 if is_gone else 409 if is_busy or refused else 200,
        standing=offered.standing.value,
        is_busy=is_busy,
        offer=None if offered.standing is Standing.NOT_YOURS else _card(offered, is_by_link=is_by_link),
        is_request=visit.is_request,
        wants_earlier=visit.wants_earlier,
        post_url=post_url,
        go_on_url=_after(visit) if visit.is_request or visit.starts_at else url_for("patient.appointments"),
    )


def _card(offered: Offered, *, is_by_link: bool) -> OfferCard:
    visit, hold = offered.visit, offered.offer.hold
    window_min = shown_window(load_settings(db.session()), visit.mode, visit.visit_type_id)
    is_told = not (is_by_link and visit.visit_type.is_sensitive)
    location: Location = hold.location
    return OfferCard(
        when=when_told(offered.offer.starts_at, location.zone, window_min),
        kept_until=day_and_time(offered.offer.expires_at, location.zone),
        place=place_of(location) if is_told and visit.mode not in REMOTE else None,
        mode=visit.mode.value,
        visit_name=text_of(db.session(), visit.visit_type_id).name if is_told and not is_by_link else None,
        keeps=_keeps(offered) if offered.standing is not Standing.TAKEN else None,
    )


def _keeps(offered: Offered) -> str | None:
    visit = offered.visit
    if visit.starts_at is None or visit.location is None:
        return None
    return when_told(visit.starts_at, visit.location.zone, visit.shown_window_min)
