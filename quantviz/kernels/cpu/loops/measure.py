"""The compiled loop that measures: quantize, dequantize, add up and count, stretch by stretch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..compiler import inlined, kernel
from ..once import once
from ..rules.constants import MEAN, NONE
from ..rules.elements import code_limits
from ..rules.scalings import scaling_of
from . import sums
from .counts import codes_of, count, count_outside, tally_codes
from .groups import (
    fill_parameters,
    fill_values,
    fill_values_and_codes,
    lowest,
    one_of,
    some_extents,
    some_of,
    stretch_of,
)
from .plan import STRETCH

f4, f8, i4, u4 = np.float32, np.float64, np.int32, np.uint32


class Asked(NamedTuple):
    """What to measure, asked once a stretch, so that no answer needs a kernel of its own."""

    full: bool  # count as well
    weighted: bool  # weigh squared errors with the importance
    apart: bool  # what became of the weights is given, so that only measuring is left
    wide: bool  # the weights are float64, and so are all sums
    given: bool  # the groups' parameters are


class Weights(NamedTuple):
    """The weights of a piece, [rows, cols].

    x: float32, or float64 where `wide`.  z: float32, what is quantized in place of x, or x again.  y: float32, what
    became of x, where that is given.  importance: float32 [cols], where it weighs.
    """

    x: Any
    z: Any
    y: Any
    importance: Any


@inlined()
def _count(x, y, tables, index, out):
    """Counts the values and the errors of a stretch; adds the weights that became zero to `out`."""
    zeroed, least = count(
        x, y, x.shape[0], tables.value_bins, tables.error_bins, index, tables.values, tables.cells
    )  # fmt: skip
    out[sums.ZEROED] += f8(zeroed)
    out[sums.LEAST_ERROR] = min(out[sums.LEAST_ERROR], f8(least))


@inlined()
def _count_clipped(rule, z, length, k, p, extents, known, out):
    """Adds the weights of a stretch beyond what their codes reach to `out`, where there may be any.

    known: whether extents hold those of the groups.
    """
    low, high = extents.low, extents.high
    for g in range(p.stored.shape[0]):
        under, over = code_limits(rule, one_of(p, g), k)
        if not known or lowest(rule, low[g], high[g]) < under or abs(high[g]) > over:
            zg = z[g * length : (g + 1) * length]
            out[sums.CLIPPED] += f8(count_outside(zg, zg.shape[0], under, over))


@once
def measure_kernel(rule: int, known: int):
    """One piece: quantize, dequantize and measure. known: the length of a group where it is a constant, else 0.

    width, height: of a group.  p: Parameters [grid of the piece].  tables: loops.tables.Tables.
    block_error: float64 [grid of the piece], Σ e² to add to.  out: float64 [SUMS] to add to.
    """
    has_scale = scaling_of(rule) != NONE
    narrow = 0 < known < 64  # so short that reducing one block at a time would not vectorise
    seen = scaling_of(rule) != MEAN  # whether a group's extremes are known once it has parameters

    @kernel
    def run(asked, weights, width, height, k, p, tables, block_error, out):
        rows, cols = weights.x.shape
        length = known if known else width
        y, index = np.empty(STRETCH, f4), np.empty(STRETCH, u4)
        halves, squares, extents = np.empty(STRETCH, f4), np.empty(STRETCH, f8), some_extents()
        runs = sums.some_runs(STRETCH)
        step = stretch_of(length)
        for i in range(rows):
            gi = i // height
            for o in range(0, cols, step):
                n = min(step, cols - o)
                xs, zs = weights.x[i, o : o + n], weights.z[i, o : o + n]
                ys = weights.y[i, o : o + n] if asked.apart else y[:n]
                groups, g0 = -(-n // length), o // length
                own = some_of(p, gi, g0, groups)
                if not asked.given:
                    fill_parameters(rule, zs, width, k, own, extents, out)
                if asked.full and tables.codes.shape[1] > 0:
                    fill_values_and_codes(rule, zs, length, k, own, y[:n], index[:n], codes_of(tables.codes))
                    tally_codes(index, n, tables.codes)
                elif not asked.apart:
                    fill_values(rule, zs, length, k, own, ys)
                whole = n // length if narrow else 0
                if narrow:
                    sums.squared_errors(xs, ys, whole * known, known, halves)
                    for g in range(whole):
                        squares[g] = f8(halves[g])
                moved = sums.moments(xs, ys, asked.wide, runs, out)
                for g in range(whole, groups):
                    o_g, n_g = g * length, min(length, n - g * length)
                    if n_g < length:
                        squares[g] = sums.squared_error(xs[o_g:], ys[o_g:], n_g)
                    else:
                        squares[g] = sums.squared_error(xs[o_g:], ys[o_g:], length)
                if moved:
                    sums.mend_squared_errors(xs, ys, n, length, asked.wide, squares)
                total, steps = sums.of_groups(squares, own.stored, groups)
                out[sums.SQUARED_ERROR] += total
                out[sums.SQUARED_STEPS] += steps if has_scale else f8(0)
                if asked.weighted:
                    out[sums.WEIGHTED] += sums.weighted_squared_error(xs, ys, weights.importance[o : o + n])
                if asked.full:
                    for g in range(groups):
                        block_error[gi, g0 + g] += squares[g]
                    _count(xs, ys, tables, index, out)
                    _count_clipped(rule, zs, length, k, own, extents, seen and not asked.given, out)

    return run
