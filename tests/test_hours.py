"""Doctors and staff change hours: patients see it at once, what cannot be meant is refused, nobody is dropped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, SlotTaken, VersionConflict, VisitsOutside
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Closure,
    Event,
    ExceptionKind,
    Hold,
    Notification,
    Patient,
    PriorityClass,
    RuleKind,
    Status,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured
from clinic_portal.scheduling import booking, holds, hours, stranded
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.stranded import Answer, What
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.asking import ask, drain, fresh
from tests.bookings import book, messages_of
from tests.invariants import check_invariants
from tests.plans import FRI, MON, THU, TUE, WED
from tests.rota import TODAY, away, back, block, work
from tests.world import NOW, World, at

TUESDAY = TODAY + timedelta(days=1)


def free(world: World, day: date = TUESDAY) -> list[str]:
    db.session().rollback()
    found = find_free_times(db.session(), Search(world.check_up_id, world.bob_id), day, 1)
    return [f"{time.starts_at:%H:%M}" for time in found[day]]


def rules(world: World, day: date = TODAY) -> list[AvailabilityRule]:
    db.session().rollback()
    db.session().expire_all()
    return hours.rules_of(db.session(), world.chen_id, day)


def outside(error: VisitsOutside) -> list[stranded.Stranded]:
    found: list[stranded.Stranded] = error.facts["visits"]
    return found


def at_mill(world: World) -> Actor:
    return Actor(ActorKind.PRACTITIONER, world.accounts["diaz"])


# What can be set


def test_hours_that_are_set_are_free_times_at_once_and_the_change_is_written_down(any_world: World) -> None:
    world = any_world
    assert free(world) == []
    work(world, block(world, TUE, "09:00", "10:00"), block(world, THU, "13:00", "14:00"))
    assert free(world) == ["09:00", "09:15", "09:30"]
    (tuesday, thursday) = rules(world)
    entry = db.session().scalars(select(AuditEntry).filter_by(subject_id=tuesday.id, action="add_hours")).one()
    assert (entry.actor_kind, entry.values.after["starts_min"]) == ("practitioner", 540)
    # From Thursday week on other hours.
    later = TODAY + timedelta(days=10)
    work(world, block(world, THU, "15:00", "16:00", valid_from=later), ends={thursday.id: later - timedelta(days=1)})
    assert free(world, TODAY + timedelta(days=3)) == ["13:00", "13:15", "13:30"]
    assert free(world, TODAY + timedelta(days=10)) == ["15:00", "15:15", "15:30"]
    entry = db.session().scalars(select(AuditEntry).filter_by(subject_id=thursday.id, action="end_hours")).one()
    assert (entry.values.before["valid_until"], entry.values.after["valid_until"]) == (None, "2026-03-11")
    check_invariants(db.session())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"starts": "10:00", "ends": "09:00"}, "ends"),
        ({"starts": "09:00", "ends": "09:00"}, "ends"),
        ({"starts": "09:02", "ends": "10:00"}, "starts"),
        ({"starts": "09:00", "ends": "10:01"}, "ends"),
        ({"valid_from": TODAY - timedelta(days=3)}, "valid_from"),
        ({"valid_from": TODAY, "valid_until": TODAY - timedelta(days=1)}, "valid_until"),
        ({"every_n_weeks": 0}, "every_n_weeks"),
        ({"nth_of_month": 6}, "nth_of_month"),
        ({"modes": frozenset()}, "modes"),
        ({"location_id": 999}, "location"),
        ({"release_before": 366}, "release_before"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_field_named(world: World, wrong: dict[str, Any], field: str) -> None:
    values = {"starts": "09:00", "ends": "10:00", **wrong}
    with pytest.raises(InvalidRequest) as refused:
        work(world, block(world, MON, values.pop("starts"), values.pop("ends"), **values))
    assert refused.value.facts["field"] == field
    assert rules(world) == []


def test_nobody_works_in_two_places_at_once(world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    (tuesday,) = rules(world)
    with pytest.raises(InvalidRequest, match="hours from 09:00 to 12:00 on 2026-03-03 already"):
        work(world, block(world, TUE, "11:00", "13:00", location_id=world.second_location_id))
    with pytest.raises(InvalidRequest):
        work(world, block(world, WED, "09:00", "10:00"), block(world, WED, "09:55", "11:00"))
    with pytest.raises(InvalidRequest, match="2026-03-03"):
        work(world, block(world, MON, "20:00", "34:00"))
    # One after the other, in other weeks, and a break over it.
    work(world, block(world, TUE, "12:00", "13:00"), block(world, TUE, "10:00", "10:15", kind=RuleKind.BREAK))
    assert free(world)[:4] == ["09:00", "09:15", "09:30", "10:15"]
    work(world, block(world, FRI, "09:00", "10:00", every_n_weeks=2, anchor_on=TODAY))
    work(world, block(world, FRI, "09:30", "11:00", every_n_weeks=2, anchor_on=TODAY + timedelta(days=7)))
    with pytest.raises(InvalidRequest):
        work(world, block(world, FRI, "09:30", "11:00", nth_of_month=1))
    # It gives way in the same act.
    work(world, block(world, TUE, "08:00", "11:00"), ends={tuesday.id: TODAY - timedelta(days=1)})


def test_hours_run_past_midnight_and_around_the_clock(world: World) -> None:
    work(world, block(world, TUE, "20:00", "26:00"), block(world, THU, "00:00", "24:00"))
    assert "23:45" in free(world)
    assert "01:30" in free(world, TUESDAY + timedelta(days=1))
    assert free(world, TUESDAY + timedelta(days=2))[-1] == "23:30"


def test_of_two_tabs_the_second_is_told(world: World) -> None:
    work(world, block(world, TUE, "09:00", "10:00"))
    version = hours.hours_version(db.session(), world.chen_id)
    work(world, block(world, WED, "09:00", "10:00"), version=version)
    with pytest.raises(VersionConflict):
        work(world, block(world, THU, "09:00", "10:00"), version=version)
    assert len(rules(world)) == 2


def test_the_same_form_again_changes_nothing_more(world: World) -> None:
    for _ in range(2):
        work(world, block(world, TUE, "09:00", "10:00"), token="hours-one")
    assert len(rules(world)) == 1


def test_only_the_doctor_and_the_staff_change_hours(world: World) -> None:
    for actor in (world.alice, at_mill(world), Actor(ActorKind.SYSTEM)):
        with pytest.raises((NotAllowed, InvalidRequest)):
            work(world, block(world, TUE, "09:00", "10:00"), actor=actor)
    with pytest.raises(NotFound):
        work(world, block(world, TUE, "09:00", "10:00"), practitioner_id=999)
    work(world, block(world, TUE, "09:00", "10:00"))
    (tuesday,) = rules(world)
    with pytest.raises(NotFound):
        work(world, ends={tuesday.id: TODAY}, practitioner_id=world.diaz_id, actor=world.erin)
    with pytest.raises(NotAllowed):
        hours.add_closure(
            actor=world.chen, name="Easter", first_on=TUESDAY, last_on=TUESDAY, location_id=None, token="hours-t"
        )  # fmt: skip


def test_a_doctor_whose_hours_somebody_else_changes_is_told_once(world: World) -> None:
    work(world, block(world, TUE, "09:00", "10:00"))
    assert count_told() == 0
    work(world, block(world, WED, "09:00", "10:00"), actor=world.erin)
    work(world, block(world, THU, "09:00", "10:00"), actor=world.erin)
    assert count_told() == 2
    delivery.deliver_due()
    mails = list_captured(current_app.config["PORTAL"].mail_dir)
    assert [mail.subject for mail in mails] == ["Your hours were changed"], "the newer tells of both"


def count_told() -> int:
    db.session().rollback()
    told = select(func.count()).select_from(Notification).where(Notification.event == Event.HOURS_CHANGED)
    return db.session().scalars(told).one()


# Visits outside of the hours (UC4.3)


@pytest.fixture
def booked(world: World) -> Appointment:
    """Alice comes on Tuesday at nine, to Dr Chen."""
    work(world, block(world, TUE, "09:00", "12:00"))
    return book(world, at(9, day=1))


def test_a_change_asks_about_every_visit_before_anything_is_changed(world: World, booked: Appointment) -> None:
    work(world, block(world, TUE, "09:00", "11:00"), practitioner_id=world.diaz_id, actor=world.erin)
    with pytest.raises(VisitsOutside) as asked:
        away(world, TUESDAY, TUESDAY)
    (one,) = outside(asked.value)
    assert (one.visit_id, one.patient_name, one.same_time_with) == (booked.id, "Alice Archer", "Dr Diaz")
    assert one.other_at == at(9, 15, day=1)
    assert one.proposal == Answer(What.SAME_TIME)
    assert db.session().scalars(select(AvailabilityException)).all() == []
    assert fresh(booked).practitioner_id == world.chen_id
    assert "09:30" in free(world)
    check_invariants(db.session())


def test_a_visit_goes_to_another_doctor_at_the_same_time_and_everybody_is_told_once(
    world: World, booked: Appointment
) -> None:
    work(world, block(world, TUE, "09:00", "11:00"), practitioner_id=world.diaz_id, actor=world.erin)
    away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.SAME_TIME)})
    moved = fresh(booked)
    assert (moved.starts_at, moved.practitioner_id, moved.sequence) == (at(9, day=1), world.diaz_id, 1)
    told = [(one.event, one.recipient.value, one.practitioner_id) for one in messages_of(booked.id) if one.sequence]
    assert sorted(told, key=str) == sorted(
        [
            (Event.MOVED, "patient", None),
            (Event.CANCELLED, "practitioner", world.chen_id),
            (Event.BOOKED, "practitioner", world.diaz_id),
        ],
        key=str,
    )
    assert free(world) == ["09:30", "09:45", "10:00", "10:15", "10:30"]
    check_invariants(db.session())


def test_a_visit_goes_to_the_nearest_time(world: World, booked: Appointment) -> None:
    work(world, block(world, THU, "14:00", "15:00"))
    away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.OTHER_TIME, at(14, day=3))})
    assert (fresh(booked).starts_at, fresh(booked).status) == (at(14, day=3), Status.BOOKED)
    check_invariants(db.session())


def test_a_time_that_is_gone_is_asked_about_again(world: World, booked: Appointment) -> None:
    work(world, block(world, THU, "14:00", "14:30"))
    book(world, at(14, day=3), patient_id=world.bob_id, actor=world.bob)
    with pytest.raises(VisitsOutside) as asked:
        away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.OTHER_TIME, at(14, day=3))})
    assert asked.value.facts["unanswered"] == {booked.id}
    assert fresh(booked).starts_at == at(9, day=1)


def test_a_visit_goes_to_the_waiting_list_and_keeps_its_place(world: World, booked: Appointment) -> None:
    with clock.clock_at(NOW + timedelta(hours=1)):
        away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.WAITING_LIST)})
    assert (fresh(booked).status, fresh(booked).cancelled_by.value) == (Status.CANCELLED, "clinic")
    again = db.session().scalars(select(Appointment).where(Appointment.id != booked.id)).one()
    assert (again.status, again.requested_at, again.priority_class) == (Status.PROPOSED, NOW, PriorityClass.SOON)
    assert again.is_ask_first
    assert again.answer_by is not None
    assert again.answer_by > NOW
    check_invariants(db.session())


def test_a_visit_that_is_kept_stays_where_it_is_and_is_not_asked_about_again(world: World, booked: Appointment) -> None:
    away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.KEEP)})
    assert (fresh(booked).starts_at, fresh(booked).status) == (at(9, day=1), Status.BOOKED)
    assert free(world) == []
    work(world, block(world, WED, "09:00", "10:00"))
    check_invariants(db.session())


def test_visits_are_proposed_times_that_all_of_them_can_have(world: World, booked: Appointment) -> None:
    work(world, block(world, TUE, "09:00", "09:30"), practitioner_id=world.diaz_id, actor=world.erin)
    second = book(world, at(9, 30, day=1), patient_id=world.bob_id, actor=world.bob)
    with pytest.raises(VisitsOutside) as asked:
        away(world, TUESDAY, TUESDAY)
    first, other = outside(asked.value)
    assert (first.visit_id, first.same_time_with) == (booked.id, "Dr Diaz")
    assert (other.visit_id, other.same_time_with, other.proposal.what) == (second.id, None, What.OTHER_TIME)
    assert other.other_at == at(9, day=8), "the half hour of today is the first one's"
    away(world, TUESDAY, TUESDAY, answers={one.visit_id: one.proposal for one in (first, other)})
    assert (fresh(second).starts_at, fresh(second).practitioner_id) == (at(9, day=8), world.chen_id)
    check_invariants(db.session())


def test_who_has_died_is_moved_nowhere_and_waits_for_nothing(world: World, booked: Appointment) -> None:
    @writing
    def dies(session: Session) -> None:
        session.get_one(Patient, world.alice_id).deceased_on = TODAY

    dies()
    with pytest.raises(VisitsOutside) as asked:
        away(world, TUESDAY, TUESDAY)
    assert outside(asked.value)[0].proposal == Answer(What.WAITING_LIST)
    away(world, TUESDAY, TUESDAY, answers={booked.id: Answer(What.WAITING_LIST)})
    assert fresh(booked).status == Status.CANCELLED
    assert db.session().scalars(select(func.count()).select_from(Appointment)).one() == 1


def test_who_waits_is_offered_what_new_hours_bring(world: World) -> None:
    visit = ask(world)
    drain()
    assert fresh(visit).status == Status.WAITLIST
    work(world, block(world, TUE, "09:00", "10:00"))
    drain()
    assert fresh(visit).starts_at == at(9, day=1)


def test_a_time_that_somebody_is_choosing_is_let_go_when_the_doctor_is_away(any_world: World) -> None:
    world = any_world
    work(world, block(world, TUE, "09:00", "12:00"))
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    away(world, TUESDAY, TUESDAY)
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="t", hold_id=hold.id)
    assert db.session().get_one(Hold, hold.id).closed_at is not None
    check_invariants(db.session())


def test_without_letting_go_a_visit_would_be_booked_into_the_day_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the guard is for."""
    monkeypatch.setattr(stranded, "let_go_of_holds_outside", lambda *_: None)
    work(world, block(world, TUE, "09:00", "12:00"))
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    away(world, TUESDAY, TUESDAY)
    visit = booking.reserve_slot(
        actor=world.alice, search=search, starts_at=at(9, day=1), token="t", hold_id=hold.id
    )  # fmt: skip
    assert stranded.ids_outside(db.session(), world.chen_id, 5) == {visit.id}


@pytest.mark.postgres
def test_a_visit_that_is_booked_while_hours_change_is_asked_about_or_lost(any_world: World) -> None:
    """Each round a patient takes the time of a hold at the moment in which the doctor takes the day off."""
    world, app = any_world, current_app._get_current_object()  # type: ignore[attr-defined]
    asked_about, lost = 0, 0
    for day in range(1, 7):
        on = TODAY + timedelta(days=day)
        work(world, block(world, on.weekday(), "09:00", "10:00"))
        search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
        hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=day))
        barrier = Barrier(2)

        def reserve(hold_id: int = hold.id, day: int = day, search: Search = search, barrier: Barrier = barrier) -> str:
            with app.app_context():
                barrier.wait()
                try:
                    booking.reserve_slot(
                        actor=world.alice, search=search, starts_at=at(9, day=day), token=f"r{day}", hold_id=hold_id
                    )  # fmt: skip
                except SlotTaken:
                    return "lost"
            return "booked"

        def leave(on: date = on, barrier: Barrier = barrier) -> str:
            with app.app_context():
                barrier.wait()
                try:
                    away(world, on, on)
                except VisitsOutside:
                    return "asked"
            return "away"

        with ThreadPoolExecutor(2) as pool:
            found = pool.submit(reserve), pool.submit(leave)
            results = (found[0].result(), found[1].result())
        assert results in {("booked", "asked"), ("lost", "away")}, results
        asked_about, lost = asked_about + (results[1] == "asked"), lost + (results[0] == "lost")
        db.session().rollback()
        assert not stranded.ids_outside(db.session(), world.chen_id, 5)
    assert asked_about + lost == 6
    check_invariants(db.session())


# Time off, extra hours, closures


def test_time_off_takes_hours_away_until_it_is_taken_back(world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    away(world, TUESDAY, TUESDAY, "10:00", "24:00", reason="Course")
    assert free(world) == ["09:00", "09:15", "09:30"]
    row = db.session().scalars(select(AvailabilityException)).one()
    entry = (
        db.session()
        .scalars(select(AuditEntry).filter_by(subject_id=row.id, subject_type="availability_exceptions"))
        .one()
    )
    assert "Course" not in str(entry.values.after)
    back(world, row.id)
    assert len(free(world)) == 11
    with pytest.raises(NotFound):
        back(world, row.id, actor=world.erin, practitioner_id=world.diaz_id)


def test_extra_hours_are_extra_and_end_with_what_is_booked_in_them_asked_about(world: World) -> None:
    away(world, TUESDAY, TUESDAY, "18:00", "19:00", kind=ExceptionKind.EXTRA, location_id=world.location_id)
    assert free(world) == ["18:00", "18:15", "18:30"]
    visit = book(world, at(18, day=1))
    row = db.session().scalars(select(AvailabilityException)).one()
    with pytest.raises(VisitsOutside):
        back(world, row.id)
    answers = {visit.id: Answer(What.WAITING_LIST)}
    back(world, row.id, answers=answers)
    assert (fresh(visit).status, free(world)) == (Status.CANCELLED, [])


@pytest.mark.parametrize(
    ("first", "last", "starts", "ends", "more", "field"),
    [
        (2, 1, "00:00", "24:00", {}, "ends_on"),
        (-3, -2, "00:00", "24:00", {}, "starts_on"),
        (1, 1, "10:00", "10:00", {}, "ends_on"),
        (1, 900, "00:00", "24:00", {}, "ends_on"),
        (1, 1, "10:00", "11:00", {"reason": "x" * 201}, "reason"),
        (1, 1, "10:01", "11:00", {"kind": ExceptionKind.EXTRA}, "starts"),
        (1, 1, "10:00", "11:00", {"kind": ExceptionKind.EXTRA, "location_id": 999}, "location"),
        (1, 30, "10:00", "11:00", {"kind": ExceptionKind.EXTRA}, "ends_on"),
    ],
)
def test_days_away_that_cannot_be_meant_are_refused(
    world: World, first: int, last: int, starts: str, ends: str, more: dict[str, Any], field: str
) -> None:
    days = [TODAY + timedelta(days=number) for number in (first, last)]
    with pytest.raises(InvalidRequest) as refused:
        away(world, *days, starts, ends, **more)
    assert refused.value.facts["field"] == field


def test_a_closed_clinic_asks_about_the_visits_of_everybody(world: World, booked: Appointment) -> None:
    work(world, block(world, TUE, "09:00", "11:00", location_id=world.second_location_id),
         practitioner_id=world.diaz_id, actor=world.erin)  # fmt: skip
    other = book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    close = {"actor": world.erin, "name": " Spring  holiday ", "first_on": TUESDAY, "last_on": TUESDAY}
    with pytest.raises(VisitsOutside) as asked:
        hours.add_closure(**close, location_id=None, token="hours-all")  # type: ignore[arg-type]
    assert [one.visit_id for one in outside(asked.value)] == [booked.id, other.id]
    answers = {visit.id: Answer(What.KEEP) for visit in (booked, other)}
    made = hours.add_closure(**close, location_id=None, token="hours-all", answers=answers)  # type: ignore[arg-type]
    assert (made.name, free(world)) == ("Spring holiday", [])
    assert count_told() == 3, "each doctor of what the desk did"
    hours.end_closure(actor=world.erin, closure_id=made.id)
    assert free(world)
    assert db.session().scalars(select(Closure)).all() == []
    check_invariants(db.session())


def test_one_place_closes_alone(world: World) -> None:
    work(world, block(world, TUE, "09:00", "10:00"))
    hours.add_closure(actor=world.erin, name="Painting", first_on=TUESDAY, last_on=TUESDAY,
                      location_id=world.second_location_id, token="hours-mill")  # fmt: skip
    assert free(world)
    hours.add_closure(actor=world.erin, name="Painting", first_on=TUESDAY, last_on=TUESDAY,
                      location_id=world.location_id, token="hours-harbour")  # fmt: skip
    assert free(world) == []
    assert db.session().scalars(select(func.count()).select_from(ClinicSession).where(
        ClinicSession.starts_at < at(0, day=2))).one() == 0  # fmt: skip


def test_between_hours_at_two_places_there_is_time_for_the_way(world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    mill = {"location_id": world.second_location_id}
    for starts, ends in (("12:10", "14:00"), ("08:00", "08:50"), ("07:00", "09:00")):
        with pytest.raises(InvalidRequest, match=r"from 09:00 to 12:00 on 2026-03-03\. Leave 15 minutes for the way"):
            work(world, block(world, TUE, starts, ends, **mill))
    work(world, block(world, TUE, "12:15", "14:00", **mill), block(world, TUE, "08:00", "08:45", **mill))
    # Where they are already there is no way.
    work(world, block(world, TUE, "14:00", "15:00", **mill))

    @writing
    def no_way(session: Session) -> None:
        put_setting(session, "travel_min", 0)

    no_way()
    work(world, block(world, TUE, "15:00", "16:00"))
