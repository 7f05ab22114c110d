"""What a calibration adds to an evaluation: schemes that are quantized first, and the error of the layer's output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..calibration.inputs import joint_metrics
from ..calibration.layer import Calibration
from ..calibration.output_error import NEEDED_BY, Power, output_metrics, power, power_of
from ..calibration.quantizing import solve
from ..errors import QuantvizError
from ..kernels import dequantize
from ..kernels.bins import Bins, error_bins, value_bins
from ..kernels.results import Counts, Pass, Progress, Quantized
from ..schemes import Scheme
from ..statistics import TensorStatistics
from ..tensors import StoredTensor
from .measuring import measure


def refuse_others(stored: StoredTensor, calibration: Calibration | None, importance: np.ndarray | None) -> None:
    """Refuses a calibration of other weights, of the diagonal alone, and one beside importance an expert."""
    if calibration is None:
        return
    calibration.check_fits(stored.cols, stored.name)
    calibration.second_moment(NEEDED_BY)
    if importance is not None and importance.ndim == 2:
        raise QuantvizError(
            "A calibration holds the inputs of one layer, and the importance given is that of several experts; "
            "choose the rows of one of them."
        )


def bins(stored: StoredTensor, made: np.ndarray, statistics: TensorStatistics) -> tuple[Bins, Bins]:
    """Of values and of errors."""
    e = made - stored.read().reshape(stored.matrix)
    mean = float(np.einsum("ij,ij", e, e, dtype=np.float64)) / e.size
    return value_bins(statistics.min, statistics.max), error_bins(mean, statistics.max_abs)


def quantized(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance: np.ndarray | None, engine: str,
    progress: Progress | None,
) -> tuple[Quantized, np.ndarray]:  # fmt: skip
    """What a scheme whose solver looks at data makes of a tensor, and its weights: float32 [rows, cols]."""
    q = solve(stored, scheme, calibration, importance, engine, progress)
    return q, np.asarray(dequantize(q))


def measured(
    stored: StoredTensor, q: Quantized, made: np.ndarray, bins, importance: np.ndarray | None, progress: Progress | None
) -> Pass:
    """The sums of a tensor against what was made of it, and with `bins` the counts, as an engine's `measure` has them.

    How many weights were cut off is not said: what a solver rounds is no longer the weights themselves.
    """
    y = StoredTensor(made.reshape(-1), "float32", stored.matrix)
    x = stored.row_range(0, stored.rows)
    found = measure(x, y, importance, bins, progress)
    errors = _squares(x, made)
    own = q.scheme.rotate == "none" and q.input_scales is None  # errors of the weights that have these scales
    if own and q.scales is not None:
        steps = np.asarray(q.scales, np.float64) * (1.0 if q.tensor_scale is None else q.tensor_scale)
        by_group = _by_group(errors, q)
        found.sums.squared_steps = float((by_group / np.where(steps != 0, steps * steps, np.inf)).sum())
    if not bins:
        return Pass(found.sums, None, q.notices)
    values, error, logs, _ = found.tables
    sizes = q.scheme.granularity.sizes(*stored.matrix)
    rmse = np.sqrt(_by_group(errors, q) / sizes).astype(np.float32)
    first, last = q.scheme.code_range
    codes = np.zeros(last - first + 1, np.int64)
    for row in np.asarray(q.codes):
        codes += np.bincount(row.astype(np.int64) - first, minlength=len(codes))
    return Pass(found.sums, Counts(values, error, logs, codes, rmse, found.zeroed, None, found.least_error), q.notices)


def _squares(x: StoredTensor, made: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """Squared errors of rows [start, stop), float64 [rows, cols]."""

    def of(start: int, stop: int) -> np.ndarray:
        e = made[start:stop] - x.read_exactly(start * x.cols, stop * x.cols).reshape(-1, x.cols)
        return np.square(e, dtype=np.float64)

    return of


def _by_group(squares: Callable[[int, int], np.ndarray], q: Quantized) -> np.ndarray:
    """Σ e² of each group, float64 [grid rows, grid cols]."""
    rows, cols = q.matrix
    height, width = q.scheme.granularity.within(rows, cols)
    starts = np.arange(0, cols, width)
    out = np.zeros(q.scheme.granularity.grid(rows, cols))
    step = min(height, 256) if height > 1 else 256
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        sums = np.add.reduceat(squares(start, stop), starts, axis=1)
        np.add.at(out, np.arange(start, stop) // height, sums)
    return out


@dataclass(frozen=True, eq=False)
class Made:
    """What a scheme that looks at data made of a tensor. weights: float32 [rows, cols]."""

    weights: np.ndarray
    input_scales: np.ndarray | None


def output(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, made: Made | None,
    statistics: TensorStatistics | None, importance: np.ndarray | None, check: Callable[[], None] | None,
) -> dict[str, float]:  # fmt: skip
    """The metrics of the layer's output. made: its weights, where they are there already."""
    errors = _errors(stored, scheme, made and made.weights, statistics, importance)
    found = output_metrics(power(errors, calibration, check), power_of(stored, calibration, check))
    if scheme.act is None:
        return found
    w, scales = stored.read().reshape(stored.matrix), made and made.input_scales
    return found | joint_metrics(w, errors, scheme, calibration.inputs, calibration.heldout, scales, check)


def output_power(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, made: np.ndarray | None = None,
    statistics: TensorStatistics | None = None, importance: np.ndarray | None = None,
    check: Callable[[], None] | None = None,
) -> Power:  # fmt: skip
    """Of the error of a tensor under a scheme; `shares` says which inputs carry it."""
    refuse_others(stored, calibration, importance)
    if made is None and scheme.uses_data:
        made = quantized(stored, scheme, calibration, importance, "cpu", None)[1]
    return power(_errors(stored, scheme, made, statistics, importance), calibration, check)


def _errors(
    stored: StoredTensor, scheme: Scheme, made: np.ndarray | None, statistics: TensorStatistics | None,
    importance: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Ŵ - W, float32 [rows, cols]."""
    errors = np.empty(stored.matrix, np.float32)
    if made is not None:
        np.subtract(made, stored.read().reshape(stored.matrix), out=errors)
    else:
        from ..kernels.cpu import reconstruct

        def visit(first: int, x: np.ndarray, y: np.ndarray) -> None:
            np.subtract(y, x, out=errors[first : first + len(x)])

        reconstruct(stored, scheme, statistics, visit, importance)
    return errors
