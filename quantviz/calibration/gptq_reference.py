"""GPTQ to be read: a column at a time in plain torch, every rule as `quantviz.kernels.reference` defines it."""

from __future__ import annotations

import numpy as np
import torch

from ..kernels.reference.rules import Params, decode, encode
from ..schemes import Scheme
from .steps import Steps


def solve(w: np.ndarray, scheme: Scheme, steps: Steps, u: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Codes, int64 [rows, cols], of weights float32 [rows, cols]; u and order as `gptq.solve` takes them."""
    columns = np.arange(w.shape[1]) if order is None else order
    left, upper = torch.from_numpy(w[:, columns].copy()), torch.from_numpy(u)
    codes = torch.zeros(w.shape, dtype=torch.int64)
    for i, column in enumerate(columns):
        p = params_of(steps, scheme, len(w), int(column))
        code = encode(left[:, i], p, scheme)
        error = (left[:, i] - decode(code, p, scheme)) / upper[i, i]
        left[:, i:] -= error[:, None] * upper[i, i:]
        codes[:, column] = code
    return codes.numpy()


def params_of(steps: Steps, scheme: Scheme, rows: int, column: int) -> Params:
    """The parameters of the groups in which a column lies, one a row."""
    place = np.arange(rows) // steps.height, column // steps.width

    def of(grid: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(grid[place])

    has_minimum = scheme.how.scaling in ("minimum", "edge")
    return Params(
        of(steps.scale), of(steps.stored), of(steps.zero) if scheme.how.scaling == "zero point" else None,
        of(steps.shift) if has_minimum else None,
    )  # fmt: skip
