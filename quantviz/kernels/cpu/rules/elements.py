"""Every rule for one weight, as numba sees it. `rule` is a constant of the kernel, so its branches vanish.

A group's parameters are three float32 numbers:
  factor   what a weight is divided by (sym, ternary, offset, scaled) or multiplied by (the rest); of asym, where the
           reciprocal of a scale is beyond float32, minus the scale
  stored   what dequantization multiplies by
  extra    zero point (asym), minimum (offset), block scale (nvfp4)
The arithmetic and its order are those of `reference`, which names the sources; GGUF's plain block types, which are
only measured by rules, have theirs in rules_blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....block_types import BlockType
from ....formats import MXINT8_STEP, CodebookFormat, FloatFormat, IntFormat
from ....schemes import Scheme
from ...results import Extremes
from ..bits import MAGNITUDE, SIGN_BIT, bits_of, float_of, place
from ..compiler import inlined
from . import packed as blocks

f4, i4 = np.float32, np.int32

(IDENTITY, BF16, CAST, SYM, TERNARY, SIGN, ASYM, OFFSET, SCALED, CODEBOOK, MX, MXINT, NVFP4, CENTRED, MINIMUM,
 BYTES) = range(16)  # fmt: skip
_RULES = {"sym": SYM, "ternary": TERNARY, "sign": SIGN, "asym": ASYM, "offset": OFFSET, "scaled": SCALED,
          "codebook": CODEBOOK, "nvfp4": NVFP4}  # fmt: skip
_BLOCK_RULES = {"q4_0": CENTRED, "q5_0": CENTRED, "q4_1": MINIMUM, "q5_1": MINIMUM, "q8_0": BYTES}

STORE_FP32, STORE_FP16, STORE_BF16 = range(3)
_STORES = {None: STORE_FP32, "fp32": STORE_FP32, "fp16": STORE_FP16, "bf16": STORE_BF16}

MIN_NORMAL = f4(2.0**-126)
MAX_FINITE = f4(np.finfo(np.float32).max)
MAX_FP16 = blocks.MAX_FP16
MAX_BF16 = f4(3.3895313892515355e38)
SMALLEST_ABSMAX = f4(1e-38)  # as in reference
NVFP4_SMALLEST_SCALE = f4(2.0**-6)
E4M3_MAX = f4(448.0)
E2M1_MAX = f4(6.0)
INT8_STEP = f4(MXINT8_STEP)


class Constants(NamedTuple):
    """What a rule needs to know of its scheme, as scalars."""

    store: np.int32  # type of the scales
    top: np.float32  # largest code, or the largest value of a float format
    mantissa: np.int32  # float formats: mantissa bits
    emin: np.int32  # float formats: exponent of the smallest normal, with float32's bias
    emax: np.int32  # mx: exponent of the element format's largest value
    bits: np.int32
    max_code: np.int32
    tensor_scale: np.float32  # nvfp4


def has_rule(scheme: Scheme) -> bool:
    """Whether a weight's fate is a rule for one weight: not where a block type makes its codes by a search."""
    return scheme.rule != "block type" or scheme.format in _BLOCK_RULES


def rule_of(scheme: Scheme) -> int:
    """The rule's number, one for each different piece of arithmetic."""
    if scheme.rule == "block type":
        return _BLOCK_RULES[scheme.format]
    if scheme.rule == "cast":
        return {"fp32": IDENTITY, "bf16": BF16}.get(scheme.format, CAST)
    if scheme.rule == "mx":
        return MXINT if isinstance(scheme.fmt.element, IntFormat) else MX
    return _RULES[scheme.rule]


def constants_of(scheme: Scheme, whole: Extremes | None) -> Constants:
    f = scheme.fmt
    element = getattr(f, "element", f)
    top, mantissa, emin, max_code = 1.0, 0, 0, 0
    if isinstance(element, FloatFormat):
        top, mantissa, emin, max_code = element.max, element.mantissa_bits, element.emin + 127, element.max_code
    elif isinstance(element, IntFormat):
        top = element.max_symmetric if scheme.symmetry == "sym" else element.max_unsigned
    elif isinstance(element, BlockType):
        top = len(element.numbers) - 1
    tensor_scale = 0.0
    if scheme.rule == "nvfp4" and whole.max_abs > 0:
        tensor_scale = max(f4(whole.max_abs) / f4(448.0 * 6.0), MIN_NORMAL)
    emax = f.element_emax if scheme.rule == "mx" else 0
    return Constants(
        i4(_STORES[scheme.scale]), f4(top), i4(mantissa), i4(emin), i4(emax), i4(element.bits),
        i4(max_code & 0x7FFFFFFF), f4(tensor_scale),
    )  # fmt: skip


def tables_of(scheme: Scheme) -> tuple[tuple, tuple, tuple]:
    """15 thresholds, 16 levels in rising order, and their codes, as tuples of scalars; zeros without a code book."""
    f = scheme.fmt
    if isinstance(f, CodebookFormat):
        return tuple(f.thresholds), tuple(f.values[f.order]), tuple(f.order)
    return (f4(0),) * 15, (f4(0),) * 16, (i4(0),) * 16


@inlined()
def pick(u, thresholds, values):
    """values[number of thresholds below u]. Spelled out, because only then does it become selects in registers."""
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
    return f4(v)


@inlined()
def divisor(scale):
    """A scale to divide by: dividing by infinity turns the weights of a vanished scale into zeros."""
    return scale if scale > f4(0) else f4(np.inf)


@inlined()
def parameters(rule, low, high, mean, k):
    """factor, stored, extra, and the scale before rounding, of a group with these extremes."""
    largest = f4(abs(max(-low, high)))  # never -0
    zero = f4(0)
    if rule == SYM or rule == SCALED:
        exact = f4(largest / k.top)
        s = store(exact, k.store)
        return divisor(s), s, zero, exact
    if rule == TERNARY or rule == SIGN:
        s = store(mean, k.store)
        return divisor(s), s, zero, mean
    if rule == ASYM:
        low, high = f4(min(low, zero)), f4(max(high, zero))
        exact = f4(f4(high - low) / k.top)
        s = store(exact, k.store)
        if s > zero:
            reciprocal, z = f4(f4(1) / s), f4(min(max(f4(np.rint(f4(-low / s))), zero), k.top))
            return -s if reciprocal > MAX_FINITE else reciprocal, s, z, exact
        return zero, s, zero, exact
    if rule == OFFSET:
        exact = f4(f4(high - low) / k.top)
        s = store(exact, k.store)
        return divisor(s), s, store(low, k.store), exact
    if rule == CODEBOOK:
        s = store(largest, k.store)
        return f4(f4(1) / f4(max(s, SMALLEST_ABSMAX))), s, zero, largest
    if rule == MX or rule == MXINT:
        exponent = i4(max(i4(i4(bits_of(largest) >> i4(23)) - i4(127) - k.emax), i4(-127)))
        # 2^-127 is subnormal: stored so, but weights are divided by 2^-126, as torchao has it.
        s = float_of(i4(exponent + i4(127)) << i4(23)) if exponent > i4(-127) else float_of(i4(1) << i4(22))
        return f4(f4(1) / f4(max(s, MIN_NORMAL))), s, zero, s
    if rule == NVFP4:
        if k.tensor_scale == zero:
            return zero, zero, zero, zero
        exact = f4(f4(largest / E2M1_MAX) / k.tensor_scale)
        block = cast(f4(min(max(exact, NVFP4_SMALLEST_SCALE), E4M3_MAX)), i4(3), i4(121), E4M3_MAX)
        factor = f4(f4(f4(1) / k.tensor_scale) / block)  # infinite for weights below 2^-122 or so
        return f4(min(factor, MAX_FINITE)), f4(k.tensor_scale * block), block, block
    if rule == CENTRED:
        return blocks.centred_parameters(high, k.top)
    if rule == MINIMUM:
        return blocks.minimum_parameters(low, high, k.top)
    if rule == BYTES:
        return blocks.byte_parameters(largest)
    return f4(1), f4(1), zero, f4(1)


@inlined()
def in_steps(v, factor):
    """A weight in steps of an asym scale, by its reciprocal as torchao has it, or by division where there is none."""
    return f4(v / -factor) if factor < f4(0) else f4(v * factor)


@inlined()
def clip(q, low, high):
    return f4(min(max(q, low), high))


@inlined()
def roundtrip(rule, v, factor, stored, extra, k, thresholds, levels):
    """The dequantized weight, without assembling a code."""
    zero = f4(0)
    if rule == IDENTITY:
        return v
    if rule == BF16:
        return to_bf16(v)
    if rule == CAST:
        return cast(v, k.mantissa, k.emin, k.top)
    if rule == SYM or rule == TERNARY:
        return f4(clip(f4(np.rint(f4(v / factor))), -k.top, k.top) * stored)
    if rule == SIGN:
        return stored if v >= zero else -stored
    if rule == ASYM:
        return f4(f4(clip(f4(np.rint(in_steps(v, factor)) + extra), zero, k.top) - extra) * stored)
    if rule == OFFSET:
        return f4(extra + f4(clip(f4(np.rint(f4(f4(v - extra) / factor))), zero, k.top) * stored))
    if rule == SCALED:
        return f4(stored * cast(f4(v / factor), k.mantissa, k.emin, k.top))
    if rule == CODEBOOK:
        u = clip(f4(v * factor), f4(-1), f4(1))
        return f4(pick(u, thresholds, levels) * stored)
    if rule == MX:
        return f4(cast(f4(v * factor), k.mantissa, k.emin, k.top) * stored)
    if rule == MXINT:
        return f4(f4(clip(f4(np.rint(f4(f4(v * factor) * f4(64)))), f4(-127), f4(127)) * INT8_STEP) * stored)
    if rule == CENTRED:
        return blocks.centred_value(blocks.centred_code(v, factor, extra, k.top), stored, k.top)
    if rule == MINIMUM:
        return blocks.minimum_value(blocks.minimum_code(v, factor, extra, k.top), stored, extra)
    if rule == BYTES:
        return f4(blocks.byte_code(v, factor) * stored)
    u = clip(f4(v * factor), -E2M1_MAX, E2M1_MAX)  # NVFP4
    return f4(cast(u, k.mantissa, k.emin, k.top) * stored)


@inlined()
def encode(rule, v, factor, extra, k, thresholds, codes):
    """The code (int32) that `roundtrip` stands on."""
    zero = f4(0)
    if rule == IDENTITY:
        return bits_of(v)
    if rule == BF16:
        return i4(i4(bits_of(to_bf16(v)) >> i4(16)) & i4(0xFFFF))
    if rule == CAST:
        return cast_code(v, k.mantissa, k.emin, k.max_code, k.bits)
    if rule == SYM or rule == TERNARY:
        return i4(clip(f4(np.rint(f4(v / factor))), -k.top, k.top))
    if rule == SIGN:
        return i4(1) if v >= zero else i4(-1)
    if rule == ASYM:
        return i4(clip(f4(np.rint(in_steps(v, factor)) + extra), zero, k.top))
    if rule == OFFSET:
        return i4(clip(f4(np.rint(f4(f4(v - extra) / factor))), zero, k.top))
    if rule == SCALED:
        return cast_code(f4(v / factor), k.mantissa, k.emin, k.max_code, k.bits)
    if rule == CODEBOOK:
        u = clip(f4(v * factor), f4(-1), f4(1))
        return pick(u, thresholds, codes)
    if rule == MX:
        return cast_code(f4(v * factor), k.mantissa, k.emin, k.max_code, k.bits)
    if rule == MXINT:
        return i4(clip(f4(np.rint(f4(f4(v * factor) * f4(64)))), f4(-127), f4(127)))
    if rule == CENTRED:
        return i4(blocks.centred_code(v, factor, extra, k.top))
    if rule == MINIMUM:
        return i4(blocks.minimum_code(v, factor, extra, k.top))
    if rule == BYTES:
        return i4(blocks.byte_code(v, factor))
    u = clip(f4(v * factor), -E2M1_MAX, E2M1_MAX)  # NVFP4
    return cast_code(u, k.mantissa, k.emin, k.max_code, k.bits)


@inlined()
def decode(rule, code, stored, extra, values):
    """The dequantized weight of a code; `values` as `values_of` gives them."""
    if rule == IDENTITY:
        return float_of(code)
    if rule == BF16:
        return float_of(i4(i4(code) << i4(16)))
    if rule == CAST:
        return values[place(code, values.shape[0])]
    if rule == ASYM:
        return f4(f4(f4(code) - extra) * stored)
    if rule == OFFSET:
        return f4(extra + f4(f4(code) * stored))
    if rule == SYM or rule == TERNARY or rule == SIGN:
        return f4(f4(code) * stored)
    if rule == MXINT:
        return f4(f4(f4(code) * INT8_STEP) * stored)
    return f4(values[place(code, values.shape[0])] * stored)


def values_of(scheme: Scheme) -> np.ndarray:
    """float32 value of every unsigned code, for formats that are a table of at most 2^16."""
    f = getattr(scheme.fmt, "element", scheme.fmt)
    if isinstance(f, FloatFormat | CodebookFormat) and f.bits <= 16:
        return f.values.copy()
    return np.zeros(1, f4)


@inlined()
def code_limits(rule, stored, extra, k):
    """Below and above what a weight rounds beyond the smallest or largest code, as `reference.code_limits`."""
    infinite = f4(np.inf)
    half = f4(0.5)
    if rule == SIGN or rule == IDENTITY:
        return -infinite, infinite
    if rule == BF16:
        limit = f4(MAX_BF16 + f4(2.0**119))
        return -limit, limit
    if rule == CAST:
        limit = half_a_step_past(k)
        return -limit, limit
    if rule == CENTRED:
        middle = blocks.middle(k.top)
        return blocks.limits(-middle, f4(k.top - middle), stored, f4(0))
    if rule == MINIMUM:
        return blocks.limits(f4(0), k.top, stored, blocks.in_half(extra))
    if rule == BYTES:
        return blocks.limits(f4(-128), f4(127), stored, f4(0))
    if not stored > f4(0):
        return -infinite, infinite
    if rule == CODEBOOK:
        return -stored, stored
    if rule == ASYM:
        return f4(f4(-half - extra) * stored), f4(f4(k.top + half - extra) * stored)
    if rule == OFFSET:
        return f4(extra - half * stored), f4(extra + f4(k.top + half) * stored)
    limit = f4(k.top + half)
    if rule == MXINT:
        limit = f4(f4(127.5) * INT8_STEP)
    elif rule == SCALED or rule == MX or rule == NVFP4:
        limit = half_a_step_past(k)
    return f4(-limit * stored), f4(limit * stored)


@inlined()
def half_a_step_past(k):
    """A float format's largest value and half the spacing below it, beyond which it saturates."""
    exponent = i4(bits_of(k.top) >> i4(23))
    return f4(k.top + float_of(i4(exponent - k.mantissa - i4(1)) << i4(23)))
