"""What the links in mails lead to, open to whoever reads the mail: say that one will come, cancel, stop reminders.

Opening a link changes nothing, because mail programs open links by themselves. Pages name nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from flask import Response, current_app, request, url_for

from clinic_portal import clock, links
from clinic_portal.accounts import throttle
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, LinkExpired, NotAllowed, NotFound
from clinic_portal.links import StopLink, VisitLink
from clinic_portal.models import REMOTE, Confirmation
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import Place, place_of
from clinic_portal.patient.reading import read_reason, reason_options
from clinic_portal.profile.reminding import stop_reminders
from clinic_portal.scheduling.linked import Linked, LinkState, cancel_by_link, confirm_by_link, find_linked
from clinic_portal.settings import load_settings
from clinic_portal.web import page, see_other, takes_one_click, without_referrer
from clinic_portal.wording import say, when_told

VISIT, STOP = "/a/<token>", "/reminders/stop/<token>"


@dataclass(frozen=True)
class LinkedCard:
    """As much of a visit as a page may tell whoever has the link."""

    public_id: str
    # Day and time as the patient reads them.
    when: str
    # None where the place would tell what it is about, or nobody has to go anywhere.
    place: Place | None
    mode: str
    can_move: bool
    is_late: bool
    is_confirmed: bool


@blueprint.get(VISIT)
@without_referrer
def link(token: str) -> Response:
    """Your appointment, and what you can do about it."""
    linked = find_linked(db.session(), _visit_link(token))
    return _open_page(linked, token) if linked.state is LinkState.OPEN else _dead_page(linked)


@blueprint.post(f"{VISIT}/confirm")
@without_referrer
def link_confirm(token: str) -> Response:
    """I will come."""
    try:
        confirm_by_link(link=_visit_link(token))
    except LinkExpired:
        return see_other(url_for("patient.link", token=token))
    return see_other(url_for("patient.link_done", token=token))


@blueprint.route(f"{VISIT}/cancel", methods=["GET", "POST"])
@without_referrer
def link_cancel(token: str) -> Response:
    """Are you sure you want to cancel?"""
    asked = _visit_link(token)
    linked = find_linked(db.session(), asked)
    # Not "GET": mail programs also look with HEAD.
    if request.method != "POST":
        return _cancel_page(linked, token) if linked.state is LinkState.OPEN else _dead_page(linked)
    try:
        cancel_by_link(link=asked, reason=read_reason(request.form.get("reason")))
    except InvalidRequest as error:
        return _cancel_page(linked, token, problem=say(error))
    except LinkExpired:
        return see_other(url_for("patient.link", token=token))
    return see_other(url_for("patient.link_done", token=token))


@blueprint.get(f"{VISIT}/done")
@without_referrer
def link_done(token: str) -> Response:
    """What you have said is noted."""
    linked = find_linked(db.session(), _visit_link(token))
    is_confirmed = linked.state is LinkState.OPEN and linked.visit.confirmation is Confirmation.CONFIRMED
    if not is_confirmed and linked.state is not LinkState.CANCELLED:
        return see_other(url_for("patient.link", token=token))
    return page("patient/link_done.html", appointment=_card(linked), is_confirmed=is_confirmed, token=token)


@blueprint.route(STOP, methods=["GET", "POST"], endpoint="stop_reminders")
@takes_one_click
@without_referrer
def stop(token: str) -> Response:
    """No more reminders by e-mail. Mail programs may press the button for their reader (RFC 8058)."""
    asked = _stop_link(token)
    if request.method != "POST":
        return page("patient/stop_reminders.html", state="asks")
    try:
        stop_reminders(link=asked)
    except (LinkExpired, NotAllowed, NotFound):
        return page("patient/stop_reminders.html", status=410, state="old")
    return page("patient/stop_reminders.html", state="done")


def _visit_link(token: str) -> VisitLink:
    return links.read_visit(current_app.config["PORTAL"].secret_key, token) or refuse_link()


def _stop_link(token: str) -> StopLink:
    return links.read_stop(current_app.config["PORTAL"].secret_key, token) or refuse_link()


def refuse_link() -> NoReturn:
    """Count a link that nobody signed; those that are right are never counted.

    Raises: TooManyTries, NotFound.
    """
    network = throttle.network_of(request.remote_addr)
    throttle.take_try(throttle.Kind.LINK, who=network or "here", network=None)
    raise NotFound


def _card(linked: Linked) -> LinkedCard:
    visit, settings = linked.visit, load_settings(db.session())
    assert visit.starts_at is not None
    assert visit.location is not None
    left = visit.starts_at - clock.now()
    return LinkedCard(
        public_id=visit.public_id,
        when=when_told(visit.starts_at, visit.location.zone, visit.shown_window_min),
        place=None if visit.visit_type.is_sensitive or visit.mode in REMOTE else place_of(visit.location),
        mode=visit.mode.value,
        can_move=left >= timedelta(minutes=settings.number("move_cutoff_min", visit.visit_type_id)),
        is_late=left < timedelta(minutes=settings.number("late_cancel_min", visit.visit_type_id)),
        is_confirmed=visit.confirmation is Confirmation.CONFIRMED,
    )


def _open_page(linked: Linked, token: str) -> Response:
    return page("patient/link.html", appointment=_card(linked), token=token)


def _dead_page(linked: Linked) -> Response:
    """The visit is not what the mail said: what has become of it, and how to go on."""
    card = None if linked.state is LinkState.GONE else _card(linked)
    return page("patient/link_dead.html", status=410, state=linked.state.value, appointment=card)


def _cancel_page(linked: Linked, token: str, problem: str | None = None) -> Response:
    return page(
        "patient/link_cancel.html",
        status=422 if problem else 200,
        appointment=_card(linked),
        options=reason_options(),
        errors=[{"field": "reason", "text": problem}] if problem else [],
        back_url=url_for("patient.link", token=token),
    )
