"""Hours that are for some kinds of visits only: who sees them, who gets them, and how a doctor sets them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import SlotTaken
from clinic_portal.models import (
    AuditEntry,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    ExceptionKind,
    Location,
    Practitioner,
    VisitType,
)
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.blocks import Away, Block
from clinic_portal.scheduling.hours_changes import WeekChange, from_plain, to_plain
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from tests.asking import ask, drain, starts
from tests.bookings import book
from tests.invariants import check_invariants
from tests.plans import TUE
from tests.rota import TODAY, away, block, work
from tests.visitor import Visitor, words_of
from tests.world import NOW, ZONE, World, add_session, at

MODES = ["in_person", "phone", "video"]


def shown(world: World, visit_type_id: int, day: int = 1, **more: object) -> list[str]:
    on = (NOW + timedelta(days=day)).date()
    search = Search(visit_type_id, world.alice_id, account_id=world.accounts["alice"], **more)  # type: ignore[arg-type]
    return [f"{time.starts_at:%H:%M}" for time in find_free_times(db.session(), search, on, 1)[on]]


def only(visit_type_id: int) -> frozenset[int]:
    return frozenset({visit_type_id})


def test_each_kind_of_visit_sees_the_hours_that_are_for_it(any_world: World) -> None:
    world = any_world
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1), visit_type_ids=only(world.check_up_id))
    add_session(world.chen_id, at(10, day=1), at(10, 10, day=1), visit_type_ids=only(world.vaccine_id))
    add_session(world.chen_id, at(11, day=1), at(11, 30, day=1))
    both = frozenset({world.check_up_id, world.vaccine_id})
    add_session(world.chen_id, at(12, day=1), at(12, 30, day=1), visit_type_ids=both)
    assert shown(world, world.check_up_id) == ["09:00", "11:00", "12:00"]
    assert shown(world, world.vaccine_id) == [
        "10:00", "11:00", "11:10", "11:20", "12:00", "12:10", "12:20"
    ]  # fmt: skip


def test_an_id_that_others_begin_or_end_with_is_not_taken_for_them(world: World) -> None:
    likely = {int(f"{world.check_up_id}{world.check_up_id}"), int(f"9{world.check_up_id}")}
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1), visit_type_ids=frozenset(likely))
    assert shown(world, world.check_up_id) == []


def test_hours_for_others_are_refused_as_the_page_hides_them_also_when_a_visit_moves(any_world: World) -> None:
    world = any_world
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1))
    add_session(world.chen_id, at(10, day=1), at(11, day=1), visit_type_ids=only(world.vaccine_id))
    with pytest.raises(SlotTaken):
        book(world, at(10, day=1))
    visit = book(world, at(9, day=1))
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"], moving_id=visit.id)
    with pytest.raises(SlotTaken):
        booking.move_appointment(
            actor=world.alice, appointment_id=visit.id, search=search, starts_at=at(10, day=1), token="move"
        )
    check_invariants(db.session())


def test_a_visit_across_two_sessions_stays_in_hours_that_are_for_it(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(9, 15, day=1), visit_type_ids=only(world.vaccine_id))
    add_session(world.chen_id, at(9, 15, day=1), at(10, day=1))
    assert shown(world, world.check_up_id) == ["09:15", "09:30"]


def test_a_request_gets_hours_that_are_for_it(any_world: World) -> None:
    world = any_world
    add_session(world.chen_id, at(9, day=1), at(10, day=1), visit_type_ids=only(world.vaccine_id))
    add_session(world.chen_id, at(14, day=1), at(15, day=1), visit_type_ids=only(world.check_up_id))
    check_up = ask(world)
    vaccine = ask(world, world.bob_id, world.bob, search=Search(world.vaccine_id, world.bob_id))
    drain()
    assert starts(check_up, vaccine) == [at(14, day=1), at(9, day=1)]
    check_invariants(db.session())


def test_sessions_follow_their_rule_in_place(world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00", visit_type_ids=only(world.vaccine_id)))
    made = db.session().scalars(select(ClinicSession)).all()
    assert {row.visit_type_ids for row in made} == {only(world.vaccine_id)}

    @writing
    def for_all(session: Session) -> None:
        session.execute(update(AvailabilityRule).values(visit_type_ids=frozenset()))

    for_all()
    changed = refresh_sessions(practitioner_id=world.chen_id)
    assert (changed.added, changed.removed, changed.updated) == (0, 0, len(made))
    db.session().expire_all()
    assert {row.visit_type_ids for row in db.session().scalars(select(ClinicSession))} == {frozenset()}


def test_extra_hours_are_for_the_kinds_of_visits_they_name(world: World) -> None:
    away(world, date(2026, 3, 3), date(2026, 3, 3), "09:00", "10:00", kind=ExceptionKind.EXTRA,
         location_id=world.location_id, visit_type_ids=only(world.vaccine_id))  # fmt: skip
    assert (shown(world, world.check_up_id), len(shown(world, world.vaccine_id))) == ([], 6)


def test_a_change_that_waits_for_agreement_keeps_them_and_one_from_before_them_is_read(world: World) -> None:
    ids = frozenset({world.vaccine_id, world.check_up_id})
    change = WeekChange(adds=[block(world, TUE, "09:00", "12:00", visit_type_ids=ids)])
    plain = to_plain(change)
    assert from_plain(plain) == change
    extra = Away(ExceptionKind.EXTRA, ZONE, TODAY, 540, TODAY, 600, world.location_id, visit_type_ids=ids)
    assert from_plain(to_plain(extra)) == extra
    del plain["adds"][0]["visit_type_ids"]
    (old,) = from_plain(plain).adds  # type: ignore[union-attr]
    assert isinstance(old, Block)
    assert old.visit_type_ids == frozenset()


# On the pages of hours.


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    return Visitor(app, "chen")


@pytest.fixture
def own(world: World) -> str:
    return f"/hours/{db.session().get_one(Practitioner, world.chen_id).public_id}"


def public_id(model: type[Location] | type[VisitType], id_: int) -> str:
    return db.session().get_one(model, id_).public_id


def rule() -> AvailabilityRule:
    """The newest one."""
    db.session().rollback()
    db.session().expire_all()
    return db.session().scalars(select(AvailabilityRule).order_by(AvailabilityRule.id.desc())).all()[0]


def test_a_doctor_keeps_hours_for_a_kind_of_visit_and_opens_them_to_all_again(
    chen: Visitor, world: World, own: str
) -> None:
    form = chen.get(f"{own}/add")
    assert "For which kinds of appointments? Tick none for all of them." in words_of(form)
    vaccine = public_id(VisitType, world.vaccine_id)
    sent = {"weekdays": ["1"], "starts": "09:00", "ends": "10:00", "location": public_id(Location, world.location_id),
            "modes": MODES}  # fmt: skip
    wrong = chen.submit(form, 422, visit_types=["nothing"], **sent)
    assert "There is a problem Choose among these kinds of appointments" in words_of(wrong)
    says = words_of(chen.follow(chen.submit(form, visit_types=[vaccine], **sent)))
    assert "Tuesday 9am to 10am Harbour Street; only for Vaccine" in says
    assert rule().visit_type_ids == only(world.vaccine_id)
    noted = db.session().scalars(select(AuditEntry).where(AuditEntry.action == "add_hours")).one()
    assert noted.values is not None
    assert noted.values.after["visit_type_ids"] == [world.vaccine_id]
    change = chen.get(f"{own}/blocks/{rule().id}")
    assert f'value="{vaccine}" checked' in " ".join(change.text.split())
    chen.submit(change, visit_types=[], valid_from="2026-03-10", **sent)
    assert rule().visit_type_ids == frozenset()


def test_extra_hours_on_the_page(chen: Visitor, world: World, own: str) -> None:
    vaccine = public_id(VisitType, world.vaccine_id)
    done = chen.submit(chen.get(f"{own}/extra"), starts_on="2026-03-07", starts="09:00", ends="10:00", modes=MODES,
                       location=public_id(Location, world.location_id), visit_types=[vaccine])  # fmt: skip
    assert "only for Vaccine" in words_of(chen.follow(done))
    db.session().rollback()
    (extra,) = db.session().scalars(select(AvailabilityException))
    assert extra.visit_type_ids == only(world.vaccine_id)
