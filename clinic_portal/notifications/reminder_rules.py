"""When reminders come, as the clinic has set it: how long before a visit, and at which hours nobody is disturbed. Pure.

A reminder comes never later than wished: what would fall into the quiet hours comes before them.
Source: UC6.2; clinic.md 7 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from clinic_portal import clock
from clinic_portal.models import Mode
from clinic_portal.settings import NONE, Settings

REMOTE = (Mode.PHONE, Mode.VIDEO)
MONDAY = 0
# What is for Monday is read on Sunday evening rather than on Sunday morning.
SUNDAY_EVENING_MIN = 18 * 60
# The last mail of an evening still arrives before the quiet hours.
BEFORE_QUIET_MIN = 15
# From so many days before on, a reminder asks whether the patient will come: the time can still go to somebody else.
ASKS_FROM_DAYS = 2


@dataclass(frozen=True)
class Offset:
    """How long before a visit a reminder comes, by days of the calendar or by hours: "3d", "1h"."""

    label: str

    @property
    def is_days(self) -> bool:
        return self.label.endswith("d")

    @property
    def number(self) -> int:
        return int(self.label[:-1])

    @property
    def asks(self) -> bool:
        return self.is_days and self.number >= ASKS_FROM_DAYS

    def before(self, starts_at: datetime, zone: str) -> datetime:
        """That long before a visit.

        Times: days keep the time on the clinic's wall, whatever the clock does in between.
        """
        if not self.is_days:
            return starts_at - timedelta(hours=self.number)
        shown = clock.local(starts_at, zone)
        day = shown.date() - timedelta(days=self.number)
        return clock.wall_to_instant(day, shown.hour * 60 + shown.minute, zone)


@dataclass(frozen=True)
class QuietHours:
    """When nobody is disturbed, in minutes after midnight on the clinic's wall; past midnight when it ends earlier."""

    from_min: int
    until_min: int

    def _holds(self, minute: int) -> bool:
        if self.from_min < self.until_min:
            return self.from_min <= minute < self.until_min
        return minute >= self.from_min or minute < self.until_min

    def earlier(self, instant: datetime, zone: str) -> datetime:
        """The instant itself, or if nobody is to be disturbed then, shortly before the quiet hours."""
        shown = clock.local(instant, zone)
        minute = shown.hour * 60 + shown.minute
        if not self._holds(minute):
            return instant
        began_on = shown.date() - timedelta(days=1 if minute < self.from_min else 0)
        return clock.wall_to_instant(began_on, self.from_min - BEFORE_QUIET_MIN, zone)

    def end(self, instant: datetime, zone: str) -> datetime | None:
        """When the quiet hours end in which an instant lies; None when it lies in none."""
        shown = clock.local(instant, zone)
        minute = shown.hour * 60 + shown.minute
        if not self._holds(minute):
            return None
        ends_on = shown.date() + timedelta(days=0 if minute < self.until_min else 1)
        return clock.wall_to_instant(ends_on, self.until_min, zone)

    def next_start(self, instant: datetime, zone: str) -> datetime:
        """When they begin next, later than an instant."""
        day = clock.local_date(instant, zone)
        begins_at = clock.wall_to_instant(day, self.from_min, zone)
        return begins_at if begins_at > instant else clock.wall_to_instant(day + timedelta(days=1), self.from_min, zone)


@dataclass(frozen=True)
class Rules:
    """What holds for the reminders of one visit."""

    offsets: tuple[Offset, ...]
    quiet: QuietHours | None
    # The settings as they are written: kept with a visit, it tells whether its reminders follow them.
    text: str

    def due_at(self, offset: Offset, starts_at: datetime, zone: str) -> datetime:
        """When a reminder is to leave.

        Times: on the clinic's wall clock; the one a day before a Monday comes on Sunday evening.
        """
        wished = offset.before(starts_at, zone)
        on = clock.local_date(starts_at, zone)
        if offset.label == "1d" and on.weekday() == MONDAY:
            wished = clock.wall_to_instant(on - timedelta(days=1), SUNDAY_EVENING_MIN, zone)
        return self.quiet.earlier(wished, zone) if self.quiet else wished


def rules_for(settings: Settings, visit_type_id: int, mode: Mode) -> Rules:
    """The rules for one kind of visit; on the phone and by video it has further reminders."""
    offsets = settings.value("reminders", visit_type_id)
    further = settings.value("reminders_remote", visit_type_id) if mode in REMOTE else NONE
    return _rules(offsets, further, settings.value("quiet_hours"))


def quiet_hours(settings: Settings) -> QuietHours | None:
    """When nobody is disturbed, nor expected to answer; None where that is never so."""
    return _quiet(settings.value("quiet_hours"))


@lru_cache(maxsize=256)
def _rules(offsets: str, further: str, quiet: str) -> Rules:
    labels = dict.fromkeys(label for text in (offsets, further) if text != NONE for label in text.split())
    return Rules(
        offsets=tuple(Offset(label) for label in labels),
        quiet=_quiet(quiet),
        text=f"{' '.join(labels) or NONE}; quiet {quiet}",
    )


def _quiet(text: str) -> QuietHours | None:
    return None if text == NONE else QuietHours(*(_minute(end) for end in text.split("-")))


def _minute(shown: str) -> int:
    hours, _, minutes = shown.partition(":")
    return int(hours) * 60 + int(minutes)
