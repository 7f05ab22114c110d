"""Quantizing and dequantizing: codes, parameters and weights, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....schemes import Scheme
from ....statistics import TensorStatistics
from ....tensors import StoredTensor, refuse_non_finite
from ...overflow import beyond_float32
from ...results import Extremes, Quantized, scale_notices
from ..blocks import tensor as blocks_tensor
from ..blocks.run import is_finite
from ..loops import groups as loops
from ..loops import sums
from ..loops.plan import Task, plan
from ..loops.rotation import unrotate
from ..rules.constants import rule_of, values_of
from ..rules.scalings import Parameters
from ..workers import work
from .job import Job, Panel
from .transforms import in_fp16


def values(job: Job, task: Task, panel: Panel, parameters: Parameters, given: bool, notes: np.ndarray) -> Panel:
    """What stands for a task's weights after dequantizing, transformations undone, as `quantized` of a panel."""
    kernel = loops.quantize_kernel(job.rule, False)
    y = np.empty(task.stop - task.start, np.float32)
    after = Panel(job.stored, task.start, None, y)
    for piece in task.pieces:
        kernel(
            panel.quantized(piece), job.plan.width, job.plan.height, given, job.constants,
            job.own(piece, parameters), after.quantized(piece), notes,
        )  # fmt: skip
    if job.transform:
        job.transform.undo(y.reshape(-1, job.stored.cols), panel.x, panel.kept)
    return after


def reconstruct(
    stored: StoredTensor,
    scheme: Scheme,
    statistics: TensorStatistics | None = None,
    visit: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
    importance: np.ndarray | None = None,
) -> None:
    """Calls visit(first row, x, y) for bands of whole rows: weights and what stands for them, float32 [rows, cols].

    Bands come in any order and from several threads, so `visit` adds up under a lock of its own, or by row.
    statistics: of this tensor, if known; saves the search for the largest weight where one scale serves all.
    """
    if scheme.rule == "block type":
        return blocks_tensor.reconstruct(stored, scheme, visit, importance)
    whole = None if statistics is None else Extremes(statistics.min, statistics.max, statistics.mean_abs)
    job = Job(stored, scheme, whole, importance, by_row=True)

    def run(tasks) -> None:
        for _, task in tasks:
            panel, notes = job.panel(task), np.zeros(sums.SUMS)
            parameters, given = job.parameters(task, panel, notes)
            y = values(job, task, panel, parameters, given, notes).z
            if not is_finite(y.view(np.int32)):
                refuse_non_finite(stored)
                raise beyond_float32(stored.name, scheme)
            x = panel.x if panel.x is not None else stored.read(task.start, task.stop)
            visit(task.start // stored.cols, x.reshape(-1, stored.cols), y.reshape(-1, stored.cols))

    work(job.plan.tasks, run)


def quantize(
    stored: StoredTensor, scheme: Scheme, whole: Extremes | None = None, importance: np.ndarray | None = None
) -> Quantized:
    """Codes and parameters of a tensor, as NumPy arrays."""
    if scheme.rule == "block type":
        return blocks_tensor.quantize(stored, scheme, importance)
    job = Job(stored, scheme, whole, importance)
    p, size = job.plan, stored.size
    out_codes = np.empty(size, scheme.code_dtype)
    grid = (1, 1) if p.shared else scheme.granularity.grid(stored.rows, stored.cols)
    saved = [np.empty(math.prod(grid), np.float32) for _ in range(2)]
    outs = np.zeros((len(p.tasks), sums.SUMS))
    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    kernel = loops.quantize_kernel(job.rule, True)

    def run(tasks) -> None:
        for number, task in tasks:
            panel = job.panel(task)
            parameters, given = job.parameters(task, panel, outs[number])
            for piece in task.pieces:
                into = out_codes[piece.start : piece.stop].reshape(piece.rows, piece.cols)
                kernel(
                    panel.quantized(piece), p.width, p.height, given, job.constants, job.own(piece, parameters), into,
                    outs[number],
                )  # fmt: skip
            for array, found in zip(saved, parameters[1:], strict=True):
                array[task.groups] = found.reshape(-1)
            if panel.kept is not None:
                kept[number] = task.start + np.flatnonzero(panel.kept), in_fp16(panel.x[panel.kept])

    work(p.tasks, run)
    scales, extra = (array.reshape(grid) for array in saved)
    nvfp4 = scheme.rule == "nvfp4"
    parts = [kept[number] for number in sorted(kept)]
    return Quantized(
        scheme, stored.shape, out_codes.reshape(stored.shape),
        None if scheme.granularity is None else extra if nvfp4 else scales,
        extra.astype(scheme.code_dtype) if scheme.rule == "asym" else None,
        extra if scheme.rule == "offset" else None,
        float(job.constants.tensor_scale) if nvfp4 else None,
        notices(scheme, outs.sum(axis=0) + job.notes),
        np.concatenate([index for index, _ in parts]) if parts else None,
        np.concatenate([value for _, value in parts]) if parts else None,
        job.nested,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Group:
    """The first weights of one group, all [rows, cols]: x as they are, z as they are quantized, codes, and y, what
    they dequantize to, transformations not undone.

    kept: bool, where weights are stored apart, or None.  stored, extra: the group's parameters.
    """

    x: np.ndarray
    z: np.ndarray
    codes: np.ndarray
    y: np.ndarray
    kept: np.ndarray | None
    stored: np.float32
    extra: np.float32


def group(
    stored: StoredTensor,
    scheme: Scheme,
    rows: tuple[int, int],
    cols: tuple[int, int],
    whole: Extremes | None = None,
    importance: np.ndarray | None = None,
) -> Group:
    """Rows × columns (half-open ranges that begin where a group does) of a tensor, quantized as part of it."""
    job = Job(stored, scheme, whole, importance, by_row=True)
    start = rows[0] * stored.cols
    task = next(t for t in job.plan.tasks if t.start <= start < t.stop)
    panel = job.panel(task)
    found = job.settled(task, panel)
    first = task.start // stored.cols
    if not job.plan.shared:
        place = (rows[0] - first) // job.plan.height, cols[0] // job.plan.width
        found = Parameters(*(p[place].reshape(1, 1) for p in found))

    def cut(whole: np.ndarray | None) -> np.ndarray | None:
        if whole is None:
            return None
        return np.ascontiguousarray(whole.reshape(-1, stored.cols)[rows[0] - first : rows[1] - first, slice(*cols)])

    x = cut(panel.x if panel.x is not None else stored.read(task.start, task.stop))
    z = cut(panel.z) if panel.z is not None else x
    codes, y, ignored = np.empty(z.shape, scheme.code_dtype), np.empty_like(z), np.zeros(sums.SUMS)
    one = max(z.size, 1), max(z.shape[0], 1)  # a single group, higher and wider than what is here of it
    for are_codes, into in ((True, codes), (False, y)):
        loops.quantize_kernel(job.rule, are_codes)(z, *one, True, job.constants, found, into, ignored)
    return Group(x, z, codes, y, cut(panel.kept), found.stored[0, 0], found.extra[0, 0])


def notices(scheme: Scheme, out) -> tuple[str, ...]:
    return scale_notices(scheme, int(out[sums.VANISHED]), int(out[sums.SATURATED]))


def dequantize(q: Quantized) -> np.ndarray:
    """float32 weights, in the shape of the codes."""
    if q.scheme.rule == "block type":
        return blocks_tensor.dequantize(q)
    scheme, cols = q.scheme, q.shape[-1]
    rows = math.prod(q.shape[:-1])
    p = plan(scheme, rows, cols)
    rule = rule_of(scheme)
    stored = np.ones((1, 1), np.float32) if q.scales is None else np.asarray(q.scales, np.float32)
    if q.tensor_scale is not None:
        stored = np.float32(q.tensor_scale) * stored
    extra = next((e for e in (q.zero_points, q.minima) if e is not None), None)
    extra = np.zeros(stored.shape, np.float32) if extra is None else np.asarray(extra, np.float32)
    codes, table = np.ascontiguousarray(q.codes).reshape(-1), values_of(scheme)
    out = np.empty(codes.size, np.float32)
    kernel = loops.decode_kernel(rule)

    def run(tasks) -> None:
        for _, task in tasks:
            parameters = [e.reshape(-1)[task.groups].reshape(task.grid_rows, task.grid_cols) for e in (stored, extra)]
            for piece in task.pieces:
                shape = piece.rows, piece.cols
                own = p.part(piece, parameters)
                part = slice(piece.start, piece.stop)
                kernel(codes[part].reshape(shape), p.width, p.height, *own, table, out[part].reshape(shape))

    work(p.tasks, run)
    if scheme.rotate != "none":
        unrotate(out.reshape(rows, cols), out.reshape(rows, cols))
    if q.kept_index is not None:
        out[q.kept_index] = q.kept_values
    return out.reshape(q.shape)
