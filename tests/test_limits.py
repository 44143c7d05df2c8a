"""Limits that clinics set: what a page offers is what a service accepts, counted for the patient whoever books."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import (
    DomainError,
    NotBookableOnline,
    NotForThisPatient,
    TooManyOpenVisits,
    TooSoon,
    TooSoonAfterLast,
)
from clinic_portal.models import Appointment, IdentityStatus, Patient, PatientAccess, Relation, VisitType, WhoMayBook
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests import racing
from tests.bookings import book, cancel, move, open_clinic
from tests.racing import Racers, call
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, ZONE, World, add_patient, add_session, at

TODAY = clock.local_date(NOW, ZONE)


@writing
def change(session: Session, kind: type[Any], id_: int, **values: Any) -> None:
    row = session.get_one(kind, id_)
    for name, value in values.items():
        setattr(row, name, value)


@writing
def set_limits(session: Session, visit_type_id: int | None = None, **values: int) -> None:
    for name, value in values.items():
        put_setting(session, name, value, visit_type_id)


@writing
def put_text(session: Session, **values: str) -> None:
    for name, value in values.items():
        put_setting(session, name, value)


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    for day in (1, 2, 3):
        open_clinic(world, day)
    set_limits(max_open_per_patient=1, max_open_in_all=4)
    return Visitor(app, "alice")


def url_of(world: World, page: str, patient_id: int = 0, visit_type_id: int = 0) -> str:
    patient = db.session().get_one(Patient, patient_id or world.alice_id).public_id
    visit_type = db.session().get_one(VisitType, visit_type_id or world.check_up_id).public_id
    return f"/book/{page}?patient={patient}&visit_type={visit_type}&place=any&needs=none"


def offers(visitor: Visitor) -> str:
    return words_of(visitor.get("/book/visit-type"))


def is_refused(visitor: Visitor, world: World, status: int) -> str:
    """The visit type is not offered; its address, its form and the service refuse it alike. Returns what is said."""
    asked = visitor.get("/book/visit-type")
    check_up = db.session().get_one(VisitType, world.check_up_id).public_id
    assert check_up not in asked.text
    visitor.submit(asked, status, visit_type=check_up)
    visitor.get(url_of(world, "help"), status)
    refused = visitor.get(url_of(world, "times"), status)
    assert "020 7946 0000" in words_of(refused)
    alice = db.session().get_one(Patient, world.alice_id).public_id
    assert f'href="/book/visit-type?patient={alice}&amp;place=any&amp;needs=none"' in refused.text
    with pytest.raises(NotBookableOnline) as refusal:
        book(world, at(11, day=3))
    assert str(refusal.value) in words_of(refused)
    return str(refusal.value)


# Who


def test_what_only_staff_may_book_is_not_offered_and_refused_in_words(alice: Visitor, world: World) -> None:
    change(VisitType, world.check_up_id, who_may_book=WhoMayBook.STAFF)
    assert "only be booked by our staff" in is_refused(alice, world, 403)
    assert book(world, at(9, day=1), actor=world.erin).status == "booked"


def test_a_visit_for_known_patients_is_refused_to_new_ones_until_they_are_identified(
    alice: Visitor, world: World
) -> None:
    change(VisitType, world.check_up_id, who_may_book=WhoMayBook.KNOWN_PATIENT)
    change(Patient, world.alice_id, identity_status=IdentityStatus.SELF_DECLARED)
    assert "seen here before" in is_refused(alice, world, 403)
    change(Patient, world.alice_id, identity_status=IdentityStatus.CHECKED_AT_DESK)
    assert "Check-up" in offers(alice)
    assert book(world, at(9, day=1)).status == "booked"


@pytest.mark.parametrize(("days_ago", "is_known"), [(29, True), (31, False)])
def test_somebody_seen_lately_is_known(alice: Visitor, world: World, days_ago: int, is_known: bool) -> None:
    change(VisitType, world.check_up_id, who_may_book=WhoMayBook.KNOWN_PATIENT)
    set_limits(world.check_up_id, existing_within_months=1)
    with clock.clock_at(NOW - timedelta(days=days_ago, hours=24)):
        add_session(world.diaz_id, at(9, day=-days_ago), at(12, day=-days_ago))
        seen = book(world, at(9, day=-days_ago), visit_type_id=world.vaccine_id)
    change(Appointment, seen.id, status="fulfilled")
    change(Patient, world.alice_id, identity_status=IdentityStatus.SELF_DECLARED)
    assert ("Check-up" in offers(alice)) is is_known


def test_people_whom_the_clinic_does_not_know_need_more_notice(alice: Visitor, world: World) -> None:
    add_session(world.diaz_id, at(11), at(15))
    search = Search(world.check_up_id, world.alice_id)
    assert find_free_times(db.session(), search, TODAY, 1)[TODAY]
    change(Patient, world.alice_id, identity_status=IdentityStatus.SELF_DECLARED)
    assert find_free_times(db.session(), search, TODAY, 1)[TODAY] == []
    with pytest.raises(TooSoon):
        book(world, at(12))
    assert book(world, at(9, day=1)).status == "booked"
    assert book(world, at(12), actor=world.erin).status == "booked"


# Age


def test_age_counts_on_the_day_of_the_visit(alice: Visitor, world: World) -> None:
    change(VisitType, world.check_up_id, min_age=18)
    # Eighteen on Wednesday.
    change(Patient, world.alice_id, birth_on=date(2008, 3, 4))
    assert "Check-up" in offers(alice)
    page = alice.get(url_of(world, "times"))
    assert "Days from Wednesday 4 March" in words_of(page)
    with pytest.raises(NotForThisPatient, match="aged 18 or over"):
        book(world, at(9, day=1))
    assert book(world, at(9, day=2)).status == "booked"


@pytest.mark.parametrize(
    ("ages", "born_on", "says"),
    [
        ({"min_age": 18}, date(2010, 1, 1), "aged 18 or over"),
        ({"max_age": 17}, date(2008, 3, 2), "aged up to 17"),
        ({"min_age": 2, "max_age": 5}, date(2020, 3, 2), "aged 2 to 5"),
        ({"min_age": 2}, None, "aged 2 or over"),
    ],
)
def test_a_visit_for_another_age_is_refused(
    alice: Visitor, world: World, ages: dict[str, int], born_on: date | None, says: str
) -> None:
    change(VisitType, world.check_up_id, **ages)
    change(Patient, world.alice_id, birth_on=born_on)
    assert says in is_refused(alice, world, 403)


def test_the_last_day_at_the_right_age_is_the_one_before_the_birthday(alice: Visitor, world: World) -> None:
    change(VisitType, world.check_up_id, max_age=17)
    change(Patient, world.alice_id, birth_on=date(2008, 3, 4))
    days = find_free_times(db.session(), Search(world.check_up_id, world.alice_id), TODAY, 7)
    assert [day.day for day, times in days.items() if times] == [3]


# How many and how often


def test_a_second_visit_of_the_same_type_must_wait_and_the_page_says_why(alice: Visitor, world: World) -> None:
    first = book(world, at(9, day=1))
    assert "Check-up is already booked" in is_refused(alice, world, 409)
    says = offers(alice)
    assert "Check-up is already booked" in says
    assert "Vaccine" in says
    assert book(world, at(10, day=1), actor=world.erin).status == "booked"
    cancel(world, first)
    with pytest.raises(TooManyOpenVisits):
        book(world, at(11, day=1))


def test_no_more_visits_ahead_in_all_than_the_clinic_allows(alice: Visitor, world: World) -> None:
    set_limits(max_open_in_all=2, max_open_per_patient=5)
    book(world, at(9, day=1))
    book(world, at(10, day=1), visit_type_id=world.vaccine_id)
    assert "2 appointments ahead" in is_refused(alice, world, 409)
    page = alice.get("/book/visit-type")
    assert "Nothing more can be booked online" in words_of(page)
    assert [form for form in forms_of(page) if form.choices] == []
    with clock.clock_at(at(9, 30, day=1)):
        assert book(world, at(9, day=2)).status == "booked"


def test_days_between_two_visits_of_a_type_are_kept_and_told(alice: Visitor, world: World) -> None:
    set_limits(world.check_up_id, min_days_since_same=3)
    book(world, at(9, day=1))
    set_limits(max_open_per_patient=5)
    with pytest.raises(TooSoonAfterLast, match="Friday 6 March 2026 or later"):
        book(world, at(9, day=3))
    open_clinic(world, 4)
    page = alice.get(url_of(world, "times"))
    assert "Days from Friday 6 March" in words_of(page)
    assert book(world, at(9, day=4)).status == "booked"


def test_a_missed_or_cancelled_visit_is_no_reason_to_wait(alice: Visitor, world: World) -> None:
    set_limits(world.check_up_id, min_days_since_same=30)
    cancel(world, book(world, at(9, day=1)))
    missed = book(world, at(9, day=1))
    change(Appointment, missed.id, status="noshow")
    with clock.clock_at(at(12, day=1)):
        assert book(world, at(9, day=2)).status == "booked"


def test_days_between_are_counted_over_the_whole_horizon_before_a_type_vanishes(alice: Visitor, world: World) -> None:
    set_limits(world.check_up_id, min_days_since_same=60)
    set_limits(max_open_per_patient=5)
    book(world, at(9, day=1))
    assert "60 days" in is_refused(alice, world, 409)
    assert "60 days" in offers(alice)


def test_moving_never_counts_the_visit_itself(alice: Visitor, world: World) -> None:
    set_limits(world.check_up_id, min_days_since_same=30)
    set_limits(max_open_in_all=1)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    assert alice.submit(page, start="20260303T1000Z").status_code == 303
    assert move(world, visit, at(9, day=2)).starts_at == at(9, day=2)


def test_what_the_desk_booked_beyond_the_limits_can_be_moved(alice: Visitor, world: World) -> None:
    change(VisitType, world.check_up_id, who_may_book=WhoMayBook.STAFF)
    visits = [book(world, at(hour, day=1), actor=world.erin) for hour in (9, 10)]
    assert move(world, visits[1], at(9, day=2)).starts_at == at(9, day=2)


# For somebody else


@writing
def add_child(session: Session, world: World, born_on: date, *parents: str) -> int:
    child = add_patient(session, "Cleo", "Archer", email=False)
    child.birth_on = born_on
    for parent in parents:
        session.add(PatientAccess(account_id=world.accounts[parent], patient_id=child.id, relation=Relation.PARENT,
                                  starts_on=date(2020, 1, 1)))  # fmt: skip
    return child.id


def test_the_childs_age_counts_and_not_the_parents(alice: Visitor, world: World) -> None:
    change(VisitType, world.check_up_id, max_age=5)
    child_id = add_child(world, date(2023, 1, 1), "alice")
    child = db.session().get_one(Patient, child_id).public_id
    assert "Check-up" in words_of(alice.get(f"/book/visit-type?patient={child}"))
    own = db.session().get_one(Patient, world.alice_id).public_id
    assert "Check-up" not in words_of(alice.get(f"/book/visit-type?patient={own}"))
    alice.get(url_of(world, "times", child_id))
    alice.get(url_of(world, "times"), 403)


def test_limits_count_for_the_patient_whoever_books(alice: Visitor, world: World) -> None:
    child_id = add_child(world, date(2018, 1, 1), "alice", "bob")
    for parent in ("alice", "bob"):
        actor = Actor(ActorKind.PROXY, world.accounts[parent])
        if parent == "alice":
            book(world, at(9, day=1), patient_id=child_id, actor=actor)
            continue
        with pytest.raises(TooManyOpenVisits):
            book(world, at(10, day=1), patient_id=child_id, actor=actor)
    # Her own visits are not the child's.
    assert book(world, at(11, day=1)).status == "booked"


def test_a_private_visit_shows_in_no_refusal_to_a_proxy(alice: Visitor, world: World) -> None:
    visit = book(world, at(9, day=1))
    change(Appointment, visit.id, is_private=True)
    mother = Actor(ActorKind.PROXY, world.accounts["bob"])
    assert book(world, at(10, day=1), patient_id=world.alice_id, actor=mother).status == "booked"
    with pytest.raises(TooManyOpenVisits):
        book(world, at(11, day=1))


# Between the page and the form


def test_a_limit_reached_while_the_time_was_kept_is_told_on_the_check_page(alice: Visitor, world: World) -> None:
    page = alice.get(url_of(world, "times"))
    check = alice.follow(alice.submit(page, start="20260303T0900Z"))
    book(world, at(11, day=2), actor=world.erin)
    refused = alice.submit(check, 409)
    assert "Check-up is already booked" in words_of(refused)
    assert "/book/visit-type?patient=" in refused.text


def test_a_limit_reached_before_a_time_was_chosen_is_told_too(alice: Visitor, world: World) -> None:
    page = alice.get(url_of(world, "times"))
    book(world, at(11, day=2), actor=world.erin)
    assert "Check-up is already booked" in words_of(alice.submit(page, 409, start="20260303T0900Z"))


@pytest.mark.parametrize("seed", range(12))
def test_the_days_shown_are_the_days_accepted(world: World, seed: int) -> None:
    """Whatever the limits are: each day of three weeks is offered exactly if a time on it would be kept."""
    rng = random.Random(seed)
    days = range(1, 22)
    for day in days:
        open_clinic(world, day)
    for day in rng.sample(days, rng.randint(0, 2)):
        book(world, at(11, day=day), actor=world.erin)
    change(
        VisitType, world.check_up_id, who_may_book=rng.choice([*WhoMayBook, WhoMayBook.ANYONE]),
        min_age=rng.choice([None, 18]), max_age=rng.choice([None, 18]),
    )  # fmt: skip
    change(
        Patient, world.alice_id, identity_status=rng.choice(list(IdentityStatus)),
        birth_on=rng.choice([date(2008, 3, 2), date(2007, 3, 2)]) + timedelta(days=rng.randint(-3, 20)),
    )  # fmt: skip
    set_limits(
        world.check_up_id, min_days_since_same=rng.choice([0, 0, 2, 7]), max_open_per_patient=rng.choice([1, 2, 3]),
        new_patient_notice_min=rng.choice([0, 1440, 4320]),
    )  # fmt: skip
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    shown = find_free_times(db.session(), search, TODAY, 22)
    if load_terms(db.session(), search).refusal() is not None:
        shown = {day: [] for day in shown}
    accepted = [day for day in days if is_kept(world, search, day)]
    assert [day for day in days if shown[TODAY + timedelta(days=day)]] == accepted


def is_kept(world: World, search: Search, day: int) -> bool:
    try:
        hold_slot(actor=world.alice, search=search, starts_at=at(9, day=day))
    except DomainError:
        return False
    return True


# Races


@pytest.mark.slow
def test_two_parents_at_once_cannot_book_twice_and_could_without_the_lock(
    racers: Racers, any_world: World, any_env: dict[str, str]
) -> None:
    """The control counts as we do, but outside the patient's lock."""
    open_clinic(any_world)
    open_clinic(any_world, 2)
    set_limits(max_open_per_patient=1)
    child_id = add_child(any_world, date(2018, 1, 1), "alice", "bob")
    starts = [at(9 + number // 2, 30 * (number % 2), day=1) for number in range(6)]
    proxies = [Actor(ActorKind.PROXY, any_world.accounts[name]) for name in ("alice", "bob")]
    search = Search(any_world.check_up_id, child_id)
    db.session.remove()
    outcomes = racers.race(
        any_env, NOW,
        [call(racing.reserve, actor=proxies[number % 2], search=search, starts_at=start, token=f"race{number}")
         for number, start in enumerate(starts)],
    )  # fmt: skip
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert sum(outcome.is_done for outcome in outcomes) == 1
    assert {outcome.refusal for outcome in outcomes if not outcome.is_done} == {"too_many_open_visits"}
    other = Search(any_world.vaccine_id, child_id)
    naive = [call(racing.naive_limited_reserve, search=other, starts_at=start + timedelta(days=1)) for start in starts]
    assert sum(outcome.is_done for outcome in racers.race(any_env, NOW, naive)) > 1
