"""Arithmetic on the cells of a session: pure integers, no database.

A cell is one step of the installation's grid, counted from the epoch in UTC. A session has up to 60 of them and one bit
for each: set where nobody is booked. A visit of k cells starting at cell i of a session covers `run(k) << i`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stretch(NamedTuple):
    """Cells in a row: a session, or neighbouring sessions joined; bit 0 of `free` is `first_cell`."""

    first_cell: int
    cell_count: int
    free: int

    @property
    def end_cell(self) -> int:
        return self.first_cell + self.cell_count


def to_cell(instant: datetime, grid_min: int) -> int:
    """The cell that begins at this instant.

    Raises: ValueError when the instant is not on the grid.
    """
    seconds = int((instant - EPOCH).total_seconds())
    cell, rest = divmod(seconds, grid_min * 60)
    if rest or instant.microsecond:
        raise ValueError(f"{instant.isoformat()} is not on the {grid_min}-minute grid")
    return cell


def to_instant(cell: int, grid_min: int) -> datetime:
    """The instant at which a cell begins."""
    return EPOCH + timedelta(minutes=cell * grid_min)


def run(count: int) -> int:
    """A mask of that many cells from bit 0 on."""
    return (1 << count) - 1


def covered(stretch_first: int, stretch_count: int, from_cell: int, until_cell: int) -> int:
    """The bits of a session that lie in [from_cell, until_cell); 0 when they do not meet."""
    low = max(from_cell - stretch_first, 0)
    high = min(until_cell - stretch_first, stretch_count)
    return run(high - low) << low if high > low else 0


def starts(free: int, count: int) -> int:
    """Bit i is set where that many free cells begin at cell i; doubles its reach each step."""
    found, reach = free, 1
    while reach < count:
        step = min(reach, count - reach)
        found &= found >> step
        reach += step
    return found


def aligned(first_cell: int, cell_count: int, step_cells: int) -> int:
    """Bits of the cells that lie on a start step, counted from the epoch (so from the full hour on most clocks)."""
    offset = -first_cell % step_cells
    if offset >= cell_count:
        return 0
    # A comb of one bit every step: (2^(step*n) - 1) / (2^step - 1).
    teeth = (cell_count - offset - 1) // step_cells + 1
    return (run(step_cells * teeth) // run(step_cells)) << offset


def bits(mask: int) -> Iterator[int]:
    """The positions of the set bits, lowest first; reads the digits, since long masks make arithmetic slow."""
    digits = bin(mask)[:1:-1]
    position = digits.find("1")
    while position >= 0:
        yield position
        position = digits.find("1", position + 1)


def free_run_around(free: int, low: int, high: int) -> tuple[int, int]:
    """How many free cells lie directly before `low` and from `high` on, in one row each."""
    before = low - (~free & run(low)).bit_length()
    rest = ~(free >> high)
    return before, (rest & -rest).bit_length() - 1
