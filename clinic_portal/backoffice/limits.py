"""Pages on which an administrator sets what the clinic lets patients book, and the clinic's other settings."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select

from clinic_portal.backoffice import words
from clinic_portal.backoffice.access import ADMINS
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.person import staff
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotFound, VersionConflict
from clinic_portal.languages import TRANSLATED, english_name
from clinic_portal.models import MODE_BIT, Mode, Modes, VisitType, WhoMayBook
from clinic_portal.scheduling.visit_types import (
    COLUMNS,
    FLAGS,
    OWN_SETTINGS,
    TEXTS,
    TRANSLATIONS,
    change_visit_type,
    values_of,
)
from clinic_portal.settings import BY_NAME, Definition, change_setting, load_settings

CONFLICT = "Somebody else changed this in the meantime. Below is what you entered; send it again to keep it."
GRID = "grid_min"
LONGEST_NUMBER = 7


def is_number(definition: Definition) -> bool:
    return isinstance(definition.default, int)


def read_number(text: str) -> int | None:
    """A whole number that somebody typed; None for nothing.

    Raises: InvalidRequest.
    """
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise InvalidRequest("Enter a whole number.")
    return int(text)


def read_text(text: str) -> str:
    """What somebody typed, without characters that are not printed; its lines stay lines."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("".join(letter for letter in line if letter.isprintable()) for line in lines).strip()


class AdminPage(Page):
    """A page of the administrators; not in the menu. What is set counts at every location."""

    roles = ADMINS
    knows_locations = False
    words = words

    def __init__(self, name: str, endpoint: str, url: str) -> None:
        super().__init__(name=name, endpoint=f"backoffice_{endpoint}", url=url)

    def is_visible(self) -> bool:
        return False


class VisitTypePage(AdminPage):
    """Everything that a clinic says about one kind of visit."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        public_id = request.args.get("id", "")
        known = select(VisitType).filter_by(public_id=public_id if public_id.isprintable() else "")
        visit_type = db.session.scalar(known)
        if visit_type is None:
            raise NotFound
        if request.method == "GET":
            return self._form(visit_type, _shown(visit_type))
        typed = {name: request.form.get(name, "") for name in (*COLUMNS, *TRANSLATIONS, *OWN_SETTINGS)}
        typed["modes"] = " ".join(request.form.getlist("modes"))
        try:
            expected = read_number(request.form.get("version", "")) or 0
            change_visit_type(
                actor=staff(), visit_type_id=visit_type.id, values=_read(typed), expected_version=expected
            )
        except InvalidRequest as error:
            return self._form(visit_type, typed, error.facts.get("field", "name"), str(error)), 422
        except VersionConflict:
            return self._form(visit_type, typed, "version", CONFLICT, is_conflict=True), 409
        flash(f"{typed['name']} is saved. What is booked already stays as it is.", "success")
        return redirect(url_for("backoffice_visit-types.index_view"), 303)

    def _form(
        self,
        visit_type: VisitType,
        typed: dict[str, str],
        field: str = "",
        problem: str = "",
        *,
        is_conflict: bool = False,
    ) -> Any:
        db.session.refresh(visit_type)
        settings, now = load_settings(db.session()), _shown(visit_type)
        return self.render(
            "backoffice/visit_type.html",
            visit_type=visit_type,
            typed=typed,
            texts=TEXTS,
            translated=[(code, english_name(code)) for code in TRANSLATED],
            modes=[(one.value, words.MODE[one]) for one in MODE_BIT],
            has_rooms=bool(settings.value("video_rooms")),
            who=[(one.value, words.WHO_MAY_BOOK[one]) for one in WhoMayBook],
            own_settings=[(BY_NAME[name], is_number(BY_NAME[name]), settings.value(name)) for name in OWN_SETTINGS],
            changed=_changed(now, typed) if is_conflict else [],
            problems=[{"field": field, "text": problem}] if problem else [],
        )


def _shown(visit_type: VisitType) -> dict[str, str]:
    """The values as the fields of the form show them."""
    values = values_of(visit_type, load_settings(db.session()))
    values["modes"] = " ".join(mode.value for mode in MODE_BIT if mode in values["modes"])
    return {name: "" if value is None or value is False else "yes" if value is True else str(value)
            for name, value in values.items()}  # fmt: skip


def _label(name: str) -> str:
    if name in BY_NAME:
        return words.setting(BY_NAME[name])
    column, language = TRANSLATIONS.get(name, (name, None))
    return f"{words.code(column)} in {english_name(language)}" if language else words.code(name)


def _changed(now: dict[str, str], typed: dict[str, str]) -> list[tuple[str, str]]:
    """What stands now where somebody entered something else."""
    return [(_label(name), _told(name, value)) for name, value in now.items() if value != read_text(typed[name])]


def _told(name: str, value: str) -> str:
    return ", ".join(words.MODE[Mode(mode)].lower() for mode in value.split()) if name == "modes" else value


def _read(typed: dict[str, str]) -> dict[str, Any]:
    """Raises: InvalidRequest naming the field."""
    found: dict[str, Any] = {}
    for name, text in typed.items():
        try:
            found[name] = _value(name, text)
        except (InvalidRequest, ValueError) as error:
            raise InvalidRequest(str(error) or "Choose one of the list.", field=name) from error
    return found


def _value(name: str, text: str) -> Any:
    if name in FLAGS:
        return text == "yes"
    if name == "modes":
        return _modes(text.split())
    if name == "who_may_book":
        return next((one for one in WhoMayBook if one.value == text), None)
    if name in TEXTS or name in TRANSLATIONS:
        return read_text(text)
    if name in OWN_SETTINGS and not is_number(BY_NAME[name]):
        return read_text(text) or None
    return read_number(text)


def _modes(ticked: list[str]) -> Modes:
    known = {mode.value: mode for mode in MODE_BIT}
    if any(mode not in known for mode in ticked):
        raise InvalidRequest("Choose from the list.")
    return frozenset(known[mode] for mode in ticked)


class SettingPage(AdminPage):
    """One of the clinic's own settings."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        definition = BY_NAME.get(request.args.get("name", ""))
        if definition is None or definition.name == GRID:
            raise NotFound
        if request.method == "GET":
            return self._form(definition, str(load_settings(db.session()).value(definition.name)))
        typed, seen = request.form.get("value", ""), request.form.get("seen", "")
        try:
            value = self._read(definition, typed)
            expected = read_number(seen) if is_number(definition) else read_text(seen)
            change_setting(actor=staff(), name=definition.name, value=value, expected=expected)
        except InvalidRequest:
            return self._form(definition, typed, "This value is not possible."), 422
        except VersionConflict as error:
            return self._form(definition, typed, f"{CONFLICT} Now it is: {error.facts['value']}."), 409
        flash(f"{words.setting(definition)} is saved.", "success")
        return redirect(url_for("backoffice_settings.index"), 303)

    @staticmethod
    def _read(definition: Definition, typed: str) -> int | str:
        value = read_number(typed) if is_number(definition) else read_text(typed)
        if value is None:
            raise InvalidRequest
        return value

    def _form(self, definition: Definition, typed: str, problem: str = "") -> Any:
        return self.render(
            "backoffice/setting.html",
            definition=definition,
            title=words.setting(definition),
            is_number=is_number(definition),
            is_lines=definition.unit == "lines",
            typed=typed,
            seen=str(load_settings(db.session()).value(definition.name)),
            problems=[{"field": "value", "text": problem}] if problem else [],
        )
