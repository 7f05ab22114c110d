"""What quantizing one part of a language model costs its predictions, and how well cheaper figures predict it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from ..quality.text.words import with_error
from ..sensitivity.agreement import ALL_SCHEMES, GRADES, Agreement
from ..text.wording import listed, number, plural
from .quality import LEGEND_ROW, SHOWN, legend_rows
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, figure, plotly_text

if TYPE_CHECKING:
    import pandas as pd

# Attention in blues, the MLP in reds, the ends of the model in green and grey; marks tell apart within a colour.
ROLE_STYLES = {
    "attention q": (ORIGINAL, "circle"), "attention k": (ORIGINAL, "diamond"), "attention v": (ORIGINAL, "square"),
    "attention qkv": (ORIGINAL, "star"), "attention o": (ORIGINAL, "triangle-up"),
    "mlp gate": (DEQUANTIZED, "circle"), "mlp up": (DEQUANTIZED, "diamond"),
    "mlp gate and up": (DEQUANTIZED, "star"), "mlp down": (DEQUANTIZED, "square"),
    "embedding": (REFERENCE, "circle"), "head": (REFERENCE, "diamond"), "other": ("#8A8A8A", "x"),
}  # fmt: skip
SCATTER_HEIGHT = 430
ROOM, LEAST_ROOM = 0.08, 0.1  # at the ends of an axis: a share of its length; decades, where all values are equal
FEW_DECADES = 4  # of an axis whose ticks stand at 1, 2 and 5 and not at 1 alone
MOST_BARS = 40
BAR, NAME = 20, 7  # pixels: height of a bar; width of a character of its name
_LONGEST = 40  # characters of a name beside a bar


def predicted(agreement: Agreement, grade: str = "squared_error", scheme: str = ALL_SCHEMES) -> go.Figure:
    """KL divergence of each unit against a cheap grade, both axes logarithmic, a mark a unit, coloured by role.

    grade: of GRADES; SQNR, which is logarithmic itself, has a linear axis that runs from good to bad.
    scheme: one of the agreement's, or ALL_SCHEMES. What has no error or no divergence has no place and is counted.
    """
    metric, points = GRADES[grade], agreement.points
    own = points if scheme == ALL_SCHEMES else points[points["scheme"] == scheme]
    linear = metric.unit == "dB"
    drawn = own[(own["kl_mean"] > 0) & own[grade].map(math.isfinite) & (linear | (own[grade] > 0))]
    roles = [name for name in ROLE_STYLES if (drawn["role"] == name).any()]
    traces = [_marks(drawn[drawn["role"] == name], grade, *ROLE_STYLES[name]) for name in roles]
    rows = legend_rows([(SHOWN[ROLE_STYLES[name][1]], ROLE_STYLES[name][0], name) for name in roles])
    title = f"{metric.label}: {metric.formula}{f', {metric.unit}' if metric.unit else ''}"
    x = {"autorange": "reversed"} if linear else log_axis([float(value) for value in drawn[grade]])
    return figure(
        traces, _predicted_alt(agreement, grade, scheme, len(drawn), len(own)), title, "mean KL divergence, nats",
        SCATTER_HEIGHT, xaxis={"gridcolor": QUIET, **x}, yaxis=log_axis([float(v) for v in drawn["kl_mean"]]),
        annotations=rows, margin={"l": 78, "r": 14, "t": 12 + LEGEND_ROW * len(rows), "b": 48},
    )  # fmt: skip


def log_axis(values: list[float]) -> dict[str, Any]:
    """From the least to the greatest with some room: grades of one scheme often lie within a tenth of each other."""
    low, high = (math.log10(min(values)), math.log10(max(values))) if values else (-4.0, 0.0)
    room = ROOM * (high - low) or LEAST_ROOM
    axis = {"type": "log", "range": [low - room, high + room]}
    exponents = range(math.floor(low - room), math.ceil(high + room))
    marks = [factor * 10.0**e for e in exponents for factor in ((1, 2, 5) if high - low < FEW_DECADES else (1,))]
    held = [at for at in marks if low - room <= math.log10(at) <= high + room]
    return axis | ({"tickvals": held, "ticktext": [number(at) for at in held]} if len(held) > 1 else {"nticks": 6})


def _marks(points: pd.DataFrame, grade: str, color: str, mark: str) -> go.Scatter:
    kl, up = points["kl_mean"].tolist(), points["kl_se"].fillna(0.0).tolist()
    words = [
        f"<b>{plotly_text(row.unit)}</b><br>{plotly_text(row.scheme)}"
        f"<br>KL divergence {with_error(row.kl_mean, row.kl_se)}"
        f"<br>{GRADES[grade].label.lower() if grade != 'sqnr_db' else 'SQNR'} {number(getattr(row, grade))}"
        for row in points.itertuples()
    ]
    return go.Scatter(
        x=points[grade].tolist(), y=kl, mode="markers", text=words, hovertemplate="%{text}<extra></extra>",
        marker={"color": color, "symbol": mark, "size": 8},
        error_y={"type": "data", "array": up, "arrayminus": [min(e, 0.9 * k) for e, k in zip(up, kl, strict=True)],
                 "color": color, "thickness": 1, "width": 0},
    )  # fmt: skip


def _predicted_alt(agreement: Agreement, grade: str, scheme: str, drawn: int, known: int) -> str:
    found = agreement.correlations
    own = found[(found["grade"] == grade) & (found["scheme"].isin([scheme]))]
    if own.empty and scheme == ALL_SCHEMES:  # there is one scheme alone
        own = found[found["grade"] == grade]
    said = f"Mean KL divergence against {GRADES[grade].label} for {plural(drawn, agreement.by)}, logarithmic"
    rest = f"; {known - drawn} without error or divergence are not drawn" if known > drawn else ""
    if own.empty:
        return f"{said}{rest}: the grade is not known."
    row = own.iloc[0]
    return (
        f"{said}{rest}. Rank correlation {number(row.spearman, 3)}, 95% interval {number(row.low, 3)} to "
        f"{number(row.high, 3)}."
    )


def divergences(frame: pd.DataFrame, scheme: str | None = None) -> go.Figure:
    """Bars of the mean KL divergence of each unit with ± one standard error, worst first, at most MOST_BARS of them.

    frame: as `sensitivity` gives it.  scheme: whose rows; None for the first. What was refused is left out, and told.
    """
    scheme = scheme or (frame["scheme"].iloc[0] if len(frame) else "")
    own = frame[frame["scheme"] == scheme]
    told = own[own["kl_mean"].notna()].sort_values("kl_mean", ascending=False, kind="stable")
    drawn = told.head(MOST_BARS)
    names = [plotly_text(_short(name)) for name in drawn["unit"]]
    bars = go.Bar(
        x=drawn["kl_mean"].tolist(), y=list(range(len(drawn))), orientation="h", marker={"color": DEQUANTIZED},
        error_x={"type": "data", "array": drawn["kl_se"].fillna(0.0).tolist(), "thickness": 1.5, "width": 4,
                 "color": "#8A8A8A"},
        text=[
            f"<b>{plotly_text(row.unit)}</b><br>KL divergence {with_error(row.kl_mean, row.kl_se)}"
            f"<br>{plural(row.tensors, 'tensor')}, {plural(row.weights, 'weight')}" for row in drawn.itertuples()
        ],
        textposition="none", hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    widest = max(map(len, names), default=0)
    return figure(
        [bars], _divergences_alt(scheme, told, len(own) - len(told)), "mean KL divergence, nats", "",
        90 + BAR * max(len(drawn), 3),
        xaxis={"gridcolor": QUIET, "rangemode": "tozero", "exponentformat": "power"},
        yaxis={"range": [len(drawn) - 0.5, -0.5], "tickvals": list(range(len(drawn))), "ticktext": names},
        margin={"l": 20 + NAME * widest, "r": 14, "t": 14},
    )  # fmt: skip


def _short(name: str) -> str:
    """A tensor's name without what all of a model's have."""
    name = name.removesuffix(".weight").removeprefix("model.")
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]


def _divergences_alt(scheme: str, told: pd.DataFrame, refused: int) -> str:
    if told.empty:
        return "Mean KL divergence by unit: nothing is measured yet."
    worst = [f"{row.unit} {with_error(row.kl_mean, row.kl_se)}" for row in told.head(5).itertuples()]
    rest = f" {plural(max(len(told) - MOST_BARS, 0), 'unit')} of less are not drawn." if len(told) > MOST_BARS else ""
    left = f" {plural(refused, 'unit')} could not be quantized so." if refused else ""
    return (
        f"Mean KL divergence under {scheme} of {plural(len(told), told['by'].iloc[0])}, worst first: "
        f"{listed(worst)}.{rest}{left}"
    )
