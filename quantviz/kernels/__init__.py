"""Quantize, dequantize and measure on each engine: `cpu` (numba), `cuda` (Triton), `reference` (torch, any device)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..schemes import Scheme
from ..tensors import check_importance
from .arrays import as_numpy, in_arrays_of
from .engines import ENGINES, check_engine, default_engine, verbs
from .overflow import refuse_values
from .results import Quantized

__all__ = ["ENGINES", "check_engine", "default_engine", "dequantize", "quantize", "warm_up"]


def quantize(w: Any, key: str | Scheme, importance: Any = None, engine: str = "cpu") -> Quantized:
    """Codes, scales and zero points of `w` under a scheme.

    w: NumPy array, torch tensor or StoredTensor of any shape; blocks run along the input, which is the last axis, or
    all but the first of a convolution's four and more.
    importance: one non-negative number an input; weighs the search of clip=mse and of block types.
    engine: "cpu", "cuda" or "reference"; all give the same codes. A torch tensor in gives torch tensors out, on its own
    device; on a GPU it never leaves it with "cuda" and "reference".
    A block longer than a row is the whole row, and the result's notices say so.
    Raises QuantvizError for a wrong key, NaN and infinity in the weights or in what a scheme makes of them, integer or
    empty tensors, an
    engine that cannot run here, and for block types whose blocks do not divide a row or that demand importance and get
    none.

    >>> q = quantize(np.array([-0.89, 0.16, 0.08, -0.13, 0.16, -0.54], np.float32), "int4-sym-tensor:scale=fp32")
    >>> q.codes
    array([-7,  1,  1, -1,  1, -4], dtype=int8)
    """
    scheme = Scheme.parse(key)
    scheme.check_importance_given(importance is not None)
    check_engine(engine)
    use = verbs(engine)
    stored = use.take(w)
    scheme.check_shape(*stored.matrix)
    use.check_finite(stored)
    q = use.quantize(stored, scheme, check_importance(importance, stored.cols))
    q = in_arrays_of(w, q.shaped(stored.shape, stored.input_axes))
    refuse_values(q, stored.name)
    said = scheme.shape_notices(*q.matrix)
    return replace(q, notices=(*said, *q.notices)) if said else q


def dequantize(q: Quantized) -> Any:
    """float32 weights of a Quantized, NumPy or torch like its codes; torch codes on a GPU stay there."""
    y = _dequantize(q.shaped(q.matrix))
    return (y if q.input_scales is None else y / q.input_scales).reshape(q.shape)


def _dequantize(q: Quantized) -> Any:
    """Of rows and columns."""
    if isinstance(q.codes, np.ndarray):
        return verbs("cpu").dequantize(q)
    device = q.codes.device.type
    if device == "cpu":
        import torch

        return torch.from_numpy(verbs("cpu").dequantize(as_numpy(q)))
    return verbs("cuda" if device == "cuda" == default_engine() else "reference").dequantize(q)


def warm_up(key: str = "int4-sym-tensor") -> None:
    """Compiles, or loads from disk, what the first evaluation of a scheme needs. Meant for a background thread."""
    from . import cpu

    cpu.warm_up(key)
