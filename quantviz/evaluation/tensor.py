"""One tensor under one scheme: what `evaluate` gives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import metrics
from ..calibration.inputs import remarks
from ..calibration.layer import Calibration
from ..errors import QuantvizError
from ..kernels import check_engine, default_engine
from ..kernels.bins import LOG_BIN_SHIFT, PERCENTILE_RESOLUTION, Bins, error_bins, value_bins
from ..kernels.engines import verbs
from ..kernels.overflow import refuse_sums
from ..kernels.results import Counts, Pass, Progress
from ..schemes import Scheme
from ..statistics import Histogram, TensorStatistics
from ..tensors import StoredTensor, check_importance
from ..tensors.arrays import is_torch
from . import calibrated
from .experts import measure_each

DETAILS = ("full", "metrics")
_SAMPLE_WEIGHTS = 1 << 16  # that set the span of the error histogram


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a scheme does to a tensor.

    metrics: value of each metric of `metrics.METRICS` that applies; NaN where undefined.
    statistics, histograms ("original", "dequantized", "error"), code_counts (int64, smallest code first; None
    beyond 16 bits) and block_errors (float32 [grid rows, grid cols], root mean squared error of each group)
    are None with detail="metrics".
    percentile_resolution: relative width of the bins from which abs_error_p* are read.
    notices: sentences the reader should see, such as scales that vanished in fp16.
    sums: what one pass over the weights adds up; None of a comparison of two tensors.
    """

    scheme: str
    shape: tuple[int, ...]
    dtype: str
    engine: str
    seconds: float
    metrics: dict[str, float]
    statistics: TensorStatistics | None = None
    histograms: dict[str, Histogram] | None = None
    code_counts: np.ndarray | None = None
    block_errors: np.ndarray | None = None
    percentile_resolution: float = PERCENTILE_RESOLUTION
    notices: tuple[str, ...] = ()
    sums: metrics.Sums | None = None


def describe(w: Any, progress: Progress | None = None) -> TensorStatistics:
    """Moments, extremes, histogram and largest weights of a tensor (NumPy, torch or StoredTensor).

    A torch tensor on a GPU that the engine cuda can use is described there.
    """
    use = verbs(default_engine() if is_torch(w) and w.device.type == "cuda" else "cpu")
    return use.describe(use.take(w), progress)


def evaluate(
    w: Any,
    key: str | Scheme,
    importance: Any = None,
    device: str = "cpu",
    detail: str = "full",
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> Evaluation:
    """Quantizes and dequantizes `w` on the fly and measures the error.

    w: NumPy array, torch tensor or StoredTensor; never held as float32 whole by the cpu engine. Of float64 the float32
    rounding is quantized, as in `quantize`, and the error is that against the float64 weights.
    importance: one non-negative number an input, a column of the tensor as rows; adds weighted_mse, and weighs the
    choice of codes in clip=mse and in the block types that use it. Of experts that lie in one tensor one below the
    other, also [experts, inputs], each for its own rows.
    device: the engine: "cpu", "cuda" (which leaves a torch tensor on the GPU where it is, and takes any other there),
    or "reference" (torch, on a tensor's own device).  detail: "metrics" leaves out what needs counting.
    statistics: of the same tensor, if `describe` gave them before.
    progress: called as progress(weights done, weights in all) now and then; what it raises stops the work.
    calibration: the inputs of the layer, which solver=gptq, solver=awq and smooth= need; adds the errors of its output,
    with act= also that with quantized inputs. Schemes that need one are quantized first and compared then, on the
    processor whatever the device.

    >>> x = np.array([-0.89, 0.16, 0.08, -0.13, 0.16, -0.54], np.float32)
    >>> round(evaluate(x, "int4-asym-tensor:scale=fp32").metrics["mean_relative_error"], 5)
    0.08524
    """
    scheme = Scheme.parse(key)
    check_engine(device)
    if detail not in DETAILS:
        raise QuantvizError(f"There is no detail {detail!r}; choose {' or '.join(DETAILS)}.")
    use = verbs(device)
    stored = use.take(w)
    scheme.check_shape(stored.rows, stored.cols)
    scheme.check_importance_given(importance is not None, calibration is not None)
    weights = check_importance(importance, stored.cols, stored.rows)
    calibrated.refuse_others(stored, calibration, weights)
    began = time.perf_counter()
    parts = _Parts(progress, stored.size, 1 if calibration is None else 2 + scheme.uses_data)
    if detail == "full":
        statistics = statistics or use.describe(stored)
    if scheme.uses_data:
        q, y = calibrated.quantized(stored, scheme, calibration, weights, device, parts.next())
        bins = None if detail == "metrics" else calibrated.bins(stored, y, statistics)
        result = calibrated.measured(stored, q, y, bins, weights, parts.next())
        made = calibrated.Made(y, q.input_scales)
    else:
        made, bins = None, None if detail == "metrics" else bins_of(stored, scheme, statistics, weights)
        result = _measure(use, stored, scheme, bins, weights, statistics, parts.next())
    values = summed(result.sums, stored, scheme)
    if calibration is not None:
        values |= calibrated.output(stored, scheme, calibration, made, statistics, weights, parts.still_there())
    extra = {} if result.counts is None else counted(result.counts, values, bins, statistics, stored.size)
    name = "cpu" if scheme.uses_data and device == "cuda" else use.name(scheme, weights is not None, stored.is_wide)
    lacking = remarks(scheme, calibration is not None, calibration is not None and calibration.has_sample)
    extra["notices"] = (*stored.remarks, *scheme.shape_notices(*stored.matrix), *result.notices, *lacking)
    seconds = time.perf_counter() - began
    return Evaluation(scheme.key, stored.shape, stored.stored_as, name, seconds, values, sums=result.sums, **extra)


def _measure(
    use: Any, stored: StoredTensor, scheme: Scheme, bins: Any, weights: Any, statistics: Any, told: Progress | None
) -> Pass:
    """By an engine, of experts with importance of their own one after the other."""
    if weights is None or weights.ndim == 1:
        return use.measure(stored, scheme, bins, weights, statistics, told)
    statistics = statistics or use.describe(stored)  # of all experts, where one scale serves them all
    return measure_each(
        stored, scheme, weights, lambda x, h, told: use.measure(x, scheme, bins, h, statistics, told), told
    )


def bins_of(
    stored: StoredTensor, scheme: Scheme, statistics: TensorStatistics, importance: np.ndarray | None
) -> tuple[Bins, Bins]:
    """The bins of values and of errors of a tensor under a scheme, for detail="full"."""
    return value_bins(statistics.min, statistics.max), _error_bins(stored, scheme, statistics, importance)


def summed(sums: metrics.Sums, stored: StoredTensor, scheme: Scheme) -> dict[str, float]:
    """The metrics that need no counting. Raises QuantvizError where the error has no finite measure."""
    refuse_sums(sums, stored.name, scheme)
    values = metrics.from_sums(sums)
    values["bits_per_weight"] = scheme.bits_per_weight(stored.matrix)
    values["compression_ratio"] = stored.bits_per_weight / values["bits_per_weight"]
    return values


class _Parts:
    """Progress over the parts of an evaluation, one after the other, told as progress of them all."""

    def __init__(self, progress: Progress | None, size: int, parts: int) -> None:
        self._progress, self._size, self._parts, self._at = progress, size, parts, -1

    def next(self) -> Progress | None:
        """For the next part, whose own progress counts weights."""
        self._at += 1
        at, told = self._at, self._progress
        return told and (lambda done, total: told(at * total + done, self._parts * total))

    def still_there(self) -> Callable[[], None] | None:
        """For the last part, which only asks whether it is to stop."""
        return self._progress and (lambda: self._progress((self._parts - 1) * self._size, self._parts * self._size))


def _error_bins(
    stored: StoredTensor, scheme: Scheme, statistics: TensorStatistics, importance: np.ndarray | None
) -> Bins:
    """A span for the error histogram, from rows spread over the tensor. It sets the axis, not the counts."""
    from ..kernels import cpu

    tall = min(scheme.granularity.rows, stored.rows) if scheme.granularity else 0
    if tall > 1:  # one band of tiles, from the middle
        first = min(stored.rows // 2, stored.rows - tall)
        picks = range(first, first + tall)
    else:
        picks = np.unique(np.linspace(0, stored.rows - 1, max(1, _SAMPLE_WEIGHTS // stored.cols)).astype(int))
    part = stored.cols if scheme.transforms else min(stored.cols, _SAMPLE_WEIGHTS)
    rows = np.concatenate([stored.read(r * stored.cols, r * stored.cols + part) for r in picks])
    sample = StoredTensor(rows, "float32", (len(picks), part), stored.name)
    one = importance if importance is None or importance.ndim == 1 else importance.mean(axis=0)
    weights = one[:part] if scheme.rule == "block type" and one is not None else None
    if weights is not None and not weights.any():
        weights = np.ones_like(weights)
    sums = cpu.measure(sample, scheme, None, weights, statistics).sums
    return error_bins(sums.squared_error / sums.count, statistics.max_abs)


def counted(counts: Counts, values: dict, bins: tuple[Bins, Bins], statistics: TensorStatistics, size: int) -> dict:
    """What detail="full" adds: counted metrics into `values`, and the fields of Evaluation that figures draw."""
    ends = counts.least_error, values["max_abs_error"]
    values |= {name: percentile(counts.abs_error_log, share, *ends) for name, share in metrics.PERCENTILES.items()}
    nonzero = size - statistics.zeros
    values["zeroed_fraction"] = counts.zeroed / nonzero if nonzero else math.nan
    if counts.clipped is not None:
        values["clipped_fraction"] = counts.clipped / size
    if counts.codes is not None:
        values["code_entropy_bits"] = metrics.entropy_bits(counts.codes)
    return {
        "statistics": statistics,
        "histograms": {
            "original": statistics.histogram,
            "dequantized": as_histogram(bins[0], counts.dequantized),
            "error": as_histogram(bins[1], counts.error),
        },
        "code_counts": counts.codes,
        "block_errors": counts.block_rmse,
    }


def as_histogram(bins: Bins, counts: np.ndarray) -> Histogram:
    return Histogram(float(bins.lo), float(bins.hi), counts[1:-1], int(counts[0]), int(counts[-1]))


def percentile(log_counts: np.ndarray, share: float, least: float, most: float) -> float:
    """|e| below which `share` of all errors lie: the logarithmic bin that holds it, linear inside the bin.

    least, most: of all |e|. No bin reaches beyond them, so that an error which is the same everywhere is its own
    percentile. Magnitudes below 2e-40 share the first bin, which is mostly that of 0: there it is the least.
    """
    cumulative = np.cumsum(log_counts)
    rank = share * cumulative[-1]
    bin_ = int(np.searchsorted(cumulative, rank))
    if bin_ == 0:
        return least
    edges = np.array([bin_, bin_ + 1], np.uint32) << np.uint32(LOG_BIN_SHIFT)
    low, high = np.clip(edges.view(np.float32).astype(float), least, most).tolist()
    return min(low + (high - low) * float(rank - cumulative[bin_ - 1]) / float(log_counts[bin_]), most)
