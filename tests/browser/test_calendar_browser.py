"""The staff calendar in a browser: dragged, clicked, by keyboard alone, without scripts, in New York, and alive."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from clinic_portal import clock
from clinic_portal.backoffice import calendar
from clinic_portal.database import db
from clinic_portal.models import Appointment, Practitioner
from tests.asking import fresh
from tests.bookings import messages_of
from tests.browser.conftest import Reader, SignIn, accessibility_faults, overflows
from tests.calendars import HALF_PAST_TEN, book_with, busy_day
from tests.world import World, add_session, at

pytestmark = pytest.mark.browser

CALENDAR = "/backoffice/calendar/"
TOMORROW = f"{CALENDAR}?day=2026-03-03"


def doctor(practitioner_id: int) -> str:
    return db.session().get_one(Practitioner, practitioner_id).public_id


@pytest.fixture
def visit(world: World) -> Appointment:
    """Alice is with Dr Chen tomorrow at nine, Bob with Dr Diaz at ten; both work until noon."""
    for who in (world.chen_id, world.diaz_id):
        add_session(who, at(9, day=1), at(12, day=1))
    book_with(world, world.diaz_id, at(10, day=1), patient_id=world.bob_id)
    return book_with(world, world.chen_id, at(9, day=1))


def box_of(visit: Appointment, page: Page) -> Locator:
    return page.locator(f'a[data-id="{visit.public_id}"]')


def spot(page: Page, practitioner_id: int, minute: int) -> tuple[float, float]:
    """Where a clinician's column shows a minute of the day."""
    column = page.locator(f'.cal-list[data-clinician="{doctor(practitioner_id)}"]')
    box = column.bounding_box()
    assert box is not None
    first, rows = (int(column.get_attribute(f"data-{name}") or 0) for name in ("first", "rows"))
    return box["x"] + box["width"] / 2, box["y"] + box["height"] * (minute - first) / (rows * 5)


_SHOW = """(box, part) => {
  box.scrollIntoView({ block: "end" });
  box.scrollTop = box.scrollHeight * part - box.clientHeight / 2;
}"""


def press_at(page: Page, practitioner_id: int, minute: int) -> None:
    """Click where a clinician's column shows a minute of the day, once that is in sight."""
    column = page.locator(f'.cal-list[data-clinician="{doctor(practitioner_id)}"]')
    first, rows = (int(column.get_attribute(f"data-{name}") or 0) for name in ("first", "rows"))
    page.locator(".cal-scroll").evaluate(_SHOW, (minute - first) / (rows * 5))
    page.mouse.click(*spot(page, practitioner_id, minute))


def drag(page: Page, visit: Appointment, practitioner_id: int, minute: int, *, drop: bool = True) -> None:
    """Take a visit by its upper edge and pull it there."""
    box_of(visit, page).scroll_into_view_if_needed()
    box = box_of(visit, page).bounding_box()
    assert box is not None
    x, y = spot(page, practitioner_id, minute)
    page.mouse.move(box["x"] + 20, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(x, y + 30, steps=4)
    page.mouse.move(x, y + 3, steps=4)
    if drop:
        page.mouse.up()


def test_every_page_is_accessible_and_readable_at_every_width(world: World, reader: Callable[..., Reader]) -> None:
    doctors = busy_day(world, 20)
    with clock.clock_at(HALF_PAST_TEN):
        chen, diaz = doctor(doctors[0]), doctor(doctors[1])
        visit = book_with(world, doctors[0], at(15))
        pages = {
            "calendar": CALENDAR,
            "calendar-5": f"{CALENDAR}?zoom=5",
            "calendar-15": f"{CALENDAR}?zoom=15",
            "calendar-week": f"{CALENDAR}?view=week&c={chen}&c={diaz}",
            "calendar-nobody": f"{CALENDAR}?day=2026-03-08",
            "calendar-book": f"{CALENDAR}book/?clinician={chen}&start=20260302T1500Z",
            "calendar-move": f"{CALENDAR}move/?id={visit.public_id}&clinician={diaz}&day=2026-03-02&time=15:30",
            "calendar-clash": f"{CALENDAR}move/?id={visit.public_id}&clinician={diaz}&day=2026-03-02&time=13:30",
            "calendar-cancel": f"{CALENDAR}cancel/?id={visit.public_id}",
        }
        for width in (1280, 375):
            erin = reader(width)
            erin.sign_in("erin")
            for name, path in pages.items():
                erin.open(path)
                erin.check(name)
            erin.page.set_viewport_size({"width": 320, "height": 700})
            assert not overflows(erin.page)


def test_a_visit_dragged_onto_another_is_refused_and_onto_free_time_is_moved_once_confirmed(
    world: World, visit: Appointment, sign_in: SignIn
) -> None:
    page = sign_in("erin", TOMORROW)
    drag(page, visit, world.diaz_id, 9 * 60 + 50)
    expect(page.get_by_role("alert")).to_contain_text("Dr Diaz is taken from 10am to 10:20am. Nothing was changed")
    assert "Move the appointment" not in page.content()
    assert accessibility_faults(page) == []
    page.get_by_role("main").get_by_role("link", name="Calendar", exact=True).click()
    assert fresh(visit).starts_at == at(9, day=1)
    drag(page, visit, world.diaz_id, 11 * 60 + 10)
    expect(page.get_by_role("heading", name="Move it there?")).to_be_visible()
    now, new = page.locator(".cal-change dd").all_inner_texts()
    assert now.split("\n") == ["Tue 3 Mar, 9am to 9:30am", "Dr Chen", "Harbour Street"]
    assert new.split("\n") == ["Tue 3 Mar, 11:10am to 11:40am", "Dr Diaz", "Harbour Street"]
    # Nothing is done before it is confirmed.
    assert fresh(visit).starts_at == at(9, day=1)
    expect(page.get_by_label("Yes, send a message about the new time")).to_be_checked()
    page.get_by_label("No, they know already").check()
    page.get_by_label("If not, why?").fill("Said on the phone")
    page.get_by_role("button", name="Move the appointment").click()
    expect(page.get_by_text("Moved: Tue 3 Mar, 11:10am, Check-up with Dr Diaz, Harbour Street.")).to_be_visible()
    assert (fresh(visit).practitioner_id, fresh(visit).starts_at) == (world.diaz_id, at(11, 10, day=1))
    sent = [row.recipient for row in messages_of(visit.id) if row.sequence == 1 and row.channel == "email"]
    assert sent == ["practitioner"] * 2
    expect(page.locator(f'.cal-list[data-clinician="{doctor(world.diaz_id)}"]').get_by_text("Alice")).to_be_visible()


def test_a_drag_is_put_back_by_escape_and_outside_and_is_no_click(
    world: World, visit: Appointment, sign_in: SignIn
) -> None:
    page = sign_in("erin", TOMORROW)
    drag(page, visit, world.diaz_id, 11 * 60, drop=False)
    expect(page.locator(".cal-ghost")).to_have_text("11am Dr Diaz")
    page.keyboard.press("Escape")
    expect(page.locator(".cal-ghost")).to_have_count(0)
    page.mouse.up()
    drag(page, visit, world.diaz_id, 11 * 60, drop=False)
    page.mouse.move(20, 20)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert page.url.endswith(TOMORROW)
    # What is not dragged is opened.
    box_of(visit, page).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Appointment")


def test_a_click_into_free_time_books_from_there(world: World, visit: Appointment, sign_in: SignIn) -> None:
    page = sign_in("erin", TOMORROW)
    press_at(page, world.chen_id, 10 * 60 + 22)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tue 3 Mar, 10:20am, Harbour Street")
    page.get_by_label("Patient: name or birth date").fill("baker")
    page.get_by_role("main").get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Bob Baker").click()
    assert accessibility_faults(page) == []
    page.get_by_label("Check-up").check()
    page.get_by_role("button", name="Book", exact=True).click()
    # Bob is with Dr Diaz at ten.
    expect(page.get_by_role("alert")).to_contain_text("The patient has another appointment then.")
    expect(page.get_by_label("Check-up")).to_be_checked()
    page.get_by_label("Time", exact=True).fill("11:25")
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_text("Booked: Tue 3 Mar, 11:25am, Check-up with Dr Chen, Harbour Street.")).to_be_visible()


def test_everything_can_be_done_by_keyboard_alone(world: World, visit: Appointment, sign_in: SignIn) -> None:
    page = sign_in("erin", TOMORROW)
    keys = page.keyboard
    for _ in range(60):
        keys.press("Tab")
        if page.evaluate("document.activeElement.closest('.cal-list') !== null"):
            break
    expect(box_of(visit, page)).to_be_focused()
    # Down the column, to the clinician beside, and back.
    keys.press("ArrowDown")
    expect(page.get_by_role("link", name=re.compile("9:30am Free.*with Dr Chen"))).to_be_focused()
    keys.press("ArrowRight")
    expect(page.get_by_role("link", name=re.compile("Free.*with Dr Diaz")).first).to_be_focused()
    keys.press("End")
    expect(page.get_by_role("link", name=re.compile("10:30am Free.*with Dr Diaz"))).to_be_focused()
    keys.press("ArrowLeft")
    keys.press("Home")
    expect(box_of(visit, page)).to_be_focused()
    keys.press("m")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Move appointment")
    page.get_by_label("Clinician").focus()
    keys.type("Dr D")
    page.get_by_label("Time", exact=True).focus()
    keys.type("1115AM")
    page.get_by_role("button", name="See what changes").focus()
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Move it there?")).to_be_visible()
    page.get_by_role("button", name="Move the appointment").focus()
    keys.press("Enter")
    expect(page.get_by_text("Moved: Tue 3 Mar, 11:15am, Check-up with Dr Diaz")).to_be_visible()
    assert fresh(visit).starts_at == at(11, 15, day=1)
    box_of(visit, page).focus()
    keys.press("c")
    page.get_by_label("Why?").first.or_(page.get_by_role("radio").first).first.focus()
    keys.press("Space")
    page.get_by_role("button", name="Cancel the appointment").focus()
    keys.press("Enter")
    expect(page.get_by_text("Cancelled: Tue 3 Mar, 11:15am")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 375])
def test_without_scripts_a_visit_is_moved_and_a_gap_is_booked(
    world: World, visit: Appointment, reader: Callable[..., Reader], width: int
) -> None:
    erin = reader(width, scripts=False)
    erin.sign_in("erin")
    erin.open(TOMORROW)
    erin.check("calendar-plain")
    page = erin.page
    page.get_by_role("link", name=re.compile("Alice Archer")).click()
    page.get_by_role("link", name="Move").click()
    page.get_by_label("Clinician").select_option("Dr Diaz")
    page.get_by_label("Time", exact=True).fill("10:10")
    erin.press("See what changes")
    expect(page.get_by_role("main")).to_contain_text("Dr Diaz is taken from 10:10am to 10:30am.")
    page.get_by_label("Time", exact=True).fill("11:00")
    erin.press("See what changes")
    erin.check()
    erin.press("Move the appointment")
    expect(page.get_by_text("Moved: Tue 3 Mar, 11am, Check-up with Dr Diaz")).to_be_visible()
    assert fresh(visit).starts_at == at(11, day=1)
    page.get_by_role("link", name=re.compile("9am Free, 3 h")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tue 3 Mar, 9am")


def test_a_browser_in_new_york_works_by_the_clock_of_the_clinic_in_london(
    world: World, visit: Appointment, sign_in: SignIn
) -> None:
    page = sign_in("erin", TOMORROW, timezone_id="America/New_York")
    assert page.evaluate("new Date(Date.UTC(2026, 2, 3, 9)).getHours()") == 4
    expect(box_of(visit, page)).to_contain_text("9am")
    drag(page, visit, world.diaz_id, 11 * 60 + 20)
    expect(page.locator(".cal-change")).to_contain_text("Tue 3 Mar, 11:20am to 11:50am")
    page.get_by_role("button", name="Move the appointment").click()
    expect(page.get_by_text("Moved: Tue 3 Mar, 11:20am")).to_be_visible()
    assert fresh(visit).starts_at == at(11, 20, day=1)
    press_at(page, world.chen_id, 9 * 60 + 42)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tue 3 Mar, 9:40am, Harbour Street")


@pytest.mark.parametrize(("day", "nine"), [("2026-03-29", 8), ("2026-10-25", 9)], ids=["23-hours", "25-hours"])
def test_on_the_days_on_which_the_clocks_change_a_drag_to_ten_is_ten(
    world: World, sign_in: SignIn, day: str, nine: int
) -> None:
    sunday = datetime.fromisoformat(day).replace(tzinfo=UTC)
    add_session(world.chen_id, sunday.replace(hour=0), sunday.replace(hour=3))
    add_session(world.chen_id, sunday.replace(hour=nine), sunday.replace(hour=nine + 3))
    visit = book_with(world, world.chen_id, sunday.replace(hour=nine))
    page = sign_in("erin", f"{CALENDAR}?day={day}", timezone_id="America/New_York")
    expect(box_of(visit, page)).to_contain_text("9am")
    drag(page, visit, world.chen_id, 10 * 60)
    expect(page.locator(".cal-change dd").last).to_contain_text("10am to 10:30am")
    page.get_by_role("button", name="Move the appointment").click()
    expect(page.get_by_text("Moved:")).to_be_visible()
    assert fresh(visit).starts_at == sunday.replace(hour=nine + 1)
    press_at(page, world.chen_id, 9 * 60 + 31)
    expect(page.get_by_role("heading", level=1)).to_contain_text("9:30am")


def test_the_page_follows_what_others_do_and_keeps_where_one_is(
    world: World, visit: Appointment, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "LOOKS_EVERY_S", 1)
    page = sign_in("erin", TOMORROW)
    box_of(visit, page).focus()
    page.locator(".cal-scroll").evaluate("one => { one.scrollTop = 40; }")
    book_with(world, world.diaz_id, at(11, day=1), token="by a colleague")
    free = page.locator(f'.cal-list[data-clinician="{doctor(world.diaz_id)}"]')
    expect(free.get_by_text("Alice Archer")).to_be_visible(timeout=5_000)
    expect(box_of(visit, page)).to_be_focused()
    # Still one stop for the Tab key, and what came can be dragged.
    assert page.locator('.cal-list a[tabindex="0"]').count() == 1
    drag(page, visit, world.diaz_id, 9 * 60)
    expect(page.locator(".cal-change")).to_contain_text("9am to 9:30am")
