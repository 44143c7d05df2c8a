"""The days and times to choose from, as the page shows them: two weeks at once, the first free day open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import Audience, ClinicSession, PractitionerVisitType, SessionStatus
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.search import Terms
from clinic_portal.scheduling.times import FreeTime, free_days

WINDOW = 14
# A few days left over at the end join the window before.
LEFT_OVER = 7
PARTS = (
    ("morning", N_("Morning"), time(0), time(12)),
    ("afternoon", N_("Afternoon"), time(12), time(17)),
    ("evening", N_("Evening"), time(17), time.max),
)

_IS_WORKED: Select[Any] = (
    select(ClinicSession.id)
    .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
    .where(
        PractitionerVisitType.visit_type_id == bindparam("visit_type_id"),
        ClinicSession.first_cell >= bindparam("low"),
        ClinicSession.first_cell < bindparam("high"),
        ClinicSession.location_id.in_(bindparam("places", expanding=True)),
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.audience == Audience.PUBLIC,
    )
    .limit(1)
)


@dataclass(frozen=True)
class Window:
    """Days shown together; the whole of what can be booked is cut into such windows, counted from its first day."""

    first: date
    days: int
    is_first: bool
    is_last: bool


def window_of(day: date, low: date, high: date) -> Window:
    """The window in which a day lies; a day outside of what can be booked gets the nearest."""
    last_index = max(0, ((high - low).days + 1 - LEFT_OVER) // WINDOW)
    index = min(max((day - low).days // WINDOW, 0), last_index)
    first = low + timedelta(days=index * WINDOW)
    is_last = index == last_index
    return Window(first, (high - first).days + 1 if is_last else WINDOW, index == 0, is_last)


@dataclass(frozen=True)
class Choice:
    """What one may choose from: a window of days, and the times of the day that is open, if any is."""

    window: Window
    times: dict[date, list[FreeTime]]
    open_on: date | None


def find_choice(session: Session, terms: Terms, shown: date | None, open_on: date | None) -> Choice | None:
    """The window somebody asked for, else the first with a free time. None when nothing at all is free.

    Args: shown, a day of the window to show; open_on, the day to open in it, else its first free one.
    """
    low, high = terms.day_range()
    asked = shown or open_on
    window = window_of(asked or low, low, high)
    times = free_days(session, terms, window.first, window.days)
    while asked is None and not any(times.values()):
        if window.is_last:
            return None
        window = window_of(window.first + timedelta(days=window.days), low, high)
        times = free_days(session, terms, window.first, window.days)
    first_free = next((day for day, found in times.items() if found), None)
    return Choice(window, times, open_on if open_on in times else first_free)


def describe(session: Session, terms: Terms, choice: Choice, url: Callable[..., str]) -> dict[str, Any]:
    """What the template needs to show a choice.

    Args: url, makes the address of the same page with other days.
    """
    zone, window = _zone(terms), choice.window
    after = window.first + timedelta(days=window.days)
    return {
        "zone": zone,
        "zone_name": zone.rpartition("/")[2].replace("_", " "),
        "has_several_zones": len(set(terms.zones.values())) > 1,
        "days": [_day(session, terms, choice, day, url) for day in choice.times],
        "earlier_url": None if window.is_first else url(**{"from": window.first - timedelta(days=WINDOW)}),
        "later_url": None if window.is_last else url(**{"from": after}),
        "day_on": choice.open_on,
        "parts": _parts(choice, zone),
        "first_free_url": url(),
        "duration": _duration(terms),
    }


def _zone(terms: Terms) -> str:
    return next(iter(terms.zones.values()))


def _day(session: Session, terms: Terms, choice: Choice, day: date, url: Callable[..., str]) -> dict[str, Any]:
    state = "free" if choice.times[day] else "full" if _is_worked(session, terms, day) else "closed"
    return {"on": day, "url": url(day=day), "state": state, "is_open": day == choice.open_on}


def _is_worked(session: Session, terms: Terms, day: date) -> bool:
    start, end = clock.day_bounds(day, _zone(terms))
    bounds = {"low": masks.to_cell(start, terms.grid_min), "high": masks.to_cell(end, terms.grid_min)}
    values = {**bounds, "visit_type_id": terms.search.visit_type_id, "places": list(terms.zones)}
    return session.execute(_IS_WORKED, values).first() is not None


def _parts(choice: Choice, zone: str) -> list[tuple[str, str, list[datetime]]]:
    """The times of the open day by part of the day, each with its name and its title."""
    times = choice.times[choice.open_on] if choice.open_on else []
    shown = [(clock.local(found.starts_at, zone).time(), found.starts_at) for found in times]
    return [
        (name, title, [instant for wall, instant in shown if low <= wall < high]) for name, title, low, high in PARTS
    ]


def _duration(terms: Terms) -> str:
    """How long it takes: "30 minutes", or "20 to 30 minutes" when that depends on who is free."""
    lengths = sorted({doer.visit_cells * terms.grid_min for doer in terms.doers.values()})
    if len(lengths) > 1:
        return _("%(shortest)s to %(longest)s minutes", shortest=lengths[0], longest=lengths[-1])
    return ngettext("%(num)d minute", "%(num)d minutes", lengths[0]) if lengths else ""
