"""The desk's morning with walk-ins: by keyboard alone, without scripts, and a page that looks again by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.backoffice.desk_day import Part, part_of
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    ContactPoint,
    Need,
    NeedSource,
    Origin,
    PatientNeed,
    PriorityClass,
    Status,
)
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.walk_ins import take_in
from tests.bookings import book
from tests.browser.conftest import Reader
from tests.invariants import check_invariants
from tests.world import World, add_patient, add_session, at

pytestmark = pytest.mark.browser

NAMES = (("Ali", "Archer"), ("Priya", "Patel"), ("Marek", "Nowak"), ("Sofia", "Garcia"), ("Noah", "Brown"))
TEN = at(9, 40)


@dataclass
class Morning:
    """Twenty to ten: one waits, one is inside, three are to come, one of them late; a walk-in sits there."""

    world: World
    visits: list[Appointment] = field(default_factory=list)


@writing
def add_people(session: Session) -> list[int]:
    ids = [add_patient(session, *name).id for name in NAMES]
    session.add(PatientNeed(patient_id=ids[0], kind=Need.INTERPRETER, detail="Polish", asked_at=at(8),
                            source=NeedSource.STAFF))  # fmt: skip
    session.add(PatientNeed(patient_id=ids[3], kind=Need.STEP_FREE, asked_at=at(8), source=NeedSource.STAFF))
    session.scalars(select(ContactPoint).filter_by(patient_id=ids[3])).one().unverified_since = at(7)
    return ids


@pytest.fixture
def morning(world: World) -> Iterator[Morning]:
    add_session(world.chen_id, at(9), at(12), world.location_id)
    add_session(world.diaz_id, at(9), at(13), world.location_id)
    people = add_people()
    starts = (at(9), at(9, 15), at(9, 30), at(10), at(10, 30))
    found = Morning(world)
    found.visits = [book(world, start, patient_id=one, actor=world.erin)
                    for start, one in zip(starts, people, strict=True)]  # fmt: skip
    for visit, now in zip(found.visits[:2], (at(8, 50), at(9, 14)), strict=True):
        with clock.clock_at(now):
            change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED)
    with clock.clock_at(at(9, 20)):
        take_in(actor=world.erin, who=world.bob_id, visit_type_id=world.check_up_id, location_id=world.location_id,
                priority=PriorityClass.URGENT, token="bob")  # fmt: skip
    with clock.clock_at(TEN):
        yield found


def standing(visit: Appointment) -> Part:
    db.session().rollback()
    db.session().expire_all()
    return part_of(db.session().get_one(Appointment, visit.id))


@pytest.mark.parametrize("width", [1280, 375, 320])
def test_the_desk_is_readable_at_every_width(morning: Morning, reader: Callable[..., Reader], width: int) -> None:
    erin = reader(width)
    erin.sign_in("erin")
    erin.open("/backoffice/")
    main = erin.page.get_by_role("main")
    expect(main.get_by_role("row").filter(has_text="Ali Archer")).to_contain_text("Waits 40 min")
    expect(main.get_by_role("row").filter(has_text="Ali Archer")).to_contain_text("Interpreter: Polish")
    erin.check("desk")
    erin.page.get_by_text("Keys for the selected line").click()
    erin.check("desk-keys")
    erin.open("/backoffice/walk-in/")
    erin.check("walk-in")
    erin.open("/backoffice/search/")
    main.get_by_label("Name, birth date, end of a phone number, or reference").fill("arch ali")
    main.get_by_role("button", name="Search").click()
    erin.check("search")


def test_a_morning_with_walk_ins_by_keyboard_alone(morning: Morning, reader: Callable[..., Reader]) -> None:
    erin = reader()
    erin.sign_in("erin")
    erin.open("/backoffice/")
    page, keys = erin.page, erin.page.keyboard
    # To the first line of those who wait: past the heading's links, into the list.
    page.get_by_role("region", name="Here, waiting").focus()
    keys.press("ArrowDown")
    expect(page.locator("[data-line]").first).to_be_focused()
    expect(page.locator("[data-line]").first).to_contain_text("Bob Baker")
    keys.press("ArrowDown")
    ali, _, marek = morning.visits[:3]
    expect(page.locator(f"#v-{ali.public_id}")).to_be_focused()
    keys.press("w")
    expect(page.locator("#part-inside")).to_contain_text("Ali Archer")
    expect(page.locator(f"#v-{ali.public_id}")).to_be_focused()
    keys.press("d")
    expect(page.locator("#desk-over")).to_contain_text("Over: 1")
    expect(page.locator(f"#v-{ali.public_id}")).to_be_focused()
    keys.press("u")
    expect(page.locator("#part-inside")).to_contain_text("Ali Archer")
    assert standing(ali) is Part.INSIDE
    # Down to those who are to come: the one who is late, and did not come after all.
    keys.press("ArrowDown")
    expect(page.locator(f"#v-{marek.public_id}")).to_be_focused()
    keys.press("n")
    expect(page.locator("#part-missed")).to_contain_text("Marek Nowak")
    assert standing(marek) is Part.MISSED
    # Somebody nobody knows walks in: search finds nobody, then they are written down.
    keys.press("/")
    expect(page.get_by_label("Name, birth date, end of phone number, or reference").first).to_be_focused()
    keys.type("walker wanda")
    keys.press("Enter")
    expect(page.get_by_text("Nobody is found.")).to_be_visible()
    erin.check("desk-found-nobody")
    keys.press("Escape")
    page.get_by_role("button", name="Walk-in").focus()
    keys.press("Enter")
    page.get_by_label("First name").focus()
    for text in ("Wanda", "Walker", "3/2/1990", "020 7946 0555"):
        keys.type(text)
        keys.press("Tab")
    keys.type("Check")
    keys.press("Enter")
    if not page.get_by_text("Number 2: Wanda Walker.").is_visible():
        page.get_by_role("button", name="Give a number").focus()
        keys.press("Enter")
    expect(page.get_by_text("Number 2: Wanda Walker.")).to_be_visible()
    db.session().rollback()
    wanda = db.session().scalars(select(Appointment).filter_by(origin=Origin.WALK_IN).order_by(-Appointment.id)).first()
    assert wanda is not None
    expect(page.locator(f"#v-{wanda.public_id}")).to_be_focused()
    keys.press("t")
    expect(page.get_by_role("heading", name="Number 2")).to_be_visible()
    erin.check("walk-in-time")
    page.get_by_role("radio").first.focus()
    keys.press("Space")
    keys.press("Enter")
    expect(page.locator(f"#v-{wanda.public_id}")).to_be_focused()
    expect(page.locator(f"#v-{wanda.public_id}")).to_contain_text("No. 2")
    db.session().rollback()
    db.session().expire_all()
    assert db.session().get_one(Appointment, wanda.id).starts_at == at(10)
    check_invariants(db.session())


def test_a_morning_with_walk_ins_without_scripts(morning: Morning, reader: Callable[..., Reader]) -> None:
    erin = reader(375, scripts=False)
    erin.sign_in("erin")
    erin.open("/backoffice/")
    page, main = erin.page, erin.page.get_by_role("main")
    ali = morning.visits[0]
    for name, part in (("With clinician", Part.INSIDE), ("Done", Part.SEEN)):
        main.get_by_role("row").filter(has_text="Ali Archer").get_by_role("button", name=name).click()
        expect(main.locator(f"#part-{part} #v-{ali.public_id}")).to_be_attached()
        assert standing(ali) is part
    # The address names the line, and the browser unfolds what it stands in.
    main.get_by_role("row").filter(has_text="Ali Archer").get_by_role("button", name="Undo").click()
    expect(main.locator(f"#part-inside #v-{ali.public_id}")).to_be_attached()
    assert standing(ali) is Part.INSIDE
    # A known patient walks in.
    page.get_by_role("search").get_by_role("searchbox").fill("alice 4.5.80")
    page.get_by_role("button", name="Find").click()
    main.get_by_role("row").filter(has_text="Alice Archer").get_by_role("link", name="Walk-in").click()
    main.get_by_label("What for").select_option("Check-up")
    main.get_by_label("Urgent").check()
    erin.press("Give a number")
    expect(main.get_by_text("Number 2: Alice Archer.")).to_be_visible()
    main.get_by_role("row").filter(has_text="Alice Archer").get_by_role("link", name="Time or clinician").click()
    erin.check("walk-in-visit")
    main.get_by_label("Who sees them").select_option("Dr Diaz")
    erin.press("With clinician")
    expect(main.get_by_text("With Dr Diaz now.")).to_be_visible()
    main.get_by_label("Session").select_option(label="Dr Chen, 9am to 12 midday")
    main.get_by_label("Minutes late").select_option("25")
    erin.press("Say so")
    expect(main.locator("#desk-late")).to_contain_text("Dr Chen (9am to 12 midday) 25 min")
    erin.check("desk-late")
    check_invariants(db.session())


def test_the_page_looks_again_and_keeps_the_line_and_what_is_typed(
    morning: Morning, reader: Callable[..., Reader]
) -> None:
    erin = reader()
    erin.sign_in("erin")
    erin.page.clock.install()
    erin.open("/backoffice/")
    page = erin.page
    sofia = morning.visits[3]
    page.get_by_label("Minutes late").select_option("40")
    page.locator(f"#s-arrived-{sofia.public_id}").focus()
    with clock.clock_at(TEN + timedelta(minutes=1)):
        change_status(actor=morning.world.erin, appointment_id=sofia.id, to=Status.ARRIVED)
        page.clock.run_for(31_000)
        expect(page.locator("#part-here")).to_contain_text("Sofia Garcia")
        expect(page.locator(f"#v-{sofia.public_id}")).to_be_focused()
        expect(page.get_by_label("Minutes late")).to_have_value("40")
        page.keyboard.press("w")
        expect(page.locator("#part-inside")).to_contain_text("Sofia Garcia")
    assert standing(sofia) is Part.INSIDE


def test_the_key_of_the_search_can_be_switched_off_and_on(world: World, reader: Callable[..., Reader]) -> None:
    erin = reader()
    erin.sign_in("erin")
    erin.open("/backoffice/")
    page, box = erin.page, erin.page.locator("#office-search [type=search]")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    for is_on in (False, True):
        page.get_by_text("Keys for the selected line").click()
        page.get_by_label("The / key goes to the search").set_checked(is_on)
        for path in ("/backoffice/patients/", "/backoffice/"):
            erin.open(path)
            page.keyboard.press("/")
            expect(box).to_be_focused() if is_on else expect(box).not_to_be_focused()


def test_without_scripts_no_key_is_offered(world: World, reader: Callable[..., Reader]) -> None:
    erin = reader(1280, scripts=False)
    erin.sign_in("erin")
    erin.open("/backoffice/")
    erin.page.get_by_text("Keys for the selected line").click()
    expect(erin.page.get_by_label("The / key goes to the search")).to_be_hidden()
