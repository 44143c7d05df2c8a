"""Reading what was typed, and saying in plain words what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from flask import request

from clinic_portal import clock
from clinic_portal.accounts import emails, passwords
from clinic_portal.accounts.registering import Person
from clinic_portal.errors import InvalidRequest

LONGEST_NAME = 80
OLDEST_YEARS = 125


@dataclass(frozen=True)
class Field:
    """One box of a form, as templates show it."""

    id: str
    name: str
    data: str
    errors: list[str]


@dataclass
class Form:
    """What was typed, and what is wrong with it; passwords are never shown again."""

    errors: list[dict[str, str]] = field(default_factory=list)

    def text(self, name: str) -> str:
        """What a box says, without spaces around it."""
        return " ".join(request.form.get(name, "").split())

    def wrong(self, name: str, text: str) -> None:
        """Say what is wrong with a box."""
        self.errors.append({"field": name, "text": text})

    def field(self, name: str) -> Field:
        """One box, for the template."""
        wrong = [error["text"] for error in self.errors if error["field"] == name]
        return Field(name, name, self.text(name), wrong)

    @property
    def status(self) -> int:
        return 422 if self.errors else 200


def read_person(form: Form) -> tuple[Person | None, str]:
    """Who wants to register, and with which password; None when something is wrong."""
    given_name = _name(form, "given_name", "first name")
    family_name = _name(form, "family_name", "last name")
    birth_on = read_birth_date(form)
    email = read_email(form)
    password = read_new_password(form, email or "", given_name, family_name)
    if form.errors or birth_on is None or email is None:
        return None, ""
    return Person(given_name, family_name, birth_on, email), password


def _name(form: Form, name: str, what: str) -> str:
    value = form.text(name)
    if not value:
        form.wrong(name, f"Enter your {what}")
    elif len(value) > LONGEST_NAME:
        form.wrong(name, f"{what.capitalize()} must have {LONGEST_NAME} characters or fewer")
    elif "@" in value or not any(letter.isalpha() for letter in value):
        form.wrong(name, f"Enter your {what} in letters")
    return value


def read_birth_date(form: Form, name: str = "birth") -> date | None:
    """The day in three boxes, which must be one that somebody alive can have been born on."""
    parts = {part: form.text(f"{name}-{part}") for part in ("day", "month", "year")}
    try:
        return _birth_date(parts)
    except InvalidRequest as error:
        form.wrong(name, str(error))
        return None


def _birth_date(parts: dict[str, str]) -> date:
    missing = [part for part, text in parts.items() if not text]
    if len(missing) == len(parts):
        raise InvalidRequest("Enter your date of birth")
    if missing:
        raise InvalidRequest(f"Date of birth must include a {' and a '.join(missing)}")
    if not all(text.isdecimal() and text.isascii() for text in parts.values()):
        raise InvalidRequest("Date of birth must be a real date, like 31 3 1980")
    if len(parts["year"]) != 4:
        raise InvalidRequest("Year of birth must have 4 numbers, like 1980")
    try:
        born = date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except ValueError as error:
        raise InvalidRequest("Date of birth must be a real date, like 31 3 1980") from error
    today = clock.now().date()
    if born > today:
        raise InvalidRequest("Date of birth must be in the past")
    if today.year - born.year > OLDEST_YEARS:
        raise InvalidRequest("Check the year of your date of birth")
    return born


def read_email(form: Form, name: str = "email") -> str | None:
    """An address; one that looks like a slip of the fingers is asked about once, and taken when it is sent again."""
    try:
        email = emails.clean(request.form.get(name, ""))
    except InvalidRequest as error:
        form.wrong(name, str(error))
        return None
    meant = emails.likely_meant(email)
    if meant is not None and request.form.get("email_asked") != email:
        form.wrong(name, f"Did you mean {meant}? If {email} is right, continue with it as it is")
    return email


def read_new_password(form: Form, *known: str) -> str:
    """A password that will do."""
    password = request.form.get("password", "")
    try:
        passwords.check_new(password, *known)
    except InvalidRequest as error:
        form.wrong("password", str(error))
    return password
