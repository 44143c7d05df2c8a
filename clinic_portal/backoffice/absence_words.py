"""The plan of an absence in the words of the people at the desk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

from clinic_portal.backoffice import options, words
from clinic_portal.backoffice.absence_form import write_choice
from clinic_portal.clock import DAY_MIN
from clinic_portal.models import Absence, AbsenceAct, AbsenceReason, AbsenceVisit
from clinic_portal.scheduling.absence_options import AHEAD, Choice, Option, Tier
from clinic_portal.scheduling.absence_plan import Plan, Planned, Reach
from clinic_portal.wording import minute_told, time_short

REASON = {AbsenceReason.SICK: "Sick", AbsenceReason.LEAVE: "Leave", AbsenceReason.OTHER: "Something else"}
REACH = {
    Reach.MAIL_AND_PHONE: "By e-mail and phone",
    Reach.MAIL: "By e-mail only",
    Reach.MOBILE: "By mobile only",
    Reach.LANDLINE: "By landline only",
    Reach.NOBODY: "No contact is known",
}
CALL_FIRST = "Call first: soon, and no mobile or e-mail"
WITHOUT_TIME = {
    AbsenceAct.WAITING_LIST: "Waiting list, and call the patient",
    AbsenceAct.KEEP: "Keep it as it is",
    AbsenceAct.CANCEL: "Cancel, and call the patient",
}
DONE = {
    AbsenceAct.SAME_TIME: "Same time, another clinician",
    AbsenceAct.OTHER_TIME: "Another time",
    AbsenceAct.PHONE: "By phone",
    AbsenceAct.WAITING_LIST: "Waiting list",
    AbsenceAct.KEEP: "Kept",
    AbsenceAct.CANCEL: "Cancelled",
}
SUMMARY = {
    AbsenceAct.SAME_TIME: "at the same time with somebody else",
    AbsenceAct.OTHER_TIME: "at another time",
    AbsenceAct.PHONE: "by phone",
    AbsenceAct.WAITING_LIST: "on the waiting list",
    AbsenceAct.KEEP: "kept",
    AbsenceAct.CANCEL: "cancelled",
}
STAYS = {
    "changed": "Not put back: somebody has changed it since.",
    "taken": "Not put back: its old time was taken meanwhile.",
    "patient_busy": "Not put back: the patient has another appointment then.",
}


def choices(one: Planned) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What can be chosen for a visit, in groups: each the value in the form, and words."""
    groups: dict[str, list[tuple[str, str]]] = {"Same time": [], "Another time": [], "By phone": []}
    order = list(Tier)
    for option in sorted(one.options, key=lambda each: (order.index(each.tier), each.starts_at)):
        by_phone = option.choice.act is AbsenceAct.PHONE
        group = "By phone" if by_phone else "Same time" if option.tier is Tier.SAME_TIME else "Another time"
        groups[group].append((write_choice(option.choice), option_in_words(one, option)))
    yield from ((name, found) for name, found in groups.items() if found)
    yield "Otherwise", [(write_choice(Choice(act)), text) for act, text in WITHOUT_TIME.items()]


def summary(plan: Plan) -> list[str]:
    """How many visits get what: "20 keep their time", "3 get another time"."""
    acts = Counter(one.chosen.act for one in plan.visits)
    found = [f"{acts[act]} {text}" for act, text in SUMMARY.items() if acts[act]]
    first = sum(one.is_call_first for one in plan.visits)
    return [*found, f"{first} to call first"] if first else found


def option_in_words(one: Planned, option: Option) -> str:
    """With whom and when: "Dr Diaz, 11:15am"."""
    assert one.visit.location is not None
    names, zone = options.names(), one.visit.location.zone
    when = "same time"
    if option.tier is Tier.SAME_DAY:
        when = time_short(option.starts_at, zone)
    elif option.tier is Tier.LATER:
        when = words.moment(option.starts_at, zone)
    text = f"{names['practitioners'][option.choice.practitioner_id or 0]}, {when}"
    if option.choice.act is AbsenceAct.PHONE:
        text = f"By phone: {text}"
    return f"{text}, at {names['locations'][option.location_id]}" if option.is_elsewhere else text


def why(one: Planned, *, by_hand: bool) -> str:
    """Why this is proposed."""
    if by_hand:
        return "Chosen by hand."
    if one.visit.patient.deceased_on is not None:
        return "The patient has died."
    if one.option is None:
        return f"Nobody has a time that fits within {AHEAD.days} days."
    knows = " They know each other." if one.option.is_known else ""
    return f"{_why(one.option)}{knows}"


def _why(option: Option) -> str:
    if option.choice.act is AbsenceAct.PHONE:
        return "Nobody can see the patient in person; by phone somebody can."
    where = " elsewhere" if option.is_elsewhere else ""
    if option.tier is Tier.SAME_TIME:
        return f"The patient keeps the time{where}."
    if option.tier is Tier.SAME_DAY:
        return f"Nobody is free at the old time; this is the nearest that day{where}."
    return f"Nothing is free that day; this is the nearest day{where}."


def period(absence: Absence) -> str:
    """From when until when somebody is away."""
    away = absence.exception
    return hours(away.starts_on, away.starts_min, away.ends_on, away.ends_min)


def hours(starts_on: date, starts_min: int, ends_on: date, ends_min: int) -> str:
    """The same: "Mon 2 Mar", "Mon 2 Mar to Fri 6 Mar", "Mon 2 Mar, 9am to 12 midday"."""
    first, last = words.day(starts_on), words.day(ends_on)
    if (starts_min, ends_min) == (0, DAY_MIN):
        return first if first == last else f"{first} to {last}"
    until = "the end of the day" if ends_min == DAY_MIN else minute_told(ends_min)
    return f"{first}, {minute_told(starts_min)} to {until if first == last else f'{last}, {until}'}"


def done(row: AbsenceVisit) -> str:
    """What became of a visit, in a few words."""
    return DONE[row.act]
