"""The pages on which the clinic words its messages: who may, what is refused where, and what the mail looks like."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from clinic_portal.database import db
from clinic_portal.models import Event
from clinic_portal.notifications.kinds import KINDS, Text
from clinic_portal.notifications.message_texts import TextKey, all_keys, change_text, newest, note_failed
from tests.test_backoffice import make_admin
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World

EDIT = "/backoffice/text/?kind=booked&language=en"
READ = "/backoffice/texts/read/?kind=booked&language=en"
OLD = "/backoffice/texts/version/?kind=booked&language=en&version={}"
MAIL = "/backoffice/text/mail/?kind=booked&language=en"
KEY = TextKey(Event.BOOKED, "en")


@pytest.fixture
def admin(app: Flask, world: World) -> Visitor:
    make_admin(world.accounts["erin"])
    return Visitor(app, "erin")


def fields(**typed: str) -> dict[str, str]:
    return {"subject": "See you on {{ day }}", "before": "Welcome.", "after": "", "sample": "0", "version": "0",
            "do": "save", **typed}  # fmt: skip


def subject_now() -> str | None:
    db.session().rollback()
    db.session().expire_all()
    row = newest(db.session(), KEY)
    return row.subject if row else None


def test_an_administrator_saves_a_text_and_sees_its_versions(admin: Visitor) -> None:
    page = admin.get(EDIT)
    assert "Your appointment on {{ day }}, {{ time }}" in page.text
    assert "{{ clinician }}" in words_of(page)
    saved = admin.follow(admin.post(EDIT, **fields()))
    assert "Booked, English: saved." in words_of(saved)
    assert "Subject: See you on Tuesday 10 March 2026" in words_of(saved)
    assert "erin@example.com" in words_of(saved)
    assert "The clinic’s, version 1" in words_of(admin.get("/backoffice/texts/"))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"before": "a\r\nb {{ visits }}"}, "Line 2: There is nothing called “visits” here."),
        ({"after": "{% for x in day %}{% endfor %}"}, "Line 1: Only names in {{ }}, {% if %} and {% else %} can be"),
        ({"subject": " "}, "Enter a subject"),
        ({"before": "100 % {{ day"}, "Line 1: "),
        ({"after": "x" * 2001}, "Use at most 2000 characters; these are 2001."),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_field_and_kept(admin: Visitor, typed: dict[str, str], says: str) -> None:
    [name] = typed
    page = admin.post(EDIT, 422, **fields(**typed))
    assert says in words_of(page)
    assert f'href="#{name}"' in page.text
    assert "There is no mail to look at while the text cannot be used." in words_of(page)
    assert "Welcome." in page.text or name == "before"
    assert subject_now() is None


def test_the_second_of_two_tabs_is_told_what_stands(admin: Visitor) -> None:
    admin.post(EDIT, **fields())
    page = admin.post(EDIT, 409, **fields(subject="Mine"))
    assert "Somebody else changed this in the meantime." in words_of(page)
    assert "See you on {{ day }}" in words_of(page)
    assert forms_of(page)[0].fields["subject"] == "Mine"
    admin.post(EDIT, **fields(subject="Mine", version=forms_of(page)[0].fields["version"]))
    assert subject_now() == "Mine"


def test_what_is_typed_is_looked_at_and_nothing_is_saved(admin: Visitor) -> None:
    page = admin.post(EDIT, 200, **fields(do="look", before="A <b>bold</b> word"))
    assert "Subject: See you on Tuesday 10 March 2026" in words_of(page)
    assert "A <b>bold</b> word" in words_of(page)
    part = ask_for_part(admin, **fields(do="", sample="1"))
    assert "<html" not in part.text
    assert "By phone" in words_of(part)
    part = ask_for_part(admin, **fields(do="", before="{{ x }}"))
    assert "Paragraphs before the facts: Line 1: There is nothing called “x” here." in words_of(part)
    assert subject_now() is None


def ask_for_part(admin: Visitor, **typed: Any) -> TestResponse:
    data = {"csrf_token": admin.csrf_token(), **typed}
    answer = admin.open(EDIT, "POST", data=data, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return answer


def test_a_mail_in_the_frame_can_do_nothing_and_escapes_what_was_typed(admin: Visitor) -> None:
    mail = admin.post(MAIL, 200, **fields(before="<script>alert(1)</script> & <img src=x>"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;img src=x&gt;" in mail.text
    assert "<script" not in mail.text
    assert "Change or cancel it" in mail.text
    policy = mail.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert policy.endswith("frame-ancestors 'self'")
    assert "frame-src 'self'" in admin.get(EDIT).headers["Content-Security-Policy"]
    refused = admin.post(MAIL, 422, **fields(before="{{ x }}"))
    assert refused.mimetype == "text/plain"
    assert "sandbox" in refused.headers["Content-Security-Policy"]
    kept = admin.get("/backoffice/texts/mail/?kind=booked&language=de")
    assert "Ihr Termin" in kept.text


def test_an_old_text_and_the_portals_are_read_and_put_back(admin: Visitor) -> None:
    admin.post(EDIT, **fields())
    admin.post(EDIT, **fields(subject="Hello", version="1"))
    old = admin.get(OLD.format(1))
    assert "See you on {{ day }}" in words_of(old)
    assert "Booked, English: put back." in words_of(admin.follow(admin.submit(old)))
    assert subject_now() == "See you on {{ day }}"
    late = admin.submit(old, 409, expected="1")
    assert "Somebody else changed this text in the meantime." in words_of(late)
    portals = admin.get(OLD.format(0))
    assert "Your appointment on {{ day }}, {{ time }}" in words_of(portals)
    admin.submit(portals)
    assert subject_now() == ""
    assert "This is in use now." in words_of(admin.get(OLD.format(0)))
    admin.get(OLD.format(9), 404)


def test_the_desk_reads_and_does_not_change(app: Flask, world: World) -> None:
    desk = Visitor(app, "erin")
    assert "Administrators change them." in words_of(desk.get("/backoffice/texts/"))
    page = desk.get(READ)
    assert "Your appointment on {{ day }}, {{ time }}" in words_of(page)
    assert not forms_of(page)
    assert not forms_of(desk.get(OLD.format(0)))
    desk.get(EDIT, 403)
    desk.post(EDIT, 403, **fields())
    desk.post(MAIL, 403, **fields())
    desk.post("/backoffice/text/put-back/?kind=booked&language=en&version=0", 403, expected="0")
    assert subject_now() is None


def test_an_administrator_of_one_place_changes_nothing_for_all(app: Flask, world: World) -> None:
    make_admin(world.accounts["erin"], world.location_id)
    Visitor(app, "erin").post(EDIT, 403, **fields())


def test_a_text_that_failed_is_named_until_it_is_changed(admin: Visitor, world: World) -> None:
    row = change_text(actor=world.erin, key=KEY, text=Text("Hi", "", ""), expected_version=0)
    assert row is not None
    note_failed(row.id)
    page = admin.get("/backoffice/texts/")
    assert "These could not be used when a mail was made." in words_of(page)
    assert "Texts of messages 1 cannot be used" in words_of(page)
    assert "This text could not be used when a mail was made" in words_of(admin.get(EDIT))
    admin.post(EDIT, **fields(version="1"))
    assert "could not be used" not in words_of(admin.get("/backoffice/texts/"))


def test_every_text_has_its_page_and_every_name_its_meaning(admin: Visitor) -> None:
    for key in all_keys():
        neutral = "&neutral=yes" if key.is_neutral else ""
        page = admin.get(f"/backoffice/text/?kind={key.event}&language={key.language}{neutral}")
        assert all(f"{{{{ {name} }}}}" in page.text for name in key.names)
    assert len(all_keys()) == (len(KINDS) * 2 - 1) * 2


@pytest.mark.parametrize(
    "query",
    ["", "kind=x&language=en", "kind=booked&language=fr", "kind=reset_password&language=en",
     "kind=verify&language=en&neutral=yes"],
)  # fmt: skip
def test_there_are_no_other_texts(admin: Visitor, query: str) -> None:
    admin.get(f"/backoffice/text/?{query}", 404)
    admin.get(f"/backoffice/texts/mail/?{query}", 404)


def test_the_audit_log_says_what_was_changed(admin: Visitor) -> None:
    admin.post(EDIT, **fields())
    log = words_of(admin.get("/backoffice/audit/"))
    assert "Text of messages" in log
    assert "Subject: See you on {{ day }}" in log
