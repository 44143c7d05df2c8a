"""Wall clocks and instants, above all on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_portal import clock

# A spring and an autumn day of each zone; Lord Howe moves by half an hour, Santiago and Casablanca around midnight.
CHANGES = {
    "Europe/London": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "Asia/Kolkata": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/Santiago": (date(2026, 9, 6), date(2026, 4, 4)),
    "Africa/Casablanca": (date(2026, 3, 22), date(2026, 2, 15)),
}
zones = st.sampled_from(sorted(CHANGES))
minutes = st.integers(0, 2 * clock.DAY_MIN)


@st.composite
def days_near_changes(draw: st.DrawFn) -> tuple[str, date]:
    zone = draw(zones)
    return zone, draw(st.sampled_from(CHANGES[zone])) + timedelta(days=draw(st.integers(-2, 2)))


def shows(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(days_near_changes(), minutes)
def test_a_wall_time_that_exists_is_what_the_clock_shows_at_its_instant(place: tuple[str, date], minute: int) -> None:
    zone, day = place
    wanted = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    instant = clock.wall_to_instant(day, minute, zone)
    assert instant.tzinfo is UTC
    # Brute force: every minute around which the wall shows the wanted time; the first of them counts.
    around = datetime.combine(day, datetime.min.time(), UTC) - timedelta(hours=16)
    showing = [at for at in (around + timedelta(minutes=m) for m in range(minute, minute + 32 * 60))
               if shows(at, zone) == wanted]  # fmt: skip
    if showing:
        assert instant == showing[0]
    else:
        before = shows(instant - timedelta(minutes=1), zone)
        assert before < wanted < shows(instant, zone)


@given(days_near_changes(), minutes, minutes)
def test_later_on_the_wall_is_never_earlier_in_time(place: tuple[str, date], one: int, other: int) -> None:
    zone, day = place
    low, high = sorted((one, other))
    assert clock.wall_to_instant(day, low, zone) <= clock.wall_to_instant(day, high, zone)


@given(days_near_changes(), st.integers(0, clock.DAY_MIN))
def test_the_end_of_a_day_is_the_start_of_the_next_one(place: tuple[str, date], minute: int) -> None:
    zone, day = place
    next_day = day + timedelta(days=1)
    assert clock.day_bounds(day, zone)[1] == clock.day_bounds(next_day, zone)[0]
    # So a block that runs past midnight meets the block of the next day at the same instant.
    assert clock.wall_to_instant(day, clock.DAY_MIN + minute, zone) == clock.wall_to_instant(next_day, minute, zone)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Santiago", date(2026, 9, 6), 23),
        ("America/Santiago", date(2026, 4, 4), 25),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_its_clock_makes_it(zone: str, day: date, hours: float) -> None:
    low, high = clock.day_bounds(day, zone)
    assert high - low == timedelta(hours=hours)
    assert {clock.local_date(low, zone), clock.local_date(high - timedelta(minutes=1), zone)} == {day}
    assert clock.local_date(low - timedelta(minutes=1), zone) == day - timedelta(days=1)


def test_a_skipped_wall_time_means_the_moment_of_the_change() -> None:
    change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    for minute in (60, 61, 90, 119, 120):
        assert clock.wall_to_instant(date(2026, 3, 29), minute, "Europe/London") == change
    # Midnight itself is skipped in Santiago: the day begins at one.
    start, _ = clock.day_bounds(date(2026, 9, 6), "America/Santiago")
    assert clock.local(start, "America/Santiago").hour == 1


def test_a_repeated_wall_time_means_its_first_occurrence_and_only_it_is_told_with_its_zone() -> None:
    first = clock.wall_to_instant(date(2026, 10, 25), 90, "Europe/London")
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert clock.is_repeated(first, "Europe/London")
    assert clock.is_repeated(first + timedelta(hours=1), "Europe/London")
    assert not clock.is_repeated(first + timedelta(hours=2), "Europe/London")
    assert not clock.is_repeated(datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Europe/London")


def test_now_can_be_set_for_a_while_and_moves_on_when_asked_to() -> None:
    morning = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    ticks = iter([morning, morning + timedelta(hours=1)])
    with clock.clock_at(morning):
        assert clock.now() == morning
        with clock.clock_at(lambda: next(ticks)):
            assert clock.now() == morning
            assert clock.now() == morning + timedelta(hours=1)
        assert clock.now() == morning
    assert clock.now() > datetime(2025, 1, 1, tzinfo=UTC)


@given(days_near_changes(), st.integers(0, 200), st.integers(0, 23))
def test_stretches_of_one_offset_follow_each_other_and_say_what_day_it_is(
    place: tuple[str, date], days: int, hours: int
) -> None:
    zone, first = place
    last = first + timedelta(days=days)
    stretches = clock.offsets_between(zone, first, last)
    assert stretches[0][0] == datetime(first.year, first.month, first.day, tzinfo=UTC)
    assert stretches[-1][1] == datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    assert [end for _, end, _ in stretches[:-1]] == [start for start, _, _ in stretches[1:]]
    for start, end, offset_min in stretches:
        for instant in (start, min(start + timedelta(hours=hours), end - timedelta(minutes=1)), end - timedelta(1e-5)):
            shown = (instant + timedelta(minutes=offset_min)).replace(tzinfo=None)
            assert clock.local(instant, zone).replace(tzinfo=None) == shown
