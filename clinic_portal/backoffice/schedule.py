"""The lists of sessions, locations and visit types."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Query, joinedload

from clinic_portal import clock, wording
from clinic_portal.backoffice import options, places, words
from clinic_portal.backoffice.access import may_change_settings
from clinic_portal.backoffice.filters import Choice, Day
from clinic_portal.backoffice.lists import Column, ReadOnlyList
from clinic_portal.database import db
from clinic_portal.models import ClinicSession, Location, PractitionerVisitType, VisitType
from clinic_portal.scheduling import masks
from clinic_portal.settings import load_settings


def _grid_min() -> int:
    return load_settings(db.session()).number("grid_min")


def on_day(day: date) -> ColumnElement[bool]:
    """A condition: the session begins on this day, as its own location counts days."""
    return places.on_days(ClinicSession.starts_at, ClinicSession.location_id, day, day) & _about_then(day)


def _about_then(day: date) -> ColumnElement[bool]:
    """A wider net that the index on cells answers: no zone is more than 14 hours from UTC."""
    start, end = clock.day_bounds(day, places.UTC_ZONE)
    grid, margin = _grid_min(), timedelta(hours=14)
    return ClinicSession.first_cell.between(masks.to_cell(start - margin, grid), masks.to_cell(end + margin, grid))


def _hours(row: ClinicSession) -> str:
    return words.span(row.starts_at, row.ends_at, row.location.zone)


def _release(row: ClinicSession) -> str:
    """Until when the time is kept back from patients."""
    return words.moment(row.bookable_from, row.location.zone) if row.bookable_from > clock.now() else "Now"


class SessionList(ReadOnlyList):
    """The sessions of one day: today, until somebody asks for another."""

    noun = "session"
    list_template = "backoffice/sessions.html"
    empty_message = "No sessions on this day."
    columns = (
        Column("first_cell", "Time", lambda row, _: _hours(row), sorts=True),
        Column("practitioner", "Clinician", lambda row, _: row.practitioner.name),
        Column("location", "Location", lambda row, _: row.location.name),
        Column("length", "Length", lambda row, known: words.minutes(row.cell_count * known["grid_min"])),
        Column("free", "Free", lambda row, known: words.minutes(row.free.bit_count() * known["grid_min"])),
        Column("audience", "For", lambda row, _: words.AUDIENCE[row.audience]),
        Column("bookable_from", "Bookable from", lambda row, _: _release(row)),
        Column("status", "Status", lambda row, _: words.SESSION_STATUS[row.status]),
        Column("late_min", "Late", lambda row, _: words.minutes(row.late_min) if row.late_min else words.NOTHING),
    )
    order = (("first_cell", False), ("practitioner_id", False), ("id", False))
    column_filters = (
        Day("day", "Day", ClinicSession.starts_at, on_day),
        Choice("clinician", "Clinician", ClinicSession.practitioner_id, options.practitioners),
        Choice("location", "Location", ClinicSession.location_id, options.reachable_places),
    )
    loads = (joinedload(ClinicSession.practitioner), joinedload(ClinicSession.location))

    def get_query(self) -> Query[Any]:
        query: Query[Any] = db.session.query(ClinicSession)
        limit = self.limit
        return query if limit is None else query.filter(ClinicSession.location_id.in_(limit))

    def defaults(self) -> dict[str, str]:
        return {"day": places.today().isoformat()}

    def known_about(self, _rows: list[ClinicSession]) -> dict[str, Any]:
        chosen = next((field["value"] for field in self._template_args["fields"] if field["key"] == "day"), "")
        return {"grid_min": _grid_min(), **(self._neighbours(date.fromisoformat(chosen)) if chosen else {})}

    def _neighbours(self, day: date) -> dict[str, Any]:
        """The day shown, and where the days before and after it are."""
        values = {field["key"]: field["value"] for field in self._template_args["fields"] if field["value"]}
        before, after = (
            self.get_url(".index_view", **{**values, "day": (day + timedelta(days=step)).isoformat()})
            for step in (-1, 1)
        )
        return {"shown_day": wording.date_long(day), "day_before": before, "day_after": after}


class LocationList(ReadOnlyList):
    noun = "location"
    empty_message = "There are no locations yet."
    columns = (
        Column("name", "Name", "show_location_name", sorts=True),
        Column("address", "Address"),
        Column("phone", "Phone"),
        Column("zone", "Time zone"),
        Column("is_step_free", "Step-free", lambda row, _: words.yes_no(row.is_step_free)),
        Column("entrance_note", "Entrance", lambda row, _: row.entrance_note or words.NOTHING),
        Column("is_active", "In use", lambda row, _: words.yes_no(row.is_active)),
    )
    order = (("name", False), ("id", False))

    def known_about(self, _rows: list[Location]) -> dict[str, Any]:
        """Who may change them."""
        return {"may_change": may_change_settings()}


class VisitTypeList(ReadOnlyList):
    noun = "visit type"
    empty_message = "There are no visit types yet."
    columns = (
        Column("name", "Name", "show_visit_type_name"),
        Column("who_may_book", "Online, for", lambda row, _: words.WHO_MAY_BOOK[row.who_may_book]),
        Column("durations", "Length", lambda row, known: known["durations"].get(row.id, "nobody does it")),
        Column("start_step_min", "Starts every", lambda row, _: words.minutes(row.start_step_min)),
        Column("arrive_early_min", "Come early by", lambda row, _: words.minutes(row.arrive_early_min)),
        Column("said", "Said in messages", lambda row, _: row.message_name),
        Column("is_active", "In use", lambda row, _: words.yes_no(row.is_active)),
    )
    order = (("sort_order", False), ("id", False))

    def known_about(self, _rows: list[VisitType]) -> dict[str, Any]:
        """How long each takes, and with how many clinicians."""
        query = (
            select(
                PractitionerVisitType.visit_type_id,
                func.min(PractitionerVisitType.duration_min),
                func.max(PractitionerVisitType.duration_min),
                func.count(),
            )
            .where(PractitionerVisitType.is_active)
            .group_by(PractitionerVisitType.visit_type_id)
        )
        return {
            "may_change": may_change_settings(),
            "durations": {row[0]: _length(*row[1:]) for row in db.session.execute(query)},
        }


def _length(shortest: int, longest: int, doers: int) -> str:
    ends = sorted({shortest, longest})
    length = " to ".join(words.minutes(end) for end in ends)
    return f"{length}, {doers} clinician{'' if doers == 1 else 's'}"
