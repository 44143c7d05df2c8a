"""Links in mails that prove something: signed, so that nobody can make one up, and of use for some days only."""

from __future__ import annotations

from datetime import datetime, timedelta

from itsdangerous import BadData, URLSafeSerializer

from clinic_portal import clock

CHECK_DAYS = 3


def sign_check(secret_key: str, contact_public_id: str, asked_at: datetime) -> str:
    """The part of an address that only somebody knows who read the mail; the same in every try of the same mail."""
    ends_at = asked_at + timedelta(days=CHECK_DAYS)
    return str(_checks(secret_key).dumps([contact_public_id, int(ends_at.timestamp())]))


def read_check(secret_key: str, token: str) -> str | None:
    """The contact point that a link proves, or None when the link is made up or too old."""
    try:
        contact_public_id, ends_at = _checks(secret_key).loads(token)
    except (BadData, ValueError, TypeError):
        return None
    return str(contact_public_id) if clock.now().timestamp() < ends_at else None


def _checks(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="contact point")
