"""A tensor that is a picture, before and after."""

from __future__ import annotations

import base64
import io

import numpy as np
import plotly.graph_objects as go

from ..sources.picture import as_grey
from .style import figure

MOST_PIXELS = 640  # a side that is drawn; of larger pictures every second pixel, or third, or so on
HEIGHT = 430


def picture_pair(before: np.ndarray, after: np.ndarray, scheme: str) -> go.Figure:
    """Both as shades of grey, zoomed and moved together. before, after: float32 [rows, columns], -0.5 black, 0.5 white.

    What a scheme makes of a pixel beyond black or white is drawn black or white.
    """
    step = -(-max(before.shape) // MOST_PIXELS)
    rows, cols = before.shape
    pair = [as_grey(weights[::step, ::step]) for weights in (before, after)]
    shades = [len(np.unique(grey)) for grey in pair]
    traces = [
        go.Image(source=png(grey), xaxis=x, yaxis=y, x0=0, dx=step, y0=0, dy=step, hoverinfo="skip")
        for grey, x, y in zip(pair, ("x", "x2"), ("y", "y2"), strict=True)
    ]
    every = f", drawn with every {step} pixels as one" if step > 1 else ""
    alt = (
        f"The picture of {rows:,} × {cols:,} pixels before, in {shades[0]} shades of grey, and after {scheme}, "
        f"in {shades[1]}{every}."
    )
    bare = {"showgrid": False, "showticklabels": False, "zeroline": False, "title": None, "ticks": ""}
    across, down = [-0.5, cols - 0.5], [rows - 0.5, -0.5]
    return figure(
        traces, alt, "", "", HEIGHT,
        xaxis={**bare, "range": across, "domain": [0, 0.495], "constrain": "domain"},
        yaxis={**bare, "range": down, "scaleanchor": "x", "constrain": "domain"},
        xaxis2={**bare, "range": across, "domain": [0.505, 1], "matches": "x", "anchor": "y2", "constrain": "domain"},
        yaxis2={**bare, "range": down, "matches": "y", "anchor": "x2", "scaleanchor": "x2", "constrain": "domain"},
        margin={"l": 4, "r": 4, "t": 26, "b": 4},
        annotations=[_over(0.2475, f"original · {shades[0]} shades"), _over(0.7525, f"{scheme} · {shades[1]} shades")],
    )  # fmt: skip


def _over(x: float, text: str) -> dict:
    return {"x": x, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom", "text": text,
            "showarrow": False, "font": {"size": 13}}  # fmt: skip


def png(grey: np.ndarray) -> str:
    """The address of a PNG that holds uint8 [rows, columns] of brightness, for a figure."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
