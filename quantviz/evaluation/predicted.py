"""What uniform rounding predicts for the errors of a scheme, to be drawn under what was measured.

The prediction: a weight lies anywhere in the interval that rounds to its value with equal chance. Its error is
then spread evenly over that interval, and the whole histogram is the mixture over all codes and scales.
For integers that is the textbook's ±s/2 and RMSE s/√12. Clipping and outliers are what it leaves out.
"""

from __future__ import annotations

import numpy as np

from ..block_types import BlockType
from ..formats import MXINT8_STEP, BlockFormat, IntFormat
from ..kernels.results import Extremes
from ..schemes import Scheme
from ..statistics import TensorStatistics
from ..tensors import StoredTensor

_SAMPLE_ROWS = 64
_SAMPLE_WEIGHTS = 1 << 18
_SCALE_QUANTILES = 100
_INTEGER_RULES = ("sym", "asym", "offset", "ternary")


def expected_errors(
    stored: StoredTensor,
    scheme: Scheme,
    statistics: TensorStatistics,
    code_counts: np.ndarray | None,
    edges: np.ndarray,
    importance: np.ndarray | None = None,
) -> np.ndarray | None:
    """Weights expected in each bin between `edges` (float64 [bins + 1]); float64 [bins].

    None where rounding alone is not what makes the error: one-bit signs, fp32, which loses nothing, rotated rows,
    in which many roundings add up, weights kept apart, and block types on a grid, which round neighbours together.
    Scales are taken from rows spread over the tensor, so the result is an estimate where blocks are many.
    importance: float32 [cols], or [experts, cols], that the tensor is quantized with, where it is.
    """
    cells = None if scheme.transforms else _cells(scheme, code_counts)
    if cells is None:
        return None
    low, high, share = cells
    steps = _steps(stored, scheme, statistics, importance)
    if not len(steps):
        return None
    lo = np.outer(steps, low).reshape(-1, 1)
    width = np.outer(steps, high - low).reshape(-1, 1)
    below = ((edges - lo) / width).clip(0, 1)  # share of each interval that lies left of each edge
    weights = np.tile(share, len(steps)) / len(steps)
    return statistics.count * np.diff(weights @ below)


def _cells(scheme: Scheme, code_counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Error intervals in units of the scale: (lowest error, highest error, share of the weights)."""
    if scheme.rule in _INTEGER_RULES or scheme.format == "mxint8":
        half = (MXINT8_STEP if scheme.format == "mxint8" else 1.0) / 2
        return np.array([-half]), np.array([half]), np.ones(1)
    if scheme.rule == "sign" or code_counts is None:
        return None
    if isinstance(scheme.fmt, BlockType):
        if scheme.fmt.is_even:
            return np.array([-0.5]), np.array([0.5]), np.ones(1)
        if scheme.fmt.bits == 1 or scheme.fmt.together > 1:
            return None
        numbers = scheme.fmt.numbers
    else:
        element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
        assert not isinstance(element, IntFormat)
        numbers = element.values
    finite = np.isfinite(numbers)
    values, where = np.unique(numbers[finite].astype(np.float64), return_inverse=True)
    counts = np.bincount(where, weights=code_counts[finite])
    middle = (values[:-1] + values[1:]) / 2
    # Beyond the outermost values there is nothing to round: the largest weight of a group has no error.
    low = values - np.append(middle, values[-1])
    high = values - np.append(values[0], middle)
    used = (counts > 0) & (high > low)
    intervals, where = np.unique(np.stack([low[used], high[used]]), axis=1, return_inverse=True)
    share = np.bincount(where.reshape(-1), weights=counts[used])
    return (*intervals, share / share.sum()) if len(share) else None


def _steps(
    stored: StoredTensor, scheme: Scheme, statistics: TensorStatistics, importance: np.ndarray | None
) -> np.ndarray:
    """Scales in use, or quantiles of them, each for the same share of the weights; float64. 1 for a cast."""
    if scheme.granularity is None:
        return np.ones(1)
    from ..kernels import cpu

    whole = None
    if scheme.needs_tensor_maximum:
        whole = Extremes(statistics.min, statistics.max, statistics.mean_abs)
    height = scheme.granularity.within(stored.rows, stored.cols)[0] if scheme.granularity.rows else 1
    bands = max(1, min(_SAMPLE_ROWS // height, _SAMPLE_WEIGHTS // (height * stored.cols), stored.rows // height))
    first = np.unique(np.linspace(0, max(stored.rows // height - 1, 0), bands).astype(int)) * height
    x = np.concatenate([stored.read(r * stored.cols, min(r + height, stored.rows) * stored.cols) for r in first])
    sample = StoredTensor(x, "float32", (x.size // stored.cols, stored.cols))
    one = importance if importance is None or importance.ndim == 1 else importance.mean(axis=0)
    q = cpu.quantize(sample, scheme, whole, one)
    scales = np.abs(np.asarray(q.scales, np.float64).reshape(-1)) * (q.tensor_scale or 1.0)
    scales = scales[scales > 0]
    if len(scales) <= _SCALE_QUANTILES:
        return scales
    return np.quantile(scales, (np.arange(_SCALE_QUANTILES) + 0.5) / _SCALE_QUANTILES)
