"""Pages and mails in German: no English of ours is left over, and that of the clinic's own texts says that it is.

Source: WCAG 2.2, 3.1.1 and 3.1.2.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

import clinic_portal
from clinic_portal.database import db, writing
from clinic_portal.languages import FOLDER, TAGS
from clinic_portal.models import (
    Appointment,
    ContactPoint,
    Location,
    LocationText,
    Notification,
    Patient,
    PatientAccess,
    PatientNeed,
    Recipient,
    Referral,
    VisitType,
    VisitTypeText,
)
from clinic_portal.notifications import letters, messages
from clinic_portal.notifications.facts import NoAddress, NotNow, Overtaken
from clinic_portal.patient.record_codes import CODES
from clinic_portal.patient.record_words import LABELS, WORDS
from clinic_portal.place_texts import PlaceText
from clinic_portal.profile import export
from clinic_portal.scheduling.booking import ACTION
from clinic_portal.visit_texts import VisitText
from tests.addresses import ADDRESSES, LINK, filled, methods_of
from tests.belongings import Belongings
from tests.test_languages import tell
from tests.test_mail_links import last_mail
from tests.visitor import Visitor
from tests.world import World

pytestmark = pytest.mark.slow

# What the clinic wrote in English, so that it is found again wherever it is told.
MARK = "Xq"
SAID = ("aria-label", "title", "alt", "placeholder", "value", "data-many", "data-one", "data-soon", "data-over")
# Words that German has not.
ENGLISH = re.compile(r"\b(?:the|your|you|and|with|for|this|are|not|from|of|has|have|we|is|to)\b", re.IGNORECASE)
# Mails as they were sent, and who wrote something in which language is not ours to say.
IN_THEIR_OWN_LANGUAGE = "/mails/"


class Texts(HTMLParser):
    """What a page says, each text with the language it is in and the element it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.found: list[tuple[str | None, str, str]] = []
        self.feed(page)

    @property
    def language(self) -> str | None:
        return next((language for _, language in reversed(self.open) if language), None)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._say(dict(attrs))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "link", "img", "br", "hr", "input", "source", "wbr"):
            self.open.append((tag, given.get("lang")))
        self._say(given)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        within = self.open[-1][0] if self.open else ""
        if data.strip() and within not in ("script", "style"):
            self.found.append((self.language, within, " ".join(data.split())))

    def _say(self, given: dict[str, str | None]) -> None:
        language = given.get("lang") or self.language
        if given.get("type") == "hidden":
            # A token of random letters may hold a word.
            return
        self.found += [(language, f"@{name}", " ".join(text.split())) for name in SAID if (text := given.get(name))]


@writing
def speak_english_only(session: Session) -> None:
    """Let the clinic have translated nothing of its own."""
    for texts in (VisitTypeText, LocationText):
        session.execute(delete(texts))
    for model, fields in ((VisitType, VisitText._fields), (Location, PlaceText._fields)):
        for row in session.scalars(select(model)):
            for name in fields:
                setattr(row, name, f"{MARK} {name} & {row.id}")


@pytest.fixture
def clinic(belongings: Belongings) -> Belongings:
    untranslated(belongings)
    return belongings


def untranslated(belongings: Belongings) -> None:
    speak_english_only()
    tell(opening_hours=f"{MARK} hours", urgent_advice=f"{MARK} advice", emergency_signs=f"{MARK} sign\n{MARK} other")


def pages(belongings: Belongings, language: str) -> Iterator[tuple[str, TestResponse]]:
    """What each address shows to whom it is for, and says to a form that is sent empty."""
    wish = {"Accept-Language": language}
    for address, door in ADDRESSES.items():
        if door.owner not in ("alice", "chen") or address.startswith(IN_THEIR_OWN_LANGUAGE):
            continue
        for method in methods_of(belongings.app, address):
            visitor = Visitor(belongings.app, None if door is LINK else door.owner)
            data = {"csrf_token": visitor.csrf_token()} if method == "POST" else None
            answer = visitor.open(filled(address, belongings.ids), method, data=data, headers=wish)
            if answer.mimetype == "text/html" and answer.status_code not in (302, 303):
                yield f"{method} {address}", answer
            if method == "POST" and answer.status_code in (302, 303):
                belongings.start_again()
                untranslated(belongings)


def stripped(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


@cache
def catalogue() -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    """Texts of one piece, the longest piece of those with facts in them, and all that German says."""
    with (FOLDER / "de" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        found = [
            (english, message.string if isinstance(message.string, tuple) else (message.string,))
            for message in read_po(file, locale="de")
            if message.id
            for english in (message.id if isinstance(message.id, tuple) else (message.id,))
        ]
    whole, pieces = {}, {}
    for english, german in found:
        if english in german:
            continue
        parts = [stripped(part) for part in re.split(r"%\(\w+\)[sd]|<[^>]+>|\{\w+\}", english)]
        longest = max(parts, key=len)
        if len(parts) == 1:
            whole[longest] = english
        elif len(longest.split()) > 1 and not any(longest in text for text in german):
            pieces[longest] = english
    return whole, pieces, frozenset(stripped(text) for _, german in found for text in german)


def english_in(texts: Texts) -> Iterator[str]:
    whole, pieces, german = catalogue()
    for language, within, text in texts.found:
        if language != "de":
            continue
        if (text in whole and text not in german) or any(piece in text for piece in pieces):
            yield f"not translated in {within}: {text}"
        elif ENGLISH.search(text):
            yield f"not in the catalogue, in {within}: {text}"


def wrongly_marked(texts: Texts, page: str) -> Iterator[str]:
    for language, within, text in texts.found:
        # Whose title or label is heard has no way to say it.
        if MARK in text and language != TAGS["en"] and within not in ("title", "@aria-label", "@value"):
            yield f"not marked as English in {within}: {text}"
    if broken := re.search(r'="[^"]*<span|<title>[^<]*<(?!/title>)|&lt;span', page):
        yield f"a mark that is read as text: {page[broken.start() : broken.end() + 60]}"


def test_no_english_is_left_on_german_pages_and_the_clinics_own_is_marked(clinic: Belongings) -> None:
    faults, seen, marks = [], 0, 0
    for name, answer in pages(clinic, "de"):
        texts = Texts(answer.text)
        assert texts.found, name
        assert re.search(r'<html[^>]* lang="de"', answer.text), name
        faults += [f"{name}: {fault}" for fault in (*english_in(texts), *wrongly_marked(texts, answer.text))]
        marks += any(language == TAGS["en"] for language, _, _ in texts.found)
        seen += 1
    assert not faults, "\n".join(dict.fromkeys(faults))
    assert (seen > 80, marks > 20) == (True, True)


# Codes that a patient's own record shows, but for messages to accounts and to clinicians.
SHOWN = {
    Patient: export.DETAILS,
    ContactPoint: export.CONTACT,
    PatientNeed: export.NEED,
    Referral: export.REFERRAL,
    Appointment: export.VISIT,
    Notification: export.MESSAGE,
    PatientAccess: export.RIGHT,
}
OF_OTHERS = {"confirm_email", "already_registered", "reset_password", "password_changed", "change_email",
               "email_changed", "second_step_added", "second_step_removed", "second_step_reset",
               "recovery_code_used", "hours_changed", "hours_refused"}  # fmt: skip
# What is noted about visits, requests and offers, by whatever way.
NOTES = ("note_change", "put_elsewhere", "become_visit", "carry_out_cancel", "Change")


def codes_shown() -> Iterator[tuple[str, str]]:
    for model, names in SHOWN.items():
        for name in names:
            kind = getattr(model.__table__.c.get(name), "type", None)
            yield from ((name, code) for code in getattr(kind, "enums", ()) if code not in OF_OTHERS)


def _is_about_patient(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name in NOTES or (name == "record" and any(word.arg == "patient_id" for word in call.keywords))


def actions_noted() -> set[str]:
    """The names of changes of visits and requests, as the code writes them."""
    calls = [
        node
        for file in (Path(clinic_portal.__file__).parent / "scheduling").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _is_about_patient(node)
    ]
    named = [word.value for call in calls for word in call.keywords if word.arg == "action"]
    given = [each for call in calls for each in (*call.args, *named) if isinstance(each, ast.Constant)]
    return {str(argument.value) for argument in given if isinstance(argument.value, str)} | set(ACTION.values())


def test_a_patients_own_record_has_words_for_every_code_that_it_may_show() -> None:
    assert [code for code in codes_shown() if code not in WORDS and code[1] not in CODES] == []
    assert (len(actions_noted()) > 20, actions_noted() - CODES.keys()) == (True, set())
    labels = {name for names in SHOWN.values() for name in names}
    said = {name: name.removesuffix("_at").removesuffix("_code").removeprefix("is_") for name in labels}
    assert [name for name in sorted(labels) if name not in LABELS and said[name] not in CODES] == []


def test_mails_in_german_mark_what_the_clinic_wrote_in_english_and_plain_text_has_no_marks(
    clinic: Belongings,
) -> None:
    @writing
    def read_german(session: Session) -> None:
        for patient in session.scalars(select(Patient)):
            patient.preferred_language = "de"

    read_german()
    rows = db.session().scalars(select(Notification.id).filter_by(recipient=Recipient.PATIENT)).all()
    told = 0
    for row in rows:
        with suppress(Overtaken, NoAddress, NotNow):
            mail = messages.compose(letters.read_letter(db.session(), row))
            laid_out, plain = (mail.get_body((kind,)) for kind in ("html", "plain"))
            assert laid_out is not None
            assert plain is not None
            texts = Texts(laid_out.get_content())
            faults = [*english_in(texts), *wrongly_marked(texts, laid_out.get_content())]
            assert faults == [], mail["Subject"]
            assert not re.search("<span|&amp;", plain.get_content() + mail["Subject"])
            told += MARK in plain.get_content()
    assert told > 1


def test_nothing_is_marked_where_the_page_is_in_english(clinic: Belongings) -> None:
    for name, answer in pages(clinic, "en"):
        marked = [text for language, _, text in Texts(answer.text).found if language != TAGS["en"]]
        assert set(marked) <= {"Deutsch", "de"}, name


def test_plain_mails_say_what_is_no_markup_as_it_is(app: Flask, world: World) -> None:
    tell(clinic_name="Ear & <Nose>")
    Visitor(app).post("/reset", email="alice@example.com")
    mail = last_mail(app)
    assert "your account at Ear & <Nose>" in mail
    assert "&amp;" not in mail
