"""Which times a person at the clinic can give to a waiting request: those within its wishes, and the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from sqlalchemy.orm import Session

from clinic_portal.audit import ActorKind
from clinic_portal.models import Appointment, ContinuityWish
from clinic_portal.scheduling.planning import search_of
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.times import WEEK, FreeTime, free_days
from clinic_portal.scheduling.wishes import suits, wishes_of

# So many of each are shown, and so many of one day: a free morning must not hide the next one.
SHOWN, A_DAY = 12, 4


@dataclass(frozen=True)
class HandTimes:
    """The first free times from a day on, in order; the zone of each place; and the last day that can be booked."""

    zones: dict[int, str]
    last_day: date
    # Whether somebody's day may be full though there is time.
    has_caps: bool = False
    inside: list[FreeTime] = field(default_factory=list)
    outside: list[FreeTime] = field(default_factory=list)


def search_by_hand(visit: Appointment, by: ActorKind) -> Search:
    """The search for a time that somebody at the clinic chooses; an unknown practitioner is better than none."""
    search = replace(search_of(visit), by=by)
    if search.continuity is ContinuityWish.SAME_ONLY:
        return replace(search, continuity=ContinuityWish.PREFER_SAME)
    return search


def times_by_hand(
    session: Session, visit: Appointment, from_on: date | None = None, *, beyond_caps: bool = False
) -> HandTimes:  # fmt: skip
    """The times that can be booked for a request now, from a day on.

    Args: beyond_caps, whether also on days on which a practitioner has as many visits as they may have.
    Times: days are those of the place.
    Raises: NotFound and ModeNotOffered when the clinic does not offer such visits any more.
    """
    search, wishes = search_by_hand(visit, ActorKind.STAFF), wishes_of(visit)
    terms = load_terms(session, search)
    has_caps = any(doer.is_capped for doer in terms.doers.values())
    if beyond_caps and has_caps:
        terms = load_terms(session, replace(search, beyond_caps=True))
    first, last = terms.day_range()
    found = HandTimes(terms.zones, last, has_caps)
    warned_at = terms.now + timedelta(minutes=wishes.min_warning_min)
    for times in _days(session, terms, max(first, from_on or first), last):
        is_inside = [
            time.starts_at >= warned_at and suits(wishes, time.starts_at, terms.zones[time.location_ids[0]])
            for time in times
        ]
        _take(found.inside, [time for time, fits in zip(times, is_inside, strict=True) if fits])
        _take(found.outside, [time for time, fits in zip(times, is_inside, strict=True) if not fits])
        if len(found.inside) == len(found.outside) == SHOWN:
            break
    return found


def _days(session: Session, terms: Terms, day: date, last: date) -> Iterator[list[FreeTime]]:
    while day <= last:
        yield from free_days(session, terms, day, WEEK).values()
        day += timedelta(days=WEEK)


def _take(shown: list[FreeTime], times: list[FreeTime]) -> None:
    shown += times[: min(A_DAY, SHOWN - len(shown))]
