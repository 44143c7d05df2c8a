"""Many at once, in separate processes: the guarantees hold, and the same races without the guards break them.

Each race ends with a look at every row: see `invariants.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Account,
    Appointment,
    AvailabilityRule,
    ClinicSession,
    Delivery,
    Gender,
    Hold,
    Notification,
    Practitioner,
    PractitionerKind,
    PractitionerVisitType,
    Status,
    Submission,
    Task,
)
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.settings import put_setting
from tests import racing
from tests.invariants import broken_invariants, check_invariants
from tests.racing import Call, Outcome, Race, call
from tests.world import NOW, World, add_patient, add_session, at, build_world

pytestmark = pytest.mark.slow

CLIENTS = 50
TEN = at(10, day=1)


@writing
def add_patients(session: Session, how_many: int) -> list[tuple[Actor, int]]:
    """Patients with accounts, each acting for themselves."""
    made = []
    for number in range(how_many):
        account = Account(email=f"patient{number}@example.com", fs_uniquifier=f"p{number}", created_at=NOW)
        session.add(account)
        session.flush()
        patient = add_patient(session, f"Patient{number}", "Racer", account)
        made.append((Actor(ActorKind.PATIENT, account.id), patient.id))
    return made


@writing
def add_doctors(session: Session, world: World, how_many: int) -> list[int]:
    made = []
    for number in range(how_many):
        doctor = Practitioner(name=f"Dr {number}", kind=PractitionerKind.DOCTOR, gender=Gender.FEMALE)
        session.add(doctor)
        session.flush()
        session.add(
            PractitionerVisitType(
                practitioner_id=doctor.id, visit_type_id=world.check_up_id, duration_min=30, duration_new_patient_min=30
            )
        )
        made.append(doctor.id)
    return made


def all_reserve(world: World, people: list[tuple[Actor, int]], wave: str = "") -> list[Call]:
    return [
        call(
            racing.reserve, actor=actor, search=Search(world.check_up_id, patient_id), starts_at=TEN, token=f"one{wave}"
        )
        for actor, patient_id in people
    ]


def refusals(outcomes: Sequence[Outcome]) -> set[str | None]:
    return {outcome.refusal for outcome in outcomes if not outcome.is_done}


def booked() -> list[Appointment]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Appointment).filter_by(status=Status.BOOKED).order_by(Appointment.id)))


def test_of_fifty_simultaneous_reservations_of_one_time_exactly_one_succeeds(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    outcomes = race(all_reserve(any_world, add_patients(CLIENTS)))
    assert sum(outcome.is_done for outcome in outcomes) == 1
    assert refusals(outcomes) == {"slot_taken"}
    check_invariants(db.session())


def test_the_same_race_without_the_guards_books_the_time_more_than_once(any_world: World, race: Race) -> None:
    """The control: without the condition in the statement, the lock and the constraint, one time has many owners."""
    racing.drop_guarantees(db.session())
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    people = add_patients(CLIENTS)
    outcomes = race(
        [
            call(racing.naive_reserve, search=Search(any_world.check_up_id, patient), starts_at=TEN)
            for _, patient in people
        ]
    )
    assert sum(outcome.is_done for outcome in outcomes) > 1
    assert broken_invariants(db.session())


def test_64_clients_in_waves_for_one_time_of_eight_doctors_fill_exactly_eight(any_world: World, race: Race) -> None:
    for doctor_id in add_doctors(any_world, 8):
        add_session(doctor_id, at(9, day=1), at(12, day=1))
    people = add_patients(64)
    first, second = race(all_reserve(any_world, people[:32], "a")), race(all_reserve(any_world, people[32:], "b"))
    done = [outcome for outcome in first + second if outcome.is_done]
    assert len(done) == len({outcome.value[1] for outcome in done}) == 8
    assert refusals(first + second) == {"slot_taken"}
    check_invariants(db.session())


def test_a_double_click_on_two_servers_makes_one_visit_and_returns_the_same(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    add_session(any_world.diaz_id, at(9, day=1), at(12, day=1))
    outcomes = race(all_reserve(any_world, [(any_world.alice, any_world.alice_id)]) * 12)
    assert len({outcome.value for outcome in outcomes}) == 1 == len(booked())
    assert all(outcome.is_done for outcome in outcomes)
    check_invariants(db.session())


def test_two_forms_of_one_patient_for_one_time_make_one_visit(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    add_session(any_world.diaz_id, at(9, day=1), at(12, day=1))
    search = Search(any_world.check_up_id, any_world.alice_id)
    outcomes = race(
        [call(racing.reserve, actor=any_world.alice, search=search, starts_at=TEN, token=f"t{n}") for n in range(12)]
    )
    assert sum(outcome.is_done for outcome in outcomes) == 1
    assert refusals(outcomes) == {"patient_busy"}
    check_invariants(db.session())


def test_many_hold_one_time_and_one_gets_it(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    outcomes = race(
        [
            call(racing.hold, actor=actor, search=Search(any_world.check_up_id, patient_id), starts_at=TEN)
            for actor, patient_id in add_patients(24)
        ]
    )
    assert sum(outcome.is_done for outcome in outcomes) == 1
    assert refusals(outcomes) == {"slot_taken"}
    check_invariants(db.session())


def test_an_expired_hold_is_claimed_by_one_of_many_while_its_owner_tries_too(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(any_world.check_up_id, any_world.alice_id)
    with clock.clock_at(NOW - timedelta(minutes=30)):
        hold = holds.hold_slot(actor=any_world.alice, search=search, starts_at=TEN)
    owner = call(racing.reserve, actor=any_world.alice, search=search, starts_at=TEN, token="hers", hold_id=hold.id)
    outcomes = race([owner, *all_reserve(any_world, add_patients(12)), owner])
    assert len({outcome.value for outcome in outcomes if outcome.is_done}) == 1 == len(booked())
    assert refusals(outcomes) == {"slot_taken"}
    check_invariants(db.session())


def test_moves_cancels_and_bookings_around_each_other_lose_and_invent_no_time(any_world: World, race: Race) -> None:
    """Visits of two doctors move onto each other's old times while others book and cancel."""
    for doctor_id in (any_world.chen_id, any_world.diaz_id):
        add_session(doctor_id, at(9, day=1), at(12, day=1))
    people = add_patients(24)
    visits = [_booked(any_world, person, at(9, day=1) + timedelta(minutes=15 * (n // 2 * 2))) for n, person in
              enumerate(people[:8])]  # fmt: skip
    calls = []
    for n, ((actor, patient_id), visit_id) in enumerate(zip(people[:8], visits, strict=True)):
        for turn in range(2):
            search = Search(any_world.check_up_id, patient_id, moving_id=visit_id)
            goal = at(9, day=1) + timedelta(minutes=15 * ((n + 3 * turn + 2) % 10))
            calls.append(call(racing.move, actor=actor, search=search, starts_at=goal, token=f"m{turn}"))
        if n % 2:
            calls.append(call(racing.cancel, actor=actor, appointment_id=visit_id, token="c"))
    for n, (actor, patient_id) in enumerate(people[8:]):
        goal = at(9, day=1) + timedelta(minutes=15 * (n % 11))
        search = Search(any_world.check_up_id, patient_id)
        calls.append(call(racing.reserve, actor=actor, search=search, starts_at=goal, token="r"))
    outcomes = race(calls)
    assert refusals(outcomes) <= {"slot_taken", "bad_transition", "patient_busy"}
    # Every cancel, and somebody in the last hour of each doctor, which is free and which many want.
    assert sum(outcome.is_done for outcome in outcomes) >= 4 + 2
    check_invariants(db.session())


def _booked(world: World, person: tuple[Actor, int], starts_at: object) -> int:
    actor, patient_id = person
    search = Search(world.check_up_id, patient_id)
    return booking.reserve_slot(actor=actor, search=search, starts_at=starts_at, token="first").id  # type: ignore[arg-type]


HALF_PAST = at(10, 30, day=1)


def test_a_visit_that_gets_longer_and_those_who_book_what_follows_never_share_a_minute(
    any_world: World, race: Race
) -> None:
    """Eight doctors, each with a patient who needs more time and with two who want what follows."""
    people = add_patients(24)
    visits = []
    for number, doctor_id in enumerate(add_doctors(any_world, 8)):
        add_session(doctor_id, TEN, at(11, day=1))
        visits.append(_booked(any_world, people[number], TEN))
    needs = [call(racing.need_more_time, actor=actor, patient_id=patient_id) for actor, patient_id in people[:8]]
    search = [Search(any_world.check_up_id, patient_id) for _, patient_id in people]
    books = [
        call(racing.reserve, actor=people[n][0], search=search[n], starts_at=HALF_PAST, token="next")
        for n in range(8, 24)
    ]
    # Twice the same: who was made longer once is not made longer again.
    outcomes = race([*needs, *books, *needs])
    longer = sum(outcome.value for outcome in outcomes[:8] + outcomes[24:])
    done = [outcome for outcome in outcomes[8:24] if outcome.is_done]
    assert longer + len(done) == 8, "what follows a visit has one owner each"
    assert refusals(outcomes) <= {"slot_taken"}
    db.session().rollback()
    asked = db.session().scalar(select(func.count()).select_from(Task).where(Task.closed_at.is_(None)))
    assert asked == len(done), "the desk looks at those that stay too short, once"
    check_invariants(db.session())


def test_the_same_race_with_a_look_before_the_write_gives_minutes_to_two(any_world: World, race: Race) -> None:
    """The control: what follows was free when somebody looked."""
    racing.drop_guarantees(db.session())
    people = add_patients(24)
    visits = []
    for number, doctor_id in enumerate(add_doctors(any_world, 8)):
        add_session(doctor_id, TEN, at(11, day=1))
        visits.append(_booked(any_world, people[number], TEN))
    search = [Search(any_world.check_up_id, patient_id) for _, patient_id in people]
    race(
        [call(racing.naive_need_more_time, appointment_id=visit_id) for visit_id in visits]
        + [call(racing.naive_reserve, search=search[n], starts_at=HALF_PAST) for n in range(8, 24)]
    )
    assert any("overlap" in problem for problem in broken_invariants(db.session()))


def test_cancels_that_read_before_they_lock_leave_orphaned_time_behind(any_world: World, race: Race) -> None:
    """The control of the race above: masks written back as they were read."""
    racing.drop_guarantees(db.session())
    add_session(any_world.chen_id, at(9, day=1), at(13, day=1))
    people = add_patients(8)
    visits = [_booked(any_world, person, at(9, day=1) + timedelta(minutes=30 * n)) for n, person in enumerate(people)]
    race([call(racing.naive_cancel, appointment_id=visit_id) for visit_id in visits])
    assert any("taken by nobody" in problem and "taken by nobody []" not in problem
               for problem in broken_invariants(db.session()))  # fmt: skip


def test_cancel_against_move_of_one_visit_ends_in_one_story(any_world: World, race: Race) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    visit_id = _booked(any_world, (any_world.alice, any_world.alice_id), TEN)
    search = Search(any_world.check_up_id, any_world.alice_id, moving_id=visit_id)
    outcomes = race(
        [
            call(racing.move, actor=any_world.alice, search=search, starts_at=at(11, day=1), token="m"),
            call(racing.cancel, actor=any_world.erin, appointment_id=visit_id, token="c"),
            call(racing.move, actor=any_world.erin, search=search, starts_at=at(9, day=1), token="m2"),
            call(racing.cancel, actor=any_world.alice, appointment_id=visit_id, token="c2"),
        ]
    )
    assert refusals(outcomes) <= {"bad_transition"}
    assert sum(outcomes[n].is_done for n in (1, 3)) == 1
    assert booked() == []
    check_invariants(db.session())


def test_visits_across_two_adjacent_sessions_meet_from_both_sides_without_a_deadlock(
    any_world: World, race: Race
) -> None:
    """Sessions made in the wrong order too: the later one has the smaller id."""
    add_session(any_world.chen_id, at(10, 15, day=1), at(12, day=1))
    add_session(any_world.chen_id, at(9, day=1), at(10, 15, day=1))
    add_session(any_world.diaz_id, at(9, day=1), at(10, 15, day=1))
    add_session(any_world.diaz_id, at(10, 15, day=1), at(12, day=1))
    starts = [at(9, 45, day=1), TEN, at(10, 15, day=1), at(9, 30, day=1)]
    outcomes = race(
        [
            call(racing.reserve, actor=actor, search=Search(any_world.check_up_id, patient_id),
                 starts_at=starts[n % 4], token="r")
            for n, (actor, patient_id) in enumerate(add_patients(32))
        ]
    )  # fmt: skip
    assert refusals(outcomes) == {"slot_taken"}
    assert 2 <= sum(outcome.is_done for outcome in outcomes) <= 4
    check_invariants(db.session())


@writing
def _rules(session: Session, world: World) -> None:
    put_setting(session, "sessions_ahead_days", 2)
    for starts_min, ends_min in ((9 * 60, 10 * 60 + 30), (10 * 60 + 30, 12 * 60)):
        session.add(
            AvailabilityRule(practitioner_id=world.chen_id, location_id=world.location_id, weekday=1,
                             starts_min=starts_min, ends_min=ends_min, valid_from=NOW.date())
        )  # fmt: skip


@writing
def _other_hours(session: Session, minutes: int) -> None:
    """Shift where the morning is divided: both of its sessions are made anew."""
    first, second = session.scalars(select(AvailabilityRule).order_by(AvailabilityRule.id)).all()
    first.ends_min = second.starts_min = minutes


def test_hours_rewritten_under_bookings_holds_and_cancels_keep_count(any_world: World, race: Race) -> None:
    _rules(any_world)
    refresh_sessions(practitioner_id=any_world.chen_id)
    people = add_patients(20)
    visits = [
        _booked(any_world, person, at(9, day=1) + timedelta(minutes=30 * n)) for n, person in enumerate(people[:4])
    ]
    for turn, minutes in enumerate((10 * 60, 11 * 60, 10 * 60 + 15)):
        _other_hours(minutes)
        held = holds.hold_slot(
            actor=people[19][0],
            search=Search(any_world.vaccine_id, people[19][1]),
            starts_at=at(11, 50 - 10 * turn, day=1),
        )
        calls = [
            call(racing.refresh, practitioner_id=any_world.chen_id),
            *[call(racing.cancel, actor=people[turn][0], appointment_id=visits[turn], token=f"c{turn}")],
            *[
                call(racing.reserve, actor=actor, search=Search(any_world.vaccine_id, patient_id),
                     starts_at=at(9, day=1) + timedelta(minutes=10 * n), token=f"r{turn}")
                for n, (actor, patient_id) in enumerate(people[4:14])
            ],
            *[
                call(racing.hold, actor=actor, search=Search(any_world.vaccine_id, patient_id),
                     starts_at=at(11, day=1) + timedelta(minutes=10 * n))
                for n, (actor, patient_id) in enumerate(people[14:17])
            ],
            call(racing.reserve, actor=people[19][0], search=Search(any_world.vaccine_id, people[19][1]),
                 starts_at=held.starts_at, token=f"h{turn}", hold_id=held.id),
        ]  # fmt: skip
        outcomes = race(calls)
        assert refusals(outcomes) <= {"slot_taken", "patient_busy", "bad_transition"}
        check_invariants(db.session())


@pytest.mark.postgres
def test_a_hold_that_becomes_a_visit_while_its_hours_are_rewritten_is_counted_once(
    postgres_app: Flask, now: None
) -> None:
    """The narrowest moment: between the two looks of the rewrite at what is taken."""
    world = build_world()
    _rules(world)
    refresh_sessions(practitioner_id=world.chen_id)
    search = Search(world.vaccine_id, world.alice_id)
    held = holds.hold_slot(actor=world.alice, search=search, starts_at=TEN)
    who = {"actor": world.alice, "search": search, "starts_at": TEN, "token": "t", "hold_id": held.id}
    _other_hours(10 * 60)
    clerk = threading.Thread(target=_in_app, args=(postgres_app, lambda: racing.reserve(**who)))

    def book_in_between(*execution: object) -> None:
        statement = str(execution[2])
        if "blocked_until" in statement and "SELECT" in statement and clerk.ident is None:
            clerk.start()
            clerk.join(10)

    event.listen(db.engine, "after_cursor_execute", book_in_between)
    refresh_sessions(practitioner_id=world.chen_id)
    event.remove(db.engine, "after_cursor_execute", book_in_between)
    assert [visit.starts_at for visit in booked()] == [TEN]
    check_invariants(db.session())


def _in_app(app: Flask, act: Callable[[], object]) -> None:
    with app.app_context():
        act()


def _left_behind() -> list[int]:
    session = db.session()
    session.rollback()
    kinds = (Appointment, Submission, Notification, Hold)
    return [session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]


def test_killing_the_process_between_claim_and_commit_leaves_nothing(any_world: World, any_env: dict[str, str]) -> None:
    session_id = add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    who = {"actor": any_world.alice, "search": Search(any_world.check_up_id, any_world.alice_id), "starts_at": TEN}
    db.session.remove()
    assert racing.run_until_it_dies(any_env, NOW, racing.die_between_claim_and_commit, **who) == 9
    assert _left_behind() == [0, 0, 0, 0]
    assert db.session().get_one(ClinicSession, session_id).free.bit_count() == 36
    db.session.remove()
    # Nor a lock: the same form goes through at once.
    assert racing.reserve(**who, token="killed")
    check_invariants(db.session())


def test_killing_the_process_after_commit_and_before_the_ring_leaves_a_visit_whose_messages_are_due(
    any_world: World, any_env: dict[str, str]
) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    who = {"actor": any_world.alice, "search": Search(any_world.check_up_id, any_world.alice_id), "starts_at": TEN}
    db.session.remove()
    assert racing.run_until_it_dies(any_env, NOW, racing.die_before_ringing, **who) == 9
    [visit] = booked()
    due = select(Notification).filter_by(appointment_id=visit.id, delivery=Delivery.DUE).order_by(Notification.id)
    # To the patient, to the practitioner; and the reminder that is still to come.
    assert [row.next_try_at <= NOW for row in db.session().scalars(due)] == [True, True, False]
    check_invariants(db.session())
