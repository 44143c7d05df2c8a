"""Whom somebody at the desk means: parts of a name, a birth date, the end of a phone number, or a visit's reference.

Each part is found by an index, however many patients there are, and never more than one page of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import joinedload, selectinload

from clinic_portal import clock
from clinic_portal.backoffice import find, places
from clinic_portal.database import db
from clinic_portal.models import (
    Appointment,
    ContactPoint,
    Patient,
    PatientWord,
    Status,
    fold,
    id_from_reference,
    reversed_digits,
)

MOST = 20
# Fewer letters or digits would find half the clinic.
LEAST_LETTERS, LEAST_DIGITS = 2, 3
# So many letters of a word as are kept.
LONGEST_WORD = 80
FIRST_YEAR, LAST_MONTH = 1900, 12

_DATE = re.compile(r"(?<!\d)(\d{1,4})[\s./-]{1,3}(\d{1,2})[\s./-]{1,3}(\d{4}|\d{1,2})(?!\d)", re.ASCII)
_DATE_IN_WORDS = re.compile(r"(?<!\d)\d{1,2}\.? [^\W\d]{3,9} \d{4}(?!\d)")
_EIGHT_DIGITS = re.compile(r"(?<!\d)\d{8}(?!\d)", re.ASCII)
_NUMBERS = re.compile(r"\+?[\d()./-]*\d[\d()./-]*", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """What a line means: all parts of it must fit a person; a reference stands for itself."""

    words: tuple[str, ...] = ()
    # More than one where a year has two digits.
    born: tuple[date, ...] = ()
    # The digits from the end of a number.
    tail: str = ""
    visit_id: int | None = None

    @property
    def is_about_people(self) -> bool:
        return bool(self.born) or len(self.tail) >= LEAST_DIGITS or any(len(w) >= LEAST_LETTERS for w in self.words)


@dataclass(frozen=True)
class Found:
    """One person, with the next visit that the person looking may see."""

    patient: Patient
    next_visit: Appointment | None = None


@dataclass(frozen=True)
class Results:
    people: list[Found] = field(default_factory=list)
    visit: Appointment | None = None
    is_cut: bool = False
    is_too_short: bool = False


def read(text: str) -> Asked:
    """What somebody typed, taken apart."""
    line = " ".join(text.split())
    born, rest = _take_date(line)
    numbers = _NUMBERS.findall(rest)
    tail = reversed_digits("".join(numbers))
    # Whether a number begins with 0 or with the country's code: its end is the same.
    tail = tail.rstrip("0") if len(tail) >= 8 else tail
    words = dict.fromkeys(word[:LONGEST_WORD] for word in fold(_NUMBERS.sub(" ", rest)).split())
    return Asked(tuple(words), born, tail, id_from_reference(line))


def _take_date(line: str) -> tuple[tuple[date, ...], str]:
    """The first date in a line, in any usual order, and the line without it."""
    today = clock.now().date()
    for match in [*_DATE.finditer(line), *_DATE_IN_WORDS.finditer(line), *_EIGHT_DIGITS.finditer(line)]:
        days = tuple(day for day in _days(match) if day.year >= FIRST_YEAR and day <= today)
        if days:
            return days, f"{line[: match.start()]} {line[match.end() :]}"
    return (), line


def _days(match: re.Match[str]) -> Iterator[date]:
    if not match.re.groups:
        day = find.birth_date(match[0].replace(".", ""))
        yield from [day] if day else []
        return
    first, middle, last = match.groups()
    if len(first) == 4:
        yield from _day(int(first), int(middle), int(last))
        return
    # The day comes first, unless what stands second can be no month.
    pair = [int(first), int(middle)] if int(middle) <= LAST_MONTH else [int(middle), int(first)]
    for year in [int(last)] if len(last) == 4 else [1900 + int(last), 2000 + int(last)]:
        yield from _day(year, pair[1], pair[0])


def _day(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year, month, day)
    except ValueError:
        return


def look_for(text: str, limit: frozenset[int] | None) -> Results:
    """Who and what is meant by a line.

    Args: limit, the only locations whose visits the person looking may see.
    """
    asked = read(text)
    visit = _visit(asked.visit_id, limit)
    if not asked.is_about_people:
        return Results(visit=visit, is_too_short=visit is None)
    ids = list(db.session.scalars(_people(asked).limit(MOST + 1)))
    people = _read_people(ids[:MOST])
    upcoming = _next_visits([patient.id for patient in people], limit)
    found = [Found(patient, upcoming.get(patient.id)) for patient in people]
    return Results(found, visit, is_cut=len(ids) > MOST)


def _people(asked: Asked) -> Select[Any]:
    """The ids of the patients whom all parts fit. The longest word leads: it has the fewest."""
    words = sorted(asked.words, key=len, reverse=True)
    query = select(Patient.id).where(Patient.merged_into_id.is_(None))
    if asked.born:
        query = query.where(Patient.birth_on.in_(asked.born))
    if len(asked.tail) >= LEAST_DIGITS:
        numbers = select(ContactPoint.patient_id).where(
            find.begins_with(ContactPoint.phone_tail, asked.tail), ContactPoint.ended_at.is_(None)
        )
        query = query.where(Patient.id.in_(numbers))
    elif not asked.born and words:
        leading = select(PatientWord.patient_id).where(find.begins_with(PatientWord.word, words.pop(0)))
        query = query.where(Patient.id.in_(leading))
    for word in words:
        query = query.where(_has(word))
    return query


def _has(word: str) -> Any:
    return exists().where(PatientWord.patient_id == Patient.id, find.begins_with(PatientWord.word, word))


def _read_people(ids: list[int]) -> list[Patient]:
    query = select(Patient).where(Patient.id.in_(ids)).options(selectinload(Patient.contact_points))
    return list(db.session.scalars(query.order_by(Patient.search_name, Patient.id)))


def _next_visits(ids: list[int], limit: frozenset[int] | None) -> dict[int, Appointment]:
    ahead = select(Appointment).where(
        Appointment.patient_id.in_(ids),
        Appointment.status.in_((Status.BOOKED, Status.ARRIVED)),
        Appointment.starts_at > clock.day_bounds(places.today(), places.clinic_zone())[0],
        Appointment.ends_at > clock.now(),
    )
    if limit is not None:
        ahead = ahead.where(Appointment.location_id.in_(limit))
    found: dict[int, Appointment] = {}
    for visit in db.session.scalars(ahead.options(joinedload(Appointment.location)).order_by(Appointment.starts_at)):
        found.setdefault(visit.patient_id, visit)
    return found


def _visit(id_: int | None, limit: frozenset[int] | None) -> Appointment | None:
    if id_ is None:
        return None
    query = select(Appointment).where(Appointment.id == id_)
    if limit is not None:
        query = query.where(Appointment.location_id.in_(limit))
    eager = (joinedload(Appointment.patient), joinedload(Appointment.location), joinedload(Appointment.visit_type))
    return db.session.scalar(query.options(*eager))
