"""q4_0, q4_1, q5_0, q5_1 and q8_0 as rules for one weight: what their bytes would hold, without assembling them.

The arithmetic is that of blocks_simple, which names its source and writes the bytes; a group's parameters are
  factor   what a weight is multiplied by
  stored   the scale as fp16 holds it
  extra    centred: what is added before rounding down; from the minimum: the minimum before it is rounded to fp16
What fp16 cannot hold is infinite in the bytes. Here it stays finite, so that a pass goes on; its scale before rounding
is called infinite, by which it is counted, and refused in the end.
"""

from __future__ import annotations

import numpy as np

from ..blocks.bits import from_half, to_half
from ..blocks.plain import HUGE, byte_scale, centred_scale, range_scale, round_away
from ..compiler import inlined

f4, i4 = np.float32, np.int32
MAX_FP16 = f4(65504.0)


@inlined()
def in_half(v):
    return f4(min(max(from_half(to_half(v)), -MAX_FP16), MAX_FP16))


@inlined()
def fits(v):
    return abs(from_half(to_half(v))) != HUGE


@inlined()
def middle(top):
    """The code that stands for 0 where `top` is the largest: 8 of 15."""
    return f4(f4(top + f4(1)) * f4(0.5))


@inlined()
def centred_parameters(largest, top):
    """Of a group whose weight of largest magnitude, with its sign, is `largest`."""
    d, factor, offset = centred_scale(largest, middle(top))
    return factor, in_half(d), offset, f4(abs(largest)) if fits(d) else HUGE


@inlined()
def minimum_parameters(low, high, top):
    d, factor, _ = range_scale(low, high, top)
    return factor, in_half(d), low, f4(max(abs(low), abs(high))) if fits(d) and fits(low) else HUGE


@inlined()
def byte_parameters(largest):
    d, factor = byte_scale(largest)
    return factor, in_half(d), f4(0), largest if fits(d) else HUGE


@inlined()
def centred_code(v, factor, extra, top):
    return f4(i4(min(max(f4(f4(v * factor) + extra), f4(0)), top)))


@inlined()
def minimum_code(v, factor, extra, top):
    low = extra if factor != f4(0) else f4(0)  # their difference may leave float32
    return f4(i4(min(max(f4(f4(f4(v - low) * factor) + f4(0.5)), f4(0)), top)))


@inlined()
def byte_code(v, factor):
    return f4(round_away(f4(v * factor)))


@inlined()
def centred_value(code, stored, top):
    return f4(f4(code - middle(top)) * stored)


@inlined()
def minimum_value(code, stored, extra):
    return f4(f4(code * stored) + in_half(extra))


@inlined()
def limits(lowest, highest, stored, minimum):
    """Half a step below and above what the outermost codes reach; a scale may be negative, or 0 for no limits."""
    if stored == f4(0):
        return f4(-HUGE), HUGE
    a, b = f4(f4(stored * lowest) + minimum), f4(f4(stored * highest) + minimum)
    half = f4(abs(stored) * f4(0.5))
    return f4(min(a, b) - half), f4(max(a, b) + half)
