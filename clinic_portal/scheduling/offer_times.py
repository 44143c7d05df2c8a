"""How long a time is kept for an offer: by the time left to it, without the hours in which nobody answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic_portal.notifications.reminder_rules import QuietHours, quiet_hours
from clinic_portal.settings import Settings


@dataclass(frozen=True)
class Step:
    """How an offer works for times at least so far ahead: kept for so long, for so many people one after another."""

    at_least: timedelta
    keep: timedelta
    rounds: int


# Source: clinic.md 5. Below the last step nothing is offered: who wants to be booked is, the rest is public.
STEPS = (
    Step(timedelta(days=7), timedelta(hours=24), 2),
    Step(timedelta(days=2), timedelta(hours=4), 3),
    Step(timedelta(hours=24), timedelta(minutes=60), 3),
    Step(timedelta(hours=6), timedelta(minutes=20), 3),
)
SHORTEST = STEPS[-1].at_least
# Nearer than this, people who want to be booked at once come before those who want to be asked.
BOOK_FIRST = timedelta(hours=24)


def step_for(starts_at: datetime, now: datetime) -> Step | None:
    """The step for a time; None when it is too near to be offered."""
    left = starts_at - now
    return next((step for step in STEPS if left >= step.at_least), None)


def keep_until(step: Step, starts_at: datetime, now: datetime, zone: str, settings: Settings) -> datetime:
    """Until when an offer made now keeps a time.

    Times: quiet hours are those of `zone`.
    Source: clinic.md 5: quiet hours not counted, never more than a quarter of the time left.
    """
    longest = now + (starts_at - now) * settings.number("offer_hold_pct") / 100
    return min(_awake_after(now, step.keep, zone, quiet_hours(settings)), longest)


def _awake_after(now: datetime, length: timedelta, zone: str, quiet: QuietHours | None) -> datetime:
    """When so much time has passed in which people are awake."""
    while quiet is not None:
        # DST: an hour that comes twice may end before it began.
        now = max(quiet.end(now, zone) or now, now)
        begins_at = quiet.next_start(now, zone)
        if length <= begins_at - now:
            break
        length -= begins_at - now
        now = begins_at
    return now + length
