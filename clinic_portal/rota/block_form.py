"""A block of the week: how it travels in forms."""

from __future__ import annotations

from datetime import date
from typing import Any

from werkzeug.datastructures import MultiDict

from clinic_portal.clock import DAY_MIN
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _
from clinic_portal.models import (
    ALL_MODES,
    MODE_BIT,
    Audience,
    AvailabilityRule,
    Mode,
    Practitioner,
    ReleasePolicy,
    RuleKind,
)
from clinic_portal.rota.reading import (
    Values,
    chosen_visit_types,
    places,
    read_code,
    read_day,
    read_day_or_none,
    read_location,
    read_number,
    read_time,
    read_visit_types,
    visit_types_of,
)
from clinic_portal.scheduling.blocks import Block
from clinic_portal.wording import weekday_long

WEEKDAYS = range(7)
WEEKLY, WEEKS, MONTH = "weekly", "weeks", "month"
REPEATS = {WEEKLY: N_("Every week"), WEEKS: N_("Every few weeks"), MONTH: N_("Once a month")}
NTH = {1: N_("First"), 2: N_("Second"), 3: N_("Third"), 4: N_("Fourth"), 5: N_("Fifth")}
KINDS = {
    RuleKind.CLINIC: (N_("Seeing patients"), ""),
    RuleKind.BREAK: (N_("A break"), N_("It takes time from the hours around it.")),
}
AUDIENCES = {
    Audience.PUBLIC: N_("Everybody"),
    Audience.INVITED: N_("Only patients who are invited"),
    Audience.STAFF: N_("Only the desk"),
}
RELEASES = {
    ReleasePolicy.AT_ONCE: N_("At once"),
    ReleasePolicy.DAYS_BEFORE: N_("Some days before, at a time of day"),
    ReleasePolicy.HOURS_BEFORE: N_("Some hours before"),
    ReleasePolicy.NEVER: N_("Never: the desk books it"),
}
MODES = {Mode.IN_PERSON: N_("In person"), Mode.PHONE: N_("By phone"), Mode.VIDEO: N_("By video")}


def read_blocks(values: Values) -> list[Block]:
    """The same block on each weekday that is ticked.

    Raises: InvalidRequest, naming the field.
    """
    weekdays = sorted({day for day in values.getlist("weekdays") if day in {str(one) for one in WEEKDAYS}})
    if not weekdays:
        raise InvalidRequest(N_("Choose at least one day of the week."), field="weekdays")
    return [_block(values, int(day)) for day in weekdays]


def _block(values: Values, weekday: int) -> Block:
    starts, ends = read_time(values, "starts"), read_time(values, "ends")
    if values.get("next_day"):
        ends += DAY_MIN
    policy = ReleasePolicy(read_code(values, "release_policy", ReleasePolicy, ReleasePolicy.AT_ONCE.value))
    return Block(
        location_id=read_location(values),
        weekday=weekday,
        starts_min=starts,
        ends_min=ends,
        valid_from=read_day(values, "valid_from"),
        valid_until=read_day_or_none(values, "valid_until"),
        kind=RuleKind(read_code(values, "kind", RuleKind, RuleKind.CLINIC.value)),
        **_rhythm(values),
        audience=Audience(read_code(values, "audience", Audience, Audience.PUBLIC.value)),
        release_policy=policy,
        release_before=read_number(values, "release_before", 0) if policy in _WITH_NUMBER else 0,
        release_at_min=read_time(values, "release_at") if policy is ReleasePolicy.DAYS_BEFORE else 0,
        modes=frozenset(Mode(one) for one in values.getlist("modes") if one in {mode.value for mode in MODE_BIT}),
        visit_type_ids=read_visit_types(values),
    )


_WITH_NUMBER = (ReleasePolicy.DAYS_BEFORE, ReleasePolicy.HOURS_BEFORE)


def _rhythm(values: Values) -> dict[str, Any]:
    repeats = values.get("repeats", WEEKLY)
    if repeats == WEEKS:
        anchor = read_day_or_none(values, "anchor_on") or read_day(values, "valid_from")
        return {"every_n_weeks": read_number(values, "every_n_weeks", 2), "anchor_on": anchor}
    if repeats == MONTH:
        return {"nth_of_month": read_number(values, "nth_of_month", 1)}
    return {}


def new_values(today: date) -> Values:
    """What an empty form shows."""
    return MultiDict([
        ("starts", "09:00"), ("ends", "12:00"), ("valid_from", today.isoformat()), ("repeats", WEEKLY),
        ("kind", RuleKind.CLINIC.value), ("audience", Audience.PUBLIC.value),
        ("release_policy", ReleasePolicy.AT_ONCE.value), *(("modes", mode.value) for mode in MODE_BIT),
    ])  # fmt: skip


def values_of(rule: AvailabilityRule, today: date) -> Values:
    """A block as its form shows it, to be changed from today on."""
    values: Values = MultiDict([
        ("weekdays", str(rule.weekday)), ("starts", written(rule.starts_min)), ("ends", written(rule.ends_min)),
        ("location", rule.location.public_id), ("kind", rule.kind.value),
        ("valid_from", max(today, rule.valid_from).isoformat()),
        ("valid_until", rule.valid_until.isoformat() if rule.valid_until else ""),
        ("repeats", MONTH if rule.nth_of_month else WEEKS if rule.every_n_weeks > 1 else WEEKLY),
        ("every_n_weeks", str(rule.every_n_weeks)), ("nth_of_month", str(rule.nth_of_month or 1)),
        ("anchor_on", (rule.anchor_on or rule.valid_from).isoformat() if rule.every_n_weeks > 1 else ""),
        ("audience", rule.audience.value), ("release_policy", rule.release_policy.value),
        ("release_before", str(rule.release_before or "")), ("release_at", written(rule.release_at_min)),
        *(("modes", mode.value) for mode in MODE_BIT if mode in rule.modes),
        *chosen_visit_types(rule.visit_type_ids),
    ])  # fmt: skip
    if rule.ends_min > DAY_MIN:
        values["next_day"] = "yes"
    return values


def written(minute: int) -> str:
    """A minute of the day as a form has it; the end of a day is 24:00."""
    if minute == DAY_MIN:
        return "24:00"
    return f"{minute % DAY_MIN // 60:02}:{minute % 60:02}"


def choices(values: Values, practitioner: Practitioner) -> dict[str, Any]:
    """What the form of a block shows: everything that can be chosen, with what was."""
    return {
        "values": values,
        "weekdays": _options({str(day): weekday_long(day) for day in WEEKDAYS}, values.getlist("weekdays")),
        "places": _options({one.public_id: one.name for one in places()}, values.getlist("location")),
        "kinds": [
            option | {"hint": _(hint) if hint else ""}
            for option, (_words, hint) in zip(
                _options({kind.value: _(words) for kind, (words, _hint) in KINDS.items()}, values.getlist("kind")),
                KINDS.values(), strict=True,
            )
        ],
        "repeats": _options({code: _(words) for code, words in REPEATS.items()}, values.getlist("repeats")),
        "nths": _options({str(nth): _(words) for nth, words in NTH.items()}, values.getlist("nth_of_month")),
        "audiences": _options({one.value: _(words) for one, words in AUDIENCES.items()}, values.getlist("audience")),
        "releases": _options(
            {one.value: _(words) for one, words in RELEASES.items()}, values.getlist("release_policy")
        ),
        "modes": _options({mode.value: _(words) for mode, words in MODES.items()}, values.getlist("modes")),
        "visit_types": visit_types_of(practitioner, values.getlist("visit_types")),
        "has_more": is_special(values),
    }  # fmt: skip


def is_special(values: Values) -> bool:
    """Whether one of the boxes that few need says something."""
    usual = {"audience": Audience.PUBLIC.value, "release_policy": ReleasePolicy.AT_ONCE.value, "repeats": WEEKLY}
    differs = any(values.get(name, code) != code for name, code in usual.items())
    return (
        differs
        or bool(values.get("valid_until") or values.getlist("visit_types"))
        or len(values.getlist("modes")) < len(ALL_MODES)
    )


def _options(words: dict[str, str], chosen: list[str]) -> list[dict[str, Any]]:
    return [{"value": code, "label": text, "hint": "", "is_checked": code in chosen} for code, text in words.items()]
