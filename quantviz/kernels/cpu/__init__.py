"""The fast engine on the CPU: numba kernels over pieces of a tensor, on one pool of threads.

One pass, no dequantized copy: a piece is read as float32, its groups get their parameters, and every stretch of it
is quantized, dequantized and measured while it is in cache.
"""

from __future__ import annotations

import numpy as np

from ...schemes import Scheme
from ...tensors import as_stored
from ..bins import value_bins
from .passes.describe import describe
from .passes.measuring import measure
from .passes.quantizing import dequantize, group, quantize, reconstruct
from .passes.transforms import in_fp16

__all__ = ["describe", "dequantize", "group", "in_fp16", "measure", "quantize", "reconstruct", "warm_up"]


def warm_up(key: str = "int4-sym-tensor") -> None:
    """Compiles, or loads from disk, the kernels that describe a tensor and evaluate it under one scheme."""
    stored = as_stored(np.linspace(-1, 1, 4096, dtype=np.float32).reshape(4, 1024))
    scheme = Scheme.parse(key)
    t = describe(stored)
    bins = value_bins(t.min, t.max)
    measure(stored, scheme, (bins, bins), statistics=t)
