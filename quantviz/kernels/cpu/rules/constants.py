"""A scheme as the compiled kernels are told it: its rule as a number, and what the rule needs to know, as scalars.

A rule is an element under a scaling (`quantviz.schemes.rules`), here one number that holds both: a constant of each
kernel, so that the branches on it vanish. Those of GGUF's plain block types, which are only measured by rules, have
elements of their own and no scaling beside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....block_types import BlockType
from ....formats import CodebookFormat, FloatFormat
from ....schemes import Scheme
from ....schemes.rules import LARGEST_STEPS, element_of, power_choice
from ...results import Extremes

f4, i4 = np.float32, np.int32

# fp32 and bf16 are float formats whose bits are simpler to make; STEPPED are the multiples of 1/64 of MXINT8, ONE_ZERO
# the float formats without -0.
(IDENTITY, BF16, FLOATS, INTEGERS, STEPPED, SIGNS, LEVELS, CENTRED, FROM_LOWEST, BYTES, ONE_ZERO) = range(11)
(NONE, LARGEST, MEAN, ZERO_POINT, MINIMUM, UNIT, POWER_OF_TWO, TWO_LEVELS, PACKED, EDGE) = range(10)
_ELEMENTS = {"integers": INTEGERS, "signs": SIGNS, "floats": FLOATS, "levels": LEVELS}
_SCALINGS = {
    "none": NONE, "largest": LARGEST, "mean": MEAN, "zero point": ZERO_POINT, "minimum": MINIMUM, "edge": EDGE,
    "unit": UNIT, "power of two": POWER_OF_TWO, "two levels": TWO_LEVELS,
}  # fmt: skip
_CASTS = {"fp32": IDENTITY, "bf16": BF16}
_PACKED = {"q4_0": CENTRED, "q5_0": CENTRED, "q4_1": FROM_LOWEST, "q5_1": FROM_LOWEST, "q8_0": BYTES}
SCALING_BITS = 4

STORE_FP32, STORE_FP16, STORE_BF16, STORE_E4M3 = range(4)
_STORES = {"fp32": STORE_FP32, "fp16": STORE_FP16, "bf16": STORE_BF16, "e4m3": STORE_E4M3}

MIN_NORMAL = f4(2.0**-126)


class Constants(NamedTuple):
    """What a rule needs to know of its scheme, as scalars and tuples of them."""

    store: np.int32  # type of the scales
    least: np.float32  # smallest code of whole numbers
    top: np.float32  # largest code, or the largest value of a float format
    mantissa: np.int32  # float formats: mantissa bits
    emin: np.int32  # float formats: exponent of the smallest normal, with float32's bias
    largest: np.float32  # what the largest magnitude of a group is divided by
    addend: np.int32  # mx: to the bits of that, before its exponent is taken
    emax: np.int32  # mx: from which this is taken
    bits: np.int32
    max_code: np.int32
    tensor_scale: np.float32  # nvfp4
    # nvfp4: under sixes=4, steps a weight (6 · 256 / the tensor's largest magnitude) and that magnitude; else zeros.
    sixes: tuple[np.float32, np.float32] | None
    first_code: np.int32  # smallest code as it is stored, from which codes are counted
    # Of a code book, 16 levels in rising order, the 15 thresholds between them, and the levels' codes, as tuples: one
    # number more that kernels hand on takes them longer to compile, so that there are none where they mean nothing.
    thresholds: tuple[np.float32, ...] | None
    levels: tuple[np.float32, ...] | None
    codes: tuple[np.int32, ...] | None


def rule_number(element: int, scaling: int) -> int:
    return element << SCALING_BITS | scaling


SYMMETRIC = rule_number(INTEGERS, LARGEST)


def has_rule(scheme: Scheme) -> bool:
    """Whether a weight's fate is a rule for one weight: not where a block type makes its codes by a search."""
    return scheme.rule != "block type" or scheme.format in _PACKED


def rule_of(scheme: Scheme) -> int:
    """The number of the scheme's rule."""
    if scheme.rule == "block type":
        return rule_number(_PACKED[scheme.format], PACKED)
    how = scheme.how
    element = STEPPED if how.step != 1 else _ELEMENTS[how.element]
    if scheme.rule == "cast":
        element = _CASTS.get(scheme.format, element)
    if element == FLOATS and not element_of(scheme.fmt).has_negative_zero:
        element = ONE_ZERO
    return rule_number(element, _SCALINGS[how.scaling])


def constants_of(scheme: Scheme, whole: Extremes | None) -> Constants:
    """whole: of the tensor, where a scale depends on it."""
    f = element_of(scheme.fmt)
    first, last = scheme.code_range
    least, top, mantissa, emin, max_code = 0.0, 1.0, 0, 0, 0
    if isinstance(f, FloatFormat):
        top, mantissa, emin, max_code = f.max, f.mantissa_bits, f.emin + 127, f.max_code
    elif scheme.how.element == "integers":
        least, top = first, last
    elif isinstance(f, BlockType):
        top = len(f.numbers) - 1
    tensor_scale, sixes = f4(0), None
    if scheme.rule == "nvfp4":
        tensor_scale, sixes = _of_tensor(f4(whole.max_abs), scheme.sixes)
    book = None, None, None
    if isinstance(f, CodebookFormat):
        book = tuple(f.thresholds), tuple(f.values[f.order]), tuple(f.order)
    largest, addend, emax = 1.0, 0, 0
    if scheme.how.scaling == "largest":
        largest = scheme.largest_step
    elif scheme.rule == "mx":
        largest, addend, emax = power_choice(scheme)
    return Constants(
        i4(_STORES[scheme.stored_scale]), f4(least), f4(top), i4(mantissa), i4(emin), f4(largest), i4(addend),
        i4(emax), i4(f.bits), i4(max_code & 0x7FFFFFFF), tensor_scale, sixes, i4(first), *book,
    )  # fmt: skip


def _of_tensor(largest: np.float32, sixes: int) -> tuple[np.float32, tuple[np.float32, np.float32]]:
    """NVFP4's scale of a tensor, and what four over six needs to know of it beside."""
    if largest == 0 or sixes == 6:
        scale = max(largest / f4(LARGEST_STEPS[6]), MIN_NORMAL) if largest else f4(0)
        return f4(scale), (f4(0), f4(0))
    with np.errstate(over="ignore"):
        rate = min(f4(LARGEST_STEPS[4]) / largest, f4(1) / MIN_NORMAL)
    return f4(f4(1) / rate), (f4(rate), largest)


def values_of(scheme: Scheme) -> np.ndarray:
    """float32 value of every unsigned code, for formats that are a table of at most 2^16."""
    f = element_of(scheme.fmt)
    if isinstance(f, FloatFormat | CodebookFormat) and f.bits <= 16:
        return f.values.copy()
    return np.zeros(1, f4)
