"""Kernels that write q4_0, q4_1, q5_0, q5_1 and q8_0, bytes as ggml does; cpu.blocks_simple names the source.

A program takes `COUNT` blocks of 32 weights as two halves, [COUNT, 16] each, because a byte holds weight j and j + 16.
Whatever decides a code is done without fusing, so kernels are launched with enable_fp_fusion=False.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..casts import INF, MAGNITUDE, bits_of, float_of, rint
from ..tiles import read


@triton.jit
def to_half(v):
    """Bits of the nearest fp16, ties to even; infinity beyond 65504, and -0 stays -0."""
    b = bits_of(v)
    a = b & MAGNITUDE
    exponent = tl.maximum(a >> 23, 113)  # fp16's smallest normal is 2^-14
    finite = tl.minimum(a, 0x47800000)  # 65536: what is larger is infinite, and would not fit below
    exponent = tl.minimum(exponent, 143)
    code = rint(float_of(finite) * float_of((264 - exponent) << 23)).to(tl.int32) + ((exponent - 113) << 10)
    code = tl.where(a < 0x47800000, code, tl.where(a <= 0x7F800000, 0x7C00, 0x7E00))
    return code | ((b >> 16) & 0x8000)


@triton.jit
def put_half(out, at, v, here):
    """Writes v as fp16 at byte `at` of every block."""
    h = to_half(v)
    tl.store(out + at, (h & 0xFF).to(tl.uint8), mask=here)
    tl.store(out + at + 1, ((h >> 8) & 0xFF).to(tl.uint8), mask=here)


@triton.jit
def first_of(a, c, found_a, found_c):
    """The first weight of each block for which `found` holds."""
    j = tl.arange(0, 16)[None, :]
    place = tl.minimum(tl.min(tl.where(found_a, j, 99), 1), tl.min(tl.where(found_c, j + 16, 99), 1))[:, None]
    bits = tl.sum(tl.where(j == place, bits_of(a), 0) + tl.where(j + 16 == place, bits_of(c), 0), 1)
    return float_of(bits)


@triton.jit
def reciprocal(d):
    return tl.where(d != 0, tl.div_rn(1.0, tl.where(d != 0, d, 1.0)), 0.0)


@triton.jit
def codes_of(v, low, factor, offset, TOP: tl.constexpr):
    """⌊(v - low) · factor + offset⌋ within 0 and TOP."""
    position = (v - low[:, None]) * factor[:, None] + offset[:, None]
    return tl.minimum(tl.maximum(position, 0.0), TOP * 1.0).to(tl.int32)


@triton.jit
def round_away(v):
    """C's roundf: half away from zero."""
    whole = v.to(tl.int32)
    rest = v - whole.to(tl.float32)
    return whole + (rest >= 0.5).to(tl.int32) - (rest <= -0.5).to(tl.int32)


@triton.jit
def quantize_blocks_kernel(
    x, out, blocks, NAME: tl.constexpr, BITS: tl.constexpr, NBYTES: tl.constexpr, BF16: tl.constexpr,
    COUNT: tl.constexpr,
):  # fmt: skip
    """x [blocks, 32] -> out uint8 [blocks, NBYTES]; NAME is "centred", "minimum" or "q8_0"."""
    b = tl.program_id(0) * COUNT + tl.arange(0, COUNT)
    here = b < blocks
    j = tl.arange(0, 16)[None, :]
    offset, valid = b.to(tl.int64)[:, None] * 32 + j, here[:, None] & (j >= 0)
    a, c = read(x, offset, valid, BF16), read(x, offset + 16, valid, BF16)
    to = out + b.to(tl.int64) * NBYTES
    if NAME == "q8_0":
        d = tl.div_rn(tl.maximum(tl.max(tl.abs(a), 1), tl.max(tl.abs(c), 1)), 127.0)
        factor = reciprocal(d)
        factor = tl.where(factor == INF, 0.0, factor)
        put_half(to, 0, d, here)
        tl.store(to[:, None] + 2 + j, round_away(a * factor[:, None]).to(tl.uint8), mask=valid)
        tl.store(to[:, None] + 18 + j, round_away(c * factor[:, None]).to(tl.uint8), mask=valid)
    else:
        low = tl.minimum(tl.min(a, 1), tl.min(c, 1))
        high = tl.maximum(tl.max(a, 1), tl.max(c, 1))
        if NAME == "centred":
            # d comes from the first weight of largest magnitude, with its sign.
            largest = tl.maximum(-low, high)[:, None]
            peak = first_of(a, c, tl.abs(a) == largest, tl.abs(c) == largest) + 0.0  # -0 becomes +0
            d = tl.div_rn(peak, -1.0 * (1 << (BITS - 1)))
            factor = reciprocal(d)
            lost = tl.abs(factor) == INF
            factor, rounding = tl.where(lost, 0.0, factor), tl.where(lost, 0.0, (1 << (BITS - 1)) + 0.5)
            from_low = low * 0
        else:
            # Of two zeros the first counts, as in a chain of comparisons.
            low = tl.where(low == 0, first_of(a, c, a == 0, c == 0), low)
            d = tl.div_rn(tl.abs(high - low), (1 << BITS) - 1.0)  # of two zeros never -0
            factor = reciprocal(d)
            put_half(to, 2, low, here)
            lost = (factor == INF) | (d == INF)
            from_low, factor, rounding = tl.where(lost, 0.0, low), tl.where(lost, 0.0, factor), low * 0 + 0.5
        put_half(to, 0, d, here)
        first = codes_of(a, from_low, factor, rounding, (1 << BITS) - 1)
        second = codes_of(c, from_low, factor, rounding, (1 << BITS) - 1)
        tl.store(to[:, None] + NBYTES - 16 + j, ((first & 15) | ((second & 15) << 4)).to(tl.uint8), mask=valid)
        if BITS == 5:
            fifth = tl.sum(((first >> 4) << j) + ((second >> 4) << (j + 16)), 1)[:, None]
            k = tl.arange(0, 4)[None, :]
            tl.store(to[:, None] + NBYTES - 20 + k, ((fifth >> (8 * k)) & 255).to(tl.uint8), mask=here[:, None])
