"""More requests than time, all at once, a real worker, and clients who reserve beside it: nobody is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from clinic_portal.models import Status
from tests.bench.databases import SQLITE, database_env
from tests.bench.rush import ASKED, BOOKED, SMALL, rush_in

pytestmark = pytest.mark.slow


def test_in_a_rush_all_time_is_used_and_nobody_is_lost_or_placed_twice() -> None:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="rush-") as folder, database_env(SQLITE, Path(folder) / "portal") as env:
        rush = rush_in(env, SMALL)
    assert rush.faults() == []
    assert rush.placed + len(rush.told[BOOKED]) == SMALL.capacity
    # The same with somebody lost, somebody twice and a time too few: it would have been seen.
    for told in (
        {**rush.told, BOOKED: [*rush.told[BOOKED], 99_999]},
        {**rush.told, ASKED: rush.told[ASKED][1:]},
        {**rush.told, BOOKED: [*rush.told[BOOKED], rush.told[ASKED][0]]},
    ):
        assert replace(rush, told=told).faults()
    assert replace(rush, mine=rush.mine - Counter({Status.WAITLIST: 1})).faults()
