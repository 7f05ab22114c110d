"""Quantize, dequantize and measure on each engine: `cpu` (numba), `cuda` (Triton), `reference` (torch, any device)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..schemes import Scheme
from ..tensors import StoredTensor, as_stored, check_importance, check_weights, refuse_non_finite, rows_and_cols
from ..tensors.arrays import is_torch, plain_torch
from .arrays import as_numpy, as_torch, moved
from .engines import ENGINES, check_engine, default_engine
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
    q = _quantize(w, scheme, importance, engine)
    refuse_values(q, w.name if isinstance(w, StoredTensor) else "")
    said = scheme.shape_notices(*q.matrix)
    return replace(q, notices=(*said, *q.notices)) if said else q


def _quantize(w: Any, scheme: Scheme, importance: Any, engine: str) -> Quantized:
    if of_torch := is_torch(w):
        w = plain_torch(w)
        check_weights(str(w.dtype).removeprefix("torch."), tuple(w.shape))
    if engine == "cuda":
        return _cuda_quantize(w, scheme, importance, of_torch)
    if of_torch and engine == "reference":
        return _reference_quantize(w, scheme, importance)
    stored = as_stored(w)
    scheme.check_shape(stored.rows, stored.cols)
    refuse_non_finite(stored)
    whole = replace(stored, shape=stored.matrix)  # what an engine sees has rows and columns
    if engine == "reference":
        import torch

        q = as_numpy(_reference_quantize(torch.from_numpy(np.array(whole.numpy())), scheme, importance))
    else:
        from . import cpu

        q = cpu.quantize(whole, scheme, importance=check_importance(importance, stored.cols))
    q = q.shaped(stored.shape, stored.input_axes)
    return as_torch(q) if of_torch else q


def _reference_quantize(w: Any, scheme: Scheme, importance: Any) -> Quantized:
    from . import reference

    shape = tuple(w.shape)
    rows, cols = rows_and_cols(shape)
    scheme.check_shape(rows, cols)
    x = w.float().reshape(rows, cols)
    if not bool(x.isfinite().all()):
        refuse_non_finite(as_stored(w))
    return reference.quantize(x, scheme, check_importance(importance, cols)).shaped(shape)


def _cuda_quantize(w: Any, scheme: Scheme, importance: Any, of_torch: bool) -> Quantized:
    from . import cuda

    stored = cuda.as_device_tensor(w) or as_stored(w)
    scheme.check_shape(stored.rows, stored.cols)
    x = cuda.on_device(stored)
    if not bool(x.isfinite().all()):
        refuse_non_finite(stored)
    q = cuda.quantize(x.reshape(stored.matrix), scheme, check_importance(importance, stored.cols))
    q = q.shaped(stored.shape, stored.input_axes)
    return moved(q, w.device) if of_torch else as_numpy(q)


def dequantize(q: Quantized) -> Any:
    """float32 weights of a Quantized, NumPy or torch like its codes; torch codes on a GPU stay there."""
    return _dequantize(q.shaped(q.matrix)).reshape(q.shape)


def _dequantize(q: Quantized) -> Any:
    """Of rows and columns."""
    if isinstance(q.codes, np.ndarray):
        from . import cpu

        return cpu.dequantize(q)
    if q.codes.device.type == "cpu":
        import torch

        return torch.from_numpy(_dequantize(as_numpy(q)))
    if q.codes.device.type == "cuda" and default_engine() == "cuda":
        from . import cuda

        return cuda.dequantize(q)
    from . import reference

    return reference.dequantize(q)


def warm_up(key: str = "int4-sym-tensor") -> None:
    """Compiles, or loads from disk, what the first evaluation of a scheme needs. Meant for a background thread."""
    from . import cpu

    cpu.warm_up(key)
