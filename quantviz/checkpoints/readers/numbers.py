"""The types in which scales are kept, and what their codes stand for."""

from __future__ import annotations

import numpy as np

from ...tensors.float8 import FLOAT8, FNUZ, float8_values
from .levels import e8m0

_FLOATS = ("float32", "bfloat16", "float16")
POWERS = ("uint8", "F8_E8M0")


def keeps_scales(dtype: str) -> bool:
    """Whether scales are kept in that type."""
    return dtype in (*_FLOATS, *POWERS, *FLOAT8, *FNUZ)


def scale_values(dtype: str) -> np.ndarray | None:
    """float32 [256]: what each byte of a scale stands for; None for one that is a number as it is read."""
    if dtype in _FLOATS:
        return None
    return e8m0() if dtype in POWERS else float8_values(dtype)
