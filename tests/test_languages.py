"""English and German: whose language is whose, what is said in it, and that nothing is left untranslated."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import errors, languages, wording
from clinic_portal.audit import SYSTEM
from clinic_portal.database import db, writing
from clinic_portal.languages import LANGUAGES, speaking
from clinic_portal.models import Account, Appointment, AuditEntry, Patient, VisitType, VisitTypeText
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.scheduling.visit_types import change_visit_type
from clinic_portal.settings import change_setting, load_settings
from tests.bookings import book, cancel, move, open_clinic
from tests.test_backoffice import make_admin
from tests.visitor import Visitor, words_of
from tests.world import World, at

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = languages.FOLDER / "de" / "LC_MESSAGES" / "messages.po"
GERMAN_TEXTS = {
    "opening_hours_de": "Montag bis Freitag, 8 bis 18 Uhr",
    "urgent_advice_de": "Wenn es dringend ist, aber kein Notfall, rufen Sie 111 an, Tag und Nacht.",
    "emergency_signs_de": "Schmerzen oder Druck in der Brust, die nicht nachlassen\nstarke Atemnot",
}
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


# The catalogue


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The texts that are in the code now."""
    pot = tmp_path_factory.mktemp("texts") / "messages.pot"
    command = (ROOT / "Makefile").read_text()
    options = re.search(r"pybabel -q (extract .*) -o \S+", command)
    assert options
    run = [Path(sys.executable).with_name("pybabel"), "-q", *options[1].split(), "-o", str(pot), "."]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    with pot.open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="module")
def german() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="de", abort_invalid=True)


def test_the_catalogue_has_the_texts_of_the_code_and_no_others(collected: Catalog, german: Catalog) -> None:
    ours, theirs = ({message.id for message in catalogue if message.id} for catalogue in (collected, german))
    assert len(ours) > 500
    assert ours - theirs == set(), "run `make translations` and translate what is new"
    assert theirs - ours == set(), "run `make translations`"
    assert not german.obsolete


def test_every_text_is_translated(german: Catalog) -> None:
    for message in german:
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(said), message.id
        assert not message.fuzzy or not message.id, message.id


MARKS = re.compile(r"%\(\w+\)[sd]|\{\w+\}|</?\w+[^>]*>")


def test_placeholders_and_markup_are_the_same_in_every_language(german: Catalog) -> None:
    for message in german:
        if not message.id:
            continue
        ids, said = ((each,) if isinstance(each, str) else each for each in (message.id, message.string))
        for text in said:
            assert sorted(MARKS.findall(text)) in [sorted(MARKS.findall(each)) for each in ids], text
            assert text.replace("%(", "").count("%") == 0, text
            assert text == text.strip(), text


def test_texts_end_alike(german: Catalog) -> None:
    """A sentence stays a sentence, a question one, and a label a label."""
    for message in german:
        if message.id and isinstance(message.id, str):
            assert isinstance(message.string, str)
            ends = [re.sub(r"[^.?:]", "", text[-1]) for text in (message.id, message.string)]
            if message.id != "Check this is not an emergency" and not message.id.endswith("%(hours)s."):
                assert ends[0] == ends[1], message.id


def test_what_is_compiled_is_the_catalogue(german: Catalog) -> None:
    with speaking("de"):
        for message in german:
            if isinstance(message.id, tuple):
                assert tuple(languages.translated_plural(*message.id, num) for num in (1, 2)) == message.string
            elif message.id:
                assert languages.translated(message.id) == message.string, "run `make setup`"


def refusals(kind: type[errors.DomainError] = errors.DomainError) -> Iterator[type[errors.DomainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from refusals(child)


def test_every_refusal_can_be_said(collected: Catalog) -> None:
    # Tests may have refusals of their own.
    kinds = [kind for kind in refusals() if kind.__module__.startswith("clinic_portal.")]
    assert NoteRefused in kinds
    for kind in kinds:
        assert kind.__doc__
        assert kind.__doc__.splitlines()[0] in collected, kind


# Words


def test_days_and_times_are_said_in_german() -> None:
    half_past, zone = datetime(2026, 11, 24, 10, 15, tzinfo=UTC), "Europe/London"
    with speaking("de"):
        assert wording.date_long(date(2026, 11, 24)) == "Dienstag, 24.\N{NO-BREAK SPACE}November 2026"
        assert wording.date_plain(date(2026, 3, 2)) == "2.\N{NO-BREAK SPACE}März 2026"
        assert (
            wording.day_and_time(half_past, zone)
            == "Dienstag, 24.\N{NO-BREAK SPACE}November, 10:15\N{NO-BREAK SPACE}Uhr"
        )
        assert wording.time_short(datetime(2026, 11, 24, 12, 0, tzinfo=UTC), zone) == "12:00\N{NO-BREAK SPACE}Uhr"
        assert wording.time_short(datetime(2026, 11, 24, 8, 5, tzinfo=UTC), zone) == "08:05\N{NO-BREAK SPACE}Uhr"
        assert wording.time_short(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone) == "01:30\N{NO-BREAK SPACE}Uhr BST"
        assert (wording.weekday_short(date(2026, 9, 1)), wording.day_month(date(2026, 9, 1))) == (
            "Di",
            "1.\N{NO-BREAK SPACE}Sept.",
        )
    assert wording.day_and_time(half_past, zone) == "Tuesday 24 November, 10:15am"
    assert (wording.weekday_short(date(2026, 9, 1)), wording.day_month(date(2026, 9, 1))) == ("Tue", "1 Sep")


def test_a_refusal_is_english_in_logs_and_german_on_pages() -> None:
    one, many = languages.NN_("%(num)d day, from %(day)s", "%(num)d days, from %(day)s")
    counted = errors.TooSoonAfterLast((one, many), num=2, day=date(2026, 3, 6))
    plain = errors.SlotTaken()
    with speaking("de"):
        assert str(counted) == "2 days, from Friday 6 March 2026"
        assert str(plain) == "This time is no longer available."
        assert wording.say(plain) == "Diese Zeit ist nicht mehr frei."
        assert wording.say(counted) == "2 days, from Freitag, 6.\N{NO-BREAK SPACE}März 2026"
    assert wording.say(counted) == str(counted)
    assert str(errors.TooSoonAfterLast((one, many), num=1, day=date(2026, 3, 6))).startswith("1 day, ")
    assert (
        str(errors.InvalidRequest("100 % of it")) == wording.say(errors.InvalidRequest("100 % of it")) == "100 % of it"
    )


def test_mails_in_an_unknown_language_are_english() -> None:
    with speaking("de"):
        assert languages._("Name") == "Name"
        assert languages._("Back") == "Zurück"
        with speaking("pl"):
            assert languages._("Back") == "Back"
        assert languages._("Back") == "Zurück"
    assert languages.current() == "en"


# Whose language


def language_of(visitor: Visitor, path: str = "/", **headers: str) -> str:
    answer = visitor.open(path, headers=headers)
    said = answer.headers["Content-Language"]
    tag = re.search(r'<html lang="([^"]+)"', answer.text)
    assert tag
    assert tag[1] == {"en": "en-GB", "de": "de"}[said]
    assert {"accept-language", "cookie"} <= {name.lower() for name in answer.vary}
    return said


def choose(visitor: Visitor, language: str, status: int = 303, **fields: str) -> str:
    return visitor.post("/language", status, language=language, **fields).headers.get("Location", "")


def test_the_browser_says_the_language_until_the_reader_does(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    assert language_of(visitor) == "en"
    assert language_of(visitor, **GERMAN) == "de"
    assert language_of(visitor, **{"Accept-Language": "fr"}) == "en"
    choose(visitor, "en")
    assert language_of(visitor, **GERMAN) == "en"
    choose(visitor, "de")
    assert language_of(visitor) == "de"
    assert language_of(Visitor(app)) == "en"


def test_an_account_keeps_what_its_owner_chose_on_every_device(app: Flask, world: World) -> None:
    choose(Visitor(app, "alice"), "de")
    phone = Visitor(app, "alice")
    assert language_of(phone, "/appointments") == "de"
    assert "Ihre Termine" in words_of(phone.get("/appointments"))
    choose(phone, "en")
    account = select(Account.language).filter_by(id=world.accounts["alice"])
    assert db.session().scalar(account) == "en"
    changes = select(AuditEntry.action).where(AuditEntry.actor_account_id == world.accounts["alice"])
    assert list(db.session().scalars(changes)) == ["change_language", "change_language"]


def test_what_was_chosen_in_this_browser_counts_more_than_the_account(app: Flask, world: World) -> None:
    kept(Account, world.accounts["alice"], language="de")
    alice = Visitor(app, "alice")
    assert language_of(alice, **{"Accept-Language": "en"}) == "de"
    with alice.client.session_transaction() as session:
        session["language"] = "en"
    assert language_of(alice) == "en"


def test_a_language_that_is_not_there_is_refused_and_nothing_kept(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    refused = alice.post("/language", 422, language="xx")
    assert "Choose one of the languages on the page." in words_of(refused)
    assert db.session().scalar(select(Account.language).filter_by(id=world.accounts["alice"])) is None


@pytest.mark.parametrize(
    ("target", "lands"),
    [("/book/who?patient=x", "/book/who?patient=x"), ("//evil.example", "/"), ("https://evil.example", "/"), ("", "/")],
)
def test_choosing_a_language_leads_back_to_the_page_and_nowhere_else(
    app: Flask, world: World, target: str, lands: str
) -> None:
    assert choose(Visitor(app), "de", next=target) == lands


def test_the_form_at_the_foot_offers_the_other_language_and_comes_back(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    page = alice.get("/profile").text
    form = page[page.index('action="/language"') :]
    assert '<input type="hidden" name="next" value="/profile">' in form
    assert re.findall(r'<button[^>]*name="language" value="(\w+)" lang="(\w+)"[^>]*>(\w+)<', form) == [
        ("de", "de", LANGUAGES["de"])
    ]


def test_a_page_that_cannot_be_opened_again_leads_to_the_first_one(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    refused = alice.open("/profile/contacts/nobody/prefer", "POST", data={"csrf_token": alice.csrf_token()})
    assert refused.status_code == 404
    assert '<input type="hidden" name="next" value="/">' in refused.text


def test_the_back_office_is_english_and_files_have_no_language(app: Flask, world: World) -> None:
    erin = Visitor(app, "erin")
    choose(erin, "de")
    assert erin.get("/backoffice/").headers["Content-Language"] == "en"
    style = re.search(r'href="(/static/[^"]+\.css)"', erin.get("/").text)
    assert style
    for path in (style[1], "/healthz"):
        answer = erin.open(path)
        assert "Content-Language" not in answer.headers
        assert "accept-language" not in {name.lower() for name in answer.vary}


def test_doctors_read_their_day_in_german(app: Flask, world: World) -> None:
    open_clinic(world)
    chen = Visitor(app, "chen")
    choose(chen, "de")
    day = words_of(chen.get("/doctor/?day=2026-03-03"))
    assert "Dienstag, 3. März" in day
    assert "09:00 Uhr bis 12:00 Uhr" in day
    assert "0 gebucht, 180 Minuten frei" in day


def test_a_fault_is_told_in_german(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    assert "Seite nicht gefunden" in words_of(visitor.get("/nowhere", 404, **GERMAN))
    assert "E-Mail-Adresse oder das Passwort stimmt nicht" in words_of(wrong_sign_in(visitor))


def wrong_sign_in(visitor: Visitor):  # type: ignore[no-untyped-def]
    form = {"email": "nobody@example.com", "password": "not the right one", "csrf_token": visitor.csrf_token()}
    return visitor.open("/login", "POST", data=form, headers=GERMAN)


# A booking


@writing
def kept(session: Session, model: type, row_id: int, **values: object) -> None:
    """Change one row as somebody at the clinic would."""
    row = session.get_one(model, row_id)
    for name, value in values.items():
        setattr(row, name, value)


def test_a_visit_is_booked_in_german_from_the_question_to_the_mail(app: Flask, world: World) -> None:
    open_clinic(world)
    kept(Patient, world.alice_id, preferred_language="de")
    alice = Visitor(app, "alice")
    choose(alice, "de")
    patient = db.session().get_one(Patient, world.alice_id).public_id
    visit_type = db.session().get_one(VisitType, world.check_up_id).public_id
    times = alice.get(f"/book/times?patient={patient}&visit_type={visit_type}&place=any&needs=none")
    said = words_of(times)
    assert "Wählen Sie Tag und Uhrzeit Untersuchung, 30 Minuten, Ort: alle unsere Orte. Tage ab Montag, 2. März" in said
    assert "Di 3. März Dienstag, 3. März, Frei" in said
    assert "Vormittag Dienstag, 3. März, 09:00 Uhr" in said
    assert 'data-says="Sie haben gewählt: {time}"' in times.text
    check = alice.follow(alice.submit(times, start="20260303T0900Z"))
    assert "Prüfen Sie Ihre Angaben" in words_of(check)
    assert "bis 08:10 Uhr für Sie frei" in words_of(check)
    booked = alice.follow(alice.submit(check))
    assert "Termin gebucht" in words_of(booked)
    assert "Dienstag, 3. März, 09:00 Uhr" in words_of(booked)
    mails = sent(app)
    plain = text_of(mails["alice@example.com"][0])
    assert (
        mails["alice@example.com"][0]["Subject"]
        == "Ihr Termin am Dienstag, 3.\N{NO-BREAK SPACE}März 2026, 09:00\N{NO-BREAK SPACE}Uhr"
    )
    assert mails["alice@example.com"][0]["Content-Language"] == "de"
    assert "Wann:      Dienstag, 3.\N{NO-BREAK SPACE}März 2026, 09:00\N{NO-BREAK SPACE}Uhr" in plain
    assert mails["chen@example.com"][0]["Subject"].startswith("New in your day: Tuesday 3 March 2026, 9am")


def test_every_mail_about_a_visit_speaks_the_readers_language(app: Flask, world: World) -> None:
    open_clinic(world)
    kept(Patient, world.alice_id, preferred_language="de")
    kept(Account, world.accounts["chen"], language="de")
    visit = book(world, at(9, day=1))
    move_to = move(world, visit, at(10, day=1))
    sent(app)
    cancel(world, move_to)
    mails = sent(app)
    assert [mail["Subject"].partition(" am ")[0].partition(":")[0] for mail in mails["alice@example.com"]] == [
        "Ihr Termin ist jetzt", "Abgesagt",
    ]  # fmt: skip
    assert {mail["Subject"].partition(":")[0] for mail in mails["chen@example.com"]} <= {
        "Neu",
        "Verschoben",
        "Abgesagt",
    }
    for mail in (mail for of_one in mails.values() for mail in of_one):
        html = mail.get_body(("html",))
        assert html is not None
        assert '<html lang="de">' in html.get_content()
        assert "Summary:Termin: Harbour Street Clinic".lower() in calendar_of(mail).lower()


# The clinic's own texts


def tell(**texts: str) -> None:
    """Set texts of the clinic, by the names of settings."""
    for name, text in texts.items():
        change_setting(actor=SYSTEM, name=name, value=text)


def test_kinds_of_visits_are_told_in_the_readers_language_as_far_as_the_clinic_says_it(
    app: Flask, world: World
) -> None:
    alice = Visitor(app, "alice")
    assert "Check-up A general check" in words_of(alice.get("/book/visit-type"))
    choose(alice, "de")
    asked = alice.get("/book/visit-type")
    assert "Untersuchung A general check" in words_of(asked)
    assert '<span lang="en-GB">A general check</span>' in asked.text, "who has the page read aloud hears it in English"
    assert '<span lang="en-GB">Vaccine</span>' in asked.text
    kept(VisitType, world.check_up_id, how_to_prepare="Eat nothing.")
    say_in_german(world, how_to_prepare="Essen Sie nichts.", hint="Einmal alles")
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = words_of(alice.get(f"/appointments/{visit.public_id}"))
    assert "Untersuchung, 30 Minuten" in page
    assert "Essen Sie nichts." in page
    assert "Untersuchung Einmal alles" in words_of(alice.get("/book/visit-type"))
    choose(alice, "en")
    assert "Eat nothing." in words_of(alice.get(f"/appointments/{visit.public_id}"))


def say_in_german(world: World, **texts: str) -> None:
    admin, visit_type = world.erin, db.session().get_one(VisitType, world.check_up_id)
    change_visit_type(
        actor=admin, visit_type_id=visit_type.id, values={f"{name}_de": text for name, text in texts.items()},
        expected_version=visit_type.version,
    )  # fmt: skip


def test_a_refusal_names_the_kind_of_visit_as_its_reader_knows_it(app: Flask, world: World) -> None:
    kept(VisitType, world.check_up_id, min_age=90)
    alice = Visitor(app, "alice")
    choose(alice, "de")
    patient = db.session().get_one(Patient, world.alice_id).public_id
    visit_type = db.session().get_one(VisitType, world.check_up_id).public_id
    address = f"/book/times?patient={patient}&visit_type={visit_type}&place=any&needs=none"
    open_clinic(world)
    assert "Untersuchung ist für Menschen ab 90 Jahren." in words_of(alice.get(address, 403))


def test_hours_and_advice_are_the_clinics_own_in_each_language_else_the_english_ones(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    choose(visitor, "de")
    home = words_of(visitor.get("/"))
    assert "Montag bis Freitag" in home
    assert "Wenn es dringend ist, aber kein Notfall, rufen Sie uns an." in home
    tell(opening_hours="Every day, 7am to 9pm", urgent_advice="Ring 111.")
    home = words_of(visitor.get("/"))
    assert "Every day, 7am to 9pm" in home
    assert "Ring 111." in home
    assert '<span lang="en-GB">Ring 111.</span>' in visitor.get("/").text
    assert "Ring 111.</p>" in Visitor(app).get("/").text
    tell(opening_hours_de="Täglich von 7 bis 21 Uhr", urgent_advice_de="Rufen Sie 111 an.")
    home = words_of(visitor.get("/"))
    assert "Täglich von 7 bis 21 Uhr" in home
    assert "Every day" not in home
    assert "Rufen Sie 111 an." in home
    assert "Every day, 7am to 9pm" in words_of(Visitor(app).get("/"))
    tell(opening_hours_de="")
    assert "Every day, 7am to 9pm" in words_of(visitor.get("/"))


def test_what_a_visit_type_says_counts_more_than_what_the_clinic_says_in_the_readers_language(world: World) -> None:
    tell(emergency_signs="in general", emergency_signs_de="im Allgemeinen")
    with speaking("de"):
        assert told(world) == "im Allgemeinen"
        change_setting(actor=SYSTEM, name="emergency_signs", value="for a check-up", visit_type="Check-up")
        assert told(world) == "for a check-up"
        change_setting(actor=SYSTEM, name="emergency_signs_de", value="für Untersuchungen", visit_type="Check-up")
        assert told(world) == "für Untersuchungen"
    assert told(world) == "for a check-up"


def told(world: World) -> str:
    db.session.rollback()
    return load_settings(db.session()).text("emergency_signs", world.check_up_id)


def test_the_emergency_check_counts_in_whichever_language_it_was_answered(app: Flask, world: World) -> None:
    open_clinic(world)
    kept(VisitType, world.check_up_id, may_be_acute=True)
    tell(emergency_signs="chest pain", emergency_signs_de="Brustschmerzen")
    alice = Visitor(app, "alice")
    choose(alice, "de")
    asked = alice.follow(alice.submit(alice.get("/book/visit-type"), visit_type=public_id_of(world)))
    assert "Brustschmerzen" in words_of(asked)
    assert "chest pain" not in words_of(asked)
    place = alice.submit(asked, emergency="none")
    choose(alice, "en")
    times = alice.get(place.headers["Location"].replace("/book/help", "/book/times") + "&needs=none")
    check = alice.follow(alice.submit(times, start="20260303T0900Z"))
    alice.submit(check)
    db.session.rollback()
    visit = db.session().scalars(select(Appointment)).one()
    assert visit.safety_answer["text"] == ["Brustschmerzen"]


def public_id_of(world: World) -> str:
    return db.session().get_one(VisitType, world.check_up_id).public_id


def test_an_administrator_writes_what_patients_read_in_german(app: Flask, world: World) -> None:
    make_admin(world.accounts["erin"])
    erin = Visitor(app, "erin")
    form = erin.get(f"/backoffice/visit-type/?id={public_id_of(world)}")
    assert "What patients read in German" in words_of(form)
    assert "Emergency signs in German" in words_of(form)
    too_long = erin.submit(form, 422, who_may_book="anyone", hint_de="x" * 201)
    assert "Use no to 200 characters." in words_of(too_long)
    erin.submit(form, who_may_book="anyone", name_de="", hint_de="Einmal alles", what_to_bring_de="Ihre Karte")
    db.session.rollback()
    text = db.session().scalars(select(VisitTypeText)).one()
    assert (text.language, text.name, text.hint, text.what_to_bring) == ("de", "", "Einmal alles", "Ihre Karte")
    alice = Visitor(app, "alice")
    choose(alice, "de")
    assert "Check-up Einmal alles" in words_of(alice.get("/book/visit-type"))
    vaccine = db.session().get_one(VisitType, world.vaccine_id).public_id
    erin.submit(erin.get(f"/backoffice/visit-type/?id={vaccine}"), who_may_book="anyone", name_de="Impfung")
    assert "Impfung" in words_of(alice.get("/book/visit-type"))


def test_patients_choose_the_language_of_their_mails(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    profile = alice.get("/profile")
    assert "Language of our mails English" in words_of(profile)
    link = re.search(r'href="(/profile/[^"]+/language)"', profile.text)
    assert link
    page = alice.get(link[1])
    assert "Choose a language" in words_of(alice.submit(page, 422, mail_language="xx"))
    done = alice.follow(alice.submit(page, mail_language="de"))
    assert "We write in Deutsch from now on." in words_of(done)
    alice.submit(page, mail_language="de")
    patient = db.session().get_one(Patient, world.alice_id)
    assert patient.preferred_language == "de"
    changes = select(AuditEntry.action).where(AuditEntry.for_patient_id == world.alice_id)
    assert list(db.session().scalars(changes)) == ["change_mail_language"]
    # The pages stay as they are.
    assert language_of(alice) == "en"


def test_a_mail_about_an_account_speaks_its_owners_language(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    form = {
        "given_name": "Zoë", "family_name": "Neumann", "birth-day": "31", "birth-month": "3", "birth-year": "1980",
        "email": "zoe@example.net", "password": "purple teapot tractor",
    }  # fmt: skip
    choose(visitor, "de")
    visitor.post("/register", **form)
    account = db.session().scalars(select(Account).filter_by(email="zoe@example.net")).one()
    zoe = db.session().scalars(select(Patient).filter_by(given_name="Zoë")).one()
    assert (account.language, zoe.preferred_language) == ("de", "de")
    mail = sent(app)["zoe@example.net"][0]
    assert mail["Subject"] == "Bestätigen Sie Ihre E-Mail-Adresse"
    assert "Der Link gilt 3 Tage." in text_of(mail)


def test_a_mistake_in_a_form_is_told_in_german(app: Flask, world: World) -> None:
    visitor = Visitor(app)
    choose(visitor, "de")
    refused = visitor.post("/register", 422, **{"birth-day": "31", "given_name": "4"})
    for words in ("Fehler: Konto anlegen", "Im Geburtsdatum fehlen Monat und Jahr", "Geben Sie ein Passwort ein",
                  "Geben Sie Ihren Vornamen in Buchstaben ein", "Geben Sie Ihren Nachnamen ein"):  # fmt: skip
        assert words in words_of(refused), words


def sent(app: Flask) -> dict[str, list[EmailMessage]]:
    """What has been mailed so far, by reader, oldest first."""
    assert delivery.deliver_due()
    folder = app.config["PORTAL"].mail_dir
    found: dict[str, list[EmailMessage]] = {}
    for kept_mail in reversed(list_captured(folder)):
        mail = message_from_bytes(read_captured(folder, kept_mail.id).raw, policy=default)
        assert isinstance(mail, EmailMessage)
        found.setdefault(str(mail["To"]), []).append(mail)
    return found


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def calendar_of(mail: EmailMessage) -> str:
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    return str(parts[0].get_content())
