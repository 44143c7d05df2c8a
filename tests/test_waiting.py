"""Who waits, as the pages will show it: one request to its patient, and the whole line to the clinic."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts import open_requests_for
from clinic_portal.database import db, writing
from clinic_portal.models import Account, Appointment, PriorityClass, Status
from clinic_portal.scheduling import handling
from clinic_portal.scheduling.line import staff_queue
from clinic_portal.scheduling.waiting import Next, request_card
from tests.asking import ask, drain, fresh, offers
from tests.bookings import open_clinic
from tests.test_offers import ask_first, one_time
from tests.test_queue import ask_all, edit, patients
from tests.test_requests import set_up
from tests.visitor import Visitor
from tests.world import World, at


def line() -> list[tuple[int, str]]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return [(each.appointment.id, each.next.value) for each in staff_queue(session)]


def test_the_line_shows_everybody_in_order_with_what_happens_next(world: World) -> None:
    one_time(world)
    ids = patients(6)
    offered = ask_first(world, ids[0])
    drain()
    waits, new, put_off, stuck, urgent = ask_all(world, ids[1:])
    edit(urgent, priority_class=PriorityClass.URGENT)
    edit(waits, status=Status.WAITLIST)
    edit(stuck, next_try_at=None)
    handling.defer(actor=world.erin, appointment_id=put_off.id, until=at(9, day=3))
    set_up(world.vaccine_id, needs_triage=True)
    triage = ask(world, visit_type_id=world.vaccine_id)
    assert line() == [
        (urgent.id, "being_placed"), (offered.id, "answer_offer"), (waits.id, "waits_for_time"),
        (new.id, "being_placed"), (put_off.id, "deferred"), (stuck.id, "place_by_hand"), (triage.id, "look_at_it"),
    ]  # fmt: skip
    assert [each.appointment.id for each in staff_queue(db.session(), priority=PriorityClass.URGENT)] == [urgent.id]


def test_a_promise_that_was_not_kept_is_shown(world: World) -> None:
    ask(world)
    with clock.clock_at(at(18, 1, day=2)):
        assert [each.is_past_promise for each in staff_queue(db.session())] == [True]


def test_a_card_tells_the_offer_while_it_stands(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    card = request_card(db.session(), fresh(visit))
    assert card.offer is not None
    assert (card.next, card.offer.starts_at, card.answer_by) == (Next.ANSWER_OFFER, at(9, day=3), at(18, day=2))
    with clock.clock_at(offers(visit)[0].expires_at):
        assert request_card(db.session(), fresh(visit)).offer is None


def test_requests_are_those_of_the_people_one_acts_for_and_private_ones_only_ones_own(world: World) -> None:
    visit, bobs = ask(world), ask(world, world.bob_id, world.bob)
    account = db.session().get_one(Account, world.accounts["alice"])
    assert [each.id for each in open_requests_for(account)] == [visit.id]
    mallory = db.session().get_one(Account, world.accounts["mallory"])
    assert open_requests_for(mallory) == []

    @writing
    def hide(session: Session) -> None:
        session.execute(update(Appointment).values(is_private=True))

    hide()
    assert [each.id for each in open_requests_for(account)] == [visit.id]
    assert bobs.id != visit.id


@pytest.mark.parametrize("path", ["", "/cancel", "/booked", "/calendar.ics", "/move"])
def test_the_pages_of_appointments_with_a_time_know_no_request(app: Flask, world: World, path: str) -> None:
    visit = ask(world)
    alice = Visitor(app, "alice")
    assert alice.open(f"/appointments/{visit.public_id}{path}").status_code == 404
    assert alice.open("/appointments").status_code == 200
    open_clinic(world)
    drain()
    assert alice.open(f"/appointments/{visit.public_id}").status_code == 200
