"""Hours of the doctors of the small clinic, set as they are set by people."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Any

from clinic_portal.audit import Actor
from clinic_portal.models import ExceptionKind, Practitioner
from clinic_portal.scheduling import hours
from clinic_portal.scheduling.blocks import Away, Block
from clinic_portal.scheduling.hours import Answers
from clinic_portal.scheduling.hours_changes import EndAway, WeekChange
from tests.plans import hm
from tests.world import ZONE, World

TODAY = date(2026, 3, 2)
_tokens = (f"hours-{number}" for number in count())


def block(world: World, weekday: int, starts: str, ends: str, **more: Any) -> Block:
    """Weekly hours at Harbour Street from today on, unless it is said otherwise."""
    values = {"location_id": world.location_id, "valid_from": TODAY, **more}
    return Block(weekday=weekday, starts_min=hm(starts), ends_min=hm(ends), **values)


def work(
    world: World, *blocks: Block, practitioner_id: int = 0, ends: dict[int, date] | None = None,
    actor: Actor | None = None, answers: Answers = hours.NO_ANSWERS, version: int | None = None, token: str = "",
) -> Practitioner:  # fmt: skip
    """Dr Chen's week changes by her own hand, unless somebody else does it."""
    return hours.change_hours(
        actor=actor or world.chen, practitioner_id=practitioner_id or world.chen_id,
        change=WeekChange(ends or {}, blocks), token=token or next(_tokens), expected_version=version, answers=answers,
    )  # fmt: skip


def away(
    world: World, first: date, last: date, starts: str = "00:00", ends: str = "24:00", *,
    kind: ExceptionKind = ExceptionKind.OFF, practitioner_id: int = 0, actor: Actor | None = None,
    answers: Answers = hours.NO_ANSWERS, **more: Any,
) -> Practitioner:  # fmt: skip
    """Dr Chen is away from the first to the last day, whole days unless said otherwise."""
    values = Away(kind, ZONE, first, hm(starts), last, hm(ends), **more)
    return hours.change_hours(
        actor=actor or world.chen, practitioner_id=practitioner_id or world.chen_id, change=values,
        token=next(_tokens), answers=answers,
    )  # fmt: skip


def back(
    world: World, exception_id: int, *, practitioner_id: int = 0, actor: Actor | None = None,
    answers: Answers = hours.NO_ANSWERS,
) -> Practitioner:  # fmt: skip
    """Dr Chen takes time off, or extra hours, back."""
    return hours.change_hours(
        actor=actor or world.chen, practitioner_id=practitioner_id or world.chen_id, change=EndAway(exception_id),
        token=next(_tokens), answers=answers,
    )  # fmt: skip
