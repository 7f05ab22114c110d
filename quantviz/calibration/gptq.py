"""GPTQ: weights rounded column by column, the error of each passed on to the columns that are still to come.

Frantar, Ashkboos, Hoefler, Alistarh: arXiv 2210.17323, in the form of llm-compressor's `quantize_weight`: scales and
zero points are those of the original weights, so that groups stay where they are whatever the order of the columns.
The loop here is the fast one; `gptq_reference` is the same to be read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import QuantvizError
from .steps import Steps

Progress = Callable[[int, int], None]
BLOCK = 128  # columns whose errors are passed on at once
_ROWS = 64  # of a task
_DAMPS = (0.01, 0.1, 1.0, 10.0, 100.0)  # percent


def order_of(moment: np.ndarray, order: str) -> np.ndarray | None:
    """The columns by falling E[x²] for "act", as torch sorts them; None for as they stand."""
    if order == "none":
        return None
    import torch

    return torch.argsort(torch.from_numpy(moment.diagonal().copy()), descending=True).numpy()


def factor(moment: np.ndarray, damp: float, order: np.ndarray | None = None, key: str = "GPTQ") -> np.ndarray:
    """U, upper triangular float32 [cols, cols], with UᵀU = (H + damp)⁻¹: row i says what the error of column i asks
    of those after it.

    damp: percent of the mean of H's diagonal that is added to it. An input that was always 0 counts as 1.
    Raises QuantvizError for an H that cannot be inverted, with a damp that would do.
    """
    if (found := _factor(moment, damp, order)) is not None:
        return found.numpy()
    enough = next((d for d in _DAMPS if d > damp and _factor(moment, d, order) is not None), None)
    way = f"damp={enough:g}% would do" if enough else "calibrate on more tokens"
    raise QuantvizError(
        f"{key} cannot invert the second moment of these inputs: fewer directions than inputs occur in them, and "
        f"damp={damp:g}% adds too little; {way}."
    )


def _factor(moment: np.ndarray, damp: float, order: np.ndarray | None):
    """The same as a torch tensor, or None where H is not positive definite in float32."""
    import torch

    h = torch.from_numpy(moment[np.ix_(order, order)] if order is not None else moment.copy())
    diagonal, failed = h.diagonal(), torch.empty((), dtype=torch.int32)
    diagonal[diagonal == 0] = 1
    diagonal += damp / 100 * diagonal.mean()
    torch.linalg.cholesky_ex(h, out=(h, failed))  # each step in the memory of the one before
    if failed:
        return None
    torch.cholesky_inverse(h, out=h)
    torch.linalg.cholesky_ex(h, upper=True, out=(h, failed))
    return None if failed or not bool(h.diagonal().isfinite().all()) else h


def solve(
    w: np.ndarray, steps: Steps, u: np.ndarray, order: np.ndarray | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Codes, int16 [rows, cols], of weights float32 [rows, cols], which are overwritten.

    u: as `factor` gives it for the same order of columns.
    progress: called as progress(weights done, weights in all); what it raises stops the work.
    """
    from ..kernels.cpu.workers import work
    from .gptq_loops import solve_block

    rows, cols = w.shape
    columns = np.arange(cols) if order is None else order
    if order is not None:
        w = np.ascontiguousarray(w[:, order])
    group_of, group_row = steps.group_of(columns), np.arange(rows) // steps.height
    codes = np.empty((rows, cols), np.int16)
    grids = steps.factor, steps.shift, steps.zero, steps.stored
    flags, table = (steps.multiply, steps.signed_zero), (steps.thresholds, steps.values, steps.codes)
    ends = tuple(np.float32(v) for v in (steps.limit, steps.low, steps.high, steps.step))
    bands = [slice(row, min(row + _ROWS, rows)) for row in range(0, rows, _ROWS)]
    for first in range(0, cols, BLOCK):
        part = slice(first, min(first + BLOCK, cols))
        block, errors = np.ascontiguousarray(w[:, part]), np.empty((rows, part.stop - first), np.float32)
        inner, found = np.ascontiguousarray(u[part, part]), np.empty(block.shape, np.int16)

        def run(tasks, block=block, errors=errors, inner=inner, found=found, part=part) -> None:
            for _, band in tasks:
                groups = group_of[part], group_row[band]
                solve_block(block[band], inner, groups, grids, flags, ends, table, (found[band], errors[band]))

        work(bands, run)
        codes[:, columns[part]] = found
        w[:, part.stop :] -= errors @ u[part, part.stop :]
        if progress:
            progress(part.stop * rows, rows * cols)
    return codes
