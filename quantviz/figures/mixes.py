"""A mix over a model: which part of which layer has how many bits."""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go

from ..published.mixes import Line, Recipe
from ..text.wording import bits, share, size
from .style import SEQUENTIAL, figure, plotly_text

_COLORBAR = {"title": {"text": "bits"}, "thickness": 12, "tickvals": [0, 2, 4, 6, 8, 9],
             "ticktext": ["0", "2", "4", "6", "8", "9 and more"]}  # fmt: skip
_LAYER = re.compile(r"blk\.([0-9]{1,9})\.(.+)\.weight")
_ROW = 26  # pixels
_MOST_BITS = 9  # the colours end here: one row of float32 would leave none to tell 4.5 bits from 8.5
_QUANTIZED_AXES = 2  # norms and biases have one axis and stay as they are: not drawn


def mix_map(r: Recipe) -> go.Figure:
    """Bits per weight of every matrix, a row a part, a column a layer; what is in no layer stands before the first."""
    drawn = [line for line in r.lines if len(line.shape) >= _QUANTIZED_AXES]
    inside = [(int(m[1]), m[2], line) for line in drawn if (m := _LAYER.fullmatch(line.name))]
    parts = list(dict.fromkeys(part for _, part, _ in inside))
    outside = [line for line in drawn if not _LAYER.fullmatch(line.name)]
    layers = max((layer for layer, _, _ in inside), default=-1) + 1
    first = -1 if outside else 0  # the column of what is in no layer
    names = [plotly_text(line.name.removesuffix(".weight")) for line in outside] + [plotly_text(part) for part in parts]
    taken = np.full((len(names), max(layers - first, 1)), np.nan)
    text = np.full(taken.shape, "", object)
    for row, line in enumerate(outside):
        taken[row, 0], text[row, 0] = line.bits_per_weight, _hover(line)
    for layer, part, line in inside:
        row = len(outside) + parts.index(part)
        taken[row, layer - first], text[row, layer - first] = line.bits_per_weight, _hover(line)
    heat = go.Heatmap(
        z=taken, y=names, x=np.arange(first, first + taken.shape[1]), text=text, colorscale=SEQUENTIAL, xgap=1,
        ygap=1, zmin=0, zmax=_MOST_BITS, hovertemplate="%{text}<extra></extra>", colorbar=_COLORBAR,
    )  # fmt: skip
    alt = (
        f"{r.mix.file_name}: "
        + ", ".join(f"{kind} for {share(n / r.weights)} of the weights" for kind, n in r.kinds.items())
        + "."
    )
    ticks = [-1] * bool(outside) + list(range(0, layers, max(1, layers // 16)))
    return figure([heat], alt, "layer", "", height=120 + _ROW * len(names),
                  margin={"l": 150, "r": 10, "t": 10, "b": 48}, yaxis={"autorange": "reversed"},
                  xaxis={"tickvals": ticks, "ticktext": ["none", *ticks[1:]] if outside else ticks, "showgrid": False,
                         "tickangle": 0})  # fmt: skip


def _hover(line: Line) -> str:
    why = f"<br>{plotly_text(line.why)}" if line.why else ""
    name, kind = plotly_text(line.name), plotly_text(line.kind)
    return f"{name}<br>{kind}, {bits(line.bits_per_weight)} bits, {size(line.nbytes)}{why}"
