"""Limits of a doctor's days: so many visits and no more, whoever books; breaks to catch up; a notice of their own."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError, PatientBusy, SlotTaken
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    AuditEntry,
    AuditValues,
    ClinicSession,
    Hold,
    Location,
    Need,
    Practitioner,
    Status,
)
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling import booking, handling, holds, hours, queue
from clinic_portal.scheduling.absence_options import Away, boards_for
from clinic_portal.scheduling.availability import CatchUp, derive_sessions
from clinic_portal.scheduling.by_hand import times_by_hand
from clinic_portal.scheduling.pace import Pace, write_pace
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.wishes import DayPart, parts_mask
from tests.asking import ask, drain, fresh
from tests.bookings import book, cancel, move
from tests.invariants import check_invariants
from tests.plans import AUTUMN, SPRING, TUE, plan, rule
from tests.rota import block, work
from tests.statements import sent_statements
from tests.test_queue import patients, setting
from tests.world import GRID, NOW, ZONE, World, add_session, at

TOMORROW = NOW.date() + timedelta(days=1)


@writing
def limit(session: Session, world: World, practitioner_id: int = 0, **limits: Any) -> None:
    """Dr Chen's own limits, unless it is said whose; without a look at hours, which most tests have no rules for."""
    practitioner = session.get_one(Practitioner, practitioner_id or world.chen_id)
    write_pace(session, world.erin, practitioner, Pace(**limits))


def free(world: World, day: int = 1, **search: Any) -> list[datetime]:
    """The times of a day that a page shows to Alice."""
    db.session().rollback()
    wanted = Search(**{"visit_type_id": world.check_up_id, "patient_id": world.alice_id, **search})
    on = NOW.date() + timedelta(days=day)
    return [time.starts_at for time in find_free_times(db.session(), wanted, on, 1)[on]]


@pytest.fixture
def clinic(any_world: World) -> World:
    """Dr Chen works in the morning and in the afternoon."""
    for day in (1, 2):
        add_session(any_world.chen_id, at(9, day=day), at(12, day=day), any_world.location_id)
        add_session(any_world.chen_id, at(13, day=day), at(16, day=day), any_world.location_id)
    return any_world


def test_a_doctor_at_the_daily_cap_is_not_offered_and_not_assigned_a_cancel_reopens_one_place(
    clinic: World,
) -> None:
    limit(clinic, most_a_day=2)
    first = book(clinic, at(9, day=1))
    assert at(14, day=1) in free(clinic)
    book(clinic, at(10, day=1))
    assert free(clinic) == []
    assert free(clinic, day=2)
    with pytest.raises(SlotTaken):
        book(clinic, at(14, day=1), patient_id=clinic.bob_id, actor=clinic.bob)
    # Another doctor has a day of their own.
    add_session(clinic.diaz_id, at(14, day=1), at(15, day=1), clinic.location_id)
    assert free(clinic) == [at(14, day=1), at(14, 15, day=1), at(14, 30, day=1)]
    assert book(clinic, at(14, day=1), patient_id=clinic.bob_id, actor=clinic.bob).practitioner_id == clinic.diaz_id
    cancel(clinic, first)
    assert at(9, day=1) in free(clinic)
    assert at(15, day=1) in free(clinic)
    assert book(clinic, at(15, day=1)).practitioner_id == clinic.chen_id
    check_invariants(db.session())


def test_the_cap_of_one_visit_type_leaves_the_others_alone(clinic: World) -> None:
    limit(clinic, by_type={clinic.vaccine_id: 1})
    book(clinic, at(9, day=1), visit_type_id=clinic.vaccine_id)
    assert free(clinic, visit_type_id=clinic.vaccine_id) == []
    assert at(10, day=1) in free(clinic)
    book(clinic, at(10, day=1))
    with pytest.raises(SlotTaken):
        book(clinic, at(11, day=1), visit_type_id=clinic.vaccine_id, patient_id=clinic.bob_id, actor=clinic.bob)


def test_a_cap_of_none_means_none(clinic: World) -> None:
    limit(clinic, by_type={clinic.vaccine_id: 0})
    assert free(clinic, visit_type_id=clinic.vaccine_id) == []
    assert free(clinic)


def test_a_time_that_is_kept_counts_once_and_only_while_it_lives(clinic: World) -> None:
    limit(clinic, most_a_day=1)
    search = Search(clinic.check_up_id, clinic.alice_id, account_id=clinic.accounts["alice"])
    kept = holds.hold_slot(actor=clinic.alice, search=search, starts_at=at(9, day=1))
    assert free(clinic, patient_id=clinic.bob_id) == []
    assert at(14, day=1) in free(clinic, account_id=clinic.accounts["alice"]), "her own hides no time from her"
    # Another time instead of it, and then the visit: one place is enough for both.
    kept = holds.hold_slot(actor=clinic.alice, search=search, starts_at=at(14, day=1))
    with clock.clock_at(NOW + timedelta(hours=1)):
        assert at(9, day=1) in free(clinic, patient_id=clinic.bob_id), "nobody has cleared it, and it binds nobody"
    visit = booking.reserve_slot(actor=clinic.alice, search=search, starts_at=at(14, day=1), token="a", hold_id=kept.id)
    assert visit.status is Status.BOOKED
    assert free(clinic, patient_id=clinic.bob_id) == []
    check_invariants(db.session())


def test_a_visit_moves_within_its_own_full_day_and_not_into_another_full_day(clinic: World) -> None:
    limit(clinic, most_a_day=1)
    visit = book(clinic, at(9, day=1))
    other = book(clinic, at(9, day=2), patient_id=clinic.bob_id, actor=clinic.bob)
    assert at(14, day=1) in free(clinic, moving_id=visit.id)
    assert free(clinic, day=2, moving_id=visit.id) == []
    # Choosing another time of the day keeps it for her, beside the visit it would move.
    search = Search(clinic.check_up_id, clinic.alice_id, account_id=clinic.accounts["alice"], moving_id=visit.id)
    kept = holds.hold_slot(actor=clinic.alice, search=search, starts_at=at(15, day=1))
    assert move(clinic, visit, at(14, day=1)).starts_at == at(14, day=1)
    assert db.session().get_one(Hold, kept.id).closed_at is not None
    with pytest.raises(SlotTaken):
        move(clinic, visit, at(10, day=2))
    assert fresh(other).starts_at == at(9, day=2)
    check_invariants(db.session())


def test_a_hold_that_would_move_a_visit_within_the_day_is_that_visit(clinic: World) -> None:
    limit(clinic, most_a_day=2)
    visit = book(clinic, at(9, day=1))
    search = Search(clinic.check_up_id, clinic.alice_id, account_id=clinic.accounts["alice"], moving_id=visit.id)
    holds.hold_slot(actor=clinic.alice, search=search, starts_at=at(15, day=1))
    assert at(10, day=1) in free(clinic, patient_id=clinic.bob_id), "one visit, whichever time it will have"
    holds.hold_slot(actor=clinic.alice, search=search, starts_at=at(15, day=2))
    assert at(10, day=2) in free(clinic, day=2, patient_id=clinic.bob_id)
    limit(clinic, most_a_day=1)
    assert free(clinic, day=2, patient_id=clinic.bob_id) == [], "on another day it takes a place of its own"


def test_what_is_booked_beyond_a_new_cap_stays_and_counts(clinic: World) -> None:
    visits = [book(clinic, at(hour, day=1)) for hour in (9, 10, 11)]
    limit(clinic, most_a_day=2)
    assert [fresh(visit).status for visit in visits] == [Status.BOOKED] * 3
    assert free(clinic) == []
    cancel(clinic, visits[0])
    assert free(clinic) == [], "two are left, and two are all there may be"
    cancel(clinic, visits[1])
    assert free(clinic)


@writing
def squeeze_in(session: Session, world: World, visit_id: int) -> None:
    """As if somebody had given a visit a lane of its own."""
    values = {"lane": 1, "squeeze_in_reason": "clinician_asked"}
    session.execute(update(Appointment).where(Appointment.id == visit_id).values(**values))
    visit = session.get_one(Appointment, visit_id)
    assert visit.blocked_from is not None
    session.execute(update(ClinicSession).where(ClinicSession.starts_at == at(9, day=1)).values(free=(1 << 36) - 1))


def test_a_squeeze_in_counts(clinic: World) -> None:
    squeezed = book(clinic, at(9, day=1))
    squeeze_in(clinic, squeezed.id)
    limit(clinic, most_a_day=1)
    assert free(clinic, patient_id=clinic.bob_id) == []


def test_a_visit_that_gets_longer_counts_no_more_than_before(clinic: World) -> None:
    limit(clinic, most_a_day=1)
    visit = book(clinic, at(9, day=1))
    change_needs(actor=clinic.alice, patient_id=clinic.alice_id, needs={Need.LONGER_VISIT: None})
    assert fresh(visit).ends_at == at(9, 40, day=1)


def test_days_are_those_of_the_place(any_world: World) -> None:
    """In Auckland Tuesday begins on Monday at noon in London: what lies before is another day."""

    @writing
    def move_place(session: Session) -> None:
        session.get_one(Location, any_world.location_id).zone = "Pacific/Auckland"

    move_place()
    # Midnight there is 11:00 here.
    add_session(any_world.chen_id, at(9, day=1), at(13, day=1), any_world.location_id)
    limit(any_world, most_a_day=1)
    book(any_world, at(9, day=1))
    db.session().rollback()
    days = find_free_times(db.session(), Search(any_world.check_up_id, any_world.bob_id), TOMORROW, 3)
    found = [time.starts_at for times in days.values() for time in times]
    assert found[0] == at(11, day=1), "the next day begins, and not before"
    book(any_world, at(12, day=1))
    with pytest.raises(SlotTaken):
        book(any_world, at(11, day=1), patient_id=any_world.bob_id, actor=any_world.bob)
    # A visit that begins before midnight belongs to that day, though it ends on the next.
    with pytest.raises(SlotTaken):
        book(any_world, at(10, 45, day=1), patient_id=any_world.bob_id, actor=any_world.bob)


# The queue


def test_the_queue_keeps_to_the_caps_within_a_batch_and_takes_the_next_day(clinic: World) -> None:
    limit(clinic, most_a_day=2)
    rows = [ask(clinic, patient_id, clinic.erin) for patient_id in patients(6)]
    drain()
    found = [fresh(row) for row in rows]
    days = Counter(row.starts_at.date() for row in found if row.starts_at is not None)
    assert days == {TOMORROW: 2, TOMORROW + timedelta(days=1): 2}
    assert [row.status for row in found] == [Status.BOOKED] * 4 + [Status.WAITLIST] * 2
    check_invariants(db.session())


def test_the_queue_keeps_to_the_cap_of_one_type_beside_others(clinic: World) -> None:
    limit(clinic, by_type={clinic.vaccine_id: 1})
    people = patients(4)
    rows = [ask(clinic, patient_id, clinic.erin, visit_type_id=clinic.vaccine_id) for patient_id in people[:3]]
    rows += [ask(clinic, people[3], clinic.erin)]
    drain()
    assert [fresh(row).status for row in rows] == [Status.BOOKED, Status.BOOKED, Status.WAITLIST, Status.BOOKED]
    assert {fresh(row).starts_at.date() for row in rows[:2]} == {TOMORROW, TOMORROW + timedelta(days=1)}  # type: ignore[union-attr]


def test_a_place_that_a_cancel_frees_goes_to_whoever_waits_for_another_hour_of_that_day(clinic: World) -> None:
    """The cells that come back lie in the morning, which does not suit; the afternoon was full by the cap alone."""
    limit(clinic, most_a_day=1)
    visits = [book(clinic, at(9, day=day)) for day in (1, 2)]
    waiting = ask(clinic, clinic.bob_id, clinic.bob, **afternoons())
    drain()
    assert fresh(waiting).status is Status.WAITLIST
    with clock.clock_at(NOW + timedelta(minutes=5)):
        drain()
        assert not queue.is_anybody_due()
        cancel(clinic, visits[0])
        assert queue.is_anybody_due()
        drain()
    found = fresh(waiting)
    assert (found.status, found.starts_at) == (Status.BOOKED, at(13, day=1))
    check_invariants(db.session())


def test_a_higher_cap_serves_whoever_waits(clinic: World) -> None:
    limit(clinic, most_a_day=1)
    for day in (1, 2):
        book(clinic, at(9, day=day))
    waiting = ask(clinic, clinic.bob_id, clinic.bob)
    drain()
    assert fresh(waiting).status is Status.WAITLIST
    with clock.clock_at(NOW + timedelta(minutes=5)):
        drain()
        limit(clinic, most_a_day=2)
        drain()
    assert fresh(waiting).status is Status.BOOKED


def afternoons() -> dict[str, Any]:
    return {"parts": parts_mask((weekday, DayPart.AFTERNOON) for weekday in range(7))}


# Notice


def test_a_doctor_who_needs_notice_is_not_booked_at_short_notice(clinic: World) -> None:
    limit(clinic, notice_min=30 * 60)
    # It is Monday, 8:00: thirty hours later it is Tuesday, 14:00.
    assert free(clinic)[0] == at(14, day=1)
    with pytest.raises(SlotTaken):
        book(clinic, at(13, 45, day=1))
    with clock.clock_at(NOW + timedelta(minutes=1)):
        assert free(clinic)[0] == at(14, 15, day=1), "nothing that was worked out before counts"
    add_session(clinic.diaz_id, at(9, day=1), at(10, day=1), clinic.location_id)
    assert free(clinic)[0] == at(9, day=1), "somebody else needs none"
    assert book(clinic, at(9, day=1)).practitioner_id == clinic.diaz_id
    waiting = ask(clinic, clinic.bob_id, clinic.bob)
    drain()
    assert fresh(waiting).starts_at == at(9, 30, day=1), "the queue gives it to the other"
    third = ask(clinic, patients(1)[0], clinic.alice)
    drain()
    assert fresh(third).starts_at == at(14, day=1)


def test_the_desk_needs_no_notice(clinic: World) -> None:
    limit(clinic, notice_min=30 * 60)
    assert book(clinic, at(9, day=1), actor=clinic.erin).starts_at == at(9, day=1)
    asked_by_phone = ask(clinic, clinic.bob_id, clinic.erin)
    drain()
    assert fresh(asked_by_phone).starts_at == at(9, 30, day=1)


def test_the_larger_notice_counts(clinic: World) -> None:
    setting("minimum_notice_min", 30 * 60)
    limit(clinic, notice_min=60)
    assert free(clinic)[0] == at(14, day=1)


# Breaks


def hours_of(world: World, on: date) -> list[str]:
    """The sessions of a day, on the clock of London."""
    rows = db.session().scalars(select(ClinicSession).order_by(ClinicSession.first_cell))
    told = [(clock.local(row.starts_at, ZONE), clock.local(row.ends_at, ZONE)) for row in rows]
    db.session().rollback()
    return [f"{start:%H:%M}-{end:%H:%M}" for start, end in told if start.date() == on]


def set_pace(world: World, actor: Actor | None = None, version: int | None = None, **limits: Any) -> Practitioner:
    return hours.change_hours(
        actor=actor or world.chen, practitioner_id=world.chen_id, change=Pace(**limits),
        token=f"hours-pace-{random.random()}", expected_version=version,
    )  # fmt: skip


def test_breaks_to_catch_up_are_cut_out_of_the_hours(any_world: World) -> None:
    work(any_world, block(any_world, TUE, "9:00", "14:00"))
    set_pace(any_world, break_min=10, break_after_min=120)
    assert hours_of(any_world, TOMORROW) == ["09:00-11:00", "11:10-13:10", "13:20-14:00"]
    assert at(10, 45, day=1) not in free(any_world), "no visit lies across a break"
    with pytest.raises(SlotTaken):
        book(any_world, at(10, 45, day=1))
    set_pace(any_world)
    assert "".join(hours_of(any_world, TOMORROW)).startswith("09:00-")
    assert at(10, 45, day=1) in free(any_world)
    check_invariants(db.session())


def test_hours_never_end_with_a_break(any_world: World) -> None:
    work(any_world, block(any_world, TUE, "9:00", "11:10"))
    set_pace(any_world, break_min=10, break_after_min=120)
    assert hours_of(any_world, TOMORROW) == ["09:00-11:10"]


def test_breaks_keep_to_the_clock_when_it_changes(any_world: World) -> None:
    """The weekly hours of Tuesday, before and after 29 March: two hours of work, then the break."""
    work(any_world, block(any_world, TUE, "9:00", "12:00"))
    set_pace(any_world, break_min=15, break_after_min=60)
    told = ["09:00-10:00", "10:15-11:15", "11:30-12:00"]
    assert hours_of(any_world, date(2026, 3, 24)) == hours_of(any_world, date(2026, 3, 31)) == told


def test_a_visit_that_lies_in_a_new_break_stays_and_the_break_comes_when_it_goes(any_world: World) -> None:
    work(any_world, block(any_world, TUE, "9:00", "14:00"))
    visit = book(any_world, at(10, 45, day=1))
    set_pace(any_world, break_min=10, break_after_min=120)
    assert (fresh(visit).status, fresh(visit).starts_at) == (Status.BOOKED, at(10, 45, day=1))
    assert hours_of(any_world, TOMORROW) == ["09:00-11:00", "11:10-13:10", "13:20-14:00"]
    assert at(10, 15, day=1) in free(any_world)
    assert at(11, 15, day=1) in free(any_world)
    check_invariants(db.session())
    cancel(any_world, visit)
    assert at(10, 30, day=1) in free(any_world)
    assert at(10, 45, day=1) not in free(any_world)
    check_invariants(db.session())


# All together


def counts(session: Session) -> Counter[tuple[int, date, int]]:
    """Visits and times that are kept, by doctor, day and type; counted in the plainest way."""
    session.rollback()
    found: Counter[tuple[int, date, int]] = Counter()
    visits = {row.id: row for row in session.scalars(select(Appointment).where(Appointment.status.in_(ACTIVE)))}
    lines: list[Any] = [row for row in visits.values() if row.starts_at is not None]
    for hold in session.scalars(select(Hold).where(Hold.closed_at.is_(None))):
        moved = visits.get(hold.appointment_id or 0)
        is_same = moved is not None and moved.practitioner_id == hold.practitioner_id
        if hold.expires_at > clock.now() and not (is_same and moved.starts_at.date() == hold.starts_at.date()):
            lines.append(hold)
    for line in lines:
        for counted in (0, line.visit_type_id):
            found[line.practitioner_id, line.starts_at.date(), counted] += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_no_day_gets_fuller_than_it_may_and_pages_show_what_can_be_booked(
    any_world: World, seed: int
) -> None:
    rng, world = random.Random(seed), any_world
    for doctor_id in (world.chen_id, world.diaz_id):
        for day in (1, 2):
            add_session(doctor_id, at(9, day=day), at(12, day=day), world.location_id)
            add_session(doctor_id, at(13, day=day), at(15, day=day), world.location_id)
    most, of_type = 4, 2
    limit(world, most_a_day=most, by_type={world.vaccine_id: of_type})
    limit(world, world.diaz_id, most_a_day=3)
    people = [(world.alice, world.alice_id), (world.bob, world.bob_id)] + [(world.erin, id_) for id_ in patients(6)]
    now, outcomes = NOW, Counter[str]()
    for turn in range(120):
        now += timedelta(seconds=rng.choice([10, 60, 200]))
        with clock.clock_at(now):
            outcomes[_something(rng, world, people, f"{seed}-{turn}")] += 1
            found = counts(db.session())
            for (doctor_id, _, counted), number in found.items():
                allowed = {(world.chen_id, 0): most, (world.chen_id, world.vaccine_id): of_type, (world.diaz_id, 0): 3}
                assert number <= allowed.get((doctor_id, counted), 1000), (turn, outcomes)
    check_invariants(db.session())
    assert outcomes["refused by the cap"] > 0
    assert outcomes["booked"] > 10


def _something(rng: random.Random, world: World, people: list[tuple[Actor, int]], token: str) -> str:
    actor, patient_id = rng.choice(people)
    session = db.session()
    session.rollback()
    type_id = rng.choice([world.check_up_id, world.vaccine_id])
    mine = session.scalars(select(Appointment).filter_by(patient_id=patient_id, status=Status.BOOKED)).all()
    ids = [(row.id, row.visit_type_id) for row in mine]
    session.rollback()
    act = rng.choice(["reserve", "reserve", "hold", "cancel", "move", "ask"])
    day = rng.choice([1, 2])
    starts_at = at(9, day=day) + timedelta(minutes=10 * rng.randrange(36))
    if act in ("cancel", "move") and not ids:
        return "nothing"
    if act == "cancel":
        booking.cancel_appointment(actor=actor, appointment_id=rng.choice(ids)[0], token=token)
        return "cancelled"
    if act == "ask":
        try:
            ask(world, patient_id, actor, visit_type_id=type_id)
        except DomainError:
            return "asked already"
        drain()
        return "asked"
    moving_id = None
    if act == "move":
        moving_id, type_id = rng.choice(ids)
    search = Search(type_id, patient_id, account_id=actor.account_id, moving_id=moving_id, by=actor.kind)
    shown = find_free_times(session, search, starts_at.date(), 1)[starts_at.date()]
    anyhow = find_free_times(
        session, Search(type_id, patient_id, account_id=actor.account_id, moving_id=moving_id, by=actor.kind,
                        beyond_caps=True), starts_at.date(), 1)[starts_at.date()]  # fmt: skip
    is_shown = starts_at in [time.starts_at for time in shown]
    is_free = starts_at in [time.starts_at for time in anyhow]
    session.rollback()
    given = {"actor": actor, "search": search, "starts_at": starts_at}
    try:
        if act == "hold":
            holds.hold_slot(**given)  # type: ignore[arg-type]
        elif act == "move":
            booking.move_appointment(**given, appointment_id=moving_id, token=token)  # type: ignore[arg-type]
        else:
            booking.reserve_slot(**given, token=token)  # type: ignore[arg-type]
    except (SlotTaken, PatientBusy):
        assert not is_shown, "a page shows what can be booked"
        return "refused by the cap" if is_free else "refused"
    except DomainError:
        return "refused"
    assert is_shown, "what can be booked is shown"
    return "booked"


def test_a_doctor_without_limits_costs_nothing_and_one_with_limits_two_questions(clinic: World) -> None:
    asked = []
    for minutes in (0, 30, 60, 90):
        if minutes == 60:
            limit(clinic, most_a_day=10)
        with sent_statements() as sent:
            book(clinic, at(9, day=1) + timedelta(minutes=minutes))
        asked.append([" ".join(statement.split()) for statement in sent])
    # The first of each kind reads what is kept from then on.
    more = len(asked[3]) - len(asked[1])
    # Counted before, counted with the cells claimed; a savepoint and its end; on Postgres a turn.
    assert more <= 5, asked[3]
    assert not [line for line in asked[1] if "UNION ALL" in line or "SAVEPOINT" in line]


# Beyond the limits, by somebody at the desk


def test_the_desk_places_a_request_on_a_full_day_only_when_it_says_so_and_the_visit_counts(clinic: World) -> None:
    limit(clinic, most_a_day=1)
    for day in (1, 2):
        book(clinic, at(9, day=day))
    waiting = ask(clinic, clinic.bob_id, clinic.bob)
    drain()
    given: dict[str, Any] = {"actor": clinic.erin, "appointment_id": waiting.id, "starts_at": at(10, day=1)}
    found = times_by_hand(db.session(), fresh(waiting))
    assert (found.has_caps, found.inside) == (True, [])
    assert times_by_hand(db.session(), fresh(waiting), beyond_caps=True).inside[0].starts_at == at(9, 30, day=1)
    with pytest.raises(SlotTaken):
        handling.place_by_hand(**given, token="p-1")
    placed = handling.place_by_hand(**given, token="p-2", beyond_caps=True)
    assert (placed.practitioner_id, placed.starts_at) == (clinic.chen_id, at(10, day=1))
    assert counts(db.session())[clinic.chen_id, TOMORROW, 0] == 2
    limit(clinic, most_a_day=2)
    assert free(clinic) == []
    entry = select(AuditValues).join(AuditEntry).where(AuditEntry.action == "place_by_hand")
    assert db.session().scalars(entry).one().after["beyond_caps"] is True
    check_invariants(db.session())


def test_whoever_has_room_comes_first_also_where_the_desk_would_go_beyond(clinic: World) -> None:
    limit(clinic, most_a_day=0)
    add_session(clinic.diaz_id, at(9, day=1), at(12, day=1), clinic.location_id)
    book(clinic, at(9, day=1))
    waiting = ask(clinic, clinic.bob_id, clinic.bob, from_on=TOMORROW + timedelta(days=9))
    placed = handling.place_by_hand(
        actor=clinic.erin, appointment_id=waiting.id, starts_at=at(10, day=1), token="p", beyond_caps=True
    )
    assert placed.practitioner_id == clinic.diaz_id
    entry = select(AuditValues).join(AuditEntry).where(AuditEntry.action == "place_by_hand")
    assert "beyond_caps" not in db.session().scalars(entry).one().after


def test_who_takes_over_for_somebody_away_gets_no_more_than_their_day_holds(clinic: World) -> None:
    """Two visits of Dr Chen at ten and eleven; Dr Diaz is free all day, and has room for one."""
    visits = [book(clinic, at(hour, day=1)) for hour in (10, 11)]
    add_session(clinic.diaz_id, at(9, day=1), at(12, day=1), clinic.location_id)
    limit(clinic, clinic.diaz_id, most_a_day=1)
    absence = Away(clinic.chen_id, at(0, day=1), at(23, day=1))
    found = []
    taken: dict[int, list[tuple[int, int]]] = {}
    for visit in visits:
        (board,) = boards_for(db.session(), fresh(visit), absence)
        same = [one for one in board.options(taken) if one.starts_at == visit.starts_at]
        found.append(len(same))
        for one in same:
            taken.setdefault(clinic.diaz_id, []).append(one.block)
    assert found == [1, 0]


@given(
    length=st.integers(1, 24 * 12 - 1), break_cells=st.integers(1, 24), after_cells=st.integers(1, 144),
    day=st.sampled_from([date(2026, 3, 3), SPRING, AUTUMN]),
)  # fmt: skip
def test_every_break_comes_after_so_much_work_and_no_break_ends_the_hours(
    length: int, break_cells: int, after_cells: int, day: date
) -> None:
    """Compared with somebody who walks through the block cell by cell."""
    hours_ = rule(day.weekday(), "00:00", f"{length * GRID // 60:02}:{length * GRID % 60:02}")
    catch_up = CatchUp(break_cells * GRID, after_cells * GRID)
    derived = derive_sessions(replace(plan(hours_), catch_up=catch_up), day, day, GRID)
    worked = {cell for one in derived for cell in range(one.first_cell, one.end_cell)}
    whole = derive_sessions(plan(hours_), day, day, GRID)
    cell, end = whole[0].first_cell, whole[-1].end_cell
    expected, since = set(), 0
    while cell < end:
        if since == after_cells and end - cell > break_cells:
            cell, since = cell + break_cells, 0
        else:
            expected.add(cell)
            cell, since = cell + 1, since + 1 if since < after_cells else since
    assert worked == expected
