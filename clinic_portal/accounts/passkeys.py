"""Passkeys: what the browser is asked for, and whether its answer is right. The browser's part is passkeys.js.

Source: W3C Web Authentication, level 2.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from clinic_portal import clock
from clinic_portal.accounts.tokens import keyed
from clinic_portal.models import Account, Passkey

# How long a page may stand open before its button is pressed.
CHALLENGE_LASTS = timedelta(hours=1)
LONGEST_ANSWER = 20_000
# Whatever the library finds wrong, and what comes of texts that are no answers at all.
WRONG = (WebAuthnException, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Site:
    """Whom a passkey is for: the name in the address, and the address that browsers report."""

    rp_id: str
    origin: str


@dataclass(frozen=True)
class Asker:
    """Who is asked, for what, and in which browser: an answer for one is none for another."""

    purpose: str
    browser_secret: str
    account_id: int = 0


@dataclass(frozen=True)
class Proof:
    """A right answer: which passkey, when it was asked for, and how often the passkey says it was used."""

    passkey: Passkey
    asked_at: datetime
    sign_count: int


def site_of(base_url: str, host_url: str) -> Site | None:
    """The portal's own address, or this machine's, as long as it has a name: a number can have no passkeys."""
    for url in (base_url, host_url):
        parts = urlsplit(url)
        name = parts.hostname or ""
        if _is_name(name) and (url == base_url or name == "localhost"):
            return Site(name, f"{parts.scheme}://{parts.netloc}")
    return None


def creation_options(site: Site, asker: Asker, account: Account, clinic: str, known: list[Passkey]) -> str:
    """What the browser needs to make a passkey, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name=clinic,
        # Tells nobody who it is, and is the same each time.
        user_id=bytes.fromhex(keyed(f"passkeys of account {account.id}")),
        user_name=account.email,
        challenge=_challenge(asker, clock.now()),
        timeout=_ms(CHALLENGE_LASTS),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return webauthn.options_to_json(options)


def request_options(site: Site, asker: Asker, known: list[Passkey], *, verified: bool) -> str:
    """What the browser needs to use a passkey, as JSON; without known ones it offers those that it has itself."""
    need = UserVerificationRequirement.REQUIRED if verified else UserVerificationRequirement.PREFERRED
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id,
        challenge=_challenge(asker, clock.now()),
        timeout=_ms(CHALLENGE_LASTS),
        allow_credentials=_descriptors(known),
        user_verification=need,
    )
    return webauthn.options_to_json(options)


def read_new(site: Site, asker: Asker, answer: str) -> VerifiedRegistration | None:
    """A passkey that the browser has just made; None when the answer is not right."""
    try:
        parsed = webauthn.helpers.parse_registration_credential_json(answer[:LONGEST_ANSWER])
        challenge, _ = _read_challenge(asker, parsed.response.client_data_json)
        return webauthn.verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
        )
    except WRONG:
        return None


def read_proof(session: Session, site: Site, asker: Asker, answer: str, *, verified: bool) -> Proof | None:
    """What a passkey answered; None when it is unknown here, somebody else's, too old, or not right.

    Args: verified, whether the device must have looked at a face, a finger or a PIN: then it is proof enough alone.
    """
    try:
        parsed = parse_authentication_credential_json(answer[:LONGEST_ANSWER])
        challenge, asked_at = _read_challenge(asker, parsed.response.client_data_json)
        passkey = _find(session, parsed.raw_id)
        if passkey is None or asker.account_id not in (0, passkey.account_id):
            return None
        found = webauthn.verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=verified,
        )
    except WRONG:
        return None
    return Proof(passkey, asked_at, found.new_sign_count)


def claimed_id(answer: str) -> str:
    """Which passkey an answer says that it is of, before anything of it was looked at."""
    try:
        return str(parse_authentication_credential_json(answer[:LONGEST_ANSWER]).id)
    except WRONG:
        return ""


def passkeys_of(session: Session, account_id: int) -> list[Passkey]:
    """The passkeys of an account, the oldest first."""
    return list(session.scalars(select(Passkey).filter_by(account_id=account_id).order_by(Passkey.id)))


def _find(session: Session, raw_id: bytes) -> Passkey | None:
    query = select(Passkey).filter_by(credential_id=bytes_to_base64url(raw_id))
    return session.scalar(query.options(joinedload(Passkey.account)))


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False


def _descriptors(known: list[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(each.credential_id)) for each in known]


def _challenge(asker: Asker, asked_at: datetime) -> bytes:
    """Random, with the time in it and signed: nothing has to be kept until it is answered."""
    head = secrets.token_bytes(16) + int(asked_at.timestamp() * 1_000_000).to_bytes(8)
    return head + _mark(asker, head)


def _read_challenge(asker: Asker, client_data_json: bytes) -> tuple[bytes, datetime]:
    """The challenge that was answered, if it was ours for this asker, and when it was made.

    Raises: ValueError otherwise, and when it is too old.
    """
    challenge = webauthn.helpers.parse_client_data_json(client_data_json).challenge
    head, mark = challenge[:24], challenge[24:]
    asked_at = datetime.fromtimestamp(int.from_bytes(head[16:]) / 1_000_000, UTC)
    if not hmac.compare_digest(mark, _mark(asker, head)) or clock.now() - asked_at > CHALLENGE_LASTS:
        raise ValueError
    return challenge, asked_at


def _mark(asker: Asker, head: bytes) -> bytes:
    facts = (asker.purpose, asker.account_id, asker.browser_secret, head.hex())
    return bytes.fromhex(keyed("\n".join(map(str, facts))))


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
