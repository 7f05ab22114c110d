"""GPTQ to be read: a column at a time in plain torch, every rule as `quantviz.kernels.reference` defines it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ..kernels.reference.rules import Params, decode, encode
from ..schemes import Scheme
from .steps import Steps


def solve(w: np.ndarray, scheme: Scheme, steps: Steps, u: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Codes, int64 [rows, cols], of weights float32 [rows, cols]; u and order as `gptq.solve` takes them."""
    codes = torch.zeros(w.shape, dtype=torch.int64)
    for turn in turns(w, scheme, steps, u, order):
        codes[:, turn.column] = turn.code
    return codes.numpy()


class Turn(NamedTuple):
    """A column's turn. place: in the order in which columns are taken.

    left: float32 [rows, cols] in that order: what weights have become by now; those before `place` are rounded.
    code, value: of the column, [rows].  passed: float32 [rows, columns from place on], what is taken from them next.
    """

    place: int
    column: int
    left: torch.Tensor
    code: torch.Tensor
    value: torch.Tensor
    passed: torch.Tensor


def turns(
    w: np.ndarray, scheme: Scheme, steps: Steps, u: np.ndarray, order: np.ndarray | None = None, first: int = 0
) -> Iterator[Turn]:
    """Each column in its turn, of weights float32 [rows, cols], which are rows `first` and on of those of the steps."""
    columns = np.arange(w.shape[1]) if order is None else order
    left, upper = torch.from_numpy(w[:, columns].copy()), torch.from_numpy(u)
    for i, column in enumerate(columns.tolist()):
        p = params_of(steps, scheme, np.arange(first, first + len(w)), column)
        code = encode(left[:, i], p, scheme)
        value = decode(code, p, scheme)
        error = (left[:, i] - value) / upper[i, i]
        passed = error[:, None] * upper[i, i:]
        yield Turn(i, column, left, code, value, passed)
        left[:, i:] -= passed


def params_of(steps: Steps, scheme: Scheme, rows: np.ndarray, column: int) -> Params:
    """The parameters of the groups in which a column of these rows lies, one a row."""
    place = rows // steps.height, column // steps.width

    def of(grid: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(grid[place])

    has_minimum = scheme.how.scaling in ("minimum", "edge")
    return Params(
        of(steps.scale), of(steps.stored), of(steps.zero) if scheme.how.scaling == "zero point" else None,
        of(steps.shift) if has_minimum else None,
    )  # fmt: skip
