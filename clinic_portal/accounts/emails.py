"""Addresses as people type them: put into one form, and looked at for the slips that fingers make."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import Account

LONGEST = 254
# What follows the @ at the mail services that most people use, and what it becomes when fingers slip.
SLIPS = {
    "gmail.com": ("gmial.com", "gmai.com", "gmal.com", "gamil.com", "gnail.com", "gmail.co", "gmail.con", "gmail.cm",
                  "gmaill.com", "gmail.om"),
    "hotmail.com": ("hotmial.com", "hotmal.com", "hotmai.com", "hotmail.con", "hotmail.co", "hotnail.com"),
    "outlook.com": ("outlok.com", "outloo.com", "outlook.con", "outlook.co", "outllok.com"),
    "yahoo.com": ("yaho.com", "yahooo.com", "yahoo.con", "yhaoo.com"),
    "yahoo.co.uk": ("yaho.co.uk", "yahoo.couk", "yahoo.co.k"),
    "icloud.com": ("icoud.com", "iclod.com", "icloud.con", "icloud.co"),
    "btinternet.com": ("btinternet.con", "btintenet.com", "btinternt.com"),
}  # fmt: skip
MEANT = {slip: right for right, slips in SLIPS.items() for slip in slips}


def clean(typed: str) -> str:
    """An address in the form that accounts keep it in.

    Raises: InvalidRequest when it is none.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidRequest(N_("Enter your e-mail address"))
    try:
        found = validate_email(typed[: LONGEST + 1], check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InvalidRequest(N_("Enter an e-mail address like name@example.com")) from error
    return found.lower()


def likely_meant(email: str) -> str | None:
    """The address that was probably meant, when this one looks like a slip of the fingers."""
    name, _, host = email.rpartition("@")
    return f"{name}@{MEANT[host]}" if host in MEANT else None


def find(session: Session, email: str, *, lock: bool = False) -> Account | None:
    """The account of an address, however it is written; with `lock` nobody else changes it meanwhile."""
    query = select(Account).where(func.lower(Account.email) == email.lower())
    return session.scalar(query.with_for_update(key_share=True) if lock else query)
