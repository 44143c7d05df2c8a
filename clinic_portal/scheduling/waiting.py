"""What happens next with a request, and one request as its patient sees it. Reads only; the whole line: `line.py`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.models import (
    Appointment,
    Location,
    Offer,
    OfferState,
    Status,
    TriageStatus,
)
from clinic_portal.scheduling.wishes import Wishes, wishes_of
from clinic_portal.visit_texts import text_of


class Next(enum.StrEnum):
    """What happens next with a request, and so who has to do something."""

    # A person at the clinic.
    LOOK_AT_IT = "look_at_it"
    PLACE_BY_HAND = "place_by_hand"
    ASK_PATIENT = "ask_patient"
    # The patient.
    ANSWER_OFFER = "answer_offer"
    # The queue.
    BEING_PLACED = "being_placed"
    TRIED_AGAIN = "tried_again"
    WAITS_FOR_TIME = "waits_for_time"
    DEFERRED = "deferred"


@dataclass(frozen=True)
class OfferedTime:
    """A time that is kept for the patient until an instant."""

    offer_id: int
    public_id: str
    starts_at: datetime
    ends_at: datetime
    location: Location
    expires_at: datetime


@dataclass(frozen=True)
class RequestCard:
    """A request as its patient sees it: what was asked, until when it is answered, and what happens next."""

    public_id: str
    reference: str
    patient_id: int
    visit_name: str
    status: Status
    asked_at: datetime
    answer_by: datetime | None
    wishes: Wishes
    location: Location | None
    next: Next
    offer: OfferedTime | None
    # The answer of somebody at the clinic who sent it elsewhere.
    answer: str | None
    version: int


def request_card(session: Session, visit: Appointment) -> RequestCard:
    """One request with all that its page tells, also after it has ended."""
    now = clock.now()
    offer = offer_for(session, visit, now)
    location_id = visit.wishes.get("location_id")
    return RequestCard(
        public_id=visit.public_id,
        reference=visit.reference,
        patient_id=visit.patient_id,
        visit_name=text_of(session, visit.visit_type_id).name,
        status=visit.status,
        asked_at=visit.requested_at,
        answer_by=visit.answer_by,
        wishes=wishes_of(visit),
        location=session.get(Location, location_id) if location_id else None,
        next=next_action(visit, now, is_offered=offer is not None),
        offer=offer,
        answer=visit.triage_note,
        version=visit.version,
    )


def offer_for(session: Session, visit: Appointment, now: datetime) -> OfferedTime | None:
    """What is offered for a request or a booked visit right now; judged as it is read."""
    found = select(Offer).where(Offer.appointment_id == visit.id, Offer.state == OfferState.OPEN)
    for offer in session.scalars(found.options(joinedload(Offer.hold))):
        if offer.is_live(now):
            hold = offer.hold
            return OfferedTime(offer.id, offer.public_id, hold.starts_at, hold.ends_at, hold.location, offer.expires_at)
    return None


def next_action(visit: Appointment, now: datetime, *, is_offered: bool) -> Next:
    """What happens next with a request."""
    if visit.triage_status is TriageStatus.WAITING:
        return Next.LOOK_AT_IT
    if visit.paused_at is not None:
        return Next.ASK_PATIENT
    if is_offered:
        return Next.ANSWER_OFFER
    if visit.deferred_until is not None and visit.deferred_until > now:
        return Next.DEFERRED
    if visit.next_try_at is None:
        return Next.PLACE_BY_HAND
    if visit.status is Status.WAITLIST:
        return Next.WAITS_FOR_TIME
    return Next.TRIED_AGAIN if visit.tries else Next.BEING_PLACED
