"""UC3: a time is reserved, moved and cancelled in one transaction each, once, and nothing is ever half done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import (
    BadTransition,
    InvalidRequest,
    NotAllowed,
    NotFound,
    OutsideHorizon,
    PatientBusy,
    SlotTaken,
    SubmissionConflict,
    TooLateToMove,
    TooSoon,
    VersionConflict,
)
from clinic_portal.models import (
    Appointment,
    Attempt,
    AuditEntry,
    CancelledBy,
    CancelReason,
    ClinicSession,
    Delivery,
    Event,
    Hold,
    HoldEnd,
    HoldKind,
    Notification,
    Origin,
    Outcome,
    Patient,
    Recipient,
    Status,
    id_from_reference,
)
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import put_setting
from tests.world import NOW, World, add_patient, add_session, at, free_cells

CHECK_UP_CELLS = 6


@pytest.fixture
def morning(world: World) -> int:
    """Dr Chen's Tuesday morning from nine to twelve: 36 cells."""
    return add_session(world.chen_id, at(9, day=1), at(12, day=1))


@pytest.fixture
def search(world: World) -> Search:
    return Search(world.check_up_id, patient_id=world.alice_id, account_id=world.accounts["alice"])


@pytest.fixture
def bobs(world: World) -> Search:
    return Search(world.check_up_id, patient_id=world.bob_id, account_id=world.accounts["bob"])


def rows(model: type, **where: object) -> int:
    return db.session.scalar(select(func.count()).select_from(model).filter_by(**where)) or 0


def messages(visit: Appointment, recipient: Recipient = Recipient.PATIENT) -> list[tuple[Event, int]]:
    """What was told about a visit, but for its reminders."""
    kept = db.session.scalars(
        select(Notification).filter_by(appointment_id=visit.id, recipient=recipient).order_by(Notification.id)
    )
    return [(each.event, each.sequence) for each in kept if each.event != Event.REMINDER]


def moving(search: Search, visit: Appointment) -> Search:
    return Search(search.visit_type_id, search.patient_id, account_id=search.account_id, moving_id=visit.id)


# Reserve


def test_one_reservation_writes_everything_it_needs_at_once(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one")
    assert (visit.status, visit.practitioner_id, visit.location_id) == (Status.BOOKED, world.chen_id, world.location_id)
    assert (visit.starts_at, visit.ends_at) == (at(9, day=1), at(9, 30, day=1))
    assert (visit.origin, visit.booked_by_account_id) == (Origin.PATIENT_ONLINE, world.accounts["alice"])
    assert visit.choice["candidates"] == 1
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS
    assert rows(Attempt, appointment_id=visit.id, practitioner_id=world.chen_id) == 1
    entry = db.session.scalars(select(AuditEntry).filter_by(action="reserve", subject_id=visit.id)).one()
    assert (entry.actor_account_id, entry.for_patient_id) == (world.accounts["alice"], world.alice_id)
    assert entry.values is not None
    assert entry.values.after["status"] == "booked"
    assert messages(visit) == [(Event.BOOKED, 0)]
    assert messages(visit, Recipient.PRACTITIONER) == [(Event.BOOKED, 0)]


def test_a_double_click_makes_one_visit_and_one_mail_and_returns_the_same(
    world: World, morning: int, search: Search
) -> None:
    first, second = (
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="click") for _ in range(2)
    )
    assert first.id == second.id
    assert rows(Appointment) == 1
    assert rows(Notification, recipient=Recipient.PATIENT, event=Event.BOOKED) == 1
    assert rows(Notification, event=Event.REMINDER) == 1
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS


def test_the_same_token_with_other_answers_says_so(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="click")
    with pytest.raises(SubmissionConflict) as refusal:
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, day=1), token="click")
    assert refusal.value.facts["result_id"] == visit.id


def test_a_refused_form_can_be_sent_again(world: World, morning: int, search: Search, bobs: Search) -> None:
    taken = booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="alice")
    booking.cancel_appointment(actor=world.bob, appointment_id=taken.id, token="bob-cancel")
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="alice")
    assert visit.starts_at == at(9, day=1)


def test_a_visit_ending_exactly_when_the_next_begins_is_allowed_and_one_cell_over_is_not(
    world: World, morning: int, search: Search, bobs: Search
) -> None:
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")
    booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, 30, day=1), token="alice")
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, 45, day=1), token="bob-2")


@pytest.mark.parametrize(
    ("starts_at", "error"),
    [
        (at(9, 2, day=1), InvalidRequest),
        (at(9, day=1) + timedelta(seconds=1), InvalidRequest),
        (at(9), TooSoon),
        (NOW - timedelta(days=1), TooSoon),
        (at(9, day=43), OutsideHorizon),
        (at(13, day=1), SlotTaken),
        (at(9, 5, day=1), SlotTaken),
    ],
)
def test_a_time_that_no_page_would_show_is_refused(
    world: World, morning: int, search: Search, starts_at: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=starts_at, token="odd")  # type: ignore[arg-type]
    assert rows(Appointment) == rows(Notification) == 0
    assert free_cells(db.session(), morning) == 36


def test_a_10_minute_and_a_30_minute_visit_of_one_patient_that_overlap_collide_at_two_places_too(
    world: World, morning: int, search: Search
) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), location_id=world.second_location_id)
    first = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one")
    vaccine = Search(world.vaccine_id, patient_id=world.alice_id, account_id=world.accounts["alice"])
    with pytest.raises(PatientBusy) as refusal:
        booking.reserve_slot(actor=world.alice, search=vaccine, starts_at=at(9, 20, day=1), token="two")
    assert refusal.value.facts["appointment_id"] == first.id
    booking.reserve_slot(actor=world.alice, search=vaccine, starts_at=at(9, 30, day=1), token="three")


def test_a_time_that_the_patients_own_visit_takes_is_told_as_such(world: World, morning: int, search: Search) -> None:
    first = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one")
    with pytest.raises(PatientBusy) as refusal:
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, 15, day=1), token="two")
    assert refusal.value.facts["appointment_id"] == first.id


def test_nobody_books_for_a_patient_who_has_died(world: World, morning: int, search: Search) -> None:
    @writing
    def dies(session) -> None:  # type: ignore[no-untyped-def]
        session.get_one(Patient, world.alice_id).deceased_on = NOW.date()

    dies()
    with pytest.raises(NotAllowed):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="late")


def test_a_proxy_is_recorded_as_the_one_who_booked(world: World, morning: int, search: Search) -> None:
    proxy = Actor(ActorKind.PROXY, world.accounts["bob"])
    visit = booking.reserve_slot(actor=proxy, search=search, starts_at=at(9, day=1), token="for-alice")
    assert (visit.patient_id, visit.booked_by_account_id, visit.origin) == (
        world.alice_id, world.accounts["bob"], Origin.PROXY_ONLINE,
    )  # fmt: skip


def test_the_reference_leads_back_to_the_visit(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one")
    assert id_from_reference(f" {visit.reference[:3].lower()}-{visit.reference[3:]}") == visit.id
    assert id_from_reference("0O1IL5") is None


# Hold


def test_a_held_time_becomes_the_visit_with_the_same_practitioner(world: World, morning: int, search: Search) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    assert hold.expires_at == NOW + timedelta(minutes=10)
    visit = booking.reserve_slot(
        actor=world.alice, search=search, starts_at=at(9, day=1), token="check", hold_id=hold.id
    )
    assert visit.practitioner_id == hold.practitioner_id
    assert db.session.get_one(Hold, hold.id, populate_existing=True).closed_because is HoldEnd.BOOKED
    free = sum(mask.bit_count() for mask in db.session.scalars(select(ClinicSession.free)))
    assert free == 2 * 36 - CHECK_UP_CELLS


def test_two_holds_for_one_doctor_and_time_cannot_exist(
    world: World, morning: int, search: Search, bobs: Search
) -> None:
    holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    with pytest.raises(SlotTaken):
        holds.hold_slot(actor=world.bob, search=bobs, starts_at=at(9, 15, day=1))
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")


def test_an_account_keeps_one_time_at_once(world: World, morning: int, search: Search) -> None:
    first = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    holds.hold_slot(actor=world.alice, search=search, starts_at=at(10, day=1))
    assert db.session.get_one(Hold, first.id, populate_existing=True).closed_because is HoldEnd.RELEASED
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS


def test_an_expired_hold_is_bookable_at_once_even_if_the_cleaner_never_ran(
    world: World, morning: int, search: Search, bobs: Search
) -> None:
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    with clock.clock_at(hold.expires_at - timedelta(seconds=1)), pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")
    with clock.clock_at(hold.expires_at):
        booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")
        with pytest.raises(SlotTaken):
            booking.reserve_slot(
                actor=world.alice, search=search, starts_at=at(9, day=1), token="alice", hold_id=hold.id
            )
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS


def test_an_expired_hold_whose_time_is_still_free_books_all_the_same(
    world: World, morning: int, search: Search
) -> None:
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    with clock.clock_at(hold.expires_at + timedelta(minutes=5)):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="a", hold_id=hold.id)
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS


def test_the_desk_holds_for_five_minutes_while_on_the_phone(world: World, morning: int, search: Search) -> None:
    hold = holds.hold_slot(actor=world.erin, search=search, starts_at=at(9, day=1), kind=HoldKind.STAFF_CALL)
    assert hold.expires_at == NOW + timedelta(minutes=5)


def test_somebody_elses_hold_cannot_be_used_or_released(
    world: World, morning: int, search: Search, bobs: Search
) -> None:
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    with pytest.raises(NotFound):
        booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="b", hold_id=hold.id)
    with pytest.raises(NotFound):
        holds.release_hold(actor=world.bob, hold_id=hold.id)


def test_letting_a_hold_go_frees_the_time_and_the_cleaner_does_the_same_for_dead_ones(
    world: World, morning: int, search: Search
) -> None:
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    holds.release_hold(actor=world.alice, hold_id=hold.id)
    holds.release_hold(actor=world.alice, hold_id=hold.id)
    assert free_cells(db.session(), morning) == 36
    again = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    assert holds.close_expired_holds() == 0
    with clock.clock_at(again.expires_at):
        assert holds.close_expired_holds() == 1
        assert holds.close_expired_holds() == 0
    assert free_cells(db.session(), morning) == 36


def test_a_visit_booked_elsewhere_meanwhile_stops_the_held_one(world: World, morning: int, search: Search) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    desk = Search(world.check_up_id, patient_id=world.alice_id)
    booking.reserve_slot(actor=world.erin, search=desk, starts_at=at(9, 15, day=1), token="desk")
    with pytest.raises(PatientBusy):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="a", hold_id=hold.id)


# Move


def test_moving_is_one_transaction_and_may_overlap_the_old_time(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    moved = booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                                     starts_at=at(9, 15, day=1), token="move")  # fmt: skip
    assert (moved.id, moved.starts_at, moved.sequence, moved.version) == (visit.id, at(9, 15, day=1), 1, 2)
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS
    assert messages(moved) == [(Event.BOOKED, 0), (Event.MOVED, 1)]


def test_if_the_new_time_is_taken_the_old_one_stays(world: World, morning: int, search: Search, bobs: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(10, day=1), token="bob")
    with pytest.raises(SlotTaken):
        booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                                 starts_at=at(10, day=1), token="move")  # fmt: skip
    kept = db.session.get_one(Appointment, visit.id, populate_existing=True)
    assert (kept.starts_at, kept.sequence) == (at(9, day=1), 0)
    assert free_cells(db.session(), morning) == 36 - 2 * CHECK_UP_CELLS
    assert messages(kept) == [(Event.BOOKED, 0)]


def test_moving_keeps_the_same_doctor_unless_that_is_impossible(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    # Dr Diaz would score better: a whole empty day.
    add_session(world.diaz_id, at(10, day=1), at(14, day=1))
    add_session(world.diaz_id, at(14, day=1), at(18, day=1))
    kept = booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                                    starts_at=at(11, day=1), token="move")  # fmt: skip
    assert kept.practitioner_id == world.chen_id
    changed = booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                                       starts_at=at(15, day=1), token="again")  # fmt: skip
    assert changed.practitioner_id == world.diaz_id
    assert free_cells(db.session(), morning) == 36


def test_a_hold_for_a_move_may_overlap_the_visit_and_lets_go_cleanly(
    world: World, morning: int, search: Search
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    hold = holds.hold_slot(actor=world.alice, search=moving(search, visit), starts_at=at(9, 15, day=1))
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS - 3
    holds.release_hold(actor=world.alice, hold_id=hold.id)
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS
    hold = holds.hold_slot(actor=world.alice, search=moving(search, visit), starts_at=at(9, 15, day=1))
    booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                             starts_at=at(9, 15, day=1), token="move", hold_id=hold.id)  # fmt: skip
    assert free_cells(db.session(), morning) == 36 - CHECK_UP_CELLS


def test_cancelling_a_visit_lets_the_hold_that_would_move_it_go(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    holds.hold_slot(actor=world.alice, search=moving(search, visit), starts_at=at(9, 15, day=1))
    booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="cancel")
    assert free_cells(db.session(), morning) == 36


def test_patients_move_until_the_cut_off_and_the_desk_after_it(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    add_session(world.chen_id, at(14, day=1), at(15, day=1))
    move = {"appointment_id": visit.id, "search": moving(search, visit), "starts_at": at(14, day=1)}
    with clock.clock_at(at(7, 1, day=1)):
        with pytest.raises(TooLateToMove):
            booking.move_appointment(actor=world.alice, token="late", **move)  # type: ignore[arg-type]
        moved = booking.move_appointment(actor=world.erin, token="desk", **move)  # type: ignore[arg-type]
    assert moved.starts_at == at(14, day=1)


def test_moving_to_the_time_one_has_is_refused(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with pytest.raises(BadTransition):
        booking.move_appointment(actor=world.alice, appointment_id=visit.id, search=moving(search, visit),
                                 starts_at=at(9, day=1), token="move")  # fmt: skip


# Cancel


def test_cancel_puts_the_time_back_at_once_and_keeps_who_and_why(
    world: World, morning: int, search: Search, bobs: Search
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    gone = booking.cancel_appointment(
        actor=world.alice, appointment_id=visit.id, token="cancel", reason=CancelReason.FEEL_BETTER
    )
    assert (gone.status, gone.cancelled_by, gone.cancel_reason, gone.outcome_code) == (
        Status.CANCELLED, CancelledBy.PATIENT, CancelReason.FEEL_BETTER, Outcome.CANCELLED_BY_PATIENT,
    )  # fmt: skip
    assert gone.cancelled_at == NOW
    assert (gone.sequence, gone.version) == (1, 2)
    assert free_cells(db.session(), morning) == 36
    assert messages(gone) == [(Event.BOOKED, 0), (Event.CANCELLED, 1)]
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(9, day=1), token="bob")


def test_cancelling_twice_with_one_form_is_one_cancel_and_with_another_is_refused(
    world: World, morning: int, search: Search
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    for _ in range(2):
        booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="cancel")
    assert messages(visit) == [(Event.BOOKED, 0), (Event.CANCELLED, 1)]
    with pytest.raises(BadTransition) as refusal:
        booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="other")
    assert refusal.value.facts["current"] == "cancelled"


@pytest.mark.parametrize(("hours_before", "is_late"), [(25, False), (24, False), (23, True), (1, True)])
def test_a_late_cancel_is_marked_and_never_refused(
    world: World, morning: int, search: Search, hours_before: int, is_late: bool
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with clock.clock_at(at(9, day=1) - timedelta(hours=hours_before)):
        gone = booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="cancel")
    assert gone.is_late_cancel is is_late


def test_patients_cancel_until_the_visit_starts(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with clock.clock_at(at(9, day=1)):
        with pytest.raises(BadTransition):
            booking.cancel_appointment(actor=world.alice, appointment_id=visit.id, token="cancel")
        gone = booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="desk")
    assert (gone.cancelled_by, gone.outcome_code) == (CancelledBy.CLINIC, Outcome.CANCELLED_BY_CLINIC)
    # It is over: nobody needs a message about it.
    assert messages(gone) == [(Event.BOOKED, 0)]


def test_settings_of_a_visit_type_win_over_the_clinics(world: World, morning: int, search: Search) -> None:
    @writing
    def own_notice(session) -> None:  # type: ignore[no-untyped-def]
        put_setting(session, "minimum_notice_min", 30 * 60, world.check_up_id)

    own_notice()
    with pytest.raises(TooSoon):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")


# The visit itself


def test_a_visit_runs_through_its_day(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with clock.clock_at(at(9, 5, day=1)):
        booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED)
    with clock.clock_at(at(9, 40, day=1)):
        done = booking.change_status(actor=world.chen, appointment_id=visit.id, to=Status.FULFILLED)
    assert (done.arrived_at, done.ended_at, done.outcome_code) == (
        at(9, 5, day=1), at(9, 40, day=1), Outcome.ATTENDED_LATE,
    )  # fmt: skip
    actions = db.session.scalars(select(AuditEntry.action).filter_by(subject_id=visit.id).order_by(AuditEntry.id))
    assert list(actions) == ["reserve", "arrive", "fulfil"]


def test_a_no_show_is_a_persons_word_after_the_start_and_can_be_undone(
    world: World, morning: int, search: Search
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with pytest.raises(BadTransition):
        booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.NOSHOW)
    with clock.clock_at(at(9, 20, day=1)):
        with pytest.raises(NotAllowed):
            booking.change_status(actor=Actor(ActorKind.SYSTEM), appointment_id=visit.id, to=Status.NOSHOW)
        missed = booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.NOSHOW, came_too_late=True)
        assert missed.outcome_code is Outcome.LATE_COULD_NOT_BE_SEEN
        back = booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.BOOKED)
    assert (back.status, back.outcome_code) == (Status.BOOKED, None)


def test_two_people_at_the_desk_do_not_overwrite_each_other(world: World, morning: int, search: Search) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED, expected_version=1)
    with pytest.raises(VersionConflict):
        booking.change_status(actor=world.chen, appointment_id=visit.id, to=Status.BOOKED, expected_version=1)


def test_a_visit_entered_in_error_gives_its_time_back_and_tells_the_patient(
    world: World, morning: int, search: Search
) -> None:
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="book")
    with pytest.raises(NotAllowed):
        booking.change_status(actor=world.alice, appointment_id=visit.id, to=Status.ENTERED_IN_ERROR)
    booking.change_status(actor=world.erin, appointment_id=visit.id, to=Status.ENTERED_IN_ERROR)
    assert free_cells(db.session(), morning) == 36
    assert messages(visit)[-1] == (Event.CANCELLED, 1)


def test_an_unknown_visit_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        booking.cancel_appointment(actor=world.alice, appointment_id=999, token="cancel")


def test_a_patient_without_email_is_put_on_the_call_list(world: World, morning: int) -> None:
    @writing
    def newcomer(session) -> int:  # type: ignore[no-untyped-def]
        return int(add_patient(session, "Nora", "Nomail", email=False).id)

    search = Search(world.check_up_id, patient_id=newcomer())
    visit = booking.reserve_slot(actor=world.erin, search=search, starts_at=at(9, day=1), token="desk")
    kept = db.session.scalars(
        select(Notification).filter_by(appointment_id=visit.id, recipient=Recipient.PATIENT)
    ).one()  # fmt: skip
    assert kept.delivery is Delivery.TO_CALL
