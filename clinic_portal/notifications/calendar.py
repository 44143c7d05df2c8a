"""The calendar entry of a visit: the part of a mail that puts it into a calendar, changes it there and takes it out.

It never says more than that there is an appointment at the clinic: calendars are shared, shown on locked screens and
read aloud by cars.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from icalendar import Calendar, Event, vCalAddress, vDuration, vText

from clinic_portal.languages import _


class Place(Protocol):
    """Somewhere visits take place."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


class Method(enum.StrEnum):
    """What a calendar is to do with the entry (RFC 5546): take or change it, take it out, or just offer it."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"
    PUBLISH = "PUBLISH"


@dataclass(frozen=True)
class Entry:
    """What a calendar may know about a visit.

    `sequence` rises with every change, so that a calendar knows which of two mails is newer. `ends_at` is None when
    only the start of an overtaken time is known.
    """

    public_id: str
    sequence: int
    stamped_at: datetime
    starts_at: datetime
    ends_at: datetime | None
    clinic_name: str
    where: str
    organiser: str
    is_cancelled: bool = False
    # None: that it is an appointment, and nothing more.
    title: str | None = None


# How often calendar programs look, and how the calendar is called there.
LOOKS_EVERY = timedelta(hours=1)


def to_feed(entries: Iterable[Entry], name: str) -> bytes:
    """Many entries as one calendar that a program reads again and again.

    Times: in UTC. Source: RFC 5545; RFC 7986 5.1, 5.7.
    """
    calendar = _calendar(Method.PUBLISH)
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", vDuration(LOOKS_EVERY), parameters={"VALUE": "DURATION"})
    for entry in entries:
        calendar.add_component(_event(entry))
    file: bytes = calendar.to_ical()
    return file


def _calendar(method: Method) -> Calendar:
    calendar = Calendar()
    for name, value in (("prodid", "-//Clinic portal//EN"), ("version", "2.0"), ("calscale", "GREGORIAN")):
        calendar.add(name, value)
    calendar.add("method", method.value)
    return calendar


def to_ics(entry: Entry, method: Method, attendee: str | None = None) -> bytes:
    """Write a calendar entry as the file that calendars read.

    Args: attendee: the reader's e-mail address; none in a file that is only offered for download.
    Times: in UTC, so that no calendar needs our zone's rules.
    Source: RFC 5545, RFC 5546 3.2.
    """
    calendar, event = _calendar(method), _event(entry)
    if attendee is not None:
        event.add("attendee", _attendee(attendee))
    calendar.add_component(event)
    file: bytes = calendar.to_ical()
    return file


def place_told(clinic_name: str, place: Place | None) -> str:
    """Where, as a calendar may say it; None for a place that would tell what the visit is about."""
    return clinic_name if place is None else f"{place.name}, {place.address}"


def _event(entry: Entry) -> Event:
    event = Event()
    # The same in every message about this visit, and for both who meet: one visit is one entry.
    event.add("uid", f"{entry.public_id}@clinic-portal")
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.stamped_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    if entry.ends_at is not None:
        event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", entry.title or _("Appointment at %(clinic)s", clinic=entry.clinic_name))
    event.add("location", entry.where)
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE")
    event.add("organizer", _organiser(entry))
    return event


def _organiser(entry: Entry) -> vCalAddress:
    address = vCalAddress(f"mailto:{entry.organiser}")
    address.params["CN"] = vText(entry.clinic_name)
    return address


def _attendee(email: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{email}")
    # The visit stands whether or not a calendar answers, so none is asked to.
    address.params.update({"ROLE": vText("REQ-PARTICIPANT"), "PARTSTAT": vText("NEEDS-ACTION"), "RSVP": vText("FALSE")})
    return address
