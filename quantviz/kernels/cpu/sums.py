"""Sums over a stretch of weights. The only code that may be reordered: it ends in float64 and makes no code.

Each stretch is summed in runs short enough that float32 partial sums lose nothing that shows; the runs are
added in float64. Magnitudes whose squares leave float32's range take the `_wide` variants, in float64 throughout.
"""

from __future__ import annotations

import numpy as np

from .bits import MAGNITUDE, bits_of, float_of
from .compiler import REORDER, inlined

f4, f8, i4 = np.float32, np.float64, np.int32

RUN = 256  # weights a run: 16 additions in each of 16 lanes

# Positions in the array of sums of a piece.
(SQUARED_ERROR, ABS_ERROR, RELATIVE_ERROR, NONZERO, SQUARED, ABS, PRODUCT, SQUARED_DEQUANTIZED, SQUARED_STEPS,
 WEIGHTED, MAX_ERROR, VANISHED, SATURATED, ZEROED, CLIPPED, SUMS) = range(16)  # fmt: skip


def _moments(real):
    """sums[...] += |e|, |e|/|x|, x≠0, x², |x|, x·y, y² over x and its dequantized y; the largest |e| is kept."""

    @inlined(REORDER)
    def run(x, y):
        zero, one = real(0), real(1)
        abs_error = relative = nonzero = squared = magnitude = product = dequantized = zero
        largest = i4(0)
        for j in range(x.shape[0]):
            v, w = real(x[j]), real(y[j])
            e, a = abs(w - v), abs(v)
            counts = one if a > zero else zero
            abs_error += e
            relative += counts * e / (a if a > zero else one)
            nonzero += counts
            squared += v * v
            magnitude += a
            product += v * w
            dequantized += w * w
            largest = max(largest, i4(bits_of(f4(y[j] - x[j])) & MAGNITUDE))
        return abs_error, relative, nonzero, squared, magnitude, product, dequantized, largest

    @inlined()
    def moments(x, y, sums):
        top = i4(0)
        for o in range(0, x.shape[0], RUN):
            abs_error, relative, nonzero, squared, magnitude, product, dequantized, largest = run(
                x[o : o + RUN], y[o : o + RUN]
            )
            top = max(top, largest)
            sums[ABS_ERROR] += f8(abs_error)
            sums[RELATIVE_ERROR] += f8(relative)
            sums[NONZERO] += f8(nonzero)
            sums[SQUARED] += f8(squared)
            sums[ABS] += f8(magnitude)
            sums[PRODUCT] += f8(product)
            sums[SQUARED_DEQUANTIZED] += f8(dequantized)
        sums[MAX_ERROR] = max(sums[MAX_ERROR], f8(float_of(top)))

    return moments


moments = _moments(f4)
moments_wide = _moments(f8)


def _squared_error(real):
    @inlined(REORDER)
    def run(x, y, n):
        total = real(0)
        for j in range(n):
            e = real(y[j]) - real(x[j])
            total += e * e
        return total

    @inlined()
    def squared_error(x, y, n):
        """Σ e² over n weights, float64."""
        if n <= RUN:
            return f8(run(x, y, n))
        total = f8(0)
        for o in range(0, n, RUN):
            total += f8(run(x[o:], y[o:], min(RUN, n - o)))
        return total

    return squared_error


squared_error = _squared_error(f4)
squared_error_wide = _squared_error(f8)


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
