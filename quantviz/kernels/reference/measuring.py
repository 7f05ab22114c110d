"""Sums and counts in plain torch: what every rule is measured by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...metrics import Sums
from ..bins import LOG_BIN_SHIFT, LOG_BINS, Bins
from ..results import Counts


def sums(x: torch.Tensor, y: torch.Tensor, importance: Any = None) -> Sums:
    """Sums over weights [rows, cols], float32 or float64, and what became of them, in float64."""
    X, Y, E = x.double(), y.double(), (y - x).double()
    nonzero = X != 0
    s = Sums(
        count=x.numel(), nonzero=int(nonzero.sum()), squared_error=float((E * E).sum()), abs_error=float(E.abs().sum()),
        relative_error=float((E[nonzero].abs() / X[nonzero].abs()).sum()), max_abs_error=float(E.abs().max().float()),
        squared=float((X * X).sum()), abs=float(X.abs().sum()), product=float((X * Y).sum()),
        squared_dequantized=float((Y * Y).sum()),
    )  # fmt: skip
    if importance is not None:
        h = torch.as_tensor(importance, dtype=torch.float64, device=x.device)
        s.weighted_squared_error = float((E * E * h).sum())
        s.importance = float(h.sum()) * x.shape[0]
    return s


def counts(
    x: torch.Tensor,
    y: torch.Tensor,
    bins: tuple[Bins, Bins],
    codes: np.ndarray | None,
    block_mean_square: torch.Tensor,
    outside: torch.Tensor | None,
) -> Counts:
    """What is counted weight by weight. codes: how often each is used.  outside: which weights were cut off."""
    e = (y - x).float()
    log_bin = e.abs().contiguous().view(torch.int32) >> LOG_BIN_SHIFT
    return Counts(
        histogram(y, bins[0]), histogram(e, bins[1]), bincount(log_bin, LOG_BINS), codes,
        block_mean_square.sqrt().float().cpu().numpy(), int(((x != 0) & (y == 0)).sum()),
        None if outside is None else int(outside.sum()), float(e.abs().min()),
    )  # fmt: skip


def bincount(index: torch.Tensor, length: int) -> np.ndarray:
    return torch.bincount(index.reshape(-1).to(torch.int64), minlength=length).cpu().numpy()


def histogram(v: torch.Tensor, bins: Bins) -> np.ndarray:
    """[below, bins ..., above]; the index in float32, so that every engine counts alike."""
    index = torch.floor((v - float(bins.lo)) * float(bins.inverse_width))
    return bincount(index.clamp(-1, bins.count) + 1, bins.count + 2)
