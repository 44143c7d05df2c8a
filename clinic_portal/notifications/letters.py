"""One message about to leave: whether it still is true, to which address it goes, and the facts it will tell.

Read at the last moment and outside any write, so that a visit cancelled a second ago is not confirmed now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from clinic_portal import clock
from clinic_portal.languages import known
from clinic_portal.models import (
    Appointment,
    Confirmation,
    ContactKind,
    ContactPoint,
    Event,
    Location,
    Mode,
    Notification,
    Patient,
    Practitioner,
    Recipient,
    Relation,
    Status,
)
from clinic_portal.notifications.account_letters import AccountLetter, read_account_letter
from clinic_portal.notifications.facts import NoAddress, Overtaken
from clinic_portal.notifications.lateness import late_min_of, why_not_told
from clinic_portal.notifications.missed import why_not_asked
from clinic_portal.notifications.reminder_letters import told_by
from clinic_portal.notifications.reminders import days_of_reminders, offset_of
from clinic_portal.notifications.request_letters import TRUE_WHILE, RequestLetter, read_request_letter, usable_contact
from clinic_portal.settings import Settings, load_settings
from clinic_portal.visit_texts import text_of


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
    # The stretch of the day, in minutes, that this reader is told instead of the time; 0 for the time itself.
    window_min: int = 0
    old_window_min: int = 0


@dataclass(frozen=True)
class Meeting:
    """How both sides meet: the number that is called, or the way into the video room."""

    mode: Mode
    call_number: str | None
    join_url: str | None


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
    contact_public_id: str | None
    for_whom: str | None
    public_id: str
    reference: str
    when: When
    meeting: Meeting
    with_whom: str
    visit_name: str
    is_sensitive: bool
    clinic_name: str
    clinic_phone: str
    language: str | None
    # On which days the patient will be reminded of it, at its place.
    reminded_on: tuple[date, ...] = ()
    # How late its session runs, where that is told.
    late_min: int = 0


@dataclass(frozen=True)
class ReminderLetter:
    """A reminder of one visit, or of two on one day; `asks` whether the patient will come.

    `told_along`: the messages of the other visits, which this mail stands for. `asked_of`: the visits that it asks
    about, each with the sequence of the time that it tells.
    """

    dedupe_key: str
    event: Event
    visits: tuple[Letter, ...]
    asks: bool
    patient_public_id: str
    told_along: tuple[int, ...]
    asked_of: tuple[tuple[int, int], ...]
    # False when only the visits that shared this message still stand.
    tells_own: bool

    @property
    def address(self) -> str:
        return self.visits[0].address

    @property
    def contact_point_id(self) -> int | None:
        return self.visits[0].contact_point_id

    @property
    def clinic_name(self) -> str:
        return self.visits[0].clinic_name

    @property
    def clinic_phone(self) -> str:
        return self.visits[0].clinic_phone

    @property
    def language(self) -> str | None:
        return self.visits[0].language


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


class _Address(NamedTuple):
    """Where a mail goes, and the patient's name where somebody else reads it."""

    value: str
    contact: ContactPoint | None = None
    for_whom: str | None = None


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


AnyLetter = Letter | ReminderLetter | AccountLetter | AddressCheck | RequestLetter


def read_letter(session: Session, notification_id: int) -> AnyLetter:
    """Read what one message has to say now.

    Raises: Overtaken when it should not leave any more, NoAddress when it cannot, NotNow when it has to wait.
    """
    row = session.scalars(_ROW.where(Notification.id == notification_id)).one()
    if row.event == Event.VERIFY:
        return _check(session, row)
    if row.event in TRUE_WHILE or row.event == Event.INVITATION:
        return read_request_letter(session, row)
    visit = row.appointment
    if visit is None:
        return read_account_letter(session, row)
    if row.event == Event.REMINDER:
        return _reminder(session, row, visit)
    is_missed = row.event == Event.MISSED
    reason = why_not_asked(session, visit, clock.now()) if is_missed else why_overtaken(row, visit, clock.now())
    if reason is not None:
        raise Overtaken(reason)
    if row.event == Event.RUNNING_LATE:
        return _lateness(session, row, visit)
    letter = _letter(session, row, visit, _address(row, visit), load_settings(session))
    is_booked = row.recipient == Recipient.PATIENT and row.event not in (Event.CANCELLED, Event.MISSED)
    return replace(letter, reminded_on=tuple(days_of_reminders(session, visit))) if is_booked else letter


def _letter(session: Session, row: Notification, visit: Appointment, to: _Address, settings: Settings) -> Letter:
    return Letter(
        dedupe_key=row.dedupe_key,
        event=row.event,
        recipient=row.recipient,
        sequence=row.sequence,
        created_at=row.created_at,
        address=to.value,
        contact_point_id=to.contact.id if to.contact else None,
        contact_public_id=to.contact.public_id if to.contact else None,
        for_whom=to.for_whom,
        public_id=visit.public_id,
        reference=visit.reference,
        when=_when(session, row, visit),
        meeting=Meeting(visit.mode, visit.call_number, visit.join_url),
        with_whom=visit.practitioner.name if visit.practitioner else "",
        visit_name=_visit_name(session, row, visit),
        is_sensitive=visit.visit_type.is_sensitive,
        clinic_name=settings.value("clinic_name"),
        clinic_phone=settings.value("clinic_phone"),
        language=_language(row, visit),
    )


def _lateness(session: Session, row: Notification, visit: Appointment) -> Letter:
    """That a session runs late, by as much as it does now."""
    late_min, settings = late_min_of(session, visit), load_settings(session)
    reason = why_not_told(visit, late_min, settings, clock.now())
    if reason is not None:
        raise Overtaken(reason)
    return replace(_letter(session, row, visit, _address(row, visit), settings), late_min=late_min)


def _reminder(session: Session, row: Notification, visit: Appointment) -> ReminderLetter:
    settings = load_settings(session)
    told = told_by(session, row, settings)
    to = _reminder_address(row, visit)
    about = [each.appointment for each in told if each.appointment is not None]
    asks = offset_of(row).asks and any(each.confirmation != Confirmation.CONFIRMED for each in about)
    return ReminderLetter(
        dedupe_key=row.dedupe_key,
        event=row.event,
        visits=tuple(_letter(session, each, one, to, settings) for each, one in zip(told, about, strict=True)),
        asks=asks,
        patient_public_id=visit.patient.public_id,
        told_along=tuple(each.id for each in told if each is not row),
        asked_of=tuple((each.id, each.sequence) for each in about) if asks else (),
        tells_own=row in told,
    )


def _reminder_address(row: Notification, visit: Appointment) -> _Address:
    """Where a reminder goes. Nobody makes up for one that reaches nobody: the visit was told, and stands."""
    try:
        return _address(row, visit)
    except NoAddress as error:
        others = any(point.is_usable and point.kind == ContactKind.EMAIL for point in visit.patient.contact_points)
        raise Overtaken("private" if others else "no_address") from error


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


def _address(row: Notification, visit: Appointment) -> _Address:
    if row.recipient == Recipient.PRACTITIONER:
        if row.practitioner is None or not row.practitioner.email:
            raise NoAddress
        return _Address(row.practitioner.email)
    contact = usable_contact(row, visit.patient, is_private=visit.is_private)
    return _Address(contact.value, contact, None if contact.whose == Relation.SELF else visit.patient.called_name)


def _visit_name(session: Session, row: Notification, visit: Appointment) -> str:
    if visit.visit_type.is_sensitive:
        return visit.visit_type.neutral_name
    return text_of(session, visit.visit_type_id, known(_language(row, visit))).name


def _language(row: Notification, visit: Appointment) -> str | None:
    """The patient's own; a practitioner's is the one in which they read the portal."""
    if row.recipient == Recipient.PATIENT:
        return visit.patient.preferred_language
    account = row.practitioner.account if row.practitioner else None
    return account.language if account else None


def _when(session: Session, row: Notification, visit: Appointment) -> When:
    assert visit.starts_at is not None
    assert visit.location is not None
    # Who sees the patient keeps the exact time.
    window_min = visit.shown_window_min if row.recipient == Recipient.PATIENT else 0
    now_there = When(visit.starts_at, visit.ends_at, _place(visit.location), window_min=window_min)
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
    old_window_min = row.facts.get("old_window_min", 0) if row.recipient == Recipient.PATIENT else 0
    return replace(now_there, old_starts_at=old_starts_at, old_zone=old_place.zone, old_window_min=old_window_min)


def _place(location: Location) -> PlaceFacts:
    return PlaceFacts(location.name, location.address, location.zone)
