"""Where the error sits: a map of all blocks, and one block weight by weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from ..codes import arithmetic, code_values
from ..evaluation import Block, Evaluation
from ..schemes import Scheme
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, SEQUENTIAL, figure, legend

MAP_ROWS, MAP_COLS = 128, 256  # cells drawn at most
REGION_ROWS, REGION_COLS = 10, 12  # places that can be clicked at most: each is a shape in the page
BLOCK_WEIGHTS = 64  # weights of a block drawn at most


def pool(errors: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, int, int]:
    """Root mean square over equal rectangles, at most rows × cols of them.

    Returns (float32 grid, blocks down, blocks across) of a rectangle; those at the end may hold fewer.
    """
    down, across = -(-errors.shape[0] // rows), -(-errors.shape[1] // cols)
    r, c = np.arange(0, errors.shape[0], down), np.arange(0, errors.shape[1], across)
    squares = np.add.reduceat(np.add.reduceat(np.square(errors, dtype=np.float64), r, axis=0), c, axis=1)
    held = np.outer(np.diff(np.append(r, errors.shape[0])), np.diff(np.append(c, errors.shape[1])))
    return np.sqrt(squares / held).astype(np.float32), down, across


def worst_block(errors: np.ndarray) -> tuple[int, int]:
    """Grid position of the block with the largest error."""
    row, col = np.unravel_index(int(errors.argmax()), errors.shape)
    return int(row), int(col)


def worst_by_region(errors: np.ndarray, rows: int = REGION_ROWS, cols: int = REGION_COLS) -> np.ndarray:
    """Grid position [n, 2] of the worst block of each of at most rows × cols rectangles."""
    down, across = -(-errors.shape[0] // rows), -(-errors.shape[1] // cols)
    height, width = -(-errors.shape[0] // down), -(-errors.shape[1] // across)
    padded = np.full((height * down, width * across), -1, np.float32)
    padded[: errors.shape[0], : errors.shape[1]] = errors
    tiles = padded.reshape(height, down, width, across).transpose(0, 2, 1, 3).reshape(height * width, -1)
    best = tiles.argmax(axis=1)
    region = np.arange(height * width)
    return np.stack([region // width * down + best // across, region % width * across + best % across], axis=1)


def error_map(evaluation: Evaluation, opened: tuple[int, int] | None = None) -> go.Figure | None:
    """Root mean squared error of each block; a line where the grid has a single column.

    Points that can be clicked carry a block's (row, column) as customdata. None with a single block.
    """
    errors = evaluation.block_errors
    if errors.size == 1:
        return None
    worst = worst_block(errors)
    alt = (
        f"Error of {errors.shape[0]:,} × {errors.shape[1]:,} blocks: from {errors.min():.3g} to {errors.max():.3g}, "
        f"half of them below {np.median(errors):.3g}; the worst is block {worst[0]}, {worst[1]}."
    )
    if errors.shape[1] == 1:
        return _profile(errors[:, 0], opened, alt)
    grid, down, across = pool(errors, MAP_ROWS, MAP_COLS)
    heat = go.Heatmap(
        z=grid, x0=(across - 1) / 2, dx=across, y0=(down - 1) / 2, dy=down, colorscale=SEQUENTIAL, hoverinfo="skip",
        zmin=float(grid.min()), zmax=float(np.quantile(grid, 0.995)),
        colorbar={"title": {"text": "RMSE", "side": "right"}, "thickness": 12, "exponentformat": "power", "nticks": 4},
    )  # fmt: skip
    at = worst_by_region(errors)
    pooled = f" ({down} × {across} pooled to a cell)" if down * across > 1 else ""
    return figure(
        [heat, _clickable(at[:, 1], at[:, 0], at, errors), *_ring(opened, lambda row, col: (col, row))],
        alt, "block along the row" + pooled, "row of blocks",
        xaxis={"range": [-0.5, errors.shape[1] - 0.5], "showgrid": False},
        yaxis={"range": [errors.shape[0] - 0.5, -0.5], "showgrid": False},
    )  # fmt: skip


def _profile(errors: np.ndarray, opened: tuple[int, int] | None, alt: str) -> go.Figure:
    rows, together = pool(errors[:, None], 4 * MAP_COLS, 1)[:2]
    line = go.Scatter(
        x=together * np.arange(len(rows)), y=rows[:, 0], mode="lines", hoverinfo="skip",
        line={"shape": "hv", "color": DEQUANTIZED, "width": 1},
    )  # fmt: skip
    at = worst_by_region(errors[:, None], REGION_ROWS * REGION_COLS // 4, 1)
    pooled = f" ({together} pooled to a step)" if together > 1 else ""
    points = _clickable(at[:, 0], errors[at[:, 0]], at, errors[:, None])
    return figure([line, points, *_ring(opened, lambda row, _: (row, float(errors[row])))], alt,
                  "row of blocks" + pooled, "RMSE", yaxis={"rangemode": "tozero"})  # fmt: skip


def _clickable(x: np.ndarray, y: np.ndarray, at: np.ndarray, errors: np.ndarray) -> go.Scatter:
    """Unseen points over the map: heat maps themselves report no clicks to the page."""
    return go.Scatter(
        x=x, y=y, mode="markers", marker={"size": 12, "opacity": 0}, customdata=at, text=errors[at[:, 0], at[:, 1]],
        hovertemplate="block %{customdata[0]}, %{customdata[1]}<br>RMSE %{text:.3g}<br>click to open<extra></extra>",
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}},
    )  # fmt: skip


def _ring(opened: tuple[int, int] | None, place) -> list[go.Scatter]:
    """Marks the block that is open."""
    if opened is None:
        return []
    x, y = place(*opened)
    ring = {"symbol": "circle-open", "size": 16, "color": DEQUANTIZED, "line": {"width": 3}}
    return [go.Scatter(x=[x], y=[y], mode="markers", marker=ring, hoverinfo="skip", cliponaxis=False)]


def block_window(block: Block) -> tuple[int, slice]:
    """(row of the block, columns) that are drawn: those about its largest weight."""
    row, col = np.unravel_index(int(np.abs(block.original).argmax()), block.original.shape)
    width = block.original.shape[1]
    first = int(np.clip(col - BLOCK_WEIGHTS // 2, 0, max(width - BLOCK_WEIGHTS, 0)))
    return int(row), slice(first, min(first + BLOCK_WEIGHTS, width))


def block(b: Block) -> go.Figure:
    """One row of a block: each weight before and after, over the values that the block's codes stand for."""
    row, cols = block_window(b)
    x = np.arange(b.cols[0], b.cols[1])[cols]
    before, after = b.original[row, cols], b.dequantized[row, cols]
    spelled = arithmetic(replace(b, codes=b.codes[row, cols], dequantized=after))
    stems = {"x": np.repeat(x, 3), "y": np.stack([before, after, np.full_like(after, np.nan)], 1).reshape(-1)}
    traces = [
        go.Scatter(**stems, mode="lines", line={"color": QUIET, "width": 2}, hoverinfo="skip"),
        _ticks(x, before, ORIGINAL, None, "column %{x}: %{y:.4g}<extra></extra>"),
        _ticks(x, after, DEQUANTIZED, spelled, "%{customdata}<extra></extra>"),
    ]
    zeroed = int(((b.dequantized == 0) & (b.original != 0)).sum())
    alt = (
        f"Row {b.rows[0] + row}, columns {x[0]} to {x[-1]}: original weights from {before.min():.3g} to "
        f"{before.max():.3g} and what each became; {zeroed} of the {b.original.size} weights of the block became zero."
    )
    return figure(
        [*_level_lines(b, x), *traces],
        alt,
        f"column of row {b.rows[0] + row:,}",
        "weight",
        yaxis={"showgrid": False},
        annotations=[legend(("tick", ORIGINAL, "original"), ("tick", DEQUANTIZED, "dequantized"))],
    )


def _ticks(x: np.ndarray, y: np.ndarray, color: str, words: list[str] | None, hover: str) -> go.Scatter:
    """A short bar at each (x, y), all of them one broken line: a marker for each would take the browser far longer."""
    across = np.stack([x - 0.38, x, x + 0.38, np.full(len(x), np.nan)], 1).reshape(-1)
    level = np.stack([y, y, y, np.full(len(y), np.nan)], 1).reshape(-1)
    return go.Scatter(
        x=across, y=level, mode="lines", line={"color": color, "width": 3.5}, hovertemplate=hover,
        customdata=None if words is None else np.repeat(words, 4),
    )  # fmt: skip


def _level_lines(b: Block, x: np.ndarray) -> list[go.Scatter]:
    """The levels as one broken line: a shape for each would take the browser far longer."""
    values = np.array(levels(b))
    if not len(values):
        return []
    ends = np.tile([x[0] - 1, x[-1] + 1, np.nan], len(values))
    line = {"color": REFERENCE, "width": 0.6}
    return [go.Scatter(x=ends, y=np.repeat(values, 3), mode="lines", line=line, hoverinfo="skip")]


def levels(b: Block) -> list[float]:
    """The weights that the block's codes can stand for, if they are few enough to draw and a scale fixes them."""
    scheme = Scheme.parse(b.scheme)
    if scheme.fmt.bits > 5 or b.scale is None:
        return []
    values = code_values(scheme)[1]
    shifted = b.scale * (values - (b.zero_point or 0)) + (b.minimum or 0.0)
    return np.unique(shifted).tolist()
