"""Quantize, dequantize and measure on each engine: `cpu` (numba), `cuda` (Triton), `reference` (torch, any device)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import is_torch, plain_numpy, plain_torch
from ..errors import QuantvizError
from ..schemes import Scheme
from ..tensors import StoredTensor, as_stored, check_weights, rows_and_cols
from .common import Quantized
from .engines import ENGINES, check_engine, default_engine
from .overflow import refuse_values

__all__ = ["ENGINES", "as_numpy", "check_engine", "check_importance", "default_engine", "dequantize", "quantize",
           "refuse_non_finite", "warm_up"]  # fmt: skip


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
    return _as_torch(q) if of_torch else q


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
    return _to(q, w.device) if of_torch else as_numpy(q)


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


def check_importance(importance: Any, cols: int, rows: int = 0) -> np.ndarray | None:
    """float32 [cols], or None; raises QuantvizError for a wrong length, negative, non-finite or all-zero values.

    importance: as weights may be given, whole numbers too.
    rows: of the tensor, where experts that lie in it may each have their own: then also float32 [experts, cols].
    """
    if importance is None:
        return None
    h = _numbers(importance, "The importance")
    if rows and h.ndim == 2 and len(h) > 1 and h.shape[1] == cols and rows % len(h) == 0:
        return np.stack([check_importance(one, cols) for one in h])
    if h.ndim == 2 and h.size != cols:
        raise QuantvizError(
            f"The importance has {h.size:,} values, {len(h):,} × {h.shape[1]:,}, and a row of this tensor {cols:,}; "
            "give one a column, or, for experts that lie in one tensor, such a row for each."
        )
    h = h.reshape(-1)
    if len(h) != cols:
        raise QuantvizError(
            f"The importance vector has {len(h):,} values, and a row of this tensor {cols:,}; give one a column."
        )
    if not np.isfinite(h).all() or (h < 0).any() or not h.any():
        raise QuantvizError("Importance must be finite, not negative, and not zero everywhere.")
    return h


def _numbers(x: Any, what: str) -> np.ndarray:
    """float32 of numbers in whatever array."""
    array = plain_torch(x, what).float().cpu().numpy() if is_torch(x) else plain_numpy(x, what)
    if array.dtype.kind not in "fiub":
        raise QuantvizError(f"{what} has the dtype {array.dtype}; give real numbers, as float32 for example.")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is refused as such
        return array.astype(np.float32)


def refuse_non_finite(stored: StoredTensor, chunk: int = 1 << 20) -> None:
    """Raises QuantvizError with the count and the first position if there is any NaN or infinity."""
    first, nans, infinities = None, 0, 0
    for start in range(0, stored.size, chunk):
        x = stored.read(start, start + chunk)
        bad = ~np.isfinite(x)
        if bad.any():
            first = start + int(bad.argmax()) if first is None else first
            nans += int(np.isnan(x).sum())
            infinities += int(np.isinf(x).sum())
    if first is None:
        return
    where = [int(i) for i in np.unravel_index(first, stored.shape)]
    counts = " and ".join(f"{n:,} {what}" for n, what in ((nans, "NaN"), (infinities, "infinite")) if n)
    raise QuantvizError(
        f"{stored.name or 'The tensor'} holds {counts} value{'s' * (nans + infinities != 1)}, the first at {where}; "
        "quantization needs finite weights, so choose another tensor or a range of rows without them."
    )


_ARRAYS = ("codes", "scales", "zero_points", "minima", "kept_index", "kept_values", "data")


def _as_torch(q: Quantized) -> Quantized:
    import torch

    return replace(q, **{n: torch.from_numpy(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def _to(q: Quantized, device: Any) -> Quantized:
    return replace(q, **{n: v.to(device) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def as_numpy(q: Quantized) -> Quantized:
    """The same, with torch arrays turned into NumPy's."""
    return replace(q, **{n: _as_numpy_array(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def _as_numpy_array(t: Any) -> np.ndarray:
    return t.cpu().numpy()
