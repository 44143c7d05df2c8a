"""UC3.2: 64 people press the same time at the same moment. As many get it as there are doctors; the others read which
times are left. The bench runs the same with more rounds: `python -m tests.bench race`."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.models import Appointment, ClinicSession
from tests.bench.race import DOCTORS, QUICK_ROUNDS, describe, race_in
from tests.conftest import opened
from tests.invariants import cells, taken_cells

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]


def test_a_time_is_booked_as_often_as_there_are_doctors_and_nobody_else_is_left_without_an_answer(
    any_env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = race_in(any_env, QUICK_ROUNDS)
    with capsys.disabled():
        # How long somebody waited depends on the machine, so it is told and not judged here.
        print(f"\n{describe(rounds)}")
    for each in rounds:
        assert set(each.statuses()) == {"303", "409"}, describe(rounds)
        assert each.booked == DOCTORS
        assert sorted(each.doctors) == sorted(set(each.doctors))
        assert len(each.doctors) == DOCTORS
        assert each.told == len(each.racers) - DOCTORS
    assert _wrong_masks(any_env) == []


def _wrong_masks(env: dict[str, str]) -> list[int]:
    """Sessions whose free cells are not its hours less its visits and what is kept for somebody."""
    with opened(env):
        session = db.session()
        taken = taken_cells(session, list(session.scalars(select(Appointment))), grid_min=5)
        return [
            row.id
            for row in session.scalars(select(ClinicSession))
            if {row.first_cell + bit for bit in range(row.cell_count) if row.free >> bit & 1}
            != cells(row.starts_at, row.ends_at, 5) - taken[row.practitioner_id, row.lane]
        ]
