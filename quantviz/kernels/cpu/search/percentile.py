"""clip=P: the P-th percentile of each group, exactly, by bisection over the bit patterns of float32."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ...searching import percentile_rank
from ..bits import MAGNITUDE, bits_of
from ..compiler import inlined, kernel
from ..loops import sums
from ..once import once
from ..rules.scalings import is_ranged
from .groups import Groups

f4, i4 = np.float32, np.int32


def percentiles(groups: Groups, percentile: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """Order statistics of each group, by nearest rank: of the magnitudes, or of both ends without a symmetry."""
    sizes = groups.sizes()
    rank = percentile_rank(percentile, sizes)
    if is_ranged(groups.job.rule):
        return _order_statistic(groups, sizes - rank + 1, True), _order_statistic(groups, rank, True)
    largest = _order_statistic(groups, rank, False)
    return -largest, largest


def _order_statistic(groups: Groups, rank: np.ndarray, signed: bool) -> np.ndarray:
    """The rank-th smallest weight (or magnitude) of each group, by bisection over float32 bit patterns."""
    count = count_kernel(signed)
    low = np.full(groups.shape, -(2**31) if signed else 0, np.int64)
    high = np.full(groups.shape, 2**31 - 1, np.int64)
    while (low < high).any():
        middle = (low + high) >> 1
        limit = middle.astype(i4)
        below = groups.add(np.int64, lambda x, _, of, into: count(x, groups.width, groups.height, of(limit), into))  # noqa: B023
        enough = below >= rank
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    pattern = low.astype(i4)
    return np.where(pattern < 0, pattern ^ MAGNITUDE, pattern).astype(i4).view(f4)


@once
def count_kernel(signed: bool):
    """into[group] += how many weights of a piece order at or below limit[group], as patterns of floats."""

    @inlined()
    def up_to(x, limit):
        found = i4(0)
        for j in range(x.shape[0]):
            v = sums.ordered(bits_of(x[j])) if signed else i4(bits_of(x[j]) & MAGNITUDE)
            found = i4(found + (i4(1) if v <= limit else i4(0)))
        return found

    @kernel
    def run(x, width, height, limit, into):
        rows, cols = x.shape
        for i in range(rows):
            gi = i // height
            for g in range(limit.shape[1]):
                o = g * width
                into[gi, g] += up_to(x[i, o : min(o + width, cols)], limit[gi, g])

    return run
