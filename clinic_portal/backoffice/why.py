"""Why this clinician: the kept scores of the choice, in words (UC5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_portal.scheduling.assignment import SCORES, TWO_GAPS_SCORE
from clinic_portal.scheduling.continuity import USUAL

# Half of the top score: from here on a finding speaks for the clinician.
HALF = 0.5


@dataclass(frozen=True)
class Reason:
    """One of the four things that are weighed; the score runs from 0 to 100."""

    what: str
    finding: str
    score: int


def reasons(choice: Mapping[str, Any], name: str) -> list[Reason]:
    """The four scores of a choice in words; none when a person chose, or the visit was imported."""
    if not all(isinstance(choice.get(score), int | float) for score in SCORES):
        return []
    return [
        _reason("Knows the patient", _continuity(choice, name), choice["continuity"]),
        _reason("Scarce skills", _scarcity(choice["scarcity"], name), choice["scarcity"]),
        _reason("Workload", f"{_percent(choice['load'])}% of {name}’s time that day was still free.", choice["load"]),
        _reason("Gaps", _gaps(choice["gaps"]), choice["gaps"]),
    ]


def field_of(choice: Mapping[str, Any], name: str) -> str:
    """How many could have taken the visit."""
    count = choice.get("candidates")
    if not count:
        return ""
    return f"Only {name} could take this time." if count == 1 else f"{count} clinicians could take this time."


def _reason(what: str, finding: str, score: float) -> Reason:
    return Reason(what, finding, _percent(score))


def _percent(score: float) -> int:
    return round(100 * score)


def _continuity(choice: Mapping[str, Any], name: str) -> str:
    if choice["continuity"] == 0:
        return f"The patient has no recent visit with {name}."
    if choice.get("familiar") == USUAL:
        return f"{name} is the patient’s usual clinician."
    return f"The patient saw {name} last."


def _scarcity(score: float, name: str) -> str:
    if score == 1:
        return f"{name} is not needed for any other visit type."
    if score >= HALF:
        return f"{name}’s other visit types can be done by colleagues too."
    return f"{name} is also needed for visit types that few colleagues can do."


def _gaps(score: float) -> str:
    if score == 1:
        return "Leaves no free time too short for another visit."
    if score == TWO_GAPS_SCORE:
        return "Leaves free time on both sides, long enough for other visits."
    return "Leaves free time too short for another visit."
