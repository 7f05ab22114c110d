"""gguf_mxfp4 and gguf_nvfp4: e2m1 codes, picked by trying all sixteen, under a scale of a power of two or e4m3.

ggml keeps e2m1's values doubled, so that they are integers, and halves the scale to match; so is it done here.
Source of the rules: quantize_row_{mxfp4,nvfp4}_ref and their inverses in ggml's src/ggml-quants.c, and e8m0 and ue4m3
in its src/ggml-impl.h, commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..bits import MAGNITUDE, bits_of, float_of, place
from ..compiler import inlined, kernel
from .plain import largest_bits

f4, i4, u1 = np.float32, np.int32, np.uint8


def _rounding_up() -> np.ndarray:
    """For exponents from -159, the first mantissa whose log2 rounds up to the next whole number in float32."""
    exponents = np.arange(32 + 256)[:, None] - 159
    mantissas = np.arange((1 << 23) - 128, 1 << 23)
    logs = (exponents + np.log2(1 + mantissas * 2.0**-23)).astype(np.float32)
    return ((1 << 23) - (logs == exponents + 1).sum(axis=1)).astype(np.int32)


ROUNDING_UP = _rounding_up()


@inlined()
def floor_log2(v):
    """C's floorf(log2f(v)) of a positive v: its exponent, or one more where the logarithm rounds up."""
    small = bits_of(v) < i4(0x00800000)
    b = bits_of(f4(v * f4(2.0**32)) if small else v)
    above = i4(i4(b >> i4(23)) + i4(0 if small else 32))  # its exponent, from -159
    rounds_up = i4(b & i4(0x7FFFFF)) >= ROUNDING_UP[place(above, ROUNDING_UP.size)]
    return i4(above - i4(158 if rounds_up else 159))


@inlined()
def half_e8m0(e):
    """2^(e - 128)."""
    return float_of(i4(0x00200000) << e) if e < i4(2) else float_of(i4(i4(e - i4(1)) << i4(23)))


@inlined()
def twice_e2m1(code):
    """0 1 2 3 4 6 8 12, and the same with a minus from code 8 on."""
    m = i4(code & i4(7))
    v = i4(i4(i4(2) | i4(m & i4(1))) << i4(i4(max(m, i4(2)) >> i4(1)) - i4(1))) if m >= i4(2) else m
    return i4(-v) if code >= i4(8) else v


@inlined()
def by_trying(v, d):
    """The first code of the smallest error, errors being rounded to float32."""
    best, error = i4(0), f4(abs(v))
    for code in range(1, 16):
        e = f4(abs(f4(f4(f4(twice_e2m1(i4(code))) * d) - v)))
        best = i4(code) if e < error else best
        error = e if e < error else error
    return best


@inlined()
def pick_codes(x, n, largest, d, codes):
    """What `by_trying` gives. Differences next to a midpoint are exact, so comparing with midpoints decides alike,
    except where differences of huge or tiny numbers lose bits."""
    if d > f4(2.0**-100) and largest <= f4(f4(16) * d):
        t0, t1, t2, t3 = f4(f4(0.5) * d), f4(f4(1.5) * d), f4(f4(2.5) * d), f4(f4(3.5) * d)
        t4, t5, t6 = f4(f4(5) * d), f4(f4(7) * d), f4(f4(10) * d)
        for j in range(n):
            a = float_of(i4(bits_of(x[j]) & MAGNITUDE))
            m = i4(i4(a > t0) + i4(a > t1) + i4(a > t2) + i4(a > t3) + i4(a > t4) + i4(a > t5) + i4(a > t6))
            minus = (x[j] < f4(0)) & (m > i4(0))
            codes[j] = i4(m | i4(8)) if minus else m
    else:
        for j in range(n):
            codes[j] = by_trying(x[j], d)


@kernel
def quantize_mxfp4(x, out):
    codes = np.empty(32, i4)
    for b in range(x.shape[0]):
        block, to = x[b], out[b]
        largest = float_of(largest_bits(block, 32))
        e = i4(i4(floor_log2(largest) + i4(125)) & i4(255)) if largest > f4(0) else i4(0)  # a byte: wraps
        to[0] = u1(e)
        pick_codes(block, 32, largest, half_e8m0(e), codes)
        qs = to[1:17]
        for j in range(16):
            qs[j] = u1(codes[j] | i4(codes[j + 16] << i4(4)))


@kernel
def dequantize_mxfp4(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, qs = half_e8m0(i4(block[0])), block[1:17]
        for j in range(16):
            to[j] = f4(f4(twice_e2m1(i4(i4(qs[j]) & i4(15)))) * d)
            to[j + 16] = f4(f4(twice_e2m1(i4(i4(qs[j]) >> i4(4)))) * d)


@inlined()
def to_ue4m3(v):
    """Nearest e4m3 without a sign, ties upwards. What rounds to 256 or more becomes 448, as it does in ggml."""
    if not v > f4(0):
        return i4(0)
    b = bits_of(f4(min(v, f4(448))))
    exponent = i4(i4(b >> i4(23)) - i4(120))
    if exponent <= i4(0):
        units = i4(f4(f4(v * f4(512)) + f4(0.5)))
        return i4(min(units, i4(7)))
    rounded = i4(i4(i4(exponent << i4(3)) | i4(i4(b >> i4(20)) & i4(7))) + i4(i4(b >> i4(19)) & i4(1)))
    return rounded if rounded < i4(0x78) else i4(0x7E)


@inlined()
def half_ue4m3(e):
    """Half of the value; 0x7F counts as 0."""
    if e == i4(0) or e == i4(0x7F):
        return f4(0)
    exponent, mantissa = i4(i4(e >> i4(3)) & i4(15)), i4(e & i4(7))
    if exponent == i4(0):
        return f4(f4(mantissa) * f4(2.0**-10))
    return f4(f4(i4(mantissa + i4(8))) * float_of(i4(i4(exponent + i4(116)) << i4(23))))


@kernel
def quantize_nvfp4(x, out):
    codes = np.empty(16, i4)
    for b in range(x.shape[0]):
        for s in range(4):
            group, to = x[b, s * 16 : (s + 1) * 16], out[b]
            largest = float_of(largest_bits(group, 16))
            e = to_ue4m3(f4(largest / f4(6)))
            to[s] = u1(e)
            pick_codes(group, 16, largest, half_ue4m3(e), codes)
            qs = to[4 + s * 8 : 12 + s * 8]
            for j in range(8):
                qs[j] = u1(codes[j] | i4(codes[j + 8] << i4(4)))


@kernel
def dequantize_nvfp4(data, out):
    low, high = np.empty(32, f4), np.empty(32, f4)
    for b in range(data.shape[0]):
        qs = data[b, 4:36]
        for j in range(32):
            low[j] = f4(twice_e2m1(i4(i4(qs[j]) & i4(15))))
            high[j] = f4(twice_e2m1(i4(i4(qs[j]) >> i4(4))))
        for s in range(4):
            d, first = half_ue4m3(i4(data[b, s])), s * 8
            to, a, c = out[b, s * 16 : (s + 1) * 16], low[first : first + 8], high[first : first + 8]
            for j in range(8):
                to[j], to[j + 8] = f4(a[j] * d), f4(c[j] * d)
