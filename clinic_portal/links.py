"""Links in mails that prove something: signed, so that nobody can make one up, and of use for some time only.

What a link is good for ends with an instant in it, or with the state of the rows that it names.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from itsdangerous import BadData, Signer, URLSafeSerializer

from clinic_portal import clock

CHECK_DAYS = 3


@dataclass(frozen=True)
class VisitLink:
    """What the link in a mail about a visit names: the visit, its time by its number, and whose mail it was in."""

    visit_public_id: str
    sequence: int
    contact_public_id: str


@dataclass(frozen=True)
class StopLink:
    """What the link that stops reminders names: whom they are about, and whose mail it was in."""

    patient_public_id: str
    contact_public_id: str


@dataclass(frozen=True)
class OfferLink:
    """What the link in a mail about an offered time names: the offer, and whose mail it was in."""

    offer_public_id: str
    contact_public_id: str


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


def sign_visit(secret_key: str, link: VisitLink) -> str:
    """A link to one visit as it is now: short, because it may have to be typed."""
    return _sign(secret_key, "visit", link)


def read_visit(secret_key: str, token: str) -> VisitLink | None:
    """What a link names, or None when it is made up."""
    parts = _read(secret_key, "visit", token, 3)
    return VisitLink(parts[0], int(parts[1]), parts[2]) if parts else None


def sign_stop(secret_key: str, link: StopLink) -> str:
    """A link that stops the reminders of one person."""
    return _sign(secret_key, "no reminders", link)


def read_stop(secret_key: str, token: str) -> StopLink | None:
    """What a link names, or None when it is made up."""
    parts = _read(secret_key, "no reminders", token, 2)
    return StopLink(*parts) if parts else None


def sign_offer(secret_key: str, link: OfferLink) -> str:
    """A link with which an offered time is taken or left."""
    return _sign(secret_key, "offer", link)


def read_offer(secret_key: str, token: str) -> OfferLink | None:
    """What a link names, or None when it is made up."""
    parts = _read(secret_key, "offer", token, 2)
    return OfferLink(*parts) if parts else None


def _sign(secret_key: str, purpose: str, link: VisitLink | StopLink | OfferLink) -> str:
    # None of the parts has a dot in it.
    return Signer(secret_key, salt=purpose).sign(".".join(map(str, astuple(link)))).decode()


def _read(secret_key: str, purpose: str, token: str, count: int) -> list[str] | None:
    try:
        parts = Signer(secret_key, salt=purpose).unsign(token).decode().split(".")
    except (BadData, ValueError):
        return None
    return parts if len(parts) == count else None
