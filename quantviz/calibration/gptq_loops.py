"""GPTQ's inner loop, compiled: a block of columns of some rows, one after the other.

All in one file, since numba compiles a kernel anew when its own file changes, and only then.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.cpu.compiler import inlined, kernel

f4 = np.float32
_TINY = f4(1e-45)


@inlined()
def _stretch(t, thresholds):
    """How many thresholds are below t."""
    low, high = 0, thresholds.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if thresholds[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def solve_block(w, u, groups, grids, flags, ends, table, out):
    """Rounds columns of w, float32 [rows, n], in their order; the error of each goes to those after it.

    u: the upper triangle that the errors are passed on by, of these columns, float32 [n, n].
    groups: that of each column, int64 [n], and of each row, int64 [rows].
    grids: (factor, shift, zero, stored), each float32 [grid rows, grid cols].
    flags: (multiply, signed zero).  ends: (limit, low, high, step), float32.
    table: (thresholds, values, codes), of which those without a table have none.
    out: codes, int16 [rows, n], and errors, float32 [rows, n], are filled in; w ends as what was rounded.
    """
    factor, shift, zero, stored = grids
    multiply, signed_zero = flags
    limit, low, high, step = ends
    group_of, group_row = groups
    thresholds, values, table_codes = table
    codes, errors = out
    n = w.shape[1]
    for r in range(w.shape[0]):
        row, g = w[r], group_row[r]
        for i in range(n):
            c, x = group_of[i], row[i]
            t = x - shift[g, c]
            t = t * factor[g, c] if multiply else t / factor[g, c]
            t = min(max(t, -limit), limit)
            if values.shape[0]:
                if signed_zero and t == f4(0) and math.copysign(1.0, t) < 0:
                    t = -_TINY
                place = _stretch(t, thresholds)
                codes[r, i] = table_codes[place]
                value = values[place]
            else:
                code = min(max(np.rint(t / step) + zero[g, c], low), high)
                codes[r, i] = np.int16(code)
                value = (code - zero[g, c]) * step
            error = (x - (value * stored[g, c] + shift[g, c])) / u[i, i]
            errors[r, i] = error
            for j in range(i + 1, n):
                row[j] = row[j] - error * u[i, j]
