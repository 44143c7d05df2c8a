"""Somebody's own limits: visits a day, breaks to catch up, and how long before a visit must be booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from clinic_portal.accounts import roles_required
from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import Practitioner, PractitionerVisitType, VisitType
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import change, token
from clinic_portal.rota.overview import overview_url
from clinic_portal.rota.reach import MAY_SET, practitioner_of
from clinic_portal.rota.reading import Values, read_number_or_none
from clinic_portal.scheduling.hours import hours_version
from clinic_portal.scheduling.pace import Pace, pace_of
from clinic_portal.settings import load_settings
from clinic_portal.visit_texts import text_of
from clinic_portal.web import page

HOUR_MIN = 60


@dataclass(frozen=True)
class TypeField:
    """The box for one visit type."""

    visit_type_id: int
    label: str

    @property
    def name(self) -> str:
        return f"type-{self.visit_type_id}"


@blueprint.get("/<public_id>/limits")
@roles_required(*MAY_SET)
def limits(public_id: str) -> Response:
    """How full may the days get?"""
    practitioner = practitioner_of(public_id)
    return _form(practitioner, _values(pace_of(db.session(), practitioner.id)))


@blueprint.post("/<public_id>/limits")
@roles_required(*MAY_SET)
def save_limits(public_id: str) -> Response:
    """Set the limits."""
    practitioner = practitioner_of(public_id)
    return change(
        practitioner,
        lambda: _read(practitioner, request.form),
        lambda errors, status: _form(practitioner_of(public_id), request.form, errors, status),
        done=_("The limits are saved."),
    )


def _types(practitioner: Practitioner) -> list[TypeField]:
    """What they do, by name."""
    found = (
        select(VisitType.id)
        .join(PractitionerVisitType, PractitionerVisitType.visit_type_id == VisitType.id)
        .where(
            PractitionerVisitType.practitioner_id == practitioner.id,
            PractitionerVisitType.is_active,
            VisitType.is_active,
        )
    )
    session = db.session()
    fields = [TypeField(type_id, text_of(session, type_id).name) for type_id in session.scalars(found)]
    return sorted(fields, key=lambda field: (field.label, field.visit_type_id))


def _values(pace: Pace) -> MultiDict[str, str]:
    found = {
        "most_a_day": pace.most_a_day,
        "break_min": pace.break_min,
        "break_after_min": pace.break_after_min,
        "notice_h": None if pace.notice_min is None else pace.notice_min // HOUR_MIN,
        **{TypeField(type_id, "").name: most for type_id, most in pace.by_type.items()},
    }
    return MultiDict({name: str(value) for name, value in found.items() if value is not None})


def _read(practitioner: Practitioner, values: Values) -> Pace:
    """What was entered. Raises: InvalidRequest, naming the field."""
    # What they do not do at present keeps its limit.
    by_type = dict(pace_of(db.session(), practitioner.id).by_type)
    for field in _types(practitioner):
        by_type.pop(field.visit_type_id, None)
        if (most := read_number_or_none(values, field.name)) is not None:
            by_type[field.visit_type_id] = most
    notice_h = read_number_or_none(values, "notice_h")
    return Pace(
        most_a_day=read_number_or_none(values, "most_a_day"),
        by_type=by_type,
        break_min=read_number_or_none(values, "break_min"),
        break_after_min=read_number_or_none(values, "break_after_min"),
        notice_min=None if notice_h is None else notice_h * HOUR_MIN,
    )


def _form(
    practitioner: Practitioner, values: Any, errors: list[dict[str, str]] | None = None, status: int = 200
) -> Response:
    return page(
        "rota/limits.html",
        status=status,
        lead=practitioner.name,
        types=_types(practitioner),
        values=values,
        grid_min=load_settings(db.session()).number("grid_min"),
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        errors=errors or [],
        back_url=overview_url(practitioner),
    )
