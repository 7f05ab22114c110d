"""What a stored tensor holds: its codes, and the scales and minima of its groups."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ..published.contents import Contents
from ..statistics import Histogram
from ..text.wording import number, plural, share
from .style import DEQUANTIZED, ORIGINAL, REFERENCE, categories, figure, legend

SHARES = {"tickformat": "~%", "rangemode": "tozero"}
LABELLED = 40  # up to so many codes have a bar and a label each


def stored_codes(c: Contents) -> go.Figure:
    """Share of the weights that have each code, in the order of what the codes stand for."""
    there = np.flatnonzero(~np.isnan(c.numbers))
    order = there[np.argsort(c.numbers[there], kind="stable")]
    shares = c.counts[order] / max(c.counts.sum(), 1)
    numbers, codes = c.numbers[order], c.codes[order]
    most = int(shares.argmax())
    alt = (
        f"The weights use {int((shares > 0).sum())} of {len(order)} codes; the most frequent, {codes[most]}, "
        f"which stands for {number(numbers[most])}, has {share(float(shares[most]))} of them."
    )
    labels = [number(n, 3) for n in numbers.tolist()]
    labels = [label + "\u200b" * labels[:i].count(label) for i, label in enumerate(labels)]  # 0 and −0 keep apart
    many = len(order) > LABELLED
    bars = go.Bar(
        x=numbers if many else labels, y=shares, marker={"color": DEQUANTIZED, "line": {"width": 0}}, customdata=codes,
        hovertemplate="code %{customdata}, for %{x}: %{y:.3%}<extra></extra>",
    )  # fmt: skip
    title = "what the code stands for, in scales"
    return figure([bars], alt, title, "share of the weights", bargap=0 if many else 0.15,
                  **({} if many else categories(labels, title)), yaxis=SHARES)  # fmt: skip


def stored_scales(c: Contents) -> go.Figure:
    """Histogram of the scales of all groups, and of their minima where there are any."""
    traces = [_steps(c.scales, ORIGINAL, "scale")]
    entries = [("solid", ORIGINAL, "scales")]
    alt = f"{plural(c.groups, 'scale')} from {number(c.scales.lo, 3)} to {number(c.scales.hi, 3)}."
    if c.minima is not None:
        traces.append(_steps(c.minima, REFERENCE, "minimum"))
        entries.append(("solid", REFERENCE, "minima"))
        alt += f" Minima from {number(c.minima.lo, 3)} to {number(c.minima.hi, 3)}."
    return figure(traces, alt, "value", "groups", annotations=[legend(*entries)], yaxis={"rangemode": "tozero"})


def stored_zeros(c: Contents) -> go.Figure:
    """Histogram of the zero points of all groups: the codes that stand for 0."""
    alt = f"{plural(c.groups, 'zero point')} from {number(c.zeros.lo, 3)} to {number(c.zeros.hi, 3)}."
    bars = _steps(c.zeros, ORIGINAL, "zero point")
    return figure([bars], alt, "zero point, a code", "groups", yaxis={"rangemode": "tozero"})


def _steps(h: Histogram, color: str, name: str) -> go.Scatter:
    return go.Scatter(
        x=h.edges, y=np.append(h.counts, h.counts[-1:]), mode="lines", fill="tozeroy",
        line={"shape": "hv", "color": color, "width": 1.2},
        text=[plural(n, "group") for n in (*h.counts.tolist(), *h.counts[-1:].tolist())],
        hovertemplate=f"{name} from %{{x:.4g}}: %{{text}}<extra></extra>",
    )  # fmt: skip
