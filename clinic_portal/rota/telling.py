"""How blocks of a week, time off and extra hours are said."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_portal import clock
from clinic_portal.clock import DAY_MIN
from clinic_portal.database import db
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import (
    ALL_MODES,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    ExceptionKind,
    ReleasePolicy,
    RuleKind,
    VisitTypeIds,
)
from clinic_portal.rota.block_form import AUDIENCES, MODES, NTH
from clinic_portal.visit_texts import text_of
from clinic_portal.wording import date_short, day_and_time, minute_told, time_short, weekday_long


@dataclass(frozen=True)
class Line:
    """A block of the week, in words."""

    rule_id: int
    hours: str
    details: str
    is_break: bool


def line_of(rule: AvailabilityRule) -> Line:
    """A block as one line of the week."""
    return Line(rule.id, _hours(rule), "; ".join(_details(rule)), rule.kind is RuleKind.BREAK)


def _hours(rule: AvailabilityRule) -> str:
    return _("%(start)s to %(end)s", start=minute_told(rule.starts_min), end=minute_told(rule.ends_min))


def block_in_words(rule: AvailabilityRule) -> str:
    """A block of the week: "Tuesday, 9am to 12 midday, Harbour Street"."""
    return ", ".join([weekday_long(rule.weekday), _hours(rule), rule.location.name])


def _details(rule: AvailabilityRule) -> list[str]:
    """Where it is, and what is unusual about it."""
    found = [rule.location.name]
    if rule.valid_from > clock.local_date(clock.now(), rule.location.zone):
        found.append(_("from %(day)s on", day=date_short(rule.valid_from)))
    if rule.valid_until is not None:
        found.append(_("until %(day)s", day=date_short(rule.valid_until)))
    if rule.every_n_weeks > 1:
        found.append(ngettext("every %(num)d week", "every %(num)d weeks", rule.every_n_weeks))
    if rule.nth_of_month is not None:
        found.append(_("the %(nth)s of the month", nth=_(NTH[rule.nth_of_month]).lower()))
    if rule.modes != ALL_MODES:
        found.append(", ".join(_(words) for mode, words in MODES.items() if mode in rule.modes))
    if rule.visit_type_ids:
        found.append(_only_for(rule.visit_type_ids))
    if rule.audience is not Audience.PUBLIC and rule.release_policy is not ReleasePolicy.NEVER:
        found.append(_(AUDIENCES[rule.audience]))
    if rule.release_policy is not ReleasePolicy.AT_ONCE:
        found.append(_release(rule))
    return found


def _only_for(visit_type_ids: VisitTypeIds) -> str:
    names = sorted(text_of(db.session(), each).name for each in visit_type_ids)
    return _("only for %(names)s", names=", ".join(names))


_RELEASE = {
    ReleasePolicy.NEVER: N_("booked by the desk only"),
    ReleasePolicy.HOURS_BEFORE: N_("free for patients %(number)s hours before"),
    ReleasePolicy.DAYS_BEFORE: N_("free for patients %(number)s days before, at %(time)s"),
}


def _release(rule: AvailabilityRule) -> str:
    time = minute_told(rule.release_at_min)
    if rule.release_policy is ReleasePolicy.DAYS_BEFORE and not rule.release_before:
        return _("free for patients on the same day, from %(time)s on", time=time)
    return _(_RELEASE[rule.release_policy], number=rule.release_before, time=time)


def away_in_words(row: AvailabilityException) -> str:
    """Time off or extra hours: "Time off: 3 March"."""
    start, end = _away_bounds(row)
    if row.kind is ExceptionKind.EXTRA:
        place = row.location.name if row.location else ""
        told = _("Extra hours: %(start)s to %(end)s, %(place)s", start=start, end=end, place=place)
        return f"{told}; {_only_for(row.visit_type_ids)}" if row.visit_type_ids else told
    if row.starts_min == 0 and row.ends_min == DAY_MIN:
        if row.starts_on == row.ends_on:
            return _("Time off: %(day)s", day=date_short(row.starts_on))
        return _("Time off: %(first)s to %(last)s", first=date_short(row.starts_on), last=date_short(row.ends_on))
    return _("Time off: %(first)s to %(last)s", first=start, last=end)


def _away_bounds(row: AvailabilityException) -> tuple[str, str]:
    starts_at = clock.wall_to_instant(row.starts_on, row.starts_min, row.zone)
    ends_at = clock.wall_to_instant(row.ends_on, row.ends_min, row.zone)
    is_one_day = clock.local_date(starts_at, row.zone) == clock.local_date(ends_at, row.zone)
    end = time_short(ends_at, row.zone) if is_one_day else day_and_time(ends_at, row.zone)
    return day_and_time(starts_at, row.zone), end
