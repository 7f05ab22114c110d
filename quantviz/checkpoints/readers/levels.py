"""What the small codes of microscaling formats stand for."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...formats import get
from ...tensors.float8 import float8_values


def e2m1() -> np.ndarray:
    """float32 [16]: the 4-bit floats, codes 8 to 15 being the negatives of 0 to 7."""
    return get("fp4_e2m1").values


def e2m3() -> np.ndarray:
    """float32 [64]: the 6-bit floats with three bits of mantissa, codes 32 to 63 being the negatives of 0 to 31."""
    return get("fp6_e2m3").values


@cache
def e8m0() -> np.ndarray:
    """float32 [256]: the powers of two that a scale's code stands for, 2^(code - 127); 255 is NaN."""
    return np.append(np.ldexp(np.float32(1), np.arange(-127, 128)), np.float32(np.nan)).astype(np.float32)


def e4m3() -> np.ndarray:
    """float32 [256]: the 8-bit floats of type float8_e4m3fn."""
    return float8_values("float8_e4m3fn")
