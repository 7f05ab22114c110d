"""float32 numbers, their bit patterns, and indices made of them, in compiled code."""

from __future__ import annotations

import numpy as np

from .compiler import inlined

f4, i4, u4 = np.float32, np.int32, np.uint32

MAGNITUDE = i4(0x7FFFFFFF)
SIGN_BIT = i4(-0x80000000)


@inlined()
def bits_of(v):
    return i4(f4(v).view(i4))


@inlined()
def float_of(b):
    return f4(i4(b).view(f4))


# Compiled code does not check indices: one that data made, and NaN and infinity with it, passes through one of these.


@inlined()
def within(v, lowest, highest):
    """The whole part of a float between two others, int32; of NaN, which no comparison holds for, the lowest."""
    v = v if v > lowest else lowest
    return i4(v if v < highest else highest)


@inlined()
def place(number, count):
    """A whole number as an index of a table of `count` entries, unsigned; what lies outside takes the last."""
    return min(u4(number), u4(count - 1))
