"""In person, by phone, by video: which times are shown, what a visit keeps, and the stretch of the day that is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, ModeNotOffered, NotFound, NumberMissing, SlotTaken, TooSoon
from clinic_portal.models import (
    ALL_MODES,
    Appointment,
    AuditValues,
    AvailabilityRule,
    ClinicSession,
    Mode,
    Modes,
    Need,
    Notification,
    VisitType,
)
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.invariants import check_invariants
from tests.world import NOW, ZONE, World, add_session, at

IN_PERSON, PHONE, VIDEO = (frozenset({mode}) for mode in (Mode.IN_PERSON, Mode.PHONE, Mode.VIDEO))
NUMBER = "07700 900 362"
ROOMS = "https://video.example/rooms/{room}?from=portal"


@writing
def offer(db: Session, visit_type_id: int, modes: Modes = ALL_MODES, **settings: Any) -> None:
    """Offer a visit type in these modes, with video rooms and exact times unless said otherwise."""
    db.get_one(VisitType, visit_type_id).modes = modes
    for name, value in {"video_rooms": ROOMS, "shown_window_min": 0, **settings}.items():
        put_setting(db, name, value)


def by(mode: Mode, world: World, **more: Any) -> Search:
    return Search(world.check_up_id, world.alice_id, mode=mode, account_id=world.accounts["alice"], **more)


def shown(search: Search, day: int = 1) -> list[str]:
    on = (NOW + timedelta(days=day)).date()
    return [f"{time.starts_at:%H:%M}" for time in find_free_times(db.session(), search, on, 1)[on]]


def reserve(world: World, search: Search, starts_at: datetime, token: str = "one", **more: Any) -> Appointment:
    return booking.reserve_slot(actor=world.alice, search=search, starts_at=starts_at, token=token, **more)


def test_each_mode_sees_the_hours_that_are_for_it(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1), modes=IN_PERSON)
    add_session(world.chen_id, at(10, day=1), at(10, 30, day=1), modes=PHONE)
    add_session(world.chen_id, at(11, day=1), at(11, 30, day=1), modes=PHONE | VIDEO)
    add_session(world.chen_id, at(12, day=1), at(12, 30, day=1))
    assert shown(by(Mode.IN_PERSON, world)) == ["09:00", "12:00"]
    assert shown(by(Mode.PHONE, world)) == ["10:00", "11:00", "12:00"]
    assert shown(by(Mode.VIDEO, world)) == ["11:00", "12:00"]


def test_hours_that_are_not_for_it_are_refused_as_the_page_hides_them(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1), modes=PHONE)
    for search in (by(Mode.IN_PERSON, world), by(Mode.VIDEO, world)):
        with pytest.raises(SlotTaken):
            reserve(world, search, at(9, day=1))
    assert reserve(world, by(Mode.PHONE, world), at(9, day=1), call_number=NUMBER).mode is Mode.PHONE


def test_a_visit_across_two_sessions_stays_in_hours_of_its_mode(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(9, 45, day=1), modes=PHONE)
    add_session(world.chen_id, at(9, 45, day=1), at(10, 30, day=1), modes=ALL_MODES)
    assert shown(by(Mode.IN_PERSON, world)) == ["09:45", "10:00"]
    assert shown(by(Mode.PHONE, world)) == ["09:00", "09:15", "09:30", "09:45", "10:00"]


def test_a_mode_that_the_visit_type_does_not_offer_is_refused_and_video_needs_rooms(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    with pytest.raises(ModeNotOffered):
        reserve(world, by(Mode.PHONE, world), at(9, day=1), call_number=NUMBER)
    offer(world.check_up_id, video_rooms="")
    with pytest.raises(ModeNotOffered):
        reserve(world, by(Mode.VIDEO, world), at(9, day=1))
    with pytest.raises(ModeNotOffered):
        holds.hold_slot(actor=world.alice, search=by(Mode.HOME, world), starts_at=at(9, day=1))


def test_by_phone_or_video_neither_the_place_nor_its_stairs_matter(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(9, 30, day=1), world.second_location_id)
    wishes = {"location_id": world.location_id, "needs": frozenset({Need.STEP_FREE})}
    assert shown(by(Mode.IN_PERSON, world, **wishes)) == []
    assert shown(by(Mode.PHONE, world, **wishes)) == ["09:00"]
    visit = reserve(world, by(Mode.VIDEO, world, **wishes), at(9, day=1))
    assert visit.location_id == world.second_location_id


def test_a_visit_by_phone_or_video_can_be_booked_later_than_one_in_person(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9), at(11))
    assert shown(by(Mode.IN_PERSON, world), 0)[0] == "10:00"
    assert shown(by(Mode.PHONE, world), 0)[0] == shown(by(Mode.VIDEO, world), 0)[0] == "09:00"
    with pytest.raises(TooSoon):
        reserve(world, by(Mode.IN_PERSON, world), at(9))
    reserve(world, by(Mode.PHONE, world), at(9), call_number=NUMBER)
    offer(world.check_up_id, remote_notice_min=150)
    assert shown(by(Mode.VIDEO, world), 0)[0] == "10:30"


@pytest.mark.parametrize("number", [None, "", "  ", "ring me", "12", "1" * 41])
def test_a_visit_by_phone_needs_a_number_that_can_be_called(world: World, number: str | None) -> None:
    offer(world.check_up_id)
    session_id = add_session(world.chen_id, at(9, day=1), at(12, day=1))
    with pytest.raises(InvalidRequest):
        reserve(world, by(Mode.PHONE, world), at(9, day=1), call_number=number)
    assert db.session().get_one(ClinicSession, session_id).free.bit_count() == 36
    with pytest.raises(NumberMissing):
        reserve(world, by(Mode.PHONE, world), at(9, day=1))


def test_the_number_and_the_room_are_kept_with_the_visit_and_told_to_no_log(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    call = reserve(world, by(Mode.PHONE, world), at(9, day=1), "one", call_number=f" {NUMBER} ")
    video = reserve(world, by(Mode.VIDEO, world), at(10, day=1), "two", call_number=NUMBER)
    other = reserve(world, by(Mode.VIDEO, world), at(11, day=1), "three")
    assert (call.call_number, call.join_url) == (NUMBER, None)
    assert video.call_number is None
    assert video.join_url is not None
    assert video.join_url.startswith("https://video.example/rooms/")
    assert video.join_url.endswith("?from=portal")
    assert video.join_url != other.join_url
    kept = [str((row.before, row.after)) for row in db.session.scalars(select(AuditValues))]
    kept += [str(row.facts) for row in db.session.scalars(select(Notification))]
    assert not any(secret in line for line in kept for secret in (NUMBER, "video.example"))


def test_the_database_itself_wants_a_number_for_a_call_and_a_room_for_a_video(any_world: World) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    visit = reserve(any_world, by(Mode.IN_PERSON, any_world), at(9, day=1))
    for mode in ("phone", "video"):
        with pytest.raises(IntegrityError):
            db.session.execute(text(f"UPDATE appointments SET mode = '{mode}' WHERE id = {visit.id}"))
        db.session.rollback()
    for table in ("sessions", "visit_types"):
        with pytest.raises(IntegrityError):
            db.session.execute(text(f"UPDATE {table} SET modes = 0"))
        db.session.rollback()


def test_on_both_databases_hours_are_asked_for_by_mode(any_world: World) -> None:
    offer(any_world.check_up_id)
    add_session(any_world.chen_id, at(9, day=1), at(9, 30, day=1), modes=PHONE)
    add_session(any_world.diaz_id, at(10, day=1), at(10, 30, day=1), modes=VIDEO)
    assert [shown(by(mode, any_world)) for mode in (Mode.IN_PERSON, Mode.PHONE, Mode.VIDEO)] == [
        [],
        ["09:00"],
        ["10:00"],
    ]
    visit = reserve(any_world, by(Mode.PHONE, any_world), at(9, day=1), call_number=NUMBER)
    db.session.expire_all()
    assert db.session.get_one(Appointment, visit.id).call_number == NUMBER
    check_invariants(db.session())


def test_a_moved_visit_keeps_its_mode_whoever_moves_it_and_whatever_is_offered_by_now(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(10, day=1), modes=VIDEO)
    add_session(world.chen_id, at(10, day=1), at(11, day=1), modes=IN_PERSON)
    add_session(world.chen_id, at(11, day=1), at(12, day=1))
    visit = reserve(world, by(Mode.VIDEO, world), at(9, day=1))
    room = visit.join_url
    offer(world.check_up_id, IN_PERSON, video_rooms="")
    search = Search(world.check_up_id, world.alice_id, moving_id=visit.id)
    assert shown(search) == ["09:00", "09:15", "09:30", "11:00", "11:15", "11:30"]
    for starts_at, refusal in ((at(10, day=1), SlotTaken), (at(11, day=1), None)):
        if refusal:
            with pytest.raises(refusal):
                booking.move_appointment(actor=world.erin, appointment_id=visit.id, search=search,
                                         starts_at=starts_at, token="no")  # fmt: skip
            continue
        moved = booking.move_appointment(actor=world.erin, appointment_id=visit.id, search=search,
                                         starts_at=starts_at, token="yes")  # fmt: skip
    assert (moved.mode, moved.join_url, moved.starts_at) == (Mode.VIDEO, room, at(11, day=1))
    check_invariants(db.session())


def test_a_hold_is_for_one_mode(world: World) -> None:
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    hold = holds.hold_slot(actor=world.alice, search=by(Mode.PHONE, world), starts_at=at(9, day=1), call_number=NUMBER)
    assert (hold.mode, hold.call_number) == (Mode.PHONE, NUMBER)
    with pytest.raises(NotFound):
        reserve(world, by(Mode.IN_PERSON, world), at(9, day=1), hold_id=hold.id)
    reserve(world, by(Mode.PHONE, world), at(9, day=1), hold_id=hold.id, call_number=NUMBER)
    db.session.expire_all()
    assert hold.call_number is None, "the visit has it now"


# The stretch of the day that is told


@pytest.mark.parametrize(
    ("starts_at", "length", "low", "high"),
    [
        (at(10, 45), 120, at(10), at(12)),
        (at(12), 120, at(12), at(14)),
        (at(10, 45), 60, at(10), at(11)),
        (at(23, 50), 120, at(22), at(0, day=1)),
        # DST: 1:30 is skipped on 29 March; 1:30 comes twice on 25 October.
        (datetime(2026, 3, 29, 1, 15, tzinfo=UTC), 120, datetime(2026, 3, 29, 1, tzinfo=UTC),
         datetime(2026, 3, 29, 3, tzinfo=UTC)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 120, datetime(2026, 10, 24, 23, tzinfo=UTC),
         datetime(2026, 10, 25, 2, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_time_lies_in_one_stretch_counted_from_midnight_on_the_wall(
    starts_at: datetime, length: int, low: datetime, high: datetime
) -> None:
    assert clock.window_around(starts_at, ZONE, length) == (low, high)


def test_only_a_call_is_told_as_a_stretch_and_the_visit_keeps_which(world: World) -> None:
    offer(world.check_up_id, shown_window_min=120)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    call = reserve(world, by(Mode.PHONE, world), at(10, 30, day=1), "one", call_number=NUMBER)
    video = reserve(world, by(Mode.VIDEO, world), at(9, day=1), "two")
    assert (call.starts_at, call.shown_window_min, video.shown_window_min) == (at(10, 30, day=1), 120, 0)


def test_somebody_else_was_faster_and_the_call_comes_later_in_the_same_stretch(world: World) -> None:
    offer(world.check_up_id, shown_window_min=120)
    add_session(world.chen_id, at(10, day=1), at(12, day=1))
    bobs = Search(world.check_up_id, world.bob_id, mode=Mode.PHONE)
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(10, day=1), token="b", call_number=NUMBER)
    hold = holds.hold_slot(actor=world.alice, search=by(Mode.PHONE, world), starts_at=at(10, day=1))
    assert hold.starts_at == at(10, 30, day=1)
    held = reserve(world, by(Mode.PHONE, world), at(10, 30, day=1), hold_id=hold.id, call_number=NUMBER)
    assert held.starts_at == at(10, 30, day=1)
    later = reserve(world, by(Mode.PHONE, world), at(10, day=1), "two", call_number=NUMBER)
    assert later.starts_at == at(11, day=1)
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=world.erin, search=bobs, starts_at=at(11, day=1), token="e", call_number=NUMBER)
    check_invariants(db.session())


def test_a_stretch_whose_first_times_pass_while_somebody_reads_still_has_its_later_ones(world: World) -> None:
    offer(world.check_up_id, shown_window_min=120)
    add_session(world.chen_id, at(8), at(10))
    with clock.clock_at(NOW + timedelta(minutes=5)):
        hold = holds.hold_slot(actor=world.alice, search=by(Mode.PHONE, world), starts_at=at(9))
        assert hold.starts_at == at(9, 15)
        with pytest.raises(TooSoon):
            holds.hold_slot(actor=world.erin, search=by(Mode.PHONE, world), starts_at=at(7, 45))


def test_a_moved_call_never_comes_back_to_its_own_time(world: World) -> None:
    offer(world.check_up_id, shown_window_min=120)
    add_session(world.chen_id, at(10, day=1), at(11, day=1))
    call = reserve(world, by(Mode.PHONE, world), at(10, day=1), call_number=NUMBER)
    bobs = Search(world.check_up_id, world.bob_id, mode=Mode.PHONE)
    booking.reserve_slot(actor=world.bob, search=bobs, starts_at=at(10, 30, day=1), token="b", call_number=NUMBER)
    search = Search(world.check_up_id, world.alice_id, moving_id=call.id)
    with pytest.raises(SlotTaken):
        booking.move_appointment(actor=world.alice, appointment_id=call.id, search=search,
                                 starts_at=at(10, 30, day=1), token="m")  # fmt: skip


# Hours made from rules


def test_hours_made_from_rules_are_for_the_modes_of_their_rule_and_follow_it(world: World) -> None:
    @writing
    def add_rule(session: Session) -> int:
        rule = AvailabilityRule(practitioner_id=world.chen_id, location_id=world.location_id, weekday=1,
                                starts_min=540, ends_min=600, valid_from=date(2026, 1, 1), modes=PHONE)  # fmt: skip
        session.add(rule)
        session.flush()
        return rule.id

    @writing
    def change_rule(session: Session, rule_id: int) -> None:
        session.execute(update(AvailabilityRule).where(AvailabilityRule.id == rule_id).values(modes=PHONE | VIDEO))

    rule_id = add_rule()
    assert refresh_sessions(practitioner_id=world.chen_id).added
    made = db.session.scalars(select(ClinicSession)).all()
    assert {row.modes for row in made} == {PHONE}
    ids = {row.id for row in made}
    change_rule(rule_id)
    changed = refresh_sessions(practitioner_id=world.chen_id)
    assert (changed.added, changed.removed, changed.updated) == (0, 0, len(ids))
    db.session.expire_all()
    assert {(row.id, row.modes) for row in db.session.scalars(select(ClinicSession))} == {
        (id_, PHONE | VIDEO) for id_ in ids
    }
    assert refresh_sessions(practitioner_id=world.chen_id).updated == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shown_window_min", 50), ("shown_window_min", 5), ("shown_window_min", -1), ("shown_window_min", 1440),
        ("video_rooms", "http://video.example/{room}"), ("video_rooms", "https://video.example/"),
        ("video_rooms", "https://video.example/{room}/{room}"), ("video_rooms", "https://video.example/ {room}"),
        ("video_rooms", "https://video.example/{name}/{room}"), ("remote_notice_min", -1),
    ],
)  # fmt: skip
def test_settings_that_would_lead_nowhere_are_refused(world: World, name: str, value: object) -> None:
    with pytest.raises(InvalidRequest):
        offer(world.check_up_id, **{name: value})
