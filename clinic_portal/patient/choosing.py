"""Choosing a time, for a new visit or one that is moved: show what is free, keep what was chosen, or say what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from flask import Response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import actor_for, rights_of
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound, PatientBusy, SlotTaken
from clinic_portal.languages import _
from clinic_portal.models import Account, Appointment, Relation
from clinic_portal.patient import days
from clinic_portal.patient.cards import card_of
from clinic_portal.patient.reading import PRIVATE, read_date, read_instant, read_private
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.times import FreeTime, nearest_alternatives
from clinic_portal.web import page, see_other
from clinic_portal.wording import say


@dataclass(frozen=True)
class Choosing:
    """What is being looked for, and the page on which; `keeps` is the visit to be moved."""

    account: Account
    search: Search
    title: str
    visit_name: str
    place_name: str
    back_url: str
    endpoint: str
    values: dict[str, Any]
    any_place_url: str | None = None
    keeps: Appointment | None = None
    shown: date | None = None
    open_on: date | None = None
    # What was written on the check page before its time was lost; it travels in forms, never in an address.
    note: str = ""
    # "yes" or "no", once the check page has asked whether others may know of it; it travels like the note.
    private: str = ""

    def url(self, **more: date) -> str:
        """The address of this page, with other days open if asked for."""
        values: dict[str, Any] = {name: day.isoformat() for name, day in more.items()}
        return url_for(self.endpoint, **self.values, **values)


def with_days(choosing: Choosing) -> Choosing:
    """With the days that the address asks for.

    Raises: InvalidRequest.
    """
    return replace(choosing, shown=read_date(request.args.get("from")), open_on=read_date(request.args.get("day")))


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
    if choosing.keeps and choosing.keeps.starts_at == starts_at:
        return show_times(choosing, problem=_("This is the time you have. Choose another one, or go back to keep it."))
    choosing = replace(choosing, note=request.form.get("note", ""), private=read_private(request.form.get("private")))
    try:
        assert choosing.search.patient_id is not None
        actor = actor_for(choosing.account, choosing.search.patient_id)
        hold = hold_slot(
            actor=actor,
            search=choosing.search,
            starts_at=starts_at,
            note=choosing.note,
            is_private=PRIVATE[choosing.private],
        )
    except SlotTaken:
        return show_taken(choosing, starts_at)
    except PatientBusy as error:
        return show_busy(choosing, error, starts_at)
    except InvalidRequest as error:
        return show_times(choosing, problem=say(error))
    return see_other(url_for("patient.check", public_id=hold.public_id))


def show_taken(choosing: Choosing, wanted_at: datetime) -> Response:
    """Somebody else was faster: the nearest other times, and all others. What was answered before is kept."""
    terms = _terms(choosing)
    if terms is None:
        return _no_times(choosing, 409)
    zone = next(iter(terms.zones.values()))
    choice = _choice(replace(choosing, shown=None, open_on=clock.local_date(wanted_at, zone)), terms)
    if choice is None or not any(choice.times.values()):
        choice = _choice(replace(choosing, shown=None, open_on=None), terms)
    if choice is None:
        return _no_times(choosing, 409)
    near = [
        {"starts_at": time.starts_at, "why": _why(time, wanted_at, zone)}
        for time in nearest_alternatives(choice.times, wanted_at, zone)
    ]
    found = _described(choosing, terms, choice)
    return page("patient/taken.html", status=409, taken_at=wanted_at, nearest=near, errors=[], **found)


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
        return load_terms(db.session(), choosing.search)
    except NotFound:
        return None


def _times(choosing: Choosing) -> dict[str, Any] | None:
    terms = _terms(choosing)
    choice = None if terms is None else _choice(choosing, terms)
    return None if terms is None or choice is None else _described(choosing, terms, choice)


def _choice(choosing: Choosing, terms: Terms) -> days.Choice | None:
    choice = days.find_choice(db.session(), terms, choosing.shown, choosing.open_on)
    return _without(choice, choosing.keeps.starts_at) if choice and choosing.keeps else choice


def _described(choosing: Choosing, terms: Terms, choice: days.Choice) -> dict[str, Any]:
    return {
        **days.describe(db.session(), terms, choice, choosing.url),
        "title": choosing.title,
        "visit_name": choosing.visit_name,
        "place_name": choosing.place_name,
        "note": choosing.note,
        "private": choosing.private,
        "back_url": choosing.back_url,
        "keeps": card_of(choosing.keeps) if choosing.keeps else None,
        "post_url": choosing.url(**_days_of(choice)),
    }


def _days_of(choice: days.Choice) -> dict[str, date]:
    """The days of the address that shows the same again."""
    return {"day": choice.open_on} if choice.open_on else {"from": choice.window.first}


def _without(choice: days.Choice, starts_at: datetime | None) -> days.Choice:
    """A visit's own time counts as free while it is moved, but moving there is no move."""
    times = {day: [time for time in found if time.starts_at != starts_at] for day, found in choice.times.items()}
    return replace(choice, times=times)


def _no_times(choosing: Choosing, status: int) -> Response:
    return page(
        "patient/no_times.html",
        status=status,
        visit_name=choosing.visit_name,
        place_name=choosing.place_name,
        other_url=choosing.any_place_url,
        back_url=choosing.back_url,
    )
