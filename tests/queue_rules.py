"""What must be true of everybody who waits, worked out from the rows alone and without the queue's own arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import ALL_PARTS, Appointment, Hold, Offer, OfferState, Status, Task, TriageStatus
from clinic_portal.scheduling.planning import search_of
from clinic_portal.scheduling.request_rows import TASKS
from clinic_portal.scheduling.wishes import BEGINS_MIN, ENDS_MIN, parts_of_week
from clinic_portal.settings import load_settings
from tests.brute_force import free_starts
from tests.invariants import KEEPS_ITS_TIME, WAITS, cells
from tests.world import ZONE

WEEK = timedelta(days=7)
# Nearer than this nothing is offered.
NEAREST_OFFER = timedelta(hours=6)
# No visit in the stories is longer.
LONGEST = timedelta(hours=1)


def broken_queue_rules(session: Session) -> list[str]:
    """Everything that is wrong with those who wait, have waited, or are offered a time."""
    session.rollback()
    session.expire_all()
    visits = list(session.scalars(select(Appointment).order_by(Appointment.id)))
    found = [*_kept_twice(session, visits), *_one_state(session, visits)]
    session.rollback()
    return found


def _kept_twice(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """No cell of a practitioner is kept twice: by two offers, two holds, or one of these and a visit."""
    grid_min = load_settings(session).number("grid_min")
    kept: dict[tuple[int, int], list[tuple[str, set[int]]]] = defaultdict(list)
    of_visit: dict[int, set[int]] = {}
    for visit in visits:
        if visit.status in KEEPS_ITS_TIME and visit.blocked_from and visit.blocked_until and visit.practitioner_id:
            of_visit[visit.id] = cells(visit.blocked_from, visit.blocked_until, grid_min)
            kept[visit.practitioner_id, visit.lane].append((f"visit {visit.id}", of_visit[visit.id]))
    for hold in session.scalars(select(Hold).where(Hold.closed_at.is_(None)).order_by(Hold.id)):
        # A hold that would move a visit may lie on that visit's own time.
        own = of_visit.get(hold.appointment_id or 0, set())
        held = cells(hold.blocked_from, hold.blocked_until, grid_min) - own
        kept[hold.practitioner_id, hold.lane].append((f"{hold.kind} {hold.id}", held))
    for group in kept.values():
        for number, (one, some) in enumerate(group):
            yield from (f"{one} and {other} keep the same time" for other, more in group[:number] if some & more)


def _one_state(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """A request waits, or has its time, or has ended; what belongs to one of these belongs to no other."""
    live = {
        offer.appointment_id
        for offer in session.scalars(select(Offer).where(Offer.state == OfferState.OPEN))
        if offer.is_live(clock.now())
    }
    held = set(session.scalars(select(Hold.appointment_id).where(Hold.closed_at.is_(None))))
    for offer in session.scalars(select(Offer).where(Offer.state != OfferState.OPEN)):
        if offer.hold.closed_at is None:
            yield f"offer {offer.id}: {offer.state}, and its time is still kept"
    asked = set(session.scalars(select(Task.appointment_id).where(Task.kind.in_(TASKS), Task.closed_at.is_(None))))
    for visit in visits:
        waits, has_time = visit.status in WAITS, visit.status in KEEPS_ITS_TIME
        has_ended = not waits and not has_time and visit.status is not Status.ARRIVED
        is_looked_after = waits or visit.wants_earlier
        if visit.id in live and not is_looked_after:
            yield f"visit {visit.id}: {visit.status}, and something is offered for it"
        if visit.id in held and has_ended:
            yield f"visit {visit.id}: {visit.status}, and time is kept for it"
        if visit.id in asked and not is_looked_after:
            yield f"visit {visit.id}: {visit.status}, and somebody is asked to look at its request"
        if has_ended and (visit.wants_earlier or visit.next_try_at or visit.escalate_at):
            yield f"visit {visit.id}: {visit.status}, and still in line"
        if has_time and visit.booked_at is None:
            yield f"visit {visit.id}: {visit.status} since never"


def unserved(session: Session, now: datetime) -> list[str]:
    """Everybody for whom a drain has left a time that they could have had, or an offer that has run out."""
    session.rollback()
    session.expire_all()
    found = [f"offer {offer.id} is over and still open" for offer in _open_offers(session) if not offer.is_live(now)]
    for visit in session.scalars(select(Appointment).order_by(Appointment.id)):
        if _may_be_served(visit, now):
            free = sorted(set(_suiting(visit, free_starts(session, search_of(visit), now), now)))
            kept = _offered_otherwise(session, visit, now)
            free = [at for at in free if not any(low < at + LONGEST and high > at for low, high in kept)]
            if visit.is_ask_first or visit.starts_at is not None:
                free = _that_may_be_offered(session, visit, free, now)
            found += [f"visit {visit.id}: could have {starts_at}" for starts_at in free[:1]]
    session.rollback()
    return found


def _offered_otherwise(session: Session, visit: Appointment, now: datetime) -> list[tuple[datetime, datetime]]:
    """The times that the same patient may still say yes to, for something else."""
    return [
        (offer.hold.starts_at, offer.hold.ends_at)
        for offer in _open_offers(session)
        if offer.is_live(now) and offer.patient_id == visit.patient_id and offer.appointment_id != visit.id
    ]


def _open_offers(session: Session) -> list[Offer]:
    return list(session.scalars(select(Offer).where(Offer.state == OfferState.OPEN)))


def _may_be_served(visit: Appointment, now: datetime) -> bool:
    would_be_earlier = visit.wants_earlier and visit.status is Status.BOOKED
    return (
        (visit.status in (Status.PROPOSED, Status.WAITLIST) or would_be_earlier)
        and visit.triage_status in (TriageStatus.NOT_NEEDED, TriageStatus.DONE)
        and visit.paused_at is None
        and (visit.deferred_until is None or visit.deferred_until <= now)
    )


def _suiting(visit: Appointment, free: Iterable[datetime], now: datetime) -> Iterator[datetime]:
    """The starts that the patient has wished for, by the clock on the wall."""
    for starts_at in free:
        local = clock.local(starts_at, ZONE)
        minute = local.hour * 60 + local.minute
        if (
            (visit.wish_from is None or local.date() >= visit.wish_from)
            and (visit.wish_until is None or local.date() <= visit.wish_until)
            and starts_at >= now + timedelta(minutes=visit.min_warning_min)
            and (visit.wish_parts == ALL_PARTS or _is_in_parts(visit.wish_parts, local.weekday(), minute))
        ):
            yield starts_at


def _is_in_parts(parts: int, weekday: int, minute: int) -> bool:
    return any(day == weekday and BEGINS_MIN[part] <= minute < ENDS_MIN[part] for day, part in parts_of_week(parts))


def _that_may_be_offered(
    session: Session, visit: Appointment, free: list[datetime], now: datetime
) -> list[datetime]:  # fmt: skip
    """Of some free starts those that nobody has refused yet, for somebody who has not been offered enough."""
    mine = list(session.scalars(select(Offer).where(Offer.patient_id == visit.patient_id)))
    most = load_settings(session).number("offers_a_week")
    if any(offer.state is OfferState.OPEN for offer in mine) or sum(o.sent_at > now - WEEK for o in mine) >= most:
        return []
    refused = [
        (offer.hold.starts_at, offer.hold.ends_at)
        for offer in session.scalars(select(Offer).where(Offer.state.in_((OfferState.DECLINED, OfferState.EXPIRED))))
    ]
    latest = visit.starts_at and visit.starts_at - timedelta(hours=load_settings(session).number("earlier_by_h"))
    return [
        at
        for at in free
        if at >= now + NEAREST_OFFER
        and (latest is None or at <= latest)
        and not any(low < at + LONGEST and high > at for low, high in refused)
    ]


def line(session: Session, now: datetime) -> list[tuple[int, tuple[Any, ...]]]:
    """Everybody who waits to be booked, in order, with all that they wish."""
    session.rollback()
    session.expire_all()
    waiting = [
        visit
        for visit in session.scalars(select(Appointment))
        if visit.status in WAITS and _may_be_served(visit, now) and not visit.is_ask_first
    ]
    waiting.sort(key=lambda visit: (visit.priority_class != "urgent", visit.target_at, visit.requested_at, visit.id))
    return [(visit.id, _wish(visit)) for visit in waiting]


def _wish(visit: Appointment) -> tuple[Any, ...]:
    return (visit.visit_type_id, visit.wish_from, visit.wish_until, visit.wish_parts, visit.min_warning_min,
            visit.mode, repr(visit.wishes), visit.origin)  # fmt: skip


def overtaken(session: Session, before: list[tuple[int, tuple[Any, ...]]]) -> list[str]:
    """Whoever stood behind somebody who wishes the same, and yet got an earlier time, or one at all.

    Args: before, the line before it was served.
    """
    session.rollback()
    session.expire_all()
    rows = {visit.id: visit for visit in session.scalars(select(Appointment))}
    found = []
    for number, (ahead_id, wish) in enumerate(before):
        ahead = rows[ahead_id]
        for behind in (rows[id_] for id_, same in before[number + 1 :] if same == wish):
            if behind.starts_at is None or (ahead.starts_at is not None and ahead.starts_at <= behind.starts_at):
                continue
            if not _is_elsewhere(ahead, behind, rows.values()) and not _offered_otherwise(session, ahead, clock.now()):
                found.append(f"request {behind.id} got {behind.starts_at} before {ahead.id} ({ahead.starts_at})")
    return found


def _is_elsewhere(ahead: Appointment, behind: Appointment, visits: Iterable[Appointment]) -> bool:
    """Whether the patient who stood ahead has another visit at that time."""
    assert behind.starts_at is not None
    assert behind.ends_at is not None
    return any(
        each.patient_id == ahead.patient_id and each.id != ahead.id and each.status in KEEPS_ITS_TIME
        and each.starts_at is not None and each.ends_at is not None
        and each.starts_at < behind.ends_at and each.ends_at > behind.starts_at
        for each in visits
    )  # fmt: skip
