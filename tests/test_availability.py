"""From rules to sessions: examples of a clinic's life."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from clinic_portal import clock
from clinic_portal.models import Audience, Closure, ExceptionKind, ExceptionStatus, ReleasePolicy
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.availability import PlannedSession, derive_sessions
from tests.plans import (
    AUTUMN,
    HARBOUR,
    LONDON,
    MILL,
    MON,
    PLAIN_MONDAY,
    SPRING,
    SUN,
    TUE,
    WED,
    begins,
    change,
    extra,
    hm,
    hours,
    off,
    pause,
    plan,
    rule,
)  # fmt: skip
from tests.world import GRID

# Weeks, days and validity


def test_a_weekly_nine_o_clock_opening_is_offered_at_nine_local_before_and_after_a_clock_change() -> None:
    for change_day, offset in ((SPRING, 1), (AUTUMN, -1)):
        week_before, week_after = change_day - timedelta(days=6), change_day + timedelta(days=1)
        found = derive_sessions(plan(rule(MON, "9:00", "12:00")), week_before, week_after, GRID)
        assert [clock.local(begins(each), LONDON).strftime("%H:%M") for each in found] == ["09:00", "09:00"]
        assert begins(found[1]) - begins(found[0]) == timedelta(days=7) - timedelta(hours=offset)


def test_on_the_change_day_itself_hours_equal_a_normal_day_s_apart_from_the_missing_or_repeated_hour() -> None:
    night_and_day = plan(rule(SUN, "0:30", "4:00"), rule(SUN, "9:00", "12:00", number=2))
    assert hours(night_and_day, SPRING) == hours(night_and_day, AUTUMN) == ["00:30-04:00", "09:00-12:00"]
    lengths = [derive_sessions(night_and_day, day, day, GRID)[0].cell_count * GRID for day in (SPRING, AUTUMN)]
    assert lengths == [150, 270]


def test_no_time_inside_the_skipped_hour_exists() -> None:
    assert hours(plan(rule(SUN, "1:00", "2:00")), SPRING) == []
    assert hours(plan(rule(SUN, "1:30", "2:30")), SPRING) == ["02:00-02:30"]


def test_alternate_weeks_keep_alternating_across_a_year_with_53_iso_weeks() -> None:
    # 2026 has 53 ISO weeks, so the parity of week numbers flips at new year.
    fortnightly = rule(TUE, "9:00", "12:00", every_n_weeks=2, anchor_on=date(2026, 12, 4))
    found = derive_sessions(plan(fortnightly), date(2026, 11, 30), date(2027, 2, 1), GRID)
    days = [begins(each).date() for each in found]
    assert days == [date(2026, 12, 1) + timedelta(weeks=2 * n) for n in range(5)]


def test_weeks_before_the_anchor_count_too() -> None:
    third = rule(WED, "9:00", "12:00", every_n_weeks=3, anchor_on=date(2026, 6, 1))
    days = {begins(each).date() for each in derive_sessions(plan(third), date(2026, 4, 1), date(2026, 6, 30), GRID)}
    assert days == {date(2026, 6, 3) + timedelta(weeks=3 * n) for n in (-3, -2, -1, 0, 1)}


def test_the_first_and_the_fifth_monday_of_a_month_are_found() -> None:
    year = (date(2026, 1, 1), date(2026, 12, 31))
    first = derive_sessions(plan(rule(MON, "9:00", "10:00", nth_of_month=1)), *year, GRID)
    assert [begins(each).month for each in first] == list(range(1, 13))
    assert all(begins(each).day <= 7 for each in first)
    fifth = derive_sessions(plan(rule(MON, "9:00", "10:00", nth_of_month=5)), *year, GRID)
    assert [(begins(each).month, begins(each).day) for each in fifth] == [(3, 30), (6, 29), (8, 31), (11, 30)]


def test_a_rule_holds_from_its_first_to_its_last_day_and_its_last_block_may_run_past_midnight() -> None:
    bounded = rule(MON, "22:00", "26:00", valid_from=PLAIN_MONDAY, valid_until=date(2026, 3, 9))
    found = derive_sessions(plan(bounded), date(2026, 2, 1), date(2026, 4, 1), GRID)
    assert [begins(each).date() for each in found] == [PLAIN_MONDAY, date(2026, 3, 9)]
    assert hours(plan(bounded), date(2026, 3, 9)) == ["22:00-02:00"]


def test_several_blocks_a_day_at_several_places_follow_one_another() -> None:
    busy = plan(rule(MON, "9:00", "12:00"), rule(MON, "12:00", "13:00", number=2, location_id=MILL),
                rule(MON, "14:00", "17:00", number=3))  # fmt: skip
    found = derive_sessions(busy, PLAIN_MONDAY, PLAIN_MONDAY, GRID)
    assert [(each.location_id, each.terms.rule_id) for each in found] == [(HARBOUR, 1), (MILL, 2), (HARBOUR, 3)]
    assert found[0].end_cell == found[1].first_cell


# Edges of the day


def test_hours_from_20_to_2_are_one_session_across_midnight() -> None:
    assert hours(plan(rule(MON, "20:00", "25:00")), PLAIN_MONDAY) == ["20:00-01:00"]
    assert hours(plan(rule(MON, "20:00", "26:00")), PLAIN_MONDAY, PLAIN_MONDAY + timedelta(days=1)) == [
        "20:00-01:00", "01:00-02:00",
    ]  # fmt: skip


@pytest.mark.parametrize(("day", "length"), [(PLAIN_MONDAY, 24), (SPRING, 23), (AUTUMN, 25)])
def test_full_days_follow_each_other_without_a_gap(day: date, length: int) -> None:
    always = plan(*(rule(weekday, "0:00", "24:00", number=weekday + 1) for weekday in range(7)))
    found = derive_sessions(always, day, day, GRID)
    assert sum(each.cell_count for each in found) * GRID == length * 60
    low, high = clock.day_bounds(day, LONDON)
    assert (begins(found[0]), masks.to_instant(found[-1].end_cell, GRID)) == (low, high)
    assert all(one.end_cell == two.first_cell for one, two in pairwise(found))


def test_long_hours_are_split_into_sessions_that_fit_a_mask() -> None:
    assert hours(plan(rule(MON, "8:00", "20:00")), PLAIN_MONDAY) == ["08:00-13:00", "13:00-18:00", "18:00-20:00"]
    on_quarters = derive_sessions(plan(rule(MON, "8:00", "20:00")), PLAIN_MONDAY, PLAIN_MONDAY, 15)
    assert [each.cell_count for each in on_quarters] == [48]


def test_blocks_off_the_grid_are_trimmed_inwards_and_breaks_off_it_outwards() -> None:
    crooked = plan(rule(MON, "9:03", "11:58"), pause(MON, "10:02", "10:04"))
    assert hours(crooked, PLAIN_MONDAY) == ["09:05-10:00", "10:05-11:55"]
    assert hours(plan(rule(MON, "9:01", "9:09")), PLAIN_MONDAY) == []


def test_a_zone_off_the_grid_still_gives_cells_of_the_epoch() -> None:
    # Kathmandu is 5:45 ahead: no full hour there lies on a 10-minute grid counted from the epoch.
    kathmandu = plan(rule(MON, "9:00", "10:00"), zones=("Asia/Kathmandu", LONDON))
    (only,) = derive_sessions(kathmandu, PLAIN_MONDAY, PLAIN_MONDAY, 10)
    assert clock.local(masks.to_instant(only.first_cell, 10), "Asia/Kathmandu").minute == 5
    assert only.cell_count == 5


# Breaks, time off, extra hours, closures


def test_a_break_splits_the_day_and_one_that_covers_the_whole_morning_removes_it() -> None:
    day = (rule(MON, "9:00", "12:00"), rule(MON, "13:00", "17:00", number=2))
    assert hours(plan(*day, pause(MON, "10:30", "10:45")), PLAIN_MONDAY) == [
        "09:00-10:30",
        "10:45-12:00",
        "13:00-17:00",
    ]
    assert hours(plan(*day, pause(MON, "8:00", "12:30")), PLAIN_MONDAY) == ["13:00-17:00"]


def test_a_break_outside_hours_changes_nothing() -> None:
    day = rule(MON, "9:00", "12:00")
    without = derive_sessions(plan(day), PLAIN_MONDAY, PLAIN_MONDAY, GRID)
    for each in (pause(MON, "7:00", "9:00"), pause(MON, "12:00", "13:00"), pause(TUE, "9:00", "12:00")):
        assert derive_sessions(plan(day, each), PLAIN_MONDAY, PLAIN_MONDAY, GRID) == without


def test_a_break_holds_at_every_place_and_on_the_wall_clock_of_a_change_day() -> None:
    mill = rule(SUN, "0:00", "4:00", location_id=MILL)
    assert hours(plan(mill, pause(SUN, "1:30", "3:00")), AUTUMN) == ["00:00-01:30", "03:00-04:00"]
    assert hours(plan(mill, pause(SUN, "1:30", "3:00")), SPRING) == ["00:00-02:00", "03:00-04:00"]


def test_a_break_that_began_before_midnight_goes_on_after_it() -> None:
    night = plan(rule(MON, "20:00", "24:00"), rule(TUE, "0:00", "4:00", number=2), pause(MON, "23:30", "24:30"))
    assert hours(night, PLAIN_MONDAY, PLAIN_MONDAY + timedelta(days=1)) == ["20:00-23:30", "00:30-04:00"]


def test_time_off_takes_weekly_and_extra_hours_alike_but_only_once_approved() -> None:
    asked, granted = (off(PLAIN_MONDAY, "10:00", "20:00", status=status, number=2)
                      for status in (ExceptionStatus.REQUESTED, ExceptionStatus.APPROVED))  # fmt: skip
    more = extra(PLAIN_MONDAY, "18:00", "21:00")
    base = rule(MON, "9:00", "12:00")
    assert hours(plan(base, exceptions=[more, asked]), PLAIN_MONDAY) == ["09:00-12:00", "18:00-21:00"]
    assert hours(plan(base, exceptions=[more, granted]), PLAIN_MONDAY) == ["09:00-10:00", "20:00-21:00"]


def test_leave_over_weeks_takes_them_whole() -> None:
    leave = change(ExceptionKind.OFF, date(2026, 3, 3), "0:00", date(2026, 4, 1), "24:00")
    found = derive_sessions(
        plan(rule(MON, "9:00", "12:00"), exceptions=[leave]), date(2026, 3, 1), date(2026, 4, 8), GRID
    )
    assert [begins(each).date() for each in found] == [PLAIN_MONDAY, date(2026, 4, 6)]


def test_extra_hours_add_only_what_the_week_does_not_have_already() -> None:
    more = extra(PLAIN_MONDAY, "8:00", "13:00", MILL)
    protected = rule(MON, "9:00", "12:00", release_policy=ReleasePolicy.NEVER)
    found = derive_sessions(plan(protected, exceptions=[more]), PLAIN_MONDAY, PLAIN_MONDAY, GRID)
    assert hours(plan(protected, exceptions=[more]), PLAIN_MONDAY) == ["08:00-09:00", "09:00-12:00", "12:00-13:00"]
    assert [(each.location_id, each.terms.audience) for each in found] == [
        (MILL, Audience.PUBLIC), (HARBOUR, Audience.STAFF), (MILL, Audience.PUBLIC),
    ]  # fmt: skip


def test_extra_hours_over_lunch_are_worked_in_spite_of_the_weekly_break() -> None:
    normal = (rule(MON, "9:00", "14:00"), pause(MON, "12:00", "13:00"))
    assert hours(plan(*normal, exceptions=[extra(PLAIN_MONDAY, "12:00", "12:30")]), PLAIN_MONDAY) == [
        "09:00-12:00", "12:00-12:30", "13:00-14:00",
    ]  # fmt: skip


def test_overlapping_rules_share_the_time_and_the_older_one_comes_first() -> None:
    found = derive_sessions(
        plan(rule(MON, "11:00", "14:00", number=7, location_id=MILL), rule(MON, "9:00", "12:00", number=3)),
        PLAIN_MONDAY, PLAIN_MONDAY, GRID,
    )  # fmt: skip
    assert [(each.terms.rule_id, each.cell_count * GRID) for each in found] == [(3, 180), (7, 120)]


def test_time_that_the_older_rule_lost_goes_to_the_younger_one() -> None:
    shut = Closure(location_id=HARBOUR, first_on=PLAIN_MONDAY, last_on=PLAIN_MONDAY, name="Water pipe")
    two = plan(rule(MON, "9:00", "12:00"), rule(MON, "9:00", "12:00", number=2, location_id=MILL), closures=[shut])
    assert [each.location_id for each in derive_sessions(two, PLAIN_MONDAY, PLAIN_MONDAY, GRID)] == [MILL]


def test_a_closure_shuts_one_place_or_all_for_whole_local_days() -> None:
    night = rule(SUN, "22:00", "26:00")
    other = rule(MON, "9:00", "12:00", number=2, location_id=MILL)
    for where, left in ((HARBOUR, ["22:00-00:00", "09:00-12:00"]), (None, ["22:00-00:00"])):
        shut = Closure(location_id=where, first_on=PLAIN_MONDAY, last_on=PLAIN_MONDAY, name="Holiday")
        assert hours(plan(night, other, closures=[shut]), date(2026, 3, 1), PLAIN_MONDAY) == left


def test_a_closure_counts_each_place_s_own_day() -> None:
    # Monday in New York begins five hours after London's.
    shut = Closure(location_id=None, first_on=PLAIN_MONDAY, last_on=PLAIN_MONDAY, name="Holiday")
    early = rule(TUE, "0:00", "4:00", location_id=MILL)
    late = rule(SUN, "22:00", "24:00", number=2, location_id=MILL)
    two = plan(early, late, closures=[shut], zones=(LONDON, "America/New_York"))
    assert hours(two, date(2026, 3, 1), date(2026, 3, 3)) == ["22:00-00:00", "00:00-04:00"]


def test_a_place_that_is_given_up_has_no_sessions() -> None:
    two = plan(rule(MON, "9:00", "12:00"), rule(MON, "10:00", "12:00", number=2, location_id=MILL))
    two.locations[HARBOUR].is_active = False
    assert hours(two, PLAIN_MONDAY) == ["10:00-12:00"]


# Release


def released(**more: object) -> list[PlannedSession]:
    days = [rule(weekday, "9:00", "18:00", number=weekday + 1, **more) for weekday in range(7)]
    return derive_sessions(plan(*days), SPRING - timedelta(days=2), SPRING + timedelta(days=2), GRID)


def test_time_to_be_released_at_7_on_a_clock_change_day_is_released_at_7_local() -> None:
    found = released(release_policy=ReleasePolicy.DAYS_BEFORE, release_before=0, release_at_min=hm("7:00"))
    moments = [clock.local(each.terms.bookable_from, LONDON) for each in found]
    assert {f"{moment:%H:%M}" for moment in moments} == {"07:00"}
    assert [moment.date() for moment in moments] == [clock.local_date(begins(each), LONDON) for each in found]
    on_the_day = [each for each in found if clock.local_date(begins(each), LONDON) == SPRING]
    assert {each.terms.bookable_from for each in on_the_day} == {datetime(2026, 3, 29, 6, 0, tzinfo=UTC)}


def test_time_released_days_before_counts_calendar_days_across_the_change() -> None:
    found = released(release_policy=ReleasePolicy.DAYS_BEFORE, release_before=2, release_at_min=hm("7:00"))
    monday = next(each for each in found if clock.local_date(begins(each), LONDON) == SPRING + timedelta(days=1))
    assert monday.terms.bookable_from == datetime(2026, 3, 28, 7, 0, tzinfo=UTC)


def test_time_released_hours_before_counts_real_hours_from_the_start_of_the_block() -> None:
    found = released(release_policy=ReleasePolicy.HOURS_BEFORE, release_before=12)
    on_the_day = [each for each in found if clock.local_date(begins(each), LONDON) == SPRING]
    assert len(on_the_day) == 2
    # 09:00 on the short day is 08:00 UTC; twelve hours earlier the clock showed 20:00. Both halves appear together.
    assert {each.terms.bookable_from for each in on_the_day} == {datetime(2026, 3, 28, 20, 0, tzinfo=UTC)}


def test_time_never_released_is_for_staff_and_the_rest_for_whom_the_rule_says() -> None:
    assert {each.terms.audience for each in released(release_policy=ReleasePolicy.NEVER)} == {Audience.STAFF}
    for audience in Audience:
        found = released(audience=audience)
        assert {(each.terms.audience, each.terms.bookable_from) for each in found} == {(audience, clock.ALWAYS)}
