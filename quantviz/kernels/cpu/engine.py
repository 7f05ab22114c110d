"""The verbs of the engine cpu: see `kernels.engines`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...schemes import Scheme
from ...tensors import StoredTensor, as_stored, refuse_non_finite
from ..results import Quantized
from . import dequantize, describe, measure
from . import quantize as quantized

__all__ = ["check_finite", "dequantize", "describe", "measure", "name", "quantize", "take"]

take, check_finite = as_stored, refuse_non_finite


def quantize(stored: StoredTensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Codes and parameters, as NumPy arrays."""
    return quantized(replace(stored, shape=stored.matrix), scheme, importance=importance)


def name(scheme: Scheme, weighted: bool = False, wide: bool = False) -> str:
    return "cpu"
