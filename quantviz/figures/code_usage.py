"""How often each code is used."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ..evaluation import Evaluation
from ..inspection.worked import code_text, code_values, is_whole
from ..schemes import Scheme
from ..text.wording import MINUS, number, share
from .style import DEQUANTIZED, UNCHECKED, categories, figure

LABELLED = 32  # up to so many codes have a bar and a label each
DRAWN = 256  # beyond so many, neighbours are joined


def code_usage(evaluation: Evaluation) -> go.Figure | None:
    """Share of the weights that takes each code, codes in the order of the values they stand for.

    None where codes are not counted (fp32).
    """
    if evaluation.code_counts is None:
        return None
    scheme = Scheme.parse(evaluation.scheme)
    codes, values = code_values(scheme)
    shares = evaluation.code_counts[codes - scheme.code_range[0]] / evaluation.code_counts.sum()
    used = int((shares > 0).sum())
    alt = f"The weights use {used} of {len(codes)} codes; the most frequent takes {share(float(shares.max()))} of them."
    if len(codes) > LABELLED:
        return _profile(codes, values, shares, alt)
    written = [code_text(scheme, code) for code in codes.tolist()]
    labels = [text.replace("-", MINUS) for text in written] if is_whole(scheme) else [number(v, 3) for v in values]
    # Two codes may stand for one value (+0 and -0), and bars of one label would fall on one another.
    labels = [f"{label} " if label in labels[:i] else label for i, label in enumerate(labels)]
    bars = go.Bar(
        x=labels, y=shares, marker={"color": DEQUANTIZED}, customdata=written,
        hovertemplate="code %{customdata}: %{y:.3%}<extra></extra>", **UNCHECKED,
    )  # fmt: skip
    title = (
        "code" if is_whole(scheme) else "value of the code, in scales" if scheme.granularity else "value of the code"
    )
    return figure([bars], alt, title, "share of the weights", bargap=0.15, **categories(labels, title),
                  yaxis={"tickformat": "~%", "rangemode": "tozero"})  # fmt: skip


def _profile(codes: np.ndarray, values: np.ndarray, shares: np.ndarray, alt: str) -> go.Figure:
    """A line over the codes in order of value, neighbours joined where they are many."""
    together = -(-len(codes) // DRAWN)
    starts = np.arange(0, len(codes), together)
    ticks = np.linspace(0, len(starts) - 1, 9).astype(int)
    line = go.Scatter(
        x=np.arange(len(starts)), y=np.add.reduceat(shares, starts), mode="lines", fill="tozeroy",
        line={"shape": "hvh", "color": DEQUANTIZED, "width": 1}, customdata=[number(v) for v in values[starts]],
        hovertemplate="from value %{customdata}: %{y:.3%}<extra></extra>", **UNCHECKED,
    )  # fmt: skip
    title = "value of the code" + (f", {together:,} codes a step" if together > 1 else "")
    return figure([line], alt, title, "share of the weights",
                  xaxis={"tickvals": ticks, "ticktext": [number(values[starts[t]], 3) for t in ticks]},
                  yaxis={"tickformat": "~%", "rangemode": "tozero"})  # fmt: skip
