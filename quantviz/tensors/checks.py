"""What is asked of weights and of their importance before anything is quantized."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..text.wording import plural
from .arrays import is_torch, plain_numpy, plain_torch
from .stored import StoredTensor


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
            f"The importance vector has {plural(len(h), 'value')}, and a row of this tensor {cols:,}; "
            "give one a column."
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
