"""What somebody types to find a person: a name, a birth date, or a reference."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from clinic_portal.database import db
from clinic_portal.models import Patient, fold

# Day before month, as dates are said here; the ISO order is told by its four digits in front.
_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d %m %Y", "%d%m%Y", "%d %B %Y", "%d %b %Y")
# Sorts after every character of a name.
_LAST = "\U0010ffff"


def birth_date(text: str) -> date | None:
    """The date that somebody typed in any usual way, or None when it is none."""
    text = " ".join(text.split())
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a calendar date has no zone
        except ValueError:
            continue
    return None


def people(text: str) -> ColumnElement[bool]:
    """A condition on patients: born on that day, or a name that begins so, in either order of given and family name."""
    born = birth_date(text)
    if born is not None:
        return Patient.birth_on == born
    words = fold(text).split()
    typed, turned = " ".join(words), " ".join(words[-1:] + words[:-1])
    return or_(*[begins_with(Patient.search_name, prefix) for prefix in sorted({typed, turned})])


def begins_with(column: Any, prefix: str) -> ColumnElement[bool]:
    """A condition that an index answers: never a search inside the text.

    SQLite compares bytes, so a range is exact there; Postgres compares by language rules and needs LIKE.
    """
    if db.engine.dialect.name == "sqlite":
        return and_(column >= prefix, column < prefix + _LAST)
    condition: ColumnElement[bool] = column.startswith(prefix, autoescape=True)
    return condition
