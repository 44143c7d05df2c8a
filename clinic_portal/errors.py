"""Refusals of the domain, each with a stable code. Only `web.py` turns them into HTTP.

Each says in English what is wrong, with named facts; `wording.say` says it in the reader's language. Without words of
its own it says the first line of its class.
"""

from __future__ import annotations

from datetime import date
from typing import Any

# One text, or for something that is counted by the fact `num` the text for one and that for many.
Message = str | tuple[str, str]


class DomainError(Exception):
    """Something that was asked for cannot be done, and nothing was changed."""

    code = "refused"

    def __init__(self, message: Message = "", **facts: Any) -> None:
        self.message = message or (self.__doc__ or "").splitlines()[0]
        self.facts = facts
        super().__init__(_in_english(self.message, facts))


class NotFound(DomainError):
    """There is no such record, or not for you."""

    code = "not_found"


class NotAllowed(DomainError):
    """You may not do this."""

    code = "not_allowed"


class InvalidRequest(DomainError):
    """Something in the request is not right."""

    code = "invalid"


class SlotTaken(DomainError):
    """This time is no longer available."""

    code = "slot_taken"


class DayFull(InvalidRequest):
    """On this day the clinician has as many appointments already as they may have."""

    code = "day_full"


class TooSoon(InvalidRequest):
    """This time is too close to now, or already past."""

    code = "too_soon"


class OutsideHorizon(InvalidRequest):
    """This time is further ahead than can be booked yet."""

    code = "outside_horizon"


class NotBookableOnline(DomainError):
    """This cannot be booked online. Call us, and we will look at it with you."""

    code = "not_bookable_online"


class NotForThisPatient(NotBookableOnline):
    """This kind of appointment is not for this person. Call us, and we will look at it with you."""

    code = "not_for_this_patient"


class TooManyOpenVisits(NotBookableOnline):
    """There are already as many appointments ahead as can be booked online."""

    code = "too_many_open_visits"


class TooSoonAfterLast(NotBookableOnline):
    """It is too soon after the last appointment of this kind."""

    code = "too_soon_after_last"


class AlreadyAsked(DomainError):
    """There is already a request for this kind of appointment. Change that one, or call us."""

    code = "already_asked"


class VisitsOutside(DomainError):
    """Some appointments would be outside of the hours. Say what to do with each."""

    code = "visits_outside"


class PlanChanged(DomainError):
    """Some of this plan cannot be done any more, or is new. Look at what is marked, and apply it again."""

    code = "plan_changed"


class OfferGone(DomainError):
    """This time is no longer kept for you."""

    code = "offer_gone"


class ModeNotOffered(NotBookableOnline):
    """This kind of appointment is not offered in this way. Choose another way, or call us."""

    code = "mode_not_offered"


class NumberMissing(InvalidRequest):
    """Enter the phone number that we should call."""

    code = "number_missing"


class SafetyAnswerMissing(DomainError):
    """First check that this is not an emergency. Book again from the start, or call us."""

    code = "safety_answer_missing"


class Overlap(DomainError):
    """This would overlap another appointment."""

    code = "overlap"


class PatientBusy(DomainError):
    """The patient already has an appointment that overlaps this time."""

    code = "patient_busy"


class NamesakesKnown(DomainError):
    """There is a record of this name and birth date already. Is it the same person?"""

    code = "namesakes_known"


class BadTransition(DomainError):
    """The appointment cannot change in this way from the state it is in."""

    code = "bad_transition"


class TooLateToMove(DomainError):
    """It is too late to move this appointment online."""

    code = "too_late_to_move"


class VersionConflict(DomainError):
    """Somebody else changed this in the meantime."""

    code = "version_conflict"


class SubmissionConflict(DomainError):
    """This form was already sent with other answers."""

    code = "submission_conflict"


class LinkExpired(DomainError):
    """This link is too old, or has already been used."""

    code = "link_expired"


class TooManyTries(DomainError):
    """There were too many tries in a short time."""

    code = "too_many_tries"


class Busy(DomainError):
    """The portal is too busy right now; nothing was changed."""

    code = "busy"


def _in_english(message: Message, facts: dict[str, Any]) -> str:
    if isinstance(message, tuple):
        message = message[0] if facts["num"] == 1 else message[1]
    return message % {name: _plain(value) for name, value in facts.items()} if facts else message


def _plain(value: Any) -> Any:
    return f"{value:%A} {value.day} {value:%B %Y}" if type(value) is date else value
