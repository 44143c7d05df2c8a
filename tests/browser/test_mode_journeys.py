"""Journeys by phone and by video, the same person, changed answers, and the time that runs out while one checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, ContactKind, ContactPoint, Mode, Relation, Status
from tests.bookings import book, open_clinic
from tests.browser.conftest import Reader
from tests.test_continuity import seen_by
from tests.test_modes import NUMBER, offer
from tests.world import World, add_session, at

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, False, id="phone-without-scripts"),
    pytest.param(320, True, id="smallest"),
]


@pytest.fixture
def clinic(world: World) -> World:
    """Check-ups in every way on several days; Alice was seen by Dr Diaz last week."""
    offer(world.check_up_id, shown_window_min=120)
    seen_by(world, world.diaz_id, 7)
    for day in (1, 2, 3, 7, 8):
        open_clinic(world, day)
        add_session(world.diaz_id, at(13, day=day), at(18, day=day), world.second_location_id)
    return world


def visit() -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    ahead = select(Appointment).where(Appointment.patient_id == 1, Appointment.status != Status.FULFILLED)
    return db.session().scalars(ahead).one()


def to_the_times(me: Reader, way: str) -> None:
    me.sign_in("alice")
    me.open("/book/visit-type")
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    assert me.heading() == "How would you like your appointment?"
    me.check("how")
    me.page.get_by_label(way).check()
    me.press("Continue")
    if way == "In person":
        me.page.get_by_label("Any of these").check()
        me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_call_is_booked_told_as_a_stretch_moved_and_cancelled(
    reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    to_the_times(me, "By phone")
    me.check("times-phone")
    me.page.get_by_label("Tuesday 3 March, 10am to 12 midday").check()
    me.press("Continue")
    assert me.heading() == "Which number should we call?"
    me.check("number")
    me.press("Continue")
    me.check("number-error")
    me.page.get_by_label("Phone number").fill("07700 900 111")
    me.press("Continue")
    assert me.heading() == "Check your answers before you book"
    me.check("check-phone")
    me.page.get_by_label("What is the appointment about?").fill("The result of my test")
    me.press("Change number we will call")
    me.page.get_by_label("Phone number").fill("07700 900 222")
    me.press("Continue")
    expect(me.page.get_by_label("What is the appointment about?")).to_have_value("The result of my test")
    me.press("Book appointment")
    assert me.heading() == "Appointment booked"
    expect(me.page.locator(".nhsuk-panel")).to_contain_text("Tuesday 3 March, between 10am and 12 midday")
    me.check("booked-phone")
    kept = visit()
    assert (kept.mode, kept.call_number, kept.note) == (Mode.PHONE, "07700 900 222", "The result of my test")
    me.open(f"/appointments/{kept.public_id}/move")
    me.check("move-phone")
    me.page.get_by_label("Tuesday 3 March, 4pm to 6pm").check()
    me.press("Continue")
    me.check("check-move-phone")
    me.press("Move appointment")
    assert visit().starts_at == at(16, day=1)
    me.open("/appointments")
    me.check("appointments-phone")
    me.page.get_by_role("link", name="Cancel", exact=True).click()
    me.check("cancel-phone")
    me.press("Cancel appointment")
    assert visit().status == Status.CANCELLED


@pytest.mark.parametrize(("width", "scripts"), SCREENS[1:])
def test_a_video_visit_shows_its_way_in_when_it_is_time(reader: Make, clinic: World, width: int, scripts: bool) -> None:
    me = reader(width, scripts=scripts)
    to_the_times(me, "By video")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.check("check-video")
    me.press("Book appointment")
    me.check("booked-video")
    kept = visit()
    with clock.clock_at(at(8, 50, day=1)):
        me.sign_in("alice")
        me.open(f"/appointments/{kept.public_id}")
        me.check("appointment-video")
        link = me.page.get_by_role("link", name="Join the video call")
        expect(link).to_have_attribute("href", kept.join_url or "")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_the_same_person_and_one_part_of_the_day_are_asked_for(
    reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    to_the_times(me, "In person")
    me.page.get_by_text("Would you like to see the same person as last time?").click()
    me.page.get_by_label("Only the same person as last time").check()
    me.check("same-person")
    me.press("Show these times")
    expect(me.page.locator(".times__wish")).to_have_text("Only the same person as last time")
    expect(me.page.get_by_label("Tuesday 3 March, 9am")).to_have_count(0)
    me.page.get_by_role("link", name="Evenings").click()
    expect(me.page.get_by_label("Tuesday 3 March, 1pm")).to_have_count(0)
    me.check("times-evenings")
    me.page.get_by_label("Tuesday 3 March, 5:30pm").check()
    me.press("Continue")
    me.check("check-same")
    me.press("Book appointment")
    assert visit().practitioner_id == clinic.diaz_id


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_an_answer_is_changed_on_the_way_and_the_time_stays(
    reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    to_the_times(me, "In person")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.press("Change your needs")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    assert me.heading() == "Check your answers before you book"
    me.press("Change how we reach you")
    me.page.get_by_role("link", name="a mobile number").click()
    me.page.get_by_label("Mobile number").fill("07700 900 333")
    me.page.get_by_label("Mine").check()
    me.press("Save")
    assert me.heading() == "Check your answers before you book"
    me.check("check-back")
    me.press("Change what for")
    me.page.get_by_label("Vaccine").check()
    me.press("Continue")
    expect(me.page.locator("main")).to_contain_text("Vaccine, 10 minutes")
    expect(me.page.locator("main")).to_contain_text("Tuesday 3 March, 9am")


def test_the_page_counts_down_silently_and_speaks_twice(reader: Make, clinic: World) -> None:
    me = reader(375)
    to_the_times(me, "In person")
    me.page.clock.install()
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    news, left = me.page.locator("#hold-news"), me.page.locator("#hold-left")
    expect(left).to_have_text("10 minutes left.")
    me.page.clock.run_for(61_000)
    expect(left).to_have_text("9 minutes left.")
    expect(news).to_be_empty()
    assert left.evaluate("element => element.closest('[aria-live], [role=status], [role=alert]')") is None
    me.page.clock.run_for(420_000)
    expect(news).to_have_text("We are keeping this time for 2 more minutes.")
    expect(left).to_have_text("2 minutes left.")
    me.check("hold-soon")
    # As after a machine has slept: the clock is what counts.
    me.page.clock.fast_forward(3_600_000)
    expect(news).to_have_text("We are no longer keeping this time for you. You can still try to book it.")
    expect(me.page.locator("#hold-until")).to_be_hidden()
    me.check("hold-over")
    me.press("Book appointment")
    assert me.heading() == "Appointment booked"


def test_without_scripts_the_page_says_until_when_on_the_clock(reader: Make, clinic: World) -> None:
    me = reader(375, scripts=False)
    to_the_times(me, "In person")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    assert "We are keeping this time for you until 8:10am." in me.page.locator("main").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_double_click_and_the_back_button_make_one_visit(reader: Make, clinic: World, scripts: bool) -> None:
    me = reader(375, scripts=scripts)
    to_the_times(me, "By video")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.page.get_by_role("button", name="Book appointment").dblclick()
    me.page.wait_for_url("**/booked")
    me.page.go_back()
    me.page.wait_for_load_state()
    if me.page.get_by_role("button", name="Book appointment").count():
        me.press("Book appointment")
    expect(me.page.locator("h1")).to_have_text("Appointment booked")
    assert visit().starts_at == at(9, day=1)


def test_a_lost_call_is_offered_as_other_stretches(reader: Make, clinic: World) -> None:
    add_number(clinic)
    me = reader(320)
    to_the_times(me, "By phone")
    me.page.get_by_label("Tuesday 3 March, 8am to 10am").check()
    for minute in (0, 30):
        book(clinic, at(9, minute, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
    me.press("Continue")
    assert me.heading() == "Someone else has just taken that time"
    me.check("taken-phone")
    me.page.get_by_role("button", name="Tuesday 3 March, between 10am and 12 midday").click()
    assert me.heading() == "Check your answers before you book"


@writing
def add_number(session: Session, world: World) -> None:
    session.add(ContactPoint(patient_id=world.alice_id, kind=ContactKind.MOBILE, value=NUMBER, whose=Relation.SELF,
                             preferred_rank=2))  # fmt: skip


@pytest.mark.parametrize("width", [320, 375])
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_the_menu_stays_in_one_line_on_phones(reader: Make, clinic: World, width: int, language: str) -> None:
    me = reader(width, locale=language)
    me.sign_in("alice") if language == "en-GB" else sign_in_in_german(me)
    lines = me.page.locator("header nav li").evaluate_all(
        "items => new Set(items.map(item => Math.round(item.getBoundingClientRect().top))).size"
    )
    assert lines == 1
    me.check(f"menu-{language}")


def sign_in_in_german(me: Reader) -> None:
    me.open("/login")
    me.page.get_by_label("E-Mail-Adresse").fill("alice@example.com")
    me.page.get_by_label("Passwort", exact=True).fill("correct horse battery")
    me.press("Anmelden")
