"""What somebody typed as a way to reach them, checked and written in one way."""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import ContactKind

LONGEST = 255
LONGEST_NAME = 80
# E.164 allows 15 digits; the shortest numbers that a clinic would call have 7.
_PHONE_SHAPE = re.compile(r"\+?\d{7,15}", re.ASCII)
_PHONE_MARKS = re.compile(r"[\s().\-/\u2010-\u2015]")


def read_contact(kind: ContactKind, text: str) -> str:
    """The e-mail address, phone number or postal address as it is kept.

    Raises: InvalidRequest saying what is missing.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise InvalidRequest(N_("Use %(most)s characters or fewer."), most=LONGEST)
    if kind == ContactKind.EMAIL:
        return _email(text)
    return _address(text) if kind == ContactKind.POST else _phone(text)


def read_called_name(text: str) -> str:
    """The name that somebody wants to be called.

    Raises: InvalidRequest.
    """
    name = " ".join(text.split())
    if not name or not any(letter.isalpha() for letter in name):
        raise InvalidRequest(N_("Enter the name we should call."))
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(N_("Use %(most)s characters or fewer."), most=LONGEST_NAME)
    return name


def one_line(text: str | None) -> str:
    """What somebody wrote, on one line and without characters that are not printed."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text or "").split())


def is_same(kind: ContactKind, one: str, other: str) -> bool:
    """Whether two values reach the same place, however they are written."""
    return _bare(kind, one) == _bare(kind, other)


def _bare(kind: ContactKind, value: str) -> str:
    return _PHONE_MARKS.sub("", value) if kind in (ContactKind.MOBILE, ContactKind.LANDLINE) else value.casefold()


def _email(text: str) -> str:
    if not text:
        raise InvalidRequest(N_("Enter an e-mail address, like name@example.com."))
    try:
        # Whether mails arrive is asked by a mail, not by a look into the network while somebody waits.
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise InvalidRequest(N_("Enter an e-mail address in the right form, like name@example.com.")) from None


def _phone(text: str) -> str:
    if not _PHONE_SHAPE.fullmatch(_PHONE_MARKS.sub("", text).replace("(0)", "")):
        raise InvalidRequest(N_("Enter a phone number with 7 to 15 digits, like 020 7946 0000 or +44 20 7946 0000."))
    return " ".join(text.split())


def _address(text: str) -> str:
    lines = [" ".join(line.split()).strip(",") for line in text.splitlines()]
    address = ", ".join(line for line in lines if line)
    if len(address) < 10:
        raise InvalidRequest(N_("Enter the whole address: house, street, town and postcode."))
    return address
