"""What a packed tensor's codes come to beside the weights they were made of, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bits import place
from ..compiler import kernel

f4, f8 = np.float32, np.float64

# Positions in the array of sums: how many codes are the nearest; Σ e²; the least and the largest of codes less zero.
NEAREST, SQUARED, LEAST, MOST, SUMS = range(5)
TIE = f8(
    1e-6
)  # how much farther than the nearest a level may be, relative to weight and scale, to count as nearest too


class Packed(NamedTuple):
    """Rows of a weight taken apart.

    index: int32 [n, cols], codes counted from the first.  numbers: float32 [n, cols], what they stand for.
    groups: int32 [cols], the group of each column.  scales, zeros, minima: float32 [n, groups].
    """

    index: Any
    numbers: Any
    groups: Any
    scales: Any
    zeros: Any
    minima: Any


class Levels(NamedTuple):
    """What codes stand for.

    rising, between: float64, the levels and the middles of neighbours.  ranks: int32, the place of each code's level.
    whole: whether each level is one more than the last.
    """

    rising: Any
    between: Any
    ranks: Any
    whole: bool


class Found(NamedTuple):
    """low, high: float32 [n, groups], the smallest and largest weight.  used: bool, which codes there are.
    sums: float64 [SUMS], to add to."""

    low: Any
    high: Any
    used: Any
    sums: Any


def nothing() -> np.ndarray:
    """float64 [SUMS] to add to."""
    return np.array([0.0, 0.0, np.inf, -np.inf])


@kernel
def survey(w, packed, levels, found):
    """Adds rows of float32 weights [n, cols] beside what a file holds of them; all arithmetic is float64."""
    index, numbers, groups, scales, zeros, minima = packed
    rising, between, ranks, whole = levels
    low, high, used, sums = found
    first, last = rising[0], rising[rising.shape[0] - 1]
    nearest, squared, least, most = 0, f8(0), sums[LEAST], sums[MOST]
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            g, at = place(groups[j], scales.shape[1]), index[i, j]
            v, number = f8(w[i, j]), f8(numbers[i, j])
            scale, zero, minimum = f8(scales[i, g]), f8(zeros[i, g]), f8(minima[i, g])
            low[i, g], high[i, g] = min(low[i, g], w[i, j]), max(high[i, g], w[i, j])
            less = number - zero
            e = abs(less * scale + minimum - v)
            t = (v - minimum) / scale + zero if scale != f8(0) else number
            if whole:
                level = min(max(np.rint(t), first), last)
            else:
                below = ranks[place(at, ranks.shape[0])]  # a code mostly is the nearest or next to it
                while below > 0 and not between[below - 1] < t:
                    below -= 1
                while below < between.shape[0] and between[below] < t:
                    below += 1
                level = rising[below]
            best = abs((level - zero) * scale + minimum - v)
            nearest += 1 if e <= best + TIE * (abs(v) + abs(scale)) else 0
            squared += e * e
            least, most = min(least, less), max(most, less)
            if at >= 0 and at < used.shape[0]:
                used[at] = True
    sums[NEAREST] += f8(nearest)
    sums[SQUARED] += squared
    sums[LEAST], sums[MOST] = least, most
