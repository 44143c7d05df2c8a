"""The authenticator app: a key that app and portal share, and the codes of six figures that it makes every half minute.

Source: RFC 6238 (TOTP), as every such app knows it.
"""

from __future__ import annotations

import json

import segno
from passlib.exc import TokenError
from passlib.totp import TOTP
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.sealing import seal, unseal
from clinic_portal.models import AuthenticatorApp

PURPOSE, OFFER = "authenticator key", "authenticator key on offer"
# Clocks of phones differ: the code before and the one after the present one are taken too.
WINDOW_S = 30
# How long a key that a page shows may be taken over into an app.
OFFERED_FOR_S = 3600


def new_key() -> str:
    """A key for an app, in the letters in which it is typed."""
    return str(TOTP.new().base32_key)


def offer(key: str, account_id: int) -> str:
    """A new key as it travels in the page that shows it: sealed, for one account and for an hour."""
    return seal(json.dumps([key, account_id, clock.now().timestamp()]), OFFER)


def offered(text: str, account_id: int) -> str | None:
    """The key that a page has shown to this account; None when it is too old, or not ours."""
    told = unseal(text, OFFER)
    key, whose, made_at = json.loads(told) if told else ("", 0, 0)
    is_fresh = clock.now().timestamp() - made_at < OFFERED_FOR_S
    return key if is_fresh and whose == account_id else None


def key_to_type(key: str) -> str:
    """The key in groups of four letters."""
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))


def picture(key: str, email: str, clinic: str) -> str:
    """The key as a QR code: an SVG without styles, which our content policy lets through."""
    uri = TOTP(key).to_uri(label=email.replace(":", ""), issuer=clinic.replace(":", ""))
    made = segno.make(uri, error="m", boost_error=False)
    return str(made.svg_inline(scale=4, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None))


def counter_of(key: str, code: str, last_counter: int | None = None) -> int | None:
    """Which half minute a code belongs to; None when it is wrong, too old, or not newer than the last one taken.

    Times: the portal's clock; codes are counted from the Unix epoch.
    """
    try:
        found = TOTP(key).match(code, time=int(clock.now().timestamp()), window=WINDOW_S, last_counter=last_counter)
    except (TokenError, ValueError):
        return None
    return int(found.counter)


def app_of(session: Session, account_id: int) -> AuthenticatorApp | None:
    """The app that an account has set up."""
    return session.scalar(select(AuthenticatorApp).filter_by(account_id=account_id))


def take_code(session: Session, account_id: int, code: str) -> bool:
    """Take a code of the account's app, once, inside the caller's transaction, which has locked the account."""
    app = app_of(session, account_id)
    key = unseal(app.sealed_key, PURPOSE) if app else None
    counter = counter_of(key, code, app.last_counter) if app and key else None
    if app is None or counter is None:
        return False
    app.last_counter = counter
    return True


def add_app(session: Session, account_id: int, key: str, counter: int) -> None:
    """Set an app up in place of the one before it, inside the caller's transaction, which has locked the account."""
    app = app_of(session, account_id) or AuthenticatorApp(account_id=account_id)
    app.sealed_key, app.last_counter, app.added_at = seal(key, PURPOSE), counter, clock.now()
    session.add(app)
