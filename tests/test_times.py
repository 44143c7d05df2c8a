"""UC2: only times that can really be booked now are shown, in the clinic's zone, and never with a name."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound
from clinic_portal.models import (
    Appointment,
    Audience,
    Location,
    Need,
    Practitioner,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    VisitType,
)
from clinic_portal.scheduling import booking, holds, times
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import put_setting
from tests.world import NOW, ZONE, World, add_session, at, free_cells

TODAY = NOW.date()


def shown(search: Search, day: date, zone_hours: int = 0) -> list[str]:
    """The times of one day as a page would list them, as UTC plus some hours."""
    found = times.find_free_times(db.session(), search, day, 1)[day]
    return [(time.starts_at + timedelta(hours=zone_hours)).strftime("%H:%M") for time in found]


@writing
def change(db, what, **values):  # type: ignore[no-untyped-def]
    """Change columns of one row directly."""
    model, row_id = what
    row = db.get_one(model, row_id)
    for name, value in values.items():
        setattr(row, name, value)


@writing
def set_length(db, practitioner_id: int, visit_type_id: int, **minutes: int) -> None:  # type: ignore[no-untyped-def]
    row = db.query(PractitionerVisitType).filter_by(
        practitioner_id=practitioner_id, visit_type_id=visit_type_id
    ).one()  # fmt: skip
    for name, value in minutes.items():
        setattr(row, name, value)


@writing
def setting(db, name: str, value: object, visit_type_id: int | None = None) -> None:  # type: ignore[no-untyped-def]
    put_setting(db, name, value, visit_type_id)


@pytest.fixture
def search(world: World) -> Search:
    return Search(world.check_up_id, patient_id=world.alice_id, account_id=world.accounts["alice"])


def test_free_times_lie_on_start_steps_and_end_with_the_session(world: World, search: Search) -> None:
    add_session(world.chen_id, at(9, 10, day=1), at(10, 20, day=1))
    # 9:15 and 9:30 on the quarter hour, 9:45 too, and 9:50 as the last that fits.
    assert shown(search, TODAY + timedelta(days=1)) == ["09:15", "09:30", "09:45", "09:50"]


def test_a_time_is_shown_once_however_many_could_take_it(world: World, search: Search) -> None:
    for practitioner_id in (world.chen_id, world.diaz_id):
        add_session(practitioner_id, at(9, day=1), at(10, day=1))
    assert shown(search, TODAY + timedelta(days=1)) == ["09:00", "09:15", "09:30"]


def test_minimum_notice_counts_real_hours(world: World, search: Search) -> None:
    add_session(world.chen_id, at(9), at(12))
    # It is 08:00 and the notice is two hours.
    assert shown(search, TODAY) == ["10:00", "10:15", "10:30", "10:45", "11:00", "11:15", "11:30"]
    with clock.clock_at(at(8, 1)):
        assert shown(search, TODAY)[0] == "10:15"


def test_minimum_notice_of_seven_days_ending_on_a_change_day_does_not_shift_the_list(
    world: World, search: Search
) -> None:
    setting("minimum_notice_min", 7 * 24 * 60, world.check_up_id)
    change_day = date(2026, 3, 29)
    add_session(world.chen_id, datetime(2026, 3, 29, 8, 0, tzinfo=UTC), datetime(2026, 3, 29, 11, 0, tzinfo=UTC))
    with clock.clock_at(datetime(2026, 3, 22, 9, 0, tzinfo=UTC)):
        # Seven times 24 hours after 9:00 in winter is 10:00 on the clock in summer.
        assert shown(search, change_day, zone_hours=1)[0] == "10:00"


def test_nothing_beyond_the_horizon_is_shown(world: World, search: Search) -> None:
    setting("horizon_days", 3)
    for day in (3, 4):
        add_session(world.chen_id, at(9, day=day), at(10, day=day))
    found = times.find_free_times(db.session(), search, TODAY, 6)
    assert [day for day, free in found.items() if free] == [TODAY + timedelta(days=3)]
    assert list(found) == [TODAY + timedelta(days=offset) for offset in range(6)]


def test_time_to_be_released_appears_by_the_clock_with_no_job_running(world: World, search: Search) -> None:
    add_session(world.chen_id, at(12), at(13), bookable_from=at(9))
    with clock.clock_at(at(8, 59) + timedelta(seconds=59)):
        assert shown(search, TODAY) == []
        with pytest.raises(Exception, match="no longer available"):
            booking.reserve_slot(actor=world.alice, search=search, starts_at=at(12), token="early")
    with clock.clock_at(at(9)):
        assert shown(search, TODAY)[0] == "12:00"
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(12), token="now")


@pytest.mark.parametrize("audience", [Audience.STAFF, Audience.INVITED])
def test_time_for_others_is_not_shown(world: World, search: Search, audience: Audience) -> None:
    add_session(world.chen_id, at(12), at(13), audience=audience)
    assert shown(search, TODAY) == []


def test_a_squeeze_in_lane_is_never_offered(world: World, search: Search) -> None:
    add_session(world.chen_id, at(12), at(13), lane=1)
    assert shown(search, TODAY) == []


def test_a_visit_longer_than_the_step_never_covers_a_break_or_passes_closing_time(world: World, search: Search) -> None:
    add_session(world.chen_id, at(10), at(11))
    add_session(world.chen_id, at(11, 10), at(12))
    assert shown(search, TODAY) == ["10:00", "10:15", "10:30", "11:15", "11:30"]


def test_a_visit_may_lie_across_two_adjacent_sessions(world: World, search: Search) -> None:
    first = add_session(world.chen_id, at(10), at(11))
    second = add_session(world.chen_id, at(11), at(12))
    assert "10:45" in shown(search, TODAY)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, 45), token="across")
    assert (visit.starts_at, visit.ends_at) == (at(10, 45), at(11, 15))
    assert [free_cells(db.session(), each) for each in (first, second)] == [9, 9]


def test_hours_across_midnight_give_a_time_across_midnight_and_neighbours_collide(world: World, search: Search) -> None:
    add_session(world.chen_id, at(20), at(23))
    add_session(world.chen_id, at(23), at(2, day=1))
    assert "23:45" in shown(search, TODAY)
    booking.reserve_slot(actor=world.alice, search=search, starts_at=at(23, 45), token="late")
    bob = Search(world.check_up_id, patient_id=world.bob_id)
    assert "23:30" not in shown(bob, TODAY)
    assert shown(bob, TODAY + timedelta(days=1))[0] == "00:15"


def test_with_20_minute_visits_and_a_5_minute_buffer_the_next_offered_time_respects_25_minutes(
    world: World, search: Search
) -> None:
    set_length(world.chen_id, world.check_up_id, duration_min=20, duration_new_patient_min=20, buffer_after_min=5)
    change((VisitType, world.check_up_id), start_step_min=5)
    add_session(world.chen_id, at(10), at(12))
    booking.reserve_slot(actor=world.bob, search=Search(world.check_up_id, patient_id=world.bob_id),
                         starts_at=at(10), token="first")  # fmt: skip
    assert shown(search, TODAY)[0] == "10:25"
    # The buffer after the last visit must fit too.
    assert shown(search, TODAY)[-1] == "11:35"


def test_a_direct_post_inside_a_buffer_is_refused_as_the_page_would_have(world: World, search: Search) -> None:
    set_length(world.chen_id, world.check_up_id, duration_min=20, duration_new_patient_min=20, buffer_after_min=10)
    change((VisitType, world.check_up_id), start_step_min=10)
    add_session(world.chen_id, at(10), at(12))
    booking.reserve_slot(actor=world.bob, search=Search(world.check_up_id, patient_id=world.bob_id),
                         starts_at=at(10), token="first")  # fmt: skip
    assert shown(search, TODAY)[0] == "10:30"
    with pytest.raises(Exception, match="no longer available"):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(10, 20), token="inside")


def test_a_trainees_visit_of_20_minutes_is_never_placed_in_a_gap_of_10_that_a_colleagues_would_fit(
    world: World,
) -> None:
    set_length(world.diaz_id, world.vaccine_id, duration_min=20, duration_new_patient_min=20)
    vaccine = Search(world.vaccine_id, patient_id=world.alice_id)
    add_session(world.diaz_id, at(10), at(10, 10))
    assert shown(vaccine, TODAY) == []
    add_session(world.chen_id, at(10), at(10, 10))
    assert shown(vaccine, TODAY) == ["10:00"]
    visit = booking.reserve_slot(actor=world.alice, search=vaccine, starts_at=at(10), token="gap")
    assert visit.practitioner_id == world.chen_id


def test_a_new_patient_takes_longer(world: World, search: Search) -> None:
    set_length(world.chen_id, world.check_up_id, duration_new_patient_min=60)
    add_session(world.chen_id, at(10), at(11))
    assert shown(search, TODAY) == ["10:00"]


def test_a_three_hour_visit_blocks_all_its_start_times_including_starts_before_it(world: World, search: Search) -> None:
    set_length(world.chen_id, world.vaccine_id, duration_min=180, duration_new_patient_min=180)
    add_session(world.chen_id, at(10), at(14, 30))
    booking.reserve_slot(actor=world.bob, search=Search(world.vaccine_id, patient_id=world.bob_id),
                         starts_at=at(11), token="long")  # fmt: skip
    assert shown(search, TODAY) == ["10:00", "10:15", "10:30", "14:00"]


def test_the_patients_own_overlapping_visit_hides_the_times_it_meets_with_anybody_anywhere(
    world: World, search: Search
) -> None:
    add_session(world.chen_id, at(10), at(11))
    add_session(world.diaz_id, at(10), at(12), location_id=world.second_location_id)
    booking.reserve_slot(actor=world.alice, search=Search(world.vaccine_id, patient_id=world.alice_id),
                         starts_at=at(10, 40), token="own")  # fmt: skip
    # 10:15 would end at 10:45, inside the vaccine from 10:40 to 10:50.
    assert shown(search, TODAY) == ["10:00", "11:00", "11:15", "11:30"]


def test_an_expired_hold_is_free_for_all_and_my_own_hold_does_not_hide_the_time_from_me(
    world: World, search: Search
) -> None:
    add_session(world.chen_id, at(10), at(10, 30))
    holds.hold_slot(actor=world.alice, search=search, starts_at=at(10))
    bob = Search(world.check_up_id, patient_id=world.bob_id, account_id=world.accounts["bob"])
    assert shown(search, TODAY) == ["10:00"]
    assert shown(bob, TODAY) == []
    with clock.clock_at(at(8, 9) + timedelta(seconds=59)):
        assert shown(bob, TODAY) == []
    setting("minimum_notice_min", 0)
    with clock.clock_at(at(8, 10)):
        assert shown(bob, TODAY) == ["10:00"]


def test_needs_and_places_decide_which_times_are_shown(world: World) -> None:
    add_session(world.chen_id, at(10), at(10, 30))
    add_session(world.diaz_id, at(11), at(11, 30), location_id=world.second_location_id)

    def times_for(**wishes: object) -> list[str]:
        return shown(Search(world.check_up_id, **wishes), TODAY)  # type: ignore[arg-type]

    assert times_for() == ["10:00", "11:00"]
    assert times_for(location_id=world.second_location_id) == ["11:00"]
    assert times_for(needs=frozenset({Need.STEP_FREE})) == ["10:00"]
    assert times_for(needs=frozenset({Need.MALE_CLINICIAN})) == ["11:00"]
    assert times_for(needs=frozenset({Need.STEP_FREE, Need.MALE_CLINICIAN})) == []
    change((Location, world.location_id), is_step_free=False)
    with pytest.raises(NotFound):
        times_for(needs=frozenset({Need.STEP_FREE}))


def test_a_practitioner_that_is_never_to_be_met_is_not_counted(world: World, search: Search) -> None:
    @writing
    def never(db) -> None:  # type: ignore[no-untyped-def]
        db.add(PractitionerPreference(patient_id=world.alice_id, practitioner_id=world.chen_id,
                                      kind=PreferenceKind.NEVER))  # fmt: skip

    never()
    add_session(world.chen_id, at(10), at(11))
    assert shown(search, TODAY) == []
    assert shown(Search(world.check_up_id, patient_id=world.bob_id), TODAY) != []


def test_an_inactive_practitioner_is_not_offered(world: World, search: Search) -> None:
    add_session(world.chen_id, at(10), at(11))
    change((Practitioner, world.chen_id), is_active=False)
    assert shown(search, TODAY) == []


def test_a_visit_type_that_is_not_offered_is_not_found(world: World, search: Search) -> None:
    change((VisitType, world.check_up_id), is_active=False)
    with pytest.raises(NotFound):
        shown(search, TODAY)


def test_no_hours_make_the_first_free_day_none_within_the_horizon(world: World, search: Search) -> None:
    assert times.first_free_day(db.session(), search) is None
    add_session(world.chen_id, at(9, day=43), at(10, day=43))
    assert times.first_free_day(db.session(), search) is None
    add_session(world.chen_id, at(9, day=42), at(10, day=42))
    assert times.first_free_day(db.session(), search) == TODAY + timedelta(days=42)


def test_alternatives_are_the_same_day_the_same_hour_and_the_earliest(world: World, search: Search) -> None:
    add_session(world.chen_id, at(11), at(11, 30))
    for day in (2, 3):
        add_session(world.chen_id, at(9, day=day), at(10, 30, day=day))
    free = times.find_free_times(db.session(), search, TODAY, 14)
    found = times.nearest_alternatives(free, at(9, day=3), ZONE)
    assert [time.starts_at for time in found] == [at(11), at(9, day=2), at(9, 15, day=3)]


def test_on_the_change_day_free_times_equal_those_of_a_normal_day_apart_from_the_missing_hour(
    world: World, search: Search
) -> None:
    start, end = (clock.wall_to_instant(date(2026, 3, 29), minute, "Europe/London") for minute in (0, 300))
    add_session(world.chen_id, start, end)
    with clock.clock_at(datetime(2026, 3, 27, 8, 0, tzinfo=UTC)):
        found = times.find_free_times(db.session(), search, date(2026, 3, 29), 1)[date(2026, 3, 29)]
    wall = [clock.local(time.starts_at, "Europe/London").strftime("%H:%M") for time in found]
    assert wall == [f"{minute // 60:02}:{minute % 60:02}" for minute in range(0, 271, 15) if not 60 <= minute < 120]


def test_reading_an_empty_day_creates_nothing(world: World, search: Search) -> None:
    for _ in range(2):
        assert shown(search, TODAY) == []
    assert db.session.query(Appointment).count() == 0
