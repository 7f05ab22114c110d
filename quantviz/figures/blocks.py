"""Where the error sits: a map of all blocks, and one block weight by weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from ..evaluation import Evaluation
from ..inspection import Block
from ..inspection.worked import arithmetic, code_values
from ..schemes import Scheme
from ..schemes.granularity import lengths
from ..text.wording import number, places, plural
from .style import DEQUANTIZED, LEVEL, ORIGINAL, QUIET, REFERENCE, SEQUENTIAL, UNCHECKED, figure, legend

MAP_ROWS, MAP_COLS = 128, 256  # cells drawn at most
REGION_ROWS, REGION_COLS = 10, 12  # places that can be clicked at most: each is a shape in the page
ANYWHERE = -1  # the nearest of these places is the one pointed at, however far
BLOCK_WEIGHTS = 64  # weights of a block drawn at most
FEW_PLACES = 10  # along an axis: each has a mark of its own


def pool(errors: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, int, int]:
    """Root mean square over equal rectangles, at most rows × cols of them.

    Returns (float32 grid, blocks down, blocks across) of a rectangle; those at the end may hold fewer.
    """
    tiles, down, across = _tiles(errors, rows, cols)
    squares = np.einsum("rdca,rdca->rc", tiles, tiles, dtype=np.float64)
    held = np.outer(lengths(errors.shape[0], down), lengths(errors.shape[1], across))
    return np.sqrt(squares / held).astype(np.float32), down, across


def _tiles(errors: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, int, int]:
    """Cut into at most rows × cols equal rectangles [rows, blocks down, cols, blocks across], zeros behind the last."""
    down, across = -(-errors.shape[0] // rows), -(-errors.shape[1] // cols)
    missing = [(0, -n % step) for n, step in zip(errors.shape, (down, across), strict=True)]
    whole = np.pad(errors, missing) if missing != [(0, 0), (0, 0)] else errors
    return whole.reshape(whole.shape[0] // down, down, whole.shape[1] // across, across), down, across


def worst_block(errors: np.ndarray) -> tuple[int, int]:
    """Grid position of the block with the largest error."""
    row, col = np.unravel_index(int(errors.argmax()), errors.shape)
    return int(row), int(col)


def worst_by_region(errors: np.ndarray, rows: int = REGION_ROWS, cols: int = REGION_COLS) -> np.ndarray:
    """Grid position [n, 2] of the worst block of each of at most rows × cols rectangles."""
    tiles, down, across = _tiles(errors, rows, cols)
    height, width = tiles.shape[0], tiles.shape[2]
    # The first of the largest: never a zero behind the end, as no error is below 0 and each rectangle begins with one.
    best = tiles.transpose(0, 2, 1, 3).reshape(height * width, -1).argmax(axis=1)
    region = np.arange(height * width)
    return np.stack([region // width * down + best // across, region % width * across + best % across], axis=1)


def error_map(evaluation: Evaluation, opened: tuple[int, int] | None = None) -> go.Figure | None:
    """Root mean squared error of each block; a line where the grid has a single column.

    Points that can be clicked carry a block's "row,column" as customdata. None with a single block.
    """
    errors = evaluation.block_errors
    if errors.size == 1:
        return None
    worst = worst_block(errors)
    alt = (
        f"Error of {errors.shape[0]:,} × {errors.shape[1]:,} blocks: from {number(errors.min(), 3)} to "
        f"{number(errors[worst], 3)}, "
        f"{number(evaluation.metrics['rmse'], 3)} over all; the worst is block {worst[0]}, {worst[1]}."
    )
    if errors.shape[1] == 1:
        return _profile(errors[:, 0], opened, alt)
    grid, down, across = pool(errors, MAP_ROWS, MAP_COLS)
    heat = go.Heatmap(
        z=grid, x0=(across - 1) / 2, dx=across, y0=(down - 1) / 2, dy=down, colorscale=SEQUENTIAL, hoverinfo="skip",
        zmin=float(grid.min()), zmax=float(np.quantile(grid, 0.995)),
        colorbar={"title": {"text": "RMSE", "side": "right"}, "thickness": 12, "exponentformat": "power", "nticks": 4},
        **UNCHECKED,
    )  # fmt: skip
    at = worst_by_region(errors)
    pooled = f" ({down} × {across} pooled to a cell)" if down * across > 1 else ""
    return figure(
        [heat, _clickable(at[:, 1], at[:, 0], at, errors), *_ring(opened, lambda row, col: (col, row))],
        alt, "block along the row" + pooled, "row of blocks",
        hoverdistance=ANYWHERE,
        xaxis=LEVEL | _whole(errors.shape[1]) | {"range": [-0.5, errors.shape[1] - 0.5], "showgrid": False},
        yaxis=_whole(errors.shape[0]) | {"range": [errors.shape[0] - 0.5, -0.5], "showgrid": False},
    )  # fmt: skip


def _whole(n: int, first: int = 0) -> dict:
    """Of an axis of few places: a mark for each, where Plotly would put some between them."""
    return {"tickvals": list(range(first, first + n))} if n <= FEW_PLACES else {}


def _profile(errors: np.ndarray, opened: tuple[int, int] | None, alt: str) -> go.Figure:
    rows, together = pool(errors[:, None], 4 * MAP_COLS, 1)[:2]
    line = go.Scatter(
        x=together * np.arange(len(rows)), y=rows[:, 0], mode="lines", hoverinfo="skip",
        line={"shape": "hv", "color": DEQUANTIZED, "width": 1}, **UNCHECKED,
    )  # fmt: skip
    at = worst_by_region(errors[:, None], REGION_ROWS * REGION_COLS // 4, 1)
    pooled = f" ({together} pooled to a step)" if together > 1 else ""
    points = _clickable(at[:, 0], errors[at[:, 0]], at, errors[:, None])
    return figure([line, points, *_ring(opened, lambda row, _: (row, float(errors[row])))], alt,
                  "row of blocks" + pooled, "RMSE", hoverdistance=ANYWHERE, xaxis=_whole(len(errors)),
                  yaxis={"rangemode": "tozero"})  # fmt: skip


def _clickable(x: np.ndarray, y: np.ndarray, at: np.ndarray, errors: np.ndarray) -> go.Scatter:
    """Unseen points over the map: heat maps themselves report no clicks to the page."""
    return go.Scatter(
        x=x, y=y, mode="markers", marker={"size": 12, "opacity": 0}, customdata=[f"{row},{col}" for row, col in at],
        text=[number(v, 3) for v in errors[at[:, 0], at[:, 1]].tolist()],
        hovertemplate="block %{customdata}<br>RMSE %{text}<br>click to open<extra></extra>",
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}, **UNCHECKED,
    )  # fmt: skip


def _ring(opened: tuple[int, int] | None, place) -> list[go.Scatter]:
    """Marks the block that is open."""
    if opened is None:
        return []
    x, y = place(*opened)
    ring = {"symbol": "circle-open", "size": 16, "color": DEQUANTIZED, "line": {"width": 3}}
    return [go.Scatter(x=[x], y=[y], mode="markers", marker=ring, hoverinfo="skip", cliponaxis=False, **UNCHECKED)]


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
    spelled = _spelled(b, row, cols)
    traces = [
        _hover(x, before, [number(v) for v in before.tolist()], "column %{x}: %{customdata}<extra></extra>"),
        _hover(x, after, spelled, "%{customdata}<extra></extra>"),
    ]
    span = np.array([x[0] - 1, x[-1] + 1])
    across, lines = levels(b, cols)
    across = span if across is None else b.cols[0] + across - 0.5
    shapes = [
        _strokes(np.broadcast_to(across, (len(lines), 2)), np.repeat(lines, 2).reshape(-1, 2), REFERENCE, 0.6),
        _strokes(np.stack([x, x], 1), np.stack([before, after], 1), QUIET, 2),
        _strokes(np.stack([x - 0.38, x + 0.38], 1), np.stack([before, before], 1), ORIGINAL, 3.5),
        _strokes(np.stack([x - 0.38, x + 0.38], 1), np.stack([after, after], 1), DEQUANTIZED, 3.5),
    ]
    ends = np.concatenate([before, after, lines])
    margin = 0.05 * float(np.ptp(ends)) or max(abs(float(ends[0])), 1e-30)
    zeroed = int(((b.dequantized == 0) & (b.original != 0)).sum())
    alt = (
        f"Row {b.rows[0] + row:,}, {places('column', x[0], x[-1] + 1)}: {b.names[0]} weights from "
        f"{number(before.min(), 3)} to {number(before.max(), 3)} and what each became; {zeroed} of "
        f"{plural(b.original.size, 'weight')} {'shown' if b.is_part else 'of the block'} became zero."
    )
    return figure(
        traces, alt, f"column of row {b.rows[0] + row:,}", "weight", shapes=[s for s in shapes if s["path"]],
        xaxis=LEVEL | _whole(len(x), int(x[0])) | {"range": span.tolist()},
        yaxis={"showgrid": False, "range": [float(ends.min()) - margin, float(ends.max()) + margin]},
        annotations=[legend(("tick", ORIGINAL, b.names[0]), ("tick", DEQUANTIZED, b.names[1]))],
    )  # fmt: skip


def _spelled(b: Block, row: int, cols: slice) -> list[str]:
    """The arithmetic of the weights drawn; that of the whole block would take longer than the figure."""
    if b.unpacked is not None:
        return arithmetic(b)[cols]
    kept = None if b.kept is None else b.kept[row, cols]
    return arithmetic(replace(b, codes=b.codes[row, cols], dequantized=b.dequantized[row, cols], kept=kept))


def _hover(x: np.ndarray, y: np.ndarray, words: list[str] | None, text: str) -> go.Scatter:
    """An unseen line that carries what is told where the pointer is."""
    return go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, customdata=words, hovertemplate=text, **UNCHECKED)


def _strokes(x: np.ndarray, y: np.ndarray, color: str, width: float) -> dict:
    """Lines from (x[i, 0], y[i, 0]) to (x[i, 1], y[i, 1]) as one path: the browser draws that far sooner than marks."""
    ends = zip(x.tolist(), y.tolist(), strict=True)
    path = "".join(
        f"M{x0:.7g},{y0:.6g}H{x1:.7g}" if y0 == y1 else f"M{x0:.7g},{y0:.6g}L{x1:.7g},{y1:.6g}"
        for (x0, x1), (y0, y1) in ends
    )
    return {"type": "path", "path": path, "layer": "below", "line": {"color": color, "width": width}}


def levels(b: Block, cols: slice) -> tuple[np.ndarray | None, np.ndarray]:
    """The weights that the block's codes can stand for, if they are few enough to draw and scales fix them.

    (columns of the block between which each holds, float64 [levels, 2], or None for all, levels float64)
    """
    scheme = Scheme.parse(b.scheme)
    if scheme.fmt.bits > 5 or (b.scale is None and b.unpacked is None):
        return None, np.zeros(0)
    values = code_values(scheme)[1]
    if b.scale is not None:
        return None, np.unique(b.scale * (values - (b.zero_point or 0)) + (b.minimum or 0.0))
    found = b.unpacked
    length = found.numbers.shape[1] // found.scales.shape[1]
    first, last = cols.start // length, -(-cols.stop // length)
    scales = found.scales[0, first:last, None].astype(np.float64)
    minima = np.zeros_like(scales) if found.minima is None else found.minima[0, first:last, None]
    starts = np.arange(first, last)[:, None] * length
    ends = np.stack(np.broadcast_arrays(np.maximum(starts, cols.start), np.minimum(starts + length, cols.stop)), -1)
    across = np.broadcast_to(ends, (last - first, len(values), 2)).reshape(-1, 2)
    return across.astype(np.float64), (scales * values + minima).reshape(-1)
