"""iq4_nl and iq4_xs: sixteen uneven levels, and a search among sixteen scales a block, on all of them at once.

Follows quantize_row_iq4_nl_impl of ggml (ggml-quants.c at d99724f2b141): every sum runs over a block's weights in their
order, in float32, unfused. The candidate scales have a lane each, so that the order of every one's sum is kept.
"""

from __future__ import annotations

import numpy as np

from .....block_types.iq_grids import uneven_levels
from ...compiler import inlined, kernel
from ..bits import clamp, get_half, nearest, put_half

f4, i4, u1 = np.float32, np.int32, np.uint8

TRIES = 7  # candidates either side of the scale that puts the largest weight on the lowest level
LANES = 16  # the first guess and 2·7 + 1 tries
TOO_SMALL = f4(1e-15)
LEVELS = np.array(uneven_levels(), f4)
LOWEST = LEVELS[0]
# ggml takes the upper of two levels unless x - lower < upper - x in float32, which is exact near a midpoint. NaN, of
# sums beyond float32, so gets the highest.
MIDPOINTS = (LEVELS[1:] + LEVELS[:-1]) / f4(2)
STEPS = np.diff(LEVELS)


@inlined()
def _sums(x, weight, inverse, along, square):
    """Σ w·q·x and Σ w·q·q over 32 weights, for all candidates."""
    for t in range(LANES):
        along[t] = f4(0)
        square[t] = f4(0)
    for j in range(32):
        v, w = x[j], weight[j]
        for t in range(LANES):
            scaled = f4(inverse[t] * v)
            q = LOWEST
            for k in range(15):
                q = f4(q + (f4(0) if scaled < MIDPOINTS[k] else STEPS[k]))
            wq = f4(w * q)
            along[t] = f4(along[t] + f4(wq * v))
            square[t] = f4(square[t] + f4(wq * q))


@inlined()
def _best_scale(x, weight, inverse, along, square):
    """The scale whose nearest levels give the least weighted squared error; 0 for a block of next to nothing."""
    largest, signed = f4(0), f4(0)
    for j in range(32):
        if abs(x[j]) > largest:
            largest, signed = abs(x[j]), x[j]
    if largest < TOO_SMALL:
        return f4(0)
    inverse[0] = f4(f4(1) / f4(-signed / LOWEST))
    for t in range(1, LANES):
        inverse[t] = f4(f4(f4(t - 1 - TRIES) + LOWEST) / signed)
    _sums(x, weight, inverse, along, square)
    scale = f4(along[0] / square[0]) if square[0] > f4(0) else f4(0)
    best = f4(scale * along[0])
    for t in range(1, LANES):
        if square[t] > f4(0) and f4(along[t] * along[t]) > f4(best * square[t]):
            scale = f4(along[t] / square[t])
            best = f4(scale * along[t])
    return scale


@inlined()
def _weigh(x, importance, weighted, sigma2, weight):
    for j in range(32):
        square = f4(x[j] * x[j])
        weight[j] = f4(importance[j] * f4(np.sqrt(f4(sigma2 + square)))) if weighted else square


@inlined()
def _mean_square_twice(x):
    total = f4(0)
    for j in range(x.shape[0]):
        total = f4(total + f4(x[j] * x[j]))
    return f4(total * f4(f4(2) / f4(x.shape[0])))


@inlined()
def _put_codes(x, scale, codes, out):
    """32 weights as 16 bytes: the first sixteen in the low halves, the others in the high ones."""
    inverse = f4(f4(1) / scale) if scale != f4(0) else f4(0)
    for j in range(32):
        scaled, code = f4(inverse * x[j]), i4(0)
        for k in range(15):
            code = i4(code + i4(0 if scaled < MIDPOINTS[k] else 1))
        codes[j] = code
    for j in range(16):
        out[j] = u1(i4(codes[j] | i4(codes[j + 16] << i4(4))))


@kernel
def quantize_iq4_nl(x, importance, out):
    """x float32 [blocks, 32] -> out uint8 [blocks, 18]; importance [blocks a row, 32], or [0, 32] for none."""
    weight, codes = np.empty(32, f4), np.empty(32, i4)
    inverse, along, square = np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4)
    weighted, repeat = importance.shape[0] > 0, max(importance.shape[0], 1)
    for b in range(x.shape[0]):
        given = importance[b % repeat] if weighted else x[b]
        _weigh(x[b], given, weighted, _mean_square_twice(x[b]), weight)
        scale = _best_scale(x[b], weight, inverse, along, square)
        put_half(out[b], 0, scale)
        _put_codes(x[b], scale, codes, out[b, 2:])


@kernel
def quantize_iq4_xs(x, importance, out):
    """x float32 [blocks, 256] -> out uint8 [blocks, 136]; importance [blocks a row, 256], or [0, 256] for none."""
    weight, codes, scales = np.empty(32, f4), np.empty(32, i4), np.empty(8, f4)
    inverse, along, square = np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4)
    weighted, repeat = importance.shape[0] > 0, max(importance.shape[0], 1)
    for b in range(x.shape[0]):
        sigma2, widest = _mean_square_twice(x[b]), f4(0)
        for g in range(8):
            xs = x[b, 32 * g : 32 * g + 32]
            given = importance[b % repeat, 32 * g : 32 * g + 32] if weighted else xs
            _weigh(xs, given, weighted, sigma2, weight)
            scales[g] = _best_scale(xs, weight, inverse, along, square)
            widest = scales[g] if abs(scales[g]) > abs(widest) else widest
        d = f4(-widest / f4(32))
        inverse_d = f4(f4(1) / d) if d != f4(0) else f4(0)
        put_half(out[b], 0, d)
        out[b, 2:8] = u1(0)
        for g in range(8):
            factor = clamp(nearest(f4(inverse_d * scales[g])), i4(-32), i4(31))
            _put_codes(x[b, 32 * g : 32 * g + 32], f4(d * f4(factor)), codes, out[b, 8 + 16 * g : 24 + 16 * g])
            stored = factor + 32
            out[b, 2 + g // 4] |= u1(stored >> 4 << 2 * (g % 4))
            out[b, 4 + g // 2] |= u1((stored & 15) << 4 * (g % 2))


@inlined()
def _spread(packed, scale, y):
    for j in range(16):
        y[j] = f4(scale * LEVELS[packed[j] & u1(15)])
        y[j + 16] = f4(scale * LEVELS[packed[j] >> u1(4)])


@kernel
def dequantize_iq4_nl(data, y):
    """data uint8 [blocks, 18] -> y float32 [blocks, 32]."""
    for b in range(data.shape[0]):
        _spread(data[b, 2:], get_half(data[b], 0), y[b])


@kernel
def dequantize_iq4_xs(data, y):
    """data uint8 [blocks, 136] -> y float32 [blocks, 256]."""
    for b in range(data.shape[0]):
        d = get_half(data[b], 0)
        for g in range(8):
            low = (data[b, 4 + g // 2] >> 4 * (g % 2)) & 15
            high = (data[b, 2 + g // 4] >> 2 * (g % 4)) & 3
            scale = f4(d * f4(i4((low | high << 4) - 32)))
            _spread(data[b, 8 + 16 * g : 24 + 16 * g], scale, y[b, 32 * g : 32 * g + 32])
