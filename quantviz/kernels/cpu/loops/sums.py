"""Sums over a stretch of weights. The only code that may be reordered: it ends in float64 and makes no code.

Each stretch is summed in runs short enough that float32 partial sums lose nothing that shows; the runs are
added in float64. A run whose sums leave float32's range is summed again in float64, whatever the rest of the tensor
is like: rows of tiny weights among ordinary ones, or a weight so small that an error is beyond all measure beside it.
"""

from __future__ import annotations

import numpy as np

from ..bits import MAGNITUDE, bits_of, float_of
from ..compiler import REORDER, apart, inlined

f4, f8, i4 = np.float32, np.float64, np.int32

RUN = 256  # weights a run: 16 additions in each of 16 lanes

# Positions in the array of sums of a piece.
(SQUARED_ERROR, ABS_ERROR, RELATIVE_ERROR, NONZERO, SQUARED, ABS, PRODUCT, SQUARED_DEQUANTIZED, SQUARED_STEPS,
 WEIGHTED, MAX_ERROR, VANISHED, SATURATED, ZEROED, CLIPPED, LEAST_ERROR, SUMS) = range(17)  # fmt: skip


def empty(pieces: int) -> np.ndarray:
    """float64 [pieces, SUMS] to add to."""
    out = np.zeros((pieces, SUMS))
    out[:, LEAST_ERROR] = np.inf
    return out


def added(pieces: np.ndarray) -> np.ndarray:
    """The sums of all pieces in one, float64 [SUMS]."""
    out = pieces.sum(axis=0)
    out[MAX_ERROR], out[LEAST_ERROR] = pieces[:, MAX_ERROR].max(), pieces[:, LEAST_ERROR].min()
    return out


# Between these a float32 sum of squares has lost nothing that shows: a square below float32's smallest normal number is
# rounded or left out, and 8,192 of them are less than a millionth of the lower.
LOWEST, HIGHEST = f8(1e-28), f8(1e38)


# A run's own sums, float64 [ANY + 1]: each where the array of sums has it, and last, whether any dequantized weight is
# not 0. A scheme that takes every weight of a run for 0 has lost none of their squares.
ANY = SQUARED_DEQUANTIZED + 1


def _run_of(real, compiled):
    """Σ |e|, |e|/|x|, x≠0, x², |x|, x·y, y² over x and its dequantized y, into a run's own sums.

    Returns the bits of the largest |e|.
    """

    @compiled(REORDER)
    def run(x, y, into):
        zero, one = real(0), real(1)
        abs_error = relative = nonzero = squared = magnitude = product = dequantized = zero
        largest = seen = i4(0)
        for j in range(x.shape[0]):
            v, w = real(x[j]), real(y[j])
            e, a = abs(w - v), abs(v)
            counts = one if a > zero else zero
            abs_error += e
            relative += e / a if a > zero else zero
            nonzero += counts
            squared += v * v
            magnitude += a
            product += v * w
            dequantized += w * w
            largest = max(largest, i4(bits_of(f4(y[j] - x[j])) & MAGNITUDE))
            seen = i4(seen | i4(bits_of(y[j]) & MAGNITUDE))
        into[ABS_ERROR], into[RELATIVE_ERROR], into[NONZERO] = abs_error, relative, nonzero
        into[SQUARED], into[ABS], into[PRODUCT] = squared, magnitude, product
        into[SQUARED_DEQUANTIZED], into[ANY] = dequantized, f8(seen)
        return largest

    return run


_run, _wide_run = _run_of(f4, inlined), _run_of(f8, apart)


@inlined()
def some_runs(weights):
    """Room for the sums of each run of so many weights."""
    return np.empty((-(-weights // RUN), ANY + 1), f8)


@inlined()
def _has_lost(run):
    """Whether float32's range did not hold the sums of a run."""
    total = run[ABS_ERROR] + run[RELATIVE_ERROR] + run[SQUARED] + run[ABS] + run[SQUARED_DEQUANTIZED]
    small = (run[SQUARED] < LOWEST) | (run[SQUARED_DEQUANTIZED] < LOWEST) & (run[ANY] != f8(0))
    return (run[NONZERO] > f8(0)) & small | (not total < HIGHEST)


@inlined()
def moments(x, y, wide, runs, sums):
    """Adds what `_run_of` names to sums[...], keeps the largest |e| there, and says whether any |e| is above 0.

    runs: as `some_runs` makes it, for x; overwritten.
    """
    number, top, lost = -(-x.shape[0] // RUN), i4(0), i4(1) if wide else i4(0)
    for r in range(number):
        top = max(top, _run(x[r * RUN : (r + 1) * RUN], y[r * RUN : (r + 1) * RUN], runs[r]))
    for r in range(number):  # all at once: nearly always there is none
        lost = i4(lost | (i4(1) if _has_lost(runs[r]) else i4(0)))
    if lost != i4(0):
        _mend_runs(x, y, wide, runs)
    for r in range(number):
        for k in range(ABS_ERROR, SQUARED_DEQUANTIZED + 1):
            sums[k] += runs[r, k]
    sums[MAX_ERROR] = max(sums[MAX_ERROR], f8(float_of(top)))
    return top > i4(0)


@apart()
def _mend_runs(x, y, wide, runs):
    """The sums of the runs that left float32's range, or of all with `wide`, made again in float64."""
    for r in range(-(-x.shape[0] // RUN)):
        if wide or _has_lost(runs[r]):
            _wide_run(x[r * RUN : (r + 1) * RUN], y[r * RUN : (r + 1) * RUN], runs[r])


def _squared_error(real, compiled):
    @compiled(REORDER)
    def run(x, y, n):
        total = real(0)
        for j in range(n):
            e = real(y[j]) - real(x[j])
            total += e * e
        return total

    return run


_squares, _wide_squares = _squared_error(f4, inlined), _squared_error(f8, apart)


@inlined()
def squared_error(x, y, n):
    """Σ e² over n weights, float64."""
    if n <= RUN:
        return f8(_squares(x, y, n))
    total = f8(0)
    for o in range(0, n, RUN):
        total += f8(_squares(x[o:], y[o:], min(RUN, n - o)))
    return total


@inlined()
def mend_squared_errors(x, y, n, length, wide, squares):
    """Σ e² of the blocks of n weights that left float32's range, or of all with `wide`, made again in float64."""
    blocks, outside = -(-n // length), i4(0)
    for g in range(blocks):  # all at once: nearly always there is none
        outside = i4(outside + (i4(0) if (squares[g] > LOWEST) & (squares[g] < HIGHEST) else i4(1)))
    if not wide and outside == i4(0):
        return
    for g in range(blocks):
        if wide or not ((squares[g] > LOWEST) & (squares[g] < HIGHEST)):
            o = g * length
            squares[g] = _wide_squares(x[o:], y[o:], min(length, n - o))


@inlined(REORDER)
def squared_errors(x, y, n, length, into):
    """Σ e² of each block of `length` weights, a power of two: squares first, then neighbours added in rounds."""
    for j in range(n):
        e = y[j] - x[j]
        into[j] = e * e
    while length > 1:
        length //= 2
        n //= 2
        for j in range(n):
            into[j] = into[2 * j] + into[2 * j + 1]


@inlined(REORDER)
def of_groups(squares, scales, groups):
    """Σ of the groups' Σ e², and Σ of the same in units of each group's scale."""
    total = steps = f8(0)
    for g in range(groups):
        b = f8(scales[g])
        total += squares[g]
        steps += squares[g] / (b * b) if b != f8(0) else f8(0)
    return total, steps


@inlined(REORDER)
def weighted_squared_error(x, y, h):
    total = f8(0)
    for j in range(x.shape[0]):
        e = f8(y[j]) - f8(x[j])
        total += e * e * f8(h[j])
    return total


# Extremes are searched among bit patterns: whole numbers vectorise without any licence, float maxima do not, and a
# NaN is just a large number. Magnitudes order as their patterns do; with signs, the negative half is flipped first.


@inlined()
def largest_magnitude(x, n):
    largest = i4(0)
    for j in range(n):
        largest = max(largest, i4(bits_of(x[j]) & MAGNITUDE))
    return float_of(largest)


@inlined()
def ordered(b):
    """float32 pattern <-> a whole number that orders as the float does; its own inverse."""
    return i4(b ^ i4(i4(b >> i4(31)) & MAGNITUDE))


@inlined()
def extremes(x, n):
    """Smallest and largest of n weights."""
    low = high = ordered(bits_of(x[0]))
    for j in range(n):
        v = ordered(bits_of(x[j]))
        low, high = min(low, v), max(high, v)
    return float_of(ordered(low)), float_of(ordered(high))


@inlined(REORDER)
def sum_abs(x, n):
    """Σ|x| in float64: it sets a scale, so its float32 rounding must not depend on the order."""
    total = f8(0)
    for j in range(n):
        total += f8(abs(x[j]))
    return total
