"""Values as JSON can hold them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The same value in JSON's own types: NumPy arrays become lists, NaN and infinities None.

    >>> plain({"a": np.float32(0.5), "b": math.nan, "c": np.arange(2)})
    {'a': 0.5, 'b': None, 'c': [0, 1]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
