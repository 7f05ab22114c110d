"""GPTQ on one block, a column at a time: what weights have become, what a column hands on, what each took on."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ..calibration.gptq_story import Story
from ..text.wording import number, plural
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, figure, legend


def weights(story: Story, k: int) -> go.Figure:
    """Each weight of the row as it was, and as it is when column k comes to its turn; those before it are rounded."""
    n, places = len(story.columns), np.arange(len(story.columns))
    now = np.where(places < k, story.values, story.before[k])
    done, behind = places[:k], places[k + 1 :]
    at = [f"column {c:,}" for c in story.columns.tolist()]
    traces = [
        _points(places, story.original, at, "as it was", ORIGINAL, "line-ew-open", 9),
        _points(done, now[done], at[:k], "rounded", DEQUANTIZED, "square", 6),
        _points(behind, now[behind], at[k + 1 :], "by now", REFERENCE, "circle-open", 6),
        _points([k], [now[k]], [at[k]], "its turn", REFERENCE, "circle", 10),
        _points([k], [story.values[k]], [at[k]], "becomes", DEQUANTIZED, "square", 9),
    ]
    alt = (
        f"Row {story.row:,}: of {plural(n, 'column')} {k} are rounded; column {story.columns[k]:,} stands at "
        f"{number(float(now[k]), 3)}, where it was {number(float(story.original[k]), 3)}, and becomes "
        f"{number(float(story.values[k]), 3)}."
    )
    entries = (("tick", ORIGINAL, "as it was"), ("solid", DEQUANTIZED, "rounded"), ("circle", REFERENCE, "by now"))
    return figure(
        traces, alt, "place in the order of columns", "weight", annotations=[legend(*entries)],
        xaxis={"range": [-0.7, n - 0.3]}, yaxis={"zeroline": True},
    )  # fmt: skip


def _points(x, y, words: list[str], name: str, color: str, symbol: str, size: int) -> go.Scatter:
    line = {"width": 2, "color": color}
    return go.Scatter(
        x=np.asarray(x), y=np.asarray(y), mode="markers", customdata=words,
        marker={"symbol": symbol, "size": size, "color": color, "line": line},
        hovertemplate=f"%{{customdata}}, {name}: %{{y:.4g}}<extra></extra>",
    )  # fmt: skip


def handed(story: Story, k: int) -> go.Figure:
    """The error of column k, and what each column behind it in the block takes on for it."""
    places, n = np.arange(len(story.columns)), len(story.columns)
    bars = np.where(places == k, story.errors[k], story.passed[k])
    colors = [DEQUANTIZED if place == k else REFERENCE for place in places.tolist()]
    words = [
        f"column {c:,} {'errs by' if place == k else 'takes on'}" for place, c in enumerate(story.columns.tolist())
    ]
    traces = [
        go.Bar(x=places, y=bars, marker={"color": colors}, customdata=words,
               hovertemplate="%{customdata} %{y:.3g}<extra></extra>"),
    ]  # fmt: skip
    alt = (
        f"Column {story.columns[k]:,} errs by {number(float(story.errors[k]), 3)}; {plural(n - k - 1, 'column')} of "
        f"the block behind it take on up to {number(float(np.abs(story.passed[k]).max()), 3)}."
    )
    entries = (("solid", DEQUANTIZED, "error of this column"), ("solid", REFERENCE, "taken on by those behind it"))
    most = 1.05 * max(float(np.abs(story.errors).max()), float(np.abs(story.passed).max()), 1e-30)
    return figure(
        traces, alt, "place in the order of columns", "weight", annotations=[legend(*entries)], bargap=0.2,
        xaxis={"range": [-0.7, n - 0.3]}, yaxis={"zeroline": True, "range": [-most, most]},
    )  # fmt: skip


def columns(story: Story) -> go.Figure:
    """Of every column: what it had taken on when its turn came, and what its rounding then erred by."""
    places = np.arange(len(story.columns))
    at = [f"column {c:,}" for c in story.columns.tolist()]
    traces = [
        go.Bar(x=places, y=story.taken_on, marker={"color": REFERENCE}, customdata=at,
               hovertemplate="%{customdata} had taken on %{y:.3g}<extra></extra>"),
        _points(places, story.errors, at, "errs by", DEQUANTIZED, "diamond", 6),
    ]  # fmt: skip
    moved = int((story.codes != story.nearest).sum())
    alt = (
        f"Of {plural(len(at), 'column')} {moved} get another code than the nearest of their own weight; they took on "
        f"up to {number(float(np.abs(story.taken_on).max()), 3)}, and err by up to "
        f"{number(float(np.abs(story.errors).max()), 3)}."
    )
    entries = (("solid", REFERENCE, "taken on from those before"), ("diamond", DEQUANTIZED, "error of its rounding"))
    return figure(
        traces, alt, "place in the order of columns", "weight", annotations=[legend(*entries)], bargap=0.2,
        yaxis={"zeroline": True, "zerolinecolor": QUIET}, height=240,
    )  # fmt: skip
