"""Time off and extra hours."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.accounts import roles_required
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import MODE_BIT, ExceptionKind, Location, Mode, Practitioner
from clinic_portal.rota.block_form import MODES
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import change, token
from clinic_portal.rota.overview import overview_url, read_away_in_words, today_of
from clinic_portal.rota.reach import MAY_SET, practitioner_of
from clinic_portal.rota.reading import (
    Values,
    places,
    read_day,
    read_day_or_none,
    read_location,
    read_row_id,
    read_time,
    read_visit_types,
    visit_types_of,
)
from clinic_portal.scheduling.blocks import Away
from clinic_portal.scheduling.hours import hours_version
from clinic_portal.scheduling.hours_changes import EndAway
from clinic_portal.scheduling.zones import home_zone
from clinic_portal.web import page


@blueprint.get("/<public_id>/off")
@roles_required(*MAY_SET)
def off(public_id: str) -> Response:
    """Take time off."""
    return _form(practitioner_of(public_id), ExceptionKind.OFF, MultiDict())


@blueprint.post("/<public_id>/off")
@roles_required(*MAY_SET)
def save_off(public_id: str) -> Response:
    """Note it."""
    return _save(public_id, ExceptionKind.OFF, _("The time off is noted."))


@blueprint.get("/<public_id>/extra")
@roles_required(*MAY_SET)
def extra(public_id: str) -> Response:
    """Add extra hours."""
    practitioner = practitioner_of(public_id)
    values = MultiDict([("starts_on", today_of(practitioner).isoformat()), *(("modes", one.value) for one in MODE_BIT)])
    return _form(practitioner, ExceptionKind.EXTRA, values)


@blueprint.post("/<public_id>/extra")
@roles_required(*MAY_SET)
def save_extra(public_id: str) -> Response:
    """Add them."""
    return _save(public_id, ExceptionKind.EXTRA, _("The extra hours are added."))


@blueprint.get("/<public_id>/away/<exception_id>/end")
@roles_required(*MAY_SET)
def undo(public_id: str, exception_id: str) -> Response:
    """Take time off, or extra hours, back."""
    return _undo_form(practitioner_of(public_id), read_row_id(exception_id))


@blueprint.post("/<public_id>/away/<exception_id>/end")
@roles_required(*MAY_SET)
def save_undo(public_id: str, exception_id: str) -> Response:
    """Take it back."""
    practitioner = practitioner_of(public_id)
    return change(
        practitioner,
        lambda: EndAway(read_row_id(exception_id)),
        lambda errors, status: _undo_form(practitioner_of(public_id), read_row_id(exception_id), errors, status),
        done=_("It is taken back."),
    )


def _save(public_id: str, kind: ExceptionKind, done: str) -> Response:
    practitioner = practitioner_of(public_id)
    return change(
        practitioner,
        lambda: _read(practitioner, kind, request.form),
        lambda errors, status: _form(practitioner_of(public_id), kind, request.form, errors, status),
        done=done,
    )


def _read(practitioner: Practitioner, kind: ExceptionKind, values: Values) -> Away:
    """What was entered. Raises: InvalidRequest, naming the field."""
    first = read_day(values, "starts_on")
    reason = " ".join(values.get("reason", "").split())
    if kind is ExceptionKind.EXTRA:
        location = db.session().get_one(Location, read_location(values))
        ends = read_time(values, "ends") + (DAY_MIN if values.get("next_day") else 0)
        modes = frozenset(Mode(one) for one in values.getlist("modes") if one in {mode.value for mode in MODE_BIT})
        return Away(kind, location.zone, first, read_time(values, "starts"), first, ends, location.id, reason, modes,
                    read_visit_types(values))  # fmt: skip
    last = read_day_or_none(values, "ends_on") or first
    starts = read_time(values, "starts") if values.get("starts", "").strip() else 0
    ends = read_time(values, "ends") if values.get("ends", "").strip() else DAY_MIN
    return Away(kind, home_zone(db.session(), practitioner.id), first, starts, last, ends, reason=reason)


def _form(
    practitioner: Practitioner,
    kind: ExceptionKind,
    values: Any,
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
) -> Response:
    is_extra = kind is ExceptionKind.EXTRA
    return page(
        "rota/away.html",
        status=status,
        title=_("Add extra hours") if is_extra else _("Take time off"),
        lead=practitioner.name,
        is_extra=is_extra,
        values=values,
        places=[
            {"value": one.public_id, "label": one.name, "is_checked": one.public_id == values.get("location")}
            for one in places()
        ],
        modes=[
            {"value": mode.value, "label": _(words), "hint": "", "is_checked": mode.value in values.getlist("modes")}
            for mode, words in MODES.items()
        ],
        visit_types=visit_types_of(practitioner, values.getlist("visit_types")),
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        errors=errors or [],
        back_url=overview_url(practitioner),
    )


def _undo_form(
    practitioner: Practitioner, exception_id: int, errors: list[dict[str, str]] | None = None, status: int = 200
) -> Response:
    return page(
        "rota/undo.html",
        status=status,
        what=f"{practitioner.name}: {read_away_in_words(practitioner, exception_id, clock.now())}",
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        errors=errors or [],
        back_url=overview_url(practitioner),
    )
