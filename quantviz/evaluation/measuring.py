"""The measures of one tensor against another, piece by piece: neither is ever held as float32 whole."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

import numpy as np

from ..block_types import BLOCK_TYPES, BlockType
from ..kernels.bins import LOG_BIN_SHIFT, LOG_BINS, Bins
from ..kernels.results import Counts, Progress
from ..metrics import Sums
from ..tensors import PackedTensor, StoredTensor

_TASK_WEIGHTS = 1 << 15  # of a task, about, in whole rows: few enough for its arrays to stay in cache


@dataclass
class Found:
    """The sums over all pieces."""

    sums: Sums
    tables: list[np.ndarray] = field(default_factory=list)  # values, errors, log errors, codes
    zeroed: int = 0
    least_error: float = math.inf
    block_errors: np.ndarray | None = None

    def counts(self) -> Counts:
        values, errors, logs, codes = self.tables
        return Counts(
            values, errors, logs, codes if len(codes) else None, self.block_errors, self.zeroed, None, self.least_error
        )


def measure(x: StoredTensor, y: StoredTensor, importance, bins, progress: Progress | None) -> Found:
    """Of an original and a version of it, of the same rows and columns: the sums, and with `bins` (values, errors) the
    counts. Without blocks of y's own, block_errors are those of rows.
    """
    from ..kernels.cpu.workers import work

    kind = BLOCK_TYPES.get(y.dtype) if isinstance(y, PackedTensor) else None
    height = max(1, _TASK_WEIGHTS // x.cols)
    starts = range(0, x.rows, height)
    parts: list[Sums] = [Sums()] * len(starts)
    total, lock, done = Found(Sums()), threading.Lock(), [0]
    if bins:
        total.block_errors = np.zeros((x.rows, x.cols // kind.block) if kind else (x.rows, 1), np.float32)

    def run(tasks) -> None:
        for number, row in tasks:
            stop = min(row + height, x.rows)
            a, b = (t.read_exactly(row * x.cols, stop * x.cols) for t in (x, y))
            blocks = y.blocks(row * x.cols // kind.block, stop * x.cols // kind.block) if kind else None
            parts[number] = _sums(a, b, importance)
            if kind:
                factors = None if y.factors is None else y.factors[row:stop]
                parts[number].squared_steps = _squared_steps(b - a, kind, blocks, factors)
            tables, zeroed, least = [], 0, math.inf
            if bins:
                e = (b - a).astype(np.float32)
                tables, least = _tables(b.astype(np.float32), e, bins, kind, blocks), float(np.abs(e).min())
                zeroed = int(((b == 0) & (a != 0)).sum())
                squares = np.square(e, dtype=np.float64).reshape(stop - row, total.block_errors.shape[1], -1)
                total.block_errors[row:stop] = np.sqrt(squares.mean(axis=2))
            with lock:
                total.tables = [t + u for t, u in zip(total.tables, tables, strict=True)] if total.tables else tables
                total.zeroed += zeroed
                total.least_error = min(total.least_error, least)
                done[0] += len(a)
                if progress:
                    progress(done[0], x.size)

    with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused once they are counted
        work(starts, run)
    total.sums = _added(parts)  # in the pieces' own order, so that the same tensors give the same bits
    return total


def _added(parts: list[Sums]) -> Sums:
    whole = parts[0]
    for part in parts[1:]:
        for name, value in vars(part).items():
            mine = getattr(whole, name)
            if mine is not None:
                setattr(whole, name, max(mine, value) if name == "max_abs_error" else mine + value)
    return whole


def _sums(x: np.ndarray, y: np.ndarray, importance: np.ndarray | None) -> Sums:
    """The sums of [n] against [n]: errors in float32 (float64 where either is), sums in float64."""
    e = (y - x).astype(np.float64)
    x, y = x.astype(np.float64), y.astype(np.float64)
    size, off = np.abs(x), np.abs(e)
    against = np.where(size > 0, size, np.inf)  # where x = 0, there is no relative error
    sums = Sums(
        count=len(x), nonzero=int(np.count_nonzero(x)), squared_error=_product(e, e), abs_error=float(off.sum()),
        relative_error=float((off / against).sum()), max_abs_error=float(np.float32(off.max(initial=0))),
        squared=_product(x, x), abs=float(size.sum()), product=_product(x, y), squared_dequantized=_product(y, y),
    )  # fmt: skip
    if importance is not None:
        by_column = np.square(e).reshape(-1, len(importance)).sum(axis=0)
        sums.weighted_squared_error = _product(by_column, importance.astype(np.float64))
        sums.importance = float(importance.sum(dtype=np.float64)) * (len(x) // len(importance))
    return sums


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Σ a·b. Not by BLAS, whose own threads would be in the way of ours."""
    return float(np.einsum("i,i", a, b))


def _squared_steps(e: np.ndarray, kind: BlockType, blocks: np.ndarray, factors: np.ndarray | None = None) -> float:
    """Σ (e / s)² over groups whose scale s is not 0."""
    scales = kind.parameters(blocks).scales.reshape(-1).astype(np.float64)
    if factors is not None:
        scales = scales * np.repeat(factors, len(scales) // len(factors))
    squares = np.square(e.reshape(len(scales), -1), dtype=np.float64).sum(axis=1)
    return float((squares / np.where(scales != 0, scales * scales, np.inf)).sum())


def _tables(y: np.ndarray, e: np.ndarray, bins: tuple[Bins, Bins], kind: BlockType | None, blocks: np.ndarray | None):
    """Counts of values, errors, magnitudes of errors and codes in one piece."""
    logs = np.bincount(np.abs(e).view(np.uint32) >> np.uint32(LOG_BIN_SHIFT), minlength=LOG_BINS)[:LOG_BINS]
    codes = np.zeros(0, np.int64)
    if kind:
        codes = np.bincount(kind.codes(blocks).reshape(-1) - kind.first_code, minlength=len(kind.numbers))
    return [_binned(y, bins[0]), _binned(e, bins[1]), logs, codes]


def _binned(values: np.ndarray, bins: Bins) -> np.ndarray:
    """[below, bins ..., above]"""
    return np.bincount(bins.places(values), minlength=bins.count + 2)
