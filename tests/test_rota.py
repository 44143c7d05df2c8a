"""Doctors change their hours while clients book, in processes of their own: no error, nobody lost, free time right."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from clinic_portal.models import Status
from tests.bench.databases import SQLITE, database_env
from tests.bench.rota import SMALL, rota_in

pytestmark = pytest.mark.slow


def test_hours_change_while_clients_book_and_nobody_is_lost() -> None:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="rota-") as folder, database_env(SQLITE, Path(folder) / "portal") as env:
        rota = rota_in(env, SMALL)
    assert rota.faults() == []
    assert rota.outcome.counts()["changed"]
    assert rota.outcome.counts()["booked"]
    # With somebody lost, or booked by nobody: it would have been seen.
    assert replace(rota, told=[*rota.told, 99_999]).faults()
    assert replace(rota, rows={**rota.rows, 99_999: Status.BOOKED}).faults()
