"""q4_0, q4_1, q5_0, q5_1 and q8_0: one or two fp16 numbers and 32 codes, the codes by plain rounding.

A factor that is infinite (a scale below 2^-128) or a range beyond float32 leaves nothing but code 0: C promises nothing
for such casts, and on x86 ggml gets 0.
Source of the rules: quantize_row_q*_ref and dequantize_row_q* in ggml's src/ggml-quants.c, commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..bits import MAGNITUDE, SIGN_BIT, bits_of, float_of
from ..compiler import inlined, kernel
from ..once import once
from .bits import clamp, get_half, put_half

f4, i4, u1 = np.float32, np.int32, np.uint8

BLOCK = 32
HUGE = f4(np.inf)


@inlined()
def largest_bits(x, n):
    """Bit pattern of the largest magnitude: patterns order as magnitudes do, and integer maxima vectorise."""
    top = i4(0)
    for j in range(n):
        top = max(top, i4(bits_of(x[j]) & MAGNITUDE))
    return top


@inlined()
def peak(x, n):
    """The first weight of largest magnitude, with its sign; +0 where all are zero."""
    above, below = SIGN_BIT, SIGN_BIT  # patterns of the largest weight and of minus the smallest
    for j in range(n):
        b = bits_of(x[j])
        above, below = max(above, b), max(below, i4(b ^ SIGN_BIT))
    if above == below:
        for j in range(n):
            if i4(bits_of(x[j]) & MAGNITUDE) == above:
                return f4(x[j] + f4(0))  # -0 becomes +0
    return f4((float_of(above) if above > below else -float_of(below)) + f4(0))


@inlined()
def ordered(v):
    """An integer that orders as floats do, with -0 just below +0; its own inverse."""
    b = bits_of(v)
    return i4(b ^ i4(i4(b >> i4(31)) & MAGNITUDE))


@inlined()
def smallest_and_largest(x, n):
    """Of two zeros the first counts, as in a chain of comparisons."""
    low, high = i4(0x7FFFFFFF), i4(-0x80000000)
    for j in range(n):
        o = ordered(x[j])
        low, high = min(low, o), max(high, o)
    if low == i4(0) or low == i4(-1):
        for j in range(n):
            if x[j] == f4(0):
                return x[j], float_of(i4(high ^ i4(i4(high >> i4(31)) & MAGNITUDE)))
    return (
        float_of(i4(low ^ i4(i4(low >> i4(31)) & MAGNITUDE))),
        float_of(i4(high ^ i4(i4(high >> i4(31)) & MAGNITUDE))),
    )


@inlined()
def reciprocal(d):
    return f4(f4(1) / d) if d != f4(0) else f4(0)


@inlined()
def centred_scale(largest, half):
    """d, what to multiply by and what to add before rounding down; `largest` is a group's weight of that magnitude."""
    d = f4(largest / f4(-half))
    factor = reciprocal(d)
    lost = abs(factor) == HUGE
    return d, f4(0) if lost else factor, f4(0) if lost else f4(half + f4(0.5))


@inlined()
def range_scale(low, high, top):
    """d, what to multiply by and what to take off first."""
    d = f4(f4(high - low) / f4(top))
    factor = reciprocal(d)
    lost = factor == HUGE or d == HUGE
    return d, f4(0) if lost else factor, f4(0) if lost else low


@inlined()
def byte_scale(largest):
    """d and what to multiply by."""
    d = f4(largest / f4(127))
    factor = reciprocal(d)
    return d, f4(0) if factor == HUGE else factor


@inlined()
def put_codes(bits, block, low, factor, offset, out, at):
    """Codes ⌊(x - low) · factor + offset⌋ at byte `at`, a fifth bit in the four bytes before.

    Clamping from below changes nothing; but with a body this large the loop is vectorised, and not unrolled.
    """
    top, fifth = i4((1 << bits) - 1), i4(0)
    qs = out[at : at + 16]
    for j in range(16):
        a = clamp(i4(f4(f4(f4(block[j] - low) * factor) + offset)), i4(0), top)
        c = clamp(i4(f4(f4(f4(block[j + 16] - low) * factor) + offset)), i4(0), top)
        qs[j] = u1(i4(a & i4(15)) | i4(i4(c & i4(15)) << i4(4)))
        if bits == 5:
            fifth = i4(fifth | i4(i4(i4(a >> i4(4)) << i4(j)) | i4(i4(c >> i4(4)) << i4(j + 16))))
    if bits == 5:
        for j in range(4):
            out[at - 4 + j] = u1(i4(fifth >> i4(8 * j)) & i4(255))


@once
def centred(bits: int):
    """Kernel for q4_0 and q5_0: value = d · (code - half), d from the weight of largest magnitude, with its sign."""
    half = 1 << (bits - 1)

    @kernel
    def run(x, out):
        for b in range(x.shape[0]):
            block, to = x[b], out[b]
            d, factor, offset = centred_scale(peak(block, BLOCK), f4(half))
            put_half(to, 0, d)
            put_codes(bits, block, f4(0), factor, offset, to, 2 if bits == 4 else 6)

    return run


@once
def from_minimum(bits: int):
    """Kernel for q4_1 and q5_1: value = d · code + m, d the range over the largest code and m the smallest weight."""
    top = (1 << bits) - 1

    @kernel
    def run(x, out):
        for b in range(x.shape[0]):
            block, to = x[b], out[b]
            low, high = smallest_and_largest(block, BLOCK)
            d, factor, base = range_scale(low, high, f4(top))
            put_half(to, 0, d)
            put_half(to, 2, low)
            put_codes(bits, block, base, factor, f4(0.5), to, 4 if bits == 4 else 8)

    return run


@inlined()
def round_away(v):
    """C's roundf as an integer, for |v| below 2^31: half away from zero."""
    whole = i4(v)
    rest = f4(v - f4(whole))
    return i4(whole + i4(i4(rest >= f4(0.5)) - i4(rest <= f4(-0.5))))


@kernel
def quantize_q8_0(x, out):
    for b in range(x.shape[0]):
        block, to = x[b], out[b]
        d, factor = byte_scale(float_of(largest_bits(block, BLOCK)))
        put_half(to, 0, d)
        qs = to[2:34]
        for j in range(BLOCK):
            qs[j] = u1(round_away(f4(block[j] * factor)) & i4(255))


@once
def read_nibbles(bits: int, minimum: bool):
    """Dequantizer of q4_0 and q5_0, or with minimum of q4_1 and q5_1."""
    half = 0 if minimum else 1 << (bits - 1)
    at_codes = (4 if minimum else 2) + (4 if bits == 5 else 0)

    @kernel
    def run(data, out):
        for b in range(data.shape[0]):
            block, to = data[b], out[b]
            d = get_half(block, 0)
            m = get_half(block, 2) if minimum else f4(0)
            qs = block[at_codes : at_codes + 16]
            fifth = i4(0)
            if bits == 5:
                for j in range(4):
                    fifth = i4(fifth | i4(i4(block[at_codes - 4 + j]) << i4(8 * j)))
            low, high = to[:16], to[16:32]
            for j in range(16):
                a, c = i4(i4(qs[j]) & i4(15)), i4(i4(qs[j]) >> i4(4))
                if bits == 5:
                    a = i4(a | i4(i4(i4(fifth >> i4(j)) & i4(1)) << i4(4)))
                    c = i4(c | i4(i4(i4(fifth >> i4(j + 16)) & i4(1)) << i4(4)))
                if minimum:
                    low[j] = f4(f4(f4(a) * d) + m)
                    high[j] = f4(f4(f4(c) * d) + m)
                else:
                    low[j] = f4(f4(i4(a - i4(half))) * d)
                    high[j] = f4(f4(i4(c - i4(half))) * d)

    return run


@kernel
def dequantize_q8_0(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, qs = get_half(block, 0), block[2:34]
        for j in range(BLOCK):
            to[j] = f4(f4(np.int8(qs[j])) * d)
