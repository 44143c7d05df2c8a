"""Your appointments in your own calendar: the page about it, and what calendar programs read without signing in."""

from __future__ import annotations

import hashlib
import logging

from flask import Response, flash, make_response, request, url_for
from sqlalchemy import select

from clinic_portal.accounts import actor_of, patients_for, signed_in, signed_in_account
from clinic_portal.accounts.feeds import end_feed, feed_behind, live_feeds, make_feed
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance.blueprint import blueprint, take_try
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import N_, _
from clinic_portal.models import Account, CalendarFeed, FeedKind, Practitioner
from clinic_portal.notifications.feeds import feed_of_patient, feed_of_practitioner
from clinic_portal.web import page, see_other, without_referrer
from clinic_portal.web.requests import log
from clinic_portal.wording import date_long

WORDS = {
    FeedKind.PRACTITIONER: (
        N_("The visits that you work"),
        N_("Without names: when, and where."),
    ),
    FeedKind.PATIENT: (
        N_("Your appointments, and those of people you book for"),
        N_("Without what they are about: when, and where."),
    ),
}


@blueprint.get("/account/calendar")
@signed_in
def calendars() -> Response:
    """Your appointments in your own calendar."""
    return _page()


@blueprint.post("/account/calendar")
@signed_in
def change_calendar() -> Response:
    """Make an address for a calendar program, a new one, or none."""
    account, kind = signed_in_account(), _kind(request.form.get("kind"))
    if request.form.get("do") == "end":
        end_feed(actor=actor_of(account), kind=kind)
        flash(_("The address works no more."), "success")
        return see_other(url_for("entrance.calendars"))
    return _page(kind, make_feed(actor=actor_of(account), kind=kind))


def _kind(text: str | None) -> FeedKind:
    kind = next((kind for kind in _kinds(signed_in_account()) if kind.value == text), None)
    if kind is None:
        raise InvalidRequest(N_("Reload the page and try again."))
    return kind


def _kinds(account: Account) -> list[FeedKind]:
    """What there is to show in a calendar."""
    kinds = [FeedKind.PRACTITIONER] if _practitioner_of(account) is not None else []
    return [*kinds, FeedKind.PATIENT] if patients_for(account) else kinds


def _practitioner_of(account: Account) -> Practitioner | None:
    found = select(Practitioner).filter_by(account_id=account.id, is_active=True)
    return db.session().scalar(found)


def _page(made: FeedKind | None = None, token: str | None = None) -> Response:
    """With the address of the one that was just made: it is shown this once."""
    account = signed_in_account()
    live = live_feeds(db.session(), account.id)
    address = url_for("entrance.read_calendar", token=token, _external=True) if token else ""
    return page(
        "entrance/calendars.html",
        feeds=[
            {
                "kind": kind.value,
                "title": _(WORDS[kind][0]),
                "tells": _(WORDS[kind][1]),
                "made_on": date_long(live[kind].made_at.date()) if kind in live else None,
                "address": address if kind is made else None,
                "subscribe": address.replace("https:", "webcal:", 1).replace("http:", "webcal:", 1),
            }
            for kind in _kinds(account)
        ],
        back_url=url_for("entrance.account"),
    )


@blueprint.get("/calendar/<token>.ics")
@without_referrer
def read_calendar(token: str) -> Response:
    """What a calendar program reads; whoever has the address may."""
    feed = feed_behind(db.session(), token)
    if feed is None:
        take_try(Kind.LINK, "calendar")
        raise NotFound
    text = _read(feed)
    # Without the moment of writing, which is new each time.
    lines = b"\n".join(line for line in text.split(b"\r\n") if not line.startswith(b"DTSTAMP"))
    response = make_response(text)
    response.mimetype = "text/calendar"
    response.headers.update({"Cache-Control": "private, max-age=300", "X-Robots-Tag": "noindex"})
    response.set_etag(hashlib.sha256(lines).hexdigest()[:32])
    log(logging.INFO, "calendar read", kind=feed.kind.value)
    response.make_conditional(request)
    return response


def _read(feed: CalendarFeed) -> bytes:
    """Raises: NotFound when there is nothing to show any more."""
    if feed.kind is FeedKind.PATIENT:
        return feed_of_patient(db.session(), feed.account)
    practitioner = _practitioner_of(feed.account)
    if practitioner is None:
        raise NotFound
    return feed_of_practitioner(db.session(), practitioner)
