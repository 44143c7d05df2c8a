"""When reminders come: on the clinic's wall clock, never in quiet hours, never later than wished."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic_portal import clock
from clinic_portal.models import Mode
from clinic_portal.notifications.reminder_plan import Ahead, Slot, plan
from clinic_portal.notifications.reminder_rules import Rules, rules_for
from clinic_portal.settings import BY_NAME, Settings
from tests.world import NOW, ZONE

LONDON = ZoneInfo(ZONE)


def rules(mode: Mode = Mode.IN_PERSON, **own: str) -> Rules:
    return rules_for(Settings(own, {}), 1, mode)


def wall(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    """A time on the wall in London in 2026, as an instant."""
    return datetime(2026, month, day, hour, minute, tzinfo=LONDON).astimezone(UTC)


def due(starts_at: datetime, mode: Mode = Mode.IN_PERSON, **own: str) -> dict[str, datetime]:
    found = rules(mode, **own)
    return {each.label: found.due_at(each, starts_at, ZONE) for each in found.offsets}


def test_reminders_come_three_days_and_one_day_before_at_the_visits_hour() -> None:
    assert due(wall(11, 10, 15)) == {"3d": wall(8, 10, 15), "1d": wall(10, 10, 15)}


def test_on_the_phone_and_by_video_one_comes_an_hour_before_as_well() -> None:
    for mode in (Mode.PHONE, Mode.VIDEO):
        assert due(wall(11, 10), mode)["1h"] == wall(11, 9)
    assert set(due(wall(11, 10), Mode.HOME)) == {"3d", "1d"}


def test_what_is_for_monday_is_told_on_sunday_evening() -> None:
    assert due(wall(9, 10)) == {"3d": wall(6, 10), "1d": wall(8, 18)}


def test_what_would_come_in_the_quiet_hours_comes_before_them() -> None:
    assert due(wall(11, 7, 30)) == {"3d": wall(7, 19, 45), "1d": wall(9, 19, 45)}
    assert due(wall(11, 20, 30)) == {"3d": wall(8, 19, 45), "1d": wall(10, 19, 45)}
    assert due(wall(11, 20)) == {"3d": wall(8, 19, 45), "1d": wall(10, 19, 45)}
    assert due(wall(11, 8)) == {"3d": wall(8, 8), "1d": wall(10, 8)}
    assert due(wall(11, 8, 30), Mode.PHONE)["1h"] == wall(10, 19, 45)


def test_quiet_hours_within_a_day_and_none_at_all() -> None:
    assert due(wall(11, 13, 30), quiet_hours="13:00-14:00")["1d"] == wall(10, 12, 45)
    assert due(wall(11, 23), quiet_hours="none")["1d"] == wall(10, 23)
    # Sunday evening at six may be quiet as well.
    assert due(wall(9, 10), quiet_hours="17:00-08:00")["1d"] == wall(8, 16, 45)


def test_days_are_counted_on_the_wall_across_a_clock_change() -> None:
    # The clocks go forward on Sunday 29 March 2026.
    assert due(wall(31, 10)) == {"3d": wall(28, 10), "1d": wall(30, 10)}
    assert due(wall(30, 10)) == {"3d": wall(27, 10), "1d": wall(29, 18)}
    assert wall(31, 10) - due(wall(31, 10))["3d"] == timedelta(hours=71)
    assert due(wall(31, 7), reminders="2d")["2d"] == wall(28, 19, 45)
    # And back on Sunday 25 October.
    assert due(wall(27, 10, month=10)) == {"3d": wall(24, 10, month=10), "1d": wall(26, 10, month=10)}
    assert wall(27, 10, month=10) - due(wall(27, 10, month=10))["3d"] == timedelta(hours=73)


def test_a_skipped_hour_is_no_time_for_a_reminder() -> None:
    assert due(wall(30, 1, 30), quiet_hours="none", reminders="3d 2d")["2d"] == wall(28, 1, 30)
    starts_at = wall(1, 1, 30, month=4)
    assert due(starts_at, quiet_hours="none")["3d"] == clock.wall_to_instant(date(2026, 3, 29), 90, ZONE)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("reminders", ["3d 1d", "none", "2d", "14d 3d 24h"], ["", "3", "d3", "0d", "3d,1d", "3d  1d", "1w", 3, None]),
        ("reminders_remote", ["1h", "none", "2h 1h"], ["1", "h", "60m"]),
        ("quiet_hours", ["20:00-08:00", "none", "12:30-13:00"], ["20-8", "24:00-08:00", "20:00-20:00", "", 20]),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, good: list[object], bad: list[object]) -> None:
    assert [BY_NAME[name].is_valid(value) for value in good] == [True] * len(good)
    assert [BY_NAME[name].is_valid(value) for value in bad] == [False] * len(bad)


def ahead(id_: int, starts_at: datetime, **more: object) -> Ahead:
    given: dict[str, object] = {"since": NOW, "is_private": False, "rules": rules(), **more}
    return Ahead(id=id_, starts_at=starts_at, zone=ZONE, **given)  # type: ignore[arg-type]


def planned(*visits: Ahead, now: datetime = NOW) -> dict[tuple[int, str], Slot]:
    return plan(visits, now)


def test_whoever_books_inside_a_window_is_not_reminded_for_it() -> None:
    assert set(planned(ahead(1, NOW + timedelta(days=4)))) == {(1, "3d"), (1, "1d")}
    assert set(planned(ahead(1, NOW + timedelta(days=3)))) == {(1, "1d")}
    assert set(planned(ahead(1, NOW + timedelta(hours=25)))) == {(1, "1d")}
    assert set(planned(ahead(1, NOW + timedelta(hours=23, minutes=55)))) == set()
    call = ahead(1, NOW + timedelta(hours=23), rules=rules(Mode.PHONE))
    assert planned(call) == {}


def test_nothing_is_planned_for_a_time_that_is_past() -> None:
    visit = ahead(1, wall(11, 10), since=NOW - timedelta(days=10))
    assert set(planned(visit, now=wall(8, 10))) == {(1, "1d")}
    assert set(planned(visit, now=wall(10, 10))) == set()
    assert set(planned(visit, now=wall(12, 10))) == set()


def test_two_reminders_of_a_visit_are_half_a_day_apart() -> None:
    close = ahead(1, wall(11, 10), rules=rules(reminders="1d 20h 13h"))
    assert [slot.due_at for slot in planned(close).values()] == [wall(10, 10)]
    apart = ahead(1, wall(11, 10), rules=rules(reminders="1d 12h", quiet_hours="none"))
    assert [slot.due_at for slot in planned(apart).values()] == [wall(10, 10), wall(10, 22)]
    told = ahead(1, wall(11, 10), told={"3d": wall(10, 9)})
    assert planned(told) == {}


def test_two_visits_on_one_day_share_what_is_counted_in_days() -> None:
    first, second = ahead(1, wall(11, 10)), ahead(2, wall(11, 16), rules=rules(Mode.PHONE))
    assert planned(second, first) == {
        (1, "3d"): Slot(wall(8, 10)), (2, "3d"): Slot(wall(8, 10), is_shared=True),
        (1, "1d"): Slot(wall(10, 10)), (2, "1d"): Slot(wall(10, 10), is_shared=True),
        (2, "1h"): Slot(wall(11, 15)),
    }  # fmt: skip


def test_a_private_visit_shares_with_no_other() -> None:
    both = planned(ahead(1, wall(11, 10)), ahead(2, wall(11, 16), is_private=True))
    assert [slot.is_shared for slot in both.values()] == [False] * 4


def test_a_visit_booked_after_the_reminder_of_its_day_gets_one_only_if_it_is_half_a_day_later() -> None:
    first = ahead(1, wall(11, 10), told={"3d": wall(8, 10)})
    near, far = ahead(2, wall(11, 16), since=wall(8, 12)), ahead(2, wall(11, 22), since=wall(8, 12))
    assert (2, "3d") not in planned(first, near, now=wall(8, 12))
    late = planned(first, ahead(2, wall(11, 22), since=wall(8, 12), rules=rules(quiet_hours="none")), now=wall(8, 12))
    assert late[2, "3d"] == Slot(wall(8, 22))
    assert (2, "3d") not in planned(first, far, now=wall(8, 12))


def test_what_waits_to_leave_keeps_its_time_and_what_left_is_not_planned_again() -> None:
    visit = ahead(1, wall(11, 10), waiting={"3d": wall(8, 10)}, told={"1d": wall(10, 10)})
    assert planned(visit, now=wall(8, 11)) == {(1, "3d"): Slot(wall(8, 10))}
