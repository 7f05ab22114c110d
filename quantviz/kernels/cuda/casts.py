"""Float formats for one weight, as Triton sees them: nearest values, bit patterns, and back.

Floats are made and rounded through their bit patterns, because Triton's interpreter casts bf16 and fp8 wrongly.
"""

from __future__ import annotations

import triton
import triton.language as tl

INF = tl.constexpr(float("inf"))
MAGNITUDE = tl.constexpr(0x7FFFFFFF)
SIGN_BIT = tl.constexpr(-0x80000000)
ROUNDER = tl.constexpr(12582912.0)  # 1.5 · 2^23: adding it to a number below 2^22 rounds that to an integer
MAX_FINITE = tl.constexpr(3.4028234663852886e38)
MAX_FP16 = tl.constexpr(65504.0)
MAX_E4M3 = tl.constexpr(448.0)
MAX_BF16 = tl.constexpr(3.3895313892515355e38)


@triton.jit
def bits_of(v):
    return v.to(tl.int32, bitcast=True)


@triton.jit
def float_of(b):
    return b.to(tl.float32, bitcast=True)


@triton.jit
def rint(v):
    """Nearest integer, ties to even, of |v| below 2^22: what is clipped has to be clipped before."""
    return (v + ROUNDER) - ROUNDER


@triton.jit
def clip(v, low, high):
    return tl.minimum(tl.maximum(v, low), high)


# -- float formats -----------------------------------------------------------------------------


@triton.jit
def in_units(v, MANTISSA: tl.constexpr, EMIN: tl.constexpr):
    """|v| in units of its spacing, rounded to even; and its exponent, biased, at least EMIN."""
    a = bits_of(v) & MAGNITUDE
    exponent = tl.maximum(a >> 23, EMIN)
    return rint(float_of(a) * float_of((254 + MANTISSA - exponent) << 23)), exponent


@triton.jit
def cast(v, MANTISSA: tl.constexpr, EMIN: tl.constexpr, TOP: tl.constexpr):
    """Nearest value of a float format, ties to even, saturating."""
    units, exponent = in_units(v, MANTISSA, EMIN)
    r = tl.minimum(units * float_of((exponent - MANTISSA) << 23), TOP)
    return float_of(bits_of(r) | (bits_of(v) & SIGN_BIT))


@triton.jit
def cast_code(v, K: tl.constexpr):
    """Bit pattern of `cast`: |v| in units of its spacing, plus 2^m for every binade above the lowest."""
    units, exponent = in_units(v, K.mantissa, K.emin)
    code = tl.minimum(units.to(tl.int32) + ((exponent - K.emin) << K.mantissa), K.max_code)
    sign = (bits_of(v) >> 31) & 1
    if not K.negative_zero:
        sign = tl.where(code > 0, sign, 0)
    return code | (sign << (K.bits - 1))


@triton.jit
def code_value(code, K: tl.constexpr):
    """float32 value of a bit pattern."""
    magnitude = code & ((1 << (K.bits - 1)) - 1)
    mantissa = magnitude & ((1 << K.mantissa) - 1)
    field = magnitude >> K.mantissa
    normal = float_of(((field + (K.emin - 1)) << 23) | (mantissa << (23 - K.mantissa)))
    v = tl.where(field > 0, normal, mantissa.to(tl.float32) * K.tiny)
    if K.max_code < (1 << (K.bits - 1)) - 1:
        special = tl.where((magnitude == K.max_code + 1) & K.infinities, INF, float("nan"))
        v = tl.where(magnitude > K.max_code, special, v)
    if not K.negative_zero:
        v = tl.where(code == (1 << (K.bits - 1)), float("nan"), v)
    return float_of(bits_of(v) | ((code >> (K.bits - 1)) << 31))


@triton.jit
def to_bf16(v):
    """Nearest bfloat16, ties to even, saturating: float32's bit pattern rounded at its upper half."""
    b = bits_of(v)
    a = b & MAGNITUDE
    r = tl.minimum((a + 0x7FFF + ((a >> 16) & 1)) & -0x10000, 0x7F7F0000)
    return float_of(r | (b & SIGN_BIT))
