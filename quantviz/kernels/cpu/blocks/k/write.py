"""Quantizers of q2_k to q6_k: super-blocks of 256 weights, whose groups of 16 or 32 have scales that are codes too.

First every group finds its scale (and minimum), then every super-block rounds these and packs its bytes.
Source of the rules: quantize_row_q2_K_ref … quantize_row_q6_K_impl in ggml's src/ggml-quants.c, commit d99724f2b141.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...compiler import inlined, kernel
from ...once import once
from ..bits import clamp, nearest, put_half
from ..fit import Trials
from .find import (
    ABOVE_RMS,
    GIVEN,
    GIVEN_ABOVE_RMS,
    LANES,
    MAGNITUDE,
    SQUARE,
    SUPER,
    find_by_descent,
    find_symmetric,
    find_with_minimum,
    positive_scales,
    signed_scales,
)
from .pack import pack_2bit, pack_3bit, pack_4bit, pack_6bit, put_scales_3bit, put_scales_6bit

f4, i4, i1, u1 = np.float32, np.int32, np.int8, np.uint8

GROUP_EPSILON = f4(1e-15)
NO_IMPORTANCE = np.zeros((1, SUPER), f4)


@kernel
def by_largest(values, top, codes, unit):
    """Scales of scales without importance: the largest of a super-block gets the code `top`.

    values float32 [batches, groups, batch]; fills codes alike, and unit float32 [batches, batch].
    """
    for g in range(values.shape[0]):
        for b in range(values.shape[2]):
            largest = f4(0)
            for j in range(values.shape[1]):
                largest = values[g, j, b] if values[g, j, b] > largest else largest
            inverse = f4(f4(top) / largest) if largest > f4(0) else f4(0)
            for j in range(values.shape[1]):
                codes[g, j, b] = f4(i4(nearest(f4(inverse * values[g, j, b])) & i4(255)))
            unit[g, b] = f4(largest / f4(top))


def by_fit(values: np.ndarray, total: np.ndarray, top: int, codes: np.ndarray, unit: np.ndarray) -> None:
    """Scales of scales with importance: least squares, a group weighing what its weights weigh together."""
    _, groups, batch = values.shape
    work = np.empty((6, batch), f4)
    for g in range(len(values)):
        positive_scales[groups](values[g], total[g], i4(top), unit[g], codes[g], work)


@once
def pack_with_minimum(bits: int):
    """Kernel: x float32 [blocks, 256], found as `find_with_minimum` leaves it, scales of scales -> out [blocks, bytes].

    scale_codes, min_codes float32 [batches, groups, batch]; d, dmin float32 [batches, batch].
    """
    n = 16 if bits == 2 else 32
    groups, batch = SUPER // n, n * LANES // SUPER
    top = (1 << bits) - 1
    at_d = 80 if bits == 2 else 0

    @kernel
    def run(x, found, scale_codes, min_codes, d, dmin, out):
        codes, sizes, shifts = np.empty(SUPER, i4), np.empty(groups, i4), np.empty(groups, i4)
        for at in range(x.shape[0]):
            block, to, g, b = x[at], out[at], at // batch, at % batch
            unit, min_unit = put_half(to, at_d, d[g, b]), put_half(to, at_d + 2, dmin[g, b])
            for j in range(groups):
                sizes[j], shifts[j] = i4(scale_codes[g, j, b]), i4(min_codes[g, j, b])
                if bits == 2:  # one byte holds both, and what does not fit spills over
                    both = i4(sizes[j] | i4(shifts[j] << i4(4)))
                    to[j] = u1(both & i4(255))
                    sizes[j], shifts[j] = i4(both & i4(15)), i4(i4(both >> i4(4)) & i4(15))
                else:
                    sizes[j], shifts[j] = i4(min(sizes[j], i4(63))), i4(min(shifts[j], i4(63)))
            if bits != 2:
                put_scales_6bit(sizes, shifts, to[4:16])
            for j in range(groups):
                size, shift = f4(unit * f4(sizes[j])), f4(min_unit * f4(shifts[j]))
                values, group = block[j * n : (j + 1) * n], codes[j * n : (j + 1) * n]
                if size != f4(0):
                    for i in range(n):
                        group[i] = clamp(nearest(f4(f4(values[i] + shift) / size)), i4(0), i4(top))
                else:  # the scale came out as nothing: the search's own codes stay
                    factor, low = found[2, g, j * batch + b], found[3, g, j * batch + b]
                    for i in range(n):
                        group[i] = clamp(nearest(f4(factor * f4(values[i] - low))), i4(0), i4(top))
            if bits == 2:
                pack_2bit(codes, to[16:80])
            else:
                pack_4bit(codes, to, bits)

    return run


def with_minimum(bits: int) -> Callable[[np.ndarray, np.ndarray | None, np.ndarray], None]:
    """Quantizer of q2_k, q4_k or q5_k: value = (d · scale) · code - (dmin · minimum)."""
    n = 16 if bits == 2 else 32
    groups, batch = SUPER // n, n * LANES // SUPER
    scale_top = 15 if bits == 2 else 63
    plain_rule = MAGNITUDE if bits == 2 else ABOVE_RMS
    plain_trials = (-1.0, 0.1, 20) if bits == 4 else (-0.5, 0.1, 15)  # first, step, steps

    def quantize(x: np.ndarray, importance: np.ndarray | None, out: np.ndarray) -> None:
        weighted = importance is not None
        rule, (first, step, steps) = (GIVEN_ABOVE_RMS, (-0.9, 0.05, 36)) if weighted else (plain_rule, plain_trials)
        given = importance if weighted else NO_IMPORTANCE
        batches = -(-len(x) // batch)
        found = np.empty((5, batches, LANES), f4)
        trials = Trials(i4((1 << bits) - 1), f4(first), f4(step), steps, bits == 2 and not weighted)
        find_with_minimum(x, given, n, rule, 1 if bits == 2 else 2, trials, found)
        scales, mins, _, _, total = found.reshape(5, batches, groups, batch)
        codes, units = np.empty((2, batches, groups, batch), f4), np.empty((2, batches, batch), f4)
        for values, code, unit in zip((scales, mins), codes, units, strict=True):
            if weighted:
                by_fit(values, total, scale_top, code, unit)
            else:
                by_largest(values, scale_top, code, unit)
        pack_with_minimum(bits)(x, found, *codes, *units, out)

    return quantize


@inlined()
def first_largest(scales):
    """The first scale of largest magnitude, with its sign, and 0 where there is none."""
    largest, peak = f4(0), f4(0)
    for j in range(scales.shape[0]):
        a = f4(abs(scales[j]))
        peak = scales[j] if a > largest else peak
        largest = a if a > largest else largest
    return peak


@inlined()
def round_codes(values, size, top, codes):
    for i in range(values.shape[0]):
        codes[i] = i4(clamp(nearest(f4(values[i] / size)), i4(-top), i4(top - 1)) + i4(top))


@kernel
def pack_q3_k(x, scales, kept, d, d_factor, fitted, out):
    """scales float32 [batches, 16, batch]; kept float32 [batches, 16, LANES], codes without offset of a vanished scale.

    fitted: d float32 [batches, batch] and the factor of its codes are given; if not, the largest scale makes them.
    """
    batch = scales.shape[2]
    codes, sizes = np.empty(SUPER, i4), np.empty(16, i4)
    for at in range(x.shape[0]):
        block, to, g, b = x[at], out[at], at // batch, at % batch
        if fitted:
            inverse, unit = d_factor[g, b], d[g, b]
            zeros = inverse == f4(0)
        else:
            peak = first_largest(scales[g, :, b])
            zeros = peak == f4(0)
            inverse = f4(f4(-32) / peak)  # 0 for an infinite scale, whose d is then infinite too
            unit = f4(0) if zeros else f4(f4(1) / inverse)
        unit = put_half(to, 108, unit)
        for j in range(16):
            q = nearest(f4(inverse * scales[g, j, b]))
            q = q if fitted else i4(i1(q & i4(255)))  # without importance it passes through a byte
            sizes[j] = i4(-32) if zeros else clamp(q, i4(-32), i4(31))
        for j in range(16):
            size = f4(unit * f4(sizes[j]))
            values, group = block[j * 16 : (j + 1) * 16], codes[j * 16 : (j + 1) * 16]
            if size != f4(0):
                round_codes(values, size, 4, group)
            else:
                for i in range(16):
                    group[i] = i4(i4(kept[g, i, j * batch + b]) + i4(4))
        put_scales_3bit(sizes, to[96:108])
        pack_3bit(codes, to)


def quantize_q3_k(x: np.ndarray, importance: np.ndarray | None, out: np.ndarray) -> None:
    """Quantizer of q3_k: value = (d · scale) · (code - 4)."""
    batch = 16 * LANES // SUPER
    batches = -(-len(x) // batch)
    kept = np.empty((batches, 16, LANES), f4)
    d, d_factor = np.zeros((2, batches, batch), f4)
    if importance is None:
        scales = np.empty((batches, LANES), f4)
        find_by_descent(x, 4, scales, kept)
    else:
        found = np.empty((3, batches, LANES), f4)
        find_symmetric(x, importance, GIVEN_ABOVE_RMS, 4, found)
        scales, factor, total = found
        keep_codes(x, factor, kept)
        work = np.empty((6, batch), f4)
        for g in range(batches):
            values, sums = scales[g].reshape(16, batch), total[g].reshape(16, batch)
            signed_scales(values, sums, i4(32), d[g], d_factor[g], work)
    pack_q3_k(x, scales.reshape(batches, 16, batch), kept, d, d_factor, importance is not None, out)


@kernel
def keep_codes(x, factor, kept):
    """Codes without offset of q3_k's search with importance, laid out as `find_by_descent` lays out its own."""
    for at in range(x.shape[0]):
        block, g, b = x[at], at // 4, at % 4
        for j in range(16):
            k = j * 4 + b
            for i in range(16):
                q = clamp(nearest(f4(factor[g, k] * block[j * 16 + i])), i4(-4), i4(3))
                kept[g, i, k] = f4(q if factor[g, k] != f4(0) else i4(-4))


@kernel
def pack_q6_k(x, scales, factor, out):
    """scales float32 [batches, 16, batch], factor float32 [batches, LANES]."""
    batch = scales.shape[2]
    codes, sizes = np.empty(SUPER, i4), np.empty(16, i4)
    for at in range(x.shape[0]):
        block, to, g, b = x[at], out[at], at // batch, at % batch
        peak = first_largest(scales[g, :, b])
        if f4(abs(peak)) < GROUP_EPSILON:
            to[:] = u1(0)
            continue
        inverse = f4(f4(-128) / peak)
        unit = put_half(to, 208, f4(f4(1) / inverse))
        for j in range(16):
            sizes[j] = i4(i1(i4(min(nearest(f4(inverse * scales[g, j, b])), i4(127))) & i4(255)))
            to[192 + j] = u1(sizes[j] & i4(255))
        for j in range(16):
            size, trial = f4(unit * f4(sizes[j])), factor[g, j * batch + b]
            values, group = block[j * 16 : (j + 1) * 16], codes[j * 16 : (j + 1) * 16]
            if size != f4(0):
                round_codes(values, size, 32, group)
            else:
                for i in range(16):
                    q = clamp(nearest(f4(trial * values[i])), i4(-32), i4(31))
                    group[i] = i4(q + i4(32)) if trial != f4(0) else i4(0)
        pack_6bit(codes, to)


def quantize_q6_k(x: np.ndarray, importance: np.ndarray | None, out: np.ndarray) -> None:
    """Quantizer of q6_k: value = (d · scale) · (code - 32)."""
    batch = 16 * LANES // SUPER
    batches = -(-len(x) // batch)
    found = np.empty((3, batches, LANES), f4)
    given, rule = (NO_IMPORTANCE, SQUARE) if importance is None else (importance, GIVEN)
    find_symmetric(x, given, rule, 32, found)
    pack_q6_k(x, found[0].reshape(batches, 16, batch), found[1], out)
