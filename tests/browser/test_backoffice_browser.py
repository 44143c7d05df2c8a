"""The back office in a browser: usable by everybody, at any width, by keyboard, and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.database import writing
from clinic_portal.models import Appointment, Role, RoleGrant, RoleName
from tests.asking import ask
from tests.bookings import book, cancel, open_clinic
from tests.browser.conftest import SignIn, accessibility_faults, overflows
from tests.world import World, at

pytestmark = pytest.mark.browser

PAGES = ("", "appointments/", "appointments/?search=zzz&from=x", "sessions/?day=2026-03-03", "patients/", "messages/",
         "clinicians/", "visit-types/", "locations/", "settings/", "audit/", "texts/",
         "text/?kind=reminder&language=de&neutral=yes", "texts/version/?kind=booked&language=en&version=0")  # fmt: skip


@writing
def make_admin(session: Session, account_id: int) -> None:
    role = session.scalars(select(Role).filter_by(name=RoleName.ADMIN)).one()
    session.add(RoleGrant(account_id=account_id, role_id=role.id))


@pytest.fixture
def visit(world: World) -> Appointment:
    """Alice is booked tomorrow at nine; another visit of hers was cancelled."""
    open_clinic(world)
    cancel(world, book(world, at(10, day=1)))
    return book(world, at(9, day=1))


def test_every_page_is_accessible_at_every_width_and_breaks_no_policy(
    world: World, visit: Appointment, sign_in: SignIn
) -> None:
    make_admin(world.accounts["erin"])
    page = sign_in("erin", "/backoffice/")
    for path in (*PAGES, f"appointments/details/?id={visit.public_id}"):
        for width in (1280, 375, 320):
            page.set_viewport_size({"width": width, "height": 800})
            answer = page.goto(f"/backoffice/{path}")
            assert answer is not None
            assert answer.status == 200, path
            assert not overflows(page), (path, width)
            if width != 320:
                assert accessibility_faults(page) == [], (path, width)


def test_a_visit_is_found_and_opened_by_keyboard_alone(visit: Appointment, sign_in: SignIn) -> None:
    page = sign_in("erin", "/backoffice/appointments/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name, birth date or reference")).to_be_focused()
    page.keyboard.type(visit.reference)
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 appointment", exact=True)).to_be_visible()
    reach(page, f"Appointment {visit.reference}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(visit.reference)
    expect(page.get_by_text("Tue 3 Mar, 9am to 9:30am").first).to_be_visible()


def reach(page: Page, name: str) -> None:
    """Press Tab until the link has the focus."""
    link = page.get_by_role("link", name=name)
    for _ in range(60):
        if link.evaluate("link => link === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached by keyboard")


def test_lists_are_searched_narrowed_and_sorted_without_scripts(visit: Appointment, sign_in: SignIn) -> None:
    page = sign_in("erin", "/backoffice/appointments/", java_script_enabled=False)
    page.get_by_label("Status").select_option("Cancelled")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("1 appointment", exact=True)).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_text("2 appointments", exact=True)).to_be_visible()
    page.get_by_role("link", name="Sort by Start").click()
    page.get_by_role("link", name="Sort by Start").click()
    expect(page.get_by_role("rowheader").first).to_contain_text("10am")
    page.get_by_role("link", name="Sessions").click()
    page.get_by_role("link", name="Day after").click()
    expect(page.get_by_role("rowheader")).to_contain_text("Tue 3 Mar, 9am to 12 midday")


def test_the_menu_of_a_phone_opens_and_closes_without_scripts(sign_in: SignIn) -> None:
    page = sign_in("erin", "/backoffice/", java_script_enabled=False, viewport={"width": 375, "height": 700})
    menu = page.get_by_role("navigation", name="Back office")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu", exact=True).click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("link", name="Patients").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Patients")


def test_signing_out_ends_the_visit_to_the_back_office(sign_in: SignIn) -> None:
    page = sign_in("erin", "/backoffice/")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/backoffice/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_the_line_of_requests_is_looked_at_again_and_nobody_loses_their_place(world: World, sign_in: SignIn) -> None:
    first = ask(world)
    page = sign_in("erin", "/backoffice/requests/")
    page.clock.install()
    page.goto("/backoffice/requests/")
    expect(page.get_by_role("link", name=f"Request {first.reference}")).to_be_visible()
    page.get_by_label("Class").select_option("urgent")
    page.get_by_label("Class").focus()
    second = ask(world, world.bob_id, world.bob)
    with page.expect_request("**/backoffice/requests/") as asked:
        page.clock.run_for(31_000)
    assert asked.value.headers["x-unattended"] == "yes", "it would keep everybody signed in"
    expect(page.get_by_role("link", name=f"Request {second.reference}")).to_be_visible()
    expect(page.get_by_text("2 requests")).to_be_visible()
    expect(page.get_by_label("Class")).to_be_focused()
    expect(page.get_by_label("Class")).to_have_value("urgent")
    for path in ("requests/", f"requests/details/?id={first.public_id}"):
        page.set_viewport_size({"width": 320, "height": 800})
        page.goto(f"/backoffice/{path}")
        assert not overflows(page), path
        assert accessibility_faults(page) == [], path
