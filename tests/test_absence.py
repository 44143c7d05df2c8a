"""A doctor is away: one plan for all visits, carried out in one go, and undone before anybody hears of it (UC7.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from flask import current_app
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, PlanChanged, SubmissionConflict
from clinic_portal.models import (
    Absence,
    AbsenceAct,
    Appointment,
    AuditEntry,
    AvailabilityException,
    ClinicSession,
    ContinuityWish,
    Delivery,
    Event,
    Gender,
    Mode,
    Need,
    Notification,
    Patient,
    Practitioner,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    PriorityClass,
    Status,
    Task,
    TaskKind,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.absence_options import Choice, Option, Tier
from clinic_portal.scheduling.absence_plan import Plan, Planned
from clinic_portal.scheduling.absence_undo import undo_absence
from clinic_portal.settings import put_setting
from tests.absences import (
    SEVEN,
    VISITS,
    Morning,
    apply,
    as_planned,
    new_patient,
    plan_of,
    sick_morning,
    undo,
    where,
)
from tests.asking import drain, fresh, open_tasks
from tests.bookings import book, messages_of, reminders_of
from tests.invariants import check_invariants
from tests.plans import MON
from tests.rota import TODAY, back, block, work
from tests.world import World, at

WAIT, KEEP, CANCEL = Choice(AbsenceAct.WAITING_LIST), Choice(AbsenceAct.KEEP), Choice(AbsenceAct.CANCEL)


@pytest.fixture
def seven() -> Iterator[None]:
    with clock.clock_at(SEVEN):
        yield


@pytest.fixture
def morning(any_world: World) -> Iterator[Morning]:
    """Seven o'clock on the morning, on each database; what was booked has been told."""
    found = sick_morning(any_world)
    delivery.deliver_due()
    with clock.clock_at(SEVEN):
        yield found


@pytest.fixture
def small(world: World) -> Iterator[Morning]:
    """The same with four visits, and two others who are there."""
    found = sick_morning(world, visits=4, others=2)
    delivery.deliver_due()
    with clock.clock_at(SEVEN):
        yield found


@writing
def put(session: Session, name: str, value: int) -> None:
    put_setting(session, name, value)


def mails() -> int:
    return len(list_captured(current_app.config["PORTAL"].mail_dir))


def deliver(minutes: float) -> int:
    """How many mails leave in a sweep so long after seven."""
    before = mails()
    with clock.clock_at(SEVEN + timedelta(minutes=minutes)):
        delivery.deliver_due()
    return mails() - before


def of_absence(absence: Absence) -> list[Notification]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Notification).filter_by(absence_id=absence.id).order_by(Notification.id)))


def calls() -> set[int | None]:
    """The visits about which somebody has to phone."""
    db.session().rollback()
    rows = db.session().scalars(select(Task).where(Task.kind == TaskKind.CALL, Task.closed_at.is_(None)))
    return {row.appointment_id for row in rows}


def no_two_in_one_place(plan: Plan) -> None:
    blocks: dict[int | None, list[tuple[int, int]]] = {}
    for one in plan.visits:
        if one.option is not None:
            blocks.setdefault(one.option.choice.practitioner_id, []).append(one.option.block)
    for found in blocks.values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(found)))


# The plan


def test_24_visits_are_placed_among_five_others_and_nobody_is_dropped(morning: Morning) -> None:
    plan, before = plan_of(morning), where(morning)
    assert {one.visit.id for one in plan.visits} == set(morning.visits)
    assert len(plan.visits) == VISITS
    no_two_in_one_place(plan)
    acts = Counter(one.option.tier for one in plan.visits if one.option is not None)
    assert acts[Tier.SAME_TIME] >= 20
    assert acts.total() == VISITS
    # First whom nobody can tell in time; then by time.
    assert [one.is_call_first for one in plan.visits] == [True] + [False] * 23
    assert plan.visits[0].visit.id == morning.visits[0]
    starts = [one.visit.starts_at for one in plan.visits[1:]]
    assert starts == sorted(starts, key=str)
    apply(morning, as_planned(plan))
    for id_, choice in as_planned(plan).items():
        assert where(morning)[id_][:3] == ("booked", choice.practitioner_id, choice.starts_at)
        assert where(morning)[id_] != before[id_]
    assert Absence.__tablename__ in {entry.subject_type for entry in db.session().scalars(select(AuditEntry))}
    check_invariants(db.session())


def test_who_could_see_both_makes_room_for_whom_only_one_can_see(world: World) -> None:
    """The first knows the one who takes half an hour, and whom the second needs: the first goes to the other."""
    found = sick_morning(world, visits=2, others=2, is_busy=False)
    slow, other = found.others
    work(world, block(world, MON, "08:00", "08:15"), practitioner_id=other, actor=world.erin)
    first, second = found.visits
    _slow_and_known(found, slow, first)
    with clock.clock_at(SEVEN):
        plan = {one.visit.id: one.chosen for one in plan_of(found).visits}
        assert plan[first] == Choice(AbsenceAct.SAME_TIME, other, at(8))
        assert plan[second] == Choice(AbsenceAct.SAME_TIME, slow, at(8, 15))
        # Alone, it would have gone to the one it knows.
        alone = {one.visit.id: one.chosen for one in plan_of(found, {second: KEEP}).visits}
        assert alone == {first: Choice(AbsenceAct.SAME_TIME, slow, at(8)), second: KEEP}
        apply(found, plan)
    check_invariants(db.session())


@writing
def _slow_and_known(session: Session, morning: Morning, doctor_id: int, visit_id: int) -> None:
    does = select(PractitionerVisitType).filter_by(practitioner_id=doctor_id, visit_type_id=morning.talk_id)
    row = session.scalars(does).one()
    row.duration_min = row.duration_new_patient_min = 30
    patient_id = session.get_one(Appointment, visit_id).patient_id
    session.add(PractitionerPreference(patient_id=patient_id, practitioner_id=doctor_id, kind=PreferenceKind.USUAL))


def test_needs_rules_and_wishes_are_kept(small: Morning) -> None:
    woman, man = small.others
    first, second, third, fourth = small.visits
    _limit(small, woman)
    plan = {one.visit.id: one for one in plan_of(small).visits}
    # Dr Other 0 works from eight to ten, Dr Other 1 from nine to eleven.
    assert {option.choice.practitioner_id for option in plan[first].options} == {woman}
    assert man in {option.choice.practitioner_id for option in plan[second].options}
    assert woman not in {option.choice.practitioner_id for option in plan[second].options}
    # Whoever wants nobody else waits for Dr Chen, and does not get her while she is away.
    assert {option.choice.practitioner_id for option in plan[third].options if not _is_phone(option)} == {
        small.world.chen_id
    }
    assert all(option.starts_at >= small.away.high for option in plan[third].options if not _is_phone(option))
    # By phone nobody who has no number.
    assert any(_is_phone(option) for option in plan[fourth].options)
    assert not any(_is_phone(option) for option in plan[first].options)
    apply(small, {id_: one.chosen for id_, one in plan.items()})
    check_invariants(db.session())


def _is_phone(option: Option) -> bool:
    return option.choice.act is AbsenceAct.PHONE


@writing
def _limit(session: Session, morning: Morning, woman_id: int) -> None:
    first, second, third, _ = (session.get_one(Appointment, id_) for id_ in morning.visits)
    session.get_one(Practitioner, woman_id).gender = Gender.FEMALE
    first.wishes = {**first.wishes, "needs": [Need.FEMALE_CLINICIAN.value]}
    never = {"patient_id": second.patient_id, "practitioner_id": woman_id, "kind": PreferenceKind.NEVER}
    session.add(PractitionerPreference(**never))
    third.wishes = {**third.wishes, "continuity": ContinuityWish.SAME_ONLY.value}
    third.continuity_wish = ContinuityWish.SAME_ONLY


def test_one_patient_is_never_in_two_places(small: Morning) -> None:
    first, second, *_ = small.visits
    _give_to_one(first, second)
    plan = plan_of(small)
    times = sorted((one.option.starts_at, one.option.ends_at) for one in plan.visits if one.option
                   and one.visit.id in (first, second))  # fmt: skip
    assert len(times) == 2
    assert times[0][1] <= times[1][0]
    apply(small, as_planned(plan))
    check_invariants(db.session())


@writing
def _give_to_one(session: Session, visit_id: int, other_id: int) -> None:
    session.get_one(Appointment, other_id).patient_id = session.get_one(Appointment, visit_id).patient_id
    session.execute(update(Notification).where(Notification.appointment_id == other_id).values(
        patient_id=session.get_one(Appointment, visit_id).patient_id))  # fmt: skip


def test_the_plan_is_worked_out_around_what_somebody_chose(small: Morning) -> None:
    plan = {one.visit.id: one for one in plan_of(small).visits}
    second, third = small.visits[1:3]
    wanted = plan[third].chosen
    assert wanted.starts_at is not None
    # The second wants the very place of the third.
    pin = replace(wanted, act=AbsenceAct.OTHER_TIME)
    around = {one.visit.id: one for one in plan_of(small, {second: pin}).visits}
    assert (around[second].chosen, around[second].is_pinned) == (pin, True)
    assert around[third].chosen != wanted
    no_two_in_one_place(plan_of(small, {second: pin}))
    # What two want by hand only one can get; the other is told, and planned.
    both = {one.visit.id: one for one in plan_of(small, {second: pin, third: wanted}).visits}
    assert [both[second].is_lost, both[third].is_lost] == [False, True]
    no_two_in_one_place(plan_of(small, {second: pin, third: wanted}))


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_can_be_carried_out_whatever_the_morning(world: World, seed: int) -> None:
    _can_be_carried_out(world, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 40))
def test_more_plans_can_be_carried_out(world: World, seed: int) -> None:
    _can_be_carried_out(world, seed)


def _can_be_carried_out(world: World, seed: int) -> None:
    """Nothing is proposed, and nothing kept of what was chosen by hand, that cannot be claimed."""
    random = Random(seed)
    found = sick_morning(world, visits=random.randint(1, VISITS), others=random.randint(0, 4),
                         is_busy=random.random() < 0.5)  # fmt: skip
    _shuffle(found, seed)
    with clock.clock_at(SEVEN):
        plan = plan_of(found)
        # Some choose something else of what is offered.
        pins = {
            one.visit.id: random.choice([*(option.choice for option in one.options), WAIT, KEEP, CANCEL])
            for one in plan.visits
            if random.random() < 0.4
        }
        plan = plan_of(found, pins)
        no_two_in_one_place(plan)
        absence = apply(found, as_planned(plan))
        check_invariants(db.session())
        undo(found, absence)
        check_invariants(db.session())


@writing
def _shuffle(session: Session, morning: Morning, seed: int) -> None:
    """Others take longer, patients need this and that, some are urgent, two visits are one patient's."""
    random = Random(seed)
    for row in session.scalars(select(PractitionerVisitType).filter_by(visit_type_id=morning.talk_id)):
        if row.practitioner_id != morning.world.chen_id:
            row.duration_min = row.duration_new_patient_min = random.choice((10, 15, 20, 30))
            row.buffer_after_min = random.choice((0, 5))
    for id_ in morning.others:
        session.get_one(Practitioner, id_).gender = random.choice((Gender.FEMALE, Gender.MALE))
    for id_ in morning.visits:
        visit = session.get_one(Appointment, id_)
        needs = random.choice(([], [Need.FEMALE_CLINICIAN], [Need.LONGER_VISIT], [Need.STEP_FREE]))
        visit.wishes = {**visit.wishes, "needs": [need.value for need in needs]}
        visit.priority_class = random.choice(list(PriorityClass))


# Carried out in one go


def test_what_is_told_waits_two_minutes_and_then_leaves_once(morning: Morning) -> None:
    absence = apply(morning, as_planned(plan_of(morning)))
    assert absence.leaves_at == SEVEN + timedelta(minutes=2)
    assert deliver(0) == deliver(1.9) == 0
    rows = of_absence(absence)
    # Each patient and who gets the visit, each once; Dr Chen of each visit, and that her hours were changed.
    patients = Counter(row.patient_id for row in rows if row.patient_id)
    assert len(patients) == VISITS
    assert set(patients.values()) == {1}
    by_mail = [row for row in rows if row.delivery is Delivery.DUE]
    assert Counter(row.delivery for row in rows if row.patient_id) == {Delivery.DUE: 20, Delivery.TO_CALL: 4}
    assert [row.event for row in rows if row.account_id] == [Event.HOURS_CHANGED]
    assert deliver(2) == len(by_mail)
    assert deliver(3) == 0
    assert {row.delivery for row in of_absence(absence)} == {Delivery.SENT, Delivery.TO_CALL}


def test_with_no_time_for_an_undo_messages_leave_at_once(small: Morning) -> None:
    put("absence_undo_min", 0)
    absence = apply(small, as_planned(plan_of(small)))
    assert deliver(0) > 0
    with pytest.raises(BadTransition, match="have left"):
        undo(small, absence)


def test_whom_nobody_can_see_waits_one_class_higher_and_is_called(small: Morning) -> None:
    wait, cancel, *_ = small.visits[1:]
    asked_at = fresh(wait).requested_at
    absence = apply(small, as_planned(plan_of(small)) | {wait: WAIT, cancel: CANCEL})
    row = next(one for one in absence.visits if one.appointment_id == wait)
    again = fresh(row.again_id or 0)
    assert (fresh(wait).status, fresh(cancel).status) == (Status.CANCELLED, Status.CANCELLED)
    assert (again.status, again.requested_at, again.priority_class) == (Status.PROPOSED, asked_at, PriorityClass.SOON)
    assert {wait, cancel} <= calls()
    assert next(one for one in absence.visits if one.appointment_id == cancel).again_id is None
    # The queue does not look before that can be undone no more.
    drain()
    assert fresh(again).status is Status.PROPOSED
    with clock.clock_at(SEVEN + timedelta(minutes=2)):
        drain()
    assert fresh(again).status is Status.PENDING
    check_invariants(db.session())


def test_a_mail_that_may_be_read_too_late_gets_a_call_besides(small: Morning) -> None:
    second = small.visits[1]
    option = next(each for each in _planned(small, second).options if each.tier is Tier.LATER)
    plan = as_planned(plan_of(small, {second: option.choice}))
    assert plan[small.visits[2]].act is AbsenceAct.SAME_TIME
    apply(small, plan)
    assert second in calls()
    # Who keeps the time comes at the right one, whatever they have read.
    assert small.visits[2] not in calls()


def _planned(morning: Morning, visit_id: int) -> Planned:
    return next(one for one in plan_of(morning).visits if one.visit.id == visit_id)


def test_a_visit_becomes_one_by_phone_and_goes_back(small: Morning) -> None:
    second = small.visits[1]
    before = where(small)
    option = next(each for each in _planned(small, second).options if _is_phone(each))
    assert option.tier is Tier.SAME_TIME
    absence = apply(small, as_planned(plan_of(small, {second: option.choice})))
    visit = fresh(second)
    assert (visit.mode, visit.call_number, visit.practitioner_id) == (
        Mode.PHONE, "07700 900001", option.choice.practitioner_id,
    )  # fmt: skip
    check_invariants(db.session())
    undo(small, absence)
    assert where(small) == before
    assert (fresh(second).call_number, fresh(second).shown_window_min) == (None, 0)


def test_what_is_kept_stays_and_is_told_to_nobody(small: Morning) -> None:
    before = where(small)
    absence = apply(small, dict.fromkeys(small.visits, KEEP))
    assert where(small) == before
    assert {row.event for row in of_absence(absence)} == {Event.HOURS_CHANGED}
    # Nobody else is booked there.
    assert plan_of(small).visits[0].visit.id == small.visits[0]
    undo(small, absence)
    assert where(small) == before
    check_invariants(db.session())


def test_history_says_that_the_clinic_caused_it(small: Morning) -> None:
    absence = apply(small, as_planned(plan_of(small)) | {small.visits[1]: WAIT})
    undo(small, absence)
    for id_, moved in ((small.visits[0], "move_with_hours"), (small.visits[1], "cancel_with_hours")):
        entries = select(AuditEntry).filter_by(subject_type="appointments", subject_id=id_).order_by(AuditEntry.id)
        _, change, back = db.session().scalars(entries)
        assert (change.action, back.action, change.actor_kind) == (moved, "put_back", "staff")
        assert change.values.after["caused_by"] == back.values.after["caused_by"] == "clinic"
    # Why somebody is away is in no log.
    for entry in db.session().scalars(select(AuditEntry)):
        assert "sick" not in str(entry.values.after if entry.values else "")


def test_a_visit_booked_meanwhile_and_a_time_taken_meanwhile_are_told_and_nothing_is_changed(morning: Morning) -> None:
    world = morning.world
    plan = as_planned(plan_of(morning))
    before = where(morning)
    second, third = morning.visits[1:3]
    with pytest.raises(PlanChanged) as refused:
        apply(morning, {id_: choice for id_, choice in plan.items() if id_ != third})
    assert (refused.value.facts["new"], refused.value.facts["gone"]) == ({third}, set())
    # Somebody takes the proposed time of the second.
    taken = plan[second].starts_at
    assert taken is not None
    while fresh_doctor(book(world, taken, visit_type_id=morning.talk_id, patient_id=new_patient(300 + len(before)),
                            actor=world.erin)) != plan[second].practitioner_id:  # fmt: skip
        pass
    with pytest.raises(PlanChanged) as refused:
        apply(morning, plan)
    assert (refused.value.facts["new"], refused.value.facts["gone"]) == (set(), {second})
    assert where(morning) == before
    for table in (Absence, AvailabilityException):
        assert db.session().scalar(select(func.count()).select_from(table)) == 0
    check_invariants(db.session())
    # All else can be kept.
    kept = {id_: choice for id_, choice in plan.items() if id_ != second}
    again = plan_of(morning, kept)
    assert {id_: choice for id_, choice in as_planned(again).items() if id_ != second} == kept
    apply(morning, as_planned(again))
    check_invariants(db.session())


def fresh_doctor(visit: Appointment) -> int | None:
    return fresh(visit).practitioner_id


def test_the_same_form_again_changes_nothing_more(small: Morning) -> None:
    plan = as_planned(plan_of(small))
    absence = apply(small, plan, token="absence-once")
    stands = where(small)
    assert apply(small, plan, token="absence-once").id == absence.id
    assert where(small) == stands
    with pytest.raises(SubmissionConflict):
        apply(small, dict.fromkeys(small.visits, KEEP), token="absence-once")
    undo(small, absence, token="absence-back")
    stands = where(small)
    assert undo(small, absence, token="absence-back").id == absence.id
    assert where(small) == stands
    with pytest.raises(BadTransition):
        undo(small, absence)


def test_only_staff_plan_absences_and_only_of_days_to_come(small: Morning) -> None:
    plan = as_planned(plan_of(small))
    for actor in (small.world.chen, small.world.alice):
        with pytest.raises(NotAllowed):
            apply(small, plan, actor=actor)
    past = replace(small.period, starts_on=TODAY - timedelta(days=2), ends_on=TODAY - timedelta(days=1))
    with pytest.raises(InvalidRequest) as refused:
        apply(small, {}, period=past)
    assert refused.value.facts["field"] == "starts_on"
    absence = apply(small, plan)
    with pytest.raises(NotAllowed):
        undo_absence(actor=small.world.chen, absence_id=absence.id, token="absence-not")


# Undone


def test_an_undo_brings_everything_back_and_no_mail_leaves(morning: Morning) -> None:
    before, to_call = where(morning), calls()
    reminded = {id_: [(row.due_at, row.delivery) for row in reminders_of(id_)] for id_ in morning.visits}
    free = _free()
    waits, cancelled = morning.visits[4:6]
    absence = apply(morning, as_planned(plan_of(morning)) | {waits: WAIT, cancelled: CANCEL})
    assert where(morning) != before
    with clock.clock_at(SEVEN + timedelta(minutes=1)):
        undone = undo(morning, absence)
    assert [row.stays_because for row in undone.visits] == [None] * VISITS
    assert where(morning) == before
    assert calls() == to_call
    assert _free() == free
    assert {row.delivery for row in of_absence(absence)} == {Delivery.SUPERSEDED}
    assert deliver(1) == deliver(3) == 0
    assert {id_: [(row.due_at, row.delivery) for row in reminders_of(id_) if row.sequence == 0]
            for id_ in morning.visits} == reminded  # fmt: skip
    request = fresh(next(row.again_id for row in undone.visits if row.again_id))
    assert request.status is Status.ENTERED_IN_ERROR
    check_invariants(db.session())
    # And all of it can be done again.
    apply(morning, as_planned(plan_of(morning)))
    check_invariants(db.session())
    assert deliver(2) > VISITS


def _free() -> list[tuple[int, int, int]]:
    db.session().rollback()
    columns = ClinicSession.practitioner_id, ClinicSession.first_cell, ClinicSession.free
    return sorted(tuple(row) for row in db.session().execute(select(*columns)))


def test_once_a_mail_has_left_nothing_is_undone(small: Morning) -> None:
    absence = apply(small, as_planned(plan_of(small)))
    moved = where(small)
    with clock.clock_at(SEVEN + timedelta(minutes=2)), pytest.raises(BadTransition, match="have left"):
        undo(small, absence)
    # Also where a sender whose clock is ahead has taken one, or somebody was told by phone within the time.
    with clock.clock_at(SEVEN + timedelta(minutes=2)):
        taken = delivery.claim_due(token="ahead")
    with pytest.raises(BadTransition, match="have left"):
        undo(small, absence)
    delivery.give_back(taken, token="ahead")
    _note_told(absence.id)
    with pytest.raises(BadTransition, match="have left"):
        undo(small, absence)
    assert where(small) == moved
    assert fresh_absence(absence).undone_at is None
    check_invariants(db.session())


def fresh_absence(absence: Absence) -> Absence:
    db.session().rollback()
    return db.session().get_one(Absence, absence.id, populate_existing=True)


@writing
def _note_told(session: Session, absence_id: int) -> None:
    row = session.scalars(select(Notification).filter_by(absence_id=absence_id, delivery=Delivery.TO_CALL)).first()
    assert row is not None
    row.delivery = Delivery.SENT


def test_a_visit_whose_old_time_is_gone_stays_and_is_told(small: Morning) -> None:
    world = small.world
    absence = apply(small, as_planned(plan_of(small)))
    first, second, *others = small.visits
    # Somebody ends the time off by itself, and the time of the second goes to another; the first is cancelled.
    back(world, absence.exception_id, actor=world.erin)
    old = at(8, 15)
    while fresh_doctor(book(world, old, visit_type_id=small.talk_id, patient_id=new_patient(400), actor=world.erin)
                       ) != world.chen_id:  # fmt: skip
        pass
    booking.cancel_appointment(actor=world.erin, appointment_id=first, token="absence-cancel")
    undone = undo(small, absence)
    why = {row.appointment_id: row.stays_because for row in undone.visits}
    assert why == {first: "changed", second: "taken", **dict.fromkeys(others)}
    assert fresh(second).practitioner_id != world.chen_id
    assert {fresh(id_).practitioner_id for id_ in others} == {world.chen_id}
    # The message about the one that stays leaves; of the others none.
    deliver(2)
    assert {row.delivery for row in messages_of(second) if row.absence_id} == {Delivery.SENT}
    for id_ in others:
        assert {row.delivery for row in messages_of(id_) if row.absence_id} == {Delivery.SUPERSEDED}


def test_what_was_to_be_told_before_is_told_after_all(small: Morning) -> None:
    """Somebody without a mailbox had not yet been called about the booking when the absence was planned."""
    first = small.visits[0]
    [booked] = _to_patient(first)
    assert (booked.delivery, first in calls()) == (Delivery.TO_CALL, True)
    absence = apply(small, as_planned(plan_of(small)))
    assert [row.delivery for row in _to_patient(first)] == [Delivery.SUPERSEDED, Delivery.TO_CALL]
    undo(small, absence)
    assert [row.delivery for row in _to_patient(first)] == [Delivery.TO_CALL, Delivery.SUPERSEDED]
    assert open_tasks(first) == ["call"]


def _to_patient(visit_id: int) -> list[Notification]:
    return [row for row in messages_of(visit_id) if row.patient_id]


def test_somebody_who_died_is_neither_planned_nor_told(small: Morning) -> None:
    second = small.visits[1]
    _dies(fresh(second).patient_id)
    plan = as_planned(plan_of(small))
    assert plan[second] == CANCEL
    absence = apply(small, plan)
    assert fresh(second).status is Status.CANCELLED
    assert second not in calls()
    assert second not in {row.appointment_id for row in of_absence(absence)}


@writing
def _dies(session: Session, patient_id: int) -> None:
    session.get_one(Patient, patient_id).deceased_on = TODAY
