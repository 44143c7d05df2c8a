"""The answers to check, row by row, as the patient reads them."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from clinic_portal.database import db
from clinic_portal.languages import _, ngettext
from clinic_portal.models import REMOTE, Account, ContinuityWish, Hold, Mode, Need
from clinic_portal.patient.answers import Answers, answers_of
from clinic_portal.patient.choosing import CONTINUITY_WORDS
from clinic_portal.patient.mode_words import MODE_WORDS, VIDEO_WAY_IN
from clinic_portal.patient.needs import told
from clinic_portal.patient.reach import phones_of, way_told
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.settings import load_settings
from clinic_portal.visit_texts import text_of
from clinic_portal.wording import when_told

Row = dict[str, Any]


def rows_of(account: Account, kept: Hold) -> list[Row]:
    """Everything that will be booked; each row with the name of what one changes there, or None."""
    answers = answers_of(account, kept)
    rows = [
        *_person(answers, kept),
        _row(_("When"), [when_told(kept.starts_at, kept.location.zone, window_of(kept))], "time"),
        _row(_("What for"), [_what_for(kept)], "visit_type"),
        *([_row(_("Emergency check"), [_("None of these apply")], "emergency")] if kept.safety_answer else []),
        *_how(answers, kept),
        *_where(answers, kept),
        _row(_("Your needs"), _needs(answers, kept.patient_id), "help"),
        *_who_with(answers),
        _row(_("How we reach you"), [way_told(kept.patient)], "contact"),
    ]
    if kept.appointment_id is None:
        return rows
    # Of a visit that is moved, only the time is new.
    return [row if row["change"] == "time" else {**row, "change": None} for row in rows if row["change"] != "contact"]


def _row(key: str, lines: list[str], change: str | None) -> Row:
    return {"key": key, "lines": lines, "change": change}


def _person(answers: Answers, kept: Hold) -> list[Row]:
    return [_row(_("For"), [kept.patient.full_name], "who")] if answers.has_several_people else []


def _what_for(kept: Hold) -> str:
    minutes = int((kept.ends_at - kept.starts_at).total_seconds()) // 60
    length = ngettext("%(num)d minute", "%(num)d minutes", minutes)
    # As markup, so that a name that is not translated goes on saying so.
    return Markup("{}, {}").format(text_of(db.session(), kept.visit_type_id).name, length)


def _how(answers: Answers, kept: Hold) -> list[Row]:
    """How, where that was a question or is no matter of course; and for a call the number."""
    mode = kept.mode
    change = "how" if answers.has_several_modes else None
    rows = [_row(_("How"), [_(MODE_WORDS[mode])], change)] if mode in REMOTE or change else []
    if mode is Mode.PHONE:
        number = kept.appointment.call_number if kept.appointment else number_of(kept)
        rows.append(_row(_("Number we will call"), [number or _("None"), _("We will try twice.")], "number"))
    if mode is Mode.VIDEO:
        rows[0]["lines"].append(_(VIDEO_WAY_IN))
    return rows


def _where(answers: Answers, kept: Hold) -> list[Row]:
    if kept.mode in REMOTE:
        return []
    place = [kept.location.name, kept.location.address]
    return [_row(_("Where"), place, "place" if answers.has_several_places else None)]


def _needs(answers: Answers, patient_id: int) -> list[str]:
    """The needs of the answer, with the words that the patient's record has for them."""
    if not answers.needs:
        return [_("None")]
    known = needs_of(db.session(), patient_id)
    return told({need: known.get(need) for need in Need if need in answers.needs})


def _who_with(answers: Answers) -> list[Row]:
    if answers.continuity is ContinuityWish.NONE:
        return []
    return [_row(_("Who with"), [_(CONTINUITY_WORDS[answers.continuity])], "time")]


def number_of(kept: Hold) -> str | None:
    """The number to call: the one that was written, else the first that the clinic has."""
    if kept.call_number:
        return kept.call_number
    known = phones_of(kept.patient)
    return known[0].value if known else None


def window_of(kept: Hold) -> int:
    """How long the stretch of the day is that is told for a kept time, in minutes; 0 where it is told to the minute."""
    if kept.mode is not Mode.PHONE:
        return 0
    return load_settings(db.session()).number("shown_window_min", kept.visit_type_id)
