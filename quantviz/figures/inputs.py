"""A layer's inputs by channel and token, before and after smoothing or rotation; who carries the output's error."""

from __future__ import annotations

from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..evaluation.layer_output import Fed, LayerOutput
from ..text.wording import number, plural, share
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, SEQUENTIAL, figure, legend

MOST_POINTS = 1024  # of a line or a cloud
_CURVE = 64  # points of a curve
_NAMED = {"rotated": "rotated", "divided": "divided by the scales", "": "as they come"}


def channels(found: LayerOutput) -> go.Figure:
    """Largest input of each channel, the largest channel first, as they come and as they meet the codes.

    With smooth= and awq the scales too, in the order of the inputs as they come.
    """
    order = np.argsort(-found.before.largest, kind="stable")
    kept = np.unique(np.linspace(0, len(order) - 1, MOST_POINTS).astype(int))
    lines = [("as they come", ORIGINAL, "solid", found.before.largest[order])]
    if found.moved:
        lines.append((_NAMED[found.moved], DEQUANTIZED, "solid", np.sort(found.after.largest)[::-1]))
    if found.input_scales is not None:
        lines.append(("scale", REFERENCE, "dot", found.input_scales[order]))
    traces = [
        go.Scatter(
            x=kept + 1, y=np.where(values > 0, values, np.nan)[kept], mode="lines",
            line={"color": color, "width": 1 if dash == "dot" else 2, "dash": dash},
            hovertemplate=f"{name}, place %{{x}}: %{{y:.3g}}<extra></extra>",
        )
        for name, color, dash, values in lines
    ]  # fmt: skip
    ends = ((name, number(float(v.max()), 3), number(float(v.min()), 3)) for name, _, _, v in lines)
    told = "; ".join(f"{name} from {most} to {least}" for name, most, least in ends)
    return figure(
        traces, f"Largest inputs of {plural(len(order), 'channel')}, in falling order: {told}.",
        "place of the channel, the largest first", "max |x|", yaxis={"type": "log", "exponentformat": "power"},
        annotations=[legend(*((dash, color, name) for name, color, dash, _ in lines))],
    )  # fmt: skip


def tokens(found: LayerOutput, which: Literal["before", "after"] = "before") -> go.Figure:
    """|x| of some tokens by channel: a channel that is large at every token is a line from top to bottom."""
    fed: Fed = getattr(found, which)
    # Colours of three digits: half of the bytes, and nobody sees more.
    cells = np.char.mod("%.3g", fed.map).astype(float)
    heat = go.Heatmap(
        z=cells, x0=(fed.together - 1) / 2, dx=fed.together, colorscale=SEQUENTIAL, zmin=0.0,
        zmax=float(np.quantile(fed.map, 0.995)) or float(fed.map.max()),
        hovertemplate="token %{y} of the sample, channel %{x:.0f}: %{z:.3g}<extra></extra>",
        colorbar={"title": {"text": "|x|", "side": "right"}, "thickness": 12, "nticks": 4},
    )  # fmt: skip
    how = _NAMED[found.moved if which == "after" else ""]
    alt = (
        f"Inputs {how}, {plural(len(fed.map), 'token')} by channel: the largest channel reaches "
        f"{number(float(fed.largest.max()), 3)}, {number(fed.spread, 2)} times as far as the median one."
    )
    together = f", the largest of {fed.together} together" if fed.together > 1 else ""
    turned = "rotated " if which == "after" and found.moved == "rotated" else ""
    return figure(
        [heat], alt, f"{turned}input channel{together}", "token", xaxis={"showgrid": False},
        yaxis={"showgrid": False, "autorange": "reversed"}, height=260,
    )  # fmt: skip


def carriers(found: LayerOutput) -> go.Figure | None:
    """What of the output's squared error each input channel carries, against its part of the inputs' squares.

    None where the output has no error.
    """
    if found.shares is None:
        return None
    part = found.importance / found.importance.sum(dtype=np.float64)
    picked = np.sort(np.argsort(-np.abs(found.shares), kind="stable")[:MOST_POINTS])
    picked = picked[part[picked] > 0]
    x, y = part[picked], found.shares[picked]
    alike = np.geomspace(x.min(), x.max(), _CURVE)
    decades = 10.0 ** np.arange(np.floor(np.log10(x.min())), np.ceil(np.log10(x.max())) + 1)
    named = [f"{number(100 * part)}%" for part in decades]
    traces = [
        go.Scatter(x=alike, y=alike, mode="lines", hoverinfo="skip", line={"color": REFERENCE, "dash": "dash"}),
        go.Scatter(
            x=x, y=y, mode="markers", marker={"color": DEQUANTIZED, "size": 6, "opacity": 0.7}, customdata=picked,
            hovertemplate="channel %{customdata}: %{y:.2%} of the error, %{x:.2%} of the squares<extra></extra>",
        ),
    ]  # fmt: skip
    worst = int(found.shares.argmax())
    alt = (
        f"Share of the output's squared error of {plural(len(part), 'input channel')}: channel {worst:,} has the most, "
        f"{share(float(found.shares[worst]))}, with {share(float(part[worst]))} of the inputs' squares."
    )
    return figure(
        traces, alt, "part of E[x²]", "share of the squared error",
        xaxis={"type": "log", "gridcolor": QUIET, "tickvals": decades, "ticktext": named},
        yaxis={"tickformat": ".2~%", "zeroline": True},
        annotations=[legend(("disc", DEQUANTIZED, "channel"), ("dash", REFERENCE, "error as the squares lie"))],
    )  # fmt: skip
