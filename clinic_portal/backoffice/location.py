"""The page on which an administrator sets what is said about a place."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select

from clinic_portal.backoffice.limits import CONFLICT, AdminPage, read_number, read_text
from clinic_portal.backoffice.person import staff
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound, VersionConflict
from clinic_portal.languages import TRANSLATED, english_name
from clinic_portal.models import Location
from clinic_portal.scheduling.places import FLAGS, TEXTS, TRANSLATIONS, Values, change_location, values_of

LABELS = {
    "name": "Name",
    "address": "Address",
    "phone": "Phone",
    "entrance_note": "How one gets in",
    "parking_note": "Parking",
    "is_step_free": "Step-free",
}


class LocationPage(AdminPage):
    """Everything that a clinic says about one place."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        public_id = request.args.get("id", "")
        location = db.session.scalar(select(Location).filter_by(public_id=public_id if public_id.isprintable() else ""))
        if location is None:
            raise NotFound
        if request.method == "GET":
            return self._form(location, values_of(location))
        typed: Values = {name: read_text(request.form.get(name, "")) for name in (*TEXTS, *TRANSLATIONS)}
        typed |= {name: request.form.get(name) == "yes" for name in FLAGS}
        try:
            expected = read_number(request.form.get("version", "")) or 0
            change_location(actor=staff(), location_id=location.id, values=typed, expected_version=expected)
        except InvalidRequest as error:
            return self._form(location, typed, error.facts.get("field", "name"), str(error)), 422
        except VersionConflict:
            return self._form(location, typed, "version", CONFLICT, is_conflict=True), 409
        flash(f"{typed['name']} is saved.", "success")
        return redirect(url_for("backoffice_locations.index_view"), 303)

    def _form(
        self, location: Location, typed: Values, field: str = "", problem: str = "", *, is_conflict: bool = False
    ) -> Any:
        db.session.refresh(location)
        now = values_of(location)
        return self.render(
            "backoffice/location.html",
            location=location,
            typed=typed,
            texts=TEXTS,
            labels=LABELS,
            translated=[(code, english_name(code)) for code in TRANSLATED],
            changed=[(_label(name), _told(value)) for name, value in now.items() if value != typed[name]]
            if is_conflict
            else [],
            problems=[{"field": field, "text": problem}] if problem else [],
        )


def _label(name: str) -> str:
    column, language = TRANSLATIONS.get(name, (name, None))
    return f"{LABELS[column]} in {english_name(language)}" if language else LABELS[name]


def _told(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"
