"""What a calendar program reads of somebody's visits: the same entries as in their mails, all at once.

A visit that was cancelled, or given to another practitioner, stays for some weeks as cancelled: so it leaves calendars.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.accounts import appointments_for
from clinic_portal.models import ACTIVE, Account, Appointment, Event, Location, Notification, Practitioner, Status
from clinic_portal.notifications.calendar import Entry, to_feed
from clinic_portal.notifications.meetings import place_in_calendar, span_told
from clinic_portal.settings import load_settings
from clinic_portal.visit_texts import text_of

# So far back visits are shown, and so long a visit that has gone stays as cancelled.
BACK = timedelta(days=14)
GONE_FOR = timedelta(days=30)
VISIT_TYPE = "visit_type"


def feed_of_practitioner(session: Session, practitioner: Practitioner) -> bytes:
    """Everything that a practitioner works, and what they do not any more. Source: RFC 5545, RFC 7986."""
    now = clock.now()
    query = select(Appointment).where(
        Appointment.practitioner_id == practitioner.id,
        Appointment.starts_at > now - BACK,
        or_(Appointment.status.in_(ACTIVE), Appointment.cancelled_at > now - GONE_FOR),
    )
    eager = joinedload(Appointment.visit_type), joinedload(Appointment.location)
    visits = session.scalars(query.options(*eager).order_by(Appointment.starts_at, Appointment.id)).all()
    titled = load_settings(session).value("doctor_feed_titles") == VISIT_TYPE
    entries = [_entry(session, visit, now, is_titled=titled) for visit in visits]
    return to_feed([*entries, *_given_away(session, practitioner, now)], _clinic(session))


def feed_of_patient(session: Session, account: Account) -> bytes:
    """The visits of everybody an account may act for, as its rights are now."""
    now = clock.now()
    visits = [
        visit for visit in appointments_for(account)
        if visit.starts_at is not None and visit.starts_at > now - BACK and _is_told(visit, now)
    ]  # fmt: skip
    return to_feed([_entry(session, visit, now, for_patient=True) for visit in visits], _clinic(session))


def _is_told(visit: Appointment, now: datetime) -> bool:
    if visit.status in ACTIVE:
        return True
    return visit.status is Status.CANCELLED and visit.cancelled_at is not None and visit.cancelled_at > now - GONE_FOR


def _clinic(session: Session) -> str:
    name: str = load_settings(session).value("clinic_name")
    return name


def _entry(
    session: Session, visit: Appointment, now: datetime, *, is_titled: bool = False, for_patient: bool = False
) -> Entry:
    assert visit.starts_at is not None
    assert visit.location is not None
    is_sensitive, place = visit.visit_type.is_sensitive, visit.location
    window_min = visit.shown_window_min if for_patient else 0
    return Entry(
        public_id=visit.public_id,
        sequence=visit.sequence,
        stamped_at=now,
        **span_told(visit.starts_at, visit.ends_at, place.zone, window_min),
        clinic_name=_clinic(session),
        where=_where(session, visit, is_sensitive and for_patient),
        organiser=current_app.config["PORTAL"].mail_from,
        is_cancelled=visit.status not in ACTIVE,
        title=text_of(session, visit.visit_type_id).name if is_titled and not is_sensitive else None,
    )


def _where(session: Session, visit: Appointment, is_hidden: bool) -> str:
    place: Location | None = None if is_hidden else visit.location
    return place_in_calendar(visit.mode, _clinic(session), place)


def _given_away(session: Session, practitioner: Practitioner, now: datetime) -> Iterator[Entry]:
    """Visits that another practitioner has now, where they were for this one."""
    told = select(Notification).where(
        Notification.practitioner_id == practitioner.id,
        Notification.event == Event.CANCELLED,
        Notification.created_at > now - GONE_FOR,
    )
    eager = joinedload(Notification.appointment).joinedload(Appointment.location)
    newest = {row.appointment_id: row for row in session.scalars(told.options(eager).order_by(Notification.id))}
    for row in newest.values():
        visit, old = row.appointment, row.facts.get("old_starts_at")
        if visit is not None and old and visit.practitioner_id != practitioner.id:
            yield Entry(
                public_id=visit.public_id,
                sequence=row.sequence,
                stamped_at=now,
                starts_at=datetime.fromisoformat(old),
                ends_at=None,
                clinic_name=_clinic(session),
                where=_clinic(session),
                organiser=current_app.config["PORTAL"].mail_from,
                is_cancelled=True,
            )
