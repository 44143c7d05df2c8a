"""Until when a request is answered and served, and which times suit a wish: on working days and wall clocks."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import ALL_PARTS, Closure, PriorityClass
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.promises import DeskHours, read_desk_hours
from clinic_portal.scheduling.wishes import DayPart, Wishes, parts_mask, parts_of_week, suiting_starts
from clinic_portal.settings import Settings, load_settings
from tests.asking import ask
from tests.test_queue import setting
from tests.world import NOW, ZONE, World, at

ROUTINE, URGENT, SOON, FLEXIBLE = (
    PriorityClass.ROUTINE, PriorityClass.URGENT, PriorityClass.SOON, PriorityClass.FLEXIBLE,
)  # fmt: skip
HOURS = DeskHours(ZONE, Settings({}, {}), ())
# From Monday, 2 March 2026.
MON, TUE, WED, THU, FRI, SAT, SUN, NEXT_MON, NEXT_TUE = range(9)


@pytest.mark.parametrize(
    ("asked", "priority", "answer"),
    [
        (at(8), ROUTINE, at(18, day=WED)),
        (at(17, 59), ROUTINE, at(18, day=WED)),
        # After six the next day is the first.
        (at(18), ROUTINE, at(18, day=THU)),
        (at(9, day=FRI), ROUTINE, at(18, day=NEXT_TUE)),
        (at(9, day=SAT), ROUTINE, at(18, day=9)),
        (at(9), SOON, at(18, day=WED)),
        (at(15, 59), URGENT, at(18)),
        (at(16), URGENT, at(10, day=TUE)),
        (at(16, day=FRI), URGENT, at(10, day=NEXT_MON)),
        (at(9, day=SUN), URGENT, at(10, day=NEXT_MON)),
    ],
)
def test_the_promised_answer_is_counted_in_working_days(
    asked: datetime, priority: PriorityClass, answer: datetime
) -> None:
    assert HOURS.answer_by(asked, priority, 1) == answer


@pytest.mark.parametrize(
    ("priority", "target"),
    [
        (URGENT, at(18, day=TUE)),
        (SOON, at(18, day=NEXT_MON)),
        (ROUTINE, at(8, day=14)),
        (FLEXIBLE, at(8, day=28)),
    ],
)
def test_each_class_has_its_target(priority: PriorityClass, target: datetime) -> None:
    assert HOURS.target_at(NOW, priority, 1) == target


def test_days_on_which_everything_is_closed_are_no_working_days(world: World) -> None:
    @writing
    def close(session: Session) -> None:
        session.add(Closure(first_on=date(2026, 3, 3), last_on=date(2026, 3, 4), name="Holiday"))
        session.add(
            Closure(location_id=world.location_id, first_on=date(2026, 3, 5), last_on=date(2026, 3, 5), name="One")
        )

    close()
    hours = read_desk_hours(db.session(), load_settings(db.session()))
    assert hours.answer_by(at(9), ROUTINE, 1) == at(18, day=FRI)


def test_the_promise_follows_the_clinics_own_hours_and_the_clock_on_its_wall(world: World) -> None:
    setting("desk_days", "67")
    setting("desk_closes_min", 12 * 60)
    setting("answer_working_days", 1, world.check_up_id)
    # 29 March is a Sunday, and British clocks go forward.
    with clock.clock_at(datetime(2026, 3, 28, 9, tzinfo=NOW.tzinfo)):
        visit = ask(world)
    assert visit.answer_by is not None
    assert clock.local(visit.answer_by, ZONE).isoformat() == "2026-03-29T12:00:00+01:00"


def test_parts_of_the_week_are_kept_as_they_were_chosen() -> None:
    chosen = [(0, DayPart.MORNING), (2, DayPart.EVENING), (6, DayPart.AFTERNOON)]
    assert parts_of_week(parts_mask(chosen)) == chosen
    assert len(parts_of_week(ALL_PARTS)) == 21


def suiting(wishes: Wishes, first: datetime, days: int) -> list[datetime]:
    """The suiting starts on full hours."""

    class Row:
        wish_from, wish_until, wish_parts = wishes.from_on, wishes.until_on, wishes.parts

    low = masks.to_cell(first, 5)
    found = suiting_starts(Row, ZONE, low, low + days * 288, 5)
    starts = [masks.to_instant(low + bit, 5) for bit in masks.bits(found)]
    return [start for start in starts if start.minute == 0]


def test_days_and_parts_are_those_of_the_wall_clock_also_when_it_changes() -> None:
    """On Sunday 29 March noon is an hour earlier in UTC than the day before."""
    midnight = datetime(2026, 3, 28, tzinfo=NOW.tzinfo)
    wishes = Wishes(date(2026, 3, 28), date(2026, 3, 29), parts_mask([(5, DayPart.AFTERNOON), (6, DayPart.AFTERNOON)]))
    found = suiting(wishes, midnight, 4)
    assert found == [midnight + timedelta(hours=hour) for hour in (12, 13, 14, 15, 16, 35, 36, 37, 38, 39)]


def test_the_first_and_the_last_wished_day_count_whole() -> None:
    found = suiting(Wishes(date(2026, 3, 3), date(2026, 3, 4)), NOW - timedelta(hours=8), 5)
    assert (found[0], found[-1], len(found)) == (at(0, day=1), at(23, day=2), 48)
