"""A plan for a model: the curve that it lies on, and the scheme of every tensor."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from ..planner import Plan
from ..planner.plan import scheme_text
from ..sweep.summary import OUTSIDE, in_order
from ..text.wording import bits, number, share
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, SEQUENTIAL, figure, legend, plotly_text
from .whole_model import MARGIN, layer_name, map_height

_MOST_POINTS = 600  # of the curve
_SHORT = 10  # letters of a scheme in a cell


def plan_front(p: Plan) -> go.Figure:
    """Predicted damage against bits a weight: the greedy curve over all budgets, the plan, single schemes and mixes."""
    points = p.points
    points = points.iloc[:: max(1, -(-len(points) // _MOST_POINTS))]
    axis = points.columns[0]
    sizes = float(points[axis].min()), float(points[axis].max())
    name = "milliseconds a token" if axis == "milliseconds" else "bits a weight, scales counted"
    traces = [
        go.Scatter(
            x=points[axis], y=points["damage"], mode="lines", line={"color": REFERENCE, "width": 2}, hoverinfo="skip"
        )
    ]
    entries = [("solid", REFERENCE, "plans of every size")]
    for others, color, symbol, mark, word in (
        (p.uniform, ORIGINAL, "circle", "disc", "one scheme for all"),
        (p.mixes, "#CC79A7", "square", "solid", "llama.cpp's mixes"),
    ):
        drawn = [a for a in others if a.damage > 0]
        if drawn:
            traces.append(
                go.Scatter(
                    x=[_amount(p, a.cost) for a in drawn], y=[a.damage for a in drawn], mode="markers+text",
                    text=[plotly_text(a.name) for a in drawn], textfont={"size": 11},
                    textposition=[_free_side(_amount(p, a.cost), sizes) for a in drawn],
                    marker={"color": color, "size": 10, "symbol": symbol}, cliponaxis=False,
                    hovertemplate="%{text}: damage %{y:.4g} at %{x:.4g}<extra></extra>",
                )
            )  # fmt: skip
            entries.append((mark, color, word))
    here = _amount(p, p.solution.cost)
    traces.append(
        go.Scatter(
            x=[here], y=[p.damage], mode="markers", text=[f"this plan: damage {number(p.damage, 4)} at {number(here)}"],
            marker={"color": DEQUANTIZED, "size": 15, "symbol": "star"}, hovertemplate="%{text}<extra></extra>",
        )
    )  # fmt: skip
    entries.append(("star", DEQUANTIZED, "this plan"))
    best = p.best_uniform
    against = f" The best single scheme, {best.name}, has {number(best.damage, 4)}." if best else ""
    return figure(
        traces, f"Predicted damage, {p.grade.formula}, against {name}. This plan has {number(p.damage, 4)} at "
        f"{number(here)}.{against}", name, f"predicted damage, {p.grade.unit}", 400,
        annotations=[legend(*entries)], margin={"l": 78, "r": 30, "t": 34, "b": 48}, xaxis={"gridcolor": QUIET},
        yaxis={"type": "log", "exponentformat": "power", "gridcolor": QUIET},
    )  # fmt: skip


def _free_side(x: float, sizes: tuple[float, float]) -> str:
    """Where a name lies beside the falling line of plans, from one size to another, and within the figure."""
    return "top right" if 2 * x <= sum(sizes) else "bottom left"


def _amount(p: Plan, cost: float) -> float:
    return cost * 1e3 if p.budget.kind == "ms" else cost / p.weights


def plan_map(p: Plan) -> go.Figure:
    """Bits a weight of every layer (down) and role (across), with the scheme written in the cell."""
    layers = sorted({OUTSIDE if line.layer is None else line.layer for line in p.lines})
    roles = in_order([line.role for line in p.lines])
    taken, weights = np.zeros((len(layers), len(roles))), np.zeros((len(layers), len(roles)))
    schemes: dict[tuple[int, int], dict[str, None]] = {}
    for line in p.lines:
        at = layers.index(OUTSIDE if line.layer is None else line.layer), roles.index(line.role)
        taken[at] += line.bits
        weights[at] += line.weights
        schemes.setdefault(at, {})[scheme_text(line)] = None
    z = np.divide(taken, weights, out=np.full(taken.shape, math.nan), where=weights > 0)
    text = np.full(taken.shape, "", object)
    told = np.full(taken.shape, "", object)
    for at, names in schemes.items():
        text[at] = plotly_text(_cell(list(names)))
        told[at] = f"{plotly_text(', '.join(names))}<br>{bits(float(z[at]))} bits a weight"
    heat = go.Heatmap(
        z=z, x=list(roles), y=[layer_name(layer) for layer in layers], xgap=1, ygap=1,
        text=text, texttemplate="%{text}", textfont={"size": 11}, customdata=told, colorscale=SEQUENTIAL,
        hovertemplate="%{customdata}<extra></extra>",
        colorbar={"title": {"text": "bits", "side": "right"}, "thickness": 12},
    )  # fmt: skip
    counts: dict[str, int] = {}
    for line in p.lines:
        counts[scheme_text(line)] = counts.get(scheme_text(line), 0) + line.weights
    said = ", ".join(f"{name} for {share(n / p.weights)} of the weights" for name, n in counts.items())
    return figure(
        [heat], f"The plan: {said}.", "", "layer", map_height(len(layers)),
        margin=MARGIN, xaxis={"showgrid": False, "type": "category"},
        yaxis={"showgrid": False, "type": "category", "autorange": "reversed"},
    )  # fmt: skip


def _cell(names: list[str]) -> str:
    """The format alone, since cells are narrow; the whole key is told where the pointer is."""
    short = dict.fromkeys(name.partition("-")[0][:_SHORT] for name in names)
    return next(iter(short)) if len(short) == 1 else f"{len(names)} schemes"
