"""A mix over a model: which part of which layer has how many bits."""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go

from ..mixes import Line, Recipe
from ..wording import bits, share, size
from .style import SEQUENTIAL, figure, told

_LAYER = re.compile(r"blk\.([0-9]{1,9})\.(.+)\.weight")
_ROW = 26  # pixels
_QUANTIZED_AXES = 2  # norms and biases have one axis and stay as they are: not drawn


def mix_map(r: Recipe) -> go.Figure:
    """Bits per weight of every matrix, a row a part, a column a layer; what is in no layer fills a row."""
    drawn = [line for line in r.lines if len(line.shape) >= _QUANTIZED_AXES]
    inside = [(int(m[1]), m[2], line) for line in drawn if (m := _LAYER.fullmatch(line.name))]
    parts = list(dict.fromkeys(part for _, part, _ in inside))
    outside = [line for line in drawn if not _LAYER.fullmatch(line.name)]
    layers = max((layer for layer, _, _ in inside), default=-1) + 1
    names = [told(line.name.removesuffix(".weight")) for line in outside] + [told(part) for part in parts]
    taken = np.full((len(names), max(layers, 1)), np.nan)
    text = np.full(taken.shape, "", object)
    for row, line in enumerate(outside):
        taken[row], text[row] = line.bits_per_weight, _hover(line)
    for layer, part, line in inside:
        row = len(outside) + parts.index(part)
        taken[row, layer], text[row, layer] = line.bits_per_weight, _hover(line)
    heat = go.Heatmap(
        z=taken, y=names, x=np.arange(taken.shape[1]), text=text, colorscale=SEQUENTIAL, xgap=1, ygap=1,
        hovertemplate="%{text}<extra></extra>", colorbar={"title": {"text": "bits"}, "thickness": 12},
    )  # fmt: skip
    alt = (
        f"{r.mix.file_name}: "
        + ", ".join(f"{kind} for {share(n / r.weights)} of the weights" for kind, n in r.kinds.items())
        + "."
    )
    return figure([heat], alt, "layer", "", height=120 + _ROW * len(names),
                  margin={"l": 150, "r": 10, "t": 10, "b": 48}, yaxis={"autorange": "reversed"},
                  xaxis={"tick0": 0, "dtick": max(1, taken.shape[1] // 16), "showgrid": False})  # fmt: skip


def _hover(line: Line) -> str:
    why = f"<br>{told(line.why)}" if line.why else ""
    return f"{told(line.name)}<br>{told(line.kind)}, {bits(line.bits_per_weight)} bits, {size(line.nbytes)}{why}"
