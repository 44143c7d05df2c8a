"""Passwords: what a new one must be, forgetting one, changing one. They are hashed before any transaction begins."""

from __future__ import annotations

import secrets
from datetime import datetime

from flask_security.utils import hash_password, verify_password
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import actor_of, emails, sign_ins, tokens
from clinic_portal.accounts.same_person import ask_about_account
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import Account, Event
from clinic_portal.notifications.account_outbox import tell_account, tell_if_there_is

SHORTEST, LONGEST = 10, 128
# What people try first wherever ten characters are asked for.
TOO_COMMON = frozenset({
    "password12", "password123", "password1234", "passwort123", "1234567890", "0123456789", "0987654321", "12345678910",
    "123456789a", "qwertyuiop", "qwerty1234", "qwerty12345", "1q2w3e4r5t", "1qaz2wsx3edc", "iloveyou123", "iloveyou12",
    "letmein123", "welcome123", "welcome1234", "football123", "liverpool1", "administrator", "changeme123",
    "abcdefghij", "abc1234567", "sunshine123", "princess123", "superman123", "qwertyuiop123", "passw0rd123",
    "password01", "p@ssw0rd123",
})  # fmt: skip


def check_new(password: str, *known: str) -> None:
    """Refuse passwords that are too short or easily guessed.

    Args: known, what others know of this person: names and e-mail address.
    Raises: InvalidRequest with a sentence for the page.
    Source: NIST SP 800-63B 3.1.1: length, no rules about kinds of characters, no common ones.
    """
    plain = password.casefold()
    told = {part for each in known for part in (each.casefold(), each.casefold().partition("@")[0]) if part}
    if not password:
        raise InvalidRequest(N_("Enter a password"))
    if len(password) < SHORTEST:
        raise InvalidRequest(N_("Password must have %(least)s characters or more"), least=SHORTEST)
    if len(password) > LONGEST:
        raise InvalidRequest(N_("Password must have %(most)s characters or fewer"), most=LONGEST)
    if plain in TOO_COMMON | told or len(set(plain)) < 4:
        raise InvalidRequest(N_("Choose a password that is harder to guess"))


def hashed(password: str) -> str:
    """What is kept of a password. Slow on purpose: call it outside of transactions."""
    return str(hash_password(password))


def is_right(account: Account, password: str) -> bool:
    """Whether this is the account's password."""
    return bool(account.password and password and verify_password(password[:LONGEST], account.password))


@writing
def ask_to_reset(session: Session, *, email: str) -> None:
    """Send a link to set a new password, if the address has an account. Nobody is told whether it has.

    Commits: the message.
    Rings: deliver_notifications.
    """
    account = emails.find(session, email, lock=True)
    tell_if_there_is(session, account if account and account.active else None, Event.RESET_PASSWORD)


@writing
def set_password(session: Session, *, token: str, password_hash: str) -> None:
    """Set a new password with the link from a mail; whoever reads the mails also has shown that the address is theirs.

    Commits: the password, and that everybody who was signed in is out.
    Raises: LinkExpired.
    Rings: deliver_notifications.
    """
    account = tokens.read(session, tokens.Purpose.RESET, token, lock=True)
    _keep(session, account, password_hash, clock.now())
    # Whoever knew the old password may have asked for another address.
    account.pending_email = None
    audit.record(session, actor_of(account), "reset_password", account)


@writing
def change_password(session: Session, *, account_id: int, password_hash: str) -> Account:
    """Set a new password for somebody who has just proved to know the old one.

    Commits: the password, and that everybody who was signed in is out.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    _keep(session, account, password_hash, account.confirmed_at)
    audit.record(session, actor_of(account), "change_password", account)
    return account


def new_uniquifier() -> str:
    """What sessions are signed in with; another one ends them all."""
    return secrets.token_hex(16)


def _keep(session: Session, account: Account, password_hash: str, confirmed_at: datetime | None) -> None:
    is_first, is_confirmed = account.password is None, account.confirmed_at is not None
    account.password, account.fs_uniquifier = password_hash, new_uniquifier()
    account.confirmed_at = account.confirmed_at or confirmed_at
    sign_ins.end_all(session, account.id)
    session.flush()
    if not is_confirmed:
        ask_about_account(session, account)
    if not is_first:
        tell_account(session, account.id, Event.PASSWORD_CHANGED)
