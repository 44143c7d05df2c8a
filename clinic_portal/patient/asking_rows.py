"""What is asked of the clinic, row by row, as the patient reads it before it is sent and while it waits."""

from __future__ import annotations

from typing import Any

from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import REMOTE, ContinuityWish, Need
from clinic_portal.patient.answers import Answers
from clinic_portal.patient.choosing import CONTINUITY_WORDS
from clinic_portal.patient.mode_words import MODE_WORDS
from clinic_portal.patient.needs import told
from clinic_portal.patient.reach import way_told
from clinic_portal.patient.wish_form import warning_told, when_wished
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.scheduling.wishes import Wishes
from clinic_portal.visit_texts import text_of

Row = dict[str, Any]


def rows_of(answers: Answers) -> list[Row]:
    """Everything that is asked for; each row with the name of what one changes there, or None."""
    patient, visit_type, wishes = answers.patient, answers.visit_type, answers.wishes
    assert patient is not None
    assert visit_type is not None
    assert wishes is not None
    # Who is asked for, and what an invitation is for, stays.
    who = "who" if answers.request_id is None and answers.invitation_id is None else None
    return [
        *([_row(_("For"), [patient.full_name], who)] if answers.has_several_people else []),
        _row(_("What for"), [text_of(db.session(), visit_type.id).name],
             "visit_type" if answers.invitation_id is None else None),
        *([_row(_("Emergency check"), [_("None of these apply")], "emergency")]
          if answers.safety and visit_type.may_be_acute else []),
        *_how_and_where(answers),
        _row(_("Your needs"), _needs(answers, patient.id), "help"),
        *wish_rows(wishes, answers.continuity, "when"),
        _row(_("How we reach you"), [way_told(patient)], None),
    ]  # fmt: skip


def wish_rows(wishes: Wishes, continuity: ContinuityWish, change: str | None = None) -> list[Row]:
    """When and with whom, and what happens once a time is free."""
    first = _("We ask you first") if wishes.is_ask_first else _("We book it and tell you")
    return [
        _row(_("When"), when_wished(wishes), change),
        _row(_("You must know"), [warning_told(wishes.min_warning_min)], change),
        *([_row(_("Who with"), [_(CONTINUITY_WORDS[continuity])], change)]
          if continuity is not ContinuityWish.NONE else []),
        _row(_("When a time is free"), [first], change),
    ]  # fmt: skip


def _row(key: str, lines: list[str], change: str | None) -> Row:
    return {"key": key, "lines": lines, "change": change}


def _how_and_where(answers: Answers) -> list[Row]:
    assert answers.mode is not None
    change = "how" if answers.has_several_modes else None
    rows = [_row(_("How"), [_(MODE_WORDS[answers.mode])], change)] if answers.mode in REMOTE or change else []
    if answers.mode in REMOTE:
        return rows
    place = answers.location.name if answers.location else _("Any of our places")
    return [*rows, _row(_("Where"), [place], "place" if answers.has_several_places else None)]


def _needs(answers: Answers, patient_id: int) -> list[str]:
    if not answers.needs:
        return [_("None")]
    known = needs_of(db.session(), patient_id)
    return told({need: known.get(need) for need in Need if need in answers.needs})
