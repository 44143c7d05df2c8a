"""Asking for a visit without a time: stored at once, asked once, changed and withdrawn; and what the clinic does."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import (
    AlreadyAsked,
    BadTransition,
    InvalidRequest,
    NotAllowed,
    NotForThisPatient,
    SafetyAnswerMissing,
    SubmissionConflict,
    TooManyOpenVisits,
    VersionConflict,
)
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    AuditValues,
    PriorityClass,
    Status,
    TriageStatus,
    VisitType,
    WhoMayBook,
)
from clinic_portal.scheduling import booking, handling, requests
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import DayPart, Wishes, parts_mask
from clinic_portal.settings import put_setting
from tests.asking import ask, attempts, change, drain, fresh, offers, open_tasks, starts, status, withdraw
from tests.bookings import book, messages_of, open_clinic
from tests.invariants import check_invariants
from tests.world import NOW, World, add_session, at


@writing
def set_up(session: Session, visit_type_id: int, **values: object) -> None:
    session.execute(update(VisitType).where(VisitType.id == visit_type_id).values(**values))


@writing
def setting(session: Session, name: str, value: object) -> None:
    put_setting(session, name, value)


def last_entry(visit: Appointment) -> tuple[str, dict[str, object]]:
    session = db.session()
    session.rollback()
    found = select(AuditEntry.action, AuditValues.after).join(AuditValues)
    found = found.where(AuditEntry.subject_id == visit.id, AuditEntry.subject_type == "appointments")
    row = session.execute(found.order_by(AuditEntry.id.desc())).first()
    assert row is not None
    return row.action, row.after


# UC1.1


def test_a_request_is_stored_before_anything_answers_with_its_promise_and_its_wishes(any_world: World) -> None:
    visit = fresh(
        ask(any_world, from_on=date(2026, 3, 4), until_on=date(2026, 3, 20), min_warning_min=1440,
            parts=parts_mask([(0, DayPart.MORNING), (4, DayPart.EVENING)]), note="My knee")
    )  # fmt: skip
    assert (visit.status, visit.requested_at, visit.starts_at) == (Status.PROPOSED, NOW, None)
    # Asked on a Monday morning: the end of the second working day is Wednesday, six o'clock.
    assert visit.answer_by == at(18, day=2)
    assert visit.target_at == NOW + timedelta(days=14)
    assert (visit.wish_from, visit.wish_until, visit.min_warning_min) == (date(2026, 3, 4), date(2026, 3, 20), 1440)
    assert visit.wish_parts == 1 << 0 | 1 << 14
    assert visit.note == "My knee"
    assert [row.event.value for row in messages_of(visit.id)] == ["request_received"]
    assert last_entry(visit)[0] == "request"
    check_invariants(db.session())


def test_the_same_form_sent_twice_makes_one_request(any_world: World) -> None:
    first, second = (ask(any_world, token="twice") for _ in range(2))
    assert first.id == second.id
    assert db.session().scalar(select(func.count()).select_from(Appointment)) == 1
    with pytest.raises(SubmissionConflict):
        ask(any_world, token="twice", min_warning_min=60)
    check_invariants(db.session())


def test_there_is_one_open_request_for_a_patient_and_a_type(world: World) -> None:
    first = ask(world)
    with pytest.raises(AlreadyAsked):
        ask(world)
    with pytest.raises(AlreadyAsked):
        ask(world, actor=world.erin)
    assert ask(world, visit_type_id=world.vaccine_id).status is Status.PROPOSED
    assert ask(world, world.bob_id, world.bob).status is Status.PROPOSED
    withdraw(world, first)
    assert ask(world).id != first.id
    check_invariants(db.session())


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"until_on": date(2026, 3, 1)}, "until"),
        ({"from_on": date(2026, 3, 9), "until_on": date(2026, 3, 8)}, "until"),
        ({"from_on": date(2028, 3, 9)}, "until"),
        ({"parts": 0}, "parts"),
        ({"parts": 1 << 21}, "parts"),
        ({"min_warning_min": -1}, "warning"),
        ({"min_warning_min": 10**6}, "warning"),
    ],
)
def test_wishes_that_nobody_can_mean_are_refused_by_name(world: World, wishes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ask(world, **wishes)
    assert refusal.value.facts["field"] == field
    assert db.session().scalar(select(func.count()).select_from(Appointment)) == 0


def test_what_cannot_be_booked_online_cannot_be_asked_for_online(world: World) -> None:
    set_up(world.check_up_id, who_may_book=WhoMayBook.STAFF)
    with pytest.raises(NotForThisPatient):
        ask(world)
    assert ask(world, actor=world.erin).status is Status.PROPOSED


def test_requests_count_with_the_visits_ahead(world: World) -> None:
    open_clinic(world)
    setting("max_open_in_all", 2)
    book(world, at(9, day=1))
    ask(world)
    with pytest.raises(TooManyOpenVisits):
        ask(world, visit_type_id=world.vaccine_id)
    assert ask(world, visit_type_id=world.vaccine_id, actor=world.erin)


def test_a_visit_that_may_be_acute_is_asked_for_after_the_emergency_check_only(world: World) -> None:
    set_up(world.check_up_id, may_be_acute=True)
    with pytest.raises(SafetyAnswerMissing):
        ask(world)


# UC1.7


def test_a_request_that_needs_a_person_first_is_never_placed_by_the_queue(any_world: World) -> None:
    open_clinic(any_world)
    set_up(any_world.check_up_id, needs_triage=True)
    visit = ask(any_world)
    drain()
    with clock.clock_at(at(7, day=1)):
        drain()
    assert (status(visit), fresh(visit).triage_status) == ("proposed", TriageStatus.WAITING)
    assert open_tasks(visit) == ["triage"]
    handling.triage_done(actor=any_world.erin, appointment_id=visit.id, priority=PriorityClass.SOON)
    assert open_tasks(visit) == []
    drain()
    assert (status(visit), fresh(visit).priority_class) == ("booked", PriorityClass.SOON)
    assert (fresh(visit).triaged_at, fresh(visit).triaged_by_account_id) == (NOW, any_world.accounts["erin"])
    check_invariants(db.session())


def test_triage_moves_the_target_and_the_promise_and_not_the_moment_of_asking(world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    with clock.clock_at(at(12)):
        handling.triage_done(actor=world.erin, appointment_id=visit.id, priority=PriorityClass.URGENT)
    visit = fresh(visit)
    assert (visit.requested_at, visit.answer_by, visit.target_at) == (NOW, at(18), at(18, day=1))


def test_a_request_can_be_answered_without_a_visit(world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    with pytest.raises(InvalidRequest):
        handling.redirect_request(actor=world.erin, appointment_id=visit.id, note=" ")
    handling.redirect_request(actor=world.erin, appointment_id=visit.id, note="A pharmacist can help with that.")
    visit = fresh(visit)
    assert (visit.status, visit.triage_status) == (Status.CANCELLED, TriageStatus.REDIRECTED)
    assert visit.triage_note == "A pharmacist can help with that."
    assert [row.event.value for row in messages_of(visit.id)] == ["request_received", "request_closed"]
    assert open_tasks(visit) == []
    with pytest.raises(BadTransition):
        handling.triage_done(actor=world.erin, appointment_id=visit.id)
    check_invariants(db.session())


def test_who_needs_no_triage_cannot_be_triaged(world: World) -> None:
    with pytest.raises(BadTransition):
        handling.triage_done(actor=world.erin, appointment_id=ask(world).id)


# UC1.6


def test_editing_wishes_keeps_the_place_in_the_queue(world: World) -> None:
    visit = ask(world)
    with clock.clock_at(NOW + timedelta(days=3)):
        change(world, visit, from_on=date(2026, 3, 9), parts=parts_mask([(1, DayPart.MORNING)]))
    visit = fresh(visit)
    assert (visit.requested_at, visit.target_at) == (NOW, NOW + timedelta(days=14))
    assert (visit.wish_from, visit.version) == (date(2026, 3, 9), 2)
    check_invariants(db.session())


def test_asking_for_another_kind_of_visit_begins_anew(world: World) -> None:
    visit = ask(world)
    later = NOW + timedelta(days=3)
    with clock.clock_at(later):
        change(world, visit, visit_type_id=world.vaccine_id)
    visit = fresh(visit)
    assert (visit.visit_type_id, visit.requested_at) == (world.vaccine_id, later)
    assert visit.target_at == later + timedelta(days=14)


def test_a_change_made_on_an_old_page_is_told(world: World) -> None:
    visit = ask(world)
    change(world, visit, min_warning_min=30)
    with pytest.raises(VersionConflict):
        requests.change_request(
            actor=world.alice, appointment_id=visit.id, search=Search(world.check_up_id, world.alice_id),
            wishes=Wishes(), token="old page", expected_version=1,
        )  # fmt: skip


def test_a_withdrawn_request_is_served_no_more_and_says_who_and_when(any_world: World) -> None:
    open_clinic(any_world)
    visit = ask(any_world)
    withdraw(any_world, visit)
    drain()
    visit = fresh(visit)
    assert (visit.status, visit.cancelled_at, visit.cancelled_by) == (Status.CANCELLED, NOW, "patient")
    assert attempts(visit) == []
    with pytest.raises(BadTransition):
        withdraw(any_world, visit)
    check_invariants(db.session())


def test_a_request_that_has_become_a_visit_is_not_changed_or_withdrawn_as_a_request(world: World) -> None:
    open_clinic(world)
    visit = ask(world)
    drain()
    with pytest.raises(BadTransition):
        change(world, visit, min_warning_min=30)
    with pytest.raises(BadTransition):
        withdraw(world, visit)


def test_withdrawing_gives_an_offered_time_back(world: World) -> None:
    open_clinic(world, day=3)
    visit = ask(world, is_ask_first=True)
    drain()
    assert status(visit) == "pending"
    withdraw(world, visit)
    assert [offer.state.value for offer in offers(visit)] == ["withdrawn"]
    book(world, at(9, day=3), patient_id=world.bob_id, actor=world.bob)
    check_invariants(db.session())


# What the clinic does


def test_a_request_is_placed_by_hand_whatever_was_wished(any_world: World) -> None:
    open_clinic(any_world)
    visit = ask(any_world, from_on=date(2026, 3, 20))
    drain()
    assert status(visit) == "waitlist"
    handling.place_by_hand(actor=any_world.erin, appointment_id=visit.id, starts_at=at(10, day=1), token="hand")
    assert (status(visit), starts(visit)) == ("booked", [at(10, day=1)])
    again = handling.place_by_hand(actor=any_world.erin, appointment_id=visit.id, starts_at=at(10, day=1), token="hand")
    assert again.id == visit.id
    assert [row.event.value for row in messages_of(visit.id)][-2:] == ["booked", "booked"]
    check_invariants(db.session())


def test_raising_the_class_needs_a_reason_and_is_logged(world: World) -> None:
    visit = ask(world)
    with pytest.raises(InvalidRequest):
        handling.reclassify(actor=world.erin, appointment_id=visit.id, priority=PriorityClass.URGENT, reason="")
    handling.reclassify(
        actor=world.erin, appointment_id=visit.id, priority=PriorityClass.URGENT, reason="Rang: it is worse"
    )
    action, after = last_entry(visit)
    assert (action, after["priority_class"], after["reason"]) == ("reclassify", "urgent", "Rang: it is worse")
    assert fresh(visit).requested_at == NOW


def test_a_deferred_request_is_left_alone_until_its_time(world: World) -> None:
    open_clinic(world)
    open_clinic(world, day=3)
    visit = ask(world)
    handling.defer(actor=world.erin, appointment_id=visit.id, until=at(8, day=2))
    drain()
    assert status(visit) == "proposed"
    with clock.clock_at(at(8, day=2)):
        drain()
    assert starts(visit) == [at(9, day=3)]
    with pytest.raises(InvalidRequest):
        handling.defer(actor=world.erin, appointment_id=ask(world, visit_type_id=world.vaccine_id).id, until=NOW)


@pytest.mark.parametrize("who", [Actor(ActorKind.PATIENT, 1), Actor(ActorKind.PROXY, 1)])
def test_only_the_clinic_handles_requests(world: World, who: Actor) -> None:
    visit = ask(world)
    for act in (
        lambda: handling.triage_done(actor=who, appointment_id=visit.id),
        lambda: handling.redirect_request(actor=who, appointment_id=visit.id, note="no"),
        lambda: handling.reclassify(actor=who, appointment_id=visit.id, priority=PriorityClass.URGENT, reason="me"),
        lambda: handling.defer(actor=who, appointment_id=visit.id, until=at(8, day=2)),
        lambda: handling.place_by_hand(actor=who, appointment_id=visit.id, starts_at=at(9, day=1), token="t"),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert fresh(visit).version == 1


def test_a_request_cancelled_at_the_desk_leaves_the_queue_with_its_tasks(world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="c")
    assert (status(visit), open_tasks(visit), fresh(visit).next_try_at) == ("cancelled", [], None)


def test_hours_are_rewritten_and_visits_cancelled_without_anybody_waiting(world: World) -> None:
    """Nobody asks: the queue finds nothing and changes nothing."""
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    visit = book(world, at(9, day=1))
    drain()
    assert status(visit) == "booked"
    check_invariants(db.session())
