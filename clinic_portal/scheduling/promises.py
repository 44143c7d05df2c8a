"""Until when a request is answered, and until when its visit should be: in the clinic's own working days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import Closure, Location, PriorityClass
from clinic_portal.settings import Settings

# Counted in working days; the others in days of the calendar.
IN_WORKING_DAYS = (PriorityClass.URGENT, PriorityClass.SOON)
_ZONE = select(Location.zone).where(Location.is_active).order_by(Location.id).limit(1)
_CLOSED = select(Closure.first_on, Closure.last_on).where(
    Closure.location_id.is_(None), Closure.last_on >= bindparam("today")
)


def clinic_zone(session: Session) -> str:
    """The zone in which the clinic as a whole counts its days: that of its first place."""
    zone: str | None = run(session, _ZONE).scalar()
    return zone or "UTC"


@dataclass(frozen=True)
class DeskHours:
    """When requests are answered: working days are those of the week on which not everything is closed."""

    zone: str
    settings: Settings
    closed: tuple[tuple[date, date], ...]

    def is_working(self, day: date) -> bool:
        is_of_the_week = str(day.isoweekday()) in self.settings.value("desk_days")
        return is_of_the_week and not any(first <= day <= last for first, last in self.closed)

    def working_days_after(self, day: date) -> Iterator[date]:
        return (later for number in count(1) if self.is_working(later := day + timedelta(days=number)))

    def closing(self, day: date) -> datetime:
        return self._at(day, "desk_closes_min")

    def after_working_days(self, instant: datetime, days: int) -> datetime:
        """When the desk closes so many working days later; one that has closed for today counts from the next day."""
        day = clock.local_date(instant, self.zone)
        is_over = not self.is_working(day) or instant >= self.closing(day)
        if is_over:
            day = next(self.working_days_after(day))
        for _ in range(days):
            day = next(self.working_days_after(day))
        return self.closing(day)

    def answer_by(self, asked_at: datetime, priority: PriorityClass, visit_type_id: int) -> datetime:
        """Until when a request of this class is answered.

        Source: clinic.md 10: routine by the end of the 2nd working day; urgent the same day, or at 10 on the next.
        """
        if priority is not PriorityClass.URGENT:
            return self.after_working_days(asked_at, self.settings.number("answer_working_days", visit_type_id))
        day = clock.local_date(asked_at, self.zone)
        if self.is_working(day) and asked_at < self._at(day, "answer_urgent_until_min"):
            return self.closing(day)
        return self._at(next(self.working_days_after(day)), "answer_urgent_next_min")

    def target_at(self, asked_at: datetime, priority: PriorityClass, visit_type_id: int) -> datetime:
        """Until when a visit of this class should take place. It orders the queue: whoever is due first comes first.

        Source: clinic.md 5.
        """
        days = self.settings.number(f"target_{priority.value}_days", visit_type_id)
        if priority in IN_WORKING_DAYS:
            return self.after_working_days(asked_at, days)
        return asked_at + timedelta(days=days)

    def _at(self, day: date, setting: str) -> datetime:
        return clock.wall_to_instant(day, self.settings.number(setting), self.zone)


def read_desk_hours(session: Session, settings: Settings) -> DeskHours:
    """The desk's hours from today on."""
    zone = clinic_zone(session)
    today = clock.local_date(clock.now(), zone)
    closed = tuple((row.first_on, row.last_on) for row in run(session, _CLOSED, {"today": today - timedelta(days=60)}))
    return DeskHours(zone, settings, closed)
