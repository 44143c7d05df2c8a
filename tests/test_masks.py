"""Masks of cells against plain loops over lists of cells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_portal.models import MAX_CELLS
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.strips import Strip, cells_touched, cells_within

cells = st.integers(-10_000, 10_000_000)
counts = st.integers(1, MAX_CELLS)
# As wide as several sessions joined, too.
free_masks = st.integers(0, (1 << 3 * MAX_CELLS) - 1)
grids = st.sampled_from([5, 10, 15])


def positions(mask: int) -> set[int]:
    return {i for i in range(mask.bit_length()) if mask >> i & 1}


@given(free_masks)
def test_bits_are_the_set_positions_in_order(mask: int) -> None:
    assert list(masks.bits(mask)) == sorted(positions(mask))


@given(st.integers(0, 200))
def test_a_run_is_that_many_cells_from_the_first_on(count: int) -> None:
    assert positions(masks.run(count)) == set(range(count))


@given(cells, counts, st.integers(-100, 200), st.integers(-100, 200))
def test_covered_cells_are_those_of_the_session_inside_the_piece(first: int, count: int, low: int, high: int) -> None:
    found = masks.covered(first, count, first + low, first + high)
    assert positions(found) == {i for i in range(count) if low <= i < high}


@given(free_masks, st.integers(1, 70))
def test_a_visit_can_start_where_all_its_cells_are_free(free: int, count: int) -> None:
    fits = {i for i in range(free.bit_length()) if all(free >> i + k & 1 for k in range(count))}
    assert positions(masks.starts(free, count)) == fits


@given(cells, st.integers(1, 3 * MAX_CELLS), st.integers(1, 24))
def test_start_steps_count_from_the_epoch_whatever_the_session_begins_with(first: int, count: int, step: int) -> None:
    assert positions(masks.aligned(first, count, step)) == {i for i in range(count) if (first + i) % step == 0}


@given(free_masks, st.data())
def test_the_free_neighbourhood_ends_at_the_first_taken_cell(free: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, 3 * MAX_CELLS))
    high = data.draw(st.integers(low, 3 * MAX_CELLS))
    before, after = masks.free_run_around(free, low, high)
    left = 0
    while low - left - 1 >= 0 and free >> (low - left - 1) & 1:
        left += 1
    right = 0
    while free >> (high + right) & 1:
        right += 1
    assert (before, after) == (left, right)


@given(cells, grids)
def test_a_cell_and_its_instant_say_the_same(cell: int, grid_min: int) -> None:
    assert masks.to_cell(masks.to_instant(cell, grid_min), grid_min) == cell


@pytest.mark.parametrize("off", [timedelta(minutes=1), timedelta(seconds=1), timedelta(microseconds=1)])
def test_an_instant_off_the_grid_is_no_cell(off: timedelta) -> None:
    with pytest.raises(ValueError, match="not on the 5-minute grid"):
        masks.to_cell(datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + off, 5)


@given(st.integers(0, 500), st.integers(0, 500), grids)
def test_hours_keep_whole_cells_and_what_takes_time_away_takes_every_cell_it_touches(
    start: int, length: int, grid_min: int
) -> None:
    end = start + length
    starts_at, ends_at = (masks.EPOCH + timedelta(minutes=minute) for minute in (start, end))
    whole = [c for c in range(300) if start <= c * grid_min and (c + 1) * grid_min <= end]
    met = [c for c in range(300) if c * grid_min < end and (c + 1) * grid_min > start]
    assert list(range(*cells_within(starts_at, ends_at, grid_min))) == whole
    if length:
        assert list(range(*cells_touched(starts_at, ends_at, grid_min))) == met


@given(cells, st.lists(st.tuples(st.integers(-50, 900), st.integers(0, 90))), st.integers(0, 600), counts)
def test_a_strip_holds_any_set_of_spans(first: int, spans: list[tuple[int, int]], at: int, count: int) -> None:
    strip = Strip(first, 800)
    mask = strip.mask((first + low, first + low + length) for low, length in spans)
    taken = {c for low, length in spans for c in range(low, low + length) if 0 <= c < 800}
    assert positions(mask) == taken
    assert positions(strip.cut(mask, first + at, count)) == {c - at for c in taken if at <= c < at + count}
