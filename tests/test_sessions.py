"""Session rows follow the rules: only what differs is written, and free time is hours less visits and open holds."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import zoneinfo
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound, SlotTaken
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    Base,
    CancelledBy,
    ClinicSession,
    Closure,
    ExceptionKind,
    Hold,
    HoldKind,
    Location,
    Origin,
    Practitioner,
    ReleasePolicy,
    Status,
)
from clinic_portal.scheduling import masks, session_rows
from clinic_portal.scheduling.sessions import SessionChanges, refresh_sessions, roll_sessions, write_sessions
from clinic_portal.settings import put_setting
from tests.bookings import book, cancel
from tests.invariants import check_invariants
from tests.plans import MON, PLAIN_MONDAY, TUE, change, rule
from tests.rota import block, work
from tests.statements import sent_statements
from tests.world import GRID, NOW, World, add_session, at, build_world

SAME = SessionChanges(kept=14, added=0, updated=0, ended=0, removed=0)


@writing
def put(session: Session, *rows: Base) -> None:
    session.add_all(rows)


@writing
def alter(session: Session, table: type[Base], row_id: int, **values: object) -> None:
    session.execute(update(table).where(table.id == row_id).values(**values))  # type: ignore[attr-defined]


@writing
def rewrite(session: Session, practitioner_id: int, first_day: date, last_day: date) -> SessionChanges:
    return write_sessions(session, practitioner_id, first_day, last_day)


def refresh(world: World) -> SessionChanges:
    return refresh_sessions(practitioner_id=world.chen_id)


def rows(practitioner_id: int, lane: int = 0) -> list[ClinicSession]:
    session = db.session()
    session.rollback()
    mine = select(ClinicSession).where(ClinicSession.practitioner_id == practitioner_id, ClinicSession.lane == lane)
    return list(session.scalars(mine.order_by(ClinicSession.first_cell), execution_options={"populate_existing": True}))


def told(practitioner_id: int, day: date = PLAIN_MONDAY) -> list[str]:
    return [
        f"{row.starts_at:%H:%M}-{row.ends_at:%H:%M}" for row in rows(practitioner_id) if row.starts_at.date() == day
    ]


def visit(world: World, starts_at: datetime, minutes: int = 30, *, buffer: int = 0, status: Status = Status.BOOKED,
          lane: int = 0) -> Appointment:  # fmt: skip
    ends_at = starts_at + timedelta(minutes=minutes)
    gone = {"cancelled_at": NOW, "cancelled_by": CancelledBy.PATIENT} if status is Status.CANCELLED else {}
    return Appointment(patient_id=world.alice_id, visit_type_id=world.check_up_id, status=status, lane=lane,
                       practitioner_id=world.chen_id, location_id=world.location_id, origin=Origin.DESK,
                       starts_at=starts_at, ends_at=ends_at, blocked_from=starts_at,
                       blocked_until=ends_at + timedelta(minutes=buffer), requested_at=NOW, target_at=NOW,
                       squeeze_in_reason="urgent" if lane else None, **gone)  # fmt: skip


def hold(world: World, starts_at: datetime, *, expires_at: datetime, closed_at: datetime | None = None) -> Hold:
    ends_at = starts_at + timedelta(minutes=30)
    return Hold(kind=HoldKind.PATIENT_CHECKOUT, account_id=world.accounts["bob"], patient_id=world.bob_id,
                visit_type_id=world.check_up_id, practitioner_id=world.chen_id, location_id=world.location_id,
                starts_at=starts_at, ends_at=ends_at, blocked_from=starts_at, blocked_until=ends_at, created_at=NOW,
                expires_at=expires_at, closed_at=closed_at)  # fmt: skip


def check_free(practitioner_id: int) -> None:
    """Free = hours less active visits less holds not closed, cell by cell."""
    session = db.session()
    taken: set[int] = set()
    visits = session.scalars(select(Appointment).where(Appointment.status.in_(ACTIVE)))
    holds = session.scalars(select(Hold).where(Hold.closed_at.is_(None)))
    for each in (*visits, *holds):
        if each.practitioner_id == practitioner_id and each.lane == 0:
            assert each.blocked_from is not None
            assert each.blocked_until is not None
            taken |= set(range(masks.to_cell(each.blocked_from, GRID), masks.to_cell(each.blocked_until, GRID)))
    for row in rows(practitioner_id):
        assert (masks.to_cell(row.starts_at, GRID), masks.to_cell(row.ends_at, GRID)) == (
            row.first_cell, row.first_cell + row.cell_count)  # fmt: skip
        free = {row.first_cell + bit for bit in masks.bits(row.free)}
        assert free == set(range(row.first_cell, row.first_cell + row.cell_count)) - taken


@pytest.fixture
def chen(world: World) -> World:
    """Dr Chen works Mondays 9 to 14 and 15 to 17, and sessions are made six weeks ahead: seven Mondays."""

    @writing
    def begin(session: Session) -> None:
        put_setting(session, "sessions_ahead_days", 42)
        for number, starts, ends in ((1, "9:00", "14:00"), (2, "15:00", "17:00")):
            each = rule(MON, starts, ends, number=number, location_id=world.location_id)
            each.practitioner_id = world.chen_id
            session.add(each)

    begin()
    assert refresh(world) == SessionChanges(kept=0, added=14, updated=0, ended=0, removed=0)
    return world


def off_hours(world: World, starts: str, ends: str, kind: ExceptionKind = ExceptionKind.OFF) -> AvailabilityException:
    each = change(kind, PLAIN_MONDAY, starts, PLAIN_MONDAY, ends, location_id=world.location_id)
    each.practitioner_id = world.chen_id
    return each


def test_the_first_refresh_writes_every_session_up_to_the_horizon_all_of_it_free(chen: World) -> None:
    found = rows(chen.chen_id)
    assert [row.starts_at.date() for row in found[::2]] == [PLAIN_MONDAY + timedelta(weeks=n) for n in range(7)]
    assert {row.free for row in found} == {masks.run(60), masks.run(24)}
    # The clocks went forward in between: nine o'clock stays nine o'clock.
    assert {row.starts_at.hour for row in found[:8:2]} == {9}
    assert {row.starts_at.hour for row in found[8::2]} == {8}
    check_free(chen.chen_id)


def test_a_second_refresh_changes_nothing_and_writes_nothing(chen: World) -> None:
    before = [(row.id, row.free) for row in rows(chen.chen_id)]
    with sent_statements() as seen:
        assert refresh(chen) == SAME
    assert not [each for each in seen if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [(row.id, row.free) for row in rows(chen.chen_id)] == before


def test_rolling_forward_adds_the_new_days_and_moves_no_boundary(chen: World) -> None:
    put(visit(chen, at(10, day=7)))
    before = {row.id: (row.first_cell, row.cell_count, row.free) for row in rows(chen.chen_id)}
    for days in (3, 7, 8):
        with clock.clock_at(NOW + timedelta(days=days)):
            changes = refresh(chen)
        assert (changes.updated, changes.ended, changes.removed) == (0, 0, 0)
    after = {row.id: (row.first_cell, row.cell_count, row.free) for row in rows(chen.chen_id)}
    assert before.items() <= after.items()
    assert len(after) == 16


def test_a_day_off_removes_that_day_only_and_its_end_brings_it_back_without_the_visit_s_time(chen: World) -> None:
    kept = {row.id for row in rows(chen.chen_id)[2:]}
    put(visit(chen, at(10), buffer=5), off_hours(chen, "0:00", "24:00"))
    assert refresh(chen) == SessionChanges(kept=12, added=0, updated=0, ended=0, removed=2)
    assert {row.id for row in rows(chen.chen_id)} == kept
    alter(AvailabilityException, 1, status="refused")
    assert refresh(chen) == SessionChanges(kept=12, added=2, updated=0, ended=0, removed=0)
    assert told(chen.chen_id) == ["09:00-14:00", "15:00-17:00"]
    assert rows(chen.chen_id)[0].free.bit_count() == 60 - 7
    check_free(chen.chen_id)


def test_new_rows_leave_out_active_visits_and_holds_not_closed_even_if_expired(chen: World) -> None:
    put(
        visit(chen, at(9, 30)),
        visit(chen, at(10, 30), status=Status.CANCELLED),
        visit(chen, at(11), status=Status.BOOKED, lane=1),
        hold(chen, at(11, 30), expires_at=NOW + timedelta(minutes=10)),
        hold(chen, at(12), expires_at=NOW - timedelta(minutes=1)),
        hold(chen, at(12, 30), expires_at=NOW, closed_at=NOW),
        off_hours(chen, "13:45", "14:00"),
    )
    assert refresh(chen) == SessionChanges(kept=13, added=1, updated=0, ended=0, removed=1)
    row = rows(chen.chen_id)[0]
    assert row.cell_count - row.free.bit_count() == 3 * 6
    check_free(chen.chen_id)


def test_a_visit_that_began_before_the_new_hours_still_takes_its_part_of_them(chen: World) -> None:
    put(visit(chen, at(14, 45), 30), off_hours(chen, "14:30", "15:00", ExceptionKind.EXTRA))
    refresh(chen)
    assert told(chen.chen_id) == ["09:00-14:00", "14:30-15:00", "15:00-17:00"]
    alter(AvailabilityRule, 2, starts_min=15 * 60 + 5)
    refresh(chen)
    assert rows(chen.chen_id)[2].free & masks.run(2) == 0
    assert rows(chen.chen_id)[1].free == masks.run(3)


def test_other_release_or_audience_is_written_into_the_same_rows(chen: World) -> None:
    ids = [row.id for row in rows(chen.chen_id)]
    alter(AvailabilityRule, 1, release_policy=ReleasePolicy.DAYS_BEFORE, release_before=1, release_at_min=420)
    alter(AvailabilityRule, 2, release_policy=ReleasePolicy.NEVER)
    assert refresh(chen) == SessionChanges(kept=0, added=0, updated=14, ended=0, removed=0)
    found = rows(chen.chen_id)
    assert [row.id for row in found] == ids
    assert found[0].bookable_from == datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
    assert [row.audience for row in found[:2]] == [Audience.PUBLIC, Audience.STAFF]
    assert refresh(chen) == SAME


def test_hours_at_another_place_are_another_session(chen: World) -> None:
    alter(AvailabilityRule, 1, location_id=chen.second_location_id)
    assert refresh(chen) == SessionChanges(kept=7, added=7, updated=0, ended=0, removed=7)
    assert {row.location_id for row in rows(chen.chen_id)[::2]} == {chen.second_location_id}


def test_a_closure_of_all_places_takes_the_sessions_of_that_day(chen: World) -> None:
    put(Closure(location_id=None, first_on=PLAIN_MONDAY, last_on=PLAIN_MONDAY, name="Holiday"))
    assert refresh(chen).removed == 2


def test_what_has_ended_stays_whatever_becomes_of_the_rules(chen: World) -> None:
    morning = rows(chen.chen_id)[0]
    with clock.clock_at(at(14)):
        alter(AvailabilityRule, 1, weekday=2)
        alter(AvailabilityRule, 2, starts_min=16 * 60)
        refresh(chen)
        assert told(chen.chen_id) == ["09:00-14:00", "16:00-17:00"]
        assert rows(chen.chen_id)[0].id == morning.id


def test_a_running_session_is_kept_while_its_hours_are_the_same(chen: World) -> None:
    ids = [row.id for row in rows(chen.chen_id)]
    with clock.clock_at(at(11, 2)):
        assert refresh(chen) == SAME
    assert [row.id for row in rows(chen.chen_id)] == ids


def test_a_running_session_whose_hours_change_ends_now_and_goes_on_as_the_rules_say(chen: World) -> None:
    put(visit(chen, at(10, 45)), visit(chen, at(11, 30)))
    with clock.clock_at(at(11, 2)):
        put(off_hours(chen, "13:00", "14:00"))
        assert refresh(chen) == SessionChanges(kept=13, added=1, updated=0, ended=1, removed=0)
        assert told(chen.chen_id) == ["09:00-11:05", "11:05-13:00", "15:00-17:00"]
        check_free(chen.chen_id)
    for hour in (11, 12):
        with clock.clock_at(at(hour, 40)), sent_statements() as seen:
            refresh(chen)
        assert not [each for each in seen if each.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_rule_made_in_the_middle_of_its_hours_makes_time_from_now_on_only(world: World) -> None:
    each = rule(MON, "9:00", "12:00", location_id=world.location_id)
    each.practitioner_id = world.chen_id
    put(each)
    with clock.clock_at(at(10, 31)):
        refresh(world)
        assert told(world.chen_id) == ["10:35-12:00"]
    with clock.clock_at(at(11)):
        assert refresh(world).added == 0
        assert told(world.chen_id) == ["10:35-12:00"]


def test_last_night_s_session_follows_the_rules_after_midnight(world: World) -> None:
    each = rule(MON, "20:00", "25:00", location_id=world.location_id)
    each.practitioner_id = world.chen_id
    put(each)
    refresh(world)
    with clock.clock_at(at(0, 30, day=1)):
        assert refresh(world).ended == 0
        alter(AvailabilityRule, 1, ends_min=24 * 60 + 45)
        refresh(world)
        assert told(world.chen_id, PLAIN_MONDAY) == ["20:00-00:30"]
        assert told(world.chen_id, PLAIN_MONDAY + timedelta(days=1)) == ["00:30-00:45"]
        # The days asked for begin with the one that is running, although its hours began the day before.
        first = PLAIN_MONDAY + timedelta(days=1)
        assert rewrite(world.chen_id, first, first) == SessionChanges(kept=1, added=0, updated=0, ended=0, removed=0)


def test_a_practitioner_who_left_has_no_sessions_ahead_and_all_of_those_behind(chen: World) -> None:
    with clock.clock_at(at(10, day=7)):
        alter(Practitioner, chen.chen_id, is_active=False)
        refresh(chen)
        assert told(chen.chen_id) == ["09:00-14:00", "15:00-17:00"]
        assert told(chen.chen_id, PLAIN_MONDAY + timedelta(days=7)) == ["09:00-10:00"]
        assert len(rows(chen.chen_id)) == 3


def test_squeeze_ins_are_nobody_s_rules_and_stay(chen: World) -> None:
    add_session(chen.chen_id, at(9), at(9, 15), chen.location_id, lane=1, audience=Audience.STAFF)
    put(off_hours(chen, "0:00", "24:00"))
    refresh(chen)
    (only,) = rows(chen.chen_id, lane=1)
    assert only.cell_count == 3


def test_rows_made_under_a_longer_horizon_follow_the_rules_too(chen: World) -> None:
    writing(lambda session: put_setting(session, "sessions_ahead_days", 7))()
    assert refresh(chen) == SAME
    alter(AvailabilityRule, 2, valid_until=PLAIN_MONDAY)
    assert refresh(chen).removed == 6


def test_only_the_days_asked_for_are_rewritten(chen: World) -> None:
    alter(AvailabilityRule, 2, ends_min=16 * 60)
    one_day = PLAIN_MONDAY + timedelta(days=14)
    assert rewrite(chen.chen_id, one_day, one_day) == SessionChanges(kept=1, added=1, updated=0, ended=0, removed=1)
    assert [row.cell_count for row in rows(chen.chen_id)[1::2]] == [24, 24, 12, 24, 24, 24, 24]


def test_an_unknown_practitioner_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        refresh_sessions(practitioner_id=999)


def test_a_nightly_roll_survives_one_bad_practitioner_does_the_rest_and_names_it_by_id(
    chen: World, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Location(name="Nowhere", address="-", zone="Mars/Base", phone="-")
    put(nowhere)
    bad, good = (rule(MON, "9:00", "12:00", number=n, location_id=chen.location_id) for n in (10, 11))
    bad.practitioner_id, bad.location_id, good.practitioner_id = chen.chen_id, nowhere.id, chen.diaz_id
    put(bad, good)
    with caplog.at_level(logging.ERROR):
        done = roll_sessions()
    assert done == 1
    assert len(rows(chen.diaz_id)) == 7
    assert [f"practitioner {chen.chen_id}" in record.getMessage() for record in caplog.records] == [True]
    assert "Chen" not in caplog.text


def rewrite_while(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Change Dr Chen's hours, and let somebody else act in the middle, between reading the visits and writing."""
    app, read = current_app._get_current_object(), session_rows._taken  # type: ignore[attr-defined]
    others: list[Future[object]] = []

    def act_elsewhere() -> object:
        with app.app_context(), suppress(SlotTaken):
            return act()

    def read_then_let_go(*args: Any) -> list[Any]:
        found = list(read(*args))
        others.append(pool.submit(act_elsewhere))
        wait(others, timeout=0.4)
        return found

    monkeypatch.setattr(session_rows, "_taken", read_then_let_go)
    alter(AvailabilityRule, 1, ends_min=13 * 60)
    with ThreadPoolExecutor(1) as pool:
        refresh(world)
    others[0].result()


@pytest.fixture
def chen_on_postgres(postgres_app: Flask, now: None) -> World:
    world = build_world()
    each = rule(MON, "9:00", "14:00", location_id=world.location_id)
    each.practitioner_id = world.chen_id
    put(each)
    refresh(world)
    return world


@pytest.mark.postgres
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_cancel_in_the_middle_of_a_rewrite_loses_no_time(
    chen_on_postgres: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    world = chen_on_postgres
    booked = visit(world, at(10, day=7))
    put(booked)
    session_id = rows(world.chen_id)[1].id
    alter(ClinicSession, session_id, free=masks.run(60) & ~(masks.run(6) << 12))
    check_free(world.chen_id)
    if not guarded:
        monkeypatch.setattr(session_rows, "lock_practitioner", lambda *_: True)
    rewrite_while(world, monkeypatch, lambda: cancel(world, booked))
    with nullcontext() if guarded else pytest.raises(AssertionError):
        check_free(world.chen_id)


@pytest.mark.postgres
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_booking_in_the_middle_of_a_rewrite_takes_no_time_twice(
    chen_on_postgres: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    world = chen_on_postgres
    if not guarded:
        monkeypatch.setattr(session_rows, "_lock", lambda *_: None)
    rewrite_while(world, monkeypatch, lambda: book(world, at(10, day=7)))
    with nullcontext() if guarded else pytest.raises(AssertionError):
        check_free(world.chen_id)


@pytest.fixture
def new_zone_data(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Makes the clinic's zone change its mind: its clocks show what those of Lagos do, one hour later all winter."""
    lagos = next(Path(folder) / "Africa/Lagos" for folder in (*zoneinfo.TZPATH, *_tzdata()) if
                 (Path(folder) / "Africa/Lagos").exists())  # fmt: skip

    def update() -> None:
        (tmp_path / "Europe").mkdir()
        shutil.copyfile(lagos, tmp_path / "Europe/London")
        zoneinfo.reset_tzpath(to=[tmp_path])
        zoneinfo.ZoneInfo.clear_cache()

    yield update
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


def _tzdata() -> list[str]:
    found = importlib.util.find_spec("tzdata")
    return [] if found is None or found.origin is None else [str(Path(found.origin).parent / "zoneinfo")]


def test_after_new_time_zone_data_sessions_keep_the_wall_clock_and_visits_their_instant(
    world: World, new_zone_data: Callable[[], None]
) -> None:
    work(world, block(world, TUE, "09:00", "12:00"))
    visit = book(world, at(10, day=1))
    new_zone_data()
    assert roll_sessions() > 0
    db.session.expire_all()
    first = db.session.scalars(select(ClinicSession).order_by(ClinicSession.starts_at)).all()[0]
    assert (first.starts_at, first.ends_at) == (at(8, day=1), at(11, day=1))
    assert db.session.get_one(Appointment, visit.id).starts_at == at(10, day=1)
    check_invariants(db.session())
