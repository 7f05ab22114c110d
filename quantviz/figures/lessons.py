"""The figures of the chapters of Learn: few marks, large enough for the back of a room."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..formats import get
from ..lessons.memory import Stored
from ..lessons.next_words import NextWords
from ..lessons.outlier import PLACE, BlockPoint, Pulled
from ..lessons.rounding import Rounded
from ..statistics import TensorStatistics
from ..text.wording import bits, number, plural, share, size
from ..throughput.roofline import Ceiling
from .number_line import FormatRow, Linear, ticks, whole_range
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, UNCHECKED, figure, legend, plotly_text

_MOST_NAMED = 12  # numbers whose code stands beside them


def _from_the_edge(note: dict, margin: int) -> dict:
    """A line of text that begins at the left edge of the figure, `margin` pixels before the axis: a phone is narrow."""
    return note | {"xshift": 8 - margin}


def memory_bars(stored: Sequence[Stored], memory: int | None) -> go.Figure:
    """Bytes of a model's weights under each scheme, and this machine's memory as a line."""
    fits = [memory is None or s.nbytes <= memory for s in stored]
    bars = go.Bar(
        y=[s.scheme for s in stored], x=[s.nbytes / 1e9 for s in stored], orientation="h",
        marker={"color": [ORIGINAL if fit else DEQUANTIZED for fit in fits]},
        text=[f"{size(s.nbytes)}" for s in stored], textposition="outside", cliponaxis=False, textfont={"size": 14},
        customdata=[bits(s.bits) for s in stored],
        hovertemplate="%{y}: %{text}, %{customdata} bits a weight<extra></extra>", **UNCHECKED,
    )  # fmt: skip
    most = max(s.nbytes for s in stored) / 1e9
    shapes, entries = [], [("solid", ORIGINAL, "fits here"), ("solid", DEQUANTIZED, "does not")]
    if memory is not None:
        most = max(most, memory / 1e9)
        shapes = [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": memory / 1e9, "x1": memory / 1e9,
                   "line": {"color": REFERENCE, "width": 3, "dash": "dash"}}]  # fmt: skip
        entries.append(("dash", REFERENCE, f"memory here, {size(memory)}"))
    held = ", ".join(f"{s.scheme} {size(s.nbytes)}" for s in stored)
    return figure(
        [bars], f"Size of the weights by scheme: {held}. This machine has {size(memory)}." if memory else held,
        "GB (10⁹ bytes)", "", 60 + 34 * len(stored) + 60, margin={"l": 150, "r": 70, "t": 34, "b": 48},
        shapes=shapes, annotations=[_from_the_edge(legend(*entries), 150)] if memory else [],
        xaxis={"range": [0, 1.12 * most], "gridcolor": QUIET}, yaxis={"autorange": "reversed", "showgrid": False},
    )  # fmt: skip


def rounding_line(r: Rounded) -> go.Figure:
    """The numbers on a line: every value that a code stands for as a tick, each number above, and where it lands."""
    x, y = np.asarray(r.numbers), np.asarray(r.made)
    levels = np.asarray(r.levels)
    codes = list(r.codes)
    traces = [
        go.Scatter(
            x=levels, y=np.zeros(len(levels)), mode="markers", hovertemplate="level %{x:.6g}<extra></extra>",
            marker={"symbol": "line-ns", "size": 22, "line": {"width": 2, "color": REFERENCE}}, **UNCHECKED,
        ),
        go.Scatter(
            x=x, y=np.ones(len(x)), mode="markers", marker={"size": 13, "color": ORIGINAL},
            text=[number(v) for v in x.tolist()], hovertemplate="number %{text}<extra></extra>", **UNCHECKED,
        ),
        go.Scatter(
            x=y, y=np.zeros(len(y)), mode="markers", text=codes, cliponaxis=False, customdata=r.sums,
            marker={"size": 13, "color": DEQUANTIZED, "symbol": "diamond"},
            hovertemplate="code %{text}: %{customdata}<extra></extra>", **UNCHECKED,
        ),
    ]  # fmt: skip
    if len(x) <= _MOST_NAMED:  # below the ticks, each once
        named = dict(zip(y.tolist(), codes, strict=True))
        traces.append(
            go.Scatter(
                x=list(named), y=[-0.32] * len(named), mode="text", text=list(named.values()), textfont={"size": 14},
                cliponaxis=False, hoverinfo="skip", **UNCHECKED,
            )
        )  # fmt: skip
    gap = np.full(len(x), np.nan)
    joined = go.Scatter(
        x=np.stack([x, y, gap], 1).reshape(-1), y=np.tile([0.92, 0.08, np.nan], len(x)), mode="lines", hoverinfo="skip",
        line={"color": QUIET, "width": 2}, **UNCHECKED,
    )  # fmt: skip
    ends = np.concatenate([x, levels])
    margin = 0.06 * float(np.ptp(ends)) or 1.0
    errors = ", ".join(f"{number(a)} to {number(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return figure(
        [joined, *traces], f"{plural(len(x), 'number')} under {r.scheme}, {plural(len(levels), 'level')}: {errors}.",
        "value", "", 250,
        xaxis={"range": [float(ends.min()) - margin, float(ends.max()) + margin], "gridcolor": QUIET},
        yaxis={"range": [-0.5, 1.25], "showgrid": False, "tickvals": [0, 1], "ticktext": ["after", "before"]},
        annotations=[_from_the_edge(legend(("disc", ORIGINAL, "number"), ("diamond", DEQUANTIZED, "its code’s value"),
                            ("tick", REFERENCE, "every value")), 64)],
        margin={"l": 64, "r": 14, "t": 34, "b": 48},
    )  # fmt: skip


def near_zero(statistics: TensorStatistics, formats: Sequence[str]) -> go.Figure:
    """A layer's weights in σ, over where each format puts its values when its largest stands at the largest weight."""
    h, sigma = statistics.histogram, statistics.std
    edges = h.edges / sigma
    top = float(h.counts.max())
    traces = [
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2, y=h.counts / top, width=np.diff(edges), hoverinfo="skip",
            marker={"color": ORIGINAL, "line": {"width": 0}}, **UNCHECKED,
        )
    ]  # fmt: skip
    reach = statistics.max_abs / sigma
    names, places = [], []
    for i, name in enumerate(formats):
        line = FormatRow(get(name))
        values = ticks(line, whole_range([line]), Linear())
        at, low = values * (reach / line.largest), -0.18 * (i + 1)
        traces.append(
            go.Scatter(
                x=at, y=np.full(len(at), low), mode="markers", hoverinfo="skip",
                marker={"symbol": "line-ns", "size": 12, "line": {"width": 1.3, "color": DEQUANTIZED}}, **UNCHECKED,
            )
        )  # fmt: skip
        names.append(f"{name}, {len(at):,}")
        places.append(low)
    return figure(
        traces, f"Weights of a layer from {number(statistics.min)} to {number(statistics.max)}, standard deviation "
        f"{number(sigma)}, over the values of {', '.join(formats)}.", "weight in σ", "", 220 + 46 * len(formats),
        bargap=0, margin={"l": 120, "r": 14, "t": 20, "b": 48},
        yaxis={"tickvals": [0.5, *places], "ticktext": ["weights", *(plotly_text(name) for name in names)],
               "showgrid": False, "range": [min(places, default=0) - 0.15, 1.05]},
        xaxis={"range": [-reach * 1.03, reach * 1.03], "gridcolor": QUIET},
    )  # fmt: skip


def pulled(p: Pulled) -> go.Figure:
    """A row of weights with one outlier: before, and after each scheme, a panel each, the outlier at its edge."""
    panels = list(p.after)
    others = np.arange(len(p.before)) != PLACE
    reach = 1.25 * float(np.abs(p.before[others]).max())
    traces, annotations, layout = [], [], {}
    height = 1 / len(panels)
    for i, key in enumerate(panels):
        axis = "" if i == 0 else str(i + 1)
        bottom = 1 - (i + 1) * height
        for values, color, pixels in ((p.before, ORIGINAL, 11), (p.after[key], DEQUANTIZED, 6)):
            traces.append(
                go.Scatter(
                    x=np.arange(len(values)), y=np.clip(values, -reach, reach), mode="markers", yaxis=f"y{axis}",
                    marker={"symbol": "circle", "size": pixels, "color": color}, cliponaxis=False,
                    text=[number(v) for v in values.tolist()], hovertemplate="weight %{x}: %{text}<extra></extra>",
                    **UNCHECKED,
                )
            )  # fmt: skip
        layout[f"yaxis{axis}"] = {"domain": [bottom + 0.04, bottom + height - 0.1], "range": [-reach, reach],
                                  "gridcolor": QUIET, "zeroline": True, "zerolinecolor": QUIET}  # fmt: skip
        told = f"<b>{plotly_text(key)}</b>: others lose {share(p.neighbours[key])}, {p.zeroed[key]} are zero"
        at = {"x": 0, "xref": "paper", "xanchor": "left", "y": bottom + height - 0.085, "yref": "paper"}
        far = float(p.before[PLACE])
        if abs(far) > reach:
            beyond = {"x": PLACE, "y": math.copysign(reach, far), "yref": f"y{axis}", "xanchor": "left", "xshift": 10}
            annotations.append(beyond | {"text": f"the outlier, at {number(far)}", "showarrow": False})
        at = _from_the_edge(at, 64)
        annotations.append(at | {"text": told, "yanchor": "bottom", "showarrow": False, "font": {"size": 14}})
    said = "; ".join(f"{key}: error of the others {share(p.neighbours[key])}" for key in panels)
    return figure(
        traces, f"{len(p.before)} weights, one {number(p.sigmas)} standard deviations out. {said}.",
        "weight, by its place in the row", "", 460,
        annotations=[*annotations, legend(("disc", ORIGINAL, "before"), ("disc", DEQUANTIZED, "after")) | {"y": 1.02}],
        xaxis={"range": [-1, len(p.before)], "showgrid": False, "anchor": "free", "position": 0}, **layout,
    )  # fmt: skip


def block_curve(points: Sequence[BlockPoint], shown: int) -> go.Figure:
    """Error against bits a weight, block by block; `shown` is the block that is marked."""
    here = next(p for p in points if p.block == shown)
    line = go.Scatter(
        x=[p.bits for p in points], y=[p.relative_error for p in points], mode="lines+markers+text",
        text=[str(p.block) if p.block else "one scale" for p in points], textposition="top right",
        textfont={"size": 13}, line={"color": ORIGINAL, "width": 2}, marker={"size": 9}, cliponaxis=False,
        customdata=[p.scheme for p in points], hovertemplate="%{customdata}: %{y:.1%} at %{x:.4g} bits<extra></extra>",
        **UNCHECKED,
    )  # fmt: skip
    mark = go.Scatter(
        x=[here.bits], y=[here.relative_error], mode="markers", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 20, "color": DEQUANTIZED, "line": {"width": 3}}, **UNCHECKED,
    )  # fmt: skip
    return figure(
        [line, mark], f"Error against bits a weight for blocks from the whole tensor to 16 weights; {here.scheme} has "
        f"{share(here.relative_error)} at {bits(here.bits)} bits.", "bits a weight, scales counted",
        "error, ‖e‖/‖x‖", 360, yaxis={"tickformat": "~%", "rangemode": "tozero"}, xaxis={"gridcolor": QUIET},
        margin={"l": 70, "r": 30, "t": 30, "b": 48},
    )  # fmt: skip


def next_words(stored: NextWords, shown: NextWords) -> go.Figure:
    """The likeliest next words: what the model as it is stored gives each, and what the quantized one does."""
    words = [plotly_text(f"“{word.strip()}”" if word.strip() else repr(word)) for word in stored.words]
    bars = [
        go.Bar(
            x=r.probabilities, y=words, orientation="h", marker={"color": color}, cliponaxis=False,
            text=[share(p) for p in r.probabilities], textposition="outside", textfont={"size": 13},
            hovertemplate="%{y}: %{text}<extra></extra>", **UNCHECKED,
        )
        for r, color in ((stored, ORIGINAL), (shown, DEQUANTIZED))
    ]  # fmt: skip
    said = ", ".join(
        f"{word} {share(a)} and {share(b)}"
        for word, a, b in zip(words, stored.probabilities, shown.probabilities, strict=True)
    )
    return figure(
        bars, f"Probability of the next word, as stored and under {shown.scheme}: {said}.", "probability", "", 430,
        barmode="group", bargap=0.25, margin={"l": 110, "r": 60, "t": 34, "b": 48},
        xaxis={"range": [0, 1.15 * max(*stored.probabilities, *shown.probabilities)], "tickformat": "~%",
               "gridcolor": QUIET},
        yaxis={"autorange": "reversed", "showgrid": False},
        annotations=[_from_the_edge(
            legend(("solid", ORIGINAL, "as stored"), ("solid", DEQUANTIZED, shown.scheme or "as stored")), 110,
        )],
    )  # fmt: skip


def tokens_allowed(found: Sequence[Ceiling]) -> go.Figure:
    """Tokens a second that the memory of each device allows, a bar a scheme."""
    devices, schemes = list(dict.fromkeys(c.device for c in found)), list(dict.fromkeys(c.scheme for c in found))
    colors = (REFERENCE, ORIGINAL, DEQUANTIZED, "#CC79A7")
    bars, entries = [], []
    for scheme, color in zip(schemes, colors, strict=False):
        own = {c.device: c for c in found if c.scheme == scheme}
        drawn = [own[d] for d in devices if d in own]
        bars.append(
            go.Bar(
                y=[plotly_text(c.device) for c in drawn], x=[c.tokens_per_s for c in drawn], orientation="h",
                marker={"color": color, "opacity": [0.3 if c.fits is False else 1.0 for c in drawn]},
                customdata=[number(c.tokens_per_s, 3) for c in drawn],
                hovertemplate=f"%{{y}}, {plotly_text(scheme)}: %{{customdata}} tokens/s<extra></extra>", **UNCHECKED,
            )
        )  # fmt: skip
        entries.append(("solid", color, scheme))
    best = max(found, key=lambda c: c.tokens_per_s)
    marks = [factor * 10.0**power for power in range(-3, 8) for factor in (1, 3)]
    return figure(
        bars, f"Tokens a second that memory allows on {len(devices)} devices; the most is "
        f"{number(best.tokens_per_s, 3)} on {best.device} with {best.scheme}.",
        "tokens a second, at most", "", 80 + 46 * len(devices),
        barmode="group", bargap=0.2, margin={"l": 170, "r": 20, "t": 34, "b": 48},
        xaxis={"type": "log", "gridcolor": QUIET, "tickvals": marks, "ticktext": [number(mark) for mark in marks]},
        yaxis={"autorange": "reversed", "showgrid": False},
        annotations=[_from_the_edge(legend(*entries), 170)],
    )  # fmt: skip
