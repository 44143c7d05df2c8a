"""A patient who reads German, from the first page to the mail and the calendar, on small and large screens."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from icalendar import Calendar
from playwright.sync_api import expect

from clinic_portal.database import db
from clinic_portal.models import Appointment, Status, VisitType
from tests.bookings import open_clinic
from tests.browser.conftest import Reader
from tests.test_languages import GERMAN_TEXTS, sent, tell, text_of
from tests.test_limits import change
from tests.world import PASSWORD, World, add_session, at

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, False, id="phone-without-scripts"),
    pytest.param(320, True, id="smallest"),
]


@pytest.fixture
def clinic(world: World) -> World:
    """Two doctors, two places, several days; a check-up may be acute."""
    for day in (1, 2, 3, 8):
        open_clinic(world, day)
        add_session(world.diaz_id, at(13, day=day), at(16, 30, day=day), world.second_location_id)
    change(VisitType, world.check_up_id, may_be_acute=True)
    tell(**GERMAN_TEXTS)
    return world


def status() -> tuple[Status, str]:
    db.session().rollback()
    visit = db.session().query(Appointment).one()
    return visit.status, str(visit.starts_at)[:16]


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_patient_books_moves_and_cancels_in_german(
    app: Flask, reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts, locale="de-DE")
    me.open("/")
    me.check("de-home")
    assert me.page.locator("html").get_attribute("lang") == "de"
    me.page.get_by_role("link", name="Termin buchen").first.click()
    me.press("Anmelden")
    me.check("de-sign-in-empty")
    me.page.get_by_label("E-Mail-Adresse").fill("alice@example.com")
    me.page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    me.press("Anmelden")
    me.check("de-visit-type")
    me.page.get_by_label("Untersuchung").check()
    me.press("Weiter")
    assert me.heading() == "Ist es ein Notfall?"
    expect(me.page.get_by_text("Schmerzen oder Druck in der Brust")).to_be_visible()
    me.check("de-emergency")
    me.page.get_by_label("Nichts davon trifft zu").check()
    me.press("Weiter")
    me.check("de-place")
    me.page.get_by_label("Harbour Street").check()
    me.press("Weiter")
    me.check("de-help")
    me.page.get_by_label("Nein", exact=True).check()
    me.press("Weiter")
    me.check("de-times")
    me.page.get_by_role("link", name="Mittwoch, 4. März, Frei").click()
    expect(me.page.locator("#day-heading")).to_have_text("Mittwoch, 4. März")
    me.page.get_by_label("Mittwoch, 4. März, 10:30 Uhr").check()
    if scripts:
        expect(me.page.locator("#chosen-time")).to_have_text("Sie haben gewählt: Mittwoch, 4. März, 10:30 Uhr")
    me.check("de-times-chosen")
    me.press("Weiter")
    assert me.heading() == "Prüfen Sie Ihre Angaben, bevor Sie buchen"
    me.check("de-check")
    me.press("Termin buchen")
    assert me.heading() == "Termin gebucht"
    me.check("de-booked")
    assert status() == (Status.BOOKED, "2026-03-04 10:30")
    me.page.get_by_role("link", name="diesen Termin ändern oder absagen").click()
    me.check("de-appointment")
    me.page.get_by_role("link", name="Termin verschieben").click()
    me.check("de-move")
    me.page.get_by_label("Dienstag, 3. März, 09:00 Uhr").check()
    me.press("Weiter")
    me.check("de-check-move")
    me.press("Termin verschieben")
    assert me.heading() == "Termin verschoben"
    me.check("de-moved")
    me.open("/appointments")
    me.check("de-appointments")
    me.page.get_by_role("link", name="Absagen", exact=True).click()
    me.page.get_by_label("Es geht mir besser").check()
    me.check("de-cancel")
    me.press("Termin absagen")
    assert me.heading() == "Termin abgesagt"
    me.check("de-cancelled")
    assert status() == (Status.CANCELLED, "2026-03-03 09:00")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_whoever_sets_the_language_of_mails_gets_mails_and_calendar_entries_in_it(
    app: Flask, reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    change(VisitType, clinic.check_up_id, may_be_acute=False)
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    expect(me.page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
    me.page.get_by_role("button", name="Deutsch").click()
    me.page.get_by_role("link", name="Profil", exact=True).click()
    me.check("de-profile")
    me.page.get_by_role("link", name=re.compile("Ändern.*Sprache unserer E-Mails")).click()
    me.check("de-mail-language")
    me.page.get_by_label("Deutsch", exact=True).check()
    me.press("Speichern")
    expect(me.page.get_by_text("Wir schreiben ab jetzt auf Deutsch.")).to_be_visible()
    me.page.get_by_role("link", name="Buchen", exact=True).click()
    me.page.get_by_label("Untersuchung").check()
    me.press("Weiter")
    me.page.get_by_label("Harbour Street").check()
    me.press("Weiter")
    me.page.get_by_label("Nein", exact=True).check()
    me.press("Weiter")
    me.page.get_by_label("Dienstag, 3. März, 09:00 Uhr").check()
    me.press("Weiter")
    me.press("Termin buchen")
    expect(me.page.locator("h1")).to_have_text("Termin gebucht")
    mail = sent(app)["alice@example.com"][0]
    assert mail["Subject"] == "Ihr Termin am Dienstag, 3.\N{NO-BREAK SPACE}März 2026, 09:00\N{NO-BREAK SPACE}Uhr"
    assert "Wofür:     Untersuchung" in text_of(mail)
    entry = next(part for part in mail.walk() if part.get_content_type() == "text/calendar").get_content()
    assert Calendar.from_ical(entry).walk("VEVENT")[0]["SUMMARY"] == "Termin: Harbour Street Clinic"
    me.open("/mails/")
    me.check("de-mails")
    me.page.get_by_role("link", name="Ihr Termin am").first.click()
    me.check("de-mail")
