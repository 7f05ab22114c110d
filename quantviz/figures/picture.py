"""A tensor that is a picture, before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..sources.picture import as_grey
from ..text.wording import listed, plural
from .style import figure

MOST_PIXELS = 640  # a side that is drawn; of larger pictures every second pixel, or third, or so on
HEIGHT = 430
MOST_PANELS, COLUMNS = 12, 4  # of a grid
MOST_PANEL_PIXELS, PANEL_WIDTH = 320, 215  # a side that is drawn; on the page


def picture_pair(before: np.ndarray, after: np.ndarray, scheme: str) -> go.Figure:
    """Both as shades of grey, zoomed and moved together. before, after: float32 [rows, columns], -0.5 black, 0.5 white.

    What a scheme makes of a pixel beyond black or white is drawn black or white.
    """
    step = -(-max(before.shape) // MOST_PIXELS)
    rows, cols = before.shape
    pair = [as_grey(weights[::step, ::step]) for weights in (before, after)]
    shades = [plural(len(np.unique(grey)), "shade") for grey in pair]
    traces = [
        go.Image(source=png(grey), xaxis=x, yaxis=y, x0=0, dx=step, y0=0, dy=step, hoverinfo="skip")
        for grey, x, y in zip(pair, ("x", "x2"), ("y", "y2"), strict=True)
    ]
    every = f", drawn with every {step} pixels as one" if step > 1 else ""
    alt = (
        f"The picture of {rows:,} × {cols:,} pixels before, in {shades[0]} of grey, and after {scheme}, "
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
        annotations=[_over(0.2475, f"original · {shades[0]}"), _over(0.7525, f"{scheme} · {shades[1]}")],
    )  # fmt: skip


def picture_grid(before: np.ndarray, after: Sequence[tuple[str, np.ndarray]]) -> go.Figure:
    """The original and, up to MOST_PANELS in all, what each scheme makes of it, with the scheme's name over it."""
    panels = [("original", before), *after][:MOST_PANELS]
    rows, cols = before.shape
    step = -(-max(before.shape) // MOST_PANEL_PIXELS)
    across, down = cols * 1.04, rows + cols * 0.14  # from one panel to the next, the names' room included
    width, lines = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    traces, names = [], []
    for i, (name, weights) in enumerate(panels):
        left, top = i % COLUMNS * across, i // COLUMNS * down
        grey = as_grey(weights[::step, ::step])
        traces.append(go.Image(source=png(grey), x0=left, dx=step, y0=top, dy=step, hoverinfo="skip"))
        names.append({"x": left + cols / 2, "y": top, "xanchor": "center", "yanchor": "bottom", "text": name,
                      "showarrow": False, "font": {"size": 12}})  # fmt: skip
    alt = f"The picture of {rows:,} × {cols:,} pixels, and after {listed([name for name, _ in panels[1:]])}."
    bare = {"showgrid": False, "showticklabels": False, "zeroline": False, "title": None, "constrain": "domain"}
    return figure(
        traces, alt, "", "", round(min(PANEL_WIDTH * down / across, 2 * PANEL_WIDTH) * lines + 16),
        xaxis={**bare, "range": [0, across * width]},
        yaxis={**bare, "range": [down * lines - cols * 0.14, -cols * 0.14], "scaleanchor": "x"},
        margin={"l": 4, "r": 4, "t": 4, "b": 4}, annotations=names,
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
