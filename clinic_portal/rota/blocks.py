"""Adding hours to a week, changing them from a day on, and ending them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request, url_for

from clinic_portal.accounts import roles_required
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.languages import _
from clinic_portal.models import AvailabilityRule, Practitioner
from clinic_portal.rota import block_form
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import change as change_hours_by
from clinic_portal.rota.carrying_out import token
from clinic_portal.rota.overview import overview_url, today_of
from clinic_portal.rota.reach import MAY_SET, practitioner_of
from clinic_portal.rota.reading import Values, read_day, read_row_id
from clinic_portal.rota.telling import block_in_words
from clinic_portal.scheduling.hours import hours_version, rules_of
from clinic_portal.scheduling.hours_changes import WeekChange
from clinic_portal.web import page

DAY = timedelta(days=1)


@blueprint.get("/<public_id>/add")
@roles_required(*MAY_SET)
def add(public_id: str) -> Response:
    """Add hours to the week."""
    practitioner = practitioner_of(public_id)
    return _form(practitioner, None, block_form.new_values(today_of(practitioner)))


@blueprint.post("/<public_id>/add")
@roles_required(*MAY_SET)
def save_new(public_id: str) -> Response:
    """Add them, on each of the days that are ticked."""
    practitioner = practitioner_of(public_id)
    return change_hours_by(
        practitioner,
        lambda: WeekChange(adds=block_form.read_blocks(request.form)),
        lambda errors, status: _form(practitioner_of(public_id), None, request.form, errors, status),
        done=_("The hours are added."),
    )


@blueprint.get("/<public_id>/blocks/<rule_id>")
@roles_required(*MAY_SET)
def change(public_id: str, rule_id: str) -> Response:
    """Change hours of the week, from a day on."""
    practitioner = practitioner_of(public_id)
    rule = _rule(practitioner, read_row_id(rule_id))
    return _form(practitioner, rule, block_form.values_of(rule, today_of(practitioner)))


@blueprint.post("/<public_id>/blocks/<rule_id>")
@roles_required(*MAY_SET)
def save(public_id: str, rule_id: str) -> Response:
    """Change them: the old ones end the day before."""
    practitioner = practitioner_of(public_id)
    return change_hours_by(
        practitioner,
        lambda: _instead(rule_id),
        lambda errors, status: _form(
            practitioner_of(public_id), _rule(practitioner, read_row_id(rule_id)), request.form, errors, status
        ),
        done=_("The hours are changed."),
    )


def _instead(rule_id: str) -> WeekChange:
    (block,) = block_form.read_blocks(request.form)[:1]
    return WeekChange({read_row_id(rule_id): block.valid_from - DAY}, [block])


@blueprint.get("/<public_id>/blocks/<rule_id>/end")
@roles_required(*MAY_SET)
def end(public_id: str, rule_id: str) -> Response:
    """End hours of the week."""
    practitioner = practitioner_of(public_id)
    rule, today = _rule(practitioner, read_row_id(rule_id)), today_of(practitioner)
    return _end_form(practitioner, rule, {"first_without": max(today, rule.valid_from).isoformat()})


@blueprint.post("/<public_id>/blocks/<rule_id>/end")
@roles_required(*MAY_SET)
def save_end(public_id: str, rule_id: str) -> Response:
    """End them."""
    practitioner = practitioner_of(public_id)
    return change_hours_by(
        practitioner,
        lambda: WeekChange({read_row_id(rule_id): read_day(request.form, "first_without") - DAY}),
        lambda errors, status: _end_form(
            practitioner_of(public_id), _rule(practitioner, read_row_id(rule_id)), request.form,
            _first_without(errors), status,
        ),
        done=_("The hours end."),
    )  # fmt: skip


def _first_without(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**error, "field": "first_without" if error["field"] else ""} for error in errors]


def _rule(practitioner: Practitioner, rule_id: int) -> AvailabilityRule:
    """One of the blocks that take place today or later. Raises: NotFound."""
    found = {rule.id: rule for rule in rules_of(db.session(), practitioner.id, today_of(practitioner))}
    if rule_id not in found:
        raise NotFound
    return found[rule_id]


def _form(
    practitioner: Practitioner,
    rule: AvailabilityRule | None,
    values: Values,
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
) -> Response:
    public_id = practitioner.public_id
    return page(
        "rota/block.html",
        status=status,
        title=_("Add hours") if rule is None else _("Change hours"),
        lead=practitioner.name if rule is None else f"{practitioner.name}: {block_in_words(rule)}",
        is_new=rule is None,
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        end_url=url_for("rota.end", public_id=public_id, rule_id=rule.id) if rule is not None else None,
        errors=errors or [],
        back_url=overview_url(practitioner),
        **block_form.choices(values, practitioner),
    )


def _end_form(
    practitioner: Practitioner,
    rule: AvailabilityRule,
    values: Any,
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
) -> Response:
    return page(
        "rota/end.html",
        status=status,
        title=_("End hours"),
        what=f"{practitioner.name}: {block_in_words(rule)}",
        values=values,
        version=hours_version(db.session(), practitioner.id),
        token=token(),
        errors=errors or [],
        back_url=url_for("rota.change", public_id=practitioner.public_id, rule_id=rule.id),
    )
