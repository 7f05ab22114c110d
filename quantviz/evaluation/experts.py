"""Experts that lie in one tensor, each with importance of its own: measured one after the other, and added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ..kernels.results import Counts, Pass
from ..metrics import Sums
from ..schemes import Scheme
from ..tensors import StoredTensor

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
    return _added(passes, one_scale=scheme.granularity is None or not scheme.granularity.rows)


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


def _added(passes: Sequence[Pass], one_scale: bool) -> Pass:
    largest = max(p.sums.max_abs_error for p in passes)
    sums = Sums(**{f.name: _total([getattr(p.sums, f.name) for p in passes]) for f in fields(Sums)})
    counts = [p.counts for p in passes if p.counts is not None]
    notices = tuple(dict.fromkeys(text for p in passes for text in p.notices))
    return Pass(replace(sums, max_abs_error=largest), _counts(counts, one_scale) if counts else None, notices)


def _counts(counts: Sequence[Counts], one_scale: bool) -> Counts:
    whole = Counts(**{f.name: _total([getattr(c, f.name) for c in counts]) for f in fields(Counts)})
    rmse = [c.block_rmse.astype(np.float64) for c in counts]
    together = np.sqrt(np.mean(np.square(rmse), axis=0)) if one_scale else np.concatenate(rmse)  # all of one size
    return replace(whole, block_rmse=together.astype(np.float32), least_error=min(c.least_error for c in counts))


def _total(parts: list) -> Any:
    """The sum of the parts, numbers or arrays; None where they are None."""
    return None if parts[0] is None else sum(parts[1:], parts[0])
