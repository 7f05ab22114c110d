"""Measuring: the sums and counts of one pass over a tensor under a scheme."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

from ...metrics import Sums
from ...schemes import Scheme
from ...statistics import TensorStatistics
from ...tensors import StoredTensor
from .. import refuse_non_finite
from ..common import (
    ERROR_BINS,
    LOG_BINS,
    VALUE_BINS,
    Bins,
    Counts,
    Extremes,
    Pass,
    Progress,
)
from . import loops, sums
from .counts import COPIES
from .job import Job
from .quantizing import notices, values
from .workers import work

# Of a tensor whose mean square lies outside, some square leaves float32's range; its sums are made in float64.
NARROW = (1e-20, 1e25)


def measure(
    stored: StoredTensor,
    scheme: Scheme,
    bins: tuple[Bins, Bins] | None = None,
    importance: np.ndarray | None = None,
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor under a scheme, in one pass.

    statistics: of this tensor, if known; saves the search for the largest weight where one scale serves all.
    """
    whole = None if statistics is None else Extremes(statistics.min, statistics.max, statistics.mean_abs)
    job = Job(stored, scheme, whole, importance)
    out, counts = _measure(job, bins, progress, wide=False)
    mean_square = float(out[sums.SQUARED]) / stored.size
    if not math.isfinite(out[sums.SQUARED] + out[sums.SQUARED_ERROR]):
        refuse_non_finite(stored)
        mean_square = math.inf
    if not NARROW[0] < mean_square < NARROW[1] and out[sums.NONZERO]:
        out, counts = _measure(job, bins, progress, wide=True)
    out = out.tolist()
    return Pass(
        Sums(
            count=stored.size, nonzero=int(out[sums.NONZERO]), squared_error=out[sums.SQUARED_ERROR],
            abs_error=out[sums.ABS_ERROR], relative_error=out[sums.RELATIVE_ERROR], max_abs_error=out[sums.MAX_ERROR],
            squared=out[sums.SQUARED], abs=out[sums.ABS], product=out[sums.PRODUCT],
            squared_dequantized=out[sums.SQUARED_DEQUANTIZED],
            squared_steps=None if scheme.granularity is None or scheme.rotate != "none" else out[sums.SQUARED_STEPS],
            weighted_squared_error=None if importance is None else out[sums.WEIGHTED],
            importance=None if importance is None else float(importance.sum(dtype=np.float64)) * stored.rows,
        ),
        counts,
        notices(scheme, out),
    )  # fmt: skip


@dataclass
class _Tables:
    """One thread's own tables, in which it counts undisturbed."""

    values: np.ndarray
    errors: np.ndarray
    log_errors: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, scheme: Scheme, full: bool) -> _Tables:
        first, last = scheme.code_range
        codes = last - first + 1 if full and scheme.fmt.bits <= 16 else 0
        lengths = (VALUE_BINS + 2, ERROR_BINS + 2, LOG_BINS, codes) if full else (0, 0, 0, 0)
        return cls(*(np.zeros((COPIES, n), np.int64) for n in lengths))


def _measure(job: Job, bins, progress, wide: bool) -> tuple[np.ndarray, Counts | None]:
    """The sums of all pieces, and the counts if there are bins to count in."""
    full = bins is not None
    scheme, p = job.scheme, job.plan
    weighted, apart = job.importance is not None, job.transform is not None
    kernel = loops.measure_kernel(job.rule, 0 if wide else job.known, wide)
    none = np.empty((0, 0), np.float32)
    thresholds, levels, codes = job.tables
    edges = [np.array([b.lo, b.inverse_width, b.count], np.float32) for b in bins or ()] or [
        np.zeros(3, np.float32)
    ] * 2
    first_code = scheme.code_range[0]
    outs = np.zeros((len(p.tasks), sums.SUMS))
    tables: list[_Tables] = []
    grid = (1, 1) if p.shared else scheme.granularity.grid(job.stored.rows, job.stored.cols)
    block_error = np.zeros(math.prod(grid) if full else 0, np.float32)
    ticker = _Ticker(progress, job.stored.size)

    def run(tasks) -> None:
        mine = _Tables.of(scheme, full)
        tables.append(mine)
        for number, task in tasks:
            out = outs[number]
            panel = job.panel(task)
            parameters, given = job.parameters(task, panel, out)
            y = values(job, task, panel, parameters, given, out) if apart else None
            errors = np.zeros((task.grid_rows, task.grid_cols) if full else (1, 1))
            for piece in task.pieces:
                own = job.groups(piece, parameters)
                own_errors = job.groups(piece, (errors,))[0] if full else errors
                x = panel.original(piece)
                z, after = (x, none) if y is None else (panel.quantized(piece), y.quantized(piece))
                kernel(
                    full, weighted, apart, x, z, after, p.width, p.height, given or apart, job.constants,
                    thresholds, levels, codes, *own, job.weights_of(piece), *edges, first_code,
                    mine.values, mine.errors, mine.log_errors, mine.codes,
                    own_errors, out,
                )  # fmt: skip
                ticker.tick(piece.stop - piece.start)
            if full and not p.shared:
                block_error[task.groups] = errors.reshape(-1)

    work(p.tasks, run)
    out = outs.sum(axis=0) + job.notes
    out[sums.MAX_ERROR] = outs[:, sums.MAX_ERROR].max()
    if not full:
        return out, None
    if p.shared:
        block_error[0] = out[sums.SQUARED_ERROR]

    def total(name: str) -> np.ndarray:
        return sum(getattr(t, name).sum(axis=0) for t in tables)

    return out, Counts(
        total("values"), total("errors"), total("log_errors"), total("codes") if tables[0].codes.size else None,
        block_error.reshape(grid), int(out[sums.ZEROED]), int(out[sums.CLIPPED]),
    )  # fmt: skip


class _Ticker:
    """Adds up what all threads have done and passes it on."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done, self._lock = progress, total, 0, threading.Lock()

    def tick(self, weights: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done += weights
            self._progress(min(self._done, self._total), self._total)
