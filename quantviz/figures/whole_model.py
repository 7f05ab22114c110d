"""A whole model under schemes: every layer and role on one map, the roles side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..metrics import METRICS, value_text
from ..sweep.summary import OUTSIDE, Cells, cells, in_order, measured
from ..text.wording import plural
from .outliers import LINES
from .style import DEQUANTIZED, QUIET, SEQUENTIAL, figure, legend, plotly_text

ANYWHERE = -1  # the nearest cell is the one pointed at, however far
_ROW, _LEAST, _MOST = 22, 220, 900  # pixels: of a layer, of the smallest and the tallest map
MARGIN = {"l": 72, "r": 10, "t": 12, "b": 92}  # pixels about a map
_TICKS = 40  # layers that are numbered
MOST_SCHEMES = len(LINES)  # side by side


def layer_map(
    frame: pd.DataFrame, scheme: str, metric: str = "sqnr_db", opened: tuple[int, str] | None = None
) -> go.Figure:
    """A metric of every layer (down) and role (across) of a model under a scheme; brighter is worse.

    frame: of a sweep, also one that is not complete; the colours are the same for all of its schemes.
    opened: the layer, OUTSIDE for none, and the role of a cell that is marked.
    Points that can be clicked carry "layer,role" as customdata.
    """
    found = cells(frame, scheme, metric)
    said = METRICS[metric]
    low, high = _span(frame, metric)
    inverted = said.direction == "higher"
    drawn = np.where(np.isfinite(found.values), found.values, np.where(np.isposinf(found.values), high, np.nan))
    heat = go.Heatmap(
        z=drawn, x=list(found.roles), y=[layer_name(layer) for layer in found.layers], xgap=1, ygap=1, hoverinfo="skip",
        colorscale=SEQUENTIAL, reversescale=inverted, zmin=low, zmax=high,
        colorbar={"title": {"text": _unit(metric), "side": "right"}, "thickness": 12, "exponentformat": "power"},
    )  # fmt: skip
    every = max(1, math.ceil(len(found.layers) / _TICKS))
    ticks = [layer_name(layer) for layer in found.layers[::every]]
    return figure(
        [heat, _clickable(found, metric), *_ring(found, opened)], _alt(found, scheme, metric), "", "layer",
        map_height(len(found.layers)), margin=MARGIN, hoverdistance=ANYWHERE,
        xaxis={"showgrid": False, "type": "category", "range": [-0.5, len(found.roles) - 0.5]},
        yaxis={"showgrid": False, "type": "category", "tickvals": ticks, "ticktext": ticks,
               "range": [len(found.layers) - 0.5, -0.5]},
    )  # fmt: skip


def map_height(layers: int) -> int:
    """Pixels of a map with so many layers."""
    return min(max(_ROW * layers + MARGIN["t"] + MARGIN["b"], _LEAST), _MOST)


def layer_name(number: int) -> str:
    """As the axis of layers has it."""
    return "none" if number == OUTSIDE else str(number)


def _span(frame: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Both ends of the colours: the least and the largest finite figure of all schemes."""
    values = measured(frame)[metric].astype(float).to_numpy() if metric in frame else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _unit(metric: str) -> str:
    said = METRICS[metric]
    return {"": said.label, "fraction": said.label}.get(said.unit, f"{said.label}, {said.unit}")


def _clickable(found: Cells, metric: str) -> go.Scatter:
    """Unseen points over the cells: heat maps themselves report no clicks to the page."""
    at = sorted(found.tensors)
    return go.Scatter(
        x=[found.roles[col] for _, col in at], y=[layer_name(found.layers[row]) for row, _ in at], mode="markers",
        marker={"size": 14, "opacity": 0}, customdata=[f"{found.layers[row]},{found.roles[col]}" for row, col in at],
        text=[_told(found, metric, place) for place in at], hovertemplate="%{text}<extra></extra>",
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}},
    )  # fmt: skip


def _told(found: Cells, metric: str, place: tuple[int, int]) -> str:
    names, value = found.tensors[place], found.values[place]
    who = plotly_text(names[0]) if len(names) == 1 else f"{len(names):,} tensors, the worst {plotly_text(names[0])}"
    return f"{who}<br>{METRICS[metric].label} {plotly_text(value_text(metric, float(value)))}<br>press to open"


def _ring(found: Cells, opened: tuple[int, str] | None) -> list[go.Scatter]:
    if opened is None or opened[0] not in found.layers or opened[1] not in found.roles:
        return []
    ring = {"symbol": "square-open", "size": 18, "color": DEQUANTIZED, "line": {"width": 3}}
    return [
        go.Scatter(
            x=[opened[1]], y=[layer_name(opened[0])], mode="markers", marker=ring, hoverinfo="skip", cliponaxis=False
        )
    ]


def _alt(found: Cells, scheme: str, metric: str) -> str:
    label = METRICS[metric].label
    if not found.tensors:
        return f"{label} of every layer and role under {scheme}: nothing is measured yet."
    sign = -1 if METRICS[metric].direction == "higher" else 1
    worst = max(found.tensors, key=lambda at: -math.inf if math.isnan(v := found.values[at]) else sign * v)
    return (
        f"{label} of {plural(sum(n != OUTSIDE for n in found.layers), 'layer')} and "
        f"{plural(len(found.roles), 'role')} under {scheme}; the worst is {found.tensors[worst][0]} with "
        f"{value_text(metric, float(found.values[worst]))}."
    )


def by_role(frame: pd.DataFrame, schemes: Sequence[str], metric: str = "sqnr_db") -> go.Figure:
    """A metric of every tensor, role by role, under at most MOST_SCHEMES schemes: boxes with all points."""
    schemes = list(schemes)[:MOST_SCHEMES]
    roles, boxes, entries = in_order(frame["role"]), [], []
    for scheme, (color, _, _) in zip(schemes, LINES, strict=False):
        rows = measured(frame, scheme)
        values = rows[metric].astype(float)
        rows = rows[np.isfinite(values)]
        texts = [
            f"{plotly_text(name)}<br>{plotly_text(scheme)}: {plotly_text(value_text(metric, float(value)))}"
            for name, value in zip(rows["tensor"], rows[metric], strict=True)
        ]
        boxes.append(
            go.Box(
                x=rows["role"], y=rows[metric].astype(float), name=plotly_text(scheme), offsetgroup=scheme,
                boxpoints="all", jitter=0.4, pointpos=0, text=texts, hovertemplate="%{text}<extra></extra>",
                hoveron="points", marker={"color": color, "size": 5, "opacity": 0.75},
                line={"color": color, "width": 1}, fillcolor="rgba(0, 0, 0, 0)",
            )
        )  # fmt: skip
        entries.append(("disc", color, scheme))
    return figure(
        boxes, _alt_roles(frame, schemes, roles, metric), "", _unit(metric), 380, boxmode="group",
        annotations=[legend(*entries)] if entries else [], margin={"l": 70, "r": 10, "t": 34, "b": 70},
        xaxis={"type": "category", "categoryorder": "array", "categoryarray": list(roles), "showgrid": False},
        yaxis={"gridcolor": QUIET},
    )  # fmt: skip


def _alt_roles(frame: pd.DataFrame, schemes: Sequence[str], roles: Sequence[str], metric: str) -> str:
    said = []
    for scheme in schemes:
        medians = measured(frame, scheme).groupby("role")[metric].median()
        texts = [f"{role} {value_text(metric, float(medians[role]))}" for role in roles if role in medians]
        said.append(f"{scheme}: {', '.join(texts)}")
    return f"{METRICS[metric].label} by role, medians over the tensors. {'; '.join(said)}."
