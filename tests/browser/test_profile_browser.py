"""Your details in a browser: with and without scripts, on small and large screens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from clinic_portal.models import ContactPoint, Relation
from tests.browser.conftest import Reader
from tests.test_own_record import forget_notice
from tests.test_profile import act_for, add_child, link_to, points, set_failed
from tests.world import World

pytestmark = pytest.mark.browser

Make = Callable[..., Reader]
SCREENS = [
    pytest.param(1280, True, id="wide"),
    pytest.param(375, True, id="phone"),
    pytest.param(320, False, id="smallest-without-scripts"),
]


def live(world: World) -> list[ContactPoint]:
    return [point for point in points(world.alice_id) if point.ended_at is None]


@pytest.mark.parametrize(("width", "scripts"), SCREENS)
def test_a_patient_looks_after_contacts_and_rights(reader: Make, world: World, width: int, scripts: bool) -> None:
    add_child(world)
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    me.page.get_by_role("link", name="Profile").click()
    me.check("profile")
    me.page.get_by_role("link", name="a mobile number").click()
    me.page.get_by_label("Mobile number").fill("12")
    me.press("Save")
    me.check("contact-error")
    me.page.get_by_label("Mobile number").fill("07700 900123")
    me.press("Save")
    expect(me.page.get_by_role("alert")).to_contain_text("The mobile number is saved.")
    me.page.get_by_role("link", name="Change alice@example.com").click()
    me.check("contact-change")
    me.page.get_by_label("E-mail address").fill("new@example.com")
    me.press("Save")
    me.check("profile-unconfirmed")
    expect(me.page.locator("main")).to_contain_text("Not confirmed yet")
    other = reader(width, scripts=scripts)
    other.open(link_to("new@example.com"))
    other.check("verify")
    other.press("Confirm")
    other.check("verified")
    assert [point.value for point in live(world)] == ["new@example.com", "07700 900123"]
    set_failed(live(world)[0].id)
    me.open("/profile")
    me.check("profile-failed")
    me.page.get_by_role("link", name="Remove new@example.com").click()
    me.check("remove")
    me.press("Remove")
    expect(me.page.locator("main")).to_contain_text("so we phone about appointments")
    me.open("/people")
    me.check("people")
    me.page.get_by_role("link", name="Details of Cora Archer").click()
    me.check("profile-child")
    me.open("/people")
    me.page.get_by_role("link", name="Stop booking for Cora Archer").click()
    me.check("stop")
    me.press("Stop booking for Cora")
    expect(me.page.locator("main")).to_contain_text("You book only for yourself")


@pytest.mark.parametrize(("width", "scripts"), SCREENS[1:])
def test_a_patient_reads_the_notice_sees_who_looked_and_takes_data_along(
    reader: Make, world: World, width: int, scripts: bool
) -> None:
    forget_notice(world.accounts["alice"])
    act_for(world.accounts["bob"], world.alice_id, Relation.CARER)
    desk = reader(1280)
    desk.sign_in("erin")
    desk.open("/backoffice/patients/?search=archer")
    desk.page.get_by_role("link", name="Alice Archer").click()
    desk.check("backoffice-patient")
    me = reader(width, scripts=scripts)
    me.sign_in("alice")
    me.page.get_by_role("main").get_by_role("link", name="Book an appointment").click()
    me.check("privacy")
    me.press("I have read this")
    assert me.heading() == "What do you need?"
    me.open("/profile")
    me.page.get_by_role("link", name="Who has looked at your record").click()
    me.check("access")
    expect(me.page.locator("main")).to_contain_text("Reception: your details")
    me.open("/profile/export")
    me.check("export")
    with me.page.expect_download() as download:
        me.press("Download it as a file")
    assert download.value.suggested_filename == "my-data.json"
    me.open("/profile/export")
    me.press("Show it")
    me.check("exported")
    me.open("/profile")
    me.page.get_by_role("link", name="Change what we call you").click()
    me.page.get_by_label("Name", exact=True).fill("Ali")
    me.check("called-name")
    me.press("Save")
    expect(me.page.locator("main")).to_contain_text("Ali")
