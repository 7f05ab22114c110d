"""Colours, layout and words that all figures share. Backgrounds are transparent, so that light and dark themes show."""

from __future__ import annotations

import plotly.graph_objects as go

# Blue, vermilion and green of Okabe and Ito's palette, in lightnesses that hold on white and on near-black.
ORIGINAL = "#3D95CE"
DEQUANTIZED = "#E4662A"
REFERENCE = "#00A67D"
QUIET = "rgba(128, 128, 128, 0.35)"
SEQUENTIAL = "Cividis"

HEIGHT = 320


def translucent(color: str, alpha: float) -> str:
    """'#3D95CE', 0.3 -> 'rgba(61, 149, 206, 0.3)'"""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


def figure(traces: list, alt: str, x: str, y: str, height: int = HEIGHT, **layout: object) -> go.Figure:
    """A figure with axis titles and its description in words, which `alt_text` gives back."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0}
    base = {
        "xaxis": {"title": {"text": x}, "zeroline": False},
        "yaxis": {"title": {"text": y}, "zeroline": False, "gridcolor": QUIET},
        "legend": legend,
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "meta": {"alt": alt},
        "hovermode": "closest",
    }
    fig = go.Figure(data=traces, layout=base)
    fig.update_layout(**layout)
    return fig


def alt_text(fig: go.Figure) -> str:
    """What the figure shows, in words."""
    return fig.layout.meta["alt"]
