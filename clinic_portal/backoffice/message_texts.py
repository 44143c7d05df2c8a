"""Pages on which the clinic words its messages to patients, looks at them as mails, and finds its old words again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, flash, make_response, redirect, request
from flask_admin import expose

from clinic_portal.backoffice import places, text_words, words
from clinic_portal.backoffice.access import may_change_settings
from clinic_portal.backoffice.limits import CONFLICT, AdminPage
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.person import staff
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotFound, VersionConflict
from clinic_portal.languages import LANGUAGES, english_name
from clinic_portal.models import Event
from clinic_portal.notifications.kinds import KINDS, Text
from clinic_portal.notifications.message_texts import (
    LONGEST,
    TextKey,
    all_newest,
    change_text,
    check_text,
    cleaned,
    newest,
    put_back,
    version_of,
    versions,
    words_of,
)
from clinic_portal.notifications.samples import Shown, sample_names, show
from clinic_portal.notifications.sandbox import BadText
from clinic_portal.web.errors import status_of
from clinic_portal.web.headers import in_own_frame, with_own_frames
from clinic_portal.web.pages import htmx

CHANGED = "Somebody else changed this text in the meantime. Look at it as it is now."


class TextsPage(Page):
    """The texts of messages to patients, as all staff may read them."""

    words = words

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """Every text: whether it is the portal's or the clinic's, and which could not be used."""
        columns = [(language, neutral) for language in LANGUAGES for neutral in (False, True)]
        keys = {event: [TextKey(event, *column) for column in columns] for event in KINDS}
        return self.render(
            "backoffice/message_texts.html",
            heads=[f"{english_name(language)}{', sensitive' if neutral else ''}" for language, neutral in columns],
            rows=[(words.EVENT[event], found) for event, found in keys.items()],
            newest=all_newest(db.session()),
            said=text_words,
            address_of=_address,
            may_change=may_change_settings(),
        )

    @expose("/read/")  # type: ignore[untyped-decorator]
    def read(self) -> Any:
        """One text with what it makes."""
        key = _key()
        return _looked_at(self, key, words_of(key, newest(db.session(), key)), may_change=False)

    @expose("/version/")  # type: ignore[untyped-decorator]
    def version(self) -> Any:
        """What was said before, or what the portal says by itself."""
        return _old(self, _key(), _number(request.args, "version"))

    @expose("/mail/")  # type: ignore[untyped-decorator]
    def mail(self) -> Any:
        """The mail that a version makes, laid out; an answer of its own, in which nothing can run."""
        key = _key()
        row = version_of(db.session(), key, _number(request.args, "version"))
        return _framed(key, words_of(key, row), 0)


class TextPage(AdminPage):
    """One text of messages, for those who word it."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """The text with what it makes; looked at while it is typed, and saved."""
        key = _key()
        if request.method == "GET":
            return _looked_at(self, key, words_of(key, newest(db.session(), key)), may_change=True)
        typed = _typed()
        if request.form.get("do") != "save":
            return _looked_at(self, key, typed, _fault(key, typed), may_change=True)
        try:
            change_text(actor=staff(), key=key, text=typed, expected_version=_number(request.form, "version"))
        except (InvalidRequest, VersionConflict) as error:
            return _looked_at(self, key, typed, error, status_of(error), may_change=True)
        flash(f"{text_words.title(key)}: saved. Mails say it from now on.", "success")
        return redirect(self.get_url(".index", **_address(key)), 303)

    @expose("/mail/", methods=("POST",))  # type: ignore[untyped-decorator]
    def mail(self) -> Any:
        """The mail that makes what was typed, as `TextsPage.mail`."""
        return _framed(_key(), _typed(), _sample(request.form))

    @expose("/put-back/", methods=("POST",))  # type: ignore[untyped-decorator]
    def put_back(self) -> Any:
        """Make an old version count again, or the portal's own words."""
        key, version = _key(), _number(request.args, "version")
        expected = _number(request.form, "expected")
        try:
            put_back(actor=staff(), key=key, version=version, expected_version=expected)
        except (InvalidRequest, VersionConflict) as error:
            return _old(self, key, version, error)
        flash(f"{text_words.title(key)}: put back. Mails say it from now on.", "success")
        return redirect(self.get_url(".index", **_address(key)), 303)


def _looked_at(
    page: Page, key: TextKey, typed: Text, error: DomainError | None = None, status: int = 200, *, may_change: bool
) -> Any:
    """A text and what it makes; or only that part, while somebody types."""
    db.session().expire_all()
    now = newest(db.session(), key)
    sample = _sample(request.form)
    is_part = bool(htmx) and request.method == "POST"
    text = page.render(
        "backoffice/_message_text_looks.html" if is_part else "backoffice/message_text.html",
        **_about(key),
        typed=typed,
        now=now,
        version=now.version if now else 0,
        versions=versions(db.session(), key),
        names=text_words.names(key),
        longest=LONGEST,
        samples=list(enumerate(sample_names(key))),
        sample=sample,
        shown=None if _fault(key, typed) else _shown(key, typed, sample),
        is_saved=request.method == "GET",
        is_part=is_part,
        stands=words_of(key, now) if isinstance(error, VersionConflict) else None,
        may_change=may_change,
        problems=_problems(error, CONFLICT),
    )
    return with_own_frames(make_response(text, status))


def _old(page: Page, key: TextKey, version: int, error: DomainError | None = None) -> Any:
    """One version, and for administrators the way back to it."""
    row, now = version_of(db.session(), key, version), newest(db.session(), key)
    text = page.render(
        "backoffice/message_text_version.html",
        **_about(key),
        text=words_of(key, row),
        version=version,
        row=row,
        expected=now.version if now else 0,
        is_now=row == now or (row is None and not (now and now.is_own)),
        may_change=may_change_settings(),
        problems=_problems(error, CHANGED),
    )
    return with_own_frames(make_response(text, status_of(error) if error else 200))


def _framed(key: TextKey, text: Text, sample: int) -> Response:
    """A mail for a frame of ours, or in its place why there is none."""
    fault = _fault(key, text)
    shown = None if fault else _shown(key, text, sample)
    if shown is None:
        return in_own_frame(Response(f"{_told(fault)}\n", 422, mimetype="text/plain"))
    return in_own_frame(Response(shown.html, mimetype="text/html"))


def _about(key: TextKey) -> dict[str, Any]:
    return {
        "key": key,
        "title": text_words.title(key),
        "address": _address(key),
        "said": text_words,
        "zone": places.clinic_zone(),
    }


def _key() -> TextKey:
    """The text that the address names. Raises: NotFound."""
    events = {event.value: event for event in Event}
    event, language = events.get(request.args.get("kind", "")), request.args.get("language", "")
    key = TextKey(event, language, request.args.get("neutral") == "yes") if event else None
    if key is None or not key.exists:
        raise NotFound
    return key


def _address(key: TextKey) -> dict[str, str]:
    """The same as the fields of an address."""
    found = {"kind": key.event.value, "language": key.language}
    return {**found, "neutral": "yes"} if key.is_neutral else found


def _typed() -> Text:
    return cleaned(Text(*(request.form.get(name, "") for name in LONGEST)))


def _number(values: Mapping[str, str], name: str) -> int:
    text = values.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _sample(values: Mapping[str, str]) -> int:
    return min(_number(values, "sample"), len(sample_names(_key())) - 1)


def _fault(key: TextKey, typed: Text) -> InvalidRequest | None:
    try:
        check_text(key, typed)
    except InvalidRequest as error:
        return error
    return None


def _shown(key: TextKey, typed: Text, sample: int) -> Shown | None:
    """The mail; none for a text whose fault only shows with its facts."""
    try:
        return show(db.session(), key, typed, sample)
    except BadText:
        return None


def _told(error: InvalidRequest | None) -> str:
    if error is None:
        return "This text cannot be used."
    return f"{text_words.FIELD[error.facts['field']]}: {error}"


def _problems(error: DomainError | None, conflict: str) -> list[dict[str, str]]:
    if error is None:
        return []
    if isinstance(error, VersionConflict):
        return [{"field": "version", "text": conflict}]
    return [{"field": error.facts.get("field", "subject"), "text": str(error)}]
