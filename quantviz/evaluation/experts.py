"""Experts that lie in one tensor, each with importance of its own: measured one after the other, and added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels.results import Pass
from ..schemes import Scheme
from ..tensors import StoredTensor
from .joining import joined

# measure(rows of one expert, its importance or None, progress)
Measure = Callable[[StoredTensor, np.ndarray | None, Callable[[int, int], None] | None], Pass]


def measure_each(
    stored: StoredTensor, scheme: Scheme, importance: np.ndarray, measure: Measure, progress: Any = None
) -> Pass:
    """The sums and counts of a tensor of as many experts as `importance`, float32 [experts, cols], has rows.

    A scheme whose scales are chosen over several experts is measured without importance, and says so.
    """
    passes = []
    for row, part, own in apart(stored, scheme, importance):
        told = progress and (lambda done, _, row=row: progress(row * stored.cols + done, stored.size))
        passes.append(measure(part, own, told))
    if len(passes) == 1:
        return replace(passes[0], notices=(*passes[0].notices, _NOTICE.format(scheme)))
    return joined(passes, scheme)


def apart(
    stored: StoredTensor, scheme: Scheme, importance: np.ndarray | None
) -> Iterator[tuple[int, StoredTensor, np.ndarray | None]]:
    """(first row, rows, importance) of each expert. The whole tensor at once where all of it has one importance, and,
    without importance, where scales are chosen over several experts.
    """
    if importance is None or importance.ndim == 1:
        yield 0, stored, importance
        return
    rows = stored.rows // len(importance)
    if _spans_experts(scheme, rows):
        yield 0, stored, None
        return
    for i, own in enumerate(importance):
        yield i * rows, stored.row_range(i * rows, (i + 1) * rows), own


_NOTICE = "The scales of {} are chosen over several experts, each with importance of its own: no error is weighted."


def _spans_experts(scheme: Scheme, rows: int) -> bool:
    g = scheme.granularity
    if scheme.double or scheme.keep or (g and g.rows > 1 and rows % g.rows):
        return True
    return bool(g and not g.rows and scheme.clip != "absmax")
