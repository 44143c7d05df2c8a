"""A message about a request, an offer or an invitation, about to leave: whether it still is true, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.languages import known
from clinic_portal.models import (
    REMOTE,
    Appointment,
    ContactKind,
    ContactPoint,
    Event,
    Location,
    Mode,
    Notification,
    Offer,
    OfferState,
    Patient,
    Relation,
    Status,
    TriageStatus,
    VisitType,
)
from clinic_portal.notifications.facts import NoAddress, Overtaken
from clinic_portal.notifications.message_texts import OwnText
from clinic_portal.settings import load_settings, shown_window
from clinic_portal.visit_texts import text_of

# What is told about a request only while it is in one of these statuses.
TRUE_WHILE = {
    Event.REQUEST_RECEIVED: (Status.PROPOSED,),
    Event.WAITLISTED: (Status.WAITLIST,),
    Event.OFFER: (Status.PENDING, Status.BOOKED),
    Event.OFFER_LAPSED: (Status.PROPOSED, Status.WAITLIST, Status.BOOKED),
    Event.REQUEST_PAUSED: (Status.PROPOSED, Status.WAITLIST, Status.BOOKED),
    Event.REQUEST_DELAYED: (Status.PROPOSED, Status.WAITLIST),
    Event.REQUEST_CLOSED: (Status.CANCELLED,),
}

TELLS_MODE = (Event.REQUEST_RECEIVED, Event.WAITLISTED, Event.OFFER)


@dataclass(frozen=True)
class Time:
    """An instant in the zone in which it is told, and the place's name where somebody goes there and may know it."""

    at: datetime
    zone: str
    place: str | None = None
    # The stretch of the day, in minutes, that is told instead; 0 for the time itself.
    window_min: int = 0


@dataclass(frozen=True)
class RequestLetter:
    """Everything such a mail tells or needs, free of the database."""

    dedupe_key: str
    event: Event
    created_at: datetime
    address: str
    contact_point_id: int
    for_whom: str | None
    visit_name: str | None
    reference: str | None
    answer_by: Time | None
    is_triaged_by_person: bool
    has_time: bool
    # In which way somebody is seen, and which number is called; None where nothing of it is told.
    mode: Mode | None
    call_number: str | None
    times: tuple[Time, ...]
    keep_until: Time | None
    due: tuple[date, date] | None
    # What the link names: the offer by itself, else the request; none for an invitation.
    offer_public_id: str | None
    request_public_id: str | None
    contact_public_id: str
    clinic_name: str
    clinic_phone: str
    language: str | None
    is_sensitive: bool
    own: OwnText | None = None


def read_request_letter(session: Session, row: Notification) -> RequestLetter:
    """Read what one message has to say now.

    Raises: Overtaken when it should not leave any more, NoAddress when it cannot.
    """
    if row.event is Event.INVITATION:
        return _invitation_letter(session, row)
    visit, offer = row.appointment, _offer(session, row)
    assert visit is not None
    reason = _why_overtaken(row, visit, offer, clock.now())
    if reason is not None:
        raise Overtaken(reason)
    zone = _zone(session)
    return _letter(
        session,
        row,
        visit.patient,
        visit.visit_type,
        is_private=visit.is_private,
        reference=visit.reference,
        answer_by=Time(visit.answer_by, zone) if visit.answer_by else None,
        is_triaged_by_person=visit.triage_status is TriageStatus.WAITING,
        has_time=visit.starts_at is not None,
        mode=visit.mode if row.event in TELLS_MODE else None,
        call_number=visit.call_number,
        times=_times(session, row, visit, offer),
        keep_until=Time(offer.expires_at, offer.hold.location.zone) if offer else None,
        offer=offer,
    )


def _invitation_letter(session: Session, row: Notification) -> RequestLetter:
    invitation = row.visit_invitation
    assert invitation is not None
    if invitation.patient.deceased_on is not None:
        raise Overtaken("deceased")
    if not invitation.is_open(clock.now()):
        raise Overtaken("answered")
    due = (invitation.due_from, invitation.due_until)
    return _letter(session, row, invitation.patient, invitation.visit_type, due=due)


def _letter(
    session: Session, row: Notification, patient: Patient, visit_type: VisitType, *, is_private: bool = False,
    reference: str | None = None, answer_by: Time | None = None, is_triaged_by_person: bool = False,
    has_time: bool = False, mode: Mode | None = None, call_number: str | None = None, times: tuple[Time, ...] = (),
    keep_until: Time | None = None, offer: Offer | None = None,
    due: tuple[date, date] | None = None,
) -> RequestLetter:  # fmt: skip
    contact = usable_contact(row, patient, is_private=is_private)
    settings, language = load_settings(session), known(patient.preferred_language)
    return RequestLetter(
        dedupe_key=row.dedupe_key,
        event=row.event,
        created_at=row.created_at,
        address=contact.value,
        contact_point_id=contact.id,
        offer_public_id=offer.public_id if offer and row.event is Event.OFFER else None,
        request_public_id=row.appointment.public_id if row.appointment else None,
        contact_public_id=contact.public_id,
        for_whom=None if contact.whose == Relation.SELF else patient.called_name,
        visit_name=None if visit_type.is_sensitive else text_of(session, visit_type.id, language).name,
        reference=reference,
        answer_by=answer_by,
        is_triaged_by_person=is_triaged_by_person,
        has_time=has_time,
        mode=mode,
        call_number=call_number,
        times=times,
        keep_until=keep_until,
        due=due,
        clinic_name=settings.value("clinic_name"),
        clinic_phone=settings.value("clinic_phone"),
        language=language,
        is_sensitive=visit_type.is_sensitive,
    )


def _why_overtaken(row: Notification, visit: Appointment, offer: Offer | None, now: datetime) -> str | None:
    """Why a message should not leave any more, as a code; None when it should. Source: UC6.7."""
    if visit.patient.deceased_on is not None:
        return "deceased"
    if visit.status not in TRUE_WHILE[row.event]:
        return f"visit_{visit.status}"
    if row.event is Event.OFFER and (offer is None or not offer.is_live(now)):
        return "lapsed"
    if row.event is Event.OFFER_LAPSED and (offer is None or offer.state is not OfferState.EXPIRED):
        return "newer"
    return "resumed" if row.event is Event.REQUEST_PAUSED and visit.paused_at is None else None


def _offer(session: Session, row: Notification) -> Offer | None:
    if "offer_id" not in row.facts:
        return None
    found = select(Offer).where(Offer.id == row.facts["offer_id"]).options(joinedload(Offer.hold))
    return session.scalars(found).one()


def usable_contact(row: Notification, patient: Patient, *, is_private: bool) -> ContactPoint:
    """The address that was chosen when the message was written, or the best one left if it has ended or failed since.

    What is private is told only where the patient alone reads it.

    Raises: NoAddress.
    """
    chosen = [row.contact_point] if row.contact_point else []
    for contact in [*chosen, *patient.contact_points]:
        may_read = contact.whose == Relation.SELF or not is_private
        if contact.is_usable and contact.kind == ContactKind.EMAIL and may_read:
            return contact
    raise NoAddress


def _times(session: Session, row: Notification, visit: Appointment, offer: Offer | None) -> tuple[Time, ...]:
    """The times that a message names, as they would be told for the visit itself."""
    named = [(offer.starts_at, offer.hold.location)] if offer else []
    for starts_at, location_id in row.facts.get("alternatives", ()):
        named.append((datetime.fromisoformat(starts_at), session.get_one(Location, location_id)))
    window_min = shown_window(load_settings(session), visit.mode, visit.visit_type_id)
    is_place_told = visit.mode not in REMOTE and not visit.visit_type.is_sensitive
    return tuple(Time(at, place.zone, place.name if is_place_told else None, window_min) for at, place in named)


def _zone(session: Session) -> str:
    return session.scalar(select(Location.zone).where(Location.is_active).order_by(Location.id).limit(1)) or "UTC"
