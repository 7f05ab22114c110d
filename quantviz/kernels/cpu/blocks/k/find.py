"""The k-quants' searches over all groups of many super-blocks.

As many super-blocks are done at a time as have 64 groups of n weights, the batch. Groups are turned into columns, group
by group and in each group super-block by super-block: [n, LANES] holds the weights, and a stretch of LANES numbers, or
[groups, batch], what is found for each group. The kernels take everything a type has of its own as arguments, so that
the long ones are compiled once and not for every type.
Source of the rules: quantize_row_q2_K_ref … quantize_row_q6_K_impl in ggml's src/ggml-quants.c, commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ...compiler import inlined, kernel
from ..descent import positive_scale, scale_by_descent
from ..fit import Line, scale_alone, scale_and_minimum

f4, i4 = np.float32, np.int32

LANES = 64
SUPER = 256

search_minimum = scale_and_minimum(LANES)
search_symmetric = scale_alone(LANES)
search_descent = scale_by_descent(LANES)

# Scales of scales: lanes are the super-blocks of a batch, 8 of 8 groups or 4 of 16.
positive_scales = {8: positive_scale(8), 16: positive_scale(4)}
signed_scales = scale_alone(4)

# How a weight weighs in the search.
MAGNITUDE, ABOVE_RMS, SQUARE, GIVEN, GIVEN_ABOVE_RMS = range(5)


@inlined()
def transpose(x, first, count, xt):
    """count super-blocks of x float32 [any, 256] -> columns of xt float32 [n, LANES]; those that lack are zeros.

    After the last super-block of x comes its first again: importance is the same for every row.
    """
    n = xt.shape[0]
    batch = n * LANES // SUPER
    for b in range(batch):
        if b < count:
            block = x[(first + b) % x.shape[0]]
            for j in range(SUPER // n):
                for i in range(n):
                    xt[i, j * batch + b] = block[j * n + i]
        else:
            xt[:, b::batch] = f4(0)


@inlined()
def mean_squares(times, xt, out):
    """times · Σx² / 256 of every super-block, added up in its own order, for each of its groups: float32 [LANES]."""
    n = xt.shape[0]
    batch = n * LANES // SUPER
    out[:] = f4(0)
    for j in range(LANES // batch):
        for i in range(n):
            row = xt[i, j * batch : (j + 1) * batch]
            for b in range(batch):
                out[b] = f4(out[b] + f4(row[b] * row[b]))
    for b in range(batch):
        out[b] = f4(f4(times * out[b]) / f4(SUPER))
    for k in range(batch, LANES):
        out[k] = out[k - batch]


@inlined()
def weigh(rule, times, xt, w, level):
    """Fills w like xt; where importance is given, w holds it already. Work space: level float32 [LANES]."""
    n = xt.shape[0]
    if rule == ABOVE_RMS:
        level[:] = f4(0)
        for i in range(n):
            for k in range(LANES):
                level[k] = f4(level[k] + f4(xt[i, k] * xt[i, k]))
        for k in range(LANES):
            level[k] = f4(np.sqrt(f4(level[k] / f4(n))))
    if rule == GIVEN_ABOVE_RMS:
        mean_squares(f4(times), xt, level)
    for i in range(n):
        row, to = xt[i], w[i]
        for k in range(LANES):
            v = row[k]
            if rule == MAGNITUDE:
                to[k] = f4(abs(v))
            elif rule == ABOVE_RMS:
                to[k] = f4(level[k] + f4(abs(v)))
            elif rule == SQUARE:
                to[k] = f4(v * v)
            elif rule == GIVEN_ABOVE_RMS:
                to[k] = f4(to[k] * f4(np.sqrt(f4(level[k] + f4(v * v)))))


@kernel
def weighted_columns(x, importance, at, rule, times, xt, w, total):
    """The batch that starts at super-block `at`: fills xt, w float32 [n, LANES], and total [LANES] with w's sums."""
    batch = xt.shape[0] * LANES // SUPER
    count = min(batch, x.shape[0] - at)
    transpose(x, at, count, xt)
    if rule == GIVEN or rule == GIVEN_ABOVE_RMS:
        transpose(importance, at % importance.shape[0], count, w)
    weigh(rule, times, xt, w, total)
    total[:] = f4(0)
    for i in range(xt.shape[0]):
        for k in range(LANES):
            total[k] = f4(total[k] + w[i, k])


@kernel
def find_with_minimum(x, importance, n, rule, times, trials, found):
    """x float32 [blocks, 256], importance float32 [blocks a row, 256]; trials as `scale_and_minimum` takes them.

    Fills found float32 [5, batches, LANES]: scale, minus_min, factor, low, and the sum of the weighting.
    """
    xt, w, aux, s = (
        np.empty((n, LANES), f4),
        np.empty((n, LANES), f4),
        np.empty((n, LANES), f4),
        np.empty((11, LANES), f4),
    )
    for g in range(found.shape[1]):
        weighted_columns(x, importance, g * (n * LANES // SUPER), rule, times, xt, w, found[4, g])
        search_minimum(xt, w, trials, Line(found[0, g], found[1, g], found[2, g], found[3, g]), s, aux)


@kernel
def find_symmetric(x, importance, rule, top, found):
    """Groups of 16. Fills found float32 [3, batches, LANES]: scale, factor, and the sum of the weighting."""
    xt, w, s = np.empty((16, LANES), f4), np.empty((16, LANES), f4), np.empty((6, LANES), f4)
    for g in range(found.shape[1]):
        weighted_columns(x, importance, g * (16 * LANES // SUPER), rule, 2, xt, w, found[2, g])
        search_symmetric(xt, w, i4(top), found[0, g], found[1, g], s)


@kernel
def find_by_descent(x, top, scale, codes):
    """Groups of 16. Fills scale float32 [batches, LANES] and codes float32 [batches, 16, LANES]."""
    xt, s = np.empty((16, LANES), f4), np.empty((4, LANES), f4)
    batch = 16 * LANES // SUPER
    for g in range(scale.shape[0]):
        transpose(x, g * batch, min(batch, x.shape[0] - g * batch), xt)
        search_descent(xt, i4(top), scale[g], codes[g], s)
