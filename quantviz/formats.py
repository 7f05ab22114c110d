"""Number formats as frozen data: the independents are stored, everything else is derived.

A format is the set of values one stored code can stand for. Three families:
`FloatFormat` (sign, exponent, mantissa), `IntFormat` (whole numbers, which a scale turns into
weights) and `CodebookFormat` (a table of levels). `BlockFormat` joins an element format with the
scale that its specification fixes for it (OCP MX, NVFP4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from .errors import QuantvizError, did_you_mean

# How a float format spends its top exponent:
#   ieee    infinities and NaNs, as IEEE 754 (fp16, bf16, fp8_e5m2)
#   fn      no infinity, one NaN per sign at the all-ones code (OCP fp8_e4m3)
#   finite  every code is a number (OCP fp6 and fp4)
Specials = Literal["ieee", "fn", "finite"]


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format with subnormals and signed zero.

    Codes are the bit patterns, sign first. A cast rounds to nearest, ties to even, keeps -0, and
    saturates to the largest finite value where IEEE arithmetic would give infinity.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    specials: Specials
    source: str

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        return 2 ** (self.exponent_bits - 1) - 1

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal number, and of all subnormals."""
        return 1 - self.bias

    @property
    def emax(self) -> int:
        """Exponent of the largest finite number."""
        top = 2**self.exponent_bits - 1 - self.bias
        return top - 1 if self.specials == "ieee" else top

    @property
    def max(self) -> float:
        """Largest finite value."""
        largest_mantissa = 2**self.mantissa_bits - (2 if self.specials == "fn" else 1)
        return 2.0**self.emax * (1 + largest_mantissa / 2**self.mantissa_bits)

    @property
    def min_normal(self) -> float:
        return 2.0**self.emin

    @property
    def min_subnormal(self) -> float:
        return 2.0 ** (self.emin - self.mantissa_bits)

    @property
    def epsilon(self) -> float:
        """Distance from 1 to the next larger value."""
        return 2.0**-self.mantissa_bits

    @property
    def max_code(self) -> int:
        """Bit pattern of the largest finite value."""
        top = ((self.emax + self.bias) << self.mantissa_bits) | (2**self.mantissa_bits - 1)
        return top - 1 if self.specials == "fn" else top

    @cached_property
    def values(self) -> np.ndarray:
        """float32 value of every code, NaN and infinities included; formats of at most 16 bits."""
        if self.bits > 16:
            raise QuantvizError(f"{self.name} has 2^{self.bits} codes, too many for a table.")
        code = np.arange(2**self.bits)
        exponent = (code >> self.mantissa_bits) & (2**self.exponent_bits - 1)
        mantissa = code & (2**self.mantissa_bits - 1)
        significand = np.where(exponent > 0, 2**self.mantissa_bits + mantissa, mantissa)
        value = np.ldexp(significand.astype(np.float64), np.maximum(exponent, 1) - self.bias - self.mantissa_bits)
        magnitude_code = code & (2 ** (self.bits - 1) - 1)
        if self.specials == "ieee":
            value[magnitude_code == self.max_code + 1] = np.inf
        value[magnitude_code > self.max_code + (self.specials == "ieee")] = np.nan
        value = np.where(code >> (self.bits - 1) == 1, -value, value).astype(np.float32)
        value.setflags(write=False)
        return value


@dataclass(frozen=True)
class IntFormat:
    """Whole numbers of `bits` bits. What they stand for is fixed by scale and symmetry."""

    name: str
    bits: int
    source: str

    @property
    def max_symmetric(self) -> int:
        """Q: the largest code of a symmetric scheme; the codes run from -Q to Q."""
        return max(2 ** (self.bits - 1) - 1, 1)

    @property
    def max_unsigned(self) -> int:
        """The largest code of an asymmetric scheme; the codes run from 0."""
        return 2**self.bits - 1


@dataclass(frozen=True)
class TernaryFormat:
    """The codes -1, 0 and 1, stored in two bits."""

    name: str
    source: str
    bits: int = 2


@dataclass(frozen=True)
class CodebookFormat:
    """A table of levels in [-1, 1], to be scaled by the largest magnitude of a block.

    levels: value of each code.  order: the codes sorted by value.
    thresholds: a value v takes the code order[number of thresholds below v].
    """

    name: str
    bits: int
    levels: tuple[float, ...]
    source: str

    @cached_property
    def values(self) -> np.ndarray:
        value = np.array(self.levels, dtype=np.float32)
        value.setflags(write=False)
        return value

    @cached_property
    def order(self) -> np.ndarray:
        # Stable, so that of two equal levels (+0 and -0) the lower code comes first.
        order = np.argsort(self.values, kind="stable").astype(np.int32)
        order.setflags(write=False)
        return order

    @cached_property
    def thresholds(self) -> np.ndarray:
        ordered = self.values[self.order]
        middle = (ordered[:-1] + ordered[1:]) / np.float32(2)
        middle.setflags(write=False)
        return middle


@dataclass(frozen=True)
class BlockFormat:
    """An element format whose block length and scale type are part of its specification."""

    name: str
    element: FloatFormat | IntFormat
    block: int
    scale: Literal["e8m0", "nvfp4"]
    source: str

    @property
    def bits(self) -> int:
        """Bits of one element; the scale's eight bits a block come on top."""
        return self.element.bits

    @property
    def element_emax(self) -> int:
        """Exponent of the element format's largest value (OCP MX: emax_elem)."""
        return self.element.emax if isinstance(self.element, FloatFormat) else 0


Format = FloatFormat | IntFormat | TernaryFormat | CodebookFormat | BlockFormat

# MXINT8 elements carry an implied scale of 2^-6 (OCP MX v1.0, table 1).
MXINT8_STEP = 2.0**-6

_IEEE = "IEEE 754-2019"
_OFP8 = "OCP 8-bit Floating Point Specification (OFP8) v1.0"
_MX = "OCP Microscaling Formats (MX) Specification v1.0"

# Levels of NormalFloat 4: quantiles of the unit normal, normalised to [-1, 1], with an exact zero.
_NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
# bitsandbytes' FP4 is no OCP e2m1: the levels below, divided by 12; codes 8 to 15 are the negatives.
_BNB_FP4_MAGNITUDES = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
_BNB_FP4_LEVELS = tuple(
    float(np.float32(sign * m) / np.float32(12)) + 0.0  # + 0.0: code 8 stands for plain zero, not for -0
    for sign in (1, -1)
    for m in _BNB_FP4_MAGNITUDES
)

_fp8_e4m3 = FloatFormat("fp8_e4m3", 4, 3, "fn", _OFP8)
_fp8_e5m2 = FloatFormat("fp8_e5m2", 5, 2, "ieee", _OFP8)
_fp6_e3m2 = FloatFormat("fp6_e3m2", 3, 2, "finite", _MX)
_fp6_e2m3 = FloatFormat("fp6_e2m3", 2, 3, "finite", _MX)
_fp4_e2m1 = FloatFormat("fp4_e2m1", 2, 1, "finite", _MX)
_int8 = IntFormat("int8", 8, "two's complement")

_ALL: tuple[Format, ...] = (
    FloatFormat("fp32", 8, 23, "ieee", _IEEE),
    FloatFormat("fp16", 5, 10, "ieee", _IEEE),
    FloatFormat("bf16", 8, 7, "ieee", "the upper half of IEEE 754 binary32"),
    _fp8_e4m3,
    _fp8_e5m2,
    _fp6_e3m2,
    _fp6_e2m3,
    _fp4_e2m1,
    _int8,
    *(IntFormat(f"int{bits}", bits, "two's complement") for bits in range(7, 0, -1)),
    CodebookFormat("nf4", 4, _NF4_LEVELS, "QLoRA, arXiv 2305.14314; bitsandbytes"),
    CodebookFormat("bnb_fp4", 4, _BNB_FP4_LEVELS, "bitsandbytes"),
    TernaryFormat("ternary", "BitNet b1.58, arXiv 2402.17764"),
    BlockFormat("mxfp8_e4m3", _fp8_e4m3, 32, "e8m0", _MX),
    BlockFormat("mxfp8_e5m2", _fp8_e5m2, 32, "e8m0", _MX),
    BlockFormat("mxfp6_e3m2", _fp6_e3m2, 32, "e8m0", _MX),
    BlockFormat("mxfp6_e2m3", _fp6_e2m3, 32, "e8m0", _MX),
    BlockFormat("mxfp4", _fp4_e2m1, 32, "e8m0", _MX),
    BlockFormat("mxint8", _int8, 32, "e8m0", _MX),
    BlockFormat("nvfp4", _fp4_e2m1, 16, "nvfp4", "NVIDIA NVFP4; torchao, TransformerEngine"),
)

FORMATS: dict[str, Format] = {f.name: f for f in _ALL}


def get(name: str) -> Format:
    """The format called `name`; raises QuantvizError naming the nearest ones."""
    if name not in FORMATS:
        raise QuantvizError(
            f"There is no format {name!r}.{did_you_mean(name, FORMATS) or ' Known: ' + ', '.join(FORMATS) + '.'}"
        )
    return FORMATS[name]
