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

from ..errors import QuantvizError

# How a float format spends its top exponent:
#   ieee    infinities and NaNs, as IEEE 754 (fp16, bf16, fp8_e5m2)
#   fn      no infinity, one NaN per sign at the all-ones code (OCP fp8_e4m3)
#   finite  every code is a number (OCP fp6 and fp4)
#   fnuz    no infinity and no -0: its code is the one NaN; the bias is one larger (AMD's and Graphcore's fp8)
Specials = Literal["ieee", "fn", "finite", "fnuz"]


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format with subnormals and signed zero.

    Codes are the bit patterns, sign first. A cast rounds to nearest, ties to even, keeps -0 where there is one, and
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
        return 2 ** (self.exponent_bits - 1) - self.has_negative_zero

    @property
    def has_negative_zero(self) -> bool:
        return self.specials != "fnuz"

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
        if not self.has_negative_zero:
            value[2 ** (self.bits - 1)] = np.nan
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
