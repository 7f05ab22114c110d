"""Nearest values and bit patterns of float formats, and levels of a table, compiled."""

from __future__ import annotations

import numpy as np

from ..bits import MAGNITUDE, SIGN_BIT, bits_of, float_of
from ..compiler import inlined
from .constants import STORE_BF16, STORE_E4M3, STORE_FP16
from .packed import MAX_FP16

f4, i4 = np.float32, np.int32
MAX_FINITE = f4(np.finfo(np.float32).max)
MAX_E4M3 = f4(448)
MAX_BF16 = f4(3.3895313892515355e38)


@inlined()
def pick(u, thresholds, values):
    """values[number of thresholds below u]. Spelled out, because only then does it become selects in registers.

    Without thresholds, where no code book is, a number all the same, that the compiler sees a type.
    """
    if thresholds is None:
        return u
    v = values[0]
    v = values[1] if u > thresholds[0] else v
    v = values[2] if u > thresholds[1] else v
    v = values[3] if u > thresholds[2] else v
    v = values[4] if u > thresholds[3] else v
    v = values[5] if u > thresholds[4] else v
    v = values[6] if u > thresholds[5] else v
    v = values[7] if u > thresholds[6] else v
    v = values[8] if u > thresholds[7] else v
    v = values[9] if u > thresholds[8] else v
    v = values[10] if u > thresholds[9] else v
    v = values[11] if u > thresholds[10] else v
    v = values[12] if u > thresholds[11] else v
    v = values[13] if u > thresholds[12] else v
    v = values[14] if u > thresholds[13] else v
    v = values[15] if u > thresholds[14] else v
    return v


@inlined()
def cast(v, mantissa, emin, top):
    """Nearest value of a float format, ties to even, saturating: |v| rounded to a multiple of its spacing."""
    b = bits_of(v)
    a = i4(b & MAGNITUDE)
    exponent = i4(max(i4(a >> i4(23)), emin))
    per_spacing = float_of(i4(i4(254) + mantissa - exponent) << i4(23))
    spacing = float_of(i4(exponent - mantissa) << i4(23))
    r = f4(min(f4(np.rint(float_of(a) * per_spacing) * spacing), top))
    return float_of(bits_of(r) | i4(b & SIGN_BIT))


@inlined()
def cast_code(v, mantissa, emin, max_code, bits):
    """Bit pattern of `cast`: |v| in units of its spacing, plus 2^m for every binade above the lowest."""
    b = bits_of(v)
    a = i4(b & MAGNITUDE)
    exponent = i4(max(i4(a >> i4(23)), emin))
    per_spacing = float_of(i4(i4(254) + mantissa - exponent) << i4(23))
    units = i4(np.rint(float_of(a) * per_spacing))
    code = i4(min(i4(units + i4(i4(exponent - emin) << mantissa)), max_code))
    return i4(code | i4(i4(i4(b >> i4(31)) & i4(1)) << i4(bits - i4(1))))


@inlined()
def to_bf16(v):
    """Nearest bfloat16, ties to even, saturating: float32's bit pattern rounded at its upper half."""
    b = bits_of(v)
    a = i4(b & MAGNITUDE)
    odd = i4(i4(a >> i4(16)) & i4(1))
    r = i4(min(i4(i4(a + i4(0x7FFF) + odd) & i4(-0x10000)), i4(0x7F7F0000)))
    return float_of(r | i4(b & SIGN_BIT))


@inlined()
def store(v, kind):
    """A scale (or minimum) rounded to the type it is stored in, saturating.

    What is not finite stays so: it makes weights that are not, which are refused.
    """
    if kind == STORE_FP16 and abs(v) <= MAX_FINITE:
        return cast(v, i4(10), i4(113), MAX_FP16)
    if kind == STORE_BF16 and abs(v) <= MAX_FINITE:
        return to_bf16(v)
    if kind == STORE_E4M3 and abs(v) <= MAX_FINITE:
        return cast(v, i4(3), i4(121), MAX_E4M3)
    return f4(v)


@inlined()
def half_a_step_past(k):
    """A float format's largest value and half the spacing below it, beyond which it saturates."""
    exponent = i4(bits_of(k.top) >> i4(23))
    return f4(k.top + float_of(i4(exponent - k.mantissa - i4(1)) << i4(23)))
