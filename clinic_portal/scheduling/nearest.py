"""The free times nearest to what somebody wished, when nothing fits their wishes."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy.orm import Session

from clinic_portal.scheduling.search import Terms
from clinic_portal.scheduling.times import FreeTime, free_days
from clinic_portal.scheduling.wishes import Wishes

SHOWN = 3
# So far around the wished days is looked first.
AROUND = timedelta(days=14)


def nearest_times(session: Session, terms: Terms, wishes: Wishes) -> list[FreeTime]:
    """Up to three free times in order: on the days nearest to those that were wished, of each day the first.

    Where fewer days have any, more of the same days.

    Times: days of the wishes are those of the place.
    Source: UC1.3.
    """
    low, high = terms.day_range()
    first = min(max(wishes.from_on or low, low), high)
    last = max(min(wishes.until_on or high, high), low)
    days = _free(session, terms, max(low, first - AROUND), min(high, last + AROUND)) or _free(session, terms, low, high)
    nearest = sorted(days, key=lambda day: (_gap(day, first, last), day))
    firsts = [days[day][0] for day in nearest]
    more = [time for day in nearest for time in days[day][1:]]
    return sorted((firsts + more)[:SHOWN], key=lambda time: time.starts_at)


def _free(session: Session, terms: Terms, first: date, last: date) -> dict[date, list[FreeTime]]:
    """The days that have free times, with these."""
    found = free_days(session, terms, first, (last - first).days + 1)
    return {day: times for day, times in found.items() if times}


def _gap(day: date, first: date, last: date) -> int:
    """How many days outside of the wished days."""
    return max((first - day).days, (day - last).days, 0)
