"""Random numbers that are the same bits on every machine.

The C library's log, exp and cos, and NumPy's vectorised ones, differ in the last bit from
one processor to the next. Addition, subtraction, multiplication, division and square root do
not: IEEE 754 fixes their rounding, and a NumPy call does one of them at a time, so nothing
is fused. Everything here is built from those five, from integer operations and from exact
scaling by powers of two. Arrays are one-dimensional float64 unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15  # SplitMix64 (Steele, Lea, Flood 2014): Weyl step and the finalizer's multipliers
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_LN2 = 0.6931471805599453

# Wichura 1988, algorithm AS 241, PPND16: numerators and denominators, highest power first.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip

# Taylor coefficients, highest power first, exact to float64 on the reduced ranges below.
_ATANH = tuple(1 / (2 * k + 1) for k in range(11, -1, -1))
_EXPM1 = tuple(1 / math.factorial(k) for k in range(14, 0, -1))
_COS = tuple((-1) ** k / math.factorial(2 * k) for k in range(12, -1, -1))


def _mix(z: int) -> int:
    z = (z ^ z >> 30) * _MULTIPLIERS[0] & _MASK
    z = (z ^ z >> 27) * _MULTIPLIERS[1] & _MASK
    return z ^ z >> 31


def stream_key(seed: int, stream: int) -> int:
    """The 64-bit key of stream number `stream` of `seed`; different pairs give unrelated streams."""
    return _mix(_mix(seed & _MASK) + (stream + 1) * _STEP & _MASK)


def random_bits(key: int, start: int, stop: int) -> np.ndarray:
    """Words [start, stop) of a stream, uint64. Each depends on its position alone, so any part can be made first."""
    z = np.arange(start + 1, stop + 1, dtype=np.uint64)
    z *= np.uint64(_STEP)
    z += np.uint64(key)
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(multiplier)
    z ^= z >> np.uint64(31)
    return z


def uniform(bits: np.ndarray) -> np.ndarray:
    """Odd multiples of 2^-53 in (0, 1) from the upper 52 of 64 bits; the lower 12 stay free for signs."""
    u = (bits >> np.uint64(12)).view(np.int64).astype(np.float64)
    u *= 2.0**-52
    u += 2.0**-53
    return u


def with_random_sign(x: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """x, negated in place where the lowest bit is set."""
    words = x.view(np.uint64)
    words ^= bits << np.uint64(63)
    return x


def _polynomial(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """Horner's rule, highest power first."""
    value = x * coefficients[0]
    value += coefficients[1]
    for c in coefficients[2:]:
        value *= x
        value += c
    return value


def _ratio(x: np.ndarray, polynomials: tuple[Sequence[float], Sequence[float]]) -> np.ndarray:
    value = _polynomial(x, polynomials[0])
    value /= _polynomial(x, polynomials[1])
    return value


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive x: 2·atanh((m-1)/(m+1)) + e·ln 2 with x = m·2^e, m in [√½, √2)."""
    m, e = np.frexp(x)
    low = m < math.sqrt(0.5)
    m = np.where(low, m + m, m)
    s = (m - 1) / (m + 1)
    value = _polynomial(s * s, _ATANH)
    value *= s + s
    value += (e - low) * _LN2
    return value


def expm1(x: np.ndarray) -> np.ndarray:
    """e^x - 1 for abs(x) < 700: x = k·ln 2 + r, then 2^k·(e^r - 1) + (2^k - 1)."""
    k = np.rint(x * (1 / _LN2))
    r = x - k * _LN2
    value = _polynomial(r, _EXPM1)
    value *= r
    power = np.ldexp(1.0, k.astype(np.int32))
    value *= power
    value += power - 1
    return value


def cos_quarter(u: np.ndarray) -> np.ndarray:
    """cos(π/2 · u) for u in [0, 1]."""
    angle = u * (math.pi / 2)
    return _polynomial(angle * angle, _COS)


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """Inverse of the standard normal distribution function, p in (0, 1), to about 1e-15 (Wichura's AS 241)."""
    q = p - 0.5
    value = _ratio(0.180625 - q * q, _CENTRE)
    value *= q
    tail = np.flatnonzero(np.abs(q) > 0.425)
    if tail.size:
        outer = p[tail]
        r = np.sqrt(-log(np.minimum(outer, 1 - outer)))
        far = r > 5
        z = _ratio(r - 1.6, _TAIL)
        if far.any():
            z[far] = _ratio(r[far] - 5, _FAR_TAIL)
        value[tail] = np.copysign(z, q[tail])
    return value
