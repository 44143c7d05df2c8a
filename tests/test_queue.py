"""The assignment queue: everybody in order, the earliest time that suits, and what happens when nothing does."""

from __future__ import annotations

import itertools
import random
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    Audience,
    AvailabilityRule,
    CatalogueStamp,
    ContinuityWish,
    Notification,
    Origin,
    Outcome,
    Patient,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    PriorityClass,
    Status,
    VisitType,
)
from clinic_portal.scheduling import due, queue, serving
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Need, Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.wishes import DayPart, parts_mask
from clinic_portal.settings import put_setting
from tests.asking import ask, attempts, drain, fresh, open_tasks, starts, status
from tests.bookings import book, cancel, messages_of, open_clinic
from tests.invariants import check_invariants
from tests.world import NOW, World, add_patient, add_session, at


@writing
def patients(session: Session, how_many: int) -> list[int]:
    return [add_patient(session, f"Waiter{number}", "Smith").id for number in range(how_many)]


@writing
def edit(session: Session, visit: Appointment, **values: object) -> None:
    session.execute(update(Appointment).where(Appointment.id == visit.id).values(**values))


@writing
def change_patient(session: Session, patient_id: int, **values: object) -> None:
    session.execute(update(Patient).where(Patient.id == patient_id).values(**values))


@writing
def setting(session: Session, name: str, value: object, visit_type_id: int | None = None) -> None:
    put_setting(session, name, value, visit_type_id)


@writing
def prefer(session: Session, patient_id: int, practitioner_id: int, kind: PreferenceKind) -> None:
    session.add(PractitionerPreference(patient_id=patient_id, practitioner_id=practitioner_id, kind=kind))


def ask_all(world: World, ids: list[int], **wishes: object) -> list[Appointment]:
    return [ask(world, patient_id, world.erin, **wishes) for patient_id in ids]


# Order (UC1.8)


def test_urgent_comes_first_then_the_nearer_target_then_who_asked_first(any_world: World) -> None:
    ids = patients(5)
    flexible, routine, later, soon, urgent = ask_all(any_world, ids)
    edit(flexible, priority_class=PriorityClass.FLEXIBLE, target_at=NOW + timedelta(days=28))
    edit(later, requested_at=NOW + timedelta(minutes=1))
    edit(soon, priority_class=PriorityClass.SOON, target_at=NOW + timedelta(days=5))
    edit(urgent, priority_class=PriorityClass.URGENT, target_at=NOW + timedelta(days=40))
    add_session(any_world.chen_id, at(9, day=1), at(11, 30, day=1))
    drain()
    assert starts(urgent, soon, routine, later, flexible) == [
        at(9, day=1), at(9, 30, day=1), at(10, day=1), at(10, 30, day=1), at(11, day=1),
    ]  # fmt: skip
    check_invariants(db.session())


def test_a_routine_request_of_thirteen_days_ago_stands_before_a_soon_one_of_today(world: World) -> None:
    old, soon = ask_all(world, patients(2))
    edit(old, requested_at=NOW - timedelta(days=13), target_at=NOW + timedelta(days=1))
    edit(soon, priority_class=PriorityClass.SOON, target_at=NOW + timedelta(days=7))
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1))
    drain()
    assert (status(old), status(soon)) == ("booked", "waitlist")


def test_a_drain_leaves_what_is_kept_of_the_catalogue_alone(world: World) -> None:
    stamp = select(CatalogueStamp.value)
    visit = ask(world)
    drain()
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1))
    before = db.session().scalar(stamp)
    drain()
    assert status(visit) == "booked"
    assert db.session().scalar(stamp) == before


def test_a_batch_boundary_changes_nobodys_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BATCH", 3)
    monkeypatch.setattr(queue, "LOOK", 6)
    visits = ask_all(world, patients(10))
    for number, visit in enumerate(visits):
        edit(visit, target_at=NOW + timedelta(days=20 - number))
    add_session(world.chen_id, at(9, day=1), at(13, day=1))
    add_session(world.diaz_id, at(14, day=1), at(15, day=1))
    drain()
    got = starts(*reversed(visits))
    assert got == sorted(got, key=str)  # type: ignore[type-var]
    assert len(set(got)) == 10


def missed(session: Session, world: World, patient_id: int, days_ago: int) -> None:
    start = at(9, day=-days_ago)
    session.add(
        Appointment(patient_id=patient_id, visit_type_id=world.check_up_id, status=Status.NOSHOW, origin=Origin.PHONE,
                    practitioner_id=world.diaz_id, location_id=world.location_id, starts_at=start, lane=0,
                    ends_at=start + timedelta(minutes=30), blocked_from=start, requested_at=start, target_at=start,
                    blocked_until=start + timedelta(minutes=30), outcome_code=Outcome.DID_NOT_ATTEND)
    )  # fmt: skip


def test_permuting_no_show_history_age_or_language_changes_nobodys_place(world: World) -> None:
    """Everybody asks at the same moment for the same; only what must not matter differs, and it is dealt out anew."""
    ids = patients(4)
    visits = ask_all(world, ids)
    traits = [("en", 1950, 0), ("pl", 2001, 3), ("ar", 1985, 1), ("en-GB", 1999, 5)]
    add_session(world.chen_id, at(9, day=1), at(11, day=1))
    for dealt in itertools.permutations(traits):

        @writing
        def deal(session: Session, dealt: tuple[tuple[str, int, int], ...] = dealt) -> None:
            for number, (patient_id, (language, year, misses)) in enumerate(zip(ids, dealt, strict=True)):
                session.execute(
                    update(Patient).where(Patient.id == patient_id)
                    .values(preferred_language=language, birth_on=date(year, 5, 4))
                )  # fmt: skip
                session.flush()
                if dealt == tuple(traits):
                    for miss in range(misses):
                        missed(session, world, patient_id, 10 + 20 * number + miss)

        deal()
        session = db.session()
        session.rollback()
        assert due.due_ids(session, NOW, [], 10) == [visit.id for visit in visits]
        session.rollback()
    drain()
    assert starts(*visits) == [at(9, day=1), at(9, 30, day=1), at(10, day=1), at(10, 30, day=1)]


# The earliest that suits (UC1.2)


def test_the_earliest_time_within_days_and_parts_of_the_week_is_taken(any_world: World) -> None:
    for day in (1, 2, 3, 4):
        add_session(any_world.chen_id, at(9, day=day), at(12, day=day))
        add_session(any_world.chen_id, at(16, day=day), at(19, day=day))
    ids = patients(5)
    wishes = [
        {"from_on": date(2026, 3, 4)},
        {"parts": parts_mask([(3, DayPart.AFTERNOON)])},
        {"parts": parts_mask([(weekday, DayPart.EVENING) for weekday in range(7)])},
        {"from_on": date(2026, 3, 5), "until_on": date(2026, 3, 5), "parts": parts_mask([(3, DayPart.MORNING)])},
        {"min_warning_min": 3 * 24 * 60},
    ]
    visits = [
        ask(any_world, id_, any_world.erin, **wish)
        for id_, wish in zip(ids, wishes, strict=True)  # type: ignore[arg-type]
    ]
    drain()
    assert starts(*visits) == [at(9, day=2), at(16, day=3), at(17, day=1), at(9, day=3), at(9, 30, day=3)]
    check_invariants(db.session())


def test_the_queue_finds_only_what_the_page_would_offer(world: World) -> None:
    """The first time of the page, however the hours look: notice, release, audience, holds, steps, seams."""
    setting("minimum_notice_min", 26 * 60)
    add_session(world.diaz_id, at(9, day=1), at(10, day=1))
    add_session(world.chen_id, at(10, 5, day=1), at(10, 50, day=1), audience=Audience.STAFF)
    add_session(world.chen_id, at(11, 5, day=1), at(11, 25, day=1))
    add_session(world.chen_id, at(11, 25, day=1), at(11, 50, day=1))
    add_session(world.diaz_id, at(12, day=1), at(13, day=1), bookable_from=at(9))
    for expected in (at(11, 15, day=1), None):
        page = find_free_times(db.session(), Search(world.check_up_id, world.alice_id), date(2026, 3, 2), 10)
        first = next((time.starts_at for times in page.values() for time in times), None)
        assert first == expected
        visit = ask(world, *((world.alice_id, world.alice) if expected else (world.bob_id, world.bob)))
        drain()
        assert starts(visit) == [expected]


def test_time_goes_to_the_asked_place_only(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(10, day=1), world.location_id)
    add_session(world.chen_id, at(14, day=1), at(15, day=1), world.second_location_id)
    visit = ask(world, location_id=world.second_location_id)
    drain()
    assert (starts(visit), fresh(visit).location_id) == ([at(14, day=1)], world.second_location_id)


def test_needs_and_never_rules_decide_before_the_earliest_time(any_world: World) -> None:
    add_session(any_world.diaz_id, at(9, day=1), at(12, day=1))
    add_session(any_world.chen_id, at(14, day=1), at(15, day=1))
    first, second, third = patients(3)
    prefer(second, any_world.diaz_id, PreferenceKind.NEVER)
    female = Search(any_world.check_up_id, first, needs=frozenset({Need.FEMALE_CLINICIAN}))
    visits = [
        ask(any_world, actor=any_world.erin, search=female),
        ask(any_world, second, any_world.erin),
        ask(any_world, third, any_world.erin),
    ]
    drain()
    assert starts(*visits) == [at(14, day=1), at(14, 30, day=1), at(9, day=1)]
    check_invariants(db.session())


def test_the_patients_other_visits_are_never_overlapped(any_world: World) -> None:
    add_session(any_world.diaz_id, at(9, day=1), at(12, day=1))
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    book(any_world, at(9, day=1), visit_type_id=any_world.vaccine_id)
    visit, other = ask(any_world), ask(any_world, visit_type_id=any_world.vaccine_id)
    drain()
    assert starts(visit, other) == [at(9, 15, day=1), at(9, 50, day=1)]
    check_invariants(db.session())


def test_somebody_the_patient_knows_is_waited_for_a_little_or_for_good(world: World) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    add_session(world.chen_id, at(9, day=3), at(12, day=3))
    ids = patients(4)
    for patient_id in ids[:3]:
        prefer(patient_id, world.chen_id, PreferenceKind.USUAL)
    wishes = (ContinuityWish.NONE, ContinuityWish.PREFER_SAME, ContinuityWish.SAME_ONLY, ContinuityWish.SAME_ONLY)
    visits = [ask(world, id_, world.erin, continuity=wish) for id_, wish in zip(ids, wishes, strict=True)]
    drain()
    assert starts(*visits) == [at(9, day=1), at(9, day=3), at(9, 30, day=3), None]
    setting("continuity_tolerance_days", 1)
    [impatient] = patients(1)
    prefer(impatient, world.chen_id, PreferenceKind.USUAL)
    visit = ask(world, impatient, world.erin, continuity=ContinuityWish.PREFER_SAME)
    drain()
    assert starts(visit) == [at(9, 30, day=1)]


def test_durations_of_new_patients_and_of_each_practitioner_are_kept(world: World) -> None:
    @writing
    def slower(session: Session) -> None:
        session.execute(
            update(PractitionerVisitType)
            .where(PractitionerVisitType.practitioner_id == world.chen_id)
            .values(duration_new_patient_min=60)
        )

    slower()
    add_session(world.chen_id, at(9, day=1), at(9, 45, day=1))
    add_session(world.chen_id, at(10, day=1), at(11, day=1))
    visit = ask(world)
    drain()
    assert (fresh(visit).starts_at, fresh(visit).ends_at) == (at(10, day=1), at(11, day=1))


def test_limits_of_booking_online_hold_for_requests_made_online(world: World) -> None:
    open_clinic(world)
    visit = ask(world, from_on=date(2026, 3, 20))
    drain()
    book(world, at(9, day=1), visit_type_id=world.vaccine_id)
    setting("max_open_in_all", 1)
    edit(visit, wish_from=None, next_try_at=NOW)
    drain()
    assert (status(visit), fresh(visit).not_placed_because) == ("waitlist", "too_many_open_visits")
    assert open_tasks(visit) == ["cannot_place"]


def test_nobody_is_booked_after_death_nor_told(world: World) -> None:
    open_clinic(world)
    visit = ask(world)
    before = len(messages_of(visit.id))
    change_patient(world.alice_id, deceased_on=NOW.date())
    drain()
    assert (status(visit), fresh(visit).not_placed_because) == ("waitlist", "patient_gone")
    assert (len(messages_of(visit.id)), open_tasks(visit)) == (before, ["cannot_place"])


# The waiting list (UC1.3)


def test_when_nothing_fits_the_patient_is_told_with_the_nearest_times_and_stays_on_the_list(any_world: World) -> None:
    for day in (1, 2, 8, 20):
        add_session(any_world.chen_id, at(9, day=day), at(10, day=day))
    visit = ask(any_world, from_on=date(2026, 3, 7), until_on=date(2026, 3, 8))
    drain()
    assert (status(visit), attempts(visit)) == ("waitlist", [(None, "nothing_fits")])
    told = messages_of(visit.id)[-1]
    assert told.event.value == "waitlisted"
    named = [datetime.fromisoformat(starts_at) for starts_at, _ in told.facts["alternatives"]]
    assert named == [at(9, 30, day=1), at(9, 30, day=2), at(9, day=8)]
    drain()
    with clock.clock_at(NOW + timedelta(days=1)):
        drain()
    assert [row.event.value for row in messages_of(visit.id)].count("waitlisted") == 1
    check_invariants(db.session())


OF_THE_QUEUE = ("close expired holds", "serve requests", "escalate requests")


def serve_at(instant: datetime) -> None:
    """What the sweep does for the queue, with nobody to ring for; other duties would end hours that have no rules."""
    with clock.clock_at(instant):
        for duty in jobs.DUTIES:
            if duty.name in OF_THE_QUEUE:
                duty.run()


def test_a_cancelled_time_goes_to_the_first_in_line_within_one_sweep(any_world: World) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(9, 30, day=1))
    taken = book(any_world, at(9, day=1))
    first, second = ask_all(any_world, patients(2))
    drain()
    assert (status(first), status(second)) == ("waitlist", "waitlist")
    cancel(any_world, taken)
    serve_at(NOW + timedelta(seconds=5))
    assert (starts(first), status(second)) == ([at(9, day=1)], "waitlist")
    check_invariants(db.session())


def test_new_hours_go_to_the_first_in_line(world: World) -> None:
    visit = ask(world)
    drain()

    @writing
    def work(session: Session) -> None:
        session.add(AvailabilityRule(practitioner_id=world.chen_id, location_id=world.location_id, weekday=3,
                                     starts_min=9 * 60, ends_min=12 * 60, valid_from=NOW.date()))  # fmt: skip

    work()
    with clock.clock_at(NOW + timedelta(hours=1)):
        refresh_sessions(practitioner_id=world.chen_id)
    with clock.clock_at(NOW + timedelta(hours=1, seconds=5)):
        jobs.sweep()
    assert starts(visit) == [at(9, day=3)]


def test_time_released_by_the_clock_goes_to_the_first_in_line_and_no_second_before(world: World) -> None:
    release = at(7, day=1)
    add_session(world.chen_id, at(11, day=1), at(11, 30, day=1), bookable_from=release)
    visit, other = ask_all(world, patients(2))
    drain()
    serve_at(release - timedelta(seconds=1))
    assert status(visit) == "waitlist"
    serve_at(release + timedelta(seconds=4))
    assert (starts(visit), status(other)) == ([at(11, day=1)], "waitlist")


def test_time_that_an_expired_hold_kept_goes_to_the_first_in_line(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1))
    hold = hold_slot(actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=at(9, day=1))
    visit = ask(world)
    drain()
    assert status(visit) == "waitlist"
    serve_at(hold.expires_at + timedelta(seconds=5))
    assert starts(visit) == [at(9, day=1)]


def test_a_new_day_within_the_horizon_is_tried_by_itself(world: World) -> None:
    setting("horizon_days", 3)
    add_session(world.chen_id, at(9, day=5), at(9, 30, day=5))
    visit = ask(world)
    drain()
    assert status(visit) == "waitlist"
    serve_at(at(0, 0, day=1))
    assert status(visit) == "waitlist"
    serve_at(at(0, 0, day=2))
    assert starts(visit) == [at(9, day=5)]


def test_the_clinic_that_was_off_for_hours_serves_everybody_once_on_return(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    visits = ask_all(world, patients(3))
    serve_at(NOW + timedelta(hours=3))
    serve_at(NOW + timedelta(hours=3, seconds=5))
    assert starts(*visits) == [at(9, day=1), at(9, 30, day=1), at(10, day=1)]
    assert [len(attempts(visit)) for visit in visits] == [1, 1, 1]
    check_invariants(db.session())


def test_a_second_drain_changes_nothing(any_world: World) -> None:
    open_clinic(any_world)
    visits = ask_all(any_world, patients(8))
    drain()

    def picture() -> list[object]:
        session = db.session()
        session.rollback()
        session.expire_all()
        return [
            [(row.id, row.status, row.version, row.next_try_at) for row in session.scalars(select(Appointment))],
            [row.id for row in session.scalars(select(Notification))],
        ]

    before = picture()
    drain()
    assert picture() == before
    assert [status(visit) for visit in visits] == ["booked"] * 6 + ["waitlist"] * 2


def test_a_request_whose_days_have_passed_becomes_a_task(world: World) -> None:
    visit = ask(world, until_on=date(2026, 3, 4))
    drain()
    assert open_tasks(visit) == []
    serve_at(at(0, 1, day=3))
    assert (fresh(visit).not_placed_because, open_tasks(visit)) == ("window_past", ["cannot_place"])


# Faults (UC1.4)


def test_a_broken_request_holds_up_no_other_and_ends_with_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    setting("queue_tries", 3)
    open_clinic(world)
    good, broken, also_good = ask_all(world, patients(3))
    whole, secret = serving.plan, " ".join(("a", "bad", "knee"))

    def plan(picture: object, row: Appointment, *args: object, **more: object) -> object:
        if row.id == broken.id:
            raise RuntimeError(secret)
        return whole(picture, row, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(serving, "plan", plan)
    drain()
    assert (status(good), status(also_good), status(broken)) == ("booked", "booked", "proposed")
    first_pause = fresh(broken).next_try_at
    assert first_pause is not None
    assert first_pause > NOW
    assert attempts(broken) == [(None, "fault")]
    assert open_tasks(broken) == []
    for minutes in (5, 60):
        with clock.clock_at(NOW + timedelta(minutes=minutes)):
            drain()
    assert (fresh(broken).tries, fresh(broken).next_try_at, open_tasks(broken)) == (3, None, ["cannot_place"])
    assert [row.event.value for row in messages_of(broken.id)] == ["request_received", "request_delayed"]
    assert secret not in caplog.text
    with clock.clock_at(NOW + timedelta(days=2)):
        drain()
    assert fresh(broken).tries == 3
    check_invariants(db.session())


def test_pauses_between_tries_grow() -> None:
    random.seed(1)
    pauses = [serving._pause(tries).total_seconds() for tries in range(1, 12)]
    assert all(after > before for before, after in itertools.pairwise(pauses[:8]))
    assert pauses[0] >= 3
    assert max(pauses) <= 1800


def test_a_request_that_waits_too_long_becomes_a_task_before_its_promise_and_before_its_target(world: World) -> None:
    @writing
    def triage(session: Session) -> None:
        session.execute(update(VisitType).values(needs_triage=True))

    triage()
    unread = ask(world, visit_type_id=world.vaccine_id)
    serve_at(at(13, 59, day=2))
    assert open_tasks(unread) == ["triage"]
    # Four hours before Wednesday, six o'clock.
    serve_at(at(14, 1, day=2))
    assert open_tasks(unread) == ["triage", "past_promise"]


def test_a_request_without_a_place_becomes_a_task_at_four_fifths_of_its_target(world: World) -> None:
    visit = ask(world)
    drain()
    serve_at(NOW + timedelta(days=11))
    assert open_tasks(visit) == []
    serve_at(NOW + timedelta(days=11, hours=5))
    assert open_tasks(visit) == ["past_promise"]
    serve_at(NOW + timedelta(days=20))
    assert open_tasks(visit) == ["past_promise"]
    add_session(world.chen_id, at(9, day=22), at(10, day=22))
    serve_at(NOW + timedelta(days=21))
    assert (status(visit), open_tasks(visit)) == ("booked", [])


def test_who_takes_it_is_chosen_and_explained_as_in_a_reservation(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    busy = db.session().scalars(select(Appointment.practitioner_id)).one()
    visit = ask(world, from_on=date(2026, 3, 3))
    drain()
    free = ({world.chen_id, world.diaz_id} - {busy}).pop()
    assert (fresh(visit).practitioner_id, starts(visit)) == (free, [at(9, day=1)])
    assert set(fresh(visit).choice) == {
        "continuity", "scarcity", "load", "gaps", "total", "candidates", "familiar"
    }  # fmt: skip
