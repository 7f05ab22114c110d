"""The arrays of a tensor that was quantized: from NumPy to torch, back, and from device to device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .results import Quantized

_ARRAYS = ("codes", "scales", "zero_points", "minima", "kept_index", "kept_values", "data")


def as_torch(q: Quantized) -> Quantized:
    import torch

    return replace(q, **{n: torch.from_numpy(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def moved(q: Quantized, device: Any) -> Quantized:
    return replace(q, **{n: v.to(device) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def as_numpy(q: Quantized) -> Quantized:
    """The same, with torch arrays turned into NumPy's."""
    return replace(q, **{n: _as_numpy_array(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def _as_numpy_array(t: Any) -> np.ndarray:
    return t.cpu().numpy()
