"""Weights before and after, and their errors, as histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..block_types import original_name
from ..evaluation import Evaluation
from ..statistics import Histogram, TensorStatistics
from ..text.wording import number, plural, share
from .style import DEQUANTIZED, LEVEL, ORIGINAL, REFERENCE, UNCHECKED, figure, legend, translucent

Axis = Literal["log", "linear"]

DRAWN_BINS = 256
ERROR_BINS = 128
SIGMAS = 6  # half the width of the robust range, in standard deviations


def rebin(h: Histogram, low: float, high: float, most: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The bins of `h` that touch [low, high], joined to at most `most` of equal width.

    Returns (edges float64 [n + 1], counts int64 [n], how many lie outside).
    """
    edges = h.edges
    first = int(np.clip(np.searchsorted(edges, low, "right") - 1, 0, len(h.counts) - 1))
    last = int(np.clip(np.searchsorted(edges, high, "right"), first + 1, len(h.counts)))
    together = math.ceil((last - first) / most)
    starts = np.arange(first, last, together)
    counts = np.add.reduceat(h.counts[:last], starts)
    width = (h.hi - h.lo) / len(h.counts) * together
    return (
        h.lo + (h.hi - h.lo) / len(h.counts) * first + width * np.arange(len(starts) + 1),
        counts,
        h.total - int(counts.sum()),
    )


def drawn_range(s: TensorStatistics, after: Iterable[Histogram], full: bool = False) -> tuple[float, float]:
    """±6σ about the mean, or all there is where that is less: the weights, and what schemes made of them (`after`)."""
    low, high = s.min, s.max
    for h in after:
        filled = np.flatnonzero(h.counts)
        if len(filled):
            first, last = h.edges[[filled[0], filled[-1]]]
            low, high = min(low, first), high if last < high else h.edges[filled[-1] + 1]
    if full or not s.std:
        return float(low), float(high)
    return max(low, s.mean - SIGMAS * s.std), min(high, s.mean + SIGMAS * s.std)


def outside_note(s: TensorStatistics) -> str | None:
    """What the robust range leaves out, in words; None where that is nothing."""
    low, high = drawn_range(s, ())
    outside = rebin(s.histogram, low, high, DRAWN_BINS)[2]
    if not outside:
        return None
    verb = "lies" if outside == 1 else "lie"
    return (
        f"{plural(outside, 'weight')} ({share(outside / s.count)}) {verb} beyond ±{SIGMAS}σ; "
        f"the farthest is {number(s.farthest, 3)}σ from the mean, with σ of all weights."
    )


def weights(
    evaluation: Evaluation, pinned: Evaluation | None = None, axis: Axis = "log", full: bool = False
) -> go.Figure:
    """Original and dequantized weights on one axis, over ±6σ or over their full range."""
    s, before = evaluation.statistics, original_name(evaluation.dtype)
    others = [pinned] if pinned is not None and pinned.scheme != evaluation.scheme else []
    low, high = drawn_range(s, [e.histograms["dequantized"] for e in (evaluation, *others)], full)
    traces = [_area(rebin(evaluation.histograms["original"], low, high, DRAWN_BINS), before, ORIGINAL, axis)]
    entries = [("solid", ORIGINAL, before), ("solid", DEQUANTIZED, evaluation.scheme)]
    for pinned in others:
        bins = rebin(pinned.histograms["dequantized"], low, high, DRAWN_BINS)
        traces.append(_line(bins, f"{pinned.scheme} (pinned)", REFERENCE, axis, "dot"))
        entries.append(("dot", REFERENCE, f"{pinned.scheme} (pinned)"))
    bins = rebin(evaluation.histograms["dequantized"], low, high, DRAWN_BINS)
    traces.append(_area(bins, evaluation.scheme, DEQUANTIZED, axis, 0.25))
    filled = int((bins[1] > 0).sum())
    alt = (
        f"Histogram of the weights from {number(low, 3)} to {number(high, 3)}: {before}, and "
        f"after {evaluation.scheme}, "
        f"which fills {filled} of {plural(len(bins[1]), 'bin')} drawn."
    )
    return _histogram(traces, alt, "weight", axis, entries)


def errors(evaluation: Evaluation, expected: np.ndarray | None = None, axis: Axis = "log") -> go.Figure:
    """Errors, over what uniform rounding predicts for the same bins (float64 [ERROR_BINS])."""
    edges, counts, _ = error_bins(evaluation)
    traces = [_area((edges, counts, 0), "measured", DEQUANTIZED, axis, 0.3)]
    entries = [("solid", DEQUANTIZED, "measured")]
    if expected is not None:
        traces.append(_line((edges, expected, 0), "uniform rounding predicts", REFERENCE, axis, "dash"))
        entries.append(("dash", REFERENCE, "uniform rounding predicts"))
    alt = (
        f"Histogram of the errors from {number(edges[0], 3)} to {number(edges[-1], 3)} under {evaluation.scheme}; "
        f"a typical error is {number(evaluation.metrics['rmse'], 3)}, the largest "
        f"{number(evaluation.metrics['max_abs_error'], 3)}."
    )
    return _histogram(traces, alt, "error", axis, entries)


def _histogram(traces: list, alt: str, x: str, axis: Axis, entries: list) -> go.Figure:
    y = _count_axis(axis, max(trace.y.max() for trace in traces))
    return figure(traces, alt, x, "weights a bin", xaxis=LEVEL, yaxis=y, hovermode="x", annotations=[legend(*entries)])


def error_bins(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray, int]:
    """The error histogram as drawn: (edges, counts, how many outside)."""
    h = evaluation.histograms["error"]
    return rebin(h, h.lo, h.hi, ERROR_BINS)


def _area(bins: tuple, name: str, color: str, axis: Axis, alpha: float = 0.35) -> go.Scatter:
    trace = _line(bins, name, color, axis, "solid")
    return trace.update(fill="tozeroy", fillcolor=translucent(color, alpha))


def _line(bins: tuple, name: str, color: str, axis: Axis, dash: str) -> go.Scatter:
    edges, counts, _ = bins
    y = np.append(counts, counts[-1]).astype(np.float32)
    told = y  # before empty bins are moved out of sight
    if axis == "log":
        y = np.maximum(y, 0.5)  # an empty bin lies below the axis instead of leaving a gap in the line
    return go.Scatter(
        x=edges, y=y, name=name, mode="lines", line={"shape": "hv", "color": color, "width": 1.5, "dash": dash},
        customdata=told, hovertemplate="from %{x:.3g}: %{customdata:,.0f}", **UNCHECKED,
    )  # fmt: skip


def _count_axis(axis: Axis, tallest: float) -> dict:
    if axis == "linear":
        return {"rangemode": "tozero"}
    return {
        "type": "log",
        "range": [math.log10(0.8), math.log10(max(tallest, 1) * 1.5)],
        "dtick": 1,
        "exponentformat": "power",
    }
