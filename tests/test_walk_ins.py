"""People without an appointment: numbers, order, a time of today or none, and what the rows say afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock, self_check
from clinic_portal.database import db, writing
from clinic_portal.errors import (
    BadTransition,
    DomainError,
    InvalidRequest,
    NamesakesKnown,
    NotAllowed,
    PatientBusy,
    SlotTaken,
    SubmissionConflict,
    VersionConflict,
)
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    CancelledBy,
    CancelReason,
    ContactPoint,
    Event,
    IdentityStatus,
    Location,
    Mode,
    Notification,
    Origin,
    Outcome,
    Patient,
    PractitionerPreference,
    PreferenceKind,
    PriorityClass,
    Status,
    VisitType,
    WalkInTicket,
)
from clinic_portal.profile.admitting import NewPatient
from clinic_portal.scheduling import booking, walk_ins
from clinic_portal.scheduling.day_steps import DayStep, steps_of, take_step
from clinic_portal.scheduling.running import call_in, who_could_see
from clinic_portal.scheduling.walk_ins import free_today, give_time, take_in
from tests import racing
from tests.asking import fresh
from tests.bookings import book, messages_of
from tests.invariants import broken_invariants, check_invariants
from tests.racing import Outcome as RaceOutcome
from tests.racing import Racers, call
from tests.world import NOW, World, add_patient, add_session, at, free_cells

_tokens = (f"walk-{number}" for number in count())
TEN = at(10)


@writing
def change(session: Session, what: Callable[[Session], None]) -> None:
    what(session)


@writing
def somebody(session: Session, name: str = "Wanda") -> int:
    return add_patient(session, name, "Walker").id


def walk_in(
    world: World,
    who: int | NewPatient = 0,
    *,
    now: datetime = TEN,
    priority: PriorityClass = PriorityClass.ROUTINE,
    location_id: int = 0,
    token: str = "",
    visit_type_id: int = 0,
) -> Appointment:
    with clock.clock_at(now):
        return take_in(
            actor=world.erin, who=who or somebody(), visit_type_id=visit_type_id or world.check_up_id,
            location_id=location_id or world.location_id, priority=priority, token=token or next(_tokens),
        )  # fmt: skip


def number(visit: Appointment) -> int:
    return walk_ins.ticket_of(db.session(), visit).number


def press(world: World, visit: Appointment, step: DayStep, now: datetime) -> Appointment:
    with clock.clock_at(now):
        return take_step(actor=world.erin, visit=fresh(visit), step=step, token=next(_tokens))


def give(world: World, visit: Appointment, starts_at: datetime, now: datetime = TEN) -> Appointment:
    with clock.clock_at(now):
        return give_time(actor=world.erin, appointment_id=visit.id, starts_at=starts_at, token=next(_tokens),
                         expected_version=fresh(visit).version)  # fmt: skip


def call_without_time(world: World, visit: Appointment, now: datetime, practitioner_id: int = 0) -> Appointment:
    with clock.clock_at(now):
        return call_in(
            actor=world.erin, appointment_id=visit.id, practitioner_id=practitioner_id or world.chen_id,
            expected_version=fresh(visit).version,
        )  # fmt: skip


@pytest.fixture
def session_id(world: World) -> int:
    """Dr Chen works today from nine to twelve."""
    return add_session(world.chen_id, at(9), at(12), world.location_id)


# Numbers


def test_who_walks_in_has_arrived_without_a_time_and_has_a_number(world: World) -> None:
    visit = walk_in(world)
    assert (visit.status, visit.origin, visit.starts_at, visit.arrived_at) == (
        Status.ARRIVED,
        Origin.WALK_IN,
        None,
        TEN,
    )
    assert (visit.location_id, visit.practitioner_id, number(visit)) == (world.location_id, None, 1)
    assert messages_of(visit.id) == []
    check_invariants(db.session())


def test_numbers_begin_with_one_each_day_at_each_place(world: World) -> None:
    here = [walk_in(world, somebody(f"Here{n}")) for n in range(3)]
    there = walk_in(world, somebody("There"), location_id=world.second_location_id)
    tomorrow = walk_in(world, somebody("Tomorrow"), now=at(9, day=1))
    assert [number(visit) for visit in (*here, there, tomorrow)] == [1, 2, 3, 1, 1]
    check_invariants(db.session())


def test_the_day_is_that_of_the_place(world: World) -> None:
    def to_auckland(session: Session) -> None:
        session.get_one(Location, world.second_location_id).zone = "Pacific/Auckland"

    change(to_auckland)
    late = at(20)
    visits = [walk_in(world, somebody(name), now=late, location_id=place) for name, place in
              (("Here", world.location_id), ("There", world.second_location_id))]  # fmt: skip
    days = [walk_ins.ticket_of(db.session(), visit).day for visit in visits]
    assert days == [NOW.date(), NOW.date() + timedelta(days=1)]


def test_the_same_form_again_is_the_same_number_and_another_one_is_refused(world: World) -> None:
    patient = somebody()
    first = walk_in(world, patient, token="one")
    assert walk_in(world, patient, token="one").id == first.id
    with pytest.raises(SubmissionConflict):
        walk_in(world, patient, token="one", priority=PriorityClass.URGENT)
    with pytest.raises(BadTransition, match="here already, with number 1"):
        walk_in(world, patient)
    assert db.session().scalars(select(WalkInTicket.number)).all() == [1]


def test_who_left_can_walk_in_again(world: World) -> None:
    patient = somebody()
    first = walk_in(world, patient)
    press(world, first, DayStep.LEFT, at(10, 30))
    assert number(walk_in(world, patient, now=at(11))) == 2


def test_only_the_clinic_takes_people_in(world: World) -> None:
    with pytest.raises(NotAllowed):
        take_in(actor=world.alice, who=world.alice_id, visit_type_id=world.check_up_id, location_id=world.location_id,
                priority=PriorityClass.URGENT, token="t")  # fmt: skip


def test_what_cannot_be_is_refused_by_its_field(world: World) -> None:
    def close(session: Session) -> None:
        session.get_one(Location, world.second_location_id).is_active = False
        session.get_one(VisitType, world.vaccine_id).modes = frozenset({Mode.PHONE})

    change(close)
    for field, values in {
        "location": {"location_id": world.second_location_id},
        "visit_type": {"visit_type_id": world.vaccine_id},
        "class": {"priority": PriorityClass.FLEXIBLE},
    }.items():
        with pytest.raises(InvalidRequest) as refusal:
            walk_in(world, **values)  # type: ignore[arg-type]
        assert refusal.value.facts["field"] == field


def test_nobody_who_died_walks_in(world: World) -> None:
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "deceased_on", NOW.date()))
    with pytest.raises(NotAllowed):
        walk_in(world, world.alice_id)


# Somebody new

NEW = NewPatient("Nora", "Newman", date(1990, 7, 8), "020 7946 0555")


def test_somebody_new_is_written_down_with_the_visit(world: World) -> None:
    visit = walk_in(world, NEW)
    patient = db.session().get_one(Patient, visit.patient_id)
    assert (patient.full_name, patient.birth_on, patient.called_name) == ("Nora Newman", date(1990, 7, 8), "Nora")
    assert patient.identity_status is IdentityStatus.SELF_DECLARED
    assert [point.value for point in patient.contact_points] == ["020 7946 0555"]
    assert "admit" in db.session().scalars(select(AuditEntry.action).filter_by(for_patient_id=patient.id)).all()
    assert walk_in(world, NewPatient("Max", "Muster", date(2020, 1, 1), "")).id


@pytest.mark.parametrize(
    ("person", "field"),
    [
        (NewPatient(" ", "Newman", date(1990, 7, 8), ""), "given_name"),
        (NewPatient("Nora", "1234", date(1990, 7, 8), ""), "family_name"),
        (NewPatient("Nora", "N" * 90, date(1990, 7, 8), ""), "family_name"),
        (NewPatient("Nora", "Newman", None, ""), "birth_on"),
        (NewPatient("Nora", "Newman", date(2026, 3, 3), ""), "birth_on"),
        (NewPatient("Nora", "Newman", date(1890, 7, 8), ""), "birth_on"),
        (NewPatient("Nora", "Newman", date(1990, 7, 8), "12"), "phone"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_kept(world: World, person: NewPatient, field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        walk_in(world, person)
    assert refusal.value.facts["field"] == field
    assert db.session().scalars(select(Patient).filter_by(given_name="Nora")).all() == []
    assert db.session().scalars(select(WalkInTicket)).all() == []


def test_a_record_of_the_same_name_and_birth_date_is_shown_first(world: World) -> None:
    alice = NewPatient("alice", "ARCHER", date(1980, 5, 4), "")
    with pytest.raises(NamesakesKnown) as refusal:
        walk_in(world, alice)
    assert refusal.value.facts["known"] == [world.alice_id]
    other = walk_in(world, NewPatient("alice", "ARCHER", date(1980, 5, 4), "", is_another=True))
    assert other.patient_id != world.alice_id


# With a time


def test_a_time_of_today_is_claimed_and_taken_back(world: World, session_id: int) -> None:
    visit = walk_in(world)
    with clock.clock_at(TEN):
        starts = [time.starts_at for time in free_today(db.session(), fresh(visit))]
    assert starts[0] == TEN
    given = give(world, visit, at(10, 30))
    assert (given.status, given.practitioner_id, given.starts_at) == (Status.ARRIVED, world.chen_id, at(10, 30))
    assert free_cells(db.session(), session_id) == 30
    assert messages_of(visit.id) == [], "they stand at the desk"
    check_invariants(db.session())
    back = press(world, visit, DayStep.UNDO, at(10, 5))
    assert (back.starts_at, back.practitioner_id, back.location_id) == (None, None, world.location_id)
    assert free_cells(db.session(), session_id) == 36
    check_invariants(db.session())
    give(world, visit, at(11))
    press(world, visit, DayStep.CALLED, at(11))
    seen = press(world, visit, DayStep.SEEN, at(11, 20))
    assert (seen.status, seen.outcome_code, seen.lane) == (Status.FULFILLED, Outcome.ATTENDED_ON_TIME, 0)
    check_invariants(db.session())


def test_a_time_that_is_taken_or_not_of_today_is_refused(world: World, session_id: int) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), world.location_id)
    book(world, at(10, 30), actor=world.erin)
    visit = walk_in(world)
    with pytest.raises(SlotTaken):
        give(world, visit, at(10, 30))
    with pytest.raises(InvalidRequest, match="time of today"):
        give(world, visit, at(10, day=1))
    with pytest.raises(VersionConflict), clock.clock_at(TEN):
        give_time(actor=world.erin, appointment_id=visit.id, starts_at=at(11), token="x", expected_version=7)
    give(world, visit, at(11))
    with pytest.raises(BadTransition, match="any more"):
        give(world, visit, at(11, 30))
    check_invariants(db.session())


def test_only_times_of_the_place_where_they_wait_are_given(world: World) -> None:
    add_session(world.chen_id, at(9), at(12), world.second_location_id)
    visit = walk_in(world)
    with clock.clock_at(TEN):
        assert free_today(db.session(), fresh(visit)) == []
    with pytest.raises(SlotTaken):
        give(world, visit, at(11))


# Without one


def test_a_doctor_calls_between_two_others_and_the_visit_gets_the_time_it_took(world: World, session_id: int) -> None:
    booked = book(world, at(10), actor=world.erin)
    visit = walk_in(world)
    with pytest.raises(BadTransition, match="Say who"):
        call_in(actor=world.erin, appointment_id=visit.id)
    called = call_without_time(world, visit, at(10, 12))
    assert (called.practitioner_id, called.called_at, called.starts_at) == (world.chen_id, at(10, 12), None)
    check_invariants(db.session())
    seen = press(world, visit, DayStep.SEEN, at(10, 21))
    assert (seen.starts_at, seen.ends_at, seen.lane) == (at(10, 10), at(10, 25), 1)
    assert (seen.squeeze_in_reason, seen.ended_at) == ("walked in", at(10, 21))
    check_invariants(db.session())
    again = press(world, visit, DayStep.UNDO, at(10, 22))
    assert (again.starts_at, again.lane, again.called_at) == (None, 0, at(10, 12))
    back = press(world, visit, DayStep.UNDO, at(10, 23))
    assert (back.practitioner_id, back.called_at, back.status) == (None, None, Status.ARRIVED)
    check_invariants(db.session())
    assert fresh(booked).starts_at == at(10)


def test_two_seen_in_between_at_once_lie_in_lanes_of_their_own(world: World, session_id: int) -> None:
    visits = [walk_in(world, somebody(name)) for name in ("One", "Two")]
    for visit in visits:
        call_without_time(world, visit, at(10, 5))
    lanes = [press(world, visit, DayStep.SEEN, at(10, 15)).lane for visit in visits]
    assert lanes == [1, 2]
    check_invariants(db.session())


def test_the_time_it_took_leaves_out_the_patients_other_visits(world: World, session_id: int) -> None:
    patient = somebody()
    book(world, at(10, 15), patient_id=patient, actor=world.erin)
    visit = walk_in(world, patient)
    call_without_time(world, visit, at(10, 5), practitioner_id=world.chen_id)
    seen = press(world, visit, DayStep.SEEN, at(10, 40))
    assert (seen.starts_at, seen.ends_at) == (at(10, 5), at(10, 15))
    check_invariants(db.session())
    second = walk_in(world, patient, now=at(10, 50))
    call_without_time(world, second, at(10, 20))
    with pytest.raises(PatientBusy):
        press(world, second, DayStep.SEEN, at(10, 30))


def test_who_forgets_to_say_when_it_ended_makes_no_endless_visit(world: World, session_id: int) -> None:
    visit = walk_in(world)
    call_without_time(world, visit, at(10))
    seen = press(world, visit, DayStep.SEEN, at(9, day=2))
    assert seen.ends_at == at(14)
    check_invariants(db.session())


def test_only_those_who_work_there_today_and_may_see_them_call(world: World, session_id: int) -> None:
    visit = walk_in(world, world.alice_id)
    with pytest.raises(InvalidRequest):
        call_without_time(world, visit, TEN, practitioner_id=world.diaz_id)
    add_session(world.diaz_id, at(9), at(12), world.location_id)
    with clock.clock_at(TEN):
        assert {each.id for each in who_could_see(db.session(), fresh(visit))} == {world.chen_id, world.diaz_id}
    change(
        lambda session: session.add(
            PractitionerPreference(patient_id=world.alice_id, practitioner_id=world.diaz_id, kind=PreferenceKind.NEVER)
        )
    )
    with pytest.raises(InvalidRequest):
        call_without_time(world, visit, TEN, practitioner_id=world.diaz_id)


# Steps


def test_a_walk_in_is_never_booked_nor_missed(world: World) -> None:
    visit = walk_in(world)
    for to in (Status.BOOKED, Status.NOSHOW):
        with pytest.raises(BadTransition):
            booking.change_status(actor=world.erin, appointment_id=visit.id, to=to)
    with clock.clock_at(TEN):
        assert steps_of(fresh(visit), TEN) == [DayStep.LEFT, DayStep.UNDO]
    wrong = press(world, visit, DayStep.UNDO, at(10, 5))
    assert wrong.status is Status.ENTERED_IN_ERROR
    check_invariants(db.session())


def test_leaving_without_being_seen_is_no_cancel_by_the_clinic(world: World, session_id: int) -> None:
    visit = walk_in(world)
    left = press(world, visit, DayStep.LEFT, at(10, 30))
    assert (left.status, left.cancel_reason) == (Status.CANCELLED, CancelReason.LEFT_WITHOUT_BEING_SEEN)
    assert (left.cancelled_by, left.outcome_code) == (CancelledBy.PATIENT, Outcome.CANCELLED_BY_PATIENT)
    assert steps_of(fresh(visit), at(10, 31)) == [], "who comes back walks in"
    check_invariants(db.session())


def test_who_leaves_gives_the_time_back_and_is_not_written_to(world: World, session_id: int) -> None:
    visit = book(world, at(11), actor=world.erin)
    press(world, visit, DayStep.ARRIVED, TEN)
    press(world, visit, DayStep.LEFT, at(10, 5))
    assert free_cells(db.session(), session_id) == 36
    told = [row.event for row in messages_of(visit.id) if row.event == Event.CANCELLED]
    assert told == [], "they know"
    check_invariants(db.session())


def test_a_visit_called_off_is_not_taken_up_again(world: World, session_id: int) -> None:
    visit = book(world, at(11), actor=world.erin)
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="c")
    with clock.clock_at(TEN), pytest.raises(BadTransition):
        booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED)
    assert steps_of(fresh(visit), TEN) == []


def test_who_came_too_late_is_told_apart_from_who_never_came(world: World, session_id: int) -> None:
    visit = book(world, at(10), actor=world.erin)
    late = press(world, visit, DayStep.TOO_LATE, at(10, 25))
    assert (late.status, late.outcome_code) == (Status.NOSHOW, Outcome.LATE_COULD_NOT_BE_SEEN)
    assert press(world, visit, DayStep.UNDO, at(10, 26)).status is Status.BOOKED
    check_invariants(db.session())


def test_all_of_it_keeps_the_rows_right_whatever_the_order(world: World, session_id: int) -> None:
    """A long morning, in which every step is pressed on everybody who can take it."""
    visits = [walk_in(world, somebody(f"W{n}"), priority=walk_ins.CLASSES[n % 2]) for n in range(4)]
    visits += [book(world, at(10, 30), actor=world.erin), book(world, at(11), patient_id=world.bob_id,
                                                               actor=world.erin)]  # fmt: skip
    call_without_time(world, visits[0], at(10, 1))
    give(world, visits[1], at(11, 30))
    for minute in range(40, 60):
        for visit in visits:
            steps = steps_of(fresh(visit), at(10, minute))
            if steps:
                try:
                    press(world, visit, steps[(minute + visit.id) % len(steps)], at(10, minute))
                except DomainError as refusal:
                    assert refusal.code in ("slot_taken", "patient_busy", "bad_transition"), refusal
    check_invariants(db.session())
    about_rows = {name for name, _ in self_check.CHECKS[:5]}
    with clock.clock_at(at(11)):
        assert [each for each in self_check.run_checks() if each.name in about_rows and each.count] == []
    assert len(db.session().scalars(select(AuditEntry).filter_by(subject_type="appointments")).all()) > 30


# Many at once


def race(racers: Racers, env: dict[str, str], calls: Sequence[racing.Call]) -> list[RaceOutcome]:
    db.session.remove()
    return racers.race(env, NOW, calls)


@writing
def add_walkers(session: Session, how_many: int) -> list[int]:
    return [add_patient(session, f"Walker{number}", "Racer").id for number in range(how_many)]


@pytest.mark.slow
def test_everybody_who_walks_in_at_once_gets_a_number_of_their_own(
    any_world: World, any_env: dict[str, str], racers: Racers
) -> None:
    world, walkers = any_world, add_walkers(30)
    outcomes = race(
        racers,
        any_env,
        [
            call(racing.walk_in, actor=world.erin, patient_id=patient_id, visit_type_id=world.check_up_id,
                 location_id=world.location_id, token=f"w{patient_id}")
            for patient_id in walkers
        ],
    )  # fmt: skip
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert sorted(outcome.value for outcome in outcomes) == list(range(1, 31))
    check_invariants(db.session())


@pytest.mark.slow
def test_without_the_lock_and_the_constraint_numbers_are_given_twice(
    any_world: World, any_env: dict[str, str], racers: Racers
) -> None:
    """The control."""
    world, walkers = any_world, add_walkers(30)
    racing.forget_unique_numbers(db.session())
    outcomes = race(
        racers,
        any_env,
        [
            call(racing.naive_walk_in, patient_id=patient_id, visit_type_id=world.check_up_id,
                 location_id=world.location_id)
            for patient_id in walkers
        ],
    )  # fmt: skip
    assert len({outcome.value for outcome in outcomes}) < 30
    assert any("was given" in wrong for wrong in broken_invariants(db.session()))


def test_nobody_is_written_to_about_a_walk_in(world: World, session_id: int) -> None:
    visit = walk_in(world, world.alice_id)
    give(world, visit, at(11))
    press(world, visit, DayStep.LEFT, at(10, 30))
    assert db.session().scalars(select(Notification)).all() == []
    assert db.session().scalars(select(ContactPoint.failed_at)).all() == [None, None]
