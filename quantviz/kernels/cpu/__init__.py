"""The fast engine on the CPU: numba kernels over pieces of a tensor, on one pool of threads.

One pass, no dequantized copy: a piece is read as float32, its groups get their parameters, and every stretch of it
is quantized, dequantized and measured while it is in cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...metrics import Sums
from ...schemes import Scheme
from ...statistics import TensorStatistics
from ...tensors import StoredTensor, as_stored
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
    Quantized,
    scale_notices,
    value_bins,
)
from . import loops, rules, sums
from .counts import COPIES
from .describe import basics, describe
from .plan import Piece, Plan, Task, plan
from .workers import work

__all__ = ["describe", "dequantize", "measure", "quantize", "warm_up"]

# Of a tensor whose mean square lies outside, some square leaves float32's range; its sums are made in float64.
NARROW = (1e-20, 1e25)


@dataclass
class _Job:
    """What every piece of one pass shares."""

    stored: StoredTensor
    scheme: Scheme
    plan: Plan
    rule: int
    known: int
    constants: rules.Constants
    tables: tuple[np.ndarray, np.ndarray, np.ndarray]
    shared: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    notes: np.ndarray  # of the shared parameters: vanished, saturated

    @classmethod
    def of(cls, stored: StoredTensor, scheme: Scheme, whole: Extremes | None, by_row: bool = False) -> _Job:
        rule = rules.rule_of(scheme)
        if scheme.needs_tensor_maximum and whole is None:
            whole = basics(stored, with_mean=rule in (rules.TERNARY, rules.SIGN)).extremes
        constants = rules.constants_of(scheme, whole)
        p = plan(scheme, stored.rows, stored.cols, by_row)
        known = p.width if p.width in loops.KNOWN_WIDTHS else 0
        notes = np.zeros(sums.SUMS)
        shared = None
        if p.shared:
            low, high, mean = (np.zeros((1, 1), np.float32) for _ in range(3))
            if whole is not None:
                low[:], high[:], mean[:] = whole.min, whole.max, whole.mean_abs
            shared = _parameters(rule, constants, low, high, mean, notes)
        return cls(stored, scheme, p, rule, known, constants, rules.tables_of(scheme), shared, notes)

    def read(self, piece: Piece) -> np.ndarray:
        return self.stored.read(piece.start, piece.stop).reshape(piece.rows, piece.cols)

    def parameters(self, task: Task, notes: np.ndarray) -> tuple[tuple[np.ndarray, ...], bool]:
        """factor, stored, extra [grid rows, grid cols] of a task, and whether they hold their values yet."""
        if self.shared is not None:
            return self.shared, True
        shape = task.grid_rows, task.grid_cols
        if not task.joint:
            return tuple(np.empty(shape, np.float32) for _ in range(3)), False
        low, high, total = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32), np.zeros(shape)
        for piece in task.pieces:
            into = _groups(self.plan, piece, (low, high, total))
            loops.extremes_kernel(self.rule)(self.read(piece), self.plan.width, self.plan.height, *into)
        mean = (total / self._sizes(task)).astype(np.float32)
        return _parameters(self.rule, self.constants, low, high, mean, notes), True

    def _sizes(self, task: Task) -> np.ndarray:
        rows = sum(p.rows for p in task.pieces if p.group_col == 0 and p.start % self.stored.cols == 0)
        heights = np.minimum(self.plan.height, rows - np.arange(task.grid_rows) * self.plan.height)
        widths = np.minimum(self.plan.width, self.stored.cols - np.arange(task.grid_cols) * self.plan.width)
        return np.outer(heights, widths)


def _groups(plan: Plan, piece: Piece, grids: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The part of a task's grids that holds a piece's groups."""
    row = piece.row // plan.height
    rows = slice(row, row + -(-piece.rows // plan.height))
    cols = slice(piece.group_col, piece.group_col + -(-piece.cols // plan.width))
    return tuple(grid[rows, cols] for grid in grids)


def _parameters(rule, constants, low, high, mean, notes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    factor, stored, extra = (np.empty(low.shape, np.float32) for _ in range(3))
    loops.parameters_kernel(rule)(low, high, mean, constants, factor, stored, extra, notes)
    return factor, stored, extra


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
    job = _Job.of(stored, scheme, whole, by_row=importance is not None)
    out, counts = _measure(job, bins, importance, progress, wide=False)
    mean_square = float(out[sums.SQUARED]) / stored.size
    if not math.isfinite(out[sums.SQUARED] + out[sums.SQUARED_ERROR]):
        refuse_non_finite(stored)
        mean_square = math.inf
    if not NARROW[0] < mean_square < NARROW[1] and out[sums.NONZERO]:
        out, counts = _measure(job, bins, importance, progress, wide=True)
    out = out.tolist()
    return Pass(
        Sums(
            count=stored.size, nonzero=int(out[sums.NONZERO]), squared_error=out[sums.SQUARED_ERROR],
            abs_error=out[sums.ABS_ERROR], relative_error=out[sums.RELATIVE_ERROR], max_abs_error=out[sums.MAX_ERROR],
            squared=out[sums.SQUARED], abs=out[sums.ABS], product=out[sums.PRODUCT],
            squared_dequantized=out[sums.SQUARED_DEQUANTIZED],
            squared_steps=None if scheme.granularity is None else out[sums.SQUARED_STEPS],
            weighted_squared_error=None if importance is None else out[sums.WEIGHTED],
            importance=None if importance is None else float(importance.sum(dtype=np.float64)) * stored.rows,
        ),
        counts,
        _notices(scheme, out),
    )  # fmt: skip


def _notices(scheme: Scheme, out: Sequence[float]) -> tuple[str, ...]:
    return scale_notices(scheme, int(out[sums.VANISHED]), int(out[sums.SATURATED]))


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


def _measure(job: _Job, bins, importance, progress, wide: bool) -> tuple[np.ndarray, Counts | None]:
    """The sums of all pieces, and the counts if there are bins to count in."""
    full = bins is not None
    scheme, p = job.scheme, job.plan
    kernel = loops.measure_kernel(job.rule, job.known, full, wide, importance is not None)
    thresholds, levels, codes = job.tables
    edges = [np.array([b.lo, b.inverse_width, b.count], np.float32) for b in bins or ()] or [
        np.zeros(3, np.float32)
    ] * 2
    h = np.zeros(0, np.float32) if importance is None else importance
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
            parameters, given = job.parameters(task, out)
            errors = np.zeros((task.grid_rows, task.grid_cols) if full else (1, 1))
            for piece in task.pieces:
                own = parameters if p.shared else _groups(p, piece, parameters)
                own_errors = errors if p.shared or not full else _groups(p, piece, (errors,))[0]
                kernel(
                    job.read(piece), p.width, p.height, given, job.constants, thresholds, levels, codes, *own,
                    h[_columns(piece, job)],
                    *edges, first_code, mine.values, mine.errors, mine.log_errors, mine.codes,
                    own_errors, out,
                )  # fmt: skip
                ticker.tick(piece.stop - piece.start)
            if full and not p.shared:
                block_error[task.first_group : task.first_group + errors.size] = errors.reshape(-1)

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


def _columns(piece: Piece, job: _Job) -> slice:
    """Which columns of the tensor a piece's columns are; meaningful where the plan keeps rows."""
    first = piece.start % job.stored.cols
    return slice(first, first + piece.cols)


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


def quantize(stored: StoredTensor, scheme: Scheme, whole: Extremes | None = None) -> Quantized:
    """Codes and parameters of a tensor, as NumPy arrays."""
    job = _Job.of(stored, scheme, whole)
    p, size = job.plan, stored.size
    out_codes = np.empty(size, code_dtype(scheme))
    grid = (1, 1) if p.shared else scheme.granularity.grid(stored.rows, stored.cols)
    kept = [np.empty(math.prod(grid), np.float32) for _ in range(2)]
    outs = np.zeros((len(p.tasks), sums.SUMS))
    kernel = loops.encode_kernel(job.rule, job.known)
    thresholds, _, codes = job.tables

    def run(tasks) -> None:
        for number, task in tasks:
            parameters, given = job.parameters(task, outs[number])
            for piece in task.pieces:
                own = parameters if p.shared else _groups(p, piece, parameters)
                into = out_codes[piece.start : piece.stop].reshape(piece.rows, piece.cols)
                kernel(
                    job.read(piece),
                    p.width,
                    p.height,
                    given,
                    job.constants,
                    thresholds,
                    codes,
                    *own,
                    into,
                    outs[number],
                )
            where = slice(task.first_group, task.first_group + task.grid_rows * task.grid_cols)
            for array, values in zip(kept, parameters[1:], strict=True):
                array[where] = values.reshape(-1)

    work(p.tasks, run)
    scales, extra = (array.reshape(grid) for array in kept)
    nvfp4 = scheme.rule == "nvfp4"
    return Quantized(
        scheme, stored.shape, out_codes.reshape(stored.shape),
        None if scheme.granularity is None else extra if nvfp4 else scales,
        extra.astype(np.uint8) if scheme.rule == "asym" else None,
        extra if scheme.rule == "offset" else None,
        float(job.constants.tensor_scale) if nvfp4 else None,
        _notices(scheme, outs.sum(axis=0) + job.notes),
    )  # fmt: skip


def dequantize(q: Quantized) -> np.ndarray:
    """float32 weights, in the shape of the codes."""
    scheme, cols = q.scheme, q.shape[-1]
    rows = math.prod(q.shape[:-1])
    p = plan(scheme, rows, cols)
    rule = rules.rule_of(scheme)
    stored = np.ones((1, 1), np.float32) if q.scales is None else np.asarray(q.scales, np.float32)
    if q.tensor_scale is not None:
        stored = np.float32(q.tensor_scale) * stored
    extra = next((e for e in (q.zero_points, q.minima) if e is not None), None)
    extra = np.zeros(stored.shape, np.float32) if extra is None else np.asarray(extra, np.float32)
    codes, values = np.ascontiguousarray(q.codes).reshape(-1), rules.values_of(scheme)
    out = np.empty(codes.size, np.float32)
    kernel = loops.decode_kernel(rule)

    def run(tasks) -> None:
        for _, task in tasks:
            where = slice(task.first_group, task.first_group + task.grid_rows * task.grid_cols)
            parameters = [e.reshape(-1)[where].reshape(task.grid_rows, task.grid_cols) for e in (stored, extra)]
            for piece in task.pieces:
                shape = piece.rows, piece.cols
                own = parameters if p.shared else _groups(p, piece, parameters)
                part = slice(piece.start, piece.stop)
                kernel(codes[part].reshape(shape), p.width, p.height, *own, values, out[part].reshape(shape))

    work(p.tasks, run)
    return out.reshape(q.shape)


def warm_up(key: str = "int4-sym-tensor") -> None:
    """Compiles, or loads from disk, the kernels that describe a tensor and evaluate it under one scheme."""
    stored = as_stored(np.linspace(-1, 1, 4096, dtype=np.float32).reshape(4, 1024))
    scheme = Scheme.parse(key)
    t = describe(stored)
    bins = value_bins(t.min, t.max)
    measure(stored, scheme, (bins, bins), statistics=t)


def code_dtype(scheme: Scheme) -> type:
    """Smallest dtype that holds every code."""
    if scheme.code_range[0] < 0:
        return np.int8
    bits = scheme.fmt.bits
    return np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
