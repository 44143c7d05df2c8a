"""One message about to leave: whether it still is true, to which address it goes, and the facts it will tell.

Read at the last moment and outside any write, so that a visit cancelled a second ago is not confirmed now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from clinic_portal import clock
from clinic_portal.models import (
    Appointment,
    ContactKind,
    ContactPoint,
    Event,
    Location,
    Notification,
    Patient,
    Practitioner,
    Recipient,
    Relation,
    Status,
)
from clinic_portal.notifications.account_letters import AccountLetter, read_account_letter
from clinic_portal.notifications.facts import NoAddress, Overtaken
from clinic_portal.settings import load_settings


@dataclass(frozen=True)
class PlaceFacts:
    """Where a visit takes place."""

    name: str
    address: str
    zone: str


@dataclass(frozen=True)
class When:
    """When and where a visit is, or was for who lost it; and for one that was moved, when before."""

    starts_at: datetime
    ends_at: datetime | None
    place: PlaceFacts
    old_starts_at: datetime | None = None
    old_zone: str = ""


@dataclass(frozen=True)
class Letter:
    """Everything a mail tells or needs, free of the database."""

    dedupe_key: str
    event: Event
    recipient: Recipient
    sequence: int
    created_at: datetime
    address: str
    contact_point_id: int | None
    for_whom: str | None
    public_id: str
    reference: str
    when: When
    with_whom: str
    visit_name: str
    is_sensitive: bool
    clinic_name: str
    clinic_phone: str
    language: str | None


@dataclass(frozen=True)
class AddressCheck:
    """A mail that asks whether it arrived; whoever reads it learns nothing of the patient."""

    dedupe_key: str
    created_at: datetime
    address: str
    contact_point_id: int
    contact_public_id: str
    clinic_name: str
    clinic_phone: str
    language: str | None


_ROW = select(Notification).options(
    joinedload(Notification.appointment).options(
        joinedload(Appointment.visit_type),
        joinedload(Appointment.location),
        joinedload(Appointment.practitioner),
        joinedload(Appointment.patient).options(selectinload(Patient.contact_points)),
    ),
    joinedload(Notification.account),
    joinedload(Notification.practitioner).options(joinedload(Practitioner.account)),
    joinedload(Notification.contact_point),
    joinedload(Notification.patient),
)


def read_letter(session: Session, notification_id: int) -> Letter | AccountLetter | AddressCheck:
    """Read what one message has to say now.

    Raises: Overtaken when it should not leave any more, NoAddress when it cannot.
    """
    row = session.scalars(_ROW.where(Notification.id == notification_id)).one()
    if row.event == Event.VERIFY:
        return _check(session, row)
    visit = row.appointment
    if visit is None:
        return read_account_letter(session, row)
    reason = why_overtaken(row, visit, clock.now())
    if reason is not None:
        raise Overtaken(reason)
    contact_point_id, address, for_whom = _address(row, visit)
    settings = load_settings(session)
    return Letter(
        dedupe_key=row.dedupe_key,
        event=row.event,
        recipient=row.recipient,
        sequence=row.sequence,
        created_at=row.created_at,
        address=address,
        contact_point_id=contact_point_id,
        for_whom=for_whom,
        public_id=visit.public_id,
        reference=visit.reference,
        when=_when(session, row, visit),
        with_whom=visit.practitioner.name if visit.practitioner else "",
        visit_name=visit.visit_type.message_name,
        is_sensitive=visit.visit_type.is_sensitive,
        clinic_name=settings.value("clinic_name"),
        clinic_phone=settings.value("clinic_phone"),
        language=_language(row, visit),
    )


def why_overtaken(row: Notification, visit: Appointment, now: datetime) -> str | None:
    """Why a message should not leave any more, as a code; None when it should.

    A booking or a move is told only while it stands exactly so. A cancel is told unless the visit stands again for
    this very reader, or was cancelled once more since: then a newer message says so.
    Source: UC6.2, UC6.7.
    """
    if visit.patient.deceased_on is not None:
        return "deceased"
    is_current = row.sequence == visit.sequence
    if row.event == Event.CANCELLED:
        concerns_reader = row.recipient == Recipient.PATIENT or row.practitioner_id == visit.practitioner_id
        return "newer" if concerns_reader and (visit.is_active or not is_current) else None
    if not is_current:
        return "newer"
    if visit.status != Status.BOOKED:
        return f"visit_{visit.status}"
    return "past" if visit.ends_at is None or visit.ends_at <= now else None


def _check(session: Session, row: Notification) -> AddressCheck:
    contact = row.contact_point
    assert contact is not None
    reason = _why_not_asked(row, contact)
    if reason is not None:
        raise Overtaken(reason)
    settings = load_settings(session)
    return AddressCheck(
        dedupe_key=row.dedupe_key,
        created_at=row.created_at,
        address=contact.value,
        contact_point_id=contact.id,
        contact_public_id=contact.public_id,
        clinic_name=settings.value("clinic_name"),
        clinic_phone=settings.value("clinic_phone"),
        language=contact.patient.preferred_language,
    )


def _why_not_asked(row: Notification, contact: ContactPoint) -> str | None:
    if row.patient is not None and row.patient.deceased_on is not None:
        return "deceased"
    if contact.ended_at is not None:
        return "ended"
    return "verified" if contact.unverified_since is None else None


def _address(row: Notification, visit: Appointment) -> tuple[int | None, str, str | None]:
    """The contact point, its address, and the patient's name where somebody else reads the mail."""
    if row.recipient == Recipient.PRACTITIONER:
        if row.practitioner is None or not row.practitioner.email:
            raise NoAddress
        return None, row.practitioner.email, None
    contact = _usable_contact(row, visit)
    return contact.id, contact.value, None if contact.whose == Relation.SELF else visit.patient.called_name


def _language(row: Notification, visit: Appointment) -> str | None:
    """The patient's own; a practitioner's is the one in which they read the portal."""
    if row.recipient == Recipient.PATIENT:
        return visit.patient.preferred_language
    account = row.practitioner.account if row.practitioner else None
    return account.language if account else None


def _usable_contact(row: Notification, visit: Appointment) -> ContactPoint:
    """The address that was chosen with the change, or the best one left if it has ended or failed since.

    A private visit is told only where the patient alone reads it.
    """
    chosen = [row.contact_point] if row.contact_point else []
    for contact in [*chosen, *visit.patient.contact_points]:
        may_read = contact.whose == Relation.SELF or not visit.is_private
        if contact.is_usable and contact.kind == ContactKind.EMAIL and may_read:
            return contact
    raise NoAddress


def _when(session: Session, row: Notification, visit: Appointment) -> When:
    assert visit.starts_at is not None
    assert visit.location is not None
    now_there = When(visit.starts_at, visit.ends_at, _place(visit.location))
    if "old_starts_at" not in row.facts:
        return now_there
    old_starts_at = datetime.fromisoformat(row.facts["old_starts_at"])
    old_location = session.get(Location, row.facts.get("old_location_id") or visit.location.id)
    old_place = _place(old_location or visit.location)
    if row.event == Event.CANCELLED:
        # A colleague took the visit over: its new time is none of this reader's business.
        return When(old_starts_at, None, old_place)
    if row.event == Event.BOOKED or old_starts_at == visit.starts_at:
        return now_there
    return replace(now_there, old_starts_at=old_starts_at, old_zone=old_place.zone)


def _place(location: Location) -> PlaceFacts:
    return PlaceFacts(location.name, location.address, location.zone)
