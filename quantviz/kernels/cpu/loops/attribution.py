"""Who carries the error: sums by magnitude, by channel and by group, over whole rows of originals and dequantized."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..bits import place
from ..compiler import kernel

f8 = np.float64

# Columns of the table of bands.
WEIGHTS, SQUARED_ERROR, ABS_ERROR, BAND_SUMS = range(4)


class Shares(NamedTuple):
    """What each band, channel and group of some rows has of the error.

    bands: float64 [b, BAND_SUMS].  rows, cols: float64 [2, n] and [2, cols], Σe² and Σx².
    squared, magnitude: float64, and largest: float32, [groups down, groups across], Σe², Σ|e| and max |x|.
    """

    bands: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    squared: np.ndarray
    magnitude: np.ndarray
    largest: np.ndarray

    @classmethod
    def of(cls, bands: int, rows: int, cols: int, groups: tuple[int, int]) -> Shares:
        """Empty ones, of so many bands, rows, columns, and groups down and across."""
        return cls(
            np.zeros((bands, BAND_SUMS)), np.zeros((2, rows)), np.zeros((2, cols)),
            np.zeros(groups), np.zeros(groups), np.zeros(groups, np.float32),
        )  # fmt: skip


@kernel
def attribute(x, y, edges, height, width, first, shares):
    """Adds the errors y - x of rows [first, first + n) of a tensor to their shares.

    x, y: float32 [n, cols].  edges: float32 [b - 1], lower ends of all bands of |x| but the first, ascending.
    height, width: of a group, in weights.  first: row of x[0] within the tensor, counted from the top of a group.
    """
    bands, rows, cols, squared, magnitude, largest = shares
    for i in range(x.shape[0]):
        gi = (first + i) // height
        row_error, row_square = f8(0), f8(0)
        for o in range(0, x.shape[1], width):
            total, absolute, top = f8(0), f8(0), np.float32(0)
            for j in range(o, min(o + width, x.shape[1])):
                v = f8(x[i, j])
                e = f8(y[i, j]) - v
                size, ee, ae = abs(x[i, j]), e * e, abs(e)
                b = 0
                for k in range(edges.shape[0]):
                    b += 1 if size >= edges[k] else 0
                b = place(b, bands.shape[0])
                bands[b, WEIGHTS] += f8(1)
                bands[b, SQUARED_ERROR] += ee
                bands[b, ABS_ERROR] += ae
                cols[0, j] += ee
                cols[1, j] += v * v
                row_square += v * v
                total += ee
                absolute += ae
                top = max(top, size)
            row_error += total
            g = o // width
            squared[gi, g] += total
            magnitude[gi, g] += absolute
            largest[gi, g] = max(largest[gi, g], top)
        rows[0, i] += row_error
        rows[1, i] += row_square
