"""A clinic's own words of messages: what a text may hold, what leaves as a mail, and what became of the old words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, current_app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.languages import LANGUAGES, Foreign, speaking
from clinic_portal.models import AuditEntry, Event, MessageText, Notification, Patient, Recipient
from clinic_portal.notifications import delivery, messages, samples
from clinic_portal.notifications.captured import CapturedMail, list_captured, read_captured
from clinic_portal.notifications.kinds import KINDS, PRIVATE, Text
from clinic_portal.notifications.message_texts import (
    OwnText,
    TextKey,
    all_keys,
    built_in_text,
    change_text,
    check_text,
    cleaned,
    count_failed,
    newest,
    put_back,
    text_of,
    versions,
)
from clinic_portal.notifications.sandbox import FILTERS, BadText, check, clean, fill_in, fill_in_paragraphs, one_line
from tests.bookings import book, cancel, open_clinic
from tests.world import NOW, World, at

NAMES = ("visit", "day", "clinic")
BOOKED = TextKey(Event.BOOKED, "en")
OWN = Text("Your visit on {{ day }}", "Dear patient,\nwelcome to {{ clinic }}.", "Bring <b>this</b> & be well.")


def change(world: World, key: TextKey = BOOKED, text: Text = OWN, version: int = 0) -> MessageText | None:
    return change_text(actor=world.erin, key=key, text=text, expected_version=version)


def counts(key: TextKey = BOOKED) -> MessageText | None:
    db.session().rollback()
    db.session().expire_all()
    return newest(db.session(), key)


def mails_to_alice() -> list[CapturedMail]:
    """What left for her, oldest first."""
    delivery.deliver_due()
    folder = current_app.config["PORTAL"].data_dir / "mail"
    heads = sorted((head for head in list_captured(folder) if "alice" in head.to), key=lambda head: head.id)
    return [read_captured(folder, head.id) for head in heads]


# What a text may hold

ATTACKS = [
    "{{ 7 * 7 }}",
    "{{ 'a' * 999999999 }}",
    "{{ visit.__class__ }}",
    "{{ visit['__class__'] }}",
    "{{ visit[0] }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ joiner }}",
    "{{ namespace() }}",
    "{{ range(999999999) }}",
    "{{ visit() }}",
    "{{ visit|attr('__class__') }}",
    "{{ visit|map('upper') }}",
    "{{ visit|format(1) }}",
    "{{ visit|center(999999999) }}",
    "{{ visit|safe }}",
    "{{ visit|upper(1) }}",
    "{{ visit|upper(*day) }}",
    "{{ visit|upper(**day) }}",
    "{{ visit if day else clinic }}",
    "{{ visit ~ day }}",
    "{{ not visit }}",
    "{{ (not visit)|upper }}",
    "{{ visit and day }}",
    "{% if (not visit)|upper %}x{% endif %}",
    "{{ visit + day }}",
    "{{ -visit }}",
    "{{ visit > day }}",
    "{{ visit is defined }}",
    "{{ [visit] }}",
    "{{ (visit, day) }}",
    "{{ {visit: day} }}",
    "{{ 'x' }}",
    "{{ 1 }}",
    "{{ none }}",
    "{{ true }}",
    "{% if true %}x{% endif %}",
    "{% if visit in day %}x{% endif %}",
    "{% for one in visit %}{{ one }}{% endfor %}",
    "{% for one in range(9) recursive %}{{ loop(one) }}{% endfor %}",
    "{% set visit = day %}",
    "{% set visit %}x{% endset %}",
    "{% with day = visit %}x{% endwith %}",
    "{% macro x() %}{{ x() }}{% endmacro %}",
    "{% call visit() %}x{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% block x %}x{% endblock %}",
    "{% include 'email/base.html' %}",
    "{% import 'email/base.html' as x %}",
    "{% from 'email/base.html' import x %}",
    "{% extends 'email/base.html' %}",
    "{% autoescape true %}x{% endautoescape %}",
    "{% trans %}x{% endtrans %}",
    "{% do visit.append(1) %}",
    "{% debug %}",
    "{{ visit",
    "{% if visit %}x",
    "{% endif %}",
    "{# x",
    "{{ }}",
    "{{ " + "(" * 900 + "visit" + ")" * 900 + " }}",
    "{{ " + "not " * 450 + "visit }}",
    "{{ visit" + "|upper" * 300 + " }}",
    "{% if visit %}" * 60 + "x" + "{% endif %}" * 60,
    "{{ unknown }}",
    "{{ вisit }}",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack[:50])
def test_a_text_holds_nothing_but_names_and_conditions(attack: str) -> None:
    with pytest.raises(BadText) as refused:
        check(f"Hello,\n{attack}", NAMES)
    assert str(refused.value).startswith("Line ")


def test_the_fault_is_named_with_its_line() -> None:
    with pytest.raises(BadText, match=r"Line 3: There is nothing called “vist” here\."):
        check("Hello\n\n{{ vist }}", NAMES)


def test_names_filters_and_conditions_are_filled_in() -> None:
    text = "{% if visit and not day %}{{ visit|upper }}{% elif day %}{{ day|lower }}{% else %}none{% endif %}!"
    check(text, NAMES)
    assert fill_in(text, {"visit": "Check-up", "day": None}) == "CHECK-UP!"
    assert fill_in(text, {"visit": "Check-up", "day": "MONDAY"}) == "monday!"
    assert fill_in(text, {"visit": None, "day": ""}) == "none!"


def test_what_is_filled_in_is_never_read_as_a_text() -> None:
    assert fill_in("{{ visit }}", {"visit": "{{ day }}{% if %}<b>", "day": "x"}) == "{{ day }}{% if %}<b>"


def test_a_fact_brings_no_lines_and_nothing_that_nobody_sees() -> None:
    assert fill_in("{{ visit }}", {"visit": "A\r\nBcc: x@example.org\x00\u202e\u2028B"}) == "A Bcc: x@example.org B"
    assert one_line("a \r\n b\tc") == "a b c"
    assert clean("  a\x00\x08\r\nb\rc\u2029d\ud800 ") == "a\nb\nc\nd"
    assert clean("2.\xa0März") == "2.\xa0März"


def test_a_blank_line_begins_a_paragraph() -> None:
    assert fill_in_paragraphs("\na\nb\n \n\n\nc\n", {}) == [["a", "b"], ["c"]]
    assert fill_in_paragraphs(" \n ", {}) == []


def test_what_is_in_english_is_marked_in_html_and_nobody_can_type_the_marks() -> None:
    facts = {"visit": Foreign("check-<up>"), "day": "\ue000x"}
    [[line]] = fill_in_paragraphs("Für: {{ visit|capitalize }} & {{ day }}", facts)
    assert line == "Für: Check-<up> & x"
    assert escape(line) == 'Für: <span lang="en-GB">Check-&lt;up&gt;</span> &amp; x'
    assert fill_in("{{ visit }}", facts) == "check-<up>"
    assert clean("a\ue000b\ue001") == "ab"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (replace(OWN, subject=""), "subject"),
        (replace(OWN, subject="{% if place %}x{% endif %}"), "subject"),
        (replace(OWN, subject="{% if not place %}x{% endif %}"), "subject"),
        (replace(OWN, subject="x" * 151), "subject"),
        (replace(OWN, before="x" * 2001), "before"),
        (replace(OWN, after="{{ old_day }}"), "after"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_field(text: Text, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_text(BOOKED, text)
    assert refused.value.facts["field"] == field


# The portal's own words


@pytest.mark.parametrize("key", all_keys(), ids=str)
def test_the_portals_own_words_are_such_texts_and_make_the_mails(app: Flask, world: World, key: TextKey) -> None:
    text = cleaned(built_in_text(key))
    check_text(key, text)
    for letter in samples.samples(db.session(), key):
        own, portals = (messages.compose(replace(letter, own=one)) for one in (OwnText(1, text), None))
        for kind in ("plain", "html"):
            assert body(own, kind) == body(portals, kind)
        assert own["Subject"] == portals["Subject"]


def body(mail: Any, kind: str) -> str:
    return str(mail.get_body((kind,)).get_content())


def test_every_message_to_a_patient_can_be_worded_in_every_language() -> None:
    doctors_and_accounts = {
        Event.CONFIRM_EMAIL, Event.ALREADY_REGISTERED, Event.RESET_PASSWORD, Event.PASSWORD_CHANGED,
        Event.CHANGE_EMAIL, Event.EMAIL_CHANGED, Event.SECOND_STEP_ADDED, Event.SECOND_STEP_REMOVED,
        Event.SECOND_STEP_RESET, Event.RECOVERY_CODE_USED, Event.HOURS_CHANGED, Event.HOURS_REFUSED,
    }  # fmt: skip
    assert set(KINDS) == set(Event) - doctors_and_accounts
    assert {key.language for key in all_keys()} == set(LANGUAGES)


@pytest.mark.parametrize("key", [key for key in all_keys() if key.is_neutral], ids=str)
def test_a_neutral_text_can_name_nothing_that_tells(app: Flask, world: World, key: TextKey) -> None:
    assert not key.names & PRIVATE
    for number in range(len(samples.sample_names(key))):
        shown = samples.show(db.session(), key, built_in_text(key), number)
        for told in (shown.subject, shown.plain, shown.html):
            assert not any(word in told for word in ("Check-up", "Vorsorge", "Dr Kim Sommer", "Harbour Street,"))


# Any text that is accepted

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["\n\n", "<script>", "&amp;", "{", "}}", "\r\nBcc: x@example.org", "ß", "😀", "%", "%(day)s"]),
)


def texts_of(key: TextKey) -> st.SearchStrategy[tuple[TextKey, Text]]:
    """Texts of this kind as somebody might type them."""
    names = st.sampled_from(sorted(key.names))
    told = st.builds("{{{{ {}{} }}}}".format, names, st.sampled_from(["", *(f"|{name}" for name in FILTERS)]))
    condition = st.builds("{}{}".format, st.sampled_from(["", "not "]), names)
    either = st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, condition, told, WORDS)
    source = st.lists(st.one_of(WORDS, told, either), max_size=8).map("".join)
    subject = st.builds("Hello {}".format, source)
    return st.tuples(st.just(key), st.builds(Text, subject, source, source))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(all_keys()).flatmap(texts_of))
def test_whatever_is_accepted_makes_every_mail(app: Flask, world: World, which: tuple[TextKey, Text]) -> None:
    key, text = which[0], cleaned(which[1])
    try:
        check_text(key, text)
    except InvalidRequest:
        return
    for letter in samples.samples(db.session(), key):
        with_own, plain = messages.compose(replace(letter, own=OwnText(1, text))), messages.compose(letter)
        assert str(with_own["Subject"]).startswith("Hello")
        assert with_own.keys() == plain.keys()
        assert [with_own[name] for name in ("To", "From")] == [plain[name] for name in ("To", "From")]
        # As a mail program reads it: nothing has slipped into the head.
        assert b"\nBcc:" not in with_own.as_bytes().partition(b"\r\n\r\n")[0]
        assert links_of(body(with_own, "html")) == links_of(body(plain, "html"))
        assert "<script" not in body(with_own, "html")


def links_of(html: str) -> list[str]:
    return sorted(part.split('"')[0] for part in html.split('href="')[1:])


# What leaves


def test_a_saved_text_is_what_leaves_and_the_facts_and_links_stay(world: World) -> None:
    change(world)
    open_clinic(world)
    book(world, at(9, day=1))
    [mail] = mails_to_alice()
    assert mail.subject == "Your visit on Tuesday 3 March 2026"
    assert "Dear patient,\r\nwelcome to Harbour Street Clinic.\r\n" in mail.plain
    assert "Bring <b>this</b> & be well." in mail.plain
    assert mail.html is not None
    assert "Dear patient,<br>welcome to Harbour Street Clinic." in mail.html
    assert "Bring &lt;b&gt;this&lt;/b&gt; &amp; be well." in mail.html
    for told in (mail.plain, mail.html):
        assert "Your appointment is booked" in told
        assert "Dr Chen" in told or "Dr Diaz" in told
        assert "12 Harbour Street" in told
        assert "Change or cancel it" in told
    assert "Change or cancel it: http" in mail.plain


def test_a_sensitive_visit_has_its_own_text_or_the_portals(world: World) -> None:
    change(world)
    open_clinic(world)
    book(world, at(9, day=1), visit_type_id=world.vaccine_id)
    [mail] = mails_to_alice()
    assert mail.subject == "Your appointment on Tuesday 3 March 2026, 9am"
    assert "welcome" not in mail.plain
    neutral = replace(BOOKED, is_neutral=True)
    change(world, neutral, Text("See you on {{ day }}", "", ""))
    book(world, at(10, day=1), visit_type_id=world.vaccine_id)
    assert mails_to_alice()[-1].subject == "See you on Tuesday 3 March 2026"
    with pytest.raises(InvalidRequest, match="nothing called “visit”"):
        change(world, neutral, Text("{{ visit }}", "", ""), version=1)


def test_each_reader_has_the_text_of_their_language_and_doctors_have_the_portals(world: World) -> None:
    change(world, replace(BOOKED, language="de"), Text("Ihr Besuch", "", ""))
    _speak_german(alice_id=world.alice_id)
    open_clinic(world)
    book(world, at(9, day=1))
    book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    [mail] = mails_to_alice()
    assert mail.subject == "Ihr Besuch"
    folder = current_app.config["PORTAL"].data_dir / "mail"
    others = {head.subject for head in list_captured(folder) if "alice" not in head.to}
    assert "Your appointment on Tuesday 3 March 2026, 10am" in others
    assert "Ihr Besuch" not in others


@writing
def _speak_german(session: Session, *, alice_id: int) -> None:
    session.get_one(Patient, alice_id).preferred_language = "de"


@pytest.mark.parametrize("before", ["{{ gone }}", "{% for x in day %}", "{{ day.x }}"])
def test_a_text_that_fails_loses_no_message_and_is_shown_to_staff(world: World, before: str) -> None:
    _save_unchecked(before=before)
    open_clinic(world)
    visit = book(world, at(9, day=1))
    [mail] = mails_to_alice()
    assert mail.subject == "Your appointment on Tuesday 3 March 2026, 9am"
    assert "Never" not in mail.plain
    rows = db.session().scalars(select(Notification).filter_by(appointment_id=visit.id, recipient=Recipient.PATIENT))
    assert [row.delivery.value for row in rows if row.event is Event.BOOKED] == ["sent"]
    row = counts()
    assert row is not None
    assert row.failed_at == NOW
    assert count_failed(db.session()) == 1
    change(world, version=1)
    assert count_failed(db.session()) == 0, "the new one counts, and has not failed"


@writing
def _save_unchecked(session: Session, *, before: str) -> None:
    """As one that was saved when there was such a name."""
    session.execute(insert(MessageText).values(
        kind="booked", language="en", is_neutral=False, version=1, is_own=True, subject="Never", before=before,
        after="", made_at=NOW,
    ))  # fmt: skip


def test_a_subject_that_comes_out_empty_is_the_heading(world: World) -> None:
    subject = "{% if visit and not place %}{% else %}Hello{% endif %}"
    [at_clinic, by_phone] = samples.samples(db.session(), BOOKED)
    assert messages.compose(replace(at_clinic, own=OwnText(1, Text(subject, "", ""))))["Subject"] == "Hello"
    by_phone_mail = messages.compose(replace(by_phone, own=OwnText(1, Text(subject, "", ""))))
    assert by_phone_mail["Subject"] == "Your appointment is booked"


# Versions


def test_each_text_is_kept_and_the_audit_log_tells_what_changed(any_world: World) -> None:
    world = any_world
    change(world)
    second = replace(OWN, subject="Hello")
    change(world, text=second, version=1)
    assert [row.version for row in versions(db.session(), BOOKED)] == [2, 1]
    row = counts()
    assert row is not None
    assert (text_of(row), row.account_id, row.made_at) == (second, world.erin.account_id, NOW)
    log = select(AuditEntry).where(AuditEntry.subject_type == "message_texts").order_by(AuditEntry.id)
    first, last = db.session().scalars(log)
    assert first.actor_account_id == world.erin.account_id
    assert first.values is not None
    assert first.values.before == {"words": "portal"}
    assert last.values is not None
    assert last.values.before["subject"] == OWN.subject
    assert last.values.after["subject"] == "Hello"
    assert last.values.after["message"] == "booked"


def test_an_old_text_or_the_portals_is_put_back_as_a_new_version(any_world: World) -> None:
    world = any_world
    change(world)
    change(world, text=replace(OWN, subject="Hello"), version=1)
    put_back(actor=world.erin, key=BOOKED, version=1, expected_version=2)
    row = counts()
    assert row is not None
    assert (row.version, text_of(row)) == (3, OWN)
    put_back(actor=world.erin, key=BOOKED, version=0, expected_version=3)
    row = counts()
    assert row is not None
    assert (row.version, row.is_own) == (4, False)
    put_back(actor=world.erin, key=BOOKED, version=3, expected_version=4)
    row = counts()
    assert row is not None
    assert (row.version, text_of(row)) == (5, OWN)
    with pytest.raises(NotFound):
        put_back(actor=world.erin, key=BOOKED, version=9, expected_version=5)


def test_the_second_of_two_tabs_is_told_and_the_same_form_twice_saves_once(any_world: World) -> None:
    world = any_world
    change(world)
    change(world)
    row = counts()
    assert row is not None
    assert row.version == 1
    with pytest.raises(VersionConflict):
        change(world, text=replace(OWN, subject="Mine"))
    with pytest.raises(VersionConflict):
        put_back(actor=world.erin, key=BOOKED, version=0, expected_version=0)
    change(world, version=1)
    row = counts()
    assert row is not None
    assert row.version == 1, "nothing changed"


def test_saving_the_portals_own_words_changes_nothing(world: World) -> None:
    change(world, text=built_in_text(BOOKED))
    assert counts() is None
    with speaking("de"):
        assert built_in_text(BOOKED).subject == "Your appointment on {{ day }}, {{ time }}"


def test_an_old_text_that_cannot_be_used_any_more_is_not_put_back(world: World) -> None:
    _save_unchecked(before="{{ gone }}")
    change(world, version=1)
    with pytest.raises(InvalidRequest):
        put_back(actor=world.erin, key=BOOKED, version=1, expected_version=2)


def test_nobody_but_the_clinic_changes_a_text_and_only_one_that_there_is(world: World) -> None:
    with pytest.raises(NotAllowed):
        change_text(actor=world.alice, key=BOOKED, text=OWN, expected_version=0)
    for key in (TextKey(Event.BOOKED, "fr"), TextKey(Event.RESET_PASSWORD, "en"), TextKey(Event.VERIFY, "en", True)):
        with pytest.raises(NotFound):
            change(world, key)


def test_a_cancelled_visit_is_told_with_its_text_too(world: World) -> None:
    change(world, TextKey(Event.CANCELLED, "en"), Text("Off: {{ day }}", "We are sorry.", ""))
    open_clinic(world)
    visit = book(world, at(9, day=1))
    delivery.deliver_due()
    cancel(world, visit)
    mail = mails_to_alice()[-1]
    assert mail.subject == "Off: Tuesday 3 March 2026"
    assert "Your appointment is cancelled" in mail.plain
    assert "We are sorry." in mail.plain
    assert mail.ics is not None
