"""Every element for one weight, as numba sees it: the nearest of its numbers, its code, and what a code stands for.

The arithmetic and its order are those of `reference`; GGUF's plain block types have theirs in packed.
"""

from __future__ import annotations

import numpy as np

from ....formats import MXINT8_STEP
from ....schemes.rules import LARGEST_STEPS
from ..bits import bits_of, float_of, place
from ..compiler import inlined
from . import packed
from .casts import MAX_BF16, cast, cast_code, half_a_step_past, pick, to_bf16
from .constants import (
    BF16,
    BYTES,
    CENTRED,
    EDGE,
    FLOATS,
    FROM_LOWEST,
    IDENTITY,
    INTEGERS,
    LEVELS,
    NONE,
    ONE_ZERO,
    PACKED,
    SIGNS,
    STEPPED,
    ZERO_POINT,
)  # fmt: skip
from .scalings import E2M1_MAX, clip, element_of, from_steps, scaling_of, to_steps

f4, f8, i4 = np.float32, np.float64, np.int32
LARGEST_STEPS_OF_FOUR = f4(LARGEST_STEPS[4])
STEP, STEPS = f4(MXINT8_STEP), f4(1 / MXINT8_STEP)
MOST_STEPS = f4(127)


@inlined()
def whole_number(rule, u, p, k):
    """The code of whole numbers, as float32."""
    q = f4(np.rint(u))
    return clip(f4(q + p.extra) if scaling_of(rule) == ZERO_POINT else q, k.least, k.top)


@inlined()
def in_sixty_fourths(u):
    return clip(f4(np.rint(f4(u * STEPS))), -MOST_STEPS, MOST_STEPS)


@inlined()
def packed_code(element, v, p, k):
    """The code of a block type, as float32."""
    if element == CENTRED:
        return packed.centred_code(v, p.factor, p.extra, k.top)
    if element == FROM_LOWEST:
        return packed.minimum_code(v, p.factor, p.extra, k.top)
    return packed.byte_code(v, p.factor)


@inlined()
def roundtrip(rule, v, p, k):
    """The dequantized weight, without assembling a code; p: the Parameters of its group."""
    element = element_of(rule)
    if scaling_of(rule) == PACKED:
        code = packed_code(element, v, p, k)
        if element == CENTRED:
            return packed.centred_value(code, p.stored, k.top)
        return packed.minimum_value(code, p.stored, p.extra) if element == FROM_LOWEST else f4(code * p.stored)
    u = to_steps(rule, v, p)
    value = u
    if element == BF16:
        value = to_bf16(u)
    elif element == FLOATS or element == ONE_ZERO:
        value = cast(u, k.mantissa, k.emin, k.top)
    elif element == INTEGERS:
        value = whole_number(rule, u, p, k)
    elif element == STEPPED:
        value = f4(in_sixty_fourths(u) * STEP)
    elif element == SIGNS:
        value = f4(1) if u >= f4(0) else f4(-1)
    elif element == LEVELS:
        value = pick(u, k.thresholds, k.levels)
    return from_steps(rule, value, p)


@inlined()
def squared_error_of_block(x, factor, block, sixes, k):
    """Σ e² of an NVFP4 block as four over six compares them: see `reference.rules.four_over_six`."""
    total = f8(0)
    for j in range(x.shape[0]):
        u = clip(f4(x[j] * factor), -E2M1_MAX, E2M1_MAX)
        v = f4(cast(u, k.mantissa, k.emin, k.top) * block)
        e = f4(f4(f4(v * sixes[1]) / LARGEST_STEPS_OF_FOUR) - x[j])
        total += f8(f4(e * e))
    return total


@inlined()
def encode(rule, v, p, k):
    """The code (int32) that `roundtrip` stands on."""
    element = element_of(rule)
    if scaling_of(rule) == PACKED:
        return i4(packed_code(element, v, p, k))
    u = to_steps(rule, v, p)
    if element == IDENTITY:
        return bits_of(u)
    if element == BF16:
        return i4(i4(bits_of(to_bf16(u)) >> i4(16)) & i4(0xFFFF))
    if element == FLOATS:
        return cast_code(u, k.mantissa, k.emin, k.max_code, k.bits)
    if element == ONE_ZERO:
        code = cast_code(u, k.mantissa, k.emin, k.max_code, k.bits)
        return i4(0) if code == i4(i4(1) << i4(k.bits - i4(1))) else code
    if element == STEPPED:
        return i4(in_sixty_fourths(u))
    if element == SIGNS:
        return i4(1) if u >= f4(0) else i4(-1)
    if element == LEVELS:
        return i4(pick(u, k.thresholds, k.codes))
    return i4(whole_number(rule, u, p, k))


@inlined()
def decode(rule, code, p, values):
    """The dequantized weight of a code; `values` as `values_of` gives them."""
    element = element_of(rule)
    if element == IDENTITY:
        return float_of(code)
    if element == BF16:
        return float_of(i4(i4(code) << i4(16)))
    if element == FLOATS or element == ONE_ZERO or element == LEVELS:
        return from_steps(rule, values[place(code, values.shape[0])], p)
    if element == STEPPED:
        return from_steps(rule, f4(f4(code) * STEP), p)
    return from_steps(rule, f4(code), p)


@inlined()
def code_limits(rule, p, k):
    """Below and above what a weight rounds beyond the smallest or largest code, as `reference.code_limits`."""
    element, infinite, half = element_of(rule), f4(np.inf), f4(0.5)
    if element == SIGNS or element == IDENTITY:
        return -infinite, infinite
    if element == BF16:
        limit = f4(MAX_BF16 + f4(2.0**119))
        return -limit, limit
    if element == CENTRED:
        middle = packed.middle(k.top)
        return packed.limits(-middle, f4(k.top - middle), p.stored, f4(0))
    if element == FROM_LOWEST:
        return packed.limits(f4(0), k.top, p.stored, packed.in_half(p.extra))
    if element == BYTES:
        return packed.limits(f4(-128), f4(127), p.stored, f4(0))
    low, high = f4(-1), f4(1)  # of code books, whose steps differ: the outermost levels
    if element == FLOATS or element == ONE_ZERO:
        high = half_a_step_past(k)
        low = -high
    elif element == INTEGERS:
        low, high = f4(k.least - half), f4(k.top + half)
    elif element == STEPPED:
        high = f4(f4(MOST_STEPS + half) * STEP)
        low = -high
    if scaling_of(rule) == NONE:
        return low, high
    if scaling_of(rule) == EDGE and p.stored < f4(0):
        low, high = high, low
    elif not p.stored > f4(0):
        return -infinite, infinite
    return from_steps(rule, low, p), from_steps(rule, high, p)
