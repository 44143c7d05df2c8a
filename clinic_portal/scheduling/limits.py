"""What clinics let patients book by themselves: who, at which age, how often and how many.

One place decides: pages offer what it lets through, and the services ask it again when a time is kept or booked.
Everything counts for the patient, whoever books. The desk is not limited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import read_once
from clinic_portal.errors import NotBookableOnline, NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast
from clinic_portal.languages import N_, NN_
from clinic_portal.models import Appointment, IdentityStatus, Location, Status, WhoMayBook, years_between
from clinic_portal.scheduling.referrals import Allowance
from clinic_portal.settings import Settings

DAYS_A_MONTH = 30
# A visit ended at most so long after it began.
LONGEST_VISIT = timedelta(days=1)


@dataclass(frozen=True)
class Rules:
    """What the clinic has set for one visit type."""

    visit_type_id: int
    name: str
    who_may_book: WhoMayBook
    min_age: int | None
    max_age: int | None
    min_days_since_same: int
    max_open_per_patient: int
    max_open_in_all: int
    may_be_acute: bool
    is_sensitive: bool
    # One text for each language.
    emergency_signs: tuple[str, ...]

    @property
    def depend_on_day(self) -> bool:
        has_ages = self.min_age is not None or self.max_age is not None
        return has_ages or self.min_days_since_same > 0 or self.who_may_book is WhoMayBook.REFERRED


@dataclass(frozen=True)
class KnownVisit:
    """A visit that counts: seen, or still to come."""

    visit_type_id: int
    on: date
    is_ahead: bool


@dataclass(frozen=True)
class Person:
    """What the clinic knows of a patient, as far as the limits ask."""

    birth_on: date | None
    is_known: bool
    visits: tuple[KnownVisit, ...]
    # The clinic has asked them to book this very kind of visit.
    is_invited: bool = False


@dataclass(frozen=True)
class Limits:
    """The rules of a visit type for one person; without a person nothing is limited: the desk, or nobody in particular.

    A visit that is moved keeps its place: who may book and how many are not asked again.
    """

    rules: Rules
    person: Person | None = None
    is_move: bool = False
    referrals: tuple[Allowance, ...] = ()

    def refusal(self) -> NotBookableOnline | None:
        """Why this person cannot book this visit type at all now, whatever the day."""
        if self.person is None or self.is_move:
            return None
        return self._not_for(self.person) or self._too_many(self.person)

    def refusal_on(self, day: date) -> NotBookableOnline | None:
        """Why this person cannot have this visit on a day.

        Times: a day at the place of the visit.
        """
        if self.person is None or not self.depend_on_day:
            return None
        return self._not_referred(day) or self._wrong_age(self.person, day) or self._too_soon(self.person, day)

    @property
    def depend_on_day(self) -> bool:
        """Whether some days may be refused and others not."""
        return self.person is not None and self.rules.depend_on_day

    @property
    def asks_safety(self) -> bool:
        """Whether it must have been checked that this is no emergency."""
        return self.rules.may_be_acute and self.person is not None and not self.is_move

    def _not_for(self, person: Person) -> NotBookableOnline | None:
        who, name = self.rules.who_may_book, self.rules.name
        if person.is_invited:
            return None
        if who is WhoMayBook.STAFF:
            return NotForThisPatient(
                N_("%(name)s can only be booked by our staff. Call us, and we will look at it with you."),
                name=name,
                reason="staff",
            )
        if who is WhoMayBook.KNOWN_PATIENT and not person.is_known:
            return NotForThisPatient(
                N_(
                    "%(name)s can be booked online only by people whom we have seen here before. "
                    "Call us, and we will look at it with you."
                ),
                name=name,
                reason="known",
            )
        return None

    def _too_many(self, person: Person) -> NotBookableOnline | None:
        ahead = [visit.visit_type_id for visit in person.visits if visit.is_ahead]
        if len(ahead) >= (most := self.rules.max_open_in_all):
            return TooManyOpenVisits(
                NN_(
                    "There is already %(num)d appointment ahead; no more than %(most)s can be booked online. "
                    "Call us, and we will look at it with you.",
                    "There are already %(num)d appointments ahead; no more than %(most)s can be booked online. "
                    "Call us, and we will look at it with you.",
                ),
                num=len(ahead),
                most=most,
            )
        if ahead.count(self.rules.visit_type_id) >= self.rules.max_open_per_patient:
            return TooManyOpenVisits(
                N_("%(name)s is already booked. Change that appointment, or call us if you need another one."),
                name=self.rules.name,
                is_same_type=True,
            )
        return None

    def _not_referred(self, day: date) -> NotBookableOnline | None:
        """A visit that is moved has its referral already; it must only be as long ahead as that allows."""
        if self.rules.who_may_book is not WhoMayBook.REFERRED:
            return None
        if any(day <= one.valid_until and (one.left > 0 or self.is_move) for one in self.referrals):
            return None
        return NotForThisPatient(
            N_("%(name)s needs a referral that is still valid. Call us, and we will look at it with you."),
            name=self.rules.name,
            reason="referral",
        )

    def _wrong_age(self, person: Person, day: date) -> NotBookableOnline | None:
        low, high = self.rules.min_age, self.rules.max_age
        if low is None and high is None:
            return None
        age = None if person.birth_on is None else years_between(person.birth_on, day)
        if age is not None and (low is None or age >= low) and (high is None or age <= high):
            return None
        return NotForThisPatient(_for_ages(low, high), name=self.rules.name, low=low, high=high, reason="age")

    def _too_soon(self, person: Person, day: date) -> NotBookableOnline | None:
        apart = self.rules.min_days_since_same
        same = [visit.on for visit in person.visits if visit.visit_type_id == self.rules.visit_type_id]
        near = [other for other in same if abs((day - other).days) < apart]
        if not near:
            return None
        first = max(near) + timedelta(days=apart)
        return TooSoonAfterLast(
            NN_(
                "%(name)s: there must be %(num)d day between two appointments. "
                "The next one can be on %(day)s or later. If it cannot wait, call us.",
                "%(name)s: there must be %(num)d days between two appointments. "
                "The next one can be on %(day)s or later. If it cannot wait, call us.",
            ),
            name=self.rules.name,
            num=apart,
            day=first,
        )


def _for_ages(low: int | None, high: int | None) -> str:
    if high is None:
        return N_("%(name)s is for people aged %(low)s or over. Call us, and we will look at it with you.")
    if low is None:
        return N_("%(name)s is for people aged up to %(high)s. Call us, and we will look at it with you.")
    return N_("%(name)s is for people aged %(low)s to %(high)s. Call us, and we will look at it with you.")


def rules_of(visit_type: Any, name: str, settings: Settings) -> Rules:
    """The rules of a visit type, its name for the reader, and the clinic's settings."""
    return Rules(
        visit_type_id=visit_type.id,
        name=name,
        who_may_book=visit_type.who_may_book,
        min_age=visit_type.min_age,
        max_age=visit_type.max_age,
        min_days_since_same=settings.number("min_days_since_same", visit_type.id),
        max_open_per_patient=settings.number("max_open_per_patient", visit_type.id),
        max_open_in_all=settings.number("max_open_in_all"),
        may_be_acute=visit_type.may_be_acute,
        is_sensitive=visit_type.is_sensitive,
        emergency_signs=settings.texts("emergency_signs", visit_type.id),
    )


_VISITS = (
    select(
        Appointment.id,
        Appointment.visit_type_id,
        Appointment.status,
        Appointment.starts_at,
        Appointment.ends_at,
        Appointment.is_private,
        Location.zone,
    )
    .join(Location, Location.id == Appointment.location_id)
    .where(
        Appointment.patient_id == bindparam("patient_id"),
        # Missed and cancelled ones are no reason to wait.
        Appointment.status.in_((Status.BOOKED, Status.ARRIVED, Status.FULFILLED)),
        Appointment.starts_at > bindparam("since"),
    )
)
IDENTIFIED = (IdentityStatus.MATCHED, IdentityStatus.CHECKED_AT_DESK)


def read_person(
    session: Session,
    patient_id: int,
    found: Any,
    *,
    now: datetime,
    days_back: int,
    is_familiar: bool,
    counts: Callable[[Any], bool],
) -> Person:
    """What the limits must know of a patient.

    Args: found, a row with the patient's own birth date and identity status. days_back, how old visits may be that
    still count. is_familiar, whether the clinic has seen the patient lately. counts, which of the visits to count.
    """
    # From midnight, so that the same page asks the same again.
    since = (now - timedelta(days=days_back + 1) - LONGEST_VISIT).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = read_once(session, _VISITS, {"patient_id": patient_id, "since": since})
    return person_of(found, rows, now=now, is_familiar=is_familiar, counts=counts)


def person_of(
    found: Any, rows: Iterable[Any], *, now: datetime, is_familiar: bool, counts: Callable[[Any], bool]
) -> Person:
    """A person from rows that were read: birth date and identity, and the visits that may count."""
    visits = tuple(
        KnownVisit(
            row.visit_type_id,
            clock.local_date(row.starts_at, row.zone),
            is_ahead=row.status == Status.BOOKED and row.ends_at > now,
        )
        for row in rows
        if counts(row)
    )
    return Person(found.birth_on, is_familiar or found.identity_status in IDENTIFIED, visits)
