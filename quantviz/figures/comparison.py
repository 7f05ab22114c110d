"""Many schemes on one tensor: what they cost against what they lose, and their histograms side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..block_types import original_name
from ..evaluation import Evaluation
from ..evaluation.comparison import pareto
from ..evaluation.limits import ScalarQuantizer, gaussian_sqnr_db
from ..statistics import Histogram
from ..text.wording import bits, decibels, number, plural
from .histograms import drawn_range, rebin
from .names import WIDE, beside
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, figure, legend, translucent

# -- bits against SQNR ---------------------------------------------------------------------------

_FILLED = {"size": 9, "line": {"width": 0}}
_OPEN = {"size": 9, "symbol": "circle-open", "line": {"width": 1.5}}
GAUSSIAN = "Gaussian rate-distortion limit"
_HOVER = "%{customdata}<extra></extra>"


def trade_off(
    evaluations: Sequence[Evaluation], pinned: str | None = None, scalar: Sequence[ScalarQuantizer] = (),
    metric: Literal["sqnr_db", "output_sqnr_db"] = "sqnr_db",
) -> go.Figure:  # fmt: skip
    """Bits per weight against SQNR: every scheme, the Pareto front, the Gaussian line, the best scalar quantizers.

    metric: of the weights, or of the layer's output, for which no limit is known and no line drawn.

    pinned: key of the scheme that is marked as the baseline.  scalar: from `limits.optimal_scalar`; those that the
    histogram cannot resolve are left out. A scheme without any error, or a tensor without any weight but zero, has no
    place on the SQNR axis.
    """
    taken, sqnr = (np.array([e.metrics[name] for e in evaluations], float) for name in ("bits_per_weight", metric))
    placed = np.isfinite(sqnr)
    keys = np.array([e.scheme for e in evaluations], object)
    unbeaten = np.isin(np.arange(len(keys)), pareto(taken, sqnr))  # also by those that have no place
    taken, sqnr, keys = taken[placed], sqnr[placed], keys[placed]
    front = np.flatnonzero(unbeaten[placed])
    front = front[np.argsort(taken[front], kind="stable")]
    rest = np.setdiff1d(np.arange(len(keys)), front)
    mean, std = _normal(evaluations) if metric == "sqnr_db" else (0.0, 0.0)
    limits = [gaussian_sqnr_db(b, mean, std) for b in (taken.min(), taken.max())] if len(taken) and std else []
    x, y = _span(taken, 0.06, (0, 9), 0.25), _span(np.append(sqnr, limits), 0.06, (0, 54), 1.0)
    line = (x[0], x[1]) if std else ()
    scalar = [q for q in scalar if q.resolved]
    traces = [
        _limit(line, [gaussian_sqnr_db(b, mean, std) for b in line], GAUSSIAN, REFERENCE, "dash"),
        _limit([q.bits for q in scalar], [q.sqnr_db for q in scalar], "best scalar quantizer", ORIGINAL, "dot"),
        go.Scatter(
            x=taken[front], y=sqnr[front], mode="lines", hoverinfo="skip",
            line={"shape": "hv", "color": translucent(DEQUANTIZED, 0.7), "width": 1.5},
        ),
        _points(taken[rest], sqnr[rest], keys[rest], _OPEN | {"color": ORIGINAL}),
        _points(taken[front], sqnr[front], keys[front], _FILLED | {"symbol": "diamond", "color": DEQUANTIZED}),
    ]  # fmt: skip
    points = [("diamond", DEQUANTIZED, "no scheme here beats it (Pareto front)"), ("circle", ORIGINAL, "beaten")]
    lines = [("dash", REFERENCE, GAUSSIAN)] if std else []
    if scalar:
        lines.append(("dot", ORIGINAL, "best scalar quantizer of this tensor"))
    if pinned in keys:
        at = [list(keys).index(pinned)]
        ring = _OPEN | {"size": 18, "color": REFERENCE, "line": {"width": 2.5}}
        traces.append(_points(taken[at], sqnr[at], keys[at], ring))
        points.append(("ring", REFERENCE, f"{pinned} (pinned)"))
    corners: list[tuple[float, float]] = []  # of the front's steps
    for i in front:
        corners += [(taken[i], corners[-1][1])] if corners else []
        corners.append((taken[i], sqnr[i]))
    names = beside(taken, sqnr, keys, reversed(front), (x, y), corners)
    limited = (bool(line) and metric == "sqnr_db", bool(scalar))
    alt = _trade_off_alt(taken, sqnr, keys, front, pinned, limited, _AXES[metric])
    return figure(
        traces, alt, "bits per weight", _AXES[metric], 460,
        xaxis={"range": x, "gridcolor": QUIET}, yaxis={"range": y},
        annotations=[legend(*points) | {"yshift": 20}, legend(*lines), *names],
        margin={"l": 64, "r": 10, "t": 56, "b": 48},
    )  # fmt: skip


_AXES = {"sqnr_db": "SQNR, dB", "output_sqnr_db": "SQNR of the layer's output, dB"}


def _normal(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    """Mean and standard deviation of the tensor, for the Gaussian line; its shape without them is that of N(0, 1)."""
    known = next((e.statistics for e in evaluations if e.statistics is not None), None)
    return (0.0, 1.0) if known is None else (known.mean, known.std)


def _span(values: np.ndarray, margin: float, nothing: tuple[float, float], least: float) -> tuple[float, float]:
    """The range of an axis that holds `values`, with room around them."""
    if not len(values):
        return nothing
    low, high = float(values.min()), float(values.max())
    room = max(margin * (high - low), least)
    return low - room, high + room


def _limit(x: Sequence[float], y: Sequence[float], name: str, color: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, mode="lines+markers" if dash == "dot" else "lines", line={"color": color, "dash": dash, "width": 1.5},
        marker={"symbol": "x-thin", "size": 7, "line": {"color": color, "width": 1.5}},
        customdata=[f"{name}<br>{bits(b)} bits, {decibels(d)}" for b, d in zip(x, y, strict=True)],
        hovertemplate=_HOVER,
    )  # fmt: skip


def _points(x: np.ndarray, y: np.ndarray, keys: np.ndarray, marker: dict) -> go.Scatter:
    told = [f"{key}<br>{bits(b)} bits per weight, {decibels(d)}" for key, b, d in zip(keys, x, y, strict=True)]
    return go.Scatter(x=x, y=y, text=keys, customdata=told, mode="markers", marker=marker, hovertemplate=_HOVER)


def _trade_off_alt(taken, sqnr, keys, front, pinned, limited: tuple[bool, bool], axis: str) -> str:
    what = axis.removesuffix(", dB")
    if not len(keys):
        return f"Bits per weight against {what}: no scheme here has an error to draw."
    on_front = ", ".join(f"{keys[i]} ({bits(taken[i])} bits, {decibels(sqnr[i])})" for i in front)
    text = f"Bits per weight against {what} for {plural(len(keys), 'scheme')}. "
    text += f"On the Pareto front: {on_front}." if on_front else "All are beaten by one without any error."
    if pinned in keys:
        text += f" The pinned {pinned} is marked."
    lines = ["a dashed line shows the Gaussian rate-distortion limit, 6.02 dB a bit"] * limited[0]
    lines += ["a dotted line the best scalar quantizer of this tensor"] * limited[1]
    said = ", ".join(lines)
    return f"{text} {said[:1].upper()}{said[1:]}." if lines else text


def limits_note(evaluations: Sequence[Evaluation], scalar: Sequence[ScalarQuantizer]) -> str:
    """What the two lines mean, how far the histogram can tell, and what has no place on the axes."""
    s = evaluations[0].statistics
    width = (s.histogram.hi - s.histogram.lo) / len(s.histogram.counts)
    said = [
        "Dashed: the most that any code can do for independent normal weights with the mean and spread of these, "
        "10·log₁₀((μ² + σ²) / σ²) + 6.02 dB a bit. Dotted: the best fixed set of 2, 4, 8 … values for this whole "
        "tensor (Lloyd-Max), as far as its histogram tells. Weights that are not normal, or whose spread changes from "
        "block to block, may pass both."
    ]
    if not s.std:
        said = ["All weights are equal, so there is no limit to draw."]
    else:
        said.append(f"Lloyd-Max sees the weights in {len(s.histogram.counts):,} bins, each "
                    f"{number(width / s.std, 2)}σ wide")  # fmt: skip
        resolved = [q.bits for q in scalar if q.resolved]
        beyond = len(resolved) < len(scalar)
        apart = f"tells no more than {plural(max(resolved), 'bit')} apart" if resolved else "is too wide for a best set"
        said[-1] += f", which {apart}." if beyond else "."
    exact = [e.scheme for e in evaluations if not math.isfinite(e.metrics["sqnr_db"])]
    if exact:
        said.append(f"Without an error there is no SQNR to draw: {', '.join(exact)}.")
    return " ".join(said)


# -- histograms in a grid ------------------------------------------------------------------------

COLUMNS = 4
MOST_PANELS = 24
PANEL_BINS = 96
_PANEL = 132  # pixels of a panel's height, its title included
_WIDTH, _TALL = 0.93, 0.7  # shares of a panel that its histogram takes
PANEL = "panel"  # the name of annotations that end where their panel does
RIGHT = {"xanchor": "right", "align": "right"}
_LINE = 14.3  # pixels from one line of a panel's title to the next
_FLOOR = 0.5  # weights a bin at the foot of a panel; the axis is logarithmic


def histogram_grid(evaluations: Sequence[Evaluation], pinned: str | None = None) -> go.Figure:
    """A panel a scheme: dequantized weights, filled, under the outline of the originals; counts are logarithmic.

    All panels are two paths, which a browser draws at once. At most MOST_PANELS are drawn.
    """
    shown = list(evaluations[:MOST_PANELS])
    if not shown:
        return figure([], "No histogram to draw.", "", "")
    low, high = drawn_range(shown[0].statistics, [e.histograms["dequantized"] for e in shown])
    outline = rebin(shown[0].histograms["original"], low, high, PANEL_BINS)[1]
    tallest = max([outline.max(), *(_counts(e.histograms["dequantized"], low, high).max() for e in shown)])
    rows = -(-len(shown) // COLUMNS)
    original, filled, annotations = [], [], []
    for position, e in enumerate(shown):
        corner = position % COLUMNS, rows - 1 - position // COLUMNS
        original.append(_path(outline, corner, tallest))
        filled.append(_path(_counts(e.histograms["dequantized"], low, high), corner, tallest))
        annotations += _title(e, e.scheme == pinned, corner)
    traces = [
        _paths(filled, DEQUANTIZED) | {"fill": "toself", "fillcolor": translucent(DEQUANTIZED, 0.3)},
        _paths(original, ORIGINAL),
    ]
    alt = (
        f"Histograms of the weights after {plural(len(shown), 'scheme')}, filled, under the outline of the "
        f"originals, "
        f"each from {number(low, 3)} to {number(high, 3)}, counts on a logarithmic axis up to {tallest:,}."
    )
    hidden = {"visible": False, "fixedrange": True}
    return figure(
        [go.Scatter(**t) for t in traces], alt, "", "", 44 + _PANEL * rows,
        xaxis=hidden | {"range": [-0.01, COLUMNS]}, yaxis=hidden | {"range": [-0.08, rows]},
        margin={"l": 4, "r": 4, "t": 30, "b": 4}, hovermode=False,
        annotations=[
            legend(("solid", ORIGINAL, original_name(shown[0].dtype)), ("solid", DEQUANTIZED, "after the scheme")),
            *annotations,
            *_ends(low, high),
        ],
    )  # fmt: skip


def _counts(h: Histogram, low: float, high: float) -> np.ndarray:
    return rebin(h, low, high, PANEL_BINS)[1]


def _path(counts: np.ndarray, corner: tuple[int, int], tallest: float) -> tuple[np.ndarray, np.ndarray]:
    """The staircase of a histogram from foot to foot, at its place in the grid; float32 x and y."""
    up = np.log10(np.maximum(counts, _FLOOR) / _FLOOR) / math.log10(tallest / _FLOOR)
    x = np.repeat(np.linspace(0, _WIDTH, len(counts) + 1), 2)
    y = np.concatenate([[0], np.repeat(up * _TALL, 2), [0]])
    return (corner[0] + x).astype(np.float32), (corner[1] + y).astype(np.float32)


def _paths(paths: list[tuple[np.ndarray, np.ndarray]], color: str) -> dict:
    gap = np.array([np.nan], np.float32)  # lifts the pen between panels
    x, y = (np.concatenate([part for path in paths for part in (path[axis], gap)]) for axis in (0, 1))
    return {"x": x, "y": y, "mode": "lines", "line": {"color": color, "width": 1}, "hoverinfo": "skip"}


def _title(e: Evaluation, is_pinned: bool, corner: tuple[int, int]) -> list[dict]:
    """The scheme over its SQNR, cut at the panel's end where it is drawn; at the right the bits, if there is room."""
    sqnr = e.metrics["sqnr_db"]
    loss = "no error" if math.isinf(sqnr) else decibels(sqnr)
    taken = f"{bits(e.metrics['bits_per_weight'])} bits{' (pinned)' * is_pinned}"
    high = corner[1] + 0.98
    return [
        _written(f"<b>{e.scheme}</b><br>{loss}", corner[0], high, "top", 11) | {"name": PANEL},
        _written(taken, corner[0] + _WIDTH, high, "top", 11) | RIGHT | {"name": WIDE, "yshift": -_LINE},
    ]


def _ends(low: float, high: float) -> list[dict]:
    """Where the last row's first panel begins and ends; all are alike."""
    ends = _written(number(low, 3), 0, 0, "top", 10), _written(number(high, 3), _WIDTH, 0, "top", 10)
    return [ends[0], ends[1] | RIGHT]


def _written(text: str, x: float, y: float, anchor: str, size: int) -> dict:
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "yanchor": anchor, "align": "left",
            "font": {"size": size}}  # fmt: skip
