"""The self-check: whether the rows are as they must be at this moment, and where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.backoffice import places, words
from clinic_portal.backoffice.access import ADMINS
from clinic_portal.backoffice.changes import SUBJECT
from clinic_portal.backoffice.lists import Page
from clinic_portal.database import db
from clinic_portal.models import Appointment, ClinicSession, Notification
from clinic_portal.self_check import Check, Finding, run_checks


@dataclass(frozen=True)
class Row:
    """Something that is wrong, and where to look at it."""

    what: str
    words: str
    url: str | None


class SelfCheckPage(Page):
    """Every law of the portal, looked at when the page is opened. It tells about every location."""

    roles = ADMINS
    knows_locations = False

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        checks = run_checks()
        return self.render(
            "backoffice/self_check.html",
            rows=[(check, _rows(check)) for check in checks],
            wrong=sum(bool(check.count) for check in checks),
            when=words.moment(clock.now(), places.clinic_zone()),
        )


def _rows(check: Check) -> list[Row]:
    """What a check found, with one query for each kind of row."""
    visits = _by_id(Appointment, check)
    sessions = _by_id(ClinicSession, check, joinedload(ClinicSession.practitioner), joinedload(ClinicSession.location))
    messages = _by_id(Notification, check, joinedload(Notification.appointment))
    return [_row(finding, visits, sessions, messages) for finding in check.findings]


def _by_id(model: Any, check: Check, *loads: Any) -> dict[int, Any]:
    ids = {finding.row_id for finding in check.findings if finding.table == model.__tablename__}
    if not ids:
        return {}
    return {row.id: row for row in db.session.scalars(select(model).where(model.id.in_(ids)).options(*loads))}


def _row(
    finding: Finding,
    visits: dict[int, Appointment],
    sessions: dict[int, ClinicSession],
    messages: dict[int, Notification],
) -> Row:
    if finding.table == Appointment.__tablename__ and (visit := visits.get(finding.row_id)):
        return Row(f"Appointment {visit.reference}", finding.words, _visit_url(visit))
    if finding.table == ClinicSession.__tablename__ and (work := sessions.get(finding.row_id)):
        zone = work.location.zone
        day = clock.local_date(work.starts_at, zone).isoformat()
        url = url_for("backoffice_sessions.index_view", day=day, clinician=work.practitioner_id)
        return Row(f"{work.practitioner.name}, {words.moment(work.starts_at, zone)}", finding.words, url)
    if finding.table == Notification.__tablename__ and (message := messages.get(finding.row_id)):
        about = _visit_url(message.appointment) if message.appointment else None
        return Row(f"Message {message.id}: {words.about(message)}", finding.words, about)
    kind = SUBJECT.get(finding.table, words.code(finding.table)) if finding.table else ""
    return Row(f"{kind} {finding.row_id or ''}".strip(), finding.words, None)


def _visit_url(visit: Appointment) -> str:
    return url_for("backoffice_appointments.details_view", id=visit.public_id)
