"""Whether weights that have nothing in common are one matrix, rotated: as QuaRot, SpinQuant and QuIP# do.

A rotation of a layer's inputs leaves the products of its rows as they are, one of its outputs those of its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tensors import StoredTensor

UNLIKE = 0.1  # cosine similarity of two that have nothing in common
_ONE_SIZE = 1.25  # how much longer or shorter one may be than the other
_PRODUCTS = 0.8  # correlation of products that are the same but for rounding
_LINES = 64  # rows, and columns, of which the products are looked at


@dataclass(frozen=True)
class Rotation:
    """of: "inputs" or "outputs"; "" where neither shows.  agreement: correlation of the products that stay."""

    of: str
    agreement: float


def rotation(x: StoredTensor, y: StoredTensor, cosine: float) -> Rotation | None:
    """What makes two matrices of one shape differ; None where they have something in common or differ in size."""
    if abs(cosine) > UNLIKE or min(x.rows, x.cols) < 2 or len(x.shape) < 2:
        return None
    rows = np.unique(np.linspace(0, x.rows - 1, _LINES).astype(int)).tolist()
    a, b = (np.stack([t.read(r * t.cols, (r + 1) * t.cols) for r in rows]).astype(np.float64) for t in (x, y))
    length = np.sqrt(np.square(a).sum()), np.sqrt(np.square(b).sum())
    if not min(length) or max(length) > _ONE_SIZE * min(length):
        return None
    inputs, outputs = _agreement(a @ a.T, b @ b.T), _agreement(*(_products_of_columns(t) for t in (x, y)))
    if max(inputs, outputs) < _PRODUCTS:
        return Rotation("", max(inputs, outputs))
    return Rotation("inputs", inputs) if inputs >= outputs else Rotation("outputs", outputs)


def _products_of_columns(t: StoredTensor) -> np.ndarray:
    columns = np.unique(np.linspace(0, t.cols - 1, _LINES).astype(int))
    total = np.zeros((len(columns), len(columns)))
    height = max(1, (1 << 20) // t.cols)
    for row in range(0, t.rows, height):
        stop = min(row + height, t.rows)
        some = t.read(row * t.cols, stop * t.cols).reshape(-1, t.cols)[:, columns].astype(np.float64)
        total += some.T @ some
    return total


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of what lies beside the diagonal: lengths agree of many matrices, angles of one."""
    aside = ~np.eye(len(a), dtype=bool)
    u, v = a[aside], b[aside]
    return float(u @ v / (np.sqrt((u @ u) * (v @ v)) or 1))
