"""Seven in the morning: Dr Chen with 24 visits calls in sick, and the desk has a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import Delivery, Notification
from clinic_portal.notifications import delivery
from tests.absences import SEVEN, Morning, sick_morning, where
from tests.browser.conftest import Reader
from tests.invariants import check_invariants
from tests.world import World

pytestmark = pytest.mark.browser


@pytest.fixture
def morning(world: World) -> Iterator[Morning]:
    found = sick_morning(world)
    delivery.deliver_due()
    with clock.clock_at(SEVEN):
        yield found


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
@pytest.mark.parametrize("width", [1280, 375])
def test_a_sick_doctor_is_a_minutes_work_and_can_be_undone(
    morning: Morning, reader: Callable[..., Reader], width: int, scripts: bool
) -> None:
    before = where(morning)
    erin = reader(width, scripts=scripts)
    erin.sign_in("erin")
    erin.open("/backoffice/")
    started = time.monotonic()
    main = erin.page.get_by_role("main")
    main.get_by_role("link", name="A doctor is away").click()
    erin.check("absence-form")
    main.get_by_label("Who is away").select_option("Dr Chen")
    erin.press("Look at the plan")
    erin.check("absence-plan")
    expect(main.get_by_role("heading", name="24 appointments")).to_be_visible()
    expect(main.get_by_role("row").nth(1)).to_contain_text("Call first")
    # By hand: the third waits, and what it was given is somebody else's to choose.
    row = main.get_by_role("row").filter(has_text="Pat3 Ient3")
    row.get_by_role("combobox").select_option("Waiting list, and call the patient")
    if not scripts:
        erin.press("Work it out again")
    expect(main.get_by_role("row").filter(has_text="Pat3 Ient3")).to_contain_text("Chosen by hand.")
    main.get_by_label("Sick").check()
    erin.press("Apply all")
    expect(main.get_by_role("heading", name="To call")).to_be_visible()
    assert time.monotonic() - started < 30
    erin.check("absence-done")
    assert all(what != before[id_] for id_, what in where(morning).items())
    check_invariants(db.session())
    erin.press("Undo all of it")
    expect(main.get_by_text("Undone: everything is as it was, and nobody was told.")).to_be_visible()
    erin.check("absence-undone")
    assert where(morning) == before
    with clock.clock_at(SEVEN + timedelta(minutes=10)):
        delivery.deliver_due()
    told = db.session().query(Notification).filter(Notification.absence_id.is_not(None)).all()
    assert {row.delivery for row in told} == {Delivery.SUPERSEDED}
