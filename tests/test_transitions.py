"""Every step from every status to every other, for every kind of actor: against a table written by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, DomainError, NotAllowed
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    CancelledBy,
    Event,
    Hold,
    Mode,
    Notification,
    Origin,
    Outcome,
    Patient,
    PriorityClass,
    Recipient,
    Status,
)
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.booking import cancel_appointment, change_status
from clinic_portal.scheduling.holds import hold_slot, release_hold
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.transitions import check_step
from clinic_portal.scheduling.visits import give_back
from tests.invariants import check_invariants
from tests.world import NOW, World, add_patient, add_session, at, free_cells

# What the clinic's rules say, row by row. P: patients and those who act for them, staff, and jobs. C: staff and jobs.
# S: only a person at the clinic. A dot: nobody.
COLUMNS = (
    "proposed",
    "pending",
    "waitlist",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
)
TABLE = {
    #                    prop pend wait book arri fulf canc nosh error
    "proposed":         "  .    C    C    P    S    .    P    .    S",
    "pending":          "  C    .    C    P    .    .    P    .    S",
    "waitlist":         "  .    C    .    P    .    .    P    .    S",
    "booked":           "  .    .    .    P    S    S    P    S    S",
    "arrived":          "  .    .    .    S    .    S    S    S    S",
    "fulfilled":        "  .    .    .    .    S    .    .    .    S",
    # Booked again only when the absence that it was cancelled for is undone: see test_absence.py.
    "cancelled":        "  .    .    .    .    .    .    .    .    S",
    "noshow":           "  .    .    .    S    S    S    .    .    S",
    "entered-in-error": "  .    .    .    .    .    .    .    .    .",
}  # fmt: skip
UNDONE = {("arrived", "noshow"), ("arrived", "booked"), ("noshow", "booked"), ("fulfilled", "arrived")}
ALLOWED = {
    "P": set(ActorKind),
    "C": {ActorKind.STAFF, ActorKind.PRACTITIONER, ActorKind.SYSTEM},
    "S": {ActorKind.STAFF, ActorKind.PRACTITIONER},
    ".": set(),
}
EXPECTED = {(current, to): who for current, row in TABLE.items() for to, who in zip(COLUMNS, row.split(), strict=True)}


def test_the_table_names_every_status() -> None:
    assert {status.value for status in Status} == set(COLUMNS) == set(TABLE)
    assert len(EXPECTED) == 81


@pytest.mark.parametrize("kind", ActorKind)
@pytest.mark.parametrize(("current", "to"), list(product(Status, Status)), ids=lambda status: status.value)
def test_a_step_is_taken_only_along_the_allowed_arrows(current: Status, to: Status, kind: ActorKind) -> None:
    who = EXPECTED[current.value, to.value]
    if kind in ALLOWED[who]:
        assert check_step(Actor(kind), current, to).is_undo == ((current.value, to.value) in UNDONE)
        return
    with pytest.raises(BadTransition if who == "." else NotAllowed) as refusal:
        check_step(Actor(kind), current, to)
    assert refusal.value.facts["current"] == current.value


# Through the service, with rows: what a person at the desk can do to a visit that has begun.
REACHED_BY_DESK = (Status.ARRIVED, Status.FULFILLED, Status.NOSHOW, Status.BOOKED, Status.ENTERED_IN_ERROR)


@writing
def put_visit(session: Session, world: World, status: Status, starts_at: datetime, mode: Mode = Mode.IN_PERSON) -> int:
    """A visit of Alice's in some status, as if it had come there in the usual way."""
    has_time = status not in (Status.PROPOSED, Status.PENDING, Status.WAITLIST)
    ends_at = starts_at + timedelta(minutes=30)
    # Of a patient and a visit type there is one request at most.
    patient_id = world.alice_id if has_time else add_patient(session, status.value, "Asker").id
    visit = Appointment(
        patient_id=patient_id, visit_type_id=world.check_up_id, status=status, mode=mode,
        call_number="020 7946 0018" if mode is Mode.PHONE else None,
        origin=Origin.DESK, priority_class=PriorityClass.ROUTINE, requested_at=NOW, target_at=NOW,
        **({"practitioner_id": world.chen_id, "location_id": world.location_id, "starts_at": starts_at,
            "ends_at": ends_at, "blocked_from": starts_at, "blocked_until": ends_at} if has_time else {}),
        **({"cancelled_at": NOW, "cancelled_by": CancelledBy.PATIENT} if status is Status.CANCELLED else {}),
    )  # fmt: skip
    session.add(visit)
    session.flush()
    return visit.id


def services_refuse(current: Status, to: Status) -> bool:
    """What the table alone cannot say, of a visit in person whose time has come."""
    moves_have_their_own_way = (current, to) == (Status.BOOKED, Status.BOOKED)
    needs_a_time_first = to is Status.BOOKED and current in (Status.PROPOSED, Status.PENDING, Status.WAITLIST)
    has_given_its_time_back = (current, to) == (Status.CANCELLED, Status.BOOKED)
    never_came = (current, to) == (Status.BOOKED, Status.FULFILLED)
    has_no_time = (current, to) == (Status.PROPOSED, Status.NOSHOW)
    return moves_have_their_own_way or needs_a_time_first or has_given_its_time_back or never_came or has_no_time


@pytest.mark.parametrize("to", Status, ids=lambda status: f"to-{status.value}")
def test_the_desk_moves_a_visit_exactly_along_the_table(world: World, to: Status) -> None:
    for number, current in enumerate(Status):
        visit_id = put_visit(world, current, at(9, day=-1 - number))
        reached = (
            EXPECTED[current.value, to.value] != "." and to in REACHED_BY_DESK and not services_refuse(current, to)
        )
        if reached:
            visit = change_status(actor=world.erin, appointment_id=visit_id, to=to)
            assert (visit.status, visit.version) == (to, 2)
            [entry] = db.session().scalars(select(AuditEntry).filter_by(subject_id=visit_id))
            assert (entry.action == "undo") == ((current.value, to.value) in UNDONE)
            continue
        with pytest.raises(BadTransition) as refusal:
            change_status(actor=world.erin, appointment_id=visit_id, to=to)
        assert refusal.value.facts.get("current") == current.value
        assert db.session().get_one(Appointment, visit_id).status == current


@pytest.mark.parametrize("current", Status)
def test_a_visit_is_cancelled_by_the_desk_exactly_along_the_table(world: World, current: Status) -> None:
    visit_id = put_visit(world, current, at(9, day=1))
    cancel = {"actor": world.erin, "appointment_id": visit_id, "token": "t"}
    if EXPECTED[current.value, "cancelled"] != ".":
        assert cancel_appointment(**cancel).status is Status.CANCELLED
        return
    with pytest.raises(BadTransition) as refusal:
        cancel_appointment(**cancel)
    assert refusal.value.facts["current"] == current.value


@pytest.mark.parametrize("to", REACHED_BY_DESK)
def test_a_patient_says_nothing_about_attendance(world: World, to: Status) -> None:
    visit_id = put_visit(world, Status.BOOKED, at(7))
    with pytest.raises(DomainError) as refusal:
        change_status(actor=world.alice, appointment_id=visit_id, to=to)
    assert refusal.value.facts["current"] == "booked"


def test_no_job_ever_marks_a_no_show(world: World) -> None:
    visit_id = put_visit(world, Status.BOOKED, at(7))
    with pytest.raises(NotAllowed):
        change_status(actor=Actor(ActorKind.SYSTEM), appointment_id=visit_id, to=Status.NOSHOW)


def test_a_phone_visit_is_fulfilled_without_a_check_in(world: World) -> None:
    visit_id = put_visit(world, Status.BOOKED, at(7), mode=Mode.PHONE)
    visit = change_status(actor=world.chen, appointment_id=visit_id, to=Status.FULFILLED)
    assert visit.outcome_code is Outcome.ATTENDED_ON_TIME


def test_a_wrong_check_in_taken_back_leaves_no_arrival_and_a_late_comer_keeps_it(world: World) -> None:
    wrong, late = put_visit(world, Status.BOOKED, at(7)), put_visit(world, Status.BOOKED, at(7, 30))
    for visit_id in (wrong, late):
        change_status(actor=world.erin, appointment_id=visit_id, to=Status.ARRIVED)
    missed = change_status(actor=world.erin, appointment_id=wrong, to=Status.NOSHOW)
    turned_away = change_status(actor=world.erin, appointment_id=late, to=Status.NOSHOW, came_too_late=True)
    assert (missed.arrived_at, missed.outcome_code) == (None, Outcome.DID_NOT_ATTEND)
    assert (turned_away.arrived_at, turned_away.outcome_code) == (NOW, Outcome.LATE_COULD_NOT_BE_SEEN)


def test_a_visit_cancelled_and_then_found_wrong_tells_nobody_a_second_time(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(world.check_up_id, world.alice_id)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=1), token="t")
    cancel_appointment(actor=world.alice, appointment_id=visit.id, token="c")
    change_status(actor=world.erin, appointment_id=visit.id, to=Status.ENTERED_IN_ERROR)
    told = select(Notification.event).filter_by(appointment_id=visit.id, recipient=Recipient.PATIENT)
    assert sorted(db.session().scalars(told)) == [Event.BOOKED, Event.CANCELLED, Event.REMINDER]


def test_the_visits_of_somebody_who_died_can_be_cancelled_and_not_moved(world: World) -> None:
    session_id = add_session(world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(world.check_up_id, world.alice_id)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=1), token="t")
    _dies(world.alice_id)
    with pytest.raises(NotAllowed):
        booking.move_appointment(
            actor=world.erin, appointment_id=visit.id, starts_at=at(9, day=1), token="m",
            search=Search(world.check_up_id, world.alice_id, moving_id=visit.id),
        )  # fmt: skip
    assert cancel_appointment(actor=world.erin, appointment_id=visit.id, token="c").status is Status.CANCELLED
    assert free_cells(db.session(), session_id) == 36


@writing
def _dies(session: Session, patient_id: int) -> None:
    session.get_one(Patient, patient_id).deceased_on = clock.now().date()


def test_a_squeeze_in_moved_to_a_free_time_takes_and_gives_back_ordinary_time(world: World) -> None:
    session_id = add_session(world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(world.check_up_id, world.alice_id)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=1), token="t")
    _squeeze_in(visit.id)
    moving = Search(world.check_up_id, world.alice_id, moving_id=visit.id)
    moved = booking.move_appointment(
        actor=world.erin, appointment_id=visit.id, search=moving, starts_at=at(11, day=1), token="m"
    )
    assert (moved.lane, moved.squeeze_in_reason, free_cells(db.session(), session_id)) == (0, None, 30)
    cancel_appointment(actor=world.erin, appointment_id=visit.id, token="c")
    assert free_cells(db.session(), session_id) == 36
    check_invariants(db.session())


@writing
def _squeeze_in(session: Session, visit_id: int) -> None:
    """Put a visit beside the ordinary ones, and its ordinary time back."""
    visit = session.get_one(Appointment, visit_id)
    give_back(session, visit, 5)
    visit.lane, visit.squeeze_in_reason = 1, "acute pain"


def test_letting_go_of_an_old_hold_leaves_the_newer_one(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(world.check_up_id, world.alice_id)
    old = hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    new = hold_slot(actor=world.alice, search=search, starts_at=at(11, day=1))
    release_hold(actor=world.alice, hold_id=old.id)
    assert db.session().get_one(Hold, new.id, populate_existing=True).closed_at is None
    check_invariants(db.session())
