"""Where a sample lies, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.published.searched import can_be_squared, spread


@pytest.mark.parametrize("rows, cols, count, lines", [
    (256, 256, 96, 96), (8, 8, 96, 96), (16, 8, 96, 96), (500, 7, 900, 512), (3, 1000, 10, 512), (1, 1, 96, 96),
])  # fmt: skip
def test_a_sample_is_spread_over_the_whole_without_any_place_twice(rows, cols, count, lines) -> None:
    found = spread(rows, cols, count, lines)
    places = [(row, int(column)) for row, columns in found for column in columns]
    assert len(set(places)) == len(places) <= count and len(places) >= min(rows * cols, count) * 0.5
    assert len(found) == min(rows, lines, count)
    for at, size in zip(np.transpose(places), (rows, cols), strict=True):
        assert at.min() >= 0 and at.max() < size
        if len(places) >= 90:
            assert len(set(at * 4 // size)) == min(4, size), "each quarter has some"


def test_all_places_are_taken_where_they_are_few() -> None:
    found = spread(8, 8, 96, 96)
    assert [row for row, _ in found] == list(range(8)) and all(
        columns.tolist() == list(range(8)) for _, columns in found
    )


def test_numbers_whose_squares_leave_float32_are_told() -> None:
    assert can_be_squared(np.array([-1e14, 0]))
    for wrong in (1e20, np.nan, -np.inf):
        assert not can_be_squared(np.array([0, wrong]))
