"""Days on which the clinic, or one of its places, is closed; a country's public holidays in one act."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import holidays
from babel.core import get_global
from flask import Response, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.datastructures import MultiDict

from clinic_portal.accounts import STAFF, roles_required
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, VisitsOutside
from clinic_portal.languages import N_, _, current, ngettext
from clinic_portal.models import Closure
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import carry_out, sent_token, token
from clinic_portal.rota.overview import clinic_today
from clinic_portal.rota.reach import actor, only_for_all_places
from clinic_portal.rota.reading import Values, places, read_day, read_day_or_none, read_location, read_row_id
from clinic_portal.scheduling.hours import add_closure, end_closure
from clinic_portal.scheduling.zones import clinic_zone
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_long

DAY = timedelta(days=1)
# So far ahead public holidays are entered.
MONTHS_AHEAD = timedelta(days=425)


@blueprint.get("/closed")
@roles_required(*STAFF)
def closed() -> Response:
    """Days on which the clinic is closed."""
    only_for_all_places()
    return _page(MultiDict())


@blueprint.post("/closed")
@roles_required(*STAFF)
def close() -> Response:
    """Close the clinic, or a place, for some days."""
    only_for_all_places()
    values = request.form
    return carry_out(
        lambda answers: add_closure(actor=actor(), token=sent_token(), answers=answers, **_read(values)),
        lambda errors, status: _page(values, errors, status),
        done=_("The days are closed."), done_url=url_for("rota.closed"), back_url=url_for("rota.closed"),
    )  # fmt: skip


@blueprint.post("/closed/<closure_id>/end")
@roles_required(*STAFF)
def open_again(closure_id: str) -> Response:
    """Open on days that were to be closed."""
    only_for_all_places()
    end_closure(actor=actor(), closure_id=read_row_id(closure_id))
    flash(_("The days are open again."), "success")
    return see_other(url_for("rota.closed"))


@blueprint.post("/closed/holidays")
@roles_required(*STAFF)
def close_on_holidays() -> Response:
    """Close on the public holidays of a country that lie ahead; those with appointments are left to be looked at."""
    only_for_all_places()
    country, _dash, part = request.form.get("country", "").partition("-")
    known = holidays.list_supported_countries()
    if country not in known or (part and part not in known[country]):
        return _page(request.form, [{"field": "country", "text": _("Choose a country.")}], 422)
    today = clinic_today()
    found = holidays.country_holidays(country, subdiv=part or None, years=[today.year, today.year + 1],
                                      language=_language(country))  # fmt: skip
    shut = {row.first_on for row in _ahead() if row.location_id is None}
    made, left = 0, []
    for day, name in sorted(found.items()):
        if today < day <= today + MONTHS_AHEAD and day not in shut:
            try:
                add_closure(actor=actor(), name=name[:120], first_on=day, last_on=day, location_id=None,
                            token=secrets.token_urlsafe(16))  # fmt: skip
                made += 1
            except VisitsOutside:
                left.append(f"{name}, {date_long(day)}")
    flash(ngettext("%(num)d holiday is entered.", "%(num)d holidays are entered.", made), "success")
    if left:
        flash(_("There are appointments on: %(days)s. Close these days one by one.", days="; ".join(left)), "info")
    return see_other(url_for("rota.closed"))


def _language(country: str) -> str | None:
    """The reader's language, if the holidays of a country are known in it."""
    known: tuple[str, ...] = getattr(holidays, country).supported_languages
    return next((one for one in known if one.partition("_")[0] == current()), None)


def _read(values: Values) -> dict[str, Any]:
    """Raises: InvalidRequest, naming the field."""
    first = read_day(values, "first_on")
    where = values.get("location", "")
    if where == "":
        raise InvalidRequest(N_("Choose one of the places, or all."), field="location")
    return {
        "name": values.get("name", ""),
        "first_on": first,
        "last_on": read_day_or_none(values, "last_on") or first,
        "location_id": None if where == "all" else read_location(values),
    }


def _ahead() -> list[Closure]:
    found = select(Closure).where(Closure.last_on >= clinic_today()).options(joinedload(Closure.location))
    return list(db.session().scalars(found.order_by(Closure.first_on, Closure.id)))


def _page(values: Any, errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    chosen = values.get("location", "all")
    return page(
        "rota/closed.html",
        status=status,
        closures=[
            {
                "id": row.id,
                "name": row.name,
                "where": row.location.name if row.location else _("All places"),
                "first_on": row.first_on,
                "last_on": row.last_on,
                "is_ahead": row.first_on > clinic_today(),
            }
            for row in _ahead()
        ],
        places=[
            {"value": "all", "label": _("All places"), "is_checked": chosen == "all"},
            *({"value": one.public_id, "label": one.name, "is_checked": chosen == one.public_id} for one in places()),
        ],
        countries=_countries(values.get("country") or _own_country()),
        values=values,
        token=token(),
        errors=errors or [],
        back_url=url_for("rota.everybody"),
    )


def _own_country() -> str:
    """The country in which the clinic's clock goes; for a list that is long."""
    found: str | None = get_global("zone_territories").get(clinic_zone(db.session()))
    return found or ""


def _countries(chosen: str) -> list[dict[str, Any]]:
    """Every country whose public holidays are known, and its parts where these have their own."""
    codes = [
        code
        for country, parts in sorted(holidays.list_supported_countries().items())
        for code in (country, *(f"{country}-{part}" for part in parts))
    ]
    return [{"value": code, "label": code, "is_checked": code == chosen} for code in codes]
