"""Rows of weights to the bytes of a block type and back, as ggml's reference computes them, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..block_types import block_type, check_cols, check_rows
from ..errors import QuantvizError
from ..tensors import as_stored, check_importance, refuse_non_finite


def quantize_rows(name: str, x: np.ndarray, importance: Any = None) -> np.ndarray:
    """The bytes ggml writes: float32 [rows, cols] -> uint8 [rows, row bytes].

    importance: one non-negative number a column, as an imatrix holds; types that have no use for it ignore it.
    Raises QuantvizError for an unknown type, a row length that is no multiple of its block, NaN and infinity, and a
    type that demands importance and gets none.

    >>> quantize_rows("q8_0", np.linspace(-1, 1, 32, dtype=np.float32)[None])[0, :4]
    array([  8,  32, 129, 137], dtype=uint8)
    """
    from .cpu.blocks import run as blocks

    kind = block_type(name)
    x = np.ascontiguousarray(x, np.float32)
    rows, cols = x.shape
    check_cols(kind, cols)
    importance = check_importance(importance, cols)
    if kind.needs_importance and importance is None:
        raise QuantvizError(
            f"{name} cannot be quantized without importance: give one number a column, from an imatrix file."
        )
    out = np.empty((rows, kind.row_bytes(cols)), np.uint8)
    if not blocks.quantize(kind, x, importance if kind.uses_importance else None, out):
        refuse_non_finite(as_stored(x))
    return out


def dequantize_rows(name: str, data: np.ndarray, cols: int, out: np.ndarray | None = None) -> np.ndarray:
    """The weights ggml reads: uint8 [rows, row bytes] -> float32 [rows, cols].

    out: a contiguous array of that kind to fill, which saves the system clearing new memory.
    Raises QuantvizError for an unknown type, a row length that is no multiple of its block, and rows of other bytes.
    """
    from .cpu.blocks import run as blocks

    kind = block_type(name)
    check_rows(kind, data, cols)
    if out is None:
        out = np.empty((len(data), cols), np.float32)
    elif out.dtype != np.float32 or out.shape != (len(data), cols) or not out.flags.c_contiguous:
        raise QuantvizError(f"out is to be a contiguous float32 array of shape {[len(data), cols]}.")
    blocks.dequantize(kind, np.ascontiguousarray(data), out)
    return out
