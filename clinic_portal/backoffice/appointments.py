"""The list of appointments, and one appointment with everything that is known about it."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Query, joinedload, selectinload

from clinic_portal.backoffice import find, options, places, request_words, why, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.calendar_spot import calendar_of
from clinic_portal.backoffice.changes import changes
from clinic_portal.backoffice.filters import Choice, Day
from clinic_portal.backoffice.lists import Column, ReadOnlyList
from clinic_portal.backoffice.person import staff
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.models import (
    AccessPlace,
    Account,
    Appointment,
    Attempt,
    AuditEntry,
    Location,
    Notification,
    Patient,
    Practitioner,
    Status,
    id_from_reference,
)
from clinic_portal.scheduling.needs import live_needs, needs_of, told_at_clinic
from clinic_portal.scheduling.privacy import is_acted_for, set_private
from clinic_portal.scheduling.safety import from_kept

# A request has no day yet: days do not narrow it.
WITHOUT_TIME = (Status.PROPOSED, Status.PENDING, Status.WAITLIST)
NO_TIME = "no_time"
# As many patients of one name as a search looks at, and as many lines as a page tells about one visit.
NAMESAKES = 500
LONGEST_STORY = 200


def status_options() -> list[tuple[str, str]]:
    return [(NO_TIME, "Without a time"), *options.worded(words.STATUS)]


def has_status(value: str) -> ColumnElement[bool]:
    if value == NO_TIME:
        return and_(Appointment.starts_at.is_(None), Appointment.status.in_(WITHOUT_TIME))
    return Appointment.status == Status(value)


def starts(first: Any = None, last: Any = None) -> ColumnElement[bool]:
    return places.on_days(Appointment.starts_at, Appointment.location_id, first, last)


def zone_of(appointment: Appointment | None) -> str:
    return appointment.location.zone if appointment and appointment.location else places.clinic_zone()


def _name_of(row: Practitioner | Location | None) -> str:
    return row.name if row else words.NOTHING


def _namesakes(search: str) -> list[int]:
    """The patients whose name or birth date is what was typed; looked up first, so that an index helps."""
    return list(db.session.scalars(select(Patient.id).where(find.people(search)).limit(NAMESAKES)))


class AppointmentList(ReadOnlyList):
    """Appointments from today onward, until somebody asks for others."""

    noun = "appointment"
    served = ("index_view", "details_view", "private_view")
    can_view_details = True
    details_template = "backoffice/appointment.html"
    search_label = "Name, birth date or reference"
    search_hint = "For example archer, 4/5/1980 or a reference of six letters and digits."
    empty_message = "No appointments on these days."
    columns = (
        Column("starts_at", "Start", lambda row, _: words.moment(row.starts_at, zone_of(row)), sorts=True),
        Column("patient", "Patient", "show_patient"),
        Column("visit_type", "Visit type", "show_visit_type"),
        Column("practitioner", "Clinician", lambda row, _: _name_of(row.practitioner)),
        Column("location", "Location", lambda row, _: _name_of(row.location)),
        Column("status", "Status", "show_status"),
        Column("reference", "Reference", "show_reference"),
    )
    order = (("starts_at", False), ("id", False))
    column_filters = (
        Day("from", "From", Appointment.starts_at, lambda value: starts(first=value)),
        Day("until", "Until", Appointment.starts_at, lambda value: starts(last=value)),
        Choice("status", "Status", Appointment.status, status_options, has_status),
        Choice("clinician", "Clinician", Appointment.practitioner_id, options.practitioners),
        Choice("location", "Location", Appointment.location_id, options.reachable_places),
    )
    loads = (
        joinedload(Appointment.patient),
        joinedload(Appointment.visit_type),
        joinedload(Appointment.practitioner),
        joinedload(Appointment.location),
    )

    def get_query(self) -> Query[Any]:
        """Only the locations that one's role reaches: in the list, and when an address names one appointment."""
        query: Query[Any] = db.session.query(Appointment)
        limit = self.limit
        return query if limit is None else query.filter(Appointment.location_id.in_(limit))

    def known_about(self, rows: list[Appointment]) -> dict[str, Any]:
        """What the patients of the page need."""
        live = live_needs(db.session(), [row.patient_id for row in rows])
        return {"needs": {row.id: told_at_clinic(row, live.get(row.patient_id, {})) for row in rows}}

    def get_pk_value(self, model: Appointment) -> str:
        return model.public_id

    def get_one(self, id: str) -> Appointment | None:  # noqa: A002 - the library's name
        query = self.get_query().filter(Appointment.public_id == id)
        query = query.options(*self.loads, joinedload(Appointment.booked_by))
        found: Appointment | None = query.options(_CONTACTS).one_or_none()
        return found

    def defaults(self) -> dict[str, str]:
        return {"from": places.today().isoformat()}

    def conditions(self, search: str | None, chosen: dict[str, Any]) -> list[ColumnElement[bool]]:
        if chosen.get("status") in (NO_TIME, *WITHOUT_TIME):
            chosen = {key: value for key, value in chosen.items() if key not in ("from", "until")}
        found = super().conditions(search, chosen)
        by_reference = self._by_reference(search)
        if by_reference is None:
            return found
        # Whoever reads a reference out wants that visit, whatever the other fields say. It may be a name as well.
        is_name = bool(_namesakes(search or ""))
        return [or_(Appointment.id == by_reference, and_(*found)) if is_name else Appointment.id == by_reference]

    def _by_reference(self, search: str | None) -> int | None:
        id_ = id_from_reference(search or "")
        return None if id_ is None else self.get_query().with_entities(Appointment.id).filter_by(id=id_).scalar()

    def matching(self, search: str) -> ColumnElement[bool]:
        ids = _namesakes(search)
        return Appointment.patient_id.in_(ids) if ids else false()

    @expose("/details/")  # type: ignore[untyped-decorator]
    def details_view(self) -> Any:
        public_id = request.args.get("id", "")
        patient_id = self.get_query().with_entities(Appointment.patient_id).filter_by(public_id=public_id).scalar()
        if patient_id is None:
            raise NotFound
        note_opening(patient_id, AccessPlace.APPOINTMENT)
        appointment = self.get_one(public_id)
        assert appointment is not None
        return self.render(self.details_template, appointment=appointment, **about(appointment))

    @expose("/private/", methods=("POST",))  # type: ignore[untyped-decorator]
    def private_view(self) -> Any:
        """Keep a visit from those who act for its patient, or show it to them."""
        visit = self.get_one(request.args.get("id", ""))
        if visit is None:
            raise NotFound
        is_private, version = request.form.get("private") == "yes", request.form.get("version", "")
        expected = int(version) if version.isdecimal() and len(version) < 10 else 0
        set_private(actor=staff(), appointment_id=visit.id, is_private=is_private, expected_version=expected)
        flash(f"The appointment is {'private now' if is_private else 'not private any more'}.", "success")
        return redirect(url_for(".details_view", id=visit.public_id), 303)


_CONTACTS = joinedload(Appointment.patient).options(selectinload(Patient.contact_points))


def about(appointment: Appointment) -> dict[str, Any]:
    """Everything beside the row itself that its page tells."""
    zone, name = zone_of(appointment), appointment.practitioner.name if appointment.practitioner else ""
    return {
        "zone": zone,
        "calendar_url": calendar_of(appointment.starts_at, zone),
        "birth": words.birth_of(appointment.patient, places.today()),
        "place_asked": options.names()["locations"].get(appointment.wishes.get("location_id") or 0),
        "needs": told_at_clinic(appointment, needs_of(db.session(), appointment.patient_id)),
        "safety_at": safety.answered_at if (safety := from_kept(appointment.safety_answer)) else None,
        "is_acted_for": is_acted_for(db.session(), appointment.patient_id),
        "reasons": why.reasons(appointment.choice, name),
        "choice_field": why.field_of(appointment.choice, name),
        "names": options.names(),
        "attempts": _attempts(appointment),
        "messages": _messages(appointment),
        "history": _history(appointment, zone),
        "said": request_words,
    }


def _attempts(appointment: Appointment) -> list[Attempt]:
    query = select(Attempt).where(Attempt.appointment_id == appointment.id).order_by(Attempt.id)
    return list(db.session.scalars(query.limit(LONGEST_STORY)))


def _messages(appointment: Appointment) -> list[Notification]:
    query = select(Notification).where(Notification.appointment_id == appointment.id).order_by(Notification.id)
    return list(db.session.scalars(query.limit(LONGEST_STORY)))


def _history(appointment: Appointment, zone: str) -> list[dict[str, Any]]:
    query = (
        select(AuditEntry, Account.email)
        .outerjoin(Account, Account.id == AuditEntry.actor_account_id)
        .where(AuditEntry.subject_type == Appointment.__tablename__, AuditEntry.subject_id == appointment.id)
        .options(joinedload(AuditEntry.values))
        .order_by(AuditEntry.id)
        .limit(LONGEST_STORY)
    )
    return [
        {"entry": entry, "who": email, "changes": changes(entry, zone, options.names())}
        for entry, email in db.session.execute(query)
    ]
