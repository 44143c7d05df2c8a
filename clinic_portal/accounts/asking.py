"""Asking somebody to sign in, and keeping what they sent if their time had run out meanwhile."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Response, g, make_response, redirect, request, session, url_for

from clinic_portal.accounts.kept_forms import Typed, keep, paired
from clinic_portal.models import SignIn
from clinic_portal.web.pages import can_be_opened, own_address

# One slash, then no second one and no backslash, which browsers take for one; nothing that is not printed.
OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
# Names of fields that a page may send instead of a form of its own, see static/js/time-out.js.
TO_PAGE, TO_ACTION = "timed_out_page", "timed_out_action"
# In the session cookie: that something is kept for whoever this browser was signed in as.
KEPT = "kept"


def to_sign_in() -> Response:
    """Send somebody to sign in, and afterwards back to where they were.

    What they sent after their time had run out is kept, is not carried out, and is on the page when they come back.
    """
    page, lapsed = page_asked_for(), lapsed_sign_in()
    if lapsed is None:
        return lead_to(url_for("security.login", next=page))
    if request.method == "POST" and page is not None:
        keep_for(lapsed, page, request.path)
        page = None
    return lead_to(url_for("entrance.signed_out", next=page))


def lapsed_sign_in() -> SignIn | None:
    """The sign-in of this browser, if it has just run out; one that was ended is none."""
    lapsed: SignIn | None = g.get("lapsed_sign_in")
    return lapsed


def keep_for(sign_in: SignIn, page: str, action: str) -> None:
    """Keep the form of the present request, unless another site made the browser send it."""
    if g.get("is_forged") or not is_own_path(page):
        return
    told = [(name, values) for name, values in request.form.lists() if name not in (TO_PAGE, TO_ACTION)]
    keep(account_id=sign_in.account_id, typed=Typed(page, action, paired(told)))
    session[KEPT] = True


def page_asked_for() -> str | None:
    """The page that somebody wanted, or on which they pressed a button. None when it cannot be told."""
    if can_be_opened():
        return own_address()
    came_from = urlsplit(request.headers.get("Referer", ""))
    path = f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
    return path if came_from.netloc == request.host and is_own_path(path) else None


def is_own_path(path: str) -> bool:
    """Whether it is an address of ours, without any host."""
    return OWN_PATH.fullmatch(path) is not None


def lead_to(url: str) -> Response:
    """Send the whole browser to another page, also when only a part of a page was asked for."""
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": url})
    return make_response(redirect(url, 303))
