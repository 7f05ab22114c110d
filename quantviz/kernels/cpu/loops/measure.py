"""The compiled loop that measures: quantize, dequantize, add up and count, stretch by stretch."""

from __future__ import annotations

import numpy as np

from ..compiler import kernel
from ..once import once
from ..rules.constants import MEAN, NONE
from ..rules.elements import code_limits
from ..rules.scalings import scaling_of
from . import sums
from .counts import codes_of, count, count_outside, tally_codes
from .groups import fill_parameters, fill_values, fill_values_and_codes, lowest, stretch_of
from .plan import STRETCH

f4, f8, i4, u4 = np.float32, np.float64, np.int32, np.uint32


@once
def measure_kernel(rule: int, known: int):
    """One piece: quantize, dequantize and measure. See `measure` of the package for the arguments.

    full: count as well.  weighted: weigh squared errors with `importance`.  z: what is quantized in place of x, or x
    again.  apart: `given_y` holds what became of x, so that only measuring is left.  wide: x is float64, and so are all
    sums. These four are asked once a stretch, so they need no kernels of their own.
    """
    has_scale = scaling_of(rule) != NONE
    seen = scaling_of(rule) != MEAN  # whether a group's extremes are known once it has parameters
    narrow = 0 < known < 64  # so short that reducing one block at a time would not vectorise

    @kernel
    def run(
        full,
        weighted,
        apart,
        wide,
        x,
        z,
        given_y,
        width,
        height,
        given,
        k,
        thresholds,
        levels,
        codes,
        factor,
        stored,
        extra,
        importance,
        value_bins,
        error_bins,
        first_code,
        values,
        cells,
        code_table,
        block_error,
        out,
    ):
        rows, cols = x.shape
        length = known if known else width
        y = np.empty(STRETCH, f4)
        index = np.empty(STRETCH, u4)
        halves, squares = np.empty(STRETCH, f4), np.empty(STRETCH, f8)
        low, high, mean = np.empty(STRETCH, f4), np.empty(STRETCH, f4), np.empty(STRETCH, f4)
        step = stretch_of(length)
        for i in range(rows):
            gi = i // height
            for o in range(0, cols, step):
                n = min(step, cols - o)
                xs, zs, g0 = x[i, o : o + n], z[i, o : o + n], o // length
                ys = given_y[i, o : o + n] if apart else y[:n]
                whole = n // length
                if not given:
                    fill_parameters(rule, zs, n, width, gi, g0, k, factor, stored, extra, out, low, high, mean)
                if full and code_table.shape[1] > 0:
                    fill_values_and_codes(
                        rule, length, zs, y[:n], index[:n], n, gi, g0, k, thresholds, levels, codes, factor, stored,
                        extra, first_code, codes_of(code_table),
                    )  # fmt: skip
                    tally_codes(index, n, code_table)
                elif not apart:
                    fill_values(rule, length, zs, ys, n, gi, g0, k, thresholds, levels, factor, stored, extra)
                if narrow:
                    sums.squared_errors(xs, ys, whole * known, known, halves)
                    for g in range(whole):
                        squares[g] = f8(halves[g])
                moved = sums.moments(xs, ys, wide, out)
                groups = -(-n // length)
                for g in range(whole if narrow else 0, groups):
                    o_g, n_g = g * length, min(length, n - g * length)
                    if n_g < length:
                        squares[g] = sums.squared_error(xs[o_g:], ys[o_g:], n_g)
                    else:
                        squares[g] = sums.squared_error(xs[o_g:], ys[o_g:], length)
                if moved:
                    sums.mend_squared_errors(xs, ys, n, length, wide, squares)
                scales = stored[gi, g0 : g0 + groups]
                total, steps = sums.of_groups(squares, scales, groups)
                out[sums.SQUARED_ERROR] += total
                out[sums.SQUARED_STEPS] += steps if has_scale else f8(0)
                if full:
                    for g in range(groups):
                        block_error[gi, g0 + g] += squares[g]
                if weighted:
                    out[sums.WEIGHTED] += sums.weighted_squared_error(xs, ys, importance[o : o + n])
                if full:
                    zeroed, least = count(xs, ys, n, value_bins, error_bins, index, values, cells)
                    out[sums.ZEROED] += f8(zeroed)
                    out[sums.LEAST_ERROR] = min(out[sums.LEAST_ERROR], f8(least))
                    for g in range(groups):
                        under, over = code_limits(rule, stored[gi, g0 + g], extra[gi, g0 + g], k)
                        if given or not seen or lowest(rule, low[g], high[g]) < under or abs(high[g]) > over:
                            zg = zs[g * length : (g + 1) * length]
                            out[sums.CLIPPED] += f8(count_outside(zg, zg.shape[0], under, over))

    return run
