"""The words in links of mails: signed, good for one purpose and some hours, and dead once they have done their work.

They are made when a mail leaves and kept nowhere. What a token is bound to is told by a keyed digest of the account's
present state; when that has changed, the token is dead.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from datetime import timedelta

from flask import current_app
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.config import Config
from clinic_portal.errors import LinkExpired
from clinic_portal.models import Account


class Purpose(enum.StrEnum):
    """What a link is for; a token for one is nothing for another."""

    CONFIRM = "confirm"
    RESET = "reset"
    CHANGE_EMAIL = "change_email"


LASTS = {
    Purpose.CONFIRM: timedelta(days=3),
    Purpose.RESET: timedelta(hours=4),
    Purpose.CHANGE_EMAIL: timedelta(days=1),
}


class _Signer(TimestampSigner):
    def get_timestamp(self) -> int:
        """The portal's own clock, so that tests and the demo agree with it."""
        return int(clock.now().timestamp())


def make(purpose: Purpose, account: Account) -> str:
    """A token that does one thing to this account as it is now."""
    return _serializer(purpose).dumps([account.id, _state(purpose, account)])


def read(session: Session, purpose: Purpose, token: str, *, lock: bool = False) -> Account:
    """The account that a token is about; with `lock` nobody else changes it meanwhile.

    Raises: LinkExpired when the token is too old, was used, was overtaken, or is none of ours.
    """
    try:
        account_id, state = _serializer(purpose).loads(token, max_age=int(LASTS[purpose].total_seconds()))
    except BadData as error:
        raise LinkExpired from error
    query = select(Account).where(Account.id == account_id, Account.active)
    account = session.scalar(query.with_for_update(key_share=True) if lock else query)
    if account is None or not hmac.compare_digest(state, _state(purpose, account)):
        raise LinkExpired
    return account


def keyed(text: str) -> str:
    """A digest that nobody can make or try out without the portal's secret."""
    config: Config = current_app.config["PORTAL"]
    return hmac.new(config.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _state(purpose: Purpose, account: Account) -> str:
    """What has to be as it was: a password that was set, or another address, kills the links from before it."""
    facts = [purpose, account.email, account.password or "", account.fs_uniquifier]
    if purpose is Purpose.CHANGE_EMAIL:
        facts = [purpose, account.email, account.pending_email or ""]
    return keyed("\n".join(facts))[:24]


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    config: Config = current_app.config["PORTAL"]
    return URLSafeTimedSerializer(config.secret_key, salt=f"account link: {purpose}", signer=_Signer)
