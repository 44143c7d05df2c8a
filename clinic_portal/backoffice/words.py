"""Codes of the database in the words of the people at the desk."""

from __future__ import annotations

from datetime import date, datetime

from clinic_portal import clock, wording
from clinic_portal.backoffice.setting_words import SETTING
from clinic_portal.languages import english_name
from clinic_portal.models import (
    Audience,
    CancelledBy,
    CancelReason,
    Channel,
    Confirmation,
    ConfirmedVia,
    ContactKind,
    ContactPoint,
    Delivery,
    Event,
    Mode,
    NeedSource,
    Notification,
    Origin,
    Outcome,
    Patient,
    PractitionerKind,
    PriorityClass,
    Recipient,
    Relation,
    SessionStatus,
    Status,
    TaskKind,
    TryOutcome,
    WhoMayBook,
)
from clinic_portal.scheduling import needs
from clinic_portal.settings import Definition

STATUS = {
    Status.PROPOSED: "Asked for",
    Status.PENDING: "Offered",
    Status.WAITLIST: "Waiting list",
    Status.BOOKED: "Booked",
    Status.ARRIVED: "Arrived",
    Status.FULFILLED: "Seen",
    Status.CANCELLED: "Cancelled",
    Status.NOSHOW: "Did not come",
    Status.ENTERED_IN_ERROR: "Entered in error",
}
DELIVERY = {
    Delivery.DUE: "To be sent",
    Delivery.SENDING: "Being sent",
    Delivery.SENT: "Sent",
    Delivery.FAILED: "Failed",
    Delivery.SUPERSEDED: "Overtaken",
    Delivery.TO_CALL: "To call",
}
# Colours go with the word, never without it.
DELIVERY_COLOUR = {
    Delivery.DUE: "yellow",
    Delivery.SENDING: "yellow",
    Delivery.SENT: "green",
    Delivery.FAILED: "red",
    Delivery.SUPERSEDED: "grey",
    Delivery.TO_CALL: "orange",
}
EVENT = {
    Event.BOOKED: "Booked",
    Event.MOVED: "Moved",
    Event.CANCELLED: "Cancelled",
    Event.LENGTHENED: "Takes longer",
    Event.RUNNING_LATE: "Running late",
    Event.MISSED: "Asked after a missed visit",
    Event.REQUEST_RECEIVED: "Request received",
    Event.WAITLISTED: "On the waiting list",
    Event.OFFER: "Time offered",
    Event.OFFER_LAPSED: "Offer lapsed",
    Event.REQUEST_PAUSED: "Request paused",
    Event.REQUEST_DELAYED: "Request delayed",
    Event.REQUEST_CLOSED: "Request ended",
    Event.INVITATION: "Invited to book",
    Event.REMINDER: "Reminder",
    Event.CONFIRM_EMAIL: "Confirm the address",
    Event.ALREADY_REGISTERED: "Already registered",
    Event.RESET_PASSWORD: "New password asked for",
    Event.PASSWORD_CHANGED: "Password changed",
    Event.CHANGE_EMAIL: "Confirm the new address",
    Event.EMAIL_CHANGED: "Address changed",
    Event.HOURS_CHANGED: "Hours changed",
    Event.HOURS_REFUSED: "Hours refused",
    Event.SECOND_STEP_ADDED: "Second step added",
    Event.SECOND_STEP_REMOVED: "Second step taken away",
    Event.SECOND_STEP_RESET: "Second step reset",
    Event.RECOVERY_CODE_USED: "Recovery code used",
    Event.VERIFY: "New address",
}
CHANNEL = {Channel.EMAIL: "E-mail", Channel.CALL: "Call"}
RECIPIENT = {Recipient.PATIENT: "Patient", Recipient.PRACTITIONER: "Clinician", Recipient.ACCOUNT: "Account"}
PRACTITIONER_KIND = {
    PractitionerKind.DOCTOR: "Doctor",
    PractitionerKind.NURSE: "Nurse",
    PractitionerKind.PHYSIO: "Physiotherapist",
    PractitionerKind.TRAINEE: "Trainee",
}
AUDIENCE = {Audience.PUBLIC: "Everybody", Audience.INVITED: "Invited patients", Audience.STAFF: "Staff only"}
SESSION_STATUS = {SessionStatus.PLANNED: "Planned", SessionStatus.CANCELLED: "Cancelled"}
ORIGIN = {
    Origin.PATIENT_ONLINE: "Online, by the patient",
    Origin.PROXY_ONLINE: "Online, by somebody for the patient",
    Origin.PHONE: "By phone",
    Origin.DESK: "At the desk",
    Origin.WALK_IN: "Walked in",
    Origin.INVITATION: "Invited by the clinic",
    Origin.IMPORT: "Imported",
}
MODE = {Mode.IN_PERSON: "In person", Mode.PHONE: "By phone", Mode.VIDEO: "By video", Mode.HOME: "At home"}
PRIORITY = {
    PriorityClass.URGENT: "Urgent",
    PriorityClass.SOON: "Soon",
    PriorityClass.ROUTINE: "Routine",
    PriorityClass.FLEXIBLE: "Flexible",
}
OUTCOME = {
    Outcome.CANCELLED_BY_PATIENT: "Cancelled by the patient",
    Outcome.DID_NOT_ATTEND: "Did not come",
    Outcome.CANCELLED_BY_CLINIC: "Cancelled by the clinic",
    Outcome.ATTENDED_ON_TIME: "Came on time",
    Outcome.ATTENDED_LATE: "Came late and was seen",
    Outcome.LATE_COULD_NOT_BE_SEEN: "Came too late to be seen",
}
CANCELLED_BY = {
    CancelledBy.PATIENT: "the patient",
    CancelledBy.PROXY: "somebody for the patient",
    CancelledBy.CLINIC: "the clinic",
    CancelledBy.SYSTEM: "the portal",
}
CONFIRMATION = {
    Confirmation.NOT_ASKED: "Not asked yet",
    Confirmation.ASKED: "Asked, no answer yet",
    Confirmation.CONFIRMED: "Says that they will come",
}
CONFIRMED_VIA = {ConfirmedVia.LINK: "by the link in a mail"}
CANCEL_REASON = {
    CancelReason.FEEL_BETTER: "feels better",
    CancelReason.CANNOT_COME: "cannot come",
    CancelReason.SEEN_ELSEWHERE: "was seen elsewhere",
    CancelReason.LEFT_WITHOUT_BEING_SEEN: "left without being seen",
    CancelReason.OTHER: "another reason",
}
CONTACT_KIND = {
    ContactKind.EMAIL: "E-mail",
    ContactKind.MOBILE: "Mobile",
    ContactKind.LANDLINE: "Phone",
    ContactKind.POST: "Letter",
}
NEED = needs.WORDS
NEED_SOURCE = {
    NeedSource.PATIENT: "The patient",
    NeedSource.PROXY: "Somebody for the patient",
    NeedSource.STAFF: "The desk",
}
RELATION = {
    Relation.SELF: "Own account",
    Relation.PARENT: "Parent",
    Relation.CARER: "Carer",
    Relation.POWER_OF_ATTORNEY: "Power of attorney",
    Relation.OTHER: "Other",
}
WHO_MAY_BOOK = {
    WhoMayBook.ANYONE: "Everybody",
    WhoMayBook.KNOWN_PATIENT: "Patients whom the clinic has seen or knows",
    WhoMayBook.REFERRED: "Patients with a referral",
    WhoMayBook.STAFF: "Only staff",
}
TASK = {
    TaskKind.CALL: "Call the patient",
    TaskKind.SAME_PERSON: "Possible same person",
    TaskKind.INTERPRETER: "Interpreter",
    TaskKind.REVIEW_RIGHT: "Look at a right to act",
    TaskKind.TRIAGE: "Decide about a request",
    TaskKind.PAST_PROMISE: "Request past its promise",
    TaskKind.CANNOT_PLACE: "Request that finds no time",
    TaskKind.OFFERS_UNANSWERED: "Offers without an answer",
    TaskKind.NEEDS_CHANGED: "Needs changed after booking",
}
# What an appointment lacks for what its patient needs.
UNMET = {
    "too_short": "It is shorter than the needs ask for.",
    "steps": "The place is not step-free.",
    "clinician": "The patient asked for a woman, or a man.",
}
INTERPRETER_TASK = {
    "book": "Book an interpreter",
    "tell_new_time": "Tell the interpreter the new time",
    "call_off": "Call the interpreter off",
}
TRY = {
    TryOutcome.NO_ANSWER: "No answer",
    TryOutcome.LEFT_MESSAGE: "Left a message",
    TryOutcome.SPOKE: "Spoke to them",
    TryOutcome.WRONG_NUMBER: "Wrong number",
}
OUTCOME_OF_TASK = {
    "told": "Told by phone",
    "letter_sent": "Letter sent",
    "not_reached": "Could not be reached",
    "not_needed": "Not needed any more",
    "kept": "The right stays",
    "stays": "It stays as it is",
    "ended": "The right has ended",
    "not_same": "Not the same person",
    "newer": "Overtaken by something newer",
    "undone": "What it was for was undone",
}
ACTOR = {
    "patient": "Patient",
    "proxy": "For the patient",
    "practitioner": "Clinician",
    "staff": "Staff",
    "system": "The portal",
}
NOTHING = "–"


def day(on: date) -> str:
    """A day short enough for a table: "Tue 24 Nov", with its year unless that is the present one."""
    year = "" if on.year == clock.now().year else f" {on.year}"
    return f"{on:%a} {on.day} {on:%b}{year}"


def day_of(instant: datetime | None, zone: str) -> str:
    """The day of an instant at the place."""
    return NOTHING if instant is None else day(clock.local_date(instant, zone))


def moment(instant: datetime | None, zone: str) -> str:
    """An instant at the place: "Tue 24 Nov, 10:15am"."""
    if instant is None:
        return NOTHING
    return f"{day(clock.local_date(instant, zone))}, {wording.time_short(instant, zone)}"


def clock_time(instant: datetime, zone: str) -> str:
    """The time of day at the place: "10:15am"."""
    return wording.time_short(instant, zone)


def span(start: datetime | None, end: datetime | None, zone: str) -> str:
    """From when until when: "Tue 24 Nov, 10:15am to 10:30am"."""
    if start is None or end is None:
        return moment(start, zone)
    is_same_day = clock.local_date(start, zone) == clock.local_date(end, zone)
    return f"{moment(start, zone)} to {wording.time_short(end, zone) if is_same_day else moment(end, zone)}"


def birth_of(patient: Patient, today: date) -> str:
    """Birth date and age, to tell two people of one name apart: "4 May 1980 (45)"."""
    born = patient.birth_on
    return "not known" if born is None else f"{born.day} {born:%b} {born.year} ({patient.age_on(today)})"


def minutes(total: int) -> str:
    """A length of time: "45 min", "1 h 30 min"."""
    hours, rest = divmod(total, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def contact_tail(point: ContactPoint | None) -> str:
    """Enough of a contact to ask "is it still the one ending in 123?", and not enough to use it."""
    if point is None:
        return "None"
    kind, value = CONTACT_KIND[point.kind], point.value.strip()
    if point.kind is ContactKind.EMAIL:
        name, _, host = value.partition("@")
        return f"{kind} {name[:1]}…@{host}"
    return kind if point.kind is ContactKind.POST else f"{kind} …{value[-3:]}"


def phone_of(patient: Patient) -> str:
    """The end of the first phone number that works."""
    points = [point for point in patient.contact_points if point.is_usable and point.phone_tail]
    return contact_tail(points[0]) if points else NOTHING


def about(message: Notification) -> str:
    """What a message tells; a reminder also how long before the visit: "Reminder, 3d before"."""
    before = message.facts.get("before") if message.event is Event.REMINDER else None
    return f"{EVENT[message.event]}, {before} before" if before else EVENT[message.event]


def yes_no(value: bool) -> str:
    return "Yes" if value else "No"


def code(text: str) -> str:
    """A code that has no words of its own: "slot_taken" becomes "Slot taken"."""
    return text.replace("_", " ").replace("-", " ").capitalize()


def setting(definition: Definition) -> str:
    """What a setting is called: "Opening hours in German"."""
    if definition.translates is None:
        return SETTING.get(definition.name) or code(definition.name)
    name, language = definition.translates
    return f"{SETTING.get(name) or code(name)} in {english_name(language)}"


def outcome(code_of_task: str | None) -> str:
    """How a task ended."""
    return NOTHING if code_of_task is None else OUTCOME_OF_TASK.get(code_of_task) or code(code_of_task)
