"""Requests of people with needs, referrals and a right to privacy: the queue keeps to them as a reservation does."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import Overlap
from clinic_portal.models import Need, PatientAccess, Relation, VisitType, WhoMayBook
from clinic_portal.profile.merging import merge_patients
from clinic_portal.scheduling.booking import cancel_appointment
from clinic_portal.scheduling.offers import accept_offer
from clinic_portal.scheduling.referrals import allowances_of, enter_referral
from clinic_portal.scheduling.search import Search
from tests.asking import ask, drain, fresh, offers, open_tasks, status
from tests.invariants import check_invariants
from tests.test_queue import patients
from tests.world import NOW, World, add_session, at

INTERPRETED = frozenset({Need.INTERPRETER})


def needing_interpreter(world: World) -> Search:
    return Search(world.check_up_id, world.alice_id, needs=INTERPRETED)


def test_with_an_interpreter_a_request_gets_more_time_and_notice_and_a_task(any_world: World) -> None:
    for day in (1, 4):
        add_session(any_world.chen_id, at(9, day=day), at(12, day=day))
    visit = ask(any_world, search=needing_interpreter(any_world))
    drain()
    booked = fresh(visit)
    assert booked.starts_at is not None
    assert booked.ends_at is not None
    assert booked.starts_at >= NOW + timedelta(days=2)
    assert booked.extra_minutes == 10
    assert booked.ends_at - booked.starts_at == timedelta(minutes=40)
    assert open_tasks(visit) == ["interpreter"]
    check_invariants(db.session())


def test_an_offered_time_keeps_the_minutes_that_needs_add(world: World) -> None:
    add_session(world.chen_id, at(9, day=4), at(12, day=4))
    visit = ask(world, search=needing_interpreter(world), is_ask_first=True)
    drain()
    [offer] = offers(visit)
    accept_offer(actor=world.alice, offer_id=offer.id)
    booked = fresh(visit)
    assert booked.extra_minutes == 10
    assert open_tasks(visit) == ["interpreter"]
    check_invariants(db.session())


@writing
def needs_referral(session: Session, visit_type_id: int) -> None:
    session.get_one(VisitType, visit_type_id).who_may_book = WhoMayBook.REFERRED


def test_a_placed_request_uses_its_referral_up_and_a_cancel_gives_it_back(world: World) -> None:
    needs_referral(world.check_up_id)
    enter_referral(
        actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, from_whom="Dr Grey",
        received_on=date(2026, 3, 1), valid_until=date(2026, 3, 4), visits_allowed=1,
    )  # fmt: skip
    add_session(world.chen_id, at(9, day=5), at(10, day=5))
    visit = ask(world)
    drain()
    assert status(visit) == "waitlist"
    add_session(world.chen_id, at(9, day=1), at(10, day=1))
    drain()
    assert status(visit) == "booked"
    assert [one.left for one in allowances_of(db.session(), world.alice_id, world.check_up_id)] == [0]
    cancel_appointment(actor=world.alice, appointment_id=visit.id, token="c")
    db.session().rollback()
    assert [one.left for one in allowances_of(db.session(), world.alice_id, world.check_up_id)] == [1]


@writing
def act_for_alice(session: Session, account_id: int, visit_type_id: int) -> None:
    session.get_one(VisitType, visit_type_id).is_sensitive = True
    session.add(
        PatientAccess(account_id=account_id, patient_id=1, relation=Relation.PARENT, starts_on=date(2020, 1, 1))
    )


def test_a_request_for_a_sensitive_visit_is_private_from_the_start(world: World) -> None:
    assert world.alice_id == 1
    act_for_alice(world.accounts["mallory"], world.vaccine_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    private, open_ = ask(world, visit_type_id=world.vaccine_id), ask(world)
    assert (fresh(private).is_private, fresh(open_).is_private) == (True, False)
    drain()
    assert fresh(private).is_private


def test_records_that_both_wait_for_the_same_kind_of_visit_are_not_joined(world: World) -> None:
    [twin] = patients(1)
    one, other = ask(world), ask(world, twin, world.erin)
    with pytest.raises(Overlap) as refused:
        merge_patients(actor=world.erin, loser_id=twin, winner_id=world.alice_id)
    assert fresh(one).reference in str(refused.value)
    assert fresh(other).reference in str(refused.value)
