"""iq1_s and iq1_m: weights sorted and cut into low, middle and high, wherever that fits best; then the grid.

Follows quantize_row_iq1_s_impl and quantize_row_iq1_m_impl of ggml (ggml-quants.c at d99724f2b141): every cut is tried,
in ggml's order, with the sums in float32 as ggml forms them. Equal weights stay in the order they lie in: ggml leaves
that to the C library's qsort, and glibc's, a merge sort, keeps it.
"""

from __future__ import annotations

import numpy as np

from .....block_types.iq_grids import DELTA
from ...compiler import inlined, kernel
from ..bits import clamp, nearest, put_half, to_half
from .lattice import best_neighbour, lattice, on_grid

f4, i4, u1 = np.float32, np.int32, np.uint8

LOWEST, EIGHTH = f4(np.finfo(f4).min), f4(0.125)
TOO_SMALL_S, TOO_SMALL_M, STRETCH_S, STRETCH_M = f4(1e-12), f4(1e-7), f4(1.125), f4(1.1125)


def quantize_iq1_s(x: np.ndarray, importance: np.ndarray, out: np.ndarray) -> None:
    """x float32 [blocks, 256], importance [blocks a row, 256] -> out uint8 [blocks, 50]."""
    _quantize_s(x, importance, *lattice("iq1_s"), out)


def quantize_iq1_m(x: np.ndarray, importance: np.ndarray, out: np.ndarray) -> None:
    """x float32 [blocks, 256], importance [blocks a row, 256] -> out uint8 [blocks, 56]."""
    _quantize_m(x, importance, *lattice("iq1_s"), out)


@inlined()
def _weigh(x, importance, weight):
    total = f4(0)
    for j in range(256):
        total = f4(total + f4(x[j] * x[j]))
    sigma2 = f4(f4(f4(2) * total) / f4(256))
    for j in range(256):
        weight[j] = f4(importance[j] * f4(np.sqrt(f4(sigma2 + f4(x[j] * x[j])))))


@inlined()
def _largest(x):
    largest = abs(x[0])
    for v in x:
        largest = abs(v) if abs(v) > largest else largest
    return largest


@inlined()
def _sort(x, order):
    """Positions by rising weight, equals as they lie."""
    for j in range(x.shape[0]):
        k = j
        while k > 0 and x[order[k - 1]] > x[j]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = j


@inlined()
def _value(level, minus):
    """What a level stands for: -1, 0 or 1, and DELTA more or less."""
    return f4(f4(level - 1) + (-DELTA if minus else DELTA))


@inlined()
def _point(level, at, minus, scale, x, weight, where, near):
    """The word of eight levels' nearest point, and whether it was on the grid."""
    word = i4(0)
    for i in range(8):
        word = i4(word | i4(i4(level[at + i]) << i4(2 * i)))
    begins = -1 - on_grid(where, word)
    if begins < 0:
        return word, True
    # In eighths, so that levels stay integers: 8·(level - 1) ± 1.
    offset = i4(-9 if minus else -7)
    eighth = f4(scale * EIGHTH)
    return best_neighbour(near, begins, 8, 2, 8, offset, eighth, x[at : at + 8], weight[at : at + 8]), False


@inlined()
def _fitted(x, weight, word, minus, scale):
    """The scale that fits points best, a word for 8 weights, the first in the highest bit of minus; else `scale`."""
    a, s = f4(0), f4(0)
    for j in range(x.shape[0]):
        q = _value(word[j // 8] >> 2 * (j % 8) & 3, minus >> word.shape[0] - 1 - j // 8 & 1)
        a = f4(a + f4(f4(weight[j] * q) * x[j]))
        s = f4(s + f4(f4(weight[j] * q) * q))
    return f4(a / s) if a > f4(0) and s > f4(0) else scale


@inlined()
def _factor(inverse, scale):
    """Three bits for a scale: the s whose 2s + 1 is nearest."""
    return clamp(nearest(f4(f4(0.5) * f4(f4(inverse * scale) - f4(1)))), i4(0), i4(7))


@inlined()
def _cut_s(x, weight, order, sum_x, sum_w, along, square):
    """The best cut of 32 weights: (score found, first cut, second cut, minus, scale)."""
    sum_x[0] = f4(0)
    sum_w[0] = f4(0)
    for j in range(32):
        i = order[j]
        sum_x[j + 1] = f4(sum_x[j] + f4(weight[i] * x[i]))
        sum_w[j + 1] = f4(sum_w[j] + weight[i])
    best, scale, first, second, minus = LOWEST, f4(0), -1, -1, 0
    for c1 in range(33):
        low_x, low_w = sum_x[c1], sum_w[c1]
        for m in range(2):
            v0, v1, v2 = _value(0, m), _value(1, m), _value(2, m)
            for c2 in range(33):
                along[m, c2] = f4(
                    f4(f4(low_x * v0) + f4(f4(sum_x[c2] - low_x) * v1)) + f4(f4(sum_x[32] - sum_x[c2]) * v2)
                )
                square[m, c2] = f4(
                    f4(f4(f4(low_w * v0) * v0) + f4(f4(f4(sum_w[c2] - low_w) * v1) * v1))
                    + f4(f4(f4(sum_w[32] - sum_w[c2]) * v2) * v2)
                )
        for c2 in range(c1, 33):
            for m in range(2):
                a, s = along[m, c2], square[m, c2]
                if s > f4(0) and f4(a * a) > f4(best * s):
                    scale = f4(a / s)
                    best = f4(scale * a)
                    first, second, minus = c1, c2, m
    return first, second, minus, scale


@inlined()
def _put_levels(order, n, first, second, turned, level):
    """Levels 0, 1 and 2 of n sorted weights, cut before `first` and `second`; the other way round where turned."""
    for j in range(n):
        q = 0 if j < first else 1 if j < second else 2
        level[order[j]] = 2 - q if turned else q


@kernel
def _quantize_s(x, importance, where, near, out):
    weight, order, level, word = np.empty(256, f4), np.empty(32, i4), np.empty(32, i4), np.empty(4, i4)
    sum_x, sum_w, along, square = np.empty(33, f4), np.empty(33, f4), np.empty((2, 33), f4), np.empty((2, 33), f4)
    scales, high, lowered = np.empty(8, f4), np.empty(8, i4), np.empty(8, i4)
    for b in range(x.shape[0]):
        _weigh(x[b], importance[b % importance.shape[0]], weight)
        out[b] = u1(0)
        widest = f4(0)
        for p in range(8):
            xs, ws = x[b, 32 * p : 32 * p + 32], weight[32 * p : 32 * p + 32]
            scales[p], high[p], lowered[p] = f4(0), 0, 0
            if _largest(xs) < TOO_SMALL_S:
                continue
            _sort(xs, order)
            first, second, minus, scale = _cut_s(xs, ws, order, sum_x, sum_w, along, square)
            if first < 0:
                continue
            turned = scale < f4(0)
            scale = abs(scale)
            minus = 1 - minus if turned else minus
            _put_levels(order, 32, first, second, turned, level)
            all_on = True
            for k in range(4):
                word[k], on = _point(level, 8 * k, minus, scale, xs, ws, where, near)
                all_on = all_on and on
            if not all_on:
                scale = _fitted(xs, ws, word, 15 * minus, scale)
            for k in range(4):
                index = on_grid(where, word[k])
                out[b, 2 + 4 * p + k] = u1(index & 255)
                high[p] |= (index >> 8) << 3 * k
            scales[p], lowered[p] = scale, minus
            widest = scale if scale > widest else widest
        d = f4(widest / f4(15))
        put_half(out[b], 0, f4(d * STRETCH_S))
        for p in range(8):
            if widest != f4(0):
                high[p] |= _factor(f4(f4(1) / d), scales[p]) << 12 | lowered[p] << 15
            out[b, 34 + 2 * p] = u1(high[p] & 255)
            out[b, 35 + 2 * p] = u1(high[p] >> 8)


@inlined()
def _cut_m(x, weight, order, rising, tail, along, square):
    """The best cut of 16 weights, whose two halves each may add or take away: (first cut, second cut, case, scale).

    Case 0 adds in both halves, 1 takes away in the second, 2 in the first, 3 in both. Sums run over the weights as
    sorted, so those of all first cuts grow side by side, a lane each, while the second cut moves; `rising` holds what
    lies below it. Workspace: rising, tail float32 [2, 4, 16], along and square float32 [17, 4, 16].
    """
    for k in range(4):
        for t in range(16):
            rising[0, k, t] = rising[1, k, t] = f4(0)
        for j in range(16):
            i = order[j]
            v = _value(2, k >> 1 if i < 8 else k & 1)
            tail[0, k, j] = f4(f4(weight[i] * v) * x[i])
            tail[1, k, j] = f4(f4(weight[i] * v) * v)
    for c2 in range(17):
        for t in range(16):
            for k in range(4):
                a, s = rising[0, k, t], rising[1, k, t]
                for j in range(16):
                    a = f4(a + tail[0, k, j])
                    s = f4(s + tail[1, k, j])
                along[c2, k, t] = a
                square[c2, k, t] = s
        if c2 < 16:
            i = order[c2]
            for k in range(4):
                tail[0, k, c2] = tail[1, k, c2] = f4(0)  # the weight at the cut goes from high to middle, or to low
                m = k >> 1 if i < 8 else k & 1
                v0, v1 = _value(0, m), _value(1, m)
                low_x, mid_x = f4(f4(weight[i] * v0) * x[i]), f4(f4(weight[i] * v1) * x[i])
                low_2, mid_2 = f4(f4(weight[i] * v0) * v0), f4(f4(weight[i] * v1) * v1)
                for t in range(16):
                    rising[0, k, t] = f4(rising[0, k, t] + (low_x if c2 < t else mid_x))
                    rising[1, k, t] = f4(rising[1, k, t] + (low_2 if c2 < t else mid_2))
    best, scale, first, second, case = LOWEST, f4(0), -1, -1, 0
    for c1 in range(16):
        for c2 in range(c1, 17):
            for k in range(4):
                a, s = along[c2, k, c1], square[c2, k, c1]
                if s > f4(0) and f4(a * a) > f4(best * s):
                    scale = f4(a / s)
                    best = f4(scale * a)
                    first, second, case = c1, c2, k
    for k in range(4):  # all sixteen low: the one cut without a lane
        a, s = f4(0), f4(0)
        for j in range(16):
            i = order[j]
            v = _value(0, k >> 1 if i < 8 else k & 1)
            a = f4(a + f4(f4(weight[i] * v) * x[i]))
            s = f4(s + f4(f4(weight[i] * v) * v))
        if s > f4(0) and f4(a * a) > f4(best * s):
            scale = f4(a / s)
            best = f4(scale * a)
            first, second, case = 16, 16, k
    return first, second, case, scale


@kernel
def _quantize_m(x, importance, where, near, out):
    weight, order, level, word = np.empty(256, f4), np.empty(16, i4), np.empty(16, i4), np.empty(32, i4)
    rising, tail = np.empty((2, 4, 16), f4), np.empty((2, 4, 16), f4)
    along, square = np.empty((17, 4, 16), f4), np.empty((17, 4, 16), f4)
    scales, cases, packed = np.empty(16, f4), np.empty(16, i4), np.empty(4, i4)
    for b in range(x.shape[0]):
        _weigh(x[b], importance[b % importance.shape[0]], weight)
        out[b] = u1(0)
        word[:] = i4(0)
        packed[:] = i4(0)
        widest = f4(0)
        for p in range(16):
            xs, ws = x[b, 16 * p : 16 * p + 16], weight[16 * p : 16 * p + 16]
            scales[p], cases[p] = f4(0), 0
            if _largest(xs) < TOO_SMALL_M:
                continue
            _sort(xs, order)
            first, second, case, scale = _cut_m(xs, ws, order, rising, tail, along, square)
            if first < 0:
                continue
            turned = scale < f4(0)
            scale = abs(scale)
            case = 3 - case if turned else case
            _put_levels(order, 16, first, second, turned, level)
            all_on = True
            for k in range(2):
                word[2 * p + k], on = _point(level, 8 * k, case >> 1 - k & 1, scale, xs, ws, where, near)
                all_on = all_on and on
            if not all_on:
                scale = _fitted(xs, ws, word[2 * p : 2 * p + 2], case, scale)
            scales[p], cases[p] = scale, case
            widest = scale if scale > widest else widest
        for g in range(32):
            index = on_grid(where, word[g])
            out[b, g] = u1(index & 255)
            out[b, 32 + g // 2] |= u1(index >> 8 << 4 * (g % 2))
        if widest == f4(0):
            continue
        d = f4(widest / f4(15))
        inverse, a, s = f4(f4(1) / d), f4(0), f4(0)
        for p in range(16):
            factor = _factor(inverse, scales[p])
            packed[p // 4] |= factor << 3 * (p % 4)
            out[b, 32 + p] |= u1((cases[p] >> 1) << 3 | (cases[p] & 1) << 7)
            for j in range(16):
                w, v = weight[16 * p + j], x[b, 16 * p + j]
                q = _value(word[2 * p + j // 8] >> 2 * (j % 8) & 3, cases[p] >> 1 - j // 8 & 1)
                q = f4(q * f4(2 * factor + 1))
                a = f4(a + f4(f4(w * q) * v))
                s = f4(s + f4(f4(w * q) * q))
        if s > f4(0):
            d = f4(a / s)
        stored = to_half(f4(d * STRETCH_M))
        for k in range(4):
            packed[k] |= (stored >> 4 * k & 15) << 12
            out[b, 48 + 2 * k] = u1(packed[k] & 255)
            out[b, 49 + 2 * k] = u1(packed[k] >> 8)
