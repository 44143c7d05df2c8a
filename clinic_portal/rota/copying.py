"""The hours of one day, on other days of the week too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MultiDict

from clinic_portal.accounts import roles_required
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _
from clinic_portal.models import AvailabilityRule, Practitioner
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import change, token
from clinic_portal.rota.overview import overview_url, today_of
from clinic_portal.rota.reach import MAY_SET, practitioner_of
from clinic_portal.rota.reading import Values, read_day
from clinic_portal.scheduling.blocks import Block
from clinic_portal.scheduling.hours import hours_version, rules_of
from clinic_portal.scheduling.hours_changes import WeekChange
from clinic_portal.web import page
from clinic_portal.wording import weekday_long

DAY = timedelta(days=1)


@blueprint.get("/<public_id>/copy")
@roles_required(*MAY_SET)
def copy(public_id: str) -> Response:
    """Copy a day to other days."""
    practitioner = practitioner_of(public_id)
    return _form(practitioner, MultiDict([("valid_from", today_of(practitioner).isoformat())]))


@blueprint.post("/<public_id>/copy")
@roles_required(*MAY_SET)
def save_copy(public_id: str) -> Response:
    """Copy it."""
    practitioner = practitioner_of(public_id)
    return change(
        practitioner,
        lambda: _change(practitioner, request.form),
        lambda errors, status: _form(practitioner_of(public_id), request.form, errors, status),
        done=_("The day is copied."),
    )


def _change(practitioner: Practitioner, values: Values) -> WeekChange:
    """The copies, and what makes room for them. Raises: InvalidRequest."""
    rules, first = _rules(practitioner), read_day(values, "valid_from")
    days = {int(day) for day in values.getlist("weekdays") if day in {str(one) for one in range(7)}}
    original = [rule for rule in rules if str(rule.weekday) == values.get("day")]
    if not original:
        raise InvalidRequest(N_("Choose a day that has hours."), field="day")
    days.discard(original[0].weekday)
    if not days:
        raise InvalidRequest(N_("Choose at least one other day."), field="weekdays")
    gone = [rule for rule in rules if rule.weekday in days] if values.get("replace") else []
    adds = [replace(_as_block(rule, first), weekday=day) for day in sorted(days) for rule in original]
    return WeekChange({rule.id: first - DAY for rule in gone}, adds)


def _rules(practitioner: Practitioner) -> list[AvailabilityRule]:
    return rules_of(db.session(), practitioner.id, today_of(practitioner))


def _as_block(rule: AvailabilityRule, first: date) -> Block:
    names = Block.__dataclass_fields__
    return replace(Block(**{name: getattr(rule, name) for name in names}), valid_from=max(first, rule.valid_from))


def _form(
    practitioner: Practitioner, values: Any, errors: list[dict[str, str]] | None = None, status: int = 200
) -> Response:
    worked = sorted({rule.weekday for rule in _rules(practitioner)})
    return page(
        "rota/copy.html",
        status=status,
        froms=[
            {"value": str(day), "label": weekday_long(day), "is_checked": str(day) == values.get("day")}
            for day in worked
        ],
        weekdays=[
            {"value": str(day), "label": weekday_long(day), "hint": "",
             "is_checked": str(day) in values.getlist("weekdays")}
            for day in range(7)
        ],
        values=values,
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        errors=errors or [],
        back_url=overview_url(practitioner),
    )  # fmt: skip
