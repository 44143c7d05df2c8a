"""Passkeys in forms: what a page hands to the browser, and the answer that its form brings back."""

from __future__ import annotations

from flask import current_app, request, session
from flask_wtf.csrf import generate_csrf
from webauthn.registration.verify_registration_response import VerifiedRegistration

from clinic_portal.accounts import passkeys
from clinic_portal.accounts.passkeys import Asker, Proof, Site
from clinic_portal.config import Config
from clinic_portal.database import db
from clinic_portal.entrance.presence import TOKEN
from clinic_portal.models import Account
from clinic_portal.web.pages import clinic_facts

# The field in which the browser's answer travels.
FIELD = "credential"


def can_work() -> bool:
    """Whether the portal has a name here that a passkey can be for."""
    return _site() is not None


def options_to_use(purpose: str, account: Account | None = None) -> str | None:
    """What the browser is asked to sign; None where no passkey can work, or the account has none."""
    site = _site()
    known = passkeys.passkeys_of(db.session(), account.id) if account else []
    if site is None or (account and not known):
        return None
    return passkeys.request_options(site, _asker(purpose, account), known, verified=account is None)


def options_to_make(account: Account) -> str | None:
    """What the browser is asked to make; None where no passkey can work."""
    site = _site()
    if site is None:
        return None
    known = passkeys.passkeys_of(db.session(), account.id)
    return passkeys.creation_options(site, _asker("make", account), account, clinic_facts().name, known)


def proof(purpose: str, account: Account | None = None, *, verified: bool = False) -> Proof | None:
    """The right answer that the present form brings; None when it brings none."""
    site, answer = _site(), request.form.get(FIELD, "")
    if site is None:
        return None
    return passkeys.read_proof(db.session(), site, _asker(purpose, account), answer, verified=verified)


def claimed_id() -> str:
    """Which passkey the present form says that it comes from; tries are counted for each."""
    return f"passkey {passkeys.claimed_id(request.form.get(FIELD, ''))}"


def made(account: Account) -> VerifiedRegistration | None:
    """The new passkey that the present form brings; None when it brings none."""
    site, answer = _site(), request.form.get(FIELD, "")
    return passkeys.read_new(site, _asker("make", account), answer) if site else None


def _site() -> Site | None:
    config: Config = current_app.config["PORTAL"]
    return passkeys.site_of(config.base_url, request.host_url.rstrip("/"))


def _asker(purpose: str, account: Account | None) -> Asker:
    # The secret behind the tokens of this browser's forms is nobody else's.
    generate_csrf()
    return Asker(purpose, session[TOKEN], account.id if account else 0)
