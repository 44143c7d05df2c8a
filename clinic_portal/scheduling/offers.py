"""Offers: a time kept for one patient until an instant, for a request or for a booked visit that would be earlier.

Whether an offer still stands is judged when it is read: it ends at its instant though nobody has cleared it. The time
is kept by a hold, so there are never two offers for one time, and nobody else can book it meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.audit import SYSTEM, Actor, Change, record_all
from clinic_portal.database import writing
from clinic_portal.errors import NotFound, OfferGone, PatientBusy
from clinic_portal.models import (
    AnsweredVia,
    Appointment,
    Event,
    Hold,
    HoldEnd,
    HoldKind,
    Offer,
    OfferState,
    Status,
    TaskKind,
)
from clinic_portal.notifications.calls import overtake_calls
from clinic_portal.notifications.request_outbox import Told, tell_of_requests, wake_queue
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.booking import placement_of_hold
from clinic_portal.scheduling.offering import ToOffer
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.placing import become_visit, put_elsewhere
from clinic_portal.scheduling.planning import NOTHING_FITS
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, lock_batch, note_change, told
from clinic_portal.scheduling.search import Search, own_visits
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.visits import lock_visit
from clinic_portal.settings import load_settings
from clinic_portal.tasks import open_task

# A request or visit, what was told of it before, and the offer that ended.
Settled = tuple[Appointment, dict[str, Any], Offer]
SETTLED_AT_ONCE = 50
_OPEN = select(Offer).where(Offer.state == OfferState.OPEN).options(joinedload(Offer.hold))


def make_offers(session: Session, made: Sequence[tuple[Appointment, ToOffer]], now: datetime) -> None:
    """Keep times whose cells are claimed for those to whom they are offered, inside the caller's transaction."""
    changes, news = [], []
    for row, offer in made:
        before, placement = (
            told(row),
            offer.found.placement(),
        )
        hold = Hold(
            kind=HoldKind.OFFER, patient_id=row.patient_id, visit_type_id=row.visit_type_id, appointment_id=row.id,
            practitioner_id=placement.practitioner_id, location_id=placement.location_id,
            starts_at=placement.starts_at, ends_at=placement.ends_at, blocked_from=placement.blocked_from,
            blocked_until=placement.blocked_until, wishes=row.wishes, choice=placement.choice,
            mode=row.mode, call_number=row.call_number, extra_minutes=placement.extra_minutes,
            safety_answer=row.safety_answer, created_at=now, expires_at=offer.expires_at,
        )  # fmt: skip
        session.add(hold)
        session.flush()
        kept = Offer(
            appointment_id=row.id, patient_id=row.patient_id, hold_id=hold.id,
            practitioner_id=placement.practitioner_id, starts_at=placement.starts_at, sent_at=now,
            expires_at=offer.expires_at, round_no=offer.round_no, state=OfferState.OPEN,
        )  # fmt: skip
        session.add(kept)
        if row.is_request:
            row.status = Status.PENDING
        row.not_placed_because, row.next_try_at, row.tries, row.version = None, now, 0, row.version + 1
        session.flush()
        after = told(row) | {"offered": placement.starts_at.isoformat()}
        changes.append(Change("offer", row, row.patient_id, before, after))
        # Half of the time that is left for an answer.
        news.append(Told(row, Event.OFFER, {"offer_id": kept.id}, call_by=now + (offer.expires_at - now) / 2))
    if made:
        record_all(session, SYSTEM, changes)
        overtake_calls(session, [row.id for row, _ in made])
        tell_of_requests(session, news)


@writing
def accept_offer(db: Session, *, actor: Actor, offer_id: int, via: AnsweredVia = AnsweredVia.PORTAL) -> Appointment:
    """Take an offered time: the request becomes a visit, or the booked visit moves; the old time is freed only then.

    Saying yes twice is saying it once.

    Commits: the offer, its hold, the visit, attempt, audit, messages; session cells of an old time; rings.
    Raises: OfferGone when it stands no more, PatientBusy, NotAllowed, NotFound.
    Source: clinic.md A8.
    """
    offer, visit = _lock(db, offer_id)
    if offer.state is OfferState.ACCEPTED:
        return visit
    now = clock.now()
    lock_patient(db, visit.patient_id)
    _check_stands(db, offer, visit, now)
    check_step(actor, visit.status, Status.BOOKED)
    claims.keep_cells_of_hold(db, offer.hold_id, now)
    _answer(offer, OfferState.ACCEPTED, via, now)
    visit.unanswered_offers = 0
    overtake_calls(db, [visit.id])
    if visit.is_request:
        become_visit(db, actor, visit, placement_of_hold(offer.hold), "accept", now)
    else:
        leave_queue(visit)
        close_request_tasks(db, actor, [visit.id], "booked")
        put_elsewhere(db, actor, visit, placement_of_hold(offer.hold), "accept_earlier", now)
    return visit


def _lock(session: Session, offer_id: int) -> tuple[Offer, Appointment]:
    """An offer and what it is for, as they are now, locked until the transaction ends.

    Raises: NotFound.
    """
    appointment_id = session.scalar(select(Offer.appointment_id).where(Offer.id == offer_id))
    if appointment_id is None:
        raise NotFound
    visit = lock_visit(session, appointment_id)
    found = select(Offer).where(Offer.id == offer_id).options(joinedload(Offer.hold))
    return session.scalars(found.execution_options(populate_existing=True)).one(), visit


def _check_stands(session: Session, offer: Offer, visit: Appointment, now: datetime) -> None:
    hold, grid_min = offer.hold, load_settings(session).number("grid_min")
    if not offer.is_live(now) or hold.starts_at <= now:
        raise OfferGone
    piece = claims.piece_of(hold.blocked_from, hold.blocked_until, grid_min)
    parts = claims.parts_of(session, hold.practitioner_id, hold.lane, piece)
    # The hours may have changed since: nobody is booked into a doctor's day off.
    if sum(part.mask(piece).bit_count() for part in parts) < piece[1] - piece[0]:
        raise OfferGone
    search = Search(visit.visit_type_id, visit.patient_id, moving_id=visit.id)
    if busy := own_visits(session, search, hold.starts_at, hold.ends_at):
        raise PatientBusy(appointment_id=busy[0].appointment_id)


def _answer(offer: Offer, state: OfferState, via: AnsweredVia, now: datetime) -> None:
    offer.state, offer.answered_at, offer.answered_via = state, now, via


@writing
def decline_offer(db: Session, *, actor: Actor, offer_id: int, via: AnsweredVia = AnsweredVia.PORTAL) -> Appointment:
    """Leave an offered time to others; the place in the queue stays, and this time is not offered again.

    Commits: the offer, its hold with the cells given back, the request, audit; rings for the next in line.
    Raises: OfferGone when it stands no more, NotFound.
    Source: clinic.md 5: declining never costs the place.
    """
    offer, visit = _lock(db, offer_id)
    if offer.state is OfferState.DECLINED:
        return visit
    now = clock.now()
    if not offer.is_live(now):
        raise OfferGone
    before = told(visit)
    _answer(offer, OfferState.DECLINED, via, now)
    visit.unanswered_offers = 0
    _end_hold(db, offer, now, HoldEnd.RELEASED)
    _wait_on(visit, now)
    overtake_calls(db, [visit.id])
    note_change(db, actor, "decline", visit, before)
    wake_queue()
    return visit


def _end_hold(session: Session, offer: Offer, now: datetime, because: HoldEnd) -> None:
    grid_min = load_settings(session).number("grid_min")
    still_open = [row for row in claims.open_holds_for(session, offer.appointment_id) if row.id == offer.hold_id]
    claims.close_holds(session, still_open, now, because, grid_min)


def _wait_on(visit: Appointment, now: datetime) -> None:
    """Back to the waiting list, to be looked at at once; a booked visit just stays."""
    if visit.is_request:
        visit.status, visit.not_placed_because = Status.WAITLIST, NOTHING_FITS
    visit.next_try_at = now


def offers_to_settle(session: Session, now: datetime) -> list[int]:
    """Open offers that stand no more: past their instant, or taken back with their hold. The visits they are for."""
    found = select(Offer.appointment_id).join(Offer.hold).where(*_is_over(now))
    return list(session.scalars(found.order_by(Offer.expires_at).limit(SETTLED_AT_ONCE)))


def offer_over_since(session: Session, now: datetime) -> datetime | None:
    """Since when the oldest open offer that stands no more has been over."""
    ended_at = func.coalesce(Hold.closed_at, Offer.expires_at)
    oldest: datetime | None = session.scalar(
        select(func.min(ended_at)).select_from(Offer).join(Offer.hold).where(*_is_over(now))
    )
    return oldest


def _is_over(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Offer.state == OfferState.OPEN, or_(Offer.expires_at <= now, Hold.closed_at.is_not(None))


@writing
def settle_offers(session: Session) -> int:
    """Note the end of offers that stand no more, so that the next in line is asked. Returns how many.

    Three in a row that nobody answered pause the request: its patient is told, and a person at the clinic asks.

    Commits: the offers, their holds, the requests, audit, messages, tasks.
    Source: clinic.md 5: an unanswered offer costs nothing twice; after three: paused, message, task.
    """
    now = clock.now()
    rows = {row.id: row for row in lock_batch(session, offers_to_settle(session, now))}
    if not rows:
        return 0
    found = _OPEN.where(Offer.appointment_id.in_(rows)).execution_options(populate_existing=True)
    offers = [offer for offer in session.scalars(found) if not offer.is_live(now)]
    settled: list[Settled] = []
    for offer in offers:
        row = rows[offer.appointment_id]
        settled.append((row, told(row), offer))
        _settle(session, row, offer, now)
    session.flush()
    _tell_settled(session, settled, now)
    return len(offers)


def _settle(session: Session, row: Appointment, offer: Offer, now: datetime) -> None:
    taken_back = offer.hold.closed_because is HoldEnd.RELEASED
    offer.state = OfferState.WITHDRAWN if taken_back else OfferState.EXPIRED
    _end_hold(session, offer, now, HoldEnd.EXPIRED)
    if not taken_back:
        row.unanswered_offers += 1
        if row.unanswered_offers >= load_settings(session).number("offers_unanswered"):
            row.paused_at = now
    if row.status in (Status.PENDING, Status.BOOKED):
        _wait_on(row, now)
        row.version += 1


def _tell_settled(session: Session, settled: Sequence[Settled], now: datetime) -> None:
    changes = [
        Change("offer_lapsed", row, row.patient_id, before, told(row))
        for row, before, _ in settled
        if before["version"] != row.version
    ]
    record_all(session, SYSTEM, changes)
    lapsed = [(row, offer) for row, _, offer in settled if offer.state is OfferState.EXPIRED]
    overtake_calls(session, [row.id for row, _ in lapsed])
    for row, _ in lapsed:
        if row.paused_at is not None:
            open_task(session, TaskKind.OFFERS_UNANSWERED, patient_id=row.patient_id, appointment_id=row.id, due_at=now)
    tell_of_requests(
        session,
        [
            Told(row, Event.REQUEST_PAUSED if row.paused_at else Event.OFFER_LAPSED, {"offer_id": offer.id})
            for row, offer in lapsed
        ],
    )
