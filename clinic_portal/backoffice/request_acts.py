"""What can be done with a request at the desk: each form by its name, and the one service that it calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.backoffice import find, places, words
from clinic_portal.backoffice.person import read_id, staff
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotFound, OfferGone, VersionConflict
from clinic_portal.models import AnsweredVia, Appointment, CancelReason, Offer, PriorityClass
from clinic_portal.scheduling import handling
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.scheduling.requests import withdraw_request

Form = Mapping[str, str]

CHANGED = "Somebody else changed this request in the meantime. Look at it again; what you entered is still here."
OFFER_GONE = "This time is not kept for the patient any more."
# Where the page shows what is wrong with a form, unless the refusal names a field.
FIELD_OF = {
    "triage": "triage_class",
    "redirect": "redirect_note",
    "reclassify": "class_to",
    "defer": "defer_until",
    "resume": "resume",
    "withdraw": "withdraw_why",
    "accept": "answer",
    "decline": "answer",
}
NOTE_OF = {"redirect": "redirect_note", "reclassify": "class_why", "defer": "defer_why"}
# Why the desk takes a request back; the other reasons are those of visits.
REASONS = (CancelReason.FEEL_BETTER, CancelReason.CANNOT_COME, CancelReason.SEEN_ELSEWHERE, CancelReason.OTHER)


def carry_out(visit: Appointment, form: Form) -> str:
    """Do what a form asks for, and say what was done.

    Raises: InvalidRequest naming the field, and whatever the service refuses.
    """
    act = ACTS.get(form.get("do", ""))
    if act is None:
        raise InvalidRequest("Choose one of the forms on this page.", field="")
    return act(visit, form)


def form_again(error: DomainError | None, form: Form) -> dict[str, Any]:
    """What was typed, what is wrong with it, and a token for each form."""
    problem = [] if error is None else [{"field": _field(error, form), "text": _text(error)}]
    typed = {name: form.get(name, "") for name in TYPED}
    token = secrets.token_urlsafe(16)
    return {
        "typed": typed,
        "problems": problem,
        "token_of": lambda what: f"{token}-{what}",
        "classes": [(one.value, text) for one, text in words.PRIORITY.items()],
        "withdraw_reasons": [(one.value, words.CANCEL_REASON[one]) for one in REASONS],
    }


def _field(error: DomainError, form: Form) -> str:
    fields = NOTE_OF if isinstance(error, NoteRefused) else FIELD_OF
    return str(error.facts.get("at", fields.get(form.get("do", ""), "")))


def _text(error: DomainError) -> str:
    if isinstance(error, VersionConflict):
        return CHANGED
    return OFFER_GONE if isinstance(error, OfferGone) else str(error)


def read_day(text: str, field: str) -> date:
    """A day that somebody typed.

    Raises: InvalidRequest.
    """
    day = find.birth_date(text)
    if day is None or day.year not in clock.YEARS:
        raise InvalidRequest("Enter a day, like 24/11/2026.", field=field, at=field)
    return day


def _triage(visit: Appointment, form: Form) -> str:
    priority = _class(form, "triage_class")
    handling.triage_done(actor=staff(), priority=priority, **_about(visit, form))
    return "Noted. The queue may place it now."


def _redirect(visit: Appointment, form: Form) -> str:
    handling.redirect_request(actor=staff(), note=form.get("redirect_note", ""), **_about(visit, form))
    return "The request has ended, and the patient reads your answer."


def _reclassify(visit: Appointment, form: Form) -> str:
    priority, why = _class(form, "class_to"), form.get("class_why", "")
    if not why.strip():
        raise InvalidRequest("Say why: it is kept with the request.", at="class_why")
    handling.reclassify(actor=staff(), priority=priority, reason=why, **_about(visit, form))
    return f"The class is {words.PRIORITY[priority].lower()} now."


def _defer(visit: Appointment, form: Form) -> str:
    day = read_day(form.get("defer_until", ""), "defer_until")
    until, _ = clock.day_bounds(day, places.clinic_zone())
    handling.defer(actor=staff(), until=until, reason=form.get("defer_why", ""), **_about(visit, form))
    return f"The queue leaves it alone until {words.day(day)}."


def _resume(visit: Appointment, _form: Form) -> str:
    handling.resume_request(actor=staff(), appointment_id=visit.id)
    return "The queue goes on with it."


def _withdraw(visit: Appointment, form: Form) -> str:
    chosen = form.get("withdraw_why", "")
    if chosen not in REASONS:
        raise InvalidRequest("Choose why.", at="withdraw_why")
    withdraw_request(actor=staff(), appointment_id=visit.id, reason=CancelReason(chosen), token=form.get("token", ""))
    return "The request is withdrawn."


def _accept(visit: Appointment, form: Form) -> str:
    taken = accept_offer(actor=staff(), offer_id=_offer_id(visit, form), via=AnsweredVia.STAFF)
    place = taken.location
    assert place is not None
    return f"Booked: {words.moment(taken.starts_at, place.zone)}, {place.name}."


def _decline(visit: Appointment, form: Form) -> str:
    decline_offer(actor=staff(), offer_id=_offer_id(visit, form), via=AnsweredVia.STAFF)
    return "The time is free for others. The place in the line stays."


def _offer_id(visit: Appointment, form: Form) -> int:
    """The offer in the form.

    Raises: NotFound when it is not for this request.
    """
    query = select(Offer.id).where(Offer.id == read_id(form.get("offer", "")), Offer.appointment_id == visit.id)
    offer_id = db.session.scalar(query)
    if offer_id is None:
        raise NotFound
    return offer_id


def _class(form: Form, field: str) -> PriorityClass:
    chosen = form.get(field, "")
    if chosen not in set(PriorityClass):
        raise InvalidRequest("Choose how urgent it is.", at=field)
    return PriorityClass(chosen)


def _about(visit: Appointment, form: Form) -> dict[str, Any]:
    """Which request, as its form showed it."""
    return {"appointment_id": visit.id, "expected_version": read_version(form), "token": form.get("token", "")}


def read_version(form: Form) -> int:
    """The version that the form showed; one that no request has when it says none."""
    version = form.get("version", "")
    return int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else 0


ACTS: Mapping[str, Callable[[Appointment, Form], str]] = {
    "triage": _triage,
    "redirect": _redirect,
    "reclassify": _reclassify,
    "defer": _defer,
    "resume": _resume,
    "withdraw": _withdraw,
    "accept": _accept,
    "decline": _decline,
}
TYPED = ("triage_class", "redirect_note", "class_to", "class_why", "defer_until", "defer_why", "withdraw_why")
