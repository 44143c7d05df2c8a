"""What a clinic says about a place: where it is, how one gets in, and where to park."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.languages import TRANSLATED
from clinic_portal.models import Location, LocationText

# The shortest and the longest text of each.
TEXTS = {"name": (1, 120), "address": (1, 200), "phone": (1, 40), "entrance_note": (0, 300), "parking_note": (0, 300)}
# What is said in each language; empty: as in English.
TOLD = ("entrance_note", "parking_note")
TRANSLATIONS = {f"{name}_{language}": (name, language) for language in TRANSLATED for name in TOLD}
FLAGS = ("is_step_free",)

Values = dict[str, str | bool]


def values_of(location: Location) -> Values:
    """Everything that can be changed about a place, as it is now."""
    texts = {text.language: text for text in location.texts}
    told = {key: getattr(texts.get(language), name, "") for key, (name, language) in TRANSLATIONS.items()}
    return {name: getattr(location, name) for name in (*TEXTS, *FLAGS)} | told


@writing
def change_location(
    session: Session, *, actor: Actor, location_id: int, values: Values, expected_version: int
) -> Location:
    """Change what is said about a place. Its time zone stays: hours and visits lie in it.

    Args: values, by the names in `TEXTS`, `TRANSLATIONS` and `FLAGS`.
    Commits: the place (version up), audit with what differs; nothing when nothing does.
    Raises: InvalidRequest naming the `field` that is wrong, VersionConflict when somebody changed it since the form was
    made, NotAllowed for anybody but the clinic, NotFound.
    """
    if not actor.is_clinic:
        raise NotAllowed
    location = session.scalar(select(Location).where(Location.id == location_id).with_for_update())
    if location is None:
        raise NotFound
    if location.version != expected_version:
        raise VersionConflict(version=location.version)
    _check(values)
    before = values_of(location)
    changed = {name: value for name, value in values.items() if value != before[name]}
    if not changed:
        return location
    for name, value in changed.items():
        row, column = (location, name) if name not in TRANSLATIONS else _translated(location, name)
        setattr(row, column, value)
    location.version += 1
    session.flush()
    record(session, actor, "change", location, before={name: before[name] for name in changed}, after=changed)
    return location


def _check(values: Values) -> None:
    if unknown := values.keys() - {*TEXTS, *TRANSLATIONS, *FLAGS}:
        raise InvalidRequest(f"There is nothing to set named {min(unknown)}.")
    for name, value in values.items():
        low, high = TEXTS[TRANSLATIONS[name][0]] if name in TRANSLATIONS else TEXTS.get(name, (0, 0))
        low = 0 if name in TRANSLATIONS else low
        if isinstance(value, str) and not low <= len(value) <= high:
            raise InvalidRequest(f"Use {low or 'no'} to {high} characters.", field=name)


def _translated(location: Location, name: str) -> tuple[LocationText, str]:
    """The row and the column of a text in another language; a new row when there is none."""
    column, language = TRANSLATIONS[name]
    for text in location.texts:
        if text.language == language:
            return text, column
    text = LocationText(language=language)
    location.texts.append(text)
    return text, column
