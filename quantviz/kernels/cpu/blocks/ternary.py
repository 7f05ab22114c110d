"""q1_0, q2_0, tq1_0 and tq2_0: one scale, and codes that are signs or nearly so.

Source of the rules: quantize_row_{q1_0,q2_0,tq1_0,tq2_0}_ref and their inverses in ggml's src/ggml-quants.c,
commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..bits import float_of
from ..compiler import inlined, kernel
from .bits import clamp, get_half, put_half
from .plain import HUGE, largest_bits, round_away

f4, i4, u1 = np.float32, np.int32, np.uint8

SUPER = 256
# tq1_0 counts in base 3, five trits a byte: (first weight, weights a trit apart, first byte) of its two stretches.
STRETCHES = ((0, 32, 0), (160, 16, 32))


@kernel
def quantize_q1_0(x, out):
    """d is the mean magnitude, added up in order; a bit says whether a weight is at least 0."""
    for b in range(x.shape[0]):
        block, to = x[b], out[b]
        total = f4(0)
        for j in range(128):
            total = f4(total + f4(abs(block[j])))
        put_half(to, 0, f4(total / f4(128)))
        qs = to[2:18]
        for j in range(16):
            signs, mask = block[8 * j : 8 * j + 8], i4(0)
            for k in range(8):
                mask = i4(mask | i4(i4(signs[k] >= f4(0)) << i4(k)))
            qs[j] = u1(mask)


@kernel
def dequantize_q1_0(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, qs = get_half(block, 0), block[2:18]
        for j in range(16):
            signs, mask = to[8 * j : 8 * j + 8], i4(qs[j])
            for k in range(8):
                signs[k] = d if i4(i4(mask >> i4(k)) & i4(1)) != i4(0) else -d


@inlined()
def put_absmax(block, n, out, at):
    """Stores the largest magnitude and gives its reciprocal, 0 for zeros."""
    d = float_of(largest_bits(block, n))
    put_half(out, at, d)
    return f4(f4(1) / d) if d > f4(0) else f4(0)


@kernel
def quantize_q2_0(x, out):
    codes = np.empty(64, i4)
    for b in range(x.shape[0]):
        block, to = x[b], out[b]
        factor = put_absmax(block, 64, to, 0)
        lost = factor == HUGE  # every cast then ends below the smallest code
        factor = f4(0) if lost else factor
        one = i4(0) if lost else i4(1)
        for j in range(64):
            codes[j] = clamp(i4(round_away(f4(block[j] * factor)) + one), i4(0), i4(3))
        qs = to[2:18]
        for j in range(16):
            low = i4(codes[4 * j] | i4(codes[4 * j + 1] << i4(2)))
            qs[j] = u1(low | i4(i4(codes[4 * j + 2] << i4(4)) | i4(codes[4 * j + 3] << i4(6))))


@kernel
def dequantize_q2_0(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, qs = get_half(block, 0), block[2:18]
        for j in range(64):
            q = i4(i4(i4(qs[j >> 2]) >> i4(2 * (j & 3))) & i4(3))
            to[j] = f4(f4(i4(q - i4(1))) * d)


@inlined()
def trits(block, factor, codes):
    """256 weights -> 0, 1 or 2."""
    factor = f4(0) if factor == HUGE else factor
    for j in range(SUPER):
        codes[j] = i4(round_away(f4(block[j] * factor)) + i4(1))


@inlined()
def as_fraction(q):
    """Five trits, first most significant, as ⌈q · 256 / 243⌉: multiplying by 3 brings the next trit above the byte."""
    return u1(i4(i4(q * i4(256)) + i4(242)) // i4(243))


@kernel
def quantize_tq1_0(x, out):
    codes = np.empty(SUPER, i4)
    for b in range(x.shape[0]):
        to = out[b]
        trits(x[b], put_absmax(x[b], SUPER, to, 52), codes)
        for first, width, at in STRETCHES:
            c, qs = codes[first : first + 5 * width], to[at : at + width]
            for m in range(width):
                q = i4(0)
                for k in range(5):
                    q = i4(i4(q * i4(3)) + c[m + k * width])
                qs[m] = as_fraction(q)
        for m in range(4):  # the last bytes hold four trits each
            q = i4(0)
            for k in range(4):
                q = i4(i4(q * i4(3)) + codes[240 + m + 4 * k])
            to[48 + m] = as_fraction(i4(q * i4(3)))


@inlined()
def trit(byte, power):
    """The trit that multiplying by this power of 3 brings above the byte."""
    return i4(i4(i4(i4(byte * power) & i4(255)) * i4(3)) >> i4(8))


@kernel
def dequantize_tq1_0(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d = get_half(block, 52)
        for first, width, at in STRETCHES:
            qs = block[at : at + width]
            power = i4(1)
            for k in range(5):
                values = to[first + k * width : first + (k + 1) * width]
                for m in range(width):
                    values[m] = f4(f4(i4(trit(i4(qs[m]), power) - i4(1))) * d)
                power = i4(power * i4(3))
        power = i4(1)
        for k in range(4):
            for m in range(4):
                to[240 + 4 * k + m] = f4(f4(i4(trit(i4(block[48 + m]), power) - i4(1))) * d)
            power = i4(power * i4(3))


@kernel
def quantize_tq2_0(x, out):
    codes = np.empty(SUPER, i4)
    for b in range(x.shape[0]):
        to = out[b]
        trits(x[b], put_absmax(x[b], SUPER, to, 64), codes)
        for h in range(2):
            c, qs = codes[h * 128 : (h + 1) * 128], to[h * 32 : (h + 1) * 32]
            for m in range(32):
                low = i4(c[m] | i4(c[m + 32] << i4(2)))
                qs[m] = u1(low | i4(i4(c[m + 64] << i4(4)) | i4(c[m + 96] << i4(6))))


@kernel
def dequantize_tq2_0(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d = get_half(block, 64)
        for h in range(2):
            qs = block[h * 32 : (h + 1) * 32]
            for k in range(4):
                values = to[h * 128 + k * 32 : h * 128 + (k + 1) * 32]
                for m in range(32):
                    q = i4(i4(i4(qs[m]) >> i4(2 * k)) & i4(3))
                    values[m] = f4(f4(i4(q - i4(1))) * d)
