"""One value, bit by bit: the fields of a code, what it stands for, the nearest code of a number, its neighbours.

Scalars only, in exact arithmetic: numbers come in as fractions, values go out as Python floats (every value of
every format is a float64). Formats that need a scale (integers, code books, block formats) stand for
code · scale, rounded to float32 as dequantization rounds it.

>>> from quantviz.formats import get
>>> code = encode(get("fp8_e4m3"), Fraction("0.1"))
>>> bit_string(get("fp8_e4m3"), code), decode(get("fp8_e4m3"), code)
('00011101', 0.1015625)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import groupby

import numpy as np

from .table import FORMATS, MXINT8_STEP
from .types import BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat


@dataclass(frozen=True)
class ExponentFormat:
    """A power of two: eight exponent bits, no sign, no mantissa, no zero; all ones is NaN (OCP MX's E8M0)."""

    name: str = "e8m0"
    bits: int = 8
    bias: int = 127
    source: str = "OCP Microscaling Formats (MX) Specification v1.0"


E8M0 = ExponentFormat()
AnyFormat = Format | ExponentFormat
Number = Fraction | float  # a float only where a fraction cannot say it: -0.0


@dataclass(frozen=True)
class BitField:
    """A run of bits of one meaning: sign, exponent, mantissa, integer or index."""

    name: str
    width: int


# -- layout --------------------------------------------------------------------------------------


def element(f: AnyFormat) -> AnyFormat:
    """The format of one code: a block format's element, else the format itself."""
    return f.element if isinstance(f, BlockFormat) else f


def scale_format(f: AnyFormat) -> FloatFormat | ExponentFormat | None:
    """What the scale of a format is stored as (for integers and code books by default); None for a plain float."""
    match f:
        case BlockFormat():
            return E8M0 if f.scale == "e8m0" else FORMATS["fp8_e4m3"]
        case IntFormat() | TernaryFormat():
            return FORMATS["fp16"]
        case CodebookFormat():
            return FORMATS["fp32"]
    return None


def fields(f: AnyFormat) -> tuple[BitField, ...]:
    """The fields of a code, most significant first; their widths sum to `f.bits`."""
    f = element(f)
    match f:
        case FloatFormat():
            parts = (BitField("sign", 1), BitField("exponent", f.exponent_bits), BitField("mantissa", f.mantissa_bits))
        case ExponentFormat():
            parts = (BitField("exponent", f.bits),)
        case CodebookFormat() if f.name == "bnb_fp4":  # codes 8 to 15 are the negatives of 0 to 7
            parts = (BitField("sign", 1), BitField("index", f.bits - 1))
        case CodebookFormat():
            parts = (BitField("index", f.bits),)
        case _:
            parts = (BitField("sign", 1), BitField("integer", f.bits - 1))
    return tuple(part for part in parts if part.width)


def split(f: AnyFormat, code: int) -> dict[str, int]:
    """The number that each field of a code holds.

    >>> split(FORMATS["fp32"], 0x3DCCCCCD)
    {'sign': 0, 'exponent': 123, 'mantissa': 5033165}
    """
    left, out = element(f).bits, {}
    for part in fields(f):
        left -= part.width
        out[part.name] = (code >> left) & (2**part.width - 1)
    return out


def bit_string(f: AnyFormat, code: int) -> str:
    return format(code, f"0{element(f).bits}b")


# -- code to value -------------------------------------------------------------------------------


def decode(f: AnyFormat, code: int) -> float:
    """The value of a code before any scale; infinity, -0.0 and NaN where the format has them.

    Integers are two's complement, except that int1 is a sign (0 is -1, 1 is +1) as its symmetric scheme has it.
    A code that stands for nothing (ternary 10) is NaN.
    """
    match element(f):
        case FloatFormat() as e:
            sign, exponent, mantissa = _float_fields(e, code)
            if sign and not e.has_negative_zero and not code & _magnitude_mask(e):
                return math.nan
            if (code & _magnitude_mask(e)) > e.max_code:
                infinite = e.specials == "ieee" and mantissa == 0
                return math.copysign(math.inf if infinite else math.nan, -sign or 1)
            significand = mantissa + (2**e.mantissa_bits if exponent else 0)
            return math.ldexp(-significand if sign else significand, max(exponent, 1) - e.bias - e.mantissa_bits) or (
                -0.0 if sign else 0.0
            )
        case ExponentFormat() as e:
            return math.nan if code == 2**e.bits - 1 else 2.0 ** (code - e.bias)
        case CodebookFormat() as e:
            return float(e.values[code])
        case TernaryFormat() if code == 0b10:
            return math.nan
        case IntFormat(bits=1):
            return 1.0 if code else -1.0
        case e:
            signed = code - 2**e.bits if code >> (e.bits - 1) else code
            return signed * step(f)


def value(f: AnyFormat, code: int, scale: float = 1.0) -> float:
    """decode · scale, rounded to float32 as dequantization rounds it; infinity where float32 overflows."""
    if scale_format(f) is None:
        return decode(f, code)
    with np.errstate(over="ignore"):
        return float(np.float32(decode(f, code) * scale))


def step(f: AnyFormat) -> float:
    """What one unit of an integer code is worth: 1, and 2^-6 in mxint8."""
    return MXINT8_STEP if isinstance(f, BlockFormat) and isinstance(f.element, IntFormat) else 1.0


def kind(f: AnyFormat, code: int) -> str:
    """normal, subnormal, zero, negative zero, infinity, NaN; integer, level or unused outside the float formats."""
    v, e = decode(f, code), element(f)
    if isinstance(e, FloatFormat | ExponentFormat):
        if math.isnan(v) or math.isinf(v):
            return "NaN" if math.isnan(v) else "infinity"
        if v == 0:
            return "negative zero" if math.copysign(1, v) < 0 else "zero"
        return "subnormal" if split(f, code).get("exponent") == 0 and isinstance(e, FloatFormat) else "normal"
    if math.isnan(v):
        return "unused"
    return "level" if isinstance(e, CodebookFormat) else "integer"


def _magnitude_mask(f: FloatFormat) -> int:
    return 2 ** (f.bits - 1) - 1


def _float_fields(f: FloatFormat, code: int) -> tuple[int, int, int]:
    parts = split(f, code)
    return parts["sign"], parts["exponent"], parts.get("mantissa", 0)


# -- value to code -------------------------------------------------------------------------------


def encode(f: AnyFormat, x: Number, scale: float = 1.0) -> int:
    """The code nearest to x / scale: ties to even, saturating to the largest finite value, -0 kept where there is one.

    Code books decide by their own thresholds. E8M0 takes the largest power of two not above x (OCP MX's floor
    rule) and x must be positive. mxint8 leaves -128 unused, as torchao does.
    """
    negative = x < 0 or (isinstance(x, float) and math.copysign(1, x) < 0)
    ratio = Fraction(x) / Fraction(scale)
    match element(f):
        case FloatFormat() as e:
            magnitude = _encode_magnitude(e, abs(ratio))
            signed = negative and (magnitude > 0 or e.has_negative_zero)
            return magnitude | (signed << (e.bits - 1))
        case ExponentFormat() as e:
            return min(max(floor_log2(ratio) + e.bias, 0), 2**e.bits - 2)
        case CodebookFormat() as e:
            return int(e.order[bisect_left([Fraction(float(t)) for t in e.thresholds], ratio)])
        case IntFormat(bits=1):
            return int(ratio >= 0)
        case e:
            lowest, highest = integer_range(f)
            nearest = round(ratio / Fraction(step(f)))
            return min(max(nearest, lowest), highest) & (2**e.bits - 1)


def integer_range(f: AnyFormat) -> tuple[int, int]:
    """Smallest and largest integer that `encode` gives."""
    if isinstance(f, TernaryFormat):
        return -1, 1
    highest = 2 ** (f.bits - 1) - 1
    return (-highest if isinstance(f, BlockFormat) else -highest - 1), highest


def floor_log2(x: Fraction) -> int:
    """The exponent e of a positive x with 2^e <= x < 2^(e+1), exactly."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


def _encode_magnitude(f: FloatFormat, magnitude: Fraction) -> int:
    # Subnormals share emin's spacing, so a code counts spacings, plus 2^m for every binade above the lowest.
    exponent = max(floor_log2(magnitude), f.emin) if magnitude else f.emin
    units = round(magnitude / Fraction(2) ** (exponent - f.mantissa_bits))
    return min(units + ((exponent - f.emin) << f.mantissa_bits), f.max_code)


# -- order ---------------------------------------------------------------------------------------


@cache
def _ladder(f: AnyFormat) -> tuple[int, ...]:
    """Codes of the distinct values, ascending; not for float formats, whose codes are in order already."""
    codes = (c for c in range(2 ** element(f).bits) if kind(f, c) not in ("NaN", "unused"))
    ascending = sorted(codes, key=lambda c: decode(f, c))
    return tuple(next(same) for _, same in groupby(ascending, key=lambda c: decode(f, c)))


def ranks(f: AnyFormat) -> range:
    """The ranks of all finite values in ascending order: 0 is zero in a float format, the lowest value elsewhere."""
    e = element(f)
    return range(-e.max_code, e.max_code + 1) if isinstance(e, FloatFormat) else range(len(_ladder(f)))


def code_at(f: AnyFormat, rank: int) -> int:
    e = element(f)
    return abs(rank) | ((rank < 0) << (e.bits - 1)) if isinstance(e, FloatFormat) else _ladder(f)[rank]


def rank_of(f: AnyFormat, code: int) -> int | None:
    """Where a code stands in ascending order; None for NaN and unused codes, infinity one past the last."""
    v, e = decode(f, code), element(f)
    if math.isnan(v):
        return None
    if isinstance(e, FloatFormat):
        magnitude = code & _magnitude_mask(e)
        return -magnitude if code >> (e.bits - 1) else magnitude
    return bisect_left(_ladder(f), v, key=lambda c: decode(f, c))


def neighbours(f: AnyFormat, code: int) -> tuple[int | None, int | None]:
    """Codes of the previous and next finite value; None past either end and for NaN."""
    rank, every = rank_of(f, code), ranks(f)
    if rank is None:
        return None, None
    before, after = rank - 1, rank + 1
    return (code_at(f, before) if before in every else None), (code_at(f, after) if after in every else None)


def ranks_between(f: AnyFormat, low: float, high: float, scale: float = 1.0) -> range:
    """The ranks of the finite values in [low, high], scale included."""
    every = ranks(f)
    first = bisect_left(every, low, key=lambda r: value(f, code_at(f, r), scale))
    end = bisect_left(every, True, key=lambda r: value(f, code_at(f, r), scale) > high)
    return every[first:end]


def pack(f: AnyFormat, codes: Sequence[int]) -> bytes:
    """Codes packed back to back, most significant bit first; the last byte padded with zeros."""
    text = "".join(bit_string(f, code) for code in codes)
    return int(text.ljust(-(-len(text) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(text) // 8), "big")
