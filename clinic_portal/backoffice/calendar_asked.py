"""Which part of the calendar somebody looks at: what an address asks for, and the addresses of the other parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from flask import request, url_for

from clinic_portal import clock
from clinic_portal.backoffice import places
from clinic_portal.backoffice.places import Place, places_within

DAY, WEEK = "day", "week"
ZOOMS = (5, 10, 15)
USUAL_ZOOM = 10
# So many clinicians can be picked; in a week each has a column a day.
MOST_PICKED, MOST_IN_WEEK = 12, 2
# How far the ways ahead lead, in days.
JUMPS = ((7, "+1 week"), (14, "+2 weeks"), (42, "+6 weeks"))


@dataclass(frozen=True)
class Asked:
    """The day, how it is shown, where and whose; what makes no sense is left out and told."""

    day: date
    view: str = DAY
    zoom: int = USUAL_ZOOM
    place: Place | None = None
    # Public ids of clinicians, in the order in which they were picked; none for all who work.
    picked: tuple[str, ...] = ()
    # From which column on, where there are too many for one page.
    first: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, limit: frozenset[int] | None, clinicians: Sequence[Any]) -> Asked:
        """What the address says. Args: limit, the only places that may be looked at."""
        values, problems = request.args, []
        day = _day(values.get("day", ""))
        if day is None:
            problems.append({"field": "day", "text": "Enter a day, like 2026-11-24; this is today."})
        view = WEEK if values.get("view") == WEEK else DAY
        zoom = values.get("zoom", USUAL_ZOOM, type=int)
        within = {str(place.id): place for place in places_within(limit)}
        place = within.get(values.get("location", ""))
        if values.get("location") and place is None:
            problems.append({"field": "location", "text": "Location must be one of the list; all are shown."})
        known = {row.public_id for row in clinicians}
        picked = tuple(dict.fromkeys(each for each in values.getlist("c") if each in known))
        most = MOST_IN_WEEK if view == WEEK else MOST_PICKED
        if len(picked) > most:
            problems.append({"field": "pick", "text": f"At most {most} clinicians fit; the first {most} are shown."})
        first = max(values.get("first", 0, type=int), 0)
        shown = zoom if zoom in ZOOMS else USUAL_ZOOM
        return cls(day or places.today(), view, shown, place, picked[:most], first, problems)

    @property
    def is_week(self) -> bool:
        return self.view == WEEK

    @property
    def days(self) -> list[date]:
        """The days that are shown."""
        if not self.is_week:
            return [self.day]
        monday = self.day - timedelta(days=self.day.weekday())
        return [monday + timedelta(days=number) for number in range(7)]

    @property
    def step(self) -> int:
        return 7 if self.is_week else 1

    def url(self, **changes: Any) -> str:
        """The address of the same with something else."""
        return url_for("backoffice_calendar.index", **replace(self, **changes).said())

    def on(self, days: int) -> str:
        """The address so many days later."""
        day = self.day + timedelta(days=days)
        return self.url(day=day if day.year in clock.YEARS else self.day)

    def said(self) -> dict[str, Any]:
        """What the address says of all that is not as usual."""
        found: dict[str, Any] = {"day": self.day.isoformat(), "c": list(self.picked)}
        found |= {"view": WEEK} if self.is_week else {}
        found |= {"zoom": self.zoom} if self.zoom != USUAL_ZOOM else {}
        found |= {"location": self.place.id} if self.place is not None else {}
        found |= {"first": self.first} if self.first else {}
        return found


def _day(text: str) -> date | None:
    if not text.strip():
        return places.today()
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.year in clock.YEARS else None
