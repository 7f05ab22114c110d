"""What outliers do to a scheme: before and after an edit, who carries the error, against block size and magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..evaluation import Evaluation
from ..metrics import METRICS, Metric, value_text
from ..outliers.attribution import OUTLIER_SIGMAS, Attribution
from ..outliers.cures import Treated
from ..outliers.curves import MagnitudeSweep, Point
from ..outliers.sentences import name_of
from ..schemes import Scheme
from ..text.wording import bits, decibels, decimals, number, plural, share, signed
from .histograms import Axis, drawn_range, weights
from .names import WIDE
from .style import DEQUANTIZED, INK, ORIGINAL, QUIET, REFERENCE, end_name, figure, legend, moved_apart

DRAWN_CHANNELS = 512
# Five kinds of line, told apart by colour, dash and mark.
LINES = (
    (DEQUANTIZED, "solid", "circle"), ("#CC79A7", "dash", "diamond"), ("#B8A100", "dashdot", "square"),
    (REFERENCE, "dot", "triangle-up"), (ORIGINAL, "solid", "x"),
)  # fmt: skip
SYMMETRY_LINES = {"sym": LINES[0], "asym": LINES[4], "offset": LINES[3]}

Along = Literal["block size", "bits per weight"]


def before_and_after(
    before: Evaluation, after: Evaluation, axis: Axis = "log", full: bool = False
) -> tuple[go.Figure, go.Figure]:
    """The weights of a tensor and of its edited copy under one scheme, over the same range."""
    drawn = weights(before, None, axis, full), weights(after, None, axis, full)
    ranges = [drawn_range(e.statistics, [e.histograms["dequantized"]], full) for e in (before, after)]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    for fig in drawn:
        fig.layout.xaxis.range = (low, high)
    return drawn


def bands(a: Attribution) -> go.Figure:
    """Share of the weights in each magnitude band beside its share of squared and of absolute error."""
    columns = (
        ("of the weights", a.weight_share, ORIGINAL),
        ("of the squared error", a.squared_error_share, DEQUANTIZED),
        ("of the absolute error", a.abs_error_share, REFERENCE),
    )
    traces = [
        go.Bar(
            x=a.band_labels, y=values, marker={"color": color}, text=[_percent(v) for v in values], cliponaxis=False,
            textposition="outside", textfont={"size": 11}, textangle=0, constraintext="none", meta=WIDE,
            hovertemplate=f"%{{x}}: %{{text}} {name}<extra></extra>",
        )
        for name, values, color in columns
    ]  # fmt: skip
    worst = int(a.squared_error_share.argmax())
    alt = (
        f"Bars by magnitude band: weights of {a.band_labels[worst]} are {share(float(a.weight_share[worst]))} of all "
        f"and carry {share(float(a.squared_error_share[worst]))} of the squared error of {a.scheme}."
    )
    return figure(
        traces, alt, "|x| in σ", "share", bargap=0.2, bargroupgap=0.05,
        xaxis={"type": "category"}, yaxis={"tickformat": "~%", "rangemode": "tozero"},
        annotations=[legend(*(("solid", color, name) for name, _, color in columns))],
    )  # fmt: skip


def _percent(value: float) -> str:
    """Two digits, so that labels stay narrow: 77%, 6.2%, 0.1%, and <0.1% for what is less."""
    percent = 100 * value
    if percent and percent < 0.095:
        return "<0.1%"
    return f"{decimals(percent, 0 if percent >= 9.95 or not percent else 1)}%"


def block_sides(a: Attribution, sigmas: float = OUTLIER_SIGMAS) -> go.Figure | None:
    """Blocks with a weight beyond `sigmas` against all others: how many, and the error they carry."""
    sides = a.blocks_beyond(sigmas)
    if sides is None:
        return None
    measures = ("absolute error", "squared error", "blocks")
    names = (f"with a weight beyond {number(sigmas)}σ", "without")
    traces = []
    for side, name, color in zip(sides, names, (DEQUANTIZED, ORIGINAL), strict=True):
        values = (side.abs_error_share, side.squared_error_share, side.block_share)
        traces.append(
            go.Bar(
                y=measures, x=values, orientation="h", marker={"color": color}, textposition="inside",
                text=[share(v) if v > 0.05 else "" for v in values], insidetextanchor="middle", textangle=0,
                insidetextfont={"color": INK},
                customdata=[share(v) for v in values],
                hovertemplate=f"%{{customdata}} of the %{{y}} {name}<extra></extra>",
            )
        )  # fmt: skip
    alt = (
        f"Blocks with a weight beyond {number(sigmas)}σ are {share(sides[0].block_share)} of all; they carry "
        f"{share(sides[0].squared_error_share)} of the squared and {share(sides[0].abs_error_share)} of the absolute "
        "error."
    )
    return figure(
        traces, alt, "share", "", height=220, barmode="stack", bargap=0.25, margin={"l": 110, "r": 24},
        xaxis={"tickformat": "~%", "range": [0, 1]}, yaxis={"showgrid": False},
        annotations=[legend(("solid", DEQUANTIZED, names[0]), ("solid", ORIGINAL, names[1]))],
    )  # fmt: skip


def channels(a: Attribution, which: Literal["input", "output"] = "input") -> go.Figure:
    """Root mean squared error of each input or output channel; of many, the largest of neighbours."""
    rmse = (a.cols if which == "input" else a.rows).rmse
    together = -(-len(rmse) // DRAWN_CHANNELS)
    starts = np.arange(0, len(rmse), together)
    highest = np.maximum.reduceat(rmse, starts)
    typical, worst = float(np.median(rmse)), int(rmse.argmax())
    traces = [
        go.Scatter(
            x=starts, y=highest, mode="lines", line={"shape": "hv", "color": DEQUANTIZED, "width": 1},
            hovertemplate="from channel %{x}: %{y:.3g}<extra></extra>",
        ),
        go.Scatter(
            x=[0, len(rmse) - 1], y=[typical, typical], mode="lines", hoverinfo="skip",
            line={"color": REFERENCE, "width": 1.5, "dash": "dash"},
        ),
    ]  # fmt: skip
    alt = (
        f"Error of {plural(len(rmse), f'{which} channel')}: the median is {number(typical, 3)}, "
        f"the largest {number(rmse[worst], 3)} at "
        f"channel {worst:,}."
    )
    pooled = f", the largest of {together} together" if together > 1 else ""
    return figure(
        traces, alt, f"{which} channel{pooled}", "RMSE", yaxis={"rangemode": "tozero"}, height=260,
        annotations=[legend(("solid", DEQUANTIZED, "channel"), ("dash", REFERENCE, "median"))],
    )  # fmt: skip


def block_sizes(points: Sequence[Point], metric: str = "relative_l2_error", along: Along = "block size") -> go.Figure:
    """One metric against block size, or against the bits that each costs; a line a symmetry."""
    m, traces, entries, told = METRICS[metric], [], [], []
    fraction = m.unit == "fraction"
    for symmetry in dict.fromkeys(p.symmetry for p in points):
        held = [p for p in points if p.symmetry == symmetry and p.metrics]
        if not held:
            continue
        color, dash, mark = SYMMETRY_LINES[symmetry]
        taken = [p.metrics["bits_per_weight"] for p in held]
        values = [p.metrics[metric] for p in held]
        sizes = [_size(p.granularity) for p in held]
        traces.append(
            go.Scatter(
                x=sizes if along == "block size" else taken, y=values, mode="lines+markers",
                line={"color": color, "dash": dash, "width": 2}, marker={"symbol": mark, "size": 8},
                customdata=[_point_told(p, m) for p in held],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip
        entries.append(("solid", color, f"{held[0].scheme.split('-')[0]} {symmetry}"))
        first, last = value_text(metric, values[0]), value_text(metric, values[-1])
        told.append(f"{symmetry} from {first} at {sizes[0]} to {last} at {sizes[-1]}")
    alt = f"{m.label} against block size: {'; '.join(told)}."
    y = {"rangemode": "tozero", "tickformat": "~%" if fraction else ""}
    x = {"type": "category"} if along == "block size" else {"tickformat": ".2~f"}
    return figure(
        traces, alt, "weights that share a scale" if along == "block size" else "bits per weight",
        m.label + ("" if fraction or not m.unit else f", {m.unit}"), xaxis=x, yaxis=y, annotations=[legend(*entries)],
    )  # fmt: skip


def _point_told(p: Point, metric: Metric) -> str:
    bit = bits(p.metrics["bits_per_weight"])
    return f"{p.scheme}: {bit} bits a weight<br>{metric.label} {value_text(metric.name, p.metrics[metric.name])}"


def _size(granularity: str) -> str:
    return granularity.removeprefix("b") if granularity[1:].isdecimal() else granularity


def magnitudes(m: MagnitudeSweep) -> go.Figure:
    """Error against the magnitude of injected outliers, a line a granularity, named at its end."""
    traces, names, told = [], [], []
    for i, key in enumerate(m.schemes):
        color, dash, mark = LINES[i % len(LINES)]
        name = name_of(str(Scheme.parse(key).granularity))
        traces.append(
            go.Scatter(
                x=m.magnitudes, y=m.rmse[i], mode="lines+markers", line={"color": color, "dash": dash, "width": 2},
                marker={"symbol": mark, "size": 8}, customdata=[decimals(v / m.baseline[i], 2) for v in m.rmse[i]],
                hovertemplate=f"{key} at %{{x:~g}}σ<br>RMSE %{{y:.3g}}σ, %{{customdata}} times that without"
                "<extra></extra>",
            )
        )  # fmt: skip
        names.append(end_name(name, float(m.rmse[i, -1]), color))
        told.append(f"{name} {number(m.rmse[i, 0], 3)} to {number(m.rmse[i, -1], 3)}")
    ends = f"from {number(m.magnitudes[0])}σ to {number(m.magnitudes[-1])}σ"
    alt = f"Error in σ as injected outliers grow {ends}: {'; '.join(told)}."
    ticks = [number(t) for t in m.magnitudes]
    return figure(
        traces, alt, "magnitude of the outliers, σ", "RMSE, σ", yaxis={"rangemode": "tozero"}, margin={"r": 120},
        xaxis={"type": "log", "tickvals": list(m.magnitudes), "ticktext": ticks},
        annotations=moved_apart(names, max((float(np.max(t.y)) for t in traces), default=1.0)),
    )  # fmt: skip


def cures(treated: Sequence[Treated]) -> go.Figure:
    """What each cure gains in SQNR over the untreated scheme, with what it costs in bits."""
    shown = [t for t in treated if t.metrics][::-1]
    told = [f"{_gain(t)}, {signed(bits(t.extra_bits))} bits" for t in shown]
    names, gains = [t.cure.name for t in shown], [t.gain_db for t in shown]
    bars = go.Bar(
        y=names, x=gains, orientation="h", marker={"color": [REFERENCE if t.equal_bits else ORIGINAL for t in shown]},
        customdata=[
            f"{t.cure.key}<br>{decibels(t.metrics['sqnr_db'])} at {bits(t.metrics['bits_per_weight'])} bits a weight"
            for t in shown
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    words = go.Scatter(
        y=names, x=[max(gain, 0) if np.isfinite(gain) else 0 for gain in gains], mode="text",
        text=[f" {text}" for text in told], textposition="middle right", hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    alt = "What each cure gains in SQNR: " + "; ".join(
        f"{name} {text}" for name, text in zip(names[::-1], told[::-1], strict=True)
    )
    finite = [gain for gain in gains if np.isfinite(gain)] or [0.0]
    low, high = min(0.0, *finite), max(0.0, *finite)
    return figure(
        [bars, words], alt + ".", "SQNR gained, dB", "", height=90 + 26 * len(shown), bargap=0.3, margin={"l": 150},
        xaxis={"range": [1.05 * low, high + 0.3 * (high - low or 1.0)], "zeroline": True, "gridcolor": QUIET},
        yaxis={"showgrid": False},
        annotations=[legend(("solid", REFERENCE, "equal bits"), ("solid", ORIGINAL, "more or fewer bits"))],
    )  # fmt: skip


def _gain(t: Treated) -> str:
    if t.metrics["sqnr_db"] == np.inf:
        return "lossless"
    return signed(decibels(t.gain_db)) if np.isfinite(t.gain_db) else "lossy"
