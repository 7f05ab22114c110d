"""Two tensors of one shape, an original and a version of it: the same measures as for a scheme.

Unlike `evaluate`, nothing is quantized here: both are read as they are stored, piece by piece, and compared.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from .. import metrics
from ..errors import QuantvizError
from ..kernels.bins import Bins, error_bins, value_bins
from ..kernels.results import Progress
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, as_stored, check_importance, refuse_non_finite
from .measuring import measure
from .tensor import Evaluation, counted, describe

# What a stored dtype is called as a scheme; block types have their own names.
SCHEMES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp32",
           "float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2"}  # fmt: skip
_SAMPLE_ROWS = 64


def evaluate_pair(
    original: Any,
    made: Any,
    importance: Any = None,
    detail: str = "full",
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """What `made` has lost of `original`: every metric that applies, and with detail="full" what the figures draw.

    original, made: tensors of one shape (NumPy, torch or StoredTensor), read in pieces, never held as float32 whole.
    importance: one non-negative number an input channel; adds weighted_mse.
    statistics: of the original, if `describe` gave them before.
    The scheme of the result is the type in which `made` is stored. Raises QuantvizError for two shapes, and for NaN
    and infinity in either.
    """
    x, y = as_stored(original), as_stored(made)
    if (x.rows, x.cols) != (y.rows, y.cols):
        raise QuantvizError(
            f"{x.name or 'The original'} has the shape {list(x.shape)} and {y.name or 'what was made of it'} "
            f"{list(y.shape)}; only tensors of one shape compare weight by weight."
        )
    began = time.perf_counter()
    weights = check_importance(importance, x.cols)
    statistics = statistics or describe(x)
    bins = (value_bins(statistics.min, statistics.max), _error_bins(x, y, statistics)) if detail == "full" else None
    found = measure(x, y, weights, bins, progress)
    if not math.isfinite(found.sums.squared_error + found.sums.max_abs_error):
        refuse_non_finite(y)
        raise QuantvizError(
            f"{x.name or 'The original'} and {y.name or 'what was made of it'} differ by more than float32's largest "
            "number, 3.4e38; divide both by the largest weight."
        )
    values = metrics.from_sums(found.sums) | {"bits_per_weight": float(y.bits_per_weight)}
    values["compression_ratio"] = x.bits_per_weight / y.bits_per_weight
    extra = counted(found.counts(), values, bins, statistics, x.size) if bins else {}
    return Evaluation(
        SCHEMES.get(y.stored_as, y.stored_as), x.shape, x.stored_as, "cpu", time.perf_counter() - began, values,
        notices=tuple(dict.fromkeys((*x.remarks, *y.remarks))), **extra,
    )  # fmt: skip


def _error_bins(x: StoredTensor, y: StoredTensor, statistics: TensorStatistics) -> Bins:
    """A span for the error histogram, from rows spread over the tensor. It sets the axis, not the counts."""
    rows = np.unique(np.linspace(0, x.rows - 1, _SAMPLE_ROWS).astype(int))
    ends = [(r * x.cols, (r + 1) * x.cols) for r in rows.tolist()]
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused at the end
        squares = [np.square(y.read(a, b) - x.read(a, b), dtype=np.float64).sum() for a, b in ends]
    mean = sum(squares) / (len(rows) * x.cols)
    return error_bins(mean if math.isfinite(mean) else 0.0, statistics.max_abs)
