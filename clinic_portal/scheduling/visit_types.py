"""What a clinic says about a kind of visit: its words, who may book it online, and its own values of settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.languages import TRANSLATED
from clinic_portal.models import ALL_MODES, VisitType, VisitTypeText, WhoMayBook
from clinic_portal.models.base import plain
from clinic_portal.settings import BY_NAME, DEFINITIONS, Settings, clear_setting, load_settings, put_setting

OLDEST = 130
LONGEST_STEP_MIN = 240
EARLIEST_MIN = 120
# The shortest and the longest text of each column that patients read.
TEXTS = {
    "name": (1, 80),
    "neutral_name": (1, 80),
    "hint": (0, 200),
    "how_to_prepare": (0, 500),
    "what_to_bring": (0, 500),
}
# What is said in each language; empty: as in English.
TOLD = ("name", "hint", "how_to_prepare", "what_to_bring")
TRANSLATIONS = {f"{name}_{language}": (name, language) for language in TRANSLATED for name in TOLD}
FLAGS = ("is_sensitive", "may_be_acute", "needs_triage", "is_active")
COLUMNS = (*TEXTS, "modes", "who_may_book", "min_age", "max_age", *FLAGS, "start_step_min", "arrive_early_min")
# Those that a visit type may have of its own; without one the clinic's value counts.
OWN_SETTINGS = tuple(definition.name for definition in DEFINITIONS if definition.per_visit_type)


def values_of(visit_type: VisitType, settings: Settings) -> dict[str, Any]:
    """Everything that can be changed about a visit type, as it is now; None where it has no value of its own."""
    columns = {name: getattr(visit_type, name) for name in COLUMNS}
    texts = {text.language: text for text in visit_type.texts}
    told = {key: getattr(texts.get(language), name, "") for key, (name, language) in TRANSLATIONS.items()}
    return columns | told | {name: settings.by_visit_type.get((name, visit_type.id)) for name in OWN_SETTINGS}


@writing
def change_visit_type(
    session: Session, *, actor: Actor, visit_type_id: int, values: dict[str, Any], expected_version: int
) -> VisitType:
    """Change a kind of visit; what is booked already stays as it is.

    Args: values, by the names in `COLUMNS`, `TRANSLATIONS` and `OWN_SETTINGS`; None takes a setting of its own away.
    Commits: the visit type (version up) with its settings, audit with what differs; nothing when nothing does.
    Raises: InvalidRequest naming the `field` that is wrong, VersionConflict when somebody changed it since the form was
    made, NotAllowed for anybody but the clinic, NotFound.
    """
    if not actor.is_clinic:
        raise NotAllowed
    visit_type = session.scalar(select(VisitType).where(VisitType.id == visit_type_id).with_for_update())
    if visit_type is None:
        raise NotFound
    if visit_type.version != expected_version:
        raise VersionConflict(version=visit_type.version)
    settings = load_settings(session)
    before = values_of(visit_type, settings)
    check_values(values, settings.number("grid_min"))
    changed = {name: value for name, value in values.items() if value != before[name]}
    if not changed:
        return visit_type
    for name, value in changed.items():
        _put(session, visit_type, name, value)
    visit_type.version += 1
    session.flush()
    told = {name: _plain(before[name]) for name in changed}
    record(session, actor, "change", visit_type, before=told, after={name: _plain(changed[name]) for name in changed})
    return visit_type


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else plain(value)


def _put(session: Session, visit_type: VisitType, name: str, value: Any) -> None:
    if name in COLUMNS:
        setattr(visit_type, name, value)
    elif name in TRANSLATIONS:
        column, language = TRANSLATIONS[name]
        setattr(text_in(visit_type, language), column, value)
    elif value is None:
        clear_setting(session, name, visit_type.id)
    else:
        put_setting(session, name, value, visit_type.id)


def text_in(visit_type: VisitType, language: str) -> VisitTypeText:
    """The row with what a visit type says in one language; a new one when there is none."""
    for text in visit_type.texts:
        if text.language == language:
            return text
    text = VisitTypeText(language=language)
    visit_type.texts.append(text)
    return text


def check_values(values: dict[str, Any], grid_min: int) -> None:
    """Refuse what makes no sense.

    Raises: InvalidRequest naming the `field`.
    """
    if unknown := values.keys() - {*COLUMNS, *TRANSLATIONS, *OWN_SETTINGS}:
        raise InvalidRequest(f"There is nothing to set named {min(unknown)}.")
    for name, (low, high) in (TEXTS | {key: (0, TEXTS[name][1]) for key, (name, _) in TRANSLATIONS.items()}).items():
        if name in values and not low <= len(values[name]) <= high:
            raise InvalidRequest(f"Use {low or 'no'} to {high} characters.", field=name)
    if not isinstance(values.get("who_may_book", WhoMayBook.ANYONE), WhoMayBook):
        raise InvalidRequest("Choose who may book it.", field="who_may_book")
    modes = values.get("modes", ALL_MODES)
    if not modes or modes - ALL_MODES:
        raise InvalidRequest("Choose at least one way in which patients are seen.", field="modes")
    _check_ages(values)
    _check_minutes(values, grid_min)
    for name in OWN_SETTINGS:
        value = values.get(name)
        if value is not None and not BY_NAME[name].is_valid(value):
            raise InvalidRequest("This value is not possible.", field=name)


def _check_ages(values: dict[str, Any]) -> None:
    ages = {name: values.get(name) for name in ("min_age", "max_age")}
    for name, age in ages.items():
        if age is not None and not 0 <= age <= OLDEST:
            raise InvalidRequest(f"Enter an age from 0 to {OLDEST}, or nothing.", field=name)
    low, high = ages.values()
    if low is not None and high is not None and low > high:
        raise InvalidRequest("The oldest must not be younger than the youngest.", field="max_age")


def _check_minutes(values: dict[str, Any], grid_min: int) -> None:
    step, early = values.get("start_step_min", grid_min), values.get("arrive_early_min", 0)
    if step is None or not 0 < step <= LONGEST_STEP_MIN or step % grid_min:
        raise InvalidRequest(f"Enter minutes that are a multiple of {grid_min}.", field="start_step_min")
    if early is None or not 0 <= early <= EARLIEST_MIN:
        raise InvalidRequest(f"Enter from 0 to {EARLIEST_MIN} minutes.", field="arrive_early_min")
