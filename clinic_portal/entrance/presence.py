"""Who is signed in with the present request, until when, and what of the portal they reach.

The browser's session cookie names a row of `sign_ins`; a second small cookie says when the portal last heard from it,
signed, so that no page has to write. Both only say what the portal itself wrote into them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, current_app, g, request, session, url_for
from flask_login import current_user
from flask_security import Security
from flask_security.utils import login_user
from itsdangerous import BadData, URLSafeSerializer

from clinic_portal import clock
from clinic_portal.accounts import kept_forms, second_step, sign_ins, signed_in_account
from clinic_portal.accounts.asking import KEPT, lapsed_sign_in, lead_to
from clinic_portal.accounts.browsers import browser_words
from clinic_portal.database import db
from clinic_portal.errors import Busy
from clinic_portal.models import Account, SignIn
from clinic_portal.web.pages import settings_in_force

COOKIE = "portal_seen"
WARN_S = 120
# Whose time ran out before this is a stranger like any other: nothing is kept for them.
LAPSES_FOR = timedelta(days=1)
# A page that asks by itself, without anybody pressing anything, says so, and keeps nobody signed in.
UNATTENDED = "X-Unattended"
BY_ITSELF = frozenset({"static", "entrance.time_left"})
# What is reached before a second step is set up, where the clinic asks for one.
SET_UP = frozenset({
    "static", "security.logout", "entrance.second_step_set_up", "entrance.add_app", "entrance.add_passkey",
    "entrance.time_left", "entrance.stay", "entrance.signed_out", "entrance.keep_typed", "entrance.choose_language",
})  # fmt: skip
# Names in the session cookie: the present sign-in, the token of forms, and whose password was right a moment ago.
SIGN_IN, TOKEN, WAITING = "sign_in", "csrf_token", "waiting_for_second_step"


@dataclass(frozen=True)
class TimeOut:
    """What a page tells its reader: how long they may do nothing, and how long before the end they are warned."""

    seconds: int
    warn_s: int = WARN_S

    @property
    def minutes(self) -> int:
        return max(1, self.seconds // 60)


def install(app: Flask) -> None:
    """Judge with each request whether its browser still is signed in."""
    security: Security = app.extensions["security"]
    security.login_manager.user_loader(_load)
    app.before_request(_lead_to_set_up)
    app.after_request(_note_presence)
    app.context_processor(lambda: {"time_out": _time_out()})


def start(account: Account, *, is_two_factor: bool) -> None:
    """Sign somebody in with this browser, under an id that nobody knew before."""
    before = session.get(SIGN_IN)
    # Forms of the same person that were open when the time ran out can still be sent; nobody else's can.
    lapsed = lapsed_sign_in()
    token = session.get(TOKEN) if lapsed is not None and lapsed.account_id == account.id else None
    forget_reader()
    login_user(account, remember=False)
    if token is not None:
        session[TOKEN] = token
    session[SIGN_IN] = sign_ins.begin(
        account_id=account.id,
        browser=browser_words(request.user_agent.string),
        is_two_factor=is_two_factor,
        instead_of=before,
    )
    if kept_forms.has_any(db.session(), account.id):
        session[KEPT] = True
    g.sign_in = None


def forget_reader() -> None:
    """Leave nothing of whoever used this browser before; what is no secret of theirs, like the language, stays."""
    for name in (SIGN_IN, TOKEN, WAITING, KEPT):
        session.pop(name, None)
    g.pop(TOKEN, None)


def present_sign_in() -> SignIn:
    """The sign-in of the present request; only behind `signed_in`."""
    found: SignIn = g.sign_in
    return found


def seconds_left() -> int:
    """Until the present sign-in runs out, if nothing happens; 0 when nobody is signed in."""
    if not current_user.is_authenticated:
        return 0
    return max(0, int((_ends_at(present_sign_in()) - clock.now()).total_seconds()))


def seconds_if_used_now() -> int:
    """Until the present sign-in runs out, counted from something done at this moment; only behind `signed_in`."""
    whole, last = sign_ins.timeout(settings_in_force(), signed_in_account()), _last_end(present_sign_in())
    return max(0, int(min(whole, last - clock.now()).total_seconds()))


def did_nothing_for() -> timedelta | None:
    """How long the reader may do nothing, when that is what ended their sign-in."""
    lapsed = lapsed_sign_in()
    if lapsed is None or clock.now() >= _last_end(lapsed):
        return None
    return sign_ins.timeout(settings_in_force(), lapsed.account)


def seen_cookie(public_id: str, at: datetime) -> str:
    """What the browser brings along, so that the portal knows when it last heard from it."""
    return str(_signer().dumps([public_id, int(at.timestamp())]))


def _load(uniquifier: str) -> Account | None:
    found = sign_ins.find(db.session(), session.get(SIGN_IN, ""), uniquifier)
    if found is None:
        return None
    # A service that rolls back must not make the page read all of it again.
    for row in (found, found.account, *found.account.roles):
        db.session.expunge(row)
    idle = clock.now() - _ends_at(found)
    if idle >= timedelta(0):
        g.lapsed_sign_in = found if idle < LAPSES_FOR else None
        return None
    g.sign_in = found
    return found.account


def _ends_at(sign_in: SignIn) -> datetime:
    return min(_seen_at(sign_in) + sign_ins.timeout(settings_in_force(), sign_in.account), _last_end(sign_in))


def _last_end(sign_in: SignIn) -> datetime:
    """When a sign-in is over even if its reader never paused."""
    return sign_in.started_at + sign_ins.longest(settings_in_force(), sign_in.account)


def _seen_at(sign_in: SignIn) -> datetime:
    """The later of what the row says, which may be minutes behind, and what the browser's own note says."""
    try:
        public_id, seconds = _signer().loads(request.cookies.get(COOKIE, ""))
    except BadData:
        return sign_in.last_seen_at
    noted = datetime.fromtimestamp(seconds, UTC) if public_id == sign_in.public_id else sign_in.last_seen_at
    return max(noted, sign_in.last_seen_at)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="last seen")


def _lead_to_set_up() -> Response | None:
    """Who has to set a second step up reaches nothing else before."""
    if request.endpoint in SET_UP or (request.blueprint or request.endpoint or "").startswith("health"):
        return None
    if not current_user.is_authenticated or present_sign_in().is_two_factor:
        return None
    if not second_step.is_required(settings_in_force(), signed_in_account()):
        return None
    return lead_to(url_for("entrance.second_step_set_up"))


def _note_presence(response: Response) -> Response:
    """Note in the browser that its reader is there, and now and then in the database."""
    public_id: str | None = session.get(SIGN_IN)
    is_there = "_login_user" in g and current_user.is_authenticated
    if public_id is None or not is_there or _is_unattended() or response.status_code >= 500:
        return response
    config = current_app.config
    response.set_cookie(COOKIE, seen_cookie(public_id, clock.now()), httponly=True, samesite="Lax",
                        secure=config["SESSION_COOKIE_SECURE"])  # fmt: skip
    row: SignIn | None = g.get("sign_in")
    if row is not None and clock.now() - row.last_seen_at >= sign_ins.TOUCH_EVERY:
        # The page is made already; if others are writing, a later page notes it.
        with suppress(Busy):
            sign_ins.touch(public_id=public_id)
    return response


def _is_unattended() -> bool:
    """Whether the page asks by itself, without anybody pressing anything."""
    return request.endpoint in BY_ITSELF or UNATTENDED in request.headers


def _time_out() -> TimeOut | None:
    if not current_user.is_authenticated:
        return None
    return TimeOut(seconds_if_used_now())
