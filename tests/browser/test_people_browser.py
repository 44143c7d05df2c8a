"""A teenager's private visit, a patient of the desk who gets an account, needs, and the desk's work, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import Appointment, Patient, PatientAccess, Task, VisitType, WhoMayBook
from tests.bookings import open_clinic
from tests.browser.conftest import Reader
from tests.test_backoffice import make_admin
from tests.test_codes_at_the_desk import CODE
from tests.test_limits import change
from tests.test_merging import add_twin
from tests.test_private_visits import add_cora
from tests.test_todo import book_for_walter
from tests.world import World, at

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [pytest.param(1280, True, id="wide"), pytest.param(375, False, id="phone-without-scripts"),
           pytest.param(320, True, id="smallest")]  # fmt: skip


def public_id(patient_id: int) -> str:
    return db.session().get_one(Patient, patient_id).public_id


def visits() -> list[Appointment]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Appointment).order_by(Appointment.id)))


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_teenager_keeps_a_visit_from_her_mother(reader: Make, world: World, width: int, scripts: bool) -> None:
    for day in (1, 2, 3):
        open_clinic(world, day)
    add_cora(world)
    cora = reader(width, scripts=scripts)
    cora.sign_in("mallory")
    cora.open("/book/visit-type")
    cora.page.get_by_label("Check-up").check()
    cora.press("Continue")
    cora.check("needs")
    cora.page.get_by_label("An interpreter", exact=True).check()
    expect(cora.page.get_by_label("Which language?")).to_be_visible()
    cora.press("Continue")
    cora.check("needs-wrong")
    assert "Enter the language" in cora.page.get_by_role("alert").inner_text()
    cora.page.get_by_label("Which language?").fill("Polish")
    cora.page.get_by_label("Large print").check()
    cora.press("Continue")
    cora.page.get_by_label("Wednesday 4 March, 9am").check()
    cora.press("Continue")
    cora.check("check-private")
    cora.page.get_by_label("Keep this appointment private from people who book for me").check()
    cora.press("Book appointment")
    cora.check("booked-private")
    assert cora.heading() == "Appointment booked"
    (visit,) = visits()
    assert (visit.is_private, visit.extra_minutes, visit.starts_at) == (True, 10, at(9, day=2))
    mother = reader(width, scripts=scripts)
    mother.sign_in("alice")
    mother.open("/appointments")
    mother.check("mother")
    assert "4 March" not in mother.page.get_by_role("main").inner_text()
    mother.open(f"/appointments/{visit.public_id}")
    assert mother.heading() == "Page not found"
    # Next time what she needs is only shown.
    cora.open("/book/visit-type")
    cora.page.get_by_label("Check-up").check()
    cora.press("Continue")
    cora.check("needs-known")
    assert "An interpreter: Polish" in cora.page.get_by_role("main").inner_text()
    cora.press("Continue")
    assert cora.heading() == "Choose a day and time"
    cora.open("/profile")
    cora.check("profile-needs")


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_patient_of_the_desk_without_email_gets_an_account_with_a_code(
    reader: Make, world: World, width: int, scripts: bool
) -> None:
    visit = book_for_walter(world)
    desk = reader(width, scripts=scripts)
    desk.sign_in("erin")
    desk.open("/backoffice/todo/")
    desk.check("todo")
    desk.page.get_by_role("link", name="Call the patient").click()
    desk.check("task")
    desk.press("No answer")
    desk.check("task-tried")
    desk.press("Told by phone")
    expect(desk.page.get_by_text("Nothing to do.")).to_be_visible()
    desk.open(f"/backoffice/patients/details/?id={public_id(visit.patient_id)}")
    desk.check("patient")
    desk.page.get_by_role("link", name="Make a code for an account").click()
    desk.check("codes")
    desk.press("Make a code")
    desk.check("code")
    found = CODE.search(desk.page.get_by_role("main").inner_text())
    assert found
    walter = reader(width, scripts=scripts)
    walter.sign_in("mallory")
    walter.open("/account/code")
    walter.page.get_by_label("Code").fill(found[0])
    for part, value in (("Day", "4"), ("Month", "5"), ("Year", "1980")):
        walter.page.get_by_label(part).fill(value)
    walter.press("Use the code")
    walter.check("walter")
    assert "Tuesday 3 March, 9am" in walter.page.get_by_role("main").inner_text()


@pytest.mark.parametrize("width", [1280, 320])
def test_the_desks_pages_about_a_patient_hold_up(reader: Make, world: World, width: int) -> None:
    twin = public_id(add_twin(world))
    change(VisitType, world.check_up_id, who_may_book=WhoMayBook.REFERRED)
    desk = reader(width)
    desk.sign_in("erin")
    alice = public_id(world.alice_id)
    desk.open(f"/backoffice/patients/details/?id={twin}")
    desk.page.get_by_role("link", name="Is it the same person?").click()
    desk.check("same-person")
    desk.press("Join the records")
    desk.check("same-person-wrong")
    desk.open(f"/backoffice/patient-needs/?id={alice}")
    desk.check("desk-needs")
    desk.open(f"/backoffice/patient-referrals/?id={alice}")
    desk.press("Enter the referral")
    desk.check("referrals-wrong")
    desk.page.get_by_label("For", exact=True).select_option("Check-up")
    desk.page.get_by_label("From", exact=True).fill("Dr Hill")
    desk.page.get_by_label("Last day on which a visit can be").fill("2026-06-01")
    desk.press("Enter the referral")
    expect(desk.page.get_by_text("The referral from Dr Hill is entered.")).to_be_visible()
    desk.open(f"/backoffice/patient-referrals/?id={alice}")
    desk.check("referrals")
    desk.open(f"/backoffice/patient-rights/?id={alice}")
    desk.check("rights")
    desk.page.get_by_label("E-mail address of their account").fill("bob@example.com")
    desk.page.get_by_label("Relation").select_option("Carer")
    desk.page.get_by_label("What you saw").fill("Passport")
    desk.press("Give the right")
    expect(desk.page.get_by_text(re.compile("bob@example.com may act for"))).to_be_visible()
    db.session().rollback()
    assert db.session().scalar(select(PatientAccess.evidence_note).filter_by(relation="carer")) == "Passport"


@pytest.mark.parametrize("width", [1280, 320])
def test_an_administrators_pages_hold_up(reader: Make, world: World, width: int) -> None:
    make_admin(world.accounts["erin"])
    admin = reader(width)
    admin.sign_in("erin")
    admin.open("/backoffice/visit-types/")
    admin.check("visit-types")
    admin.page.get_by_role("link", name="Check-up").click()
    admin.check("visit-type")
    admin.page.get_by_label("Youngest, in years on the day of the visit").fill("200")
    admin.press("Save")
    admin.check("visit-type-wrong")
    admin.page.get_by_label("Youngest, in years on the day of the visit").fill("18")
    admin.press("Save")
    expect(admin.page.get_by_text("Check-up is saved.")).to_be_visible()
    admin.open("/backoffice/settings/")
    admin.check("settings")
    admin.page.get_by_role("link", name="Change checkout_hold_min").click()
    admin.check("setting")
    assert db.session().scalars(select(Task)).all() == []
