"""Who is due: nobody for ever, nobody before the pause after a fault, and nobody forgotten when no worker comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, PriorityClass, Status, TriageStatus
from clinic_portal.scheduling import due, handling, queue, serving
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.earlier import ask_for_earlier, keep_time
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import ask, drain, fresh, offers, open_tasks, starts, status
from tests.bookings import book, cancel, messages_of, open_clinic
from tests.invariants import check_invariants
from tests.test_jobs import app_with_queue, valkey_url  # noqa: F401
from tests.test_offers import ask_first, one_time
from tests.test_queue import ask_all, patients, serve_at, setting
from tests.test_requests import set_up
from tests.world import NOW, World, add_patient, add_session, at


def is_due() -> bool:
    session = db.session()
    session.rollback()
    return queue.is_anybody_due()


def wants_earlier(world: World, day: int) -> Appointment:
    add_session(world.chen_id, at(9, day=day), at(9, 30, day=day))
    visit = book(world, at(9, day=day))
    return ask_for_earlier(actor=world.alice, appointment_id=visit.id, wishes=Wishes())


def break_plans_for(monkeypatch: pytest.MonkeyPatch, visit: Appointment) -> None:
    whole = serving._plan_one

    def plan(picture: object, row: Appointment, *args: object) -> object:
        if row.id == visit.id:
            raise RuntimeError
        return whole(picture, row, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(serving, "_plan_one", plan)


def test_a_visit_that_has_begun_is_tried_no_more_for_an_earlier_time(any_world: World) -> None:
    wants_earlier(any_world, day=2)
    drain()
    with clock.clock_at(at(1, day=2)):
        assert is_due()
    with clock.clock_at(at(10, day=2)):
        assert not is_due()
        assert due.oldest_due_at(db.session(), at(10, day=2)) is None


def test_a_broken_wish_for_an_earlier_time_is_tried_again_after_growing_pauses_and_troubles_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting("queue_tries", 2)
    visit = wants_earlier(world, day=9)
    before = len(messages_of(visit.id))
    break_plans_for(monkeypatch, visit)
    drain()
    assert not is_due()
    assert (status(visit), fresh(visit).tries) == ("booked", 1)
    for minutes in (1, 2, 3):
        serve_at(NOW + timedelta(minutes=minutes))
    assert (fresh(visit).tries, open_tasks(visit)) == (4, [])
    assert len(messages_of(visit.id)) == before
    monkeypatch.undo()
    one_time(world, at(9, day=4))
    serve_at(NOW + timedelta(minutes=5))
    assert [offer.starts_at for offer in offers(visit)] == [at(9, day=4)]
    check_invariants(db.session())


@pytest.mark.parametrize("end", [keep_time, ask_for_earlier, change_status])
def test_what_was_asked_of_the_desk_about_an_earlier_time_ends_with_the_wish(world: World, end: Any) -> None:
    setting("offers_unanswered", 1)
    visit = wants_earlier(world, day=12)
    one_time(world, at(9, day=4))
    drain()
    over = offers(visit)[0].expires_at
    serve_at(over)
    assert open_tasks(visit) == ["offers_unanswered"]
    more: dict[Any, Any] = {ask_for_earlier: {"wishes": Wishes()}, change_status: {"to": Status.ARRIVED}}
    with clock.clock_at(over):
        end(actor=world.erin, appointment_id=visit.id, **more.get(end, {}))
    assert open_tasks(visit) == []
    check_invariants(db.session())


def test_time_that_opens_does_not_cut_the_pause_after_a_fault_short(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ask_all(world, patients(2))
    drain()
    break_plans_for(monkeypatch, first)
    open_clinic(world)
    for second_passed in range(4):
        with clock.clock_at(NOW + timedelta(seconds=second_passed)):
            drain()
    assert (fresh(first).tries, status(first), status(second)) == (1, "waitlist", "booked")
    monkeypatch.undo()
    serve_at(NOW + timedelta(seconds=6))
    assert starts(first) == [at(9, 30, day=1)]


def test_whoever_places_a_request_by_hand_has_looked_at_it(world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    open_clinic(world)
    visit = ask(world)
    handling.place_by_hand(actor=world.erin, appointment_id=visit.id, starts_at=at(10, day=1), token="p")
    placed = fresh(visit)
    assert (placed.triage_status, placed.triaged_by_account_id) == (TriageStatus.DONE, world.erin.account_id)
    assert open_tasks(visit) == []
    check_invariants(db.session())


def test_a_request_that_rests_is_not_late_though_its_class_was_changed(world: World) -> None:
    visit = ask(world)
    handling.defer(actor=world.erin, appointment_id=visit.id, until=at(9, day=5))
    handling.reclassify(
        actor=world.erin, appointment_id=visit.id, priority=PriorityClass.SOON, reason="It hurts more."
    )  # fmt: skip
    later = NOW + timedelta(hours=1)
    assert due.oldest_due_at(db.session(), later) is None


@writing
def somebody_else(session: Session) -> int:
    return add_patient(session, "Carol", "Stone").id


def test_when_no_worker_comes_the_sweep_gives_freed_time_and_ended_offers_on(
    world: World,
    app_with_queue: Flask,  # noqa: F811
) -> None:
    """The queue answers, so whoever frees time believes that somebody will look."""
    with app_with_queue.app_context():
        one_time(world)
        asked, other = ask_first(world), ask(world, world.bob_id, world.bob)
        add_session(world.diaz_id, at(9, day=1), at(9, 30, day=1))
        taken = book(world, at(9, day=1), patient_id=somebody_else(), actor=world.erin)
        drain()
        with clock.clock_at(NOW + timedelta(hours=1)):
            cancel(world, taken)
        sweep_the_queue(NOW + timedelta(hours=1, seconds=5))
        assert status(other) == "waitlist", "a worker gets the first chance"
        sweep_the_queue(NOW + timedelta(hours=1, seconds=11))
        assert starts(other) == [at(9, day=1)]
        over = offers(asked)[0].expires_at
        sweep_the_queue(over + timedelta(seconds=5))
        assert status(asked) == "pending"
        sweep_the_queue(over + timedelta(seconds=11))
        assert status(asked) == "waitlist"


def sweep_the_queue(instant: object) -> None:
    with clock.clock_at(instant):  # type: ignore[arg-type]
        next(duty for duty in jobs.DUTIES if duty.name == "serve requests").run()
