"""Beside the cost of quantization: how long the model was trained, layer by layer, and its largest weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..quality.results import LayerError, SuperWeights
from ..quality.text.words import added_text
from ..quality.train_demo.log import Checkpoint
from ..text.wording import plural
from .quality import LEGEND_ROW, MOST_LINES, SHOWN, STYLES, added_ticks, legend_rows, log_span
from .style import DEQUANTIZED, ORIGINAL, QUIET, figure, legend, plotly_text


def fragility(checkpoints: Sequence[Checkpoint]) -> go.Figure:
    """What each scheme adds to the perplexity after more and more tokens of training, a line a scheme, logarithmic."""
    schemes = list(checkpoints[-1].ratios) if checkpoints else []
    drawn = sorted(schemes, key=lambda s: checkpoints[-1].ratios[s], reverse=True)[:MOST_LINES]
    x = [c.tokens / 1e6 for c in checkpoints]
    traces, entries, told = [], [], []
    for scheme, (color, dash, mark) in zip(drawn, STYLES, strict=False):
        y = [c.ratios[scheme] - 1 for c in checkpoints]
        words = [added_text(c.ratios[scheme]) for c in checkpoints]
        traces.append(
            go.Scatter(
                x=x, y=[v if v > 0 else None for v in y], mode="lines+markers", text=words,
                line={"color": color, "dash": dash, "width": 2}, marker={"symbol": mark, "size": 8},
                hovertemplate=f"{scheme} after %{{x:.3g}} million tokens: %{{text}}<extra></extra>",
            )
        )  # fmt: skip
        entries.append((SHOWN.get(mark, "solid"), color, scheme))
        told.append(f"{scheme} from {words[0]} to {words[-1]}")
    low, high = log_span([v for t in traces for v in t.y if v])
    positions, texts = added_ticks(low, high)
    return figure(
        traces, f"Perplexity added, early and late in training: {'; '.join(told)}.",
        "million tokens of training", "perplexity added", 360,
        margin={"l": 78, "t": 12 + LEGEND_ROW * -(-len(entries) // 3)},
        xaxis={"gridcolor": QUIET, "tickvals": x, "tickformat": ".2~f"},
        yaxis={"type": "log", "range": [math.log10(low), math.log10(high)], "tickvals": positions, "ticktext": texts},
        annotations=legend_rows(entries),
    )  # fmt: skip


# -- layers --------------------------------------------------------------------------------------


def layer_errors(errors: Sequence[LayerError]) -> go.Figure:
    """The error of each layer's output beside that of its weights, in the model's order."""
    measured = [
        ("weights", [e.weight_error for e in errors], ORIGINAL, "circle"),
        ("output", [e.output_error for e in errors], DEQUANTIZED, "diamond"),
    ]
    names = [plotly_text(e.layer.removesuffix(".weight").removeprefix("model.")) for e in errors]
    traces = [
        go.Scatter(
            x=names, y=y, mode="markers", marker={"color": color, "symbol": mark, "size": 8},
            hovertemplate=f"%{{x}}: %{{y:.3~%}} of the {name}<extra></extra>",
        )
        for name, y, color, mark in measured
    ]  # fmt: skip
    smaller = sum(e.output_error < e.weight_error for e in errors)
    alt = (
        f"Error of weights and of output for {plural(len(errors), 'layer')}: in {smaller} of them the output is hurt "
        "less than the weights."
    )
    return figure(
        traces, alt, "", "relative error", 380, margin={"b": 150, "t": 30},
        xaxis={"type": "category", "tickangle": -60, "tickfont": {"size": 10}, "gridcolor": QUIET},
        yaxis={"tickformat": "~%", "rangemode": "tozero"},
        annotations=[legend(*((SHOWN[mark], color, f"of the {name}") for name, _, color, mark in measured))],
    )  # fmt: skip


# -- the largest weights -------------------------------------------------------------------------


def super_weights(supers: Sequence[SuperWeights]) -> go.Figure:
    """Perplexity ratio after the largest weights were set to zero, beside that after as many random ones."""
    counts = [s.count for s in supers]
    drawn = np.array([[s.count, ratio] for s in supers for ratio in s.random_ratios]).reshape(-1, 2)
    traces = [
        go.Scatter(
            x=counts, y=[s.ratio for s in supers], mode="lines+markers", line={"color": DEQUANTIZED, "width": 2},
            marker={"size": 9, "symbol": "diamond"},
            hovertemplate="the largest, %{x} in all: ×%{y:.4g}<extra></extra>",
        ),
        go.Scatter(
            x=drawn[:, 0], y=drawn[:, 1], mode="markers",
            marker={"color": ORIGINAL, "size": 8, "symbol": "circle-open"},
            hovertemplate="at random, %{x} in all: ×%{y:.4g}<extra></extra>",
        ),
    ]  # fmt: skip
    said = "; ".join(f"{s.count}: {added_text(s.ratio)} against {added_text(s.random_ratio)}" for s in supers)
    return figure(
        traces, f"Perplexity after zeroing the largest weights, against as many random ones. {said}.",
        "weights set to zero", "perplexity ratio", 260, margin={"t": 30},
        xaxis={"type": "log", "tickvals": counts, "ticktext": [f"{c:,}" for c in counts], "gridcolor": QUIET},
        yaxis={"type": "log", "tickformat": ".4~g"},
        annotations=[legend(("diamond", DEQUANTIZED, "the largest"), ("circle", ORIGINAL, "random ones, each draw"))],
    )  # fmt: skip
