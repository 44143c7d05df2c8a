"""Whole journeys in a browser: with and without scripts, by keyboard, on small and large screens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import Appointment, Status, VisitType
from clinic_portal.notifications import delivery
from tests.bookings import book, open_clinic
from tests.browser.conftest import Reader
from tests.test_limits import change, put_text, set_limits
from tests.world import World, add_session, at

SIGNS = "chest pain or pressure that does not go away\ngreat difficulty breathing\nheavy bleeding that does not stop"

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, False, id="phone-without-scripts"),
    pytest.param(320, True, id="smallest"),
    pytest.param(320, False, id="smallest-without-scripts"),
]


@pytest.fixture
def clinic(world: World) -> World:
    """Two doctors, two places, several days."""
    for day in (1, 2, 3, 8):
        open_clinic(world, day)
        add_session(world.diaz_id, at(13, day=day), at(16, 30, day=day), world.second_location_id)
    return world


def visit() -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    return db.session().scalars(select(Appointment).where(Appointment.patient_id == 1)).one()


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_patient_books_moves_and_cancels(reader: Make, clinic: World, width: int, scripts: bool) -> None:
    me = reader(width, scripts=scripts)
    me.open("/")
    me.check("home")
    me.page.get_by_role("link", name="Book an appointment").click()
    me.page.get_by_label("E-mail address").fill("alice@example.com")
    me.page.get_by_label("Password", exact=True).fill("correct horse battery")
    me.check("sign-in")
    me.press("Sign in")
    me.check("visit-type")
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    me.check("place")
    me.page.get_by_label("Harbour Street").check()
    me.press("Continue")
    me.check("help")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    me.check("times")
    me.page.get_by_role("link", name="Wednesday 4 March, Free").click()
    expect(me.page.locator("#day-heading")).to_have_text("Wednesday 4 March")
    assert "day=2026-03-04" in me.page.url
    me.page.get_by_label("Wednesday 4 March, 10:30am").check()
    me.check("times-chosen")
    me.press("Continue")
    assert me.heading() == "Check your answers before you book"
    me.check("check")
    me.press("Book appointment")
    assert me.heading() == "Appointment booked"
    me.check("booked")
    assert visit().starts_at == at(10, 30, day=2)
    me.page.get_by_role("link", name="change or cancel this appointment").click()
    me.check("appointment")
    me.page.get_by_role("link", name="Change the time").click()
    me.check("move")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.check("check-move")
    me.press("Move appointment")
    assert me.heading() == "Appointment moved"
    me.check("moved")
    assert visit().starts_at == at(9, day=1)
    me.open("/appointments")
    me.check("appointments")
    me.page.get_by_role("link", name="Cancel", exact=True).click()
    me.page.get_by_label("I feel better").check()
    me.check("cancel")
    me.press("Cancel appointment")
    assert me.heading() == "Appointment cancelled"
    me.check("cancelled")
    assert visit().status == Status.CANCELLED
    me.open("/appointments")
    me.check("appointments-past")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_what_may_be_an_emergency_is_checked_first(reader: Make, clinic: World, width: int, scripts: bool) -> None:
    change(VisitType, clinic.check_up_id, may_be_acute=True)
    put_text(emergency_signs=SIGNS, emergency_number="999", urgent_advice="If it is urgent, call 111, day or night.")
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    me.open("/book/visit-type")
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    assert me.heading() == "Check this is not an emergency"
    me.check("emergency")
    me.press("Continue")
    me.check("emergency-error")
    me.page.get_by_label("One or more of these apply").check()
    me.press("Continue")
    assert me.heading() == "Call 999 now"
    assert me.page.get_by_role("main").get_by_role("button").count() == 0
    me.check("call-now")
    me.page.get_by_role("link", name="Back").click()
    me.page.get_by_label("None of these apply").check()
    me.press("Continue")
    me.page.get_by_label("Any of these").check()
    me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    me.press("Continue")
    me.check("check-acute")
    me.page.get_by_label("What is the appointment about?").fill("My left ear rings since Sunday")
    me.press("Change emergency check")
    me.page.get_by_label("None of these apply").check()
    me.press("Continue")
    assert me.heading() == "Check your answers before you book"
    expect(me.page.get_by_label("What is the appointment about?")).to_have_value("My left ear rings since Sunday")
    me.press("Book appointment")
    assert me.heading() == "Appointment booked"
    kept = visit()
    assert kept.safety_answer
    assert kept.note == "My left ear rings since Sunday"


@pytest.mark.parametrize(("width", "scripts"), SCREENS[:2])
def test_what_cannot_be_booked_online_is_told_with_what_to_do(
    reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    set_limits(max_open_per_patient=1)
    change(VisitType, clinic.vaccine_id, min_age=65)
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    me.open("/book/visit-type")
    me.page.get_by_label("Check-up").check()
    book(clinic, at(9, day=1))
    me.press("Continue")
    assert me.heading() == "You cannot book this online"
    me.check("not-online")
    me.page.get_by_role("link", name="Choose something else").click()
    assert "Check-up is already booked" in me.page.locator("main").inner_text()
    me.check("visit-type-nothing-left")


def test_booking_works_by_keyboard_alone(reader: Make, clinic: World) -> None:
    me = reader()
    keys = me.page.keyboard

    def tab_to(text: str) -> None:
        """Go on with the Tab key until something that says this has the focus."""
        for _ in range(60):
            keys.press("Tab")
            says = me.page.evaluate(
                "(e => e.closest('main') && [e.textContent, e.labels?.[0]?.textContent].join(' '))"
                "(document.activeElement) || ''"
            )
            if text in " ".join(says.split()):
                return
        raise AssertionError(f"the Tab key never came to {text!r}")

    me.open("/book/who")
    tab_to("E-mail address")
    keys.type("alice@example.com")
    tab_to("Password")
    keys.type("correct horse battery")
    keys.press("Enter")
    me.page.wait_for_url("**/book/visit-type**")
    tab_to("Check-up")
    keys.press("Space")
    keys.press("Enter")
    me.page.wait_for_url("**/book/place**")
    tab_to("Harbour Street")
    keys.press("Space")
    keys.press("Enter")
    me.page.wait_for_url("**/book/help**")
    for _ in range(40):
        keys.press("Tab")
        if me.page.evaluate("document.activeElement.value") == "none":
            break
    keys.press("Space")
    keys.press("Enter")
    me.page.wait_for_url("**/book/times**")
    tab_to("Wednesday 4 March")
    keys.press("Enter")
    # The heading of the new day has the focus: readers hear it, and Tab goes on to its times.
    expect(me.page.locator("#day-heading")).to_be_focused()
    expect(me.page.locator("#day-heading")).to_have_text("Wednesday 4 March")
    keys.press("Tab")
    keys.press("Space")
    expect(me.page.locator("#chosen-time")).to_have_text("You chose Wednesday 4 March, 9am")
    keys.press("ArrowRight")
    expect(me.page.locator("#chosen-time")).to_have_text("You chose Wednesday 4 March, 9:15am")
    tab_to("Continue")
    keys.press("Enter")
    me.page.wait_for_url("**/check/**")
    tab_to("Book appointment")
    keys.press("Enter")
    me.page.wait_for_url("**/booked")
    assert visit().starts_at == at(9, 15, day=2)


@pytest.mark.parametrize(("width", "scripts"), SCREENS[:2])
def test_who_loses_the_race_takes_one_of_the_nearest_times(
    reader: Make, clinic: World, width: int, scripts: bool
) -> None:
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    me.page.get_by_role("link", name="Book an appointment").click()
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    me.page.get_by_label("Any of these").check()
    me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    me.page.get_by_label("Tuesday 3 March, 9am").check()
    book(clinic, at(9, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
    me.press("Continue")
    assert me.heading() == "Someone else has just taken that time"
    me.check("taken")
    me.page.get_by_role("button", name="Tuesday 3 March, 9:30am").click()
    me.press("Book appointment")
    assert visit().starts_at == at(9, 30, day=1)


def test_an_error_takes_the_focus_and_leads_to_its_question(reader: Make, clinic: World) -> None:
    me = reader(375)
    me.sign_in("alice")
    me.open("/book/visit-type")
    me.press("Continue")
    me.check("error")
    expect(me.page.locator(".nhsuk-error-summary")).to_be_focused()
    me.page.get_by_role("link", name="Choose what you need").click()
    assert me.page.evaluate("document.activeElement.name") == "visit_type"


def test_the_back_button_after_another_day_shows_the_whole_earlier_page(reader: Make, clinic: World) -> None:
    me = reader()
    me.sign_in("alice")
    me.open("/book/visit-type")
    me.page.get_by_label("Check-up").check()
    me.press("Continue")
    me.page.get_by_label("Any of these").check()
    me.press("Continue")
    me.page.get_by_label("No", exact=True).check()
    me.press("Continue")
    me.page.get_by_role("link", name="Wednesday 4 March, Free").click()
    expect(me.page.locator("#day-heading")).to_have_text("Wednesday 4 March")
    me.page.go_back()
    expect(me.page.locator("#day-heading")).to_have_text("Tuesday 3 March")
    expect(me.page.locator("header")).to_be_visible()
    me.check()


@pytest.mark.parametrize(("zone", "is_told"), [("America/New_York", True), ("Europe/London", False)])
def test_readers_in_another_zone_are_told_whose_clock_it_is(
    reader: Make, clinic: World, zone: str, is_told: bool
) -> None:
    me = reader(timezone_id=zone)
    me.sign_in("alice")
    appointment = book(clinic, at(9, day=1))
    me.open(f"/appointments/{appointment.public_id}/move")
    note = me.page.get_by_text("Times are London time.")
    expect(note).to_be_visible() if is_told else expect(note).to_be_hidden()


def test_the_check_page_says_when_the_time_is_no_longer_kept(reader: Make, clinic: World) -> None:
    me = reader()
    me.sign_in("alice")
    appointment = book(clinic, at(9, day=1))
    me.open(f"/appointments/{appointment.public_id}/move")
    me.page.get_by_label("Tuesday 3 March, 10am").check()
    me.press("Continue")
    assert "until 8:10am" in me.page.locator("main").inner_text()
    with clock.clock_at(at(8, 11)):
        me.page.reload()
        assert "We are no longer keeping this time" in me.page.locator("main").inner_text()
        me.check("expired")


@pytest.mark.parametrize("width", [375, 1280])
def test_a_doctor_goes_from_day_to_day(reader: Make, clinic: World, width: int) -> None:
    book(clinic, at(9, 30, day=1))
    me = reader(width)
    me.sign_in("chen")
    me.check("doctor-empty")
    me.page.get_by_role("link", name="Day after").click()
    expect(me.page.locator("h1")).to_contain_text("Tuesday 3 March")
    expect(me.page.locator("main")).to_contain_text("Alice Archer")
    me.check("doctor")


def test_mails_and_error_pages_are_in_order_too(reader: Make, clinic: World) -> None:
    book(clinic, at(9, 30, day=1))
    delivery.deliver_due()
    me = reader(375)
    me.open("/mails/")
    me.check("mails")
    me.page.get_by_role("main").get_by_role("link").first.click()
    me.check("mail")
    me.page.get_by_role("link", name="Show as the reader sees it").click()
    assert "Harbour Street" in me.page.locator("body").inner_text()
    me.open("/nothing")
    me.check("not-found")
