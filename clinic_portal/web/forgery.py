"""No other site makes a browser send our forms: a token in each, and a look at where a request comes from."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, g, request, session
from flask_login import user_logged_in
from flask_wtf.csrf import CSRFError, CSRFProtect

from clinic_portal.config import Config

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OWN_SITE = frozenset({"same-origin", "none"})


def install(app: Flask, config: Config) -> None:
    """Check every form. Tokens last as long as the session: an hour's limit would lose what somebody typed slowly."""
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    # Instead of the Referer header, which some browsers never send, we look at Sec-Fetch-Site and Origin.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    own_origin = _origin(config.base_url)
    app.before_request(lambda: _check_origin(own_origin))
    CSRFProtect(app)
    user_logged_in.connect(_forget_token, app)


def _check_origin(own_origin: str) -> None:
    """The second belt: it holds even if somebody learnt a token."""
    if request.method not in UNSAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in OWN_SITE:
        raise CSRFError("The form was sent from another site.")
    if origin is not None and origin not in (own_origin, request.host_url.rstrip("/")):
        raise CSRFError("The form was sent from another site.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _forget_token(_app: Flask, **_extra: object) -> None:
    """Whoever planted a session in a browser before the sign-in knows its token: make a new one."""
    session.pop("csrf_token", None)
    g.pop("csrf_token", None)
