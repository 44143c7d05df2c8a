"""What is said: the words, the layout and the calendar part of each mail.

A sensitive visit type is told neutrally everywhere: no place, no practitioner, no visit type, only that there is an
appointment at the clinic, and when. Practitioners never read a patient's name in a mail.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from functools import cache
from typing import Any

from css_inline import CSSInliner
from flask import current_app
from sqlalchemy.orm import Session

from clinic_portal import clock, links, wording
from clinic_portal.config import Config
from clinic_portal.languages import N_, _, current, speaking
from clinic_portal.models import REMOTE, Appointment, Event, Mode, Recipient
from clinic_portal.notifications.account_letters import AccountLetter
from clinic_portal.notifications.calendar import Entry, Method, to_ics
from clinic_portal.notifications.channels import Refused
from clinic_portal.notifications.letters import AddressCheck, AnyLetter, Letter, ReminderLetter
from clinic_portal.notifications.meetings import how_met, place_in_calendar, span_told, way_told
from clinic_portal.notifications.request_letters import RequestLetter, Time
from clinic_portal.settings import load_settings
from clinic_portal.web.links import address_of

CALENDAR_FILE = "appointment.ics"
# Where the place itself would tell what the visit is about.
PLACE_BEHIND_LINK = N_("see the link below")


class _Unfolded(UnstructuredHeader, BaseHeader):
    """A header that is one address: put into several lines or words it would be none."""

    max_count = 1

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Unfolded)
_POLICY = SMTP.clone(header_factory=_HEADERS)


def compose(letter: AnyLetter) -> EmailMessage:
    """Make the mail of one letter in its reader's language: plain words, the same laid out, and for a visit the
    calendar entry.

    Raises: Refused when the reader's address is none.
    """
    with speaking(letter.language):
        mail = _compose(letter)
        # At the end: headers about content move into the first part when another one is added.
        mail["Content-Language"] = current()
        return mail


def _compose(letter: AnyLetter) -> EmailMessage:
    config: Config = current_app.config["PORTAL"]
    if isinstance(letter, AddressCheck):
        return _mail(letter, "email/verify", _check_words(letter, config), config)
    if isinstance(letter, RequestLetter):
        return _mail(letter, "email/request", _request_words(letter, config), config)
    if isinstance(letter, AccountLetter):
        return _mail(letter, "email/account", _account_words(letter), config)
    if isinstance(letter, ReminderLetter):
        return _reminder(letter, config)
    mail = _mail(letter, f"email/{_TEMPLATES[letter.recipient]}{letter.event}", _words(letter), config)
    if letter.event in (Event.RUNNING_LATE, Event.MISSED):
        # The entry in the calendar stands.
        return mail
    method = Method.CANCEL if letter.event == Event.CANCELLED else Method.REQUEST
    entry = to_ics(_entry(letter, config.mail_from), method, letter.address)
    # Last, because readers show the last alternative they understand, and calendars look there (RFC 2046 5.1.4).
    mail.add_alternative(entry.decode(), subtype="calendar", params={"method": method.value}, cte="base64")
    mail.add_attachment(entry, maintype="application", subtype="ics", filename=CALENDAR_FILE)
    return mail


def _reminder(letter: ReminderLetter, config: Config) -> EmailMessage:
    """A reminder. It has no calendar part: the entry is in the calendar, and a second invitation would ask again."""
    mail = _mail(letter, "email/reminder", _reminder_words(letter, config), config)
    mail["List-Unsubscribe"] = f"<{_stop_link(letter, config)}>"
    if config.base_url.startswith("https:"):
        # RFC 8058 3.1: a mail program may press the button for its reader.
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return mail


def _mail(letter: AnyLetter, name: str, words: dict[str, Any], config: Config) -> EmailMessage:
    """A mail with its head and its words, plain and laid out."""
    subject, _, plain = _render(f"{name}.txt", words).strip().partition("\n")
    mail = EmailMessage(policy=_POLICY)
    mail["Subject"] = subject.strip()
    mail["From"] = Address(letter.clinic_name, addr_spec=config.mail_from)
    mail["To"] = _reader(letter.address)
    mail["Date"] = clock.now()
    mail["Message-ID"] = message_id(letter.dedupe_key, config.mail_from)
    # RFC 3834: asks out-of-office machines not to answer.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain.strip() + "\n")
    mail.add_alternative(_inliner().inline(_render(f"{name}.html", words)), subtype="html")
    return mail


def calendar_file(session: Session, appointment: Appointment) -> bytes:
    """The file behind "Add to your calendar"; the same entry as in the mails, so that nobody gets it twice.

    Raises: ValueError when the appointment has no time yet.
    """
    if appointment.starts_at is None or appointment.location is None:
        raise ValueError("an appointment without a time has no calendar entry")
    clinic_name = load_settings(session).value("clinic_name")
    config: Config = current_app.config["PORTAL"]
    entry = Entry(
        public_id=appointment.public_id,
        sequence=appointment.sequence,
        stamped_at=clock.now(),
        **span_told(
            appointment.starts_at, appointment.ends_at, appointment.location.zone, appointment.shown_window_min
        ),
        clinic_name=clinic_name,
        where=place_in_calendar(
            appointment.mode, clinic_name, None if appointment.visit_type.is_sensitive else appointment.location
        ),
        organiser=config.mail_from,
        is_cancelled=not appointment.is_active,
    )
    return to_ics(entry, Method.PUBLISH)


def message_id(key: str, mail_from: str) -> str:
    """The same id for every try of the same message, so that mail programs drop a second copy."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{mail_from.rpartition('@')[2]}>"


def _reader(address: str) -> Address:
    try:
        return Address(addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise Refused("address_not_valid", is_bad_address=True) from error


_TEMPLATES = {Recipient.PATIENT: "", Recipient.PRACTITIONER: "practitioner_"}


def _render(name: str, words: dict[str, Any]) -> str:
    # Not flask.render_template: a worker has no request that the pages' context could ask.
    return current_app.jinja_env.get_template(name).render(words)


@cache
def _inliner() -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False)


def _words(letter: Letter) -> dict[str, Any]:
    when = letter.when
    facts: dict[str, str | None] = {
        "reference": letter.reference,
        "for_whom": letter.for_whom,
        "manage_url": _link(letter),
        "link_url": _link_without_sign_in(letter),
        "cancel_url": _link_without_sign_in(letter, "patient.link_cancel"),
        **_told("when", when.starts_at, when.place.zone, when.window_min),
        **_told("old", when.old_starts_at, when.old_zone, when.old_window_min),
        **_where(letter),
        **how_met(letter),
        "with_whom": None if letter.is_sensitive else letter.with_whom,
        "visit_name": None if letter.is_sensitive else letter.visit_name,
        "late_min": str(letter.late_min),
        "minutes": str((when.ends_at - when.starts_at) // timedelta(minutes=1)) if when.ends_at else None,
    }
    return {
        "appointment": facts,
        "reminded_on": wording.days_listed(letter.reminded_on) if letter.reminded_on else None,
        "book_url": address_of("patient.who"),
        "clinic": {"name": letter.clinic_name, "phone": letter.clinic_phone},
    }


def _reminder_words(letter: ReminderLetter, config: Config) -> dict[str, Any]:
    return {
        "appointments": [_words(each)["appointment"] for each in letter.visits],
        "asks": letter.asks,
        "stop_url": _stop_link(letter, config),
        "clinic": {"name": letter.clinic_name, "phone": letter.clinic_phone},
    }


def _account_words(letter: AccountLetter) -> dict[str, Any]:
    return {
        "event": letter.event.value,
        "link": address_of(letter.endpoint, token=letter.token) if letter.endpoint else None,
        "lasts_h": letter.link_lasts_h,
        "sign_in_url": address_of("security.login"),
        "reset_url": address_of("entrance.forgotten"),
        "hours_url": address_of("start"),
        "clinic": {"name": letter.clinic_name, "phone": letter.clinic_phone},
    }


def _request_link(letter: RequestLetter, config: Config) -> str:
    """Where one can answer at once; else where it stands."""
    if letter.offer_public_id:
        link = links.OfferLink(letter.offer_public_id, letter.contact_public_id)
        return address_of("patient.offer_link", token=links.sign_offer(config.secret_key, link))
    if letter.request_public_id is None:
        return address_of("patient.appointments")
    return address_of("patient.request_page", public_id=letter.request_public_id)


def _request_words(letter: RequestLetter, config: Config) -> dict[str, Any]:
    first, last = letter.due or (None, None)
    return {
        "event": letter.event.value,
        "for_whom": letter.for_whom,
        "visit_name": letter.visit_name,
        "reference": letter.reference,
        "is_triaged_by_person": letter.is_triaged_by_person,
        "has_time": letter.has_time,
        "answer_by": _said(letter.answer_by),
        "keep_until": _said(letter.keep_until),
        "how": way_told(letter.mode, letter.call_number),
        "times": [_time_and_place(time) for time in letter.times],
        "due_from": wording.date_short(first) if first else None,
        "due_until": wording.date_short(last) if last else None,
        "link": _request_link(letter, config),
        "clinic": {"name": letter.clinic_name, "phone": letter.clinic_phone},
    }


def _said(time: Time | None) -> str | None:
    return None if time is None else wording.day_and_time(time.at, time.zone)


def _time_and_place(time: Time) -> str:
    said = wording.when_told(time.at, time.zone, time.window_min)
    return f"{said}, {time.place}" if time.place else said


def _check_words(check: AddressCheck, config: Config) -> dict[str, Any]:
    token = links.sign_check(config.secret_key, check.contact_public_id, check.created_at)
    return {
        "verify_url": address_of("patient.verify_email", token=token),
        "days": links.CHECK_DAYS,
        "clinic": {"name": check.clinic_name, "phone": check.clinic_phone},
    }


def _told(prefix: str, instant: datetime | None, zone: str, window_min: int) -> dict[str, str | None]:
    if instant is None:
        return {f"{prefix}_day": None, f"{prefix}_time": None}
    time_of_day = wording.time_told(instant, zone, window_min)
    return {f"{prefix}_day": wording.day_long(instant, zone), f"{prefix}_time": time_of_day}


def _where(letter: Letter) -> dict[str, str | None]:
    """The place, for those who go there."""
    if letter.meeting.mode in REMOTE and letter.recipient == Recipient.PATIENT:
        return {"where_name": None, "where_address": None}
    if letter.is_sensitive:
        return {"where_name": letter.clinic_name, "where_address": _(PLACE_BEHIND_LINK)}
    return {"where_name": letter.when.place.name, "where_address": letter.when.place.address}


def _link(letter: Letter) -> str:
    """Address of the page to go on from."""
    if letter.recipient == Recipient.PATIENT:
        return address_of("patient.appointment", public_id=letter.public_id)
    on = clock.local_date(letter.when.starts_at, letter.when.place.zone).isoformat()
    return address_of("doctor.day", day=on)


def _link_without_sign_in(letter: Letter, endpoint: str = "patient.link") -> str | None:
    """Address of the page on which whoever reads the mail says that they will come, or cancels."""
    if letter.contact_public_id is None:
        return None
    link = links.VisitLink(letter.public_id, letter.sequence, letter.contact_public_id)
    config: Config = current_app.config["PORTAL"]
    return address_of(endpoint, token=links.sign_visit(config.secret_key, link))


def _stop_link(letter: ReminderLetter, config: Config) -> str:
    assert letter.visits[0].contact_public_id is not None
    link = links.StopLink(letter.patient_public_id, letter.visits[0].contact_public_id)
    return address_of("patient.stop_reminders", token=links.sign_stop(config.secret_key, link))


def _entry(letter: Letter, organiser: str) -> Entry:
    return Entry(
        public_id=letter.public_id,
        sequence=letter.sequence,
        # When the change was made, not when this try was: a second copy is the same to the byte.
        stamped_at=letter.created_at,
        **span_told(letter.when.starts_at, letter.when.ends_at, letter.when.place.zone, letter.when.window_min),
        clinic_name=letter.clinic_name,
        where=place_in_calendar(
            letter.meeting.mode if letter.recipient == Recipient.PATIENT else Mode.IN_PERSON,
            letter.clinic_name,
            None if letter.is_sensitive else letter.when.place,
        ),
        organiser=organiser,
        is_cancelled=letter.event == Event.CANCELLED,
    )
