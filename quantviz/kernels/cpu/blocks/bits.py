"""Roundings that GGUF's block types are made of, bit for bit as ggml has them.

Source of the rules: ggml's src/ggml-quants.c and src/ggml-impl.h at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..bits import MAGNITUDE, SIGN_BIT, bits_of, float_of
from ..compiler import inlined

f4, i4, u1 = np.float32, np.int32, np.uint8

_ROUNDER = f4(12582912.0)  # 1.5 · 2^23: added to a small number, it leaves the nearest integer in the mantissa
_HALF_INFINITY, _HALF_NAN = i4(0x7C00), i4(0x7E00)
_SURELY_INFINITE = i4(0x47800000)  # 65536; what lies just below it rounds to infinity by itself
_TWO_TO_112 = f4(2.0**112)


@inlined()
def nearest(v):
    """ggml's nearest_int: ties to even; what lies beyond 2^22 wraps, and NaN gives 0, as it does there."""
    return i4(i4(bits_of(f4(v + _ROUNDER)) & i4(0x7FFFFF)) - i4(0x400000))


@inlined()
def clamp(q, low, high):
    return i4(min(max(q, low), high))


@inlined()
def to_half(v):
    """Bits of the nearest fp16, ties to even; infinity beyond 65504, and -0 stays -0."""
    b = bits_of(v)
    a = i4(b & MAGNITUDE)
    exponent = i4(max(i4(a >> i4(23)), i4(113)))  # fp16's smallest normal is 2^-14
    units = i4(np.rint(f4(float_of(a) * float_of(i4(i4(264) - exponent) << i4(23)))))
    code = i4(units + i4(i4(exponent - i4(113)) << i4(10)))
    code = code if a < _SURELY_INFINITE else (_HALF_INFINITY if a <= i4(0x7F800000) else _HALF_NAN)
    return i4(code | i4(i4(b >> i4(16)) & i4(0x8000)))


@inlined()
def from_half(h):
    """float32 of the fp16 with these bits."""
    a = i4(h & i4(0x7FFF))
    magnitude = f4(float_of(i4(a << i4(13))) * _TWO_TO_112)
    magnitude = magnitude if a < _HALF_INFINITY else float_of(i4(i4(0x7F800000) | i4(i4(a & i4(0x3FF)) << i4(13))))
    return float_of(bits_of(magnitude) | i4(i4(h << i4(16)) & SIGN_BIT))


@inlined()
def put_half(out, at, v):
    """Writes v as fp16 at byte `at`, and gives back what was stored, as float32."""
    h = to_half(v)
    out[at] = u1(h & i4(0xFF))
    out[at + 1] = u1(i4(h >> i4(8)) & i4(0xFF))
    return from_half(h)


@inlined()
def get_half(data, at):
    """float32 of the fp16 at byte `at`."""
    return from_half(i4(i4(data[at]) | i4(i4(data[at + 1]) << i4(8))))
