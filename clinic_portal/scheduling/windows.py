"""Visits that the patient is told as a stretch of the day: any free time in it will do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.errors import SlotTaken, TooSoon
from clinic_portal.scheduling.assignment import OldTime, Placement, place
from clinic_portal.scheduling.search import Terms
from clinic_portal.scheduling.times import free_times_between


def place_as_told(
    session: Session, terms: Terms, starts_at: datetime, old: OldTime | None = None, dead: list[Any] | None = None
) -> Placement:
    """As `place`; where the patient reads a stretch of the day, another time in it when this one is gone.

    The desk reads exact times, and gets the one it asked for.

    Args: dead, the holds that do not bind, if they have just been read.
    """
    try:
        return place(session, terms, starts_at, old, dead)
    except (SlotTaken, TooSoon):
        if not terms.window_min or terms.search.is_by_clinic:
            raise
        others = _others(session, terms, starts_at)
        if not others:
            raise
    return place(session, terms, others[0], old)


def _others(session: Session, terms: Terms, starts_at: datetime) -> list[datetime]:
    low, high = clock.window_around(starts_at, terms.told_zone, terms.window_min)
    if (low := max(low, terms.earliest_at)) >= high:
        return []
    found = [time.starts_at for time in free_times_between(session, terms, low, high)]
    # Where a visit is now counts as free while it is moved, but moving there is no move.
    return [other for other in found if other not in (starts_at, terms.moved_from)]
