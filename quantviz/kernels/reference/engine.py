"""The verbs of the engine reference: see `kernels.engines`. A torch tensor is worked on where it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...schemes import Scheme
from ...statistics import TensorStatistics
from ...tensors import StoredTensor, as_stored, refuse_non_finite
from ..arrays import TorchTensor
from ..bins import Bins
from ..cpu import describe
from ..results import Pass, Progress, Quantized
from . import dequantize
from . import measure as measured
from . import quantize as quantized

__all__ = ["check_finite", "dequantize", "describe", "measure", "name", "quantize", "take"]


def take(w: Any) -> StoredTensor:
    return TorchTensor.of(w) or as_stored(w)


def _matrix(stored: StoredTensor) -> torch.Tensor:
    """[rows, cols], float64 where weights are wide, else float32."""
    if isinstance(stored, TorchTensor):
        x = stored.data if stored.is_wide else stored.data.float()
    else:
        x = torch.from_numpy(np.array(stored.read_exactly()))
    return x.reshape(stored.matrix)


def check_finite(stored: StoredTensor) -> None:
    """As float32, which is what is quantized; on the device where the tensor lies there, else piece by piece."""
    if not (isinstance(stored, TorchTensor) and bool(stored.data.float().isfinite().all())):
        refuse_non_finite(stored)


def quantize(stored: StoredTensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Codes and parameters, as torch tensors on the device of the weights."""
    return quantized(_matrix(stored).float(), scheme, importance)


def measure(
    stored: StoredTensor,
    scheme: Scheme,
    bins: tuple[Bins, Bins] | None = None,
    importance: np.ndarray | None = None,
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
) -> Pass:
    if statistics is None:
        check_finite(stored)
    return measured(_matrix(stored), scheme, bins, importance)


def name(scheme: Scheme, weighted: bool = False, wide: bool = False) -> str:
    return "reference"
