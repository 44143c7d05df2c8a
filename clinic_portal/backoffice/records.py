"""What the portal remembers about itself: the ledger of messages, the audit log, the settings."""

from __future__ import annotations

from typing import Any

from flask_admin import expose
from sqlalchemy import ColumnElement, and_, false, select
from sqlalchemy.orm import Query, joinedload

from clinic_portal.backoffice import options, places, words
from clinic_portal.backoffice.access import ADMINS, may_change_settings
from clinic_portal.backoffice.appointments import zone_of
from clinic_portal.backoffice.changes import SUBJECT, changes
from clinic_portal.backoffice.filters import Choice
from clinic_portal.backoffice.lists import Column, Page, ReadOnlyList
from clinic_portal.database import db
from clinic_portal.models import (
    Account,
    Appointment,
    AuditEntry,
    Channel,
    Delivery,
    Event,
    Notification,
    Patient,
    Recipient,
    id_from_reference,
)
from clinic_portal.settings import DEFINITIONS, Definition, Settings, load_settings


class MessageList(ReadOnlyList):
    """The ledger: every message that left, waits, or could not leave; newest first."""

    noun = "message"
    search_label = "Reference of the appointment"
    empty_message = "No messages."
    columns = (
        Column("id", "Written", lambda row, _: words.moment(row.created_at, _zone(row)), sorts=True),
        Column("event", "About", lambda row, _: words.about(row)),
        Column("recipient", "To", lambda row, _: _recipient(row)),
        Column("channel", "Channel", lambda row, _: words.CHANNEL[row.channel]),
        Column("delivery", "Delivery", "show_delivery"),
        Column("tries", "Tries"),
        Column("next_try_at", "Sent or next try", lambda row, _: _when(row)),
        Column("detail", "Detail", lambda row, _: words.code(row.detail) if row.detail else words.NOTHING),
        Column("appointment", "Appointment", "show_appointment"),
    )
    order = (("id", True),)
    column_filters = (
        Choice("delivery", "Delivery", Notification.delivery, lambda: options.worded(words.DELIVERY),
               lambda value: Notification.delivery == Delivery(value)),
        Choice("channel", "Channel", Notification.channel, lambda: options.worded(words.CHANNEL),
               lambda value: Notification.channel == Channel(value)),
        Choice("event", "About", Notification.event, lambda: options.worded(words.EVENT),
               lambda value: Notification.event == Event(value)),
    )  # fmt: skip
    loads = (
        joinedload(Notification.appointment).joinedload(Appointment.location),
        joinedload(Notification.patient),
        joinedload(Notification.practitioner),
    )

    def get_query(self) -> Query[Any]:
        query: Query[Any] = db.session.query(Notification)
        limit = self.limit
        if limit is None:
            return query
        return query.join(Notification.appointment).filter(Appointment.location_id.in_(limit))

    def matching(self, search: str) -> ColumnElement[bool]:
        found = id_from_reference(search)
        return false() if found is None else Notification.appointment_id == found


def _zone(row: Notification) -> str:
    return zone_of(row.appointment) if row.appointment else places.clinic_zone()


def _recipient(row: Notification) -> str:
    if row.recipient is Recipient.PRACTITIONER:
        return row.practitioner.name if row.practitioner else words.RECIPIENT[row.recipient]
    return f"Patient {row.patient.full_name}" if row.patient else words.RECIPIENT[row.recipient]


def _when(row: Notification) -> str:
    if row.delivery is Delivery.SENT:
        return words.moment(row.sent_at, _zone(row))
    return words.moment(row.next_try_at, _zone(row)) if row.delivery is Delivery.DUE else words.NOTHING


class AuditLog(ReadOnlyList):
    """Who did what, newest first. It tells about every location, so a role at one location does not open it."""

    roles = ADMINS
    knows_locations = False
    noun = "entry"
    nouns = "entries"
    search_label = "Reference of the appointment"
    empty_message = "Nothing has been recorded."
    columns = (
        Column("id", "When", lambda row, _: words.moment(row.made_at, places.clinic_zone()), sorts=True),
        Column("actor_kind", "Who", lambda row, known: _actor(row, known["emails"])),
        Column("action", "Did", lambda row, _: words.code(row.action)),
        Column("subject_type", "To", lambda row, known: _subject(row, known["references"])),
        Column("for_patient_id", "For", lambda row, known: known["patients"].get(row.for_patient_id, words.NOTHING)),
        Column("values", "What changed", lambda row, _: _changed(row)),
    )
    order = (("id", True),)
    loads = (joinedload(AuditEntry.values),)

    def matching(self, search: str) -> ColumnElement[bool]:
        found = id_from_reference(search)
        about = and_(AuditEntry.subject_type == Appointment.__tablename__, AuditEntry.subject_id == found)
        return false() if found is None else about

    def known_about(self, rows: list[AuditEntry]) -> dict[str, Any]:
        """Who acted, for whom, and on which appointments: three queries for the whole page."""
        actors, persons = {row.actor_account_id for row in rows}, {row.for_patient_id for row in rows}
        emails = select(Account.id, Account.email).where(Account.id.in_(actors - {None}))
        patients = select(Patient).where(Patient.id.in_(persons - {None}))
        visits = {row.subject_id for row in rows if row.subject_type == Appointment.__tablename__}
        about = select(Appointment).where(Appointment.id.in_(visits))
        return {
            "emails": {row.id: row.email for row in db.session.execute(emails)},
            "patients": {patient.id: patient.full_name for patient in db.session.scalars(patients)},
            "references": {visit.id: visit.reference for visit in db.session.scalars(about)},
        }


def _actor(row: AuditEntry, emails: dict[int, str]) -> str:
    kind = words.ACTOR.get(row.actor_kind, words.code(row.actor_kind))
    return f"{kind} {emails[row.actor_account_id]}" if row.actor_account_id in emails else kind


def _subject(row: AuditEntry, references: dict[int, str]) -> str:
    kind = SUBJECT.get(row.subject_type, words.code(row.subject_type))
    is_visit = row.subject_type == Appointment.__tablename__ and row.subject_id in references
    return f"{kind} {references[row.subject_id] if is_visit else row.subject_id}"


def _changed(row: AuditEntry) -> str:
    return "; ".join(changes(row, places.clinic_zone(), options.names())) or words.NOTHING


class SettingsPage(Page):
    """Every setting with the value in force, its default and what it does."""

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        settings = load_settings(db.session())
        rows = [{"is_own": settings.value(one.name) != one.default, "definition": one,
                 "value": settings.value(one.name), "for_types": _for_types(one, settings)}
                for one in DEFINITIONS]  # fmt: skip
        return self.render("backoffice/settings.html", rows=rows, may_change=may_change_settings())


def _for_types(definition: Definition, settings: Settings) -> list[str]:
    """The visit types that have their own value: "Vaccine: 60"."""
    names = options.names()["visit_types"]
    return [
        f"{names[visit_type_id]}: {value}"
        for (name, visit_type_id), value in settings.by_visit_type.items()
        if name == definition.name
    ]
