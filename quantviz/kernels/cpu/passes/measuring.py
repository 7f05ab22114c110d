"""Measuring: the sums and counts of one pass over a tensor under a scheme."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ....metrics import Sums
from ....schemes import Scheme
from ....schemes.granularity import some_sizes
from ....statistics import TensorStatistics
from ....tensors import StoredTensor, refuse_non_finite
from ...bins import Bins
from ...overflow import beyond_float32
from ...results import Counts, Extremes, Pass, Progress
from ..blocks import measuring as blocks_measure
from ..blocks import tensor as blocks_tensor
from ..loops import sums
from ..loops.measure import Asked, Weights, measure_kernel
from ..loops.tables import Tables, Ticker
from ..rules.constants import has_rule
from ..workers import work
from .job import Job
from .quantizing import notices, values


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
    if _needs_bytes(stored, scheme, importance):
        once = partial(blocks_measure.measure, stored, scheme, bins, importance, progress)
    else:
        whole = None if statistics is None else Extremes(statistics.min, statistics.max, statistics.mean_abs)
        once = partial(_measure, Job(stored, scheme, whole, importance), bins, progress)
    out, counts = once()
    if not math.isfinite(out[sums.SQUARED] + out[sums.SQUARED_ERROR] + out[sums.RELATIVE_ERROR]):
        refuse_non_finite(stored)
    is_block_type = scheme.rule == "block type"
    if is_block_type and out[sums.SATURATED]:
        raise beyond_float32(stored.name, scheme)
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
        blocks_tensor.notices(scheme, int(out[sums.VANISHED])) if is_block_type else notices(scheme, out),
    )  # fmt: skip


def _needs_bytes(stored: StoredTensor, scheme: Scheme, importance: np.ndarray | None) -> bool:
    """Whether a block type is measured on its bytes, for lack of a rule that gives the same weight by weight."""
    if scheme.rule != "block type":
        return False
    searches = importance is not None and scheme.fmt.uses_importance
    return searches or not has_rule(scheme) or stored.cols % scheme.fmt.block != 0


def _measure(job: Job, bins, progress) -> tuple[np.ndarray, Counts | None]:
    """The sums of all pieces, and the counts if there are bins to count in."""
    full = bins is not None
    scheme, p, stored = job.scheme, job.plan, job.stored
    weighted, wide = job.importance is not None, stored.is_wide
    apart = wide or job.transform is not None
    kernel = measure_kernel(job.rule, job.known)
    none = np.empty((0, 0), np.float32)
    first_code, last_code = scheme.code_range
    number_of_codes = last_code - first_code + 1 if scheme.fmt.bits <= 16 else 0
    outs = sums.empty(len(p.tasks))
    tables: list[Tables] = []
    grid = (1, 1) if p.shared else scheme.granularity.grid(stored.rows, stored.cols)
    sizes = np.full((1, 1), float(stored.size)) if p.shared else scheme.granularity.sizes(stored.rows, stored.cols)
    block_rmse = np.zeros(math.prod(grid) if full else 0, np.float32)
    ticker = Ticker(progress, stored.size)

    def run(tasks) -> None:
        mine = Tables.of(bins, number_of_codes)
        tables.append(mine)
        for number, task in tasks:
            out = outs[number]
            panel = job.panel(task)
            parameters, given = job.parameters(task, panel, out)
            y = values(job, task, panel, parameters, given, out) if apart else None
            errors = np.zeros((task.grid_rows, task.grid_cols) if full else (1, 1))
            for piece in task.pieces:
                own_errors = job.groups(piece, (errors,))[0] if full else errors
                x = stored.read_exactly(piece.start, piece.stop) if wide else panel.original(piece)
                x = x.reshape(piece.rows, piece.cols)
                z, after = (x, none) if y is None else (panel.quantized(piece), y.quantized(piece))
                kernel(
                    Asked(full, weighted, apart, wide, given or apart), Weights(x, z, after, job.weights_of(piece)),
                    p.width, p.height, job.constants, job.own(piece, parameters), mine, own_errors, out,
                )  # fmt: skip
                ticker.tick(piece.stop - piece.start)
            if full and not p.shared:
                mean_squares = errors.reshape(-1) / some_sizes(sizes, grid, task.groups)
                block_rmse[task.groups] = np.sqrt(mean_squares)  # in float64: squares leave float32 where errors do not

    work(p.tasks, run)
    out = sums.added(outs) + job.notes
    if not full:
        return out, None
    if p.shared:
        block_rmse[0] = math.sqrt(out[sums.SQUARED_ERROR] / stored.size)
    *counted, codes = Tables.added(tables, bins, number_of_codes)
    return out, Counts(
        *counted, codes if number_of_codes else None, block_rmse.reshape(grid), int(out[sums.ZEROED]),
        None if scheme.rule == "sign" else int(out[sums.CLIPPED]), float(out[sums.LEAST_ERROR]),
    )  # fmt: skip
