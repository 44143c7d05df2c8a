"""Requests in the words of the people at the desk: what was wished, what happens next, and why there is no time yet."""

from __future__ import annotations

from clinic_portal.backoffice import options, words
from clinic_portal.models import ALL_PARTS, AnsweredVia, Appointment, ContinuityWish, OfferState, TriageStatus
from clinic_portal.scheduling.line import InLine, Show
from clinic_portal.scheduling.waiting import Next
from clinic_portal.scheduling.wishes import DAYS_A_WEEK, DayPart, parts_of_week

SHOW = {Show.ALL: "All", Show.PERSON: "Need a person", Show.TRIAGE: "To look at first", Show.LATE: "Late"}
NEXT = {
    Next.LOOK_AT_IT: "Somebody has to look at it first",
    Next.PLACE_BY_HAND: "The queue has given up: place it by hand",
    Next.ASK_PATIENT: "Paused after unanswered offers: ask the patient",
    Next.ANSWER_OFFER: "The patient answers the offer",
    Next.BEING_PLACED: "The queue looks at it now",
    Next.TRIED_AGAIN: "The queue tries again soon",
    Next.WAITS_FOR_TIME: "Waits until time opens",
    Next.DEFERRED: "Rests",
}
# The queue alone does not get on with these.
ASKS_PERSON = (Next.LOOK_AT_IT, Next.PLACE_BY_HAND, Next.ASK_PATIENT)
WHY = {
    "nothing_fits": "No free time fits what was wished.",
    "window_past": "The days that were wished are over.",
    "patient_gone": "The patient has died, or the record was joined into another.",
    "offer_open": "Another time is being offered to this patient.",
    "offers_this_week": "The patient has had as many offers this week as there may be.",
    "lost_races": "Each time that was found had just been taken.",
    "fault": "A fault of the portal.",
    "not_found": "The visit type or the place is not offered any more.",
    "mode_not_offered": "The visit type is not offered in this way any more.",
    "not_for_this_patient": "The visit type is not for this patient: look at age, referral and who may book it.",
    "not_bookable_online": "The clinic does not let this be booked online.",
    "too_many_open_visits": "The patient has as many appointments ahead as can be booked online.",
    "too_soon_after_last": "It is too soon after the last appointment of this kind.",
}
CONTINUITY = {
    ContinuityWish.NONE: "Anybody",
    ContinuityWish.PREFER_SAME: "Rather the same person as last time",
    ContinuityWish.SAME_ONLY: "Only the same person as last time",
}
OFFER = {
    OfferState.OPEN: "Open",
    OfferState.ACCEPTED: "Accepted",
    OfferState.DECLINED: "Declined",
    OfferState.EXPIRED: "Not answered",
    OfferState.WITHDRAWN: "Taken back",
}
VIA = {
    AnsweredVia.PORTAL: "on the portal",
    AnsweredVia.LINK: "by the link in the mail",
    AnsweredVia.STAFF: "told to the desk",
}
TRIAGE = {
    TriageStatus.NOT_NEEDED: "Not needed",
    TriageStatus.WAITING: "Nobody has looked at it yet",
    TriageStatus.DONE: "Looked at",
    TriageStatus.REDIRECTED: "Answered without a visit",
}
PART = {DayPart.MORNING: "mornings", DayPart.AFTERNOON: "afternoons", DayPart.EVENING: "evenings"}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MIN = 24 * 60


def why(code: str) -> str:
    """Why a request has no time, as a sentence."""
    return WHY.get(code) or f"{words.code(code)}."


def what_next(line: InLine, zone: str) -> str:
    """What happens next with a request, and who has to do something."""
    if line.next is Next.DEFERRED:
        return f"Rests until {words.day_of(line.appointment.deferred_until, zone)}"
    if line.has_task and line.next not in ASKS_PERSON:
        return f"{NEXT[line.next]}; somebody has to see what can be done"
    return NEXT[line.next]


def wishes(visit: Appointment) -> list[str]:
    """What was wished, in short; nothing where anything will do."""
    place = options.names()["locations"].get(visit.wishes.get("location_id") or 0, "")
    same = "" if visit.continuity_wish is ContinuityWish.NONE else CONTINUITY[visit.continuity_wish]
    told = f"At least {warning(visit.min_warning_min)} before" if visit.min_warning_min else ""
    asked = "Wants to be asked first" if visit.is_ask_first else ""
    return [wish for wish in (place, _days(visit), parts(visit.wish_parts), same, told, asked) if wish]


def _days(visit: Appointment) -> str:
    first = f"from {words.day(visit.wish_from)}" if visit.wish_from else ""
    last = f"until {words.day(visit.wish_until)}" if visit.wish_until else ""
    found = f"{first} {last}".strip()
    return found[:1].upper() + found[1:]


def warning(total_min: int) -> str:
    """The time that somebody needs to come: "2 h", "3 days"."""
    days, rest = divmod(total_min, DAY_MIN)
    if not days or rest:
        return words.minutes(total_min)
    return "1 day" if days == 1 else f"{days} days"


def parts(mask: int) -> str:
    """Parts of the week in short: "Mon to Fri mornings; Sat all day". Nothing for all of them."""
    if mask == ALL_PARTS:
        return ""
    by_day: dict[int, list[DayPart]] = {}
    for day, part in parts_of_week(mask):
        by_day.setdefault(day, []).append(part)
    alike: dict[tuple[DayPart, ...], list[int]] = {}
    for day, found in by_day.items():
        alike.setdefault(tuple(found), []).append(day)
    return "; ".join(_part_words(days, found) for found, days in alike.items())


def _part_words(days: list[int], found: tuple[DayPart, ...]) -> str:
    is_run = len(days) > 2 and days[-1] - days[0] == len(days) - 1
    names = f"{DAYS[days[0]]} to {DAYS[days[-1]]}" if is_run else ", ".join(DAYS[day] for day in days)
    names = "Every day" if len(days) == DAYS_A_WEEK else names
    times = "all day" if len(found) == len(DayPart) else " and ".join(PART[part] for part in found)
    return f"{names} {times}"
