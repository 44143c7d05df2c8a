"""From a refusal to a page: which status it has and what it says. An unexpected fault gets a number to ask about."""

from __future__ import annotations

import logging
import math
import traceback
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, make_response, request
from flask_login import AnonymousUserMixin, current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from clinic_portal import audit, clock, errors
from clinic_portal.database import db
from clinic_portal.languages import ngettext
from clinic_portal.web.assets import PACKAGE
from clinic_portal.web.pages import can_be_opened, own_address, page
from clinic_portal.web.requests import log
from clinic_portal.wording import say

STATUS: dict[type[errors.DomainError], int] = {
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.InvalidRequest: 422,
    errors.LinkExpired: 410,
    errors.TooManyTries: 429,
    errors.NotForThisPatient: 403,
    errors.Busy: 503,
    # Everything else that the domain refuses: it was possible when the page was made.
    errors.DomainError: 409,
}
# These must not hint at what exists: the page's own words are enough.
SILENT = (errors.NotFound, errors.NotAllowed, errors.Busy)
TRY_AGAIN_S = 5


def install(app: Flask) -> None:
    """Answer every refusal and every fault with a page."""
    app.register_error_handler(errors.DomainError, _refused)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(Exception, _fault)


def status_of(error: errors.DomainError) -> int:
    """The HTTP status of a refusal."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _refused(error: errors.DomainError) -> Response:
    log(logging.INFO, "refused", code=error.code)
    status = status_of(error)
    response = _error_page(status) if isinstance(error, SILENT) else _error_page(status, message=_words(error))
    if isinstance(error, errors.Busy | errors.TooManyTries):
        response.headers["Retry-After"] = str(_wait_s(error))
    return response


def _words(error: errors.DomainError) -> str:
    if not isinstance(error, errors.TooManyTries):
        return say(error)
    return ngettext(
        "There were too many tries in a short time. Wait a minute, then try again.",
        "There were too many tries in a short time. Wait %(num)d minutes, then try again.",
        max(1, -(-_wait_s(error) // 60)),
    )


def _wait_s(error: errors.DomainError) -> int:
    """After how many seconds it is worth trying again."""
    until = error.facts.get("until")
    return TRY_AGAIN_S if until is None else max(1, math.ceil((until - clock.now()).total_seconds()))


def _forged(_error: CSRFError) -> Response:
    """A form without a valid token: mostly somebody who was signed out meanwhile. Where they were is kept."""
    # Whatever such a form says is not kept for anybody.
    g.is_forged = True
    log(logging.WARNING, "csrf", signed_in=current_user.is_authenticated)
    is_open = request.endpoint == "security.login" or request.blueprint == "entrance"
    if not is_open and not current_user.is_authenticated and can_be_opened():
        answer: Response = make_response(current_app.login_manager.unauthorized())  # type: ignore[attr-defined]
        return answer
    return _error_page(400, back_url=own_address() if can_be_opened() else None)


def _http_error(error: HTTPException) -> Response | HTTPException:
    if isinstance(error, RequestRedirect) or error.code is None:
        return error
    if error.code == 500:
        # Something went wrong while we said what went wrong.
        log(logging.ERROR, "fault in an error page")
        return error
    response = _error_page(error.code)
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _unavailable(error: OperationalError) -> Response:
    """The database is away, or its disk is full: nothing was half done, and later it works again."""
    _log_fault(error)
    response = _error_page(503, incident_id=audit.request_id.get())
    response.headers["Retry-After"] = str(TRY_AGAIN_S)
    return response


def _fault(error: Exception) -> Response:
    _log_fault(error)
    return _error_page(500, incident_id=audit.request_id.get())


def _log_fault(error: Exception) -> None:
    """Where it happened and what kind it is; its own text may hold what somebody typed."""
    where = [
        f"{Path(frame.filename).relative_to(PACKAGE)}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    log(logging.ERROR, "fault", kind=type(error).__name__, sqlstate=code, where=where)


def _error_page(status: int, **context: Any) -> Response:
    try:
        db.session.rollback()
        return page("shared/error.html", status=status, code=status, **context)
    except DBAPIError:
        # The page asks who is signed in, and nobody can say.
        g._login_user = AnonymousUserMixin()
        return page("shared/error.html", status=status, code=status, **context)
