"""float32 numbers and their bit patterns, in compiled code."""

from __future__ import annotations

import numpy as np

from .compiler import inlined

f4, i4 = np.float32, np.int32

MAGNITUDE = i4(0x7FFFFFFF)
SIGN_BIT = i4(-0x80000000)


@inlined()
def bits_of(v):
    return i4(f4(v).view(i4))


@inlined()
def float_of(b):
    return f4(i4(b).view(f4))
