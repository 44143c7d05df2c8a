"""A reminder about to leave: of which visits it still tells, and whether it is too early or too late for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from clinic_portal import clock
from clinic_portal.models import Appointment, Event, Notification, Status
from clinic_portal.notifications.facts import NotNow, Overtaken
from clinic_portal.notifications.reminder_plan import APART
from clinic_portal.notifications.reminder_rules import Offset, rules_for
from clinic_portal.notifications.reminders import has_left, offset_of, waits
from clinic_portal.settings import Settings

# Closer to a visit a reminder helps nobody to come, but for one that is counted in hours.
OF_USE_UNTIL = timedelta(hours=1)
# A little late is not late.
LATE = timedelta(hours=1)


def told_by(session: Session, row: Notification, settings: Settings) -> list[Notification]:
    """The reminders that one mail is: the row itself and those that share it, as far as their visits stand.

    Raises: Overtaken when it helps nobody any more, NotNow when it would disturb and can wait.
    Source: UC6.2, UC6.7.
    """
    now = clock.now()
    about = _reminders_of_day(session, row)
    reasons = {each: _why_not(each, about, now) for each in about if each is row or _is_told_along(each, row)}
    standing = [each for each, reason in reasons.items() if reason is None]
    if not standing:
        raise Overtaken(reasons[row] or "past")
    _wait_for_morning(standing, settings, now)
    return standing


def _reminders_of_day(session: Session, row: Notification) -> list[Notification]:
    """All reminders of the patient's visits to come on the same day, the row's own first."""
    visit = row.appointment
    assert visit is not None
    query = (
        select(Notification)
        .join(Notification.appointment)
        .options(contains_eager(Notification.appointment).joinedload(Appointment.location))
        .where(
            Appointment.patient_id == visit.patient_id,
            Appointment.starts_at > clock.now(),
            Notification.event == Event.REMINDER,
        )
        .order_by(Appointment.starts_at, Notification.id)
    )
    others = [each for each in session.scalars(query) if each is not row and _day(each) == _day(row)]
    return [row, *others]


def _day(row: Notification) -> tuple[object, bool]:
    visit = row.appointment
    assert visit is not None
    assert visit.starts_at is not None
    assert visit.location is not None
    return clock.local_date(visit.starts_at, visit.location.zone), visit.is_private


def _is_told_along(other: Notification, row: Notification) -> bool:
    is_same = offset_of(other) == offset_of(row)
    return is_same and waits(other) and other.due_at == row.due_at and other.appointment_id != row.appointment_id


def _why_not(row: Notification, about: list[Notification], now: datetime) -> str | None:
    """Why a visit should not be named any more, as a code; None when it should."""
    visit, offset = row.appointment, offset_of(row)
    assert visit is not None
    if visit.patient.deceased_on is not None:
        return "deceased"
    if visit.status != Status.BOOKED:
        return f"visit_{visit.status}"
    if row.sequence != visit.sequence:
        return "moved"
    if visit.patient.reminders_stopped_at is not None:
        return "opted_out"
    return _why_late(visit, offset, now) or ("nearer" if _has_nearer(row, about, now) else None)


def _why_late(visit: Appointment, offset: Offset, now: datetime) -> str | None:
    assert visit.starts_at is not None
    if visit.starts_at <= now:
        return "past"
    return "too_late" if offset.is_days and visit.starts_at - now < OF_USE_UNTIL else None


def _has_nearer(row: Notification, about: list[Notification], now: datetime) -> bool:
    """Whether a later reminder of the same visit comes soon, or has left: after a long pause one is enough."""
    return any(
        (other.appointment_id, other.sequence) == (row.appointment_id, row.sequence)
        and row.due_at < other.due_at < now + APART - LATE
        and (waits(other) or has_left(other))
        for other in about
    )


def _wait_for_morning(standing: list[Notification], settings: Settings, now: datetime) -> None:
    """What could not leave in time disturbs nobody at night, if the morning is early enough for all of it."""
    ends = [_quiet_until(row, settings, now) for row in standing]
    if ends[0] is not None and None not in ends:
        raise NotNow(ends[0])


def _quiet_until(row: Notification, settings: Settings, now: datetime) -> datetime | None:
    """When the quiet hours end, if there are any now and a reminder after them is still of use."""
    visit = row.appointment
    assert visit is not None
    assert visit.starts_at is not None
    assert visit.location is not None
    quiet = rules_for(settings, visit.visit_type_id, visit.mode).quiet
    until = quiet.end(now, visit.location.zone) if quiet else None
    return until if until and visit.starts_at - until >= OF_USE_UNTIL else None
