"""The doctors' pages: everybody's own day, and nobody else's."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Flask, Response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import practitioner_for, roles_required, signed_in_account
from clinic_portal.database import db
from clinic_portal.doctor import inviting, steps  # noqa: F401  # their pages are the blueprint's
from clinic_portal.doctor.blueprint import blueprint
from clinic_portal.doctor.day import read_day, zone_of_days
from clinic_portal.doctor.news import changes_for
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import RoleName
from clinic_portal.web import page


def install(app: Flask) -> None:
    """Add the doctors' pages to the portal."""
    app.register_blueprint(blueprint)


@blueprint.get("/")
@roles_required(RoleName.PRACTITIONER)
def day() -> Response:
    """Your day: sessions, who comes when, and what is free."""
    practitioner, session = practitioner_for(signed_in_account()), db.session()
    zone = zone_of_days(session, practitioner)
    today = clock.local_date(clock.now(), zone)
    on = _asked_day() or today
    return page(
        "doctor/day.html",
        "doctor/_day.html",
        practitioner_name=practitioner.name,
        on=on,
        is_today=on == today,
        previous_url=_url(on - timedelta(days=1)),
        next_url=_url(on + timedelta(days=1)),
        today_url=url_for("doctor.day"),
        week_url=url_for("doctor.week", day=on.isoformat()),
        sessions=read_day(session, practitioner, on),
        changes=changes_for(session, practitioner) if on == today else [],
    )


@blueprint.get("/week")
@roles_required(RoleName.PRACTITIONER)
def week() -> Response:
    """Your week: the same, day by day."""
    practitioner, session = practitioner_for(signed_in_account()), db.session()
    today = clock.local_date(clock.now(), zone_of_days(session, practitioner))
    on = _asked_day() or today
    first = on - timedelta(days=on.weekday())
    days = [first + timedelta(days=number) for number in range(7)]
    return page(
        "doctor/week.html",
        "doctor/_week.html",
        practitioner_name=practitioner.name,
        days=[(day, day == today, _url(day), read_day(session, practitioner, day)) for day in days],
        first=first,
        last=days[-1],
        before_url=_week_url(first - timedelta(days=7)),
        after_url=_week_url(first + timedelta(days=7)),
        back_url=_url(on),
    )


def _week_url(on: date) -> str:
    return url_for("doctor.week", day=on.isoformat())


def _url(on: date) -> str:
    return url_for("doctor.day", day=on.isoformat())


def _asked_day() -> date | None:
    """The day in the address.

    Raises: InvalidRequest when it is none, or no calendar reaches it.
    """
    text = request.args.get("day")
    if not text:
        return None
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(N_("Write the day as year, month and day: 2026-03-02.")) from None
    if asked.year not in clock.YEARS:
        raise InvalidRequest(N_("That day is too far away."))
    return asked
