"""Whom the queue may offer which time: nobody twice the same, nobody too often, no time to too many in a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from clinic_portal.database import run
from clinic_portal.models import Hold, Offer, OfferState
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.askers import Asker
from clinic_portal.scheduling.assignment import Candidate
from clinic_portal.scheduling.offer_times import SHORTEST, keep_until, step_for
from clinic_portal.scheduling.picture import Picture
from clinic_portal.scheduling.planning import NOTHING_FITS, OFFER_OPEN, OFFERS_THIS_WEEK, Found, Nothing, plan

WEEK = timedelta(days=7)
# How many times that may not be offered are passed over before a request is left for later.
PASSED = 60
# From one instant to another.
Span = tuple[datetime, datetime]

_REFUSED = Offer.state.in_((OfferState.DECLINED, OfferState.EXPIRED))
_OF_REQUESTS = (
    select(Offer.appointment_id, Hold.starts_at, Hold.ends_at)
    .join(Offer.hold)
    .where(Offer.appointment_id.in_(bindparam("ids", expanding=True)), _REFUSED)
)
_OF_PATIENTS = (
    select(Offer.patient_id, Offer.state, Offer.sent_at, Offer.expires_at)
    .where(Offer.patient_id.in_(bindparam("ids", expanding=True)), Offer.sent_at > bindparam("since"))
    .order_by(Offer.sent_at)
)
_OF_TIMES = (
    select(Hold.practitioner_id, Hold.starts_at, Hold.ends_at)
    .join_from(Offer, Hold, Hold.id == Offer.hold_id)
    .where(Offer.starts_at > bindparam("now"), _REFUSED)
)


@dataclass(frozen=True)
class ToOffer:
    """A time to be offered: until when it is kept, and the how-manieth offer of it this is."""

    found: Found
    starts_at: datetime
    expires_at: datetime
    round_no: int


@dataclass
class OfferBook:
    """What has been offered, as far as it decides what may be offered now."""

    refused: dict[int, list[Span]] = field(default_factory=dict)
    open_until: dict[int, datetime] = field(default_factory=dict)
    sent: dict[int, list[datetime]] = field(default_factory=dict)
    made: dict[int, list[Span]] = field(default_factory=dict)

    def rounds(self, practitioner_id: int, low: datetime, high: datetime) -> int:
        """How many offers of a practitioner's time, or part of it, came to nothing: a shifted start is no new time."""
        return sum(starts_at < high and ends_at > low for starts_at, ends_at in self.made.get(practitioner_id, ()))

    def obstacle(self, patient_id: int, now: datetime, most: int) -> Nothing | None:
        """Why somebody gets no offer at all now, and when that ends."""
        if patient_id in self.open_until:
            return Nothing(OFFER_OPEN, again_at=self.open_until[patient_id])
        sent = self.sent.get(patient_id, [])
        return Nothing(OFFERS_THIS_WEEK, again_at=sent[-most] + WEEK) if len(sent) >= most else None


def read_offer_book(session: Session, rows: Iterable[Any], now: datetime) -> OfferBook:
    """What has been offered to these requests and their patients, and of all times ahead."""
    book, asked = OfferBook(), [row for row in rows if row.is_ask_first or row.starts_at is not None]
    if not asked:
        return book
    for appointment_id, *span in run(session, _OF_REQUESTS, {"ids": [row.id for row in asked]}):
        book.refused.setdefault(appointment_id, []).append((span[0], span[1]))
    patients = {"ids": [row.patient_id for row in asked], "since": now - WEEK}
    for patient_id, state, sent_at, expires_at in run(session, _OF_PATIENTS, patients):
        book.sent.setdefault(patient_id, []).append(sent_at)
        if state is OfferState.OPEN:
            book.open_until[patient_id] = expires_at
    for practitioner_id, *span in run(session, _OF_TIMES, {"now": now}):
        book.made.setdefault(practitioner_id, []).append((span[0], span[1]))
    return book


def plan_offer(picture: Picture, row: Any, asker: Asker, now: datetime, book: OfferBook) -> ToOffer | Nothing:
    """The earliest time that may be offered for a request, and until when it would be kept."""
    # What was refused once is as little of use as the time of another visit; so is a part of it.
    refused = book.refused.get(row.id, ())
    passed: set[datetime] = set()
    for _ in range(PASSED):
        found = plan(picture, row, asker, now, not_before=now + SHORTEST, not_at=passed, not_during=refused)
        if isinstance(found, Nothing):
            return found
        settings = found.terms.settings
        if obstacle := book.obstacle(row.patient_id, now, settings.number("offers_a_week")):
            return obstacle
        starts_at = masks.to_instant(found.candidate.visit[0], found.terms.grid_min)
        step = step_for(starts_at, now)
        free = [each for each in found.ranked if step and _rounds(book, found, each) < step.rounds]
        if step and free:
            chosen = replace(found, candidate=free[0])
            until = keep_until(step, starts_at, now, found.terms.zones[free[0].location_id], settings)
            return ToOffer(chosen, starts_at, until, _rounds(book, found, free[0]) + 1)
        passed.add(starts_at)
    return Nothing(NOTHING_FITS)


def _rounds(book: OfferBook, found: Found, candidate: Candidate) -> int:
    low, high = (masks.to_instant(cell, found.terms.grid_min) for cell in candidate.visit)
    return book.rounds(candidate.practitioner_id, low, high)
