"""What every answer tells the browser: run only our scripts, tell nobody where you come from, keep nothing private."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request, session

from clinic_portal.config import Config

View = TypeVar("View", bound=Callable[..., Any])

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A mail brings its own styles; it may do nothing else in our frame, whatever is in it.
FRAMED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
YEAR_S = 365 * 24 * 3600
_without_referrer: set[Callable[..., Any]] = set()


def without_referrer(view: View) -> View:
    """Mark a view whose address is a secret: its pages tell no other page, not even ours, where one comes from."""
    _without_referrer.add(view)
    return view


def is_without_referrer() -> bool:
    """Whether the present request is for such a view."""
    return current_app.view_functions.get(request.endpoint or "") in _without_referrer


def with_own_frames(response: Response) -> Response:
    """Let a page show answers of ours in frames."""
    response.headers["Content-Security-Policy"] = f"{HEADERS['Content-Security-Policy']}; frame-src 'self'"
    return response


def in_own_frame(response: Response) -> Response:
    """Let an answer, in which nothing can run, be shown in a frame of ours."""
    response.headers["Content-Security-Policy"] = FRAMED
    return response


def install(app: Flask, config: Config) -> None:
    """Send the headers with every answer, errors included."""
    is_https = config.base_url.startswith("https:")

    @app.after_request
    def protect(response: Response) -> Response:
        if is_without_referrer():
            response.headers["Referrer-Policy"] = "no-referrer"
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if is_https:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR_S}")
        response.headers["Cache-Control"] = _caching(response)
        return response


def _caching(response: Response) -> str:
    if request.endpoint == "static" and response.status_code in (200, 304):
        # The name changes with the content, so a copy never goes stale.
        return f"public, max-age={YEAR_S}, immutable"
    # On a shared computer the back button must not show a page of whoever signed out.
    return "no-store" if "_user_id" in session else "private, no-cache"
