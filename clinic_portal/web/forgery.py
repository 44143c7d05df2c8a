"""No other site makes a browser send our forms: a token in each, and a look at where a request comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request, session
from flask_login import user_logged_in
from flask_wtf.csrf import CSRFError, CSRFProtect

from clinic_portal.config import Config
from clinic_portal.web.headers import View, is_without_referrer

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OWN_SITE = frozenset({"same-origin", "none"})
_one_click: set[Callable[..., Any]] = set()


def takes_one_click(view: View) -> View:
    """Mark a view that mail programs may ask to stop mails: what proves the wish is the secret in its address.

    Source: RFC 8058 3.1.
    """
    _one_click.add(view)
    return view


def is_one_click() -> bool:
    """Whether a mail program sends the present form by itself."""
    view = current_app.view_functions.get(request.endpoint or "")
    return view in _one_click and request.form.get("List-Unsubscribe") == "One-Click"


def install(app: Flask, config: Config) -> None:
    """Check every form. Tokens last as long as the session: an hour's limit would lose what somebody typed slowly."""
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    # Instead of the Referer header, which some browsers never send, we look at Sec-Fetch-Site and Origin.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    own_origin = _origin(config.base_url)
    app.before_request(lambda: _check_origin(own_origin))
    _Tokens(app)
    user_logged_in.connect(_forget_token, app)


class _Tokens(CSRFProtect):  # type: ignore[misc]
    """A token in each form of a browser; mail programs have none."""

    def protect(self, apply_exemptions: bool = False) -> None:
        if not is_one_click():
            super().protect(apply_exemptions)


def _check_origin(own_origin: str) -> None:
    """The second belt: it holds even if somebody learnt a token."""
    if request.method not in UNSAFE or is_one_click():
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in OWN_SITE:
        raise CSRFError("The form was sent from another site.")
    if origin == "null" and is_without_referrer():
        # Browsers do not tell the origin of a page that tells nobody where one comes from.
        return
    if origin is not None and origin not in (own_origin, request.host_url.rstrip("/")):
        raise CSRFError("The form was sent from another site.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _forget_token(_app: Flask, **_extra: object) -> None:
    """Whoever planted a session in a browser before the sign-in knows its token: make a new one."""
    session.pop("csrf_token", None)
    g.pop("csrf_token", None)
