"""Exactly this clinician at exactly this time: rows and messages; and how the columns of the calendar are cut."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.backoffice import calendar_columns
from clinic_portal.backoffice.calendar_columns import Column, Frame, Item
from clinic_portal.backoffice.calendar_rows import Rows, Window, read_rows
from clinic_portal.database import db, writing
from clinic_portal.errors import (
    BadTransition,
    DayFull,
    InvalidRequest,
    NotAllowed,
    PatientBusy,
    SlotTaken,
    SubmissionConflict,
    TooSoon,
    VersionConflict,
)
from clinic_portal.models import (
    Appointment,
    Audience,
    AuditEntry,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    HoldEnd,
    Mode,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    RuleKind,
)
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from tests.asking import fresh
from tests.bookings import book, messages_of, open_clinic, reminders_of
from tests.calendars import add_doctors, book_with, busy_day, move_to, squeeze
from tests.invariants import check_invariants
from tests.statements import sent_statements
from tests.test_caps import limit
from tests.world import GRID, NOW, ZONE, World, add_patient, add_session, at, free_cells

# Booking


def test_the_desk_books_the_clinician_that_it_chose_between_the_steps_of_the_visit_type(world: World) -> None:
    both = [add_session(who, at(9, day=1), at(12, day=1)) for who in (world.chen_id, world.diaz_id)]
    visit = book_with(world, world.diaz_id, at(9, 20, day=1))
    assert (visit.practitioner_id, visit.starts_at, visit.ends_at) == (world.diaz_id, at(9, 20, 1), at(9, 50, 1))
    assert [free_cells(db.session(), each) for each in both] == [36, 30]
    assert {row.practitioner_id for row in messages_of(visit.id)} == {None, world.diaz_id}
    assert fresh(visit).choice == {}


def test_nobody_but_the_clinic_chooses_the_clinician(world: World) -> None:
    open_clinic(world)
    with pytest.raises(NotAllowed):
        book_with(world, world.chen_id, at(9, day=1), actor=world.alice)


def test_time_kept_back_from_patients_and_beyond_their_horizon_is_the_desks(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(10, day=1), bookable_from=at(7, day=1))
    add_session(world.chen_id, at(9, day=2), at(10, day=2), audience=Audience.STAFF)
    add_session(world.chen_id, at(9, day=80), at(10, day=80))
    for day in (1, 2, 80):
        assert book_with(world, world.chen_id, at(9, day=day)).starts_at == at(9, day=day)


def test_a_visit_may_lie_across_two_sessions_that_touch(world: World) -> None:
    parts = [
        add_session(world.chen_id, at(9, day=1), at(9, 15, day=1)),
        add_session(world.chen_id, at(9, 15, 1), at(10, day=1)),
    ]
    book_with(world, world.chen_id, at(9, day=1))
    assert [free_cells(db.session(), each) for each in parts] == [0, 6]


def test_what_is_taken_is_told_with_its_times_and_changes_nothing(world: World) -> None:
    open_clinic(world)
    book(world, at(9, 30, day=1))
    with pytest.raises(SlotTaken) as refused:
        book_with(world, world.chen_id, at(9, 15, day=1), patient_id=world.bob_id)
    assert refused.value.facts == {"taken_from": at(9, 30, day=1), "taken_until": at(9, 45, day=1)}
    assert db.session.scalars(select(Appointment.starts_at)).all() == [at(9, 30, day=1)]


def test_where_nobody_works_off_the_grid_or_in_the_past_nothing_is_booked(world: World) -> None:
    add_session(world.chen_id, at(7), at(9))
    for starts_at, kind in (
        (at(8, 45), InvalidRequest),
        (at(8, 32), InvalidRequest),
        (at(7, 30), TooSoon),
        (at(11), InvalidRequest),
    ):
        with pytest.raises(kind):
            book_with(world, world.chen_id, starts_at)
    assert book_with(world, world.chen_id, at(8, 30)).ends_at == at(9)


def test_the_patients_own_other_visit_stands_in_the_way(world: World) -> None:
    for who in (world.chen_id, world.diaz_id):
        add_session(who, at(9, day=1), at(12, day=1))
    book_with(world, world.chen_id, at(9, day=1))
    with pytest.raises(PatientBusy):
        book_with(world, world.diaz_id, at(9, 25, day=1))


@writing
def never(session: Session, patient_id: int, practitioner_id: int) -> None:
    session.add(
        PractitionerPreference(patient_id=patient_id, practitioner_id=practitioner_id, kind=PreferenceKind.NEVER)
    )


@writing
def stop_doing(session: Session, practitioner_id: int, visit_type_id: int) -> None:
    session.execute(
        update(PractitionerVisitType)
        .where(PractitionerVisitType.practitioner_id == practitioner_id)
        .where(PractitionerVisitType.visit_type_id == visit_type_id)
        .values(is_active=False)
    )


def test_who_does_no_such_visits_or_must_not_see_the_patient_is_refused(world: World) -> None:
    open_clinic(world)
    never(world.alice_id, world.chen_id)
    stop_doing(world.chen_id, world.vaccine_id)
    for patient_id, visit_type_id in ((world.alice_id, world.check_up_id), (world.bob_id, world.vaccine_id)):
        with pytest.raises(InvalidRequest) as refused:
            book_with(world, world.chen_id, at(9, day=1), patient_id=patient_id, visit_type_id=visit_type_id)
        assert refused.value.facts["field"] == "clinician"


def test_hours_for_calls_are_for_no_visit_in_person(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), modes=frozenset({Mode.PHONE}))
    with pytest.raises(InvalidRequest):
        book_with(world, world.chen_id, at(9, day=1))


def test_hours_for_some_kinds_of_visits_are_for_no_others(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), visit_type_ids=frozenset({world.vaccine_id}))
    with pytest.raises(InvalidRequest) as refused:
        book_with(world, world.chen_id, at(9, day=1))
    assert str(refused.value) == "These hours are not for this kind of visit."
    book_with(world, world.chen_id, at(9, day=1), visit_type_id=world.vaccine_id)


def test_a_dead_hold_keeps_nothing_and_a_live_one_does(world: World) -> None:
    open_clinic(world)
    hold = hold_slot(actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=at(9, day=1))
    with pytest.raises(SlotTaken):
        book_with(world, world.chen_id, at(9, day=1))
    with clock.clock_at(at(8, 11)):
        book_with(world, world.chen_id, at(9, day=1))
    db.session.refresh(hold)
    assert hold.closed_because is HoldEnd.EXPIRED


def test_a_full_day_is_refused_unless_the_desk_goes_beyond_it_and_that_is_kept(world: World) -> None:
    for who in (world.chen_id, world.diaz_id):
        add_session(who, at(9, day=1), at(12, day=1))
    limit(world, most_a_day=1)
    visit = book_with(world, world.chen_id, at(9, day=1))
    # A move within the day is the same visit.
    move_to(world, visit, at(9, 30, day=1))
    with pytest.raises(DayFull):
        book_with(world, world.chen_id, at(11, day=1), patient_id=world.bob_id)
    other = book_with(world, world.diaz_id, at(11, day=1), patient_id=world.bob_id, token="elsewhere")
    with pytest.raises(DayFull):
        move_to(world, other, at(11, day=1))
    check_invariants(db.session())
    move_to(world, other, at(11, day=1), token="beyond", beyond_caps=True)
    third = book_with(world, world.chen_id, at(10, 30, day=1), patient_id=world.bob_id, token="three", beyond_caps=True)
    assert {fresh(each).practitioner_id for each in (visit, other, third)} == {world.chen_id}
    noted = [entry.subject_id for entry in db.session().scalars(select(AuditEntry))
             if entry.values is not None and entry.values.after.get("beyond_caps")]  # fmt: skip
    assert sorted(noted) == [other.id, third.id]
    check_invariants(db.session())


def test_a_desk_of_one_place_books_at_no_other(world: World) -> None:
    open_clinic(world)
    with pytest.raises(NotAllowed):
        book_with(world, world.chen_id, at(9, day=1), places=frozenset({world.second_location_id}))


# Moving


def test_a_visit_goes_to_exactly_the_clinician_and_time_and_its_old_time_is_free(world: World) -> None:
    old, new = (add_session(who, at(9, day=1), at(12, day=1)) for who in (world.chen_id, world.diaz_id))
    visit = book(world, at(9, day=1))
    whose = visit.practitioner_id
    moved = move_to(world, visit, at(10, 5, day=1), world.diaz_id if whose == world.chen_id else world.chen_id,
                    expected_version=visit.version)  # fmt: skip
    assert moved.starts_at == at(10, 5, day=1)
    assert moved.practitioner_id != whose
    assert (moved.version, moved.sequence) == (2, 1)
    assert sorted(free_cells(db.session(), each) for each in (old, new)) == [30, 36]
    told = {
        (row.event.value, row.recipient.value, row.practitioner_id)
        for row in messages_of(visit.id)
        if row.sequence == 1
    }
    assert told == {("moved", "patient", None), ("cancelled", "practitioner", whose),
                    ("booked", "practitioner", moved.practitioner_id)}  # fmt: skip


def test_a_visit_moves_into_time_that_is_partly_its_own(world: World) -> None:
    hours = add_session(world.chen_id, at(9, day=1), at(12, day=1))
    visit = book(world, at(9, day=1))
    move_to(world, visit, at(9, 10, day=1))
    assert free_cells(db.session(), hours) == 30
    assert fresh(visit).starts_at == at(9, 10, day=1)


def test_a_clash_moves_nothing(world: World) -> None:
    hours = add_session(world.chen_id, at(9, day=1), at(12, day=1))
    visit = book(world, at(9, day=1))
    book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    with pytest.raises(SlotTaken):
        move_to(world, visit, at(9, 45, day=1))
    assert fresh(visit).starts_at == at(9, day=1)
    assert fresh(visit).version == 1
    assert free_cells(db.session(), hours) == 24
    assert len([row for row in messages_of(visit.id) if row.event == "moved"]) == 0


def test_whoever_moves_what_somebody_else_has_changed_is_told(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    move_to(world, visit, at(10, day=1), expected_version=1)
    with pytest.raises(VersionConflict):
        move_to(world, visit, at(11, day=1), expected_version=1)
    assert fresh(visit).starts_at == at(10, day=1)


def test_a_patient_who_knows_gets_no_message_and_why_is_kept(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    move_to(world, visit, at(10, day=1), untold_because="Agreed on the phone")
    rows = [row for row in messages_of(visit.id) if row.sequence == 1]
    told = {(row.event.value, row.recipient.value, row.channel.value, row.delivery.value) for row in rows}
    assert told == {("moved", "patient", "call", "sent"), ("moved", "practitioner", "email", "due")}
    entry = db.session.scalars(select(AuditEntry).filter_by(action="move")).one()
    assert entry.values.after["reason"] == "Agreed on the phone"
    assert entry.values.after["patient_told"] is False
    check_invariants(db.session())


def test_reminders_follow_also_when_the_patient_gets_no_message(world: World) -> None:
    add_session(world.chen_id, at(9, day=10), at(12, day=10))
    visit = book(world, at(9, day=10))
    before = {row.due_at for row in reminders_of(visit.id) if row.sequence == 0}
    move_to(world, visit, at(11, day=10), untold_because="Agreed on the phone")
    after = {row.due_at for row in reminders_of(visit.id) if row.sequence == 1}
    assert len(after) == len(before) == 2


def test_the_same_form_twice_moves_once_and_another_one_is_refused(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    for _ in range(2):
        assert move_to(world, visit, at(10, day=1), token="same").sequence == 1
    with pytest.raises(SubmissionConflict):
        move_to(world, visit, at(11, day=1), token="same")


def test_what_is_not_booked_or_stands_there_already_is_not_moved(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    with pytest.raises(BadTransition):
        move_to(world, visit, at(9, day=1))
    with pytest.raises(NotAllowed):
        move_to(world, visit, at(10, day=1), actor=world.alice)


def test_a_squeeze_in_is_none_any_more_once_it_has_a_place(world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    squeeze(visit.id)
    hours = db.session.scalars(select(ClinicSession)).one().id
    move_to(world, visit, at(9, day=1))
    assert (fresh(visit).lane, fresh(visit).squeeze_in_reason) == (0, None)
    assert free_cells(db.session(), hours) == 30


# Columns


def rows_of(world: World, first: date, last: date | None = None, zone: str = ZONE) -> Rows:
    low, high = clock.day_bounds(first, zone)[0], clock.day_bounds(last or first, zone)[1]
    return read_rows(Window(low, high, first, last or first, GRID, None, None))


def column_of(world: World, on: date, *, zone: str = ZONE, hours: tuple[int, int] = (8, 18)) -> Column:
    frame = Frame(zone, clock.now(), GRID, *hours)
    return calendar_columns.column(frame, rows_of(world, on, zone=zone), world.chen_id, world.location_id, on)


def kinds(column: Column) -> list[tuple[str, str, str]]:
    shown = [(item, *(clock.local(each, column.zone).strftime("%H:%M") for each in (item.starts_at, item.ends_at)))
             for item in column.items]  # fmt: skip
    return [(item.kind, start, end) for item, start, end in shown]


TUESDAY = date(2026, 3, 3)


def test_a_column_says_what_is_free_booked_and_not_worked(world: World) -> None:
    open_clinic(world)
    book(world, at(10, day=1))
    assert kinds(column_of(world, TUESDAY)) == [
        ("off", "08:00", "09:00"), ("free", "09:00", "10:00"), ("visit", "10:00", "10:30"), ("free", "10:30", "12:00"),
        ("off", "12:00", "18:00"),
    ]  # fmt: skip


@writing
def add_reasons(session: Session, world: World) -> None:
    """Dr Chen has lunch from 12 to 1 on Tuesdays, and is away from 4 on."""
    session.add(AvailabilityRule(practitioner_id=world.chen_id, location_id=world.location_id, kind=RuleKind.BREAK,
                                 weekday=1, starts_min=720, ends_min=780, valid_from=date(2026, 1, 1)))  # fmt: skip
    session.add(AvailabilityException(practitioner_id=world.chen_id, kind=ExceptionKind.OFF, zone=ZONE,
                                      status=ExceptionStatus.APPROVED, starts_on=TUESDAY, starts_min=960,
                                      ends_on=TUESDAY, ends_min=1440))  # fmt: skip


def test_time_without_work_says_why(world: World) -> None:
    open_clinic(world)
    add_session(world.chen_id, at(14, day=1), at(15, day=1), world.second_location_id)
    add_reasons(world)
    off = [one for one in kinds(column_of(world, TUESDAY)) if one[0] != "free"]
    assert off == [
        ("off", "08:00", "09:00"), ("break", "12:00", "13:00"), ("off", "13:00", "14:00"),
        ("elsewhere", "14:00", "15:00"), ("off", "15:00", "16:00"), ("away", "16:00", "18:00"),
    ]  # fmt: skip


@writing
def close(session: Session, location_id: int, on: date) -> None:
    session.add(Closure(location_id=location_id, first_on=on, last_on=on, name="Painting"))


def test_a_closed_day_is_closed_all_day(world: World) -> None:
    close(world.location_id, TUESDAY)
    assert kinds(column_of(world, TUESDAY)) == [("closed", "08:00", "18:00")]


def test_protected_time_is_told_with_its_release_and_becomes_free_by_the_clock(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(10, day=1), world.location_id, bookable_from=at(7, day=1))
    item = next(item for item in column_of(world, TUESDAY).items if item.kind == "kept_back")
    assert (item.released_at, item.book_from) == (at(7, day=1), at(9, day=1))
    with clock.clock_at(at(7, day=1)):
        assert ("free", "09:00", "10:00") in kinds(column_of(world, TUESDAY))


def test_kept_time_is_held_until_it_expires_whoever_cleans_up(world: World) -> None:
    open_clinic(world)
    hold_slot(actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=at(9, day=1))
    assert ("held", "09:00", "09:30") in kinds(column_of(world, TUESDAY))
    with clock.clock_at(at(8, 11)):
        assert ("free", "09:00", "12:00") in kinds(column_of(world, TUESDAY))


def test_hours_count_what_stands_in_them_and_what_still_fits(world: World) -> None:
    open_clinic(world)
    book(world, at(9, day=1))
    hours = column_of(world, TUESDAY).hours
    # The shortest that Dr Chen does takes ten minutes.
    assert [(one.booked, one.left) for one in hours] == [(1, 15)]
    with clock.clock_at(at(11, 41, day=1)):
        assert column_of(world, TUESDAY).hours[0].left == 1


def test_free_time_that_has_passed_cannot_be_booked(world: World) -> None:
    open_clinic(world)
    with clock.clock_at(at(10, 2, day=1)):
        item = next(item for item in column_of(world, TUESDAY).items if item.kind == "free")
        assert (item.starts_at, item.book_from) == (at(9, day=1), at(10, 5, day=1))
    with clock.clock_at(at(13, day=1)):
        item = next(item for item in column_of(world, TUESDAY).items if item.kind == "free")
        assert item.book_from is None


def test_squeeze_ins_stand_beside_what_they_overlap(world: World) -> None:
    open_clinic(world)
    squeezed = book(world, at(9, day=1))
    squeeze(squeezed.id)
    book(world, at(9, 15, day=1), patient_id=world.bob_id, actor=world.bob)
    visits = [item for item in column_of(world, TUESDAY).items if item.kind == "visit"]
    assert [(item.visit.lane, item.lane, item.lanes) for item in visits] == [(1, 2, 2), (0, 1, 2)]


def item_at(row: int, rows: int) -> Item:
    return Item("visit", at(9), at(10), row, rows)


def test_as_many_as_overlap_stand_side_by_side_and_no_more_than_four() -> None:
    def lanes(*items: tuple[int, int]) -> list[tuple[int, int]]:
        found = calendar_columns.side_by_side((item_at(*each), False) for each in items)
        return [(item.lane, item.lanes) for item in found]

    assert lanes((1, 6), (7, 6)) == [(1, 1), (1, 1)]
    assert lanes((1, 6), (3, 6), (7, 2)) == [(1, 2), (2, 2), (1, 2)]
    assert lanes(*[(1, 3)] * 5) == [(1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]


# Clock changes


def at_utc(day: int, month: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_rows_are_those_of_the_clock_on_the_wall_on_both_days_on_which_it_is_changed(world: World) -> None:
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    frame = Frame(ZONE, at(8), GRID, 0, 24)
    # Half an hour from nine stands at nine, summer or winter.
    assert frame.rows_of(spring, at_utc(29, 3, 8), at_utc(29, 3, 8, 30)) == (9 * 12 + 1, 6)
    assert frame.rows_of(autumn, at_utc(25, 10, 9), at_utc(25, 10, 9, 30)) == (9 * 12 + 1, 6)
    # From half past midnight until half past two, over an hour that there is not.
    assert frame.rows_of(spring, at_utc(29, 3, 0, 30), at_utc(29, 3, 1, 30)) == (7, 24)
    # Both half past ones share their rows; a stretch over the change is as long as it takes.
    assert frame.rows_of(autumn, at_utc(25, 10, 0, 30), at_utc(25, 10, 0, 45)) == (19, 3)
    assert frame.rows_of(autumn, at_utc(25, 10, 1, 30), at_utc(25, 10, 1, 45)) == (19, 3)
    assert frame.rows_of(autumn, at_utc(25, 10, 0, 50), at_utc(25, 10, 1, 10)) == (23, 4)


def test_work_across_midnight_stands_on_both_days(world: World) -> None:
    add_session(world.chen_id, at(22, day=1), at(22, day=1) + timedelta(hours=4), world.location_id)
    first = column_of(world, TUESDAY, hours=(20, 24))
    second = column_of(world, TUESDAY + timedelta(days=1), hours=(0, 8))
    assert kinds(first) == [("off", "20:00", "22:00"), ("free", "22:00", "00:00")]
    assert kinds(second) == [("free", "00:00", "02:00"), ("off", "02:00", "08:00")]


def test_the_reading_asks_as_often_for_many_as_for_one(world: World) -> None:
    busy_day(world, 1)
    with sent_statements() as few:
        assert len(rows_of(world, NOW.date()).visits) == 11
    for doctor in add_doctors(world, 5):
        add_session(doctor, at(18), at(19))
        book_with(world, doctor, at(18), patient_id=one_more(doctor))
    with sent_statements() as many:
        assert len(rows_of(world, NOW.date()).visits) == 16
    assert len(many) == len(few) <= 9


@writing
def one_more(session: Session, number: int) -> int:
    return add_patient(session, f"Given{number}", f"Family{number}").id
