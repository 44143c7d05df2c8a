"""What became of a made-up visit: asked for, and then seen, missed, cancelled, or still to come."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from clinic_portal import clock
from clinic_portal.demo import rota
from clinic_portal.demo.people import Person
from clinic_portal.models import (
    Account,
    Appointment,
    CancelledBy,
    CancelReason,
    ClinicSession,
    Origin,
    Outcome,
    PriorityClass,
    Relation,
    Status,
)

SHARE_CANCELLED, SHARE_BY_CLINIC, SHARE_LATE_CANCEL = 0.10, 0.25, 0.3
SHARE_MISSED, SHARE_CAME_TOO_LATE, SHARE_LATE = 0.06, 0.2, 0.12
SHARE_ONLINE = 0.7
TARGET_DAYS = {PriorityClass.URGENT: 1, PriorityClass.SOON: 7, PriorityClass.ROUTINE: 14, PriorityClass.FLEXIBLE: 28}
REASONS = (CancelReason.CANNOT_COME, CancelReason.FEEL_BETTER, CancelReason.SEEN_ELSEWHERE, None)
LATE_CANCEL = timedelta(hours=24)
# The desk closes a visit soon after its end.
CLOSED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Moment:
    """The present for the demo: its day, its first instant, and how far the day has come."""

    today: date
    midnight: datetime
    now: datetime


def ask(
    rng: random.Random, moment: Moment, person: Person, desk: Account, day: date, work: ClinicSession
) -> Appointment:
    """A visit asked for some days before, or on the day itself where its time was only released then."""
    is_online = person.account is not None and rng.random() < SHARE_ONLINE
    ahead = max((day - moment.today).days, 0)
    asked_on = day - timedelta(days=ahead + 1 + min(int(rng.expovariate(1 / 7)), 13))
    asked_at = working_time(rng, asked_on) if not is_online else _instant(asked_on, rng.randint(7 * 60, 22 * 60))
    if work.bookable_from > asked_at:
        asked_at = work.bookable_from + timedelta(minutes=rng.randint(1, 45))
    priority = PriorityClass.ROUTINE if rng.random() < 0.8 else rng.choice((PriorityClass.SOON, PriorityClass.FLEXIBLE))
    return Appointment(
        patient_id=person.patient.id,
        origin=_origin(rng, person, is_online=is_online),
        booked_by_account_id=(person.account if is_online and person.account else desk).id,
        priority_class=priority,
        requested_at=asked_at,
        target_at=asked_at + timedelta(days=TARGET_DAYS[priority]),
        wishes={"location_id": None, "needs": []},
    )


def _origin(rng: random.Random, person: Person, *, is_online: bool) -> Origin:
    if not is_online:
        return rng.choice((Origin.PHONE, Origin.PHONE, Origin.DESK))
    return Origin.PATIENT_ONLINE if person.relation is Relation.SELF else Origin.PROXY_ONLINE


def working_time(rng: random.Random, day: date) -> datetime:
    """When somebody answers the phone: on the weekend people ask before it."""
    day -= timedelta(days=max(0, day.weekday() - rota.FRI))
    return _instant(day, rng.randint(8 * 60, 18 * 60 - 1))


def _instant(day: date, minute: int) -> datetime:
    return clock.wall_to_instant(day, minute, rota.ZONE)


def live(rng: random.Random, moment: Moment, visit: Appointment, *, is_sure: bool, is_error: bool) -> None:
    """Let the visit go the way such visits go, a sure one well. Draws the same chances whatever the time of day is."""
    fate, first, second = rng.random(), rng.random(), rng.random()
    if is_sure:
        fate = 0.5
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    visit.booked_at = visit.requested_at
    is_over = visit.ends_at + CLOSED_AFTER <= moment.now
    if fate < SHARE_CANCELLED:
        _cancel(moment, visit, first, second)
    elif is_error:
        visit.status, visit.version, visit.sequence = Status.ENTERED_IN_ERROR, 2, 1
    elif is_over and fate > 1 - SHARE_MISSED:
        _miss(visit, first)
    elif is_over:
        _see(visit, first, second)
    elif visit.starts_at <= moment.now:
        visit.status, visit.version = Status.ARRIVED, 2
        visit.arrived_at = visit.starts_at - _minutes(1 + 9 * first)
    else:
        visit.status = Status.BOOKED


def _cancel(moment: Moment, visit: Appointment, first: float, second: float) -> None:
    """Called off by the patient or by the clinic, before the visit and before today."""
    assert visit.starts_at is not None
    by_clinic = first < SHARE_BY_CLINIC
    is_proxy = visit.origin is Origin.PROXY_ONLINE
    visit.status, visit.version, visit.sequence = Status.CANCELLED, 2, 1
    visit.cancelled_at = _cancelled_at(moment, visit, second, is_late=first > 1 - SHARE_LATE_CANCEL)
    visit.cancelled_by = CancelledBy.CLINIC if by_clinic else CancelledBy.PROXY if is_proxy else CancelledBy.PATIENT
    visit.cancel_reason = CancelReason.OTHER if by_clinic else REASONS[int(first * 1000) % len(REASONS)]
    visit.is_late_cancel = not by_clinic and visit.starts_at - visit.cancelled_at < LATE_CANCEL
    visit.outcome_code = Outcome.CANCELLED_BY_CLINIC if by_clinic else Outcome.CANCELLED_BY_PATIENT


def _cancelled_at(moment: Moment, visit: Appointment, second: float, *, is_late: bool) -> datetime:
    assert visit.starts_at is not None
    asked_on = clock.local_date(visit.requested_at, rota.ZONE)
    last_on = min(clock.local_date(visit.starts_at, rota.ZONE), moment.today) - timedelta(days=1)
    days = (last_on - asked_on).days
    if days < 0:
        return visit.requested_at + _minutes(10 + 30 * second)
    day = asked_on + timedelta(days=days if is_late else int(days * second))
    return max(_instant(day, 8 * 60 + int(second * 600)), visit.requested_at + _minutes(10))


def _miss(visit: Appointment, first: float) -> None:
    assert visit.starts_at is not None
    visit.status, visit.version, visit.outcome_code = Status.NOSHOW, 2, Outcome.DID_NOT_ATTEND
    if first < SHARE_CAME_TOO_LATE:
        visit.outcome_code = Outcome.LATE_COULD_NOT_BE_SEEN
        visit.arrived_at = visit.starts_at + _minutes(15 + 50 * first)


def _see(visit: Appointment, first: float, second: float) -> None:
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    is_late = first < SHARE_LATE
    visit.status, visit.version = Status.FULFILLED, 3
    visit.outcome_code = Outcome.ATTENDED_LATE if is_late else Outcome.ATTENDED_ON_TIME
    visit.arrived_at = visit.starts_at + (_minutes(2 + 40 * first) if is_late else -_minutes(1 + 14 * first))
    visit.ended_at = max(visit.arrived_at, visit.starts_at) + (visit.ends_at - visit.starts_at) * 0.8
    visit.ended_at = (visit.ended_at + _minutes(10 * second)).replace(second=0, microsecond=0)


def forget(seen: Appointment, *, came: bool) -> None:
    """Yesterday's click that nobody made: the visit is still booked, or its patient still in the waiting room."""
    seen.status, seen.version = (Status.ARRIVED, 2) if came else (Status.BOOKED, 1)
    seen.ended_at = seen.outcome_code = None
    if not came:
        seen.arrived_at = None


def _minutes(count: float) -> timedelta:
    return timedelta(minutes=int(count))
