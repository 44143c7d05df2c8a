"""Somebody's hours at a glance: the week as it is drawn, the blocks it comes from, and what lies ahead."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Response, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.accounts import roles_required
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.languages import _
from clinic_portal.models import (
    AvailabilityException,
    ClinicSession,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Practitioner,
    SessionStatus,
)
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.reach import MAY_SET, actor, is_staff, practitioner_of, reachable
from clinic_portal.rota.reading import read_day_or_none
from clinic_portal.rota.telling import away_in_words, line_of, pace_in_words
from clinic_portal.rota.wishes import waiting
from clinic_portal.scheduling.hours import rules_of
from clinic_portal.scheduling.hours_requests import must_ask, open_wishes
from clinic_portal.scheduling.pace import pace_of
from clinic_portal.scheduling.zones import clinic_zone, home_zone
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_short, time_short, weekday_long

WEEK = timedelta(days=7)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Bar:
    """A stretch of a day as it is drawn, in minutes after midnight."""

    first_min: int
    length_min: int


@dataclass(frozen=True)
class DayOfWeek:
    """One day: its sessions drawn and in words, and why there may be none."""

    on: date
    is_today: bool
    bars: list[Bar]
    lines: list[str]
    notes: list[str]


@blueprint.get("/")
@roles_required(*MAY_SET)
def everybody() -> Response:
    """Whose hours would you like to see? A doctor sees their own."""
    found = reachable()
    if not is_staff():
        if not found:
            raise NotFound
        return see_other(overview_url(found[0]))
    waits = Counter(row.practitioner_id for row in open_wishes(db.session(), [one.id for one in found]))
    return page("rota/everybody.html", practitioners=found, waits=waits, back_url=url_for("backoffice.index"))


@blueprint.get("/<public_id>")
@roles_required(*MAY_SET)
def week(public_id: str) -> Response:
    """The hours of one practitioner."""
    practitioner = practitioner_of(public_id)
    zone, today = home_zone(db.session(), practitioner.id), today_of(practitioner)
    first = _monday(read_day_or_none(request.args, "from") or today)
    rules = rules_of(db.session(), practitioner.id, today)
    return page(
        "rota/week.html",
        "rota/_week.html",
        practitioner=practitioner,
        days=_days(practitioner, first, zone, today),
        first=first,
        last=first + WEEK - DAY,
        before_url=_week_url(practitioner, first - WEEK),
        after_url=_week_url(practitioner, first + WEEK),
        blocks=[(weekday_long(day), [line_of(rule) for rule in rules if rule.weekday == day]) for day in range(7)],
        limits=list(pace_in_words(pace_of(db.session(), practitioner.id))),
        ahead=_ahead(practitioner, today),
        closures=[_closure_in_words(row) for row in _closures(today, today + 26 * WEEK)],
        wishes=waiting(practitioner, zone),
        must_ask=must_ask(db.session(), actor()),
        back_url=url_for("rota.everybody") if is_staff() else url_for("doctor.day"),
        is_staff=is_staff(),
    )


def overview_url(practitioner: Practitioner) -> str:
    """Where somebody's hours are seen."""
    return url_for("rota.week", public_id=practitioner.public_id)


def _week_url(practitioner: Practitioner, first: date) -> str:
    return f"{overview_url(practitioner)}?from={first.isoformat()}"


def today_of(practitioner: Practitioner) -> date:
    """What day it is there."""
    return clock.local_date(clock.now(), home_zone(db.session(), practitioner.id))


def clinic_today() -> date:
    """What day it is at the clinic."""
    return clock.local_date(clock.now(), clinic_zone(db.session()))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _days(practitioner: Practitioner, first: date, zone: str, today: date) -> list[DayOfWeek]:
    sessions = _sessions(practitioner, first, zone)
    away = _away(practitioner, first, first + WEEK - DAY)
    closures = _closures(first, first + WEEK - DAY)
    days = [first + timedelta(days=number) for number in range(7)]
    return [
        DayOfWeek(
            on,
            on == today,
            [bar for row in sessions if (bar := _bar(row, on, zone)) is not None],
            [_session_in_words(row) for row in sessions if clock.local_date(row.starts_at, row.location.zone) == on],
            [
                *(row.name for row in closures if row.first_on <= on <= row.last_on),
                *(
                    _("Time off")
                    for row in away
                    if row.kind is ExceptionKind.OFF and row.starts_on <= on <= row.ends_on
                ),
            ],
        )
        for on in days
    ]


def _sessions(practitioner: Practitioner, first: date, zone: str) -> list[ClinicSession]:
    low, _end = clock.day_bounds(first, zone)
    found = select(ClinicSession).where(
        ClinicSession.practitioner_id == practitioner.id,
        ClinicSession.status == SessionStatus.PLANNED,
        ClinicSession.lane == 0,
        ClinicSession.starts_at < clock.day_bounds(first + WEEK - DAY, zone)[1],
        ClinicSession.ends_at > low,
    )
    eager = joinedload(ClinicSession.location)
    return list(db.session().scalars(found.options(eager).order_by(ClinicSession.first_cell)))


def _bar(row: ClinicSession, on: date, zone: str) -> Bar | None:
    """The part of a session that lies on a day."""
    low, high = clock.day_bounds(on, zone)
    starts, ends = max(row.starts_at, low), min(row.ends_at, high)
    if starts >= ends:
        return None
    first = clock.local(starts, zone)
    minute = first.hour * 60 + first.minute
    return Bar(minute, min(int((ends - starts).total_seconds()) // 60, DAY_MIN - minute))


def _session_in_words(row: ClinicSession) -> str:
    zone = row.location.zone
    start, end = time_short(row.starts_at, zone), time_short(row.ends_at, zone)
    return _("%(start)s to %(end)s, %(place)s", start=start, end=end, place=row.location.name)


def _away(practitioner: Practitioner, first: date, last: date) -> list[AvailabilityException]:
    found = select(AvailabilityException).where(
        AvailabilityException.practitioner_id == practitioner.id,
        AvailabilityException.status == ExceptionStatus.APPROVED,
        AvailabilityException.starts_on <= last,
        AvailabilityException.ends_on >= first,
    )
    eager = joinedload(AvailabilityException.location)
    order = AvailabilityException.starts_on, AvailabilityException.id
    return list(db.session().scalars(found.options(eager).order_by(*order)))


def _ahead(practitioner: Practitioner, today: date) -> list[tuple[int, str, str]]:
    """Time off and extra hours that are not over: id, in words, and why."""
    return [(row.id, away_in_words(row), row.reason) for row in _away(practitioner, today, date.max)]


def read_away_in_words(practitioner: Practitioner, exception_id: int, now: datetime) -> str:
    """One of those that are not over. Raises: NotFound."""
    today = clock.local_date(now, home_zone(db.session(), practitioner.id))
    known = {id_: words for id_, words, _reason in _ahead(practitioner, today)}
    if exception_id not in known:
        raise NotFound
    return known[exception_id]


def _closures(first: date, last: date) -> list[Closure]:
    found = select(Closure).where(Closure.first_on <= last, Closure.last_on >= first)
    eager = joinedload(Closure.location)
    return list(db.session().scalars(found.options(eager).order_by(Closure.first_on, Closure.id)))


def _closure_in_words(row: Closure) -> str:
    where = row.location.name if row.location else _("all places")
    if row.first_on == row.last_on:
        return _("%(day)s: %(name)s, %(place)s", day=date_short(row.first_on), name=row.name, place=where)
    return _("%(first)s to %(last)s: %(name)s, %(place)s", first=date_short(row.first_on),
             last=date_short(row.last_on), name=row.name, place=where)  # fmt: skip
