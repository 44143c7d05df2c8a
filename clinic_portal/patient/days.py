"""The days and times to choose from, as the page shows them: two weeks at once, the first free day open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import (
    MODE_BIT,
    Audience,
    ClinicSession,
    PractitionerVisitType,
    SessionStatus,
    let_in,
    lets_in,
)
from clinic_portal.patient.reading import PARTS_OF_DAY
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.search import Terms
from clinic_portal.scheduling.strips import first_cell_from
from clinic_portal.scheduling.times import FreeTime, free_days
from clinic_portal.unchanged import kept_while_unchanged
from clinic_portal.wording import date_short, time_on_button

WINDOW = 14
# A few days left over at the end join the window before.
LEFT_OVER = 7
AFTERNOON, EVENING = time(12), time(17)
MORNING_NAME, AFTERNOON_NAME, EVENING_NAME = PARTS_OF_DAY
PARTS = {
    MORNING_NAME: (N_("Morning"), N_("Mornings"), N_("No mornings")),
    AFTERNOON_NAME: (N_("Afternoon"), N_("Afternoons"), N_("No afternoons")),
    EVENING_NAME: (N_("Evening"), N_("Evenings"), N_("No evenings")),
}
MISSING = {
    MORNING_NAME: N_("There are no free mornings in the time that can be booked. These are all free times."),
    AFTERNOON_NAME: N_("There are no free afternoons in the time that can be booked. These are all free times."),
    EVENING_NAME: N_("There are no free evenings in the time that can be booked. These are all free times."),
}
SATURDAY = 5

_WORKED: Select[Any] = (
    select(ClinicSession.first_cell)
    .distinct()
    .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
    .where(
        PractitionerVisitType.visit_type_id == bindparam("visit_type_id"),
        ClinicSession.first_cell >= bindparam("low"),
        ClinicSession.first_cell < bindparam("high"),
        ClinicSession.location_id.in_(bindparam("places", expanding=True)),
        ClinicSession.lane == 0,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.audience == Audience.PUBLIC,
        type_coerce(ClinicSession.modes, Integer).bitwise_and(bindparam("mode", type_=Integer)) != 0,
        lets_in(ClinicSession.visit_type_ids),
    )
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
    """What one may choose from: a window of days, and the times of the day that is open, if any is.

    `part` is the part of the day that alone is shown; `times` has only its times, and `other_days` those days that have
    only other times.
    """

    window: Window
    times: dict[date, list[FreeTime]]
    open_on: date | None
    part: str | None = None
    other_days: frozenset[date] = frozenset()


def find_choice(
    session: Session, terms: Terms, shown: date | None, open_on: date | None, part: str | None = None
) -> Choice | None:
    """The window somebody asked for, else the first with a free time. None when nothing at all is free.

    Args: shown, a day of the window to show; open_on, the day to open in it, else its first free one; part, the part of
    the day that alone will do.
    """
    low, high = terms.day_range()
    asked = shown or open_on
    window = window_of(asked or low, low, high)
    choice = _read(session, terms, window, part)
    while asked is None and not any(choice.times.values()):
        if window.is_last:
            return None
        window = window_of(window.first + timedelta(days=window.days), low, high)
        choice = _read(session, terms, window, part)
    first_free = next((day for day, found in choice.times.items() if found), None)
    return replace(choice, open_on=open_on if open_on in choice.times else first_free)


def _read(session: Session, terms: Terms, window: Window, part: str | None) -> Choice:
    times = free_days(session, terms, window.first, window.days)
    if part is None:
        return Choice(window, times, None)
    fitting = {
        day: [one for one in found if _part_of(_told_from(one, terms), terms) == part] for day, found in times.items()
    }
    others = frozenset(day for day, found in times.items() if found and not fitting[day])
    return Choice(window, fitting, None, part, others)


def describe(session: Session, terms: Terms, choice: Choice, url: Callable[..., str]) -> dict[str, Any]:
    """What the template needs to show a choice.

    Args: url, makes the address of the same page with other days.
    """
    zone, window = terms.told_zone, choice.window
    after = window.first + timedelta(days=window.days)
    return {
        "zone": zone,
        "zone_name": zone.rpartition("/")[2].replace("_", " "),
        "has_several_zones": len(set(terms.zones.values())) > 1,
        "days": _days(session, terms, choice, url),
        "first_day": window.first,
        "earlier_url": None if window.is_first else url(**{"from": window.first - timedelta(days=WINDOW)}),
        "later_url": None if window.is_last else url(**{"from": after}),
        "day_on": choice.open_on,
        "parts": _parts(choice, terms),
        "first_free_url": url(),
        "filters": _filters(choice, url),
        "is_told_as_stretch": terms.window_min > 0,
        "duration": _duration(terms),
    }


def _days(session: Session, terms: Terms, choice: Choice, url: Callable[..., str]) -> list[dict[str, Any]]:
    """The days in order; shut ones that follow each other are one entry, said in words."""
    worked = set() if all(choice.times.values()) else _worked_days(session, terms, choice)
    found: list[dict[str, Any]] = []
    for state, group in groupby(choice.times, key=lambda day: _state(choice, day, worked)):
        days = list(group)
        if state == "closed" and len(days) > 1:
            found.append({"state": "gap", "days": min(len(days), 7), "words": _closed(days[0], days[-1])})
            continue
        found += [
            {"on": day, "url": url(day=day), "state": state, "words": _state_words(state, choice.part),
             "is_open": day == choice.open_on}
            for day in days
        ]  # fmt: skip
    return found


def _state(choice: Choice, day: date, worked: set[date]) -> str:
    if choice.times[day]:
        return "free"
    return "other" if day in choice.other_days else "full" if day in worked else "closed"


def _state_words(state: str, part: str | None) -> str:
    if state == "other" and part:
        return _(PARTS[part][2])
    return {"free": _("Free"), "full": _("Full"), "closed": _("Closed")}[state]


def _closed(first: date, last: date) -> str:
    if first.weekday() == SATURDAY and last - first == timedelta(days=1):
        return _("Closed at the weekend")
    return _("Closed from %(first)s to %(last)s", first=date_short(first), last=date_short(last))


def _worked_days(session: Session, terms: Terms, choice: Choice) -> set[date]:
    """The days on which somebody who does such visits works, full or not; not asked again while nothing has changed."""
    days, zone = list(choice.times), terms.told_zone
    low, high = clock.day_bounds(days[0], zone)[0], clock.day_bounds(days[-1], zone)[1]
    values = {
        "visit_type_id": terms.search.visit_type_id,
        "mode": MODE_BIT.get(terms.search.mode, 0),
        **let_in(terms.search.visit_type_id),
        "low": first_cell_from(low, terms.grid_min),
        "high": first_cell_from(high, terms.grid_min),
    }
    kept, key = kept_while_unchanged(session), (_WORKED, terms.grid_min, zone, *values.values(), *terms.zones)
    if key not in kept:
        cells = session.scalars(_WORKED, {**values, "places": list(terms.zones)})
        kept[key] = {clock.local_date(masks.to_instant(cell, terms.grid_min), zone) for cell in cells}
    found: set[date] = kept[key]
    return found


def _told_from(found: FreeTime, terms: Terms) -> datetime:
    """Where the time begins that the patient reads: the start itself, or that of the stretch in which it lies."""
    if not terms.window_min:
        return found.starts_at
    return clock.window_around(found.starts_at, terms.told_zone, terms.window_min)[0]


def _part_of(instant: datetime, terms: Terms) -> str:
    wall = clock.local(instant, terms.told_zone).time()
    return MORNING_NAME if wall < AFTERNOON else AFTERNOON_NAME if wall < EVENING else EVENING_NAME


def _parts(choice: Choice, terms: Terms) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The times of the open day by part of the day, each part with its name and its title.

    Where a stretch of the day is told, its first free time stands for it.
    """
    times = choice.times[choice.open_on] if choice.open_on else []
    shown: dict[str, dict[datetime, datetime]] = {name: {} for name in PARTS}
    for found in times:
        told = _told_from(found, terms)
        shown[_part_of(told, terms)].setdefault(told, found.starts_at)
    return [(name, PARTS[name][0], [_offer(each, terms) for each in starts.values()]) for name, starts in shown.items()]


def _offer(starts_at: datetime, terms: Terms) -> dict[str, Any]:
    return {"starts_at": starts_at, "words": time_on_button(starts_at, terms.told_zone, terms.window_min)}


def missing_words(part: str) -> str:
    """That the part of the day which somebody asked for has nothing free."""
    return _(MISSING[part])


def _filters(choice: Choice, url: Callable[..., str]) -> list[dict[str, Any]]:
    """The links that show one part of the day only."""
    every = {"words": _("Any time"), "url": url(part=None), "is_current": choice.part is None}
    one = [
        {"words": _(words[1]), "url": url(part=name), "is_current": choice.part == name}
        for name, words in PARTS.items()
    ]
    return [every, *one]


def _duration(terms: Terms) -> str:
    """How long it takes: "30 minutes", or "20 to 30 minutes" when that depends on who is free."""
    lengths = sorted({doer.visit_cells * terms.grid_min for doer in terms.doers.values()})
    if len(lengths) > 1:
        return _("%(shortest)s to %(longest)s minutes", shortest=lengths[0], longest=lengths[-1])
    return ngettext("%(num)d minute", "%(num)d minutes", lengths[0]) if lengths else ""
