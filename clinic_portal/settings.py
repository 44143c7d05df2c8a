"""What a clinic sets by itself: a table of values, for all visits or one visit type, over the defaults listed here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clinic_portal import languages
from clinic_portal.audit import Actor, record
from clinic_portal.catalogue import Catalogue, catalogue
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, VersionConflict
from clinic_portal.languages import N_, TRANSLATED
from clinic_portal.models import Mode, Setting, VisitType

ROOM = "{room}"
_ROOMS_SHAPE = re.compile(r"https://[^\s{}]+\{room\}[^\s{}]*", re.ASCII)


@dataclass(frozen=True)
class Definition:
    """One setting: its default says its type; `per_visit_type` that a visit type may have its own value.

    `is_required`: patients rely on it, so no pages are served in production before the clinic has set it.
    """

    name: str
    default: Any
    unit: str
    meaning: str
    per_visit_type: bool = False
    is_valid: Callable[[Any], bool] = field(default=lambda _value: True)
    is_required: bool = False
    # Whether patients read it, in their own language.
    is_text: bool = False
    # The name of the same text in English, and the language of this one.
    translates: tuple[str, str] | None = None

    def translated(self, language: str) -> Definition:
        """The same text in another language, which a clinic may leave empty."""
        return Definition(
            name_in(self.name, language),
            "",
            self.unit,
            f"the same in {languages.english_name(language)}; empty: as in English",
            self.per_visit_type,
            lambda value: value == "" or self.is_valid(value),
            translates=(self.name, language),
        )


def name_in(name: str, language: str) -> str:
    """Under which name a text of the clinic is kept in another language than English."""
    return f"{name}_{language}"


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _short(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _weekdays(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and set(value) <= set("1234567")


def _window(value: Any) -> bool:
    """No window, or one of which whole ones make a day."""
    return _whole(0, 720)(value) and (value == 0 or (value >= 15 and 24 * 60 % value == 0))


def _rooms(value: Any) -> bool:
    """Nothing, or an address with exactly one place for the name of a room."""
    return value == "" or (isinstance(value, str) and _ROOMS_SHAPE.fullmatch(value) is not None and len(value) <= 200)


def _lines(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 2000


# In place of a list that is empty.
NONE = "none"
_OFFSETS = re.compile(r"[1-9]\d?[dh]( [1-9]\d?[dh]){0,4}", re.ASCII)
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _offsets(value: Any) -> bool:
    return isinstance(value, str) and (value == NONE or bool(_OFFSETS.fullmatch(value)))


def _hours(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return value == NONE or (bool(_HOURS.fullmatch(value)) and value[:5] != value[6:])


_SETTINGS = (
    Definition("clinic_name", "Clinic", "text", "name in page headers and mails", is_valid=_short),
    Definition("clinic_phone", "Ask at the desk", "text", "number that every page and mail tells", is_valid=_short,
               is_required=True),
    Definition("opening_hours", N_("Monday to Friday"), "text", "when the phone is answered", is_valid=_short,
               is_required=True, is_text=True),
    Definition("emergency_number", "112", "text", "what to call in an emergency", is_valid=_short, is_required=True),
    Definition("urgent_advice", N_("If it is urgent but no emergency, call us."), "text",
               "what to do when it is urgent but no emergency", is_valid=_short, is_required=True, is_text=True),
    Definition("emergency_signs", N_("a life may be in danger"), "lines",
               "what the emergency check lists, one sign a line, in the clinic's own words", True, _lines,
               is_text=True),
    Definition("grid_min", 5, "minutes", "length of a schedule cell; never changed once sessions exist",
               is_valid=lambda value: value in (5, 10, 15)),
    Definition("sessions_ahead_days", 90, "days", "how far ahead sessions are made", is_valid=_whole(1, 400)),
    Definition("horizon_days", 42, "days", "how far ahead patients book", True, _whole(0, 400)),
    Definition("minimum_notice_min", 120, "minutes", "shortest time from booking to visit", True, _whole(0, 100_000)),
    Definition("remote_notice_min", 60, "minutes", "the same for a visit by phone or video", True, _whole(0, 100_000)),
    Definition("new_patient_notice_min", 1440, "minutes", "the same for people whom the clinic does not know yet",
               True, _whole(0, 100_000)),
    Definition("interpreter_notice_days", 2, "working days", "the same where an interpreter has to come", True,
               _whole(0, 30)),
    Definition("interpreter_extra_min", 10, "minutes", "added to a visit with an interpreter", True, _whole(0, 120)),
    Definition("longer_visit_extra_min", 10, "minutes", "added to a visit of somebody who needs more time", True,
               _whole(0, 120)),
    Definition("existing_within_months", 24, "months", "somebody seen within this time is known to the clinic", True,
               _whole(0, 240)),
    Definition("min_days_since_same", 0, "days", "between two visits of one patient of the same type", True,
               _whole(0, 400)),
    Definition("max_open_per_patient", 1, "visits", "ahead of one patient of the same type, booked online", True,
               _whole(1, 100)),
    Definition("max_open_in_all", 4, "visits", "ahead of one patient in all, booked online", is_valid=_whole(1, 100)),
    Definition("move_cutoff_min", 120, "minutes", "patients move until this long before the visit", True,
               _whole(0, 100_000)),
    Definition("late_cancel_min", 1440, "minutes", "a cancel closer to the visit is marked late", True,
               _whole(0, 100_000)),
    Definition("shown_window_min", 120, "minutes",
               "visits by phone are told as a stretch of the day this long; 0: to the minute", True, _window),
    Definition("video_rooms", "", "address",
               "the clinic's video rooms, with `{room}` for the name of each visit's own; empty: no video",
               is_valid=_rooms),
    Definition("late_message_min", 30, "minutes", "a session that runs at least so late is told by mail to those who "
               "are still to come; 0: never", is_valid=_whole(0, 240)),
    Definition("missed_message", "next_morning", "words", "when who missed a visit is asked by mail whether they still "
               "need it: `next_morning`, or `off`", is_valid=lambda value: value in ("next_morning", "off")),
    Definition("reminders", "3d 1d", "days and hours", "how long before a visit reminders come, or `none`", True,
               _offsets),
    Definition("reminders_remote", "1h", "days and hours", "further ones for visits by phone or video, or `none`", True,
               _offsets),
    Definition("quiet_hours", "20:00-08:00", "wall clock",
               "when no reminder comes, but before, and no answer to an offer is expected; or `none`", is_valid=_hours),
    Definition("checkout_hold_min", 10, "minutes", "how long a chosen time is kept while answers are checked",
               is_valid=_whole(1, 60)),
    Definition("staff_hold_min", 5, "minutes", "how long the desk keeps a time while on the phone",
               is_valid=_whole(1, 60)),
    Definition("absence_undo_min", 2, "minutes", "how long the plan of an absence can be undone; so long its messages "
               "wait; 0: they leave at once", is_valid=_whole(0, 60)),
    Definition("invitation_days", 14, "days", "how long a patient can use a code from the clinic",
               is_valid=_whole(1, 90)),
    Definition("desk_days", "12345", "weekdays", "on which requests are answered, Monday is 1", is_valid=_weekdays),
    Definition("desk_opens_min", 480, "minutes", "after midnight, when the desk opens", is_valid=_whole(0, 1440)),
    Definition("desk_closes_min", 1080, "minutes", "after midnight, when the desk closes", is_valid=_whole(0, 1440)),
    Definition("target_urgent_days", 1, "working days", "from asking to an urgent visit", True, _whole(0, 400)),
    Definition("target_soon_days", 5, "working days", "from asking to a visit that should be soon", True,
               _whole(0, 400)),
    Definition("target_routine_days", 14, "days", "from asking to a routine visit", True, _whole(0, 400)),
    Definition("target_flexible_days", 28, "days", "from asking to a visit that can wait", True, _whole(0, 400)),
    Definition("answer_working_days", 2, "working days", "until a request is answered, at the latest when the desk "
               "closes", True, _whole(0, 30)),
    Definition("answer_urgent_until_min", 960, "minutes", "after midnight; urgent requests that come before are "
               "answered the same working day", is_valid=_whole(0, 1440)),
    Definition("answer_urgent_next_min", 600, "minutes", "after midnight; the others on the next working day by then",
               is_valid=_whole(0, 1440)),
    Definition("escalate_pct", 80, "percent", "of the time to a visit's target, after which a request that waits "
               "becomes a task", is_valid=_whole(1, 100)),
    Definition("escalate_before_h", 4, "hours", "before the promised answer, a request without one becomes a task",
               is_valid=_whole(0, 100)),
    Definition("continuity_tolerance_days", 3, "days", "the queue waits so much longer for a known practitioner whom "
               "a patient prefers", True, _whole(0, 100)),
    Definition("queue_tries", 6, "tries", "of the queue on a request that meets a fault, before a person takes over",
               is_valid=_whole(1, 50)),
    Definition("offers_a_week", 3, "offers", "of times to one patient in seven days", is_valid=_whole(1, 50)),
    Definition("offers_unanswered", 3, "offers", "in a row without an answer pause a request",
               is_valid=_whole(1, 50)),
    Definition("offer_hold_pct", 25, "percent", "of the time left to a visit, for which an offer keeps it at most",
               is_valid=_whole(1, 50)),
    Definition("earlier_by_h", 24, "hours", "an earlier time is offered only if it is so much earlier", True,
               _whole(0, 1000)),
    Definition("private_from_age", 11, "years", "from this age of the patient on, others do not see sensitive visits",
               is_valid=_whole(0, 120)),
    Definition("parent_until_age", 16, "years", "a parent’s right to act for a child ends on this birthday",
               is_valid=_whole(1, 30)),
    Definition("right_review_age", 11, "years", "somebody looks again at a parent’s right on this birthday",
               is_valid=_whole(0, 30)),
    Definition("second_factor", "staff", "who", "who must show more than a password: `staff` (and clinicians) or `off`",
               is_valid=lambda value: value in ("staff", "off")),
    Definition("hours_approval", "none", "words", "whether clinicians’ own changes of hours wait until staff agree: "
               "`needed` or `none`", is_valid=lambda value: value in ("needed", "none")),
    Definition("travel_min", 15, "minutes", "from one place to another: so long before and after a block of hours "
               "there are none elsewhere", is_valid=_whole(0, 240)),
    Definition("doctor_feed_titles", "neutral", "words", "what a clinician’s own calendar calls visits: `neutral`, or "
               "`visit_type` but for sensitive ones", is_valid=lambda value: value in ("neutral", "visit_type")),
    Definition("patient_timeout_min", 20, "minutes", "patients who do nothing for this long are signed out",
               is_valid=_whole(5, 1440)),
    Definition("staff_timeout_min", 15, "minutes", "the same for staff and clinicians", is_valid=_whole(5, 1440)),
    Definition("patient_sign_in_max_h", 24, "hours", "a sign-in of a patient ends after this long, however busy",
               is_valid=_whole(1, 720)),
    Definition("staff_sign_in_max_h", 12, "hours", "the same for staff and clinicians", is_valid=_whole(1, 168)),
    Definition("continuity_months", 24, "months", "how far back a visit makes a practitioner familiar",
               is_valid=_whole(0, 240)),
    Definition("weight_continuity", 100, "points", "choice: a known practitioner", is_valid=_whole(0, 1000)),
    Definition("weight_scarcity", 60, "points", "choice: keep rare skills free", is_valid=_whole(0, 1000)),
    Definition("weight_load", 40, "points", "choice: even workload relative to offered time", is_valid=_whole(0, 1000)),
    Definition("weight_gaps", 30, "points", "choice: leave no gaps too short for a visit", is_valid=_whole(0, 1000)),
)  # fmt: skip
# A clinic may say each text in every language; until it does, the defaults are translated with the pages.
DEFINITIONS = tuple(
    each for one in _SETTINGS for each in (one, *(one.translated(language) for language in TRANSLATED if one.is_text))
)
BY_NAME = {definition.name: definition for definition in DEFINITIONS}


@dataclass(frozen=True)
class Settings:
    """All values in force, resolved: a visit type's own value, else the clinic's, else the default."""

    clinic: dict[str, Any]
    by_visit_type: dict[tuple[str, int], Any]

    def value(self, name: str, visit_type_id: int | None = None) -> Any:
        if visit_type_id is not None and (name, visit_type_id) in self.by_visit_type:
            return self.by_visit_type[name, visit_type_id]
        return self.clinic.get(name, BY_NAME[name].default)

    def text(self, name: str, visit_type_id: int | None = None) -> str:
        """A text in the language of the reader; what is not translated is told in English.

        What a visit type says for itself counts more than what the clinic says in general, in whatever language.
        """
        language = languages.current()
        is_english = language == languages.ENGLISH
        for kept in (lambda each: self.by_visit_type.get((each, visit_type_id or 0)), self.clinic.get):
            if not is_english and (text := kept(name_in(name, language))):
                return str(text)
            if text := kept(name):
                return str(text) if is_english else languages.Foreign(text)
        return languages.translated(BY_NAME[name].default)

    def texts(self, name: str, visit_type_id: int | None = None) -> tuple[str, ...]:
        """The same as readers of all languages get it."""
        found = []
        for language in languages.LANGUAGES:
            with languages.speaking(language):
                found.append(self.text(name, visit_type_id))
        return tuple(dict.fromkeys(found))

    def number(self, name: str, visit_type_id: int | None = None) -> int:
        return int(self.value(name, visit_type_id))

    def own_numbers(self, name: str) -> list[int]:
        """What single visit types have set for themselves."""
        return [int(value) for (each, _), value in self.by_visit_type.items() if each == name]


_ALL = select(Setting.name, Setting.visit_type_id, Setting.value)


def load_settings(session: Session) -> Settings:
    """All settings as they are now; mostly from memory, see `catalogue`."""
    return catalogue(session).made(settings_in)


def settings_in(found: Catalogue) -> Settings:
    """All settings of a catalogue."""
    clinic: dict[str, Any] = {}
    by_visit_type: dict[tuple[str, int], Any] = {}
    for name, visit_type_id, value in found.rows(_ALL):
        if visit_type_id is None:
            clinic[name] = value
        else:
            by_visit_type[name, visit_type_id] = value
    return Settings(clinic, by_visit_type)


def put_setting(session: Session, name: str, value: Any, visit_type_id: int | None = None) -> None:
    """Set one value inside the caller's transaction.

    Raises: InvalidRequest when the setting does not exist, the value does not fit, or no visit type may have its own.
    """
    definition = BY_NAME.get(name)
    if definition is None or not definition.is_valid(value):
        raise InvalidRequest(f"{value!r} is not a valid value for {name}.")
    if visit_type_id is not None and not definition.per_visit_type:
        raise InvalidRequest(f"{name} is the same for all visit types.")
    kept = session.scalar(select(Setting).filter_by(name=name, visit_type_id=visit_type_id))
    if kept is None:
        session.add(Setting(name=name, visit_type_id=visit_type_id, value=value))
    else:
        kept.value = value


def shown_window(settings: Settings, mode: Mode, visit_type_id: int) -> int:
    """How long the stretch of the day is that patients are told for such a visit, in minutes; 0 for the very time."""
    return settings.number("shown_window_min", visit_type_id) if mode is Mode.PHONE else 0


def clear_setting(session: Session, name: str, visit_type_id: int) -> None:
    """Take a visit type's own value away, inside the caller's transaction; the clinic's counts again."""
    session.execute(delete(Setting).where(Setting.name == name, Setting.visit_type_id == visit_type_id))


_CLINICS_OWN = select(Setting.name).where(Setting.visit_type_id.is_(None))


def missing_settings(session: Session) -> list[str]:
    """Settings that patients rely on and that the clinic has not set; no default is right for everybody.

    Source: clinic.md 8, emergency wording is set at first run.
    """
    own = set(session.scalars(_CLINICS_OWN))
    return [each.name for each in DEFINITIONS if each.is_required and each.name not in own]


@writing
def change_setting(
    session: Session,
    *,
    actor: Actor,
    name: str,
    value: Any,
    visit_type: str | None = None,
    expected: Any = None,
) -> None:
    """Set one of the clinic's own values, for all visits or for the visit type of this name.

    Args: expected, the value that whoever changes it has seen; None asks nothing.
    Commits: the setting, audit.
    Raises: InvalidRequest as `put_setting`, for the grid, and when not exactly one visit type has this name;
    VersionConflict when the value is another than the expected one.
    """
    if name == "grid_min":
        raise InvalidRequest("grid_min is chosen at the first start (GRID_MIN) and stays.")
    visit_type_id = None if visit_type is None else _visit_type_named(session, visit_type)
    before = load_settings(session).value(name, visit_type_id) if name in BY_NAME else None
    if expected is not None and before != expected:
        raise VersionConflict(value=before)
    put_setting(session, name, value, visit_type_id)
    session.flush()
    row = session.scalars(select(Setting).filter_by(name=name, visit_type_id=visit_type_id)).one()
    record(session, actor, "set", row, before={name: before}, after={name: value})


def _visit_type_named(session: Session, name: str) -> int:
    ids = session.scalars(select(VisitType.id).where(VisitType.name == name)).all()
    if len(ids) != 1:
        raise InvalidRequest(f"There are {len(ids) or 'no'} visit types named {name!r}.")
    return ids[0]


@writing
def choose_grid(session: Session, *, grid_min: int) -> int:
    """Fix the grid of a new installation, once; afterwards the first choice stands whatever is asked for.

    Args: grid_min, minutes of one cell.
    Commits: the setting.
    Source: one grid for the installation, never changed under booked visits.
    """
    kept = session.scalar(select(Setting.value).filter_by(name="grid_min", visit_type_id=None))
    if kept is None:
        put_setting(session, "grid_min", grid_min)
    return grid_min if kept is None else int(kept)
