"""A change of somebody's hours as a value: what it does, and how it is written down until somebody agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from clinic_portal.models import Audience, ExceptionKind, Mode, Modes, ReleasePolicy, RuleKind
from clinic_portal.scheduling.blocks import Away, Block, plain


@dataclass(frozen=True)
class WeekChange:
    """What changes in a week: rules that end, each with the last day on which it takes place, and new blocks."""

    ends: Mapping[int, date] = field(default_factory=dict)
    adds: Sequence[Block] = ()


@dataclass(frozen=True)
class EndAway:
    """Time off, or extra hours, are taken back."""

    exception_id: int


HoursChange = WeekChange | Away | EndAway


def days_of(change: HoursChange) -> tuple[date, date] | None:
    """The only days that a change can touch; None when it may be any."""
    return (change.starts_on, change.ends_on) if isinstance(change, Away) else None


def to_plain(change: HoursChange) -> dict[str, Any]:
    """A change as plain values."""
    match change:
        case WeekChange():
            ends = {str(rule_id): last_on.isoformat() for rule_id, last_on in sorted(change.ends.items())}
            return {"kind": "week", "ends": ends, "adds": [plain(block) for block in change.adds]}
        case Away():
            return {"kind": "away", "away": plain(change)}
        case EndAway():
            return {"kind": "end_away", "exception_id": change.exception_id}


def from_plain(values: Mapping[str, Any]) -> HoursChange:
    """The change that was written down so."""
    if values["kind"] == "week":
        ends = {int(rule_id): date.fromisoformat(last_on) for rule_id, last_on in values["ends"].items()}
        return WeekChange(ends, [_block(block) for block in values["adds"]])
    if values["kind"] == "away":
        return _away(values["away"])
    return EndAway(values["exception_id"])


def _block(values: Mapping[str, Any]) -> Block:
    made = {
        "valid_from": date.fromisoformat(values["valid_from"]),
        "valid_until": _day(values["valid_until"]),
        "anchor_on": _day(values["anchor_on"]),
        "kind": RuleKind(values["kind"]),
        "audience": Audience(values["audience"]),
        "release_policy": ReleasePolicy(values["release_policy"]),
        "modes": _modes(values["modes"]),
        # What was written down before hours could be for some kinds of visits only has none.
        "visit_type_ids": frozenset(values.get("visit_type_ids", ())),
    }
    return Block(**{**values, **made})


def _away(values: Mapping[str, Any]) -> Away:
    made = {
        "kind": ExceptionKind(values["kind"]),
        "starts_on": date.fromisoformat(values["starts_on"]),
        "ends_on": date.fromisoformat(values["ends_on"]),
        "modes": _modes(values["modes"]),
        # What was written down before hours could be for some kinds of visits only has none.
        "visit_type_ids": frozenset(values.get("visit_type_ids", ())),
    }
    # How it stands is the row's own.
    return Away(**{name: value for name, value in {**values, **made}.items() if name != "status"})


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _modes(codes: Sequence[str]) -> Modes:
    return frozenset(Mode(code) for code in codes)
