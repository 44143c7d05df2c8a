"""How the pages about the texts of messages call them and the facts that they may name."""

from __future__ import annotations

from clinic_portal.backoffice import words
from clinic_portal.languages import english_name
from clinic_portal.notifications.message_texts import TextKey

FIELD = {"subject": "Subject", "before": "Paragraphs before the facts", "after": "Paragraphs at the end"}
# What a name in a text stands for.
NAME = {
    "day": "day of the appointment",
    "time": "its time, or the stretch of the day",
    "place": "where it is; nothing by phone or video",
    "clinician": "who the patient sees",
    "visit": "kind of visit",
    "whom": "whom it is for, when somebody else reads the mail",
    "reference": "reference of the appointment or request; an invitation has none",
    "how": "by phone or by video; nothing at the clinic",
    "old_day": "day before the move",
    "old_time": "time before the move",
    "minutes": "how long it takes now, in minutes",
    "late_min": "how late the session runs, in minutes",
    "several": "known when there is more than one appointment on the day",
    "is_read_first": "known when a person reads the request first",
    "has_time": "known when the patient has an appointment already and waits for an earlier one",
    "until": "until when the time is kept",
    "first": "first day on which the appointment may be",
    "last": "last day on which the appointment may be",
    "clinic": "name of the clinic",
    "phone": "phone number of the clinic",
}


def title(key: TextKey) -> str:
    """What a text is called: "Booked, German, for sensitive visits"."""
    neutral = ", for sensitive visits" if key.is_neutral else ""
    return f"{words.EVENT[key.event]}, {english_name(key.language)}{neutral}"


def names(key: TextKey) -> list[tuple[str, str]]:
    """The names that a text may use, each with what it stands for."""
    return [(name, NAME[name]) for name in key.kind.names if name in key.names]
