"""The self-check: silent while all is well, and each law broken once, with the guarantees away, found at its row."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from clinic_portal import clock, jobs, self_check
from clinic_portal.database import db, snapshot
from clinic_portal.models import Appointment
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from clinic_portal.self_check import run_checks
from tests.asking import ask, drain
from tests.bookings import book
from tests.plans import TUE
from tests.racing import drop_guarantees
from tests.rota import block, work
from tests.test_backoffice import make_admin
from tests.test_cli import run
from tests.visitor import Visitor, words_of
from tests.world import World, at


@pytest.fixture
def clinic(any_world: World) -> World:
    """Visits, a hold, somebody who waits, and everything done that happens by itself."""
    world = any_world
    work(world, block(world, TUE, "09:00", "12:00"))
    work(world, block(world, TUE, "09:00", "12:00"), practitioner_id=world.diaz_id, actor=world.erin)
    book(world, at(9, day=1))
    book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    hold_slot(actor=world.alice, search=Search(world.vaccine_id, world.alice_id, account_id=world.accounts["alice"]),
              starts_at=at(11, day=1))  # fmt: skip
    ask(world)
    nowhere = Search(world.vaccine_id, world.bob_id, location_id=world.second_location_id)
    ask(world, world.bob_id, world.bob, search=nowhere)
    drain()
    jobs.sweep()
    jobs.deliver_notifications()
    return world


def wrong() -> dict[str, tuple[int, list[tuple[str, str]]]]:
    """What is found, by law: how much, and each with its table."""
    return {
        each.name: (each.count, [(finding.table, finding.words) for finding in each.findings])
        for each in run_checks()
        if each.count
    }


def test_nothing_is_found_where_all_is_well_and_everything_was_looked_at(clinic: World) -> None:
    assert wrong() == {}
    looked_at = {each.name: each.looked_at for each in run_checks()}
    assert len(looked_at) == len(self_check.CHECKS) == 10
    assert all(looked_at.values()), looked_at


def test_what_others_write_meanwhile_is_no_fault(clinic: World) -> None:
    with snapshot() as session:
        moment = self_check.Moment(session, clock.now(), 5)
        session.scalar(select(func.count()).select_from(Appointment))
        visit = book(clinic, at(11, 30, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
        assert list(self_check._free_time(moment, self_check.Check(""))) == []
        assert session.get(Appointment, visit.id) is None


VISITS = "UPDATE appointments SET {} WHERE id = (SELECT min(id) FROM appointments)"
SAME_TIME = ", ".join(
    f"{name} = (SELECT min({name}) FROM appointments)"
    for name in ("starts_at", "ends_at", "blocked_from", "blocked_until")
)
TAMPERED: dict[str, tuple[str, str]] = {
    "No clinician has two appointments at once": (
        VISITS.format("blocked_until = (SELECT max(blocked_until) FROM appointments),"
                      " practitioner_id = (SELECT practitioner_id FROM appointments WHERE id = (SELECT max(id)"
                      " FROM appointments WHERE starts_at IS NOT NULL))"),
        "begins while another is not over",
    ),
    "No patient has two appointments at once": (
        f"UPDATE appointments SET patient_id = 1, {SAME_TIME} WHERE status = 'booked'",
        "begins while another is not over",
    ),
    "Free time is what nobody has, no more and no less": (
        "UPDATE sessions SET free = 0", "keeps back time that nobody has",
    ),
    "Times held for somebody are let go of when they are over": (
        "UPDATE holds SET expires_at = '2026-03-01 00:00:00+00:00'", "is over and still keeps its time",
    ),
    "Messages leave when they are due": (
        "UPDATE notifications SET delivery = 'sending', next_try_at = '2026-03-02 07:00:00+00:00'",
        "should have left 60 min ago",
    ),
    "Patients are told of every state of their appointments": (
        "DELETE FROM notifications WHERE recipient = 'patient'", "has 0 messages for 1 states",
    ),
    "Everything that happens by itself has happened": (
        "UPDATE leases SET done_at = '2026-02-20 00:00:00+00:00'", "“send messages” was last done 248 h ago",
    ),
    "Requests have no time yet, and one offer at most": (VISITS.format("status = 'waitlist'"), "waits and has a time"),
    "The queue has looked at everybody who is due": (
        VISITS.format("status = 'proposed', next_try_at = '2026-03-02 07:00:00+00:00'"),
        "somebody has been due for 60 min and was not looked at",
    ),
    "The audit log is sealed and unchanged": (
        "UPDATE audit_entries SET action = 'nothing'", "seal 1: changed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("law", TAMPERED)
def test_each_law_that_is_broken_is_found(clinic: World, law: str) -> None:
    statement, words = TAMPERED[law]
    tamper(statement)
    found = wrong()
    assert law in found
    assert words in [said for _, said in found[law][1]]


def tamper(statement: str) -> None:
    drop_guarantees(db.session())
    if db.engine.dialect.name != "sqlite":
        statement = f"ALTER TABLE audit_entries DISABLE TRIGGER ALL; {statement}"
    db.session().execute(text(statement))
    db.session().commit()
    db.session().expire_all()


# On the page and on the command line.


@pytest.fixture
def admin(app: Flask, world: World) -> Visitor:
    make_admin(world.accounts["erin"])
    return Visitor(app, "erin")


def test_the_page_says_that_all_is_well_or_where_to_look(admin: Visitor, world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    visit = book(world, at(9, day=1))
    for _ in range(2):
        jobs.sweep()
    jobs.deliver_notifications()
    says = words_of(admin.get("/backoffice/self-check/"))
    assert "Everything is as it must be. Looked at Mon 2 Mar, 8am" in says
    tamper("UPDATE sessions SET free = 4095 WHERE id = 1")
    tamper("DELETE FROM notifications")
    page = admin.get("/backoffice/self-check/")
    says = words_of(page)
    assert "2 of 10 are not as they must be" in says
    assert f"Appointment {visit.reference} has 0 messages for 1 states" in says
    assert "Dr Chen, Tue 3 Mar, 9am offers time that is taken" in says
    assert f"/backoffice/appointments/details/?id={visit.public_id}" in page.text
    for link in re.findall(r'<li><a href="([^"]+)"', page.text):
        admin.get(link.replace("&amp;", "&"))
    assert "Alice" not in says


def test_the_commands_fail_when_something_is_wrong(app: Flask, world: World) -> None:
    def commands(*words: str, status: int = 0) -> str:
        result = run(app.config["PORTAL"].data_dir, *words)
        assert result.exit_code == status, result.output
        return result.output

    work(world, block(world, TUE, "09:00", "12:00"))
    book(world, at(9, day=1))
    jobs.sweep()
    jobs.deliver_notifications()
    assert "ok    No clinician has two appointments at once (1 looked at)" in commands("check")
    said = commands("verify-audit")
    noted = said.strip().rpartition(" ")[2]
    assert said.startswith(f"{noted.partition(':')[0]} sealed entries, no fault.")
    assert "no fault" in commands("verify-audit", "--noted", noted)
    assert "seal 1: not as noted" in commands("verify-audit", "--noted", "1:ab", status=1)
    assert "a number, a colon and a digest" in commands("verify-audit", "--noted", "ab", status=1)
    tamper("UPDATE sessions SET free = 4095 WHERE id = 1")
    said = commands("check", status=1)
    assert "WRONG Free time is what nobody has" in said
    assert "sessions 1 offers time that is taken" in said
