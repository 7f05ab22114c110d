"""The verbs of the engine cuda: see `kernels.engines`. A torch tensor on the GPU stays where it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...schemes import Scheme
from ...statistics import TensorStatistics
from ...tensors import StoredTensor, as_stored, refuse_non_finite
from .. import cpu
from ..arrays import TorchTensor
from ..bins import Bins
from ..results import Pass, Progress, Quantized
from . import describe as described
from . import engine_name as name
from . import measuring, quantizing
from .device import as_device_tensor, on_device
from .quantizing import dequantize

__all__ = ["check_finite", "dequantize", "describe", "measure", "name", "quantize", "take"]


def take(w: Any) -> StoredTensor:
    return as_device_tensor(w) or as_stored(w)


def check_finite(stored: StoredTensor) -> None:
    if not bool(on_device(stored).isfinite().all()):
        refuse_non_finite(stored)


def describe(stored: StoredTensor, progress: Progress | None = None) -> TensorStatistics:
    """On the device where the tensor lies there, else by the engine cpu."""
    return (described if isinstance(stored, TorchTensor) else cpu.describe)(stored, progress)


def quantize(stored: StoredTensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Codes and parameters, as torch tensors on the device."""
    return quantizing.quantize(on_device(stored), scheme, importance)


def measure(
    stored: StoredTensor,
    scheme: Scheme,
    bins: tuple[Bins, Bins] | None = None,
    importance: np.ndarray | None = None,
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
) -> Pass:
    if stored.is_wide:
        result = measuring.measure_wide(stored, scheme, bins, importance)
    else:
        result = measuring.measure(on_device(stored), scheme, bins, importance, statistics)
    if not math.isfinite(result.sums.squared + result.sums.squared_error):
        refuse_non_finite(stored)
    if progress:
        progress(stored.size, stored.size)
    return result
