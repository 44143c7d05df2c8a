"""What the forms about an absence say: whose it is, from when until when, and what is done with each visit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import exists, select

from clinic_portal import clock
from clinic_portal.backoffice import places
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.models import AbsenceAct, AbsenceReason, AvailabilityRule, ExceptionKind, Practitioner
from clinic_portal.scheduling.absence_options import Away, Choice
from clinic_portal.scheduling.blocks import Away as Period
from clinic_portal.scheduling.zones import home_zone
from clinic_portal.settings import load_settings

REST, TODAY, DAYS, HOURS = "rest", "today", "days", "hours"
PERIODS = {
    REST: "The rest of today",
    TODAY: "All of today",
    DAYS: "Whole days",
    HOURS: "Some hours of one day",
}
FIELD, PROPOSED = "visit-", "proposed-"
_TIME = re.compile(r"([01]?\d|2[0-3])[:.]?([0-5]\d)", re.ASCII)
_INSTANT = "%Y%m%dT%H%MZ"
_NUMBER = re.compile(r"[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """An absence as somebody entered it."""

    practitioner: Practitioner
    period: Period

    @property
    def away(self) -> Away:
        return Away(self.practitioner.id, *self.period.bounds())

    def address(self) -> dict[str, str]:
        """The same as the fields of an address, with the very hours."""
        return {
            "clinician": self.practitioner.public_id,
            "from": self.period.starts_on.isoformat(),
            "starts": _clock(self.period.starts_min),
            "until": self.period.ends_on.isoformat(),
            "ends": _clock(self.period.ends_min),
        }


def reachable(limit: frozenset[int] | None) -> list[Practitioner]:
    """The clinicians for whom somebody may do this: all, or those who work at their places."""
    query = select(Practitioner).where(Practitioner.is_active).order_by(Practitioner.name, Practitioner.id)
    if limit is not None:
        here = exists().where(
            AvailabilityRule.practitioner_id == Practitioner.id, AvailabilityRule.location_id.in_(limit)
        )
        query = query.where(here)
    return list(db.session().scalars(query))


def clinician_of(public_id: str, limit: frozenset[int] | None) -> Practitioner:
    """One of them. Raises: NotFound."""
    found = {one.public_id: one for one in reachable(limit)}
    if public_id not in found:
        raise NotFound
    return found[public_id]


def read_asked(values: Mapping[str, str], limit: frozenset[int] | None) -> Asked:
    """The absence that an address or a form names.

    Raises: InvalidRequest naming the field; NotFound for somebody out of reach.
    """
    if not values.get("clinician"):
        raise InvalidRequest("Choose who is away.", field="clinician")
    practitioner = clinician_of(values["clinician"], limit)
    zone = home_zone(db.session(), practitioner.id)
    period = _read_period(values, zone)
    try:
        period.check(clock.now(), load_settings(db.session()).number("grid_min"))
    except InvalidRequest as error:
        # As the fields are called here.
        last = "ends" if values.get("period") == HOURS else "until"
        field = {"starts_on": "from", "ends_on": last}.get(error.facts.get("field", ""), "")
        raise InvalidRequest(error.message, **{**error.facts, "field": field}) from error
    return Asked(practitioner, period)


def read_reason(form: Mapping[str, str]) -> AbsenceReason:
    """Why somebody is away: it travels in no address. Raises: InvalidRequest."""
    reasons = {one.value: one for one in AbsenceReason}
    if form.get("reason") not in reasons:
        raise InvalidRequest("Choose why.", field="reason")
    return reasons[form["reason"]]


def _read_period(values: Mapping[str, str], zone: str) -> Period:
    kind, now = values.get("period"), clock.local(clock.now(), zone)
    today = now.date()
    if kind == REST:
        grid_min = load_settings(db.session()).number("grid_min")
        minute = (now.hour * 60 + now.minute) // grid_min * grid_min
        return Period(ExceptionKind.OFF, zone, today, minute, today, DAY_MIN)
    if kind == TODAY:
        return Period(ExceptionKind.OFF, zone, today, 0, today, DAY_MIN)
    if kind not in (None, DAYS, HOURS):
        raise InvalidRequest("Choose for how long.", field="period")
    first = _read_day(values, "from")
    if kind == HOURS:
        return Period(ExceptionKind.OFF, zone, first, _read_time(values, "starts"), first, _read_time(values, "ends"))
    last = _read_day(values, "until") if values.get("until") else first
    if kind == DAYS:
        return Period(ExceptionKind.OFF, zone, first, 0, last, DAY_MIN)
    return Period(ExceptionKind.OFF, zone, first, _read_time(values, "starts"), last, _read_time(values, "ends"))


def _read_day(values: Mapping[str, str], field: str) -> date:
    text = values.get(field, "").strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in clock.YEARS:
        raise InvalidRequest("Enter a day like 2026-11-24." if text else "Enter a day.", field=field)
    return day


def _read_time(values: Mapping[str, str], field: str) -> int:
    text = values.get(field, "").strip()
    if text == "24:00":
        return DAY_MIN
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidRequest("Enter a time like 9:30 or 17:00.", field=field)
    minute = int(found[1]) * 60 + int(found[2])
    grid_min = load_settings(db.session()).number("grid_min")
    if minute % grid_min:
        raise InvalidRequest(f"Enter a time in steps of {grid_min} minutes.", field=field)
    return minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def write_choice(choice: Choice) -> str:
    """A choice as it travels in a form: "same_time:3:20260302T0930Z"."""
    if choice.starts_at is None:
        return choice.act.value
    return f"{choice.act.value}:{choice.practitioner_id}:{choice.starts_at.astimezone(UTC):{_INSTANT}}"


def read_choice(text: str) -> Choice | None:
    """The choice behind it; None when it is none."""
    code, *rest = text.split(":")
    if code not in {one.value for one in AbsenceAct}:
        return None
    act = AbsenceAct(code)
    if act in (AbsenceAct.WAITING_LIST, AbsenceAct.KEEP, AbsenceAct.CANCEL):
        return Choice(act) if not rest else None
    if len(rest) != 2 or not _NUMBER.fullmatch(rest[0]):
        return None
    try:
        starts_at = datetime.strptime(rest[1], _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Choice(act, int(rest[0]), starts_at) if starts_at.year in clock.YEARS else None


@dataclass(frozen=True)
class Chosen:
    """What a form says about each visit, and which of it somebody chose by hand."""

    choices: dict[int, Choice]
    by_hand: frozenset[int]

    def pins(self) -> dict[int, Choice]:
        """What the plan has to keep."""
        return {id_: choice for id_, choice in self.choices.items() if id_ in self.by_hand}


def read_chosen(form: Mapping[str, str]) -> Chosen:
    """The choices of a form; one that is none is left out, and planned anew."""
    choices, by_hand = {}, set()
    for name, text in form.items():
        number = name.removeprefix(FIELD)
        if name == number or not _NUMBER.fullmatch(number):
            continue
        choice = read_choice(text)
        if choice is not None:
            choices[int(number)] = choice
            if text != form.get(f"{PROPOSED}{number}"):
                by_hand.add(int(number))
    return Chosen(choices, frozenset(by_hand))


def typed(values: Mapping[str, str]) -> dict[str, Any]:
    """What stands in the first form."""
    today = places.today()
    first = {"clinician": "", "period": TODAY, "from": today.isoformat(),
             "until": (today + timedelta(days=1)).isoformat(), "starts": "", "ends": ""}  # fmt: skip
    return {name: values.get(name, default) for name, default in first.items()}
