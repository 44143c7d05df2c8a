"""From instants to cells, and many cells in a row as one integer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from clinic_portal.clock import wall_to_instant
from clinic_portal.scheduling import masks

# Cells from the first up to, not including, the second.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Strip:
    """The cells of some weeks in a row, so that any set of them is one integer."""

    first_cell: int
    cell_count: int

    @property
    def end_cell(self) -> int:
        return self.first_cell + self.cell_count

    def mask(self, spans: Iterable[Span]) -> int:
        """All cells of these spans, as far as they lie on the strip."""
        found = 0
        for first, end in spans:
            found |= masks.covered(self.first_cell, self.cell_count, first, end)
        return found

    def cut(self, mask: int, first_cell: int, cell_count: int) -> int:
        """The part of a mask that belongs to a session."""
        return mask >> (first_cell - self.first_cell) & masks.run(cell_count)


def cells_within(starts_at: datetime, ends_at: datetime, grid_min: int) -> Span:
    """The whole cells between two instants; an end before its start when there are none."""
    return first_cell_from(starts_at, grid_min), cell_of(ends_at, grid_min)


def cells_touched(starts_at: datetime, ends_at: datetime, grid_min: int) -> Span:
    """All cells that share time with the stretch between two instants."""
    return cell_of(starts_at, grid_min), first_cell_from(ends_at, grid_min)


def cell_of(instant: datetime, grid_min: int) -> int:
    """The cell in which an instant lies."""
    return (instant - masks.EPOCH) // timedelta(minutes=grid_min)


def first_cell_from(instant: datetime, grid_min: int) -> int:
    """The first cell that begins at or after an instant."""
    return -((masks.EPOCH - instant) // timedelta(minutes=grid_min))


def strip_over(first_day: date, last_day: date, grid_min: int) -> Strip:
    """A strip that holds every block beginning on these days in any zone."""
    first = wall_to_instant(first_day - timedelta(days=2), 0, "UTC")
    until = wall_to_instant(last_day + timedelta(days=4), 0, "UTC")
    low, high = cells_touched(first, until, grid_min)
    return Strip(low, high - low)
