"""Could one more visit be seated, if the visits of that day changed their clinicians and kept their times? Exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

Cells = tuple[int, int]


@dataclass(frozen=True)
class Seated:
    """A visit that keeps its time: its cells, and everybody who could take it."""

    cells: Cells
    doctors: frozenset[int]


@dataclass(frozen=True)
class Wanted:
    """The visit to be seated: its length, where it may start, and everybody who could take it."""

    length: int
    starts: frozenset[int]
    doctors: frozenset[int]


def is_seatable(hours: dict[int, Sequence[Cells]], open_hours: dict[int, Sequence[Cells]], seated: Sequence[Seated],
                wanted: Wanted) -> bool:  # fmt: skip
    """Whether everybody finds a place.

    Args: hours, all time of each clinician, for the visits that are booked already; open_hours, that in which the new
    one may be, as it is bookable now.
    """
    model = cp_model.CpModel()
    by_cell: dict[tuple[int, int], list[cp_model.IntVar]] = {}

    def note(doctor: int, cells: Cells) -> cp_model.IntVar:
        chosen = model.new_bool_var("")
        for cell in range(*cells):
            by_cell.setdefault((doctor, cell), []).append(chosen)
        return chosen

    for visit in seated:
        model.add_exactly_one(
            note(doctor, visit.cells) for doctor in sorted(visit.doctors) if _lies_in(visit.cells, hours[doctor])
        )
    new = [
        note(doctor, (start, start + wanted.length))
        for doctor in sorted(wanted.doctors)
        for start in sorted(wanted.starts)
        if _lies_in((start, start + wanted.length), open_hours[doctor])
    ]
    if not new:
        return False
    model.add_exactly_one(new)
    for choices in by_cell.values():
        model.add_at_most_one(choices)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    return solver.solve(model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)


def _lies_in(cells: Cells, hours: Iterable[Cells]) -> bool:
    """Whether it lies within one stretch, or several that follow each other."""
    first, end = cells
    for low, high in sorted(hours):
        if low <= first < high:
            first = min(high, end)
    return first >= end
