"""Reading what was typed, and saying in plain words what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from flask import request

from clinic_portal import clock
from clinic_portal.accounts import emails, passwords
from clinic_portal.accounts.registering import Person
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _, current
from clinic_portal.wording import say

LONGEST_NAME = 80
OLDEST_YEARS = 125


@dataclass(frozen=True)
class NameWords:
    """What is said when a name is not right."""

    missing: str
    too_long: str
    no_letters: str


FIRST_NAME = NameWords(
    N_("Enter your first name"),
    N_("First name must have %(most)s characters or fewer"),
    N_("Enter your first name in letters"),
)
LAST_NAME = NameWords(
    N_("Enter your last name"),
    N_("Last name must have %(most)s characters or fewer"),
    N_("Enter your last name in letters"),
)
# Which boxes of a birth date are empty, and what is said then.
MISSING_PARTS = {
    ("day",): N_("Date of birth must include a day"),
    ("month",): N_("Date of birth must include a month"),
    ("year",): N_("Date of birth must include a year"),
    ("day", "month"): N_("Date of birth must include a day and a month"),
    ("day", "year"): N_("Date of birth must include a day and a year"),
    ("month", "year"): N_("Date of birth must include a month and a year"),
}


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
    given_name = _name(form, "given_name", FIRST_NAME)
    family_name = _name(form, "family_name", LAST_NAME)
    birth_on = read_birth_date(form)
    email = read_email(form)
    password = read_new_password(form, email or "", given_name, family_name)
    if form.errors or birth_on is None or email is None:
        return None, ""
    return Person(given_name, family_name, birth_on, email, current()), password


def _name(form: Form, name: str, words: NameWords) -> str:
    value = form.text(name)
    if not value:
        form.wrong(name, _(words.missing))
    elif len(value) > LONGEST_NAME:
        form.wrong(name, _(words.too_long, most=LONGEST_NAME))
    elif "@" in value or not any(letter.isalpha() for letter in value):
        form.wrong(name, _(words.no_letters))
    return value


def read_birth_date(form: Form, name: str = "birth") -> date | None:
    """The day in three boxes, which must be one that somebody alive can have been born on."""
    parts = {part: form.text(f"{name}-{part}") for part in ("day", "month", "year")}
    try:
        return _birth_date(parts)
    except InvalidRequest as error:
        form.wrong(name, say(error))
        return None


def _birth_date(parts: dict[str, str]) -> date:
    missing = tuple(part for part, text in parts.items() if not text)
    if len(missing) == len(parts):
        raise InvalidRequest(N_("Enter your date of birth"))
    if missing:
        raise InvalidRequest(MISSING_PARTS[missing])
    if not all(text.isdecimal() and text.isascii() for text in parts.values()):
        raise InvalidRequest(N_("Date of birth must be a real date, like 31 3 1980"))
    if len(parts["year"]) != 4:
        raise InvalidRequest(N_("Year of birth must have 4 numbers, like 1980"))
    try:
        born = date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except ValueError as error:
        raise InvalidRequest(N_("Date of birth must be a real date, like 31 3 1980")) from error
    today = clock.now().date()
    if born > today:
        raise InvalidRequest(N_("Date of birth must be in the past"))
    if today.year - born.year > OLDEST_YEARS:
        raise InvalidRequest(N_("Check the year of your date of birth"))
    return born


def read_email(form: Form, name: str = "email") -> str | None:
    """An address; one that looks like a slip of the fingers is asked about once, and taken when it is sent again."""
    try:
        email = emails.clean(request.form.get(name, ""))
    except InvalidRequest as error:
        form.wrong(name, say(error))
        return None
    meant = emails.likely_meant(email)
    if meant is not None and request.form.get("email_asked") != email:
        form.wrong(
            name,
            _("Did you mean %(meant)s? If %(email)s is right, continue with it as it is", meant=meant, email=email),
        )
    return email


def read_new_password(form: Form, *known: str) -> str:
    """A password that will do."""
    password = request.form.get("password", "")
    try:
        passwords.check_new(password, *known)
    except InvalidRequest as error:
        form.wrong("password", say(error))
    return password
