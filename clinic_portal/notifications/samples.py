"""Mails to look at before anybody gets them: with the words that somebody writes, about people who do not exist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import Event, Location, Mode, Recipient
from clinic_portal.notifications.kinds import Text
from clinic_portal.notifications.letters import AddressCheck, Letter, Meeting, PlaceFacts, ReminderLetter, When
from clinic_portal.notifications.message_texts import OwnText, TextKey
from clinic_portal.notifications.messages import compose
from clinic_portal.notifications.request_letters import TELLS_MODE, RequestLetter, Time
from clinic_portal.notifications.said import Worded
from clinic_portal.settings import load_settings

PLACE = PlaceFacts("Sample Street", "1 Sample Street", "UTC")
ADDRESS = "alex@example.org"
PHONE_NUMBER = "020 7946 0123"
VISIT_NAMES = {"de": "Vorsorge"}
VISIT_NAME = "Check-up"

L = TypeVar("L", Letter, AddressCheck, RequestLetter)


@dataclass(frozen=True)
class Shown:
    """One mail as its reader would see it."""

    subject: str
    plain: str
    html: str


def show(session: Session, key: TextKey, text: Text, sample: int) -> Shown:
    """Make a mail of a text, as it would leave.

    Args: sample, the place of one in `sample_names`.
    Raises: BadText when the text cannot be used.
    """
    letter = samples(session, key)[sample]
    mail = compose(replace(letter, own=OwnText(0, text)))
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    return Shown(str(mail["Subject"]), plain.get_content().replace("\r\n", "\n"), html.get_content())


def sample_names(key: TextKey) -> tuple[str, ...]:
    """The mails that can be shown of a text, by what is special about each."""
    if key.event is Event.VERIFY:
        return ("A new address",)
    if key.event is Event.REMINDER:
        return ("One appointment", "Two on one day")
    if key.event in _VISITS:
        return ("At the clinic", "By phone, for somebody else")
    return ("Without an appointment so far", "With one, for somebody else")


def samples(session: Session, key: TextKey) -> tuple[Worded, ...]:
    """These mails."""
    place = _place(session)
    if key.event is Event.VERIFY:
        return (_with_clinic(session, _check(key)),)
    if key.event is Event.REMINDER:
        return _reminder(session, key, place, 1), _reminder(session, key, place, 2)
    if key.event in _VISITS:
        visit = _with_clinic(session, _visit(key, place))
        return visit, _by_phone(visit)
    asked = _with_clinic(session, _request(key, place))
    return asked, replace(asked, has_time=True, for_whom="Sam", is_triaged_by_person=True)


_VISITS = (Event.BOOKED, Event.MOVED, Event.LENGTHENED, Event.RUNNING_LATE, Event.MISSED, Event.CANCELLED)


def _place(session: Session) -> PlaceFacts:
    found = session.scalar(select(Location).where(Location.is_active).order_by(Location.id).limit(1))
    return PlaceFacts(found.name, found.address, found.zone) if found else PLACE


def _with_clinic(session: Session, letter: L) -> L:
    settings = load_settings(session)
    return replace(letter, clinic_name=settings.value("clinic_name"), clinic_phone=settings.value("clinic_phone"))


def _morning(place: PlaceFacts, days: int, hour: int = 10) -> datetime:
    """An hour of a day to come, at the place."""
    day = clock.local_date(clock.now(), place.zone) + timedelta(days=days)
    return clock.wall_to_instant(day, hour * 60 + 15, place.zone)


def _visit(key: TextKey, place: PlaceFacts, hour: int = 10) -> Letter:
    starts_at = _morning(place, 8, hour)
    when = When(starts_at, starts_at + timedelta(minutes=30), place)
    if key.event is Event.MOVED:
        when = replace(when, old_starts_at=_morning(place, 6), old_zone=place.zone)
    return Letter(
        dedupe_key="sample", event=key.event, recipient=Recipient.PATIENT, sequence=0, created_at=clock.now(),
        address=ADDRESS, contact_point_id=None, contact_public_id="sample", for_whom=None, public_id="sample",
        reference="CHMR-9KTW", when=when, meeting=Meeting(Mode.IN_PERSON, None, None), with_whom="Dr Kim Sommer",
        visit_name=VISIT_NAMES.get(key.language, VISIT_NAME), is_sensitive=key.is_neutral, clinic_name="",
        clinic_phone="", language=key.language, reminded_on=(clock.local_date(_morning(place, 7), place.zone),),
        late_min=40,
    )  # fmt: skip


def _by_phone(visit: Letter) -> Letter:
    meeting = Meeting(Mode.PHONE, PHONE_NUMBER, None)
    return replace(visit, for_whom="Sam", meeting=meeting, when=replace(visit.when, window_min=120))


def _reminder(session: Session, key: TextKey, place: PlaceFacts, visits: int) -> ReminderLetter:
    about = tuple(_with_clinic(session, _visit(key, place, hour)) for hour in (10, 14)[:visits])
    return ReminderLetter(
        dedupe_key="sample", event=key.event, visits=about, asks=visits > 1, patient_public_id="sample",
        told_along=(), asked_of=(), tells_own=True,
    )  # fmt: skip


def _check(key: TextKey) -> AddressCheck:
    return AddressCheck(
        dedupe_key="sample", created_at=clock.now(), address=ADDRESS, contact_point_id=0, contact_public_id="sample",
        clinic_name="", clinic_phone="", language=key.language,
    )  # fmt: skip


def _request(key: TextKey, place: PlaceFacts) -> RequestLetter:
    is_invitation, is_told = key.event is Event.INVITATION, not key.is_neutral
    day = clock.local_date(clock.now(), place.zone)
    times = (Time(_morning(place, 8), place.zone, place.name if is_told else None),)
    return RequestLetter(
        dedupe_key="sample", event=key.event, created_at=clock.now(), address=ADDRESS, contact_point_id=0,
        for_whom=None, visit_name=VISIT_NAMES.get(key.language, VISIT_NAME) if is_told else None,
        reference=None if is_invitation else "CHMR-9KTW", answer_by=Time(_morning(place, 2), place.zone),
        is_triaged_by_person=False, has_time=False,
        mode=Mode.IN_PERSON if key.event in TELLS_MODE else None, call_number=None,
        times=times if key.event in (Event.OFFER, Event.WAITLISTED) else (),
        keep_until=Time(_morning(place, 1), place.zone),
        due=(day + timedelta(days=7), day + timedelta(days=20)) if is_invitation else None,
        offer_public_id="sample" if key.event is Event.OFFER else None,
        request_public_id=None if is_invitation else "sample", contact_public_id="sample", clinic_name="",
        clinic_phone="", language=key.language, is_sensitive=key.is_neutral,
    )  # fmt: skip
