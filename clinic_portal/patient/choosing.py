"""Choosing a time, for a new visit or one that is moved: show what is free, keep what was chosen, or say what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any

from flask import Response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import actor_for, rights_of
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotFound, PatientBusy, SlotTaken
from clinic_portal.languages import N_, _
from clinic_portal.models import Account, Appointment, ContinuityWish, Mode, Relation
from clinic_portal.patient import days
from clinic_portal.patient.answers import terms_for
from clinic_portal.patient.cards import card_of
from clinic_portal.patient.mode_words import MODE_WORDS
from clinic_portal.patient.reading import read_date, read_instant, read_part, read_private
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search, Terms
from clinic_portal.scheduling.times import FreeTime, is_known_as_taken, nearest_alternatives
from clinic_portal.unchanged import kept_while_unchanged
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_short, say, when_told

CONTINUITY_WORDS = {
    ContinuityWish.NONE: N_("Anybody who is free"),
    ContinuityWish.PREFER_SAME: N_("The same person as last time, if possible"),
    ContinuityWish.SAME_ONLY: N_("Only the same person as last time"),
}


@dataclass(frozen=True)
class Choosing:
    """What is being looked for, and the page on which; `keeps` is the visit to be moved."""

    account: Account
    search: Search
    title: str
    visit_name: str
    # None where it is of no importance where.
    place_name: str | None
    back_url: str
    endpoint: str
    values: dict[str, Any]
    any_place_url: str | None = None
    anybody_url: str | None = None
    keeps: Appointment | None = None
    shown: date | None = None
    open_on: date | None = None
    # The part of the day that alone is shown.
    part: str | None = None
    # What was written on the check page before its time was lost; it travels in forms, never in an address.
    note: str = ""
    call_number: str | None = None
    # Once the check page has asked whether others may know of it; it travels like the note.
    is_private: bool | None = None

    def url(self, **more: date | str | None) -> str:
        """The address of this page, with other days open or another part of the day shown if asked for."""
        given = {"part": self.part, **more}
        added = "&".join(
            f"{name}={one.isoformat() if isinstance(one, date) else one}" for name, one in given.items() if one
        )
        if not added:
            return self._url
        # Made once for all days: they differ in nothing else.
        return f"{self._url}{'&' if '?' in self._url else '?'}{added}"

    @property
    def instead_url(self) -> str:
        """Where one goes on when no time suits: ask the clinic, or wait for an earlier time than the one kept."""
        if self.keeps is not None:
            return url_for("patient.earlier", public_id=self.keeps.public_id)
        return url_for("patient.ask_us", **self.values)

    @cached_property
    def _url(self) -> str:
        return url_for(self.endpoint, **self.values)


def with_days(choosing: Choosing) -> Choosing:
    """With the days and the part of the day that the address asks for.

    Raises: InvalidRequest, NotFound.
    """
    return replace(
        choosing,
        shown=read_date(request.args.get("from")),
        open_on=read_date(request.args.get("day")),
        part=read_part(request.args.get("part")),
    )


def show_times(choosing: Choosing, *, problem: str | None = None, refused: int = 422) -> Response:
    """The page of days and times; with a problem, what was wrong with the last try."""
    found = _times(choosing)
    status = refused if problem else 200
    if found is None:
        return _no_times(choosing, status)
    errors = [{"field": "start", "text": problem}] if problem else []
    fragment = None if problem else "patient/_times.html"
    return page("patient/times.html", fragment, status=status, errors=errors, **found)


def keep_time(choosing: Choosing) -> Response:
    """Hold the time that was chosen and go on to the check page; if it has gone, say so and offer others."""
    code = request.form.get("start")
    if not code:
        return show_times(choosing, problem=_("Choose a time"))
    starts_at = read_instant(code)
    if choosing.keeps and is_told_alike(choosing.keeps, starts_at):
        return show_times(choosing, problem=_("This is the time you have. Choose another one, or go back to keep it."))
    private = read_private(request.form.get("private"))
    choosing = replace(
        choosing,
        note=request.form.get("note") or choosing.note,
        call_number=request.form.get("number") or choosing.call_number,
        is_private=choosing.is_private if private is None else private,
    )
    if _is_gone(choosing, starts_at):
        return show_taken(choosing, starts_at)
    try:
        assert choosing.search.patient_id is not None
        actor = actor_for(choosing.account, choosing.search.patient_id)
        hold = hold_slot(
            actor=actor,
            search=choosing.search,
            starts_at=starts_at,
            note=choosing.note,
            call_number=choosing.call_number,
            is_private=choosing.is_private,
        )
    except SlotTaken:
        return show_taken(choosing, starts_at)
    except PatientBusy as error:
        return show_busy(choosing, error, starts_at)
    except InvalidRequest as error:
        return show_times(choosing, problem=say(error))
    return see_other(url_for("patient.check", public_id=hold.public_id))


def _is_gone(choosing: Choosing, starts_at: datetime) -> bool:
    """In a rush, most are told what the page before theirs has read, and nobody waits for their turn to write."""
    if _lost(choosing, starts_at) not in kept_while_unchanged(db.session()):
        return False
    terms = _terms(choosing)
    # Where a stretch of the day is told, another time in it may do.
    if terms is None or terms.window_min:
        return False
    try:
        terms.check_start(starts_at)
        terms.check_limits(starts_at)
    except DomainError:
        # The service says so.
        return False
    window = days.window_of(clock.local_date(starts_at, next(iter(terms.zones.values()))), *terms.day_range())
    return is_known_as_taken(db.session(), terms, starts_at, window.first, window.days)


def _lost(choosing: Choosing, starts_at: datetime) -> tuple[str, int, datetime]:
    """Where it is noted that somebody was late for a time: only then it is worth a look before the service's own."""
    return "lost", choosing.search.visit_type_id, starts_at


def show_taken(choosing: Choosing, wanted_at: datetime) -> Response:
    """Somebody else was faster: the nearest other times, and all others. What was answered before is kept."""
    terms = _terms(choosing)
    if terms is None:
        return _no_times(choosing, 409)
    zone, choosing = terms.told_zone, replace(choosing, part=None)
    choice = _choice(replace(choosing, shown=None, open_on=clock.local_date(wanted_at, zone)), terms)
    if choice is None or not any(choice.times.values()):
        choice = _choice(replace(choosing, shown=None, open_on=None), terms)
    if choice is None:
        return _no_times(choosing, 409)
    kept_while_unchanged(db.session())[_lost(choosing, wanted_at)] = True
    near = [
        {
            "starts_at": time.starts_at,
            "words": when_told(time.starts_at, zone, terms.window_min),
            "why": _why(time, wanted_at, zone),
        }
        for time in nearest_alternatives(_each_told_once(choice.times, terms), wanted_at, zone)
    ]
    found = _described(choosing, terms, choice)
    taken = when_told(wanted_at, zone, terms.window_min)
    return page("patient/taken.html", status=409, taken=taken, nearest=near, errors=[], **found)


def _each_told_once(times: dict[date, list[FreeTime]], terms: Terms) -> dict[date, list[FreeTime]]:
    """The first free time of each stretch of the day, where such stretches are told."""
    if not terms.window_min:
        return times
    zone, length = terms.told_zone, terms.window_min
    firsts = {
        day: {clock.window_around(time.starts_at, zone, length): time for time in reversed(found)}
        for day, found in times.items()
    }
    return {day: sorted(found.values()) for day, found in firsts.items()}


def show_busy(choosing: Choosing, error: PatientBusy, wanted_at: datetime) -> Response:
    """The patient has another visit then: name it, unless it is private. Then the time has gone, like any other."""
    visit = db.session().get(Appointment, error.facts.get("appointment_id"))
    is_own = any(
        visit is not None and right.patient_id == visit.patient_id and right.relation == Relation.SELF
        for right in rights_of(choosing.account)
    )
    if visit is None or (visit.is_private and not is_own):
        return show_taken(choosing, wanted_at)
    return page(
        "patient/busy.html", status=409, appointment=card_of(visit), times_url=choosing.url(), back_url=choosing.url()
    )


def _why(time: FreeTime, wanted_at: datetime, zone: str) -> str:
    near, wanted = clock.local(time.starts_at, zone), clock.local(wanted_at, zone)
    if near.date() == wanted.date():
        return _("Same day")
    return _("Same time, another day") if near.time() == wanted.time() else _("Another time")


def _terms(choosing: Choosing) -> Terms | None:
    """The terms of the search; None when no place can give what is needed."""
    try:
        return terms_for(choosing.search)
    except NotFound:
        return None


def _times(choosing: Choosing) -> dict[str, Any] | None:
    terms = _terms(choosing)
    if terms is None:
        return None
    choice, missing = _choice(choosing, terms), None
    if choice is None and choosing.part is not None:
        # Who asked for mornings where there are none sees everything, and that there are none.
        missing, choosing = days.missing_words(choosing.part), replace(choosing, part=None)
        choice = _choice(choosing, terms)
    return None if choice is None else _described(choosing, terms, choice) | {"missing": missing}


def _choice(choosing: Choosing, terms: Terms) -> days.Choice | None:
    choice = days.find_choice(db.session(), terms, choosing.shown, choosing.open_on, choosing.part)
    return _without(choice, choosing.keeps) if choice and choosing.keeps else choice


def _described(choosing: Choosing, terms: Terms, choice: days.Choice) -> dict[str, Any]:
    return {
        **days.describe(db.session(), terms, choice, choosing.url),
        "title": choosing.title,
        "visit_name": choosing.visit_name,
        "mode_words": None if terms.search.mode is Mode.IN_PERSON else _(MODE_WORDS[terms.search.mode]),
        "place_name": choosing.place_name,
        "kept": {"note": choosing.note, "number": choosing.call_number, "is_private": choosing.is_private},
        "due": [date_short(day) for day in terms.due] if terms.due else None,
        "same": _same(choosing, terms),
        "missing": None,
        "back_url": choosing.back_url,
        "instead_url": choosing.instead_url,
        "keeps": card_of(choosing.keeps) if choosing.keeps else None,
        "post_url": choosing.url(**_days_of(choice)),
    }


def _same(choosing: Choosing, terms: Terms) -> dict[str, Any] | None:
    """The question whether it should be the same person as last time; only for somebody who has one."""
    if terms.same_id is None or choosing.keeps is not None:
        return None
    wish = choosing.search.continuity
    options = [
        {"value": one.value, "label": _(words), "hint": "", "is_checked": one is wish}
        for one, words in CONTINUITY_WORDS.items()
    ]
    hidden = [(name, value) for name, found in choosing.values.items() for value in _listed(found) if name != "same"]
    is_asked = wish is not ContinuityWish.NONE
    told = _(CONTINUITY_WORDS[wish]) if is_asked else None
    return {"options": options, "hidden": hidden, "url": url_for(choosing.endpoint), "told": told}


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _days_of(choice: days.Choice) -> dict[str, date]:
    """The days of the address that shows the same again."""
    return {"day": choice.open_on} if choice.open_on else {"from": choice.window.first}


def is_told_alike(visit: Appointment, starts_at: datetime) -> bool:
    """Whether a start is what the patient reads as the time of a visit already."""
    assert visit.starts_at is not None
    if not visit.shown_window_min or visit.location is None:
        return visit.starts_at == starts_at
    low, high = clock.window_around(visit.starts_at, visit.location.zone, visit.shown_window_min)
    return low <= starts_at < high


def _without(choice: days.Choice, visit: Appointment) -> days.Choice:
    """A visit's own time counts as free while it is moved, but moving there is no move."""
    times = {
        day: [time for time in found if not is_told_alike(visit, time.starts_at)] for day, found in choice.times.items()
    }
    return replace(choice, times=times)


def _no_times(choosing: Choosing, status: int) -> Response:
    return page(
        "patient/no_times.html",
        status=status,
        visit_name=choosing.visit_name,
        place_name=choosing.place_name,
        other_url=choosing.any_place_url,
        anybody_url=choosing.anybody_url,
        instead_url=choosing.instead_url,
        keeps=choosing.keeps,
        back_url=choosing.back_url,
    )
