"""Every scaling for one group, as numba sees it: its parameters, and weights in steps of it and back.

The arithmetic and its order are those of `reference`, which names the sources; GGUF's plain block types have theirs in
packed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bits import bits_of, float_of
from ..compiler import inlined
from . import packed
from .casts import MAX_FINITE, cast, store
from .constants import (
    CENTRED,
    EDGE,
    FROM_LOWEST,
    LARGEST,
    MEAN,
    MIN_NORMAL,
    MINIMUM,
    NONE,
    POWER_OF_TWO,
    SCALING_BITS,
    SIGNS,
    TWO_LEVELS,
    UNIT,
    ZERO_POINT,
)  # fmt: skip

f4, i4 = np.float32, np.int32
SMALLEST_ABSMAX = f4(1e-38)  # as in reference
SMALLEST_EDGE_SCALE = f4(1e-7)
NVFP4_SMALLEST_SCALE = f4(2.0**-6)
E4M3_MAX = f4(448.0)
E2M1_MAX = f4(6.0)


class Parameters(NamedTuple):
    """Of a group, three float32 numbers; of many, three arrays with a number a group."""

    # What a weight is divided by (largest, mean, minimum) or multiplied by (the rest); of a zero point, where the
    # reciprocal of a scale is beyond float32, minus the scale.
    factor: Any
    stored: Any  # what dequantization multiplies by
    extra: Any  # zero point, minimum, or the block scale of two levels


@inlined()
def scaling_of(rule):
    return rule & ((1 << SCALING_BITS) - 1)


@inlined()
def element_of(rule):
    return rule >> SCALING_BITS


@inlined()
def is_ranged(rule):
    """Whether a group is described by its smallest and its largest weight, not by a magnitude."""
    scaling = scaling_of(rule)
    return scaling == ZERO_POINT or scaling == MINIMUM or scaling == EDGE or element_of(rule) == FROM_LOWEST


@inlined()
def divisor(scale):
    """A scale to divide by: dividing by infinity turns the weights of a vanished scale into zeros."""
    return scale if scale > f4(0) else f4(np.inf)


@inlined()
def clip(q, low, high):
    return f4(min(max(q, low), high))


@inlined()
def from_edge(low, high, k):
    """The parameters of a range counted from its end of larger magnitude, as `parameters` gives them."""
    scale = f4(max(f4(f4(high - low) / k.top), SMALLEST_EDGE_SCALE))
    from_low = abs(low) > abs(high)
    scale, edge = (scale if from_low else -scale), (low if from_low else high)
    steps = f4(np.rint(f4(edge / scale)))
    if steps != f4(0):
        scale = f4(edge / steps)
    else:
        edge = f4(0)
    s = store(scale, k.store)
    return (s if s != f4(0) else f4(np.inf)), s, store(edge, k.store), f4(abs(scale))


@inlined()
def two_levels(largest, grown, tensor_scale, sixes):
    """The parameters of an NVFP4 block, as `parameters` gives them. grown: 1.5 for a largest weight of 4 in place of 6.

    sixes: as in Constants; None where no such block is, and then numbers all the same, that the compiler sees a type.
    """
    zero = f4(0)
    if sixes is None:
        return zero, zero, zero, zero
    if tensor_scale == zero:
        return zero, zero, zero, zero
    exact = f4(largest / E2M1_MAX)
    rate = sixes[0]
    if rate > zero:
        block = cast(f4(f4(exact * rate) * grown), i4(3), i4(121), E4M3_MAX)
        stored = f4(tensor_scale * block)
        factor = f4(f4(1) / stored) if stored > zero else zero
    else:
        exact = f4(exact / tensor_scale)
        block = cast(f4(min(max(exact, NVFP4_SMALLEST_SCALE), E4M3_MAX)), i4(3), i4(121), E4M3_MAX)
        stored = f4(tensor_scale * block)
        factor = f4(f4(f4(1) / tensor_scale) / block)  # infinite for weights below 2^-122 or so
    return f4(min(factor, MAX_FINITE)), stored, block, block


@inlined()
def parameters(rule, low, high, mean, k):
    """factor, stored, extra, and the scale before rounding, of a group with these extremes."""
    scaling, element = scaling_of(rule), element_of(rule)
    largest = f4(abs(max(-low, high)))  # never -0
    zero = f4(0)
    if scaling == NONE:
        return f4(1), f4(1), zero, f4(1)
    if scaling == LARGEST:
        exact = f4(largest / k.largest)
        s = store(exact, k.store)
        return divisor(s), s, zero, exact
    if scaling == MEAN:
        s = store(mean, k.store)
        return divisor(s), s, zero, mean
    if scaling == ZERO_POINT:
        low, high = f4(min(low, zero)), f4(max(high, zero))
        exact = f4(f4(high - low) / k.top)
        s = store(exact, k.store)
        if s > zero:
            reciprocal, z = f4(f4(1) / s), f4(min(max(f4(np.rint(f4(-low / s))), zero), k.top))
            return -s if reciprocal > MAX_FINITE else reciprocal, s, z, exact
        return zero, s, zero, exact
    if scaling == MINIMUM:
        exact = f4(f4(high - low) / k.top)
        s = store(exact, k.store)
        return divisor(s), s, store(low, k.store), exact
    if scaling == EDGE:
        return from_edge(low, high, k)
    if scaling == UNIT:
        s = store(largest, k.store)
        return f4(f4(1) / f4(max(s, SMALLEST_ABSMAX))), s, zero, largest
    if scaling == POWER_OF_TWO:
        field = i4(i4(bits_of(f4(largest / k.largest)) + k.addend) >> i4(23))
        exponent = i4(min(max(i4(field - i4(127) - k.emax), i4(-127)), i4(127)))
        # 2^-127 is subnormal: stored so, but weights are divided by 2^-126, as torchao has it.
        s = float_of(i4(exponent + i4(127)) << i4(23)) if exponent > i4(-127) else float_of(i4(1) << i4(22))
        return f4(f4(1) / f4(max(s, MIN_NORMAL))), s, zero, s
    if scaling == TWO_LEVELS:
        return two_levels(largest, f4(1), k.tensor_scale, k.sixes)
    if element == CENTRED:
        return packed.centred_parameters(high, k.top)
    if element == FROM_LOWEST:
        return packed.minimum_parameters(low, high, k.top)
    return packed.byte_parameters(largest)


@inlined()
def to_steps(rule, v, p):
    """A weight as the element sees it, of a group with the parameters p."""
    scaling, factor = scaling_of(rule), p.factor
    if scaling == NONE or element_of(rule) == SIGNS:
        return v
    if scaling == LARGEST or scaling == MEAN:
        return f4(v / factor)
    if scaling == ZERO_POINT:  # by the reciprocal of the scale as torchao has it, or by division where there is none
        return f4(v / -factor) if factor < f4(0) else f4(v * factor)
    if scaling == MINIMUM or scaling == EDGE:
        return f4(f4(v - p.extra) / factor)
    if scaling == UNIT:
        return clip(f4(v * factor), f4(-1), f4(1))
    if scaling == TWO_LEVELS:
        return clip(f4(v * factor), -E2M1_MAX, E2M1_MAX)
    return f4(v * factor)


@inlined()
def from_steps(rule, value, p):
    """A weight from what the element stands for."""
    scaling = scaling_of(rule)
    if scaling == NONE:
        return value
    if scaling == ZERO_POINT:
        return f4(f4(value - p.extra) * p.stored)
    if scaling == MINIMUM or scaling == EDGE:
        return f4(p.extra + f4(value * p.stored))
    return f4(value * p.stored)
