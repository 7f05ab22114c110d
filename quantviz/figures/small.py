"""The weights of a small tensor on a number line: what the codes can stand for, and where each weight lands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..inspection import Block
from ..inspection.worked import arithmetic, code_text, code_values
from ..schemes import Scheme
from ..text.wording import MINUS, number, plural
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, figure, legend

MOST_LINES = 8  # blocks that are drawn, each on a line of its own
MOST_LEVELS = 256  # ticks of a line; codes are written under up to
MOST_NAMED = 16
LINE_HEIGHT, REST = 190, 84  # pixels
_LANE, _FIRST = 0.2, 0.26  # heights over the line, a line's distance to the next being 1.3
_APART = 0.055  # of the width: weights closer than this stand over one another
_LANES = 4
_DISTANCE = 1.3


def weights_on_lines(blocks: Sequence[Block]) -> go.Figure:
    """Each weight over the line of its block, joined to the level that it becomes, whose code stands under it.

    blocks: of one tensor; the first MOST_LINES are drawn.
    """
    drawn = blocks[:MOST_LINES]
    lines = [_Line(block, -_DISTANCE * i) for i, block in enumerate(drawn)]
    ends = np.concatenate([line.ends for line in lines])
    low, high = float(ends.min()), float(ends.max())
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    width = high - low + 2 * margin
    traces: list[go.Scatter] = []
    for line in lines:
        traces += line.traces(width)
    before, after = drawn[0].names
    names = [f"block {b.rows[0]:,}, {b.cols[0]:,}" if len(drawn) > 1 else "" for b in drawn]
    entries = [("disc", ORIGINAL, before), ("diamond", DEQUANTIZED, after)]
    if any(len(line.levels) for line in lines):
        entries.append(("tick", REFERENCE, "what a code can stand for"))
    return figure(
        traces, _told(drawn, len(blocks)), "weight", "", REST + LINE_HEIGHT * len(drawn),
        xaxis={"range": [low - margin, high + margin], "showgrid": False},
        yaxis={"range": [lines[-1].y - 0.34, 1.0], "tickvals": [line.y for line in lines], "ticktext": names,
               "showgrid": False, "fixedrange": True},
        annotations=[legend(*entries)], margin={"l": 76 if len(drawn) > 1 else 12, "r": 10, "t": 30, "b": 48},
    )  # fmt: skip


class _Line:
    """One block at the height `y`."""

    def __init__(self, block: Block, y: float) -> None:
        self.y = y
        self.before = block.original.reshape(-1).astype(np.float64)
        self.after = block.dequantized.reshape(-1).astype(np.float64)
        self.spelled = arithmetic(block)
        self.codes, self.levels = codes_and_levels(block)
        self.ends = np.concatenate([self.before, self.after, self.levels])

    def traces(self, width: float) -> list[go.Scatter]:
        """width: of the axis."""
        heights = self.y + _FIRST + _LANE * lanes(self.before, _APART * width)
        joined_x = np.stack([self.before, self.after, np.full_like(self.after, np.nan)], 1).reshape(-1)
        joined_y = np.stack([heights, np.full_like(heights, self.y), np.full_like(heights, np.nan)], 1).reshape(-1)
        told = [f"{number(x)} became {text}" for x, text in zip(self.before.tolist(), self.spelled, strict=True)]
        many = len(self.before) > MOST_NAMED
        return [
            *self._ticks(width),
            go.Scatter(x=joined_x, y=joined_y, mode="lines", line={"color": QUIET, "width": 1.5}, hoverinfo="skip"),
            go.Scatter(
                x=self.before, y=heights, mode="markers" if many else "markers+text", textposition="top center",
                text=None if many else [number(x) for x in self.before.tolist()], cliponaxis=False,
                marker={"color": ORIGINAL, "size": 9}, customdata=told, hovertemplate="%{customdata}<extra></extra>",
            ),
            go.Scatter(
                x=self.after, y=np.full_like(self.after, self.y), mode="markers", customdata=told,
                marker={"color": DEQUANTIZED, "size": 11, "symbol": "diamond"}, cliponaxis=False,
                hovertemplate="%{customdata}<extra></extra>",
            ),
        ]  # fmt: skip

    def _ticks(self, width: float) -> list[go.Scatter]:
        if not len(self.levels):
            return []
        ticks = {"symbol": "line-ns", "size": 16, "line": {"width": 1.4, "color": REFERENCE}}
        at = np.full(len(self.levels), self.y)
        found = [go.Scatter(x=self.levels, y=at, mode="markers", marker=ticks, hoverinfo="skip")]
        if len(self.levels) <= MOST_NAMED:
            found.append(
                go.Scatter(
                    x=self.levels,
                    y=at - 0.1,
                    mode="text",
                    text=_not_crowded(self.codes, self.levels, width),
                    textposition="bottom center",
                    hoverinfo="skip",
                    cliponaxis=False,
                )
            )
        return found


def _not_crowded(codes: list[str], levels: np.ndarray, width: float) -> list[str]:
    """Codes, of which those that would lie on one another are left out."""
    shown, last = [], -np.inf
    for code, level in zip(codes, levels.tolist(), strict=True):
        fits = level - last > 0.009 * width * (1 + len(code))
        shown.append(code if fits else "")
        last = level if fits else last
    return shown


def codes_and_levels(block: Block) -> tuple[list[str], np.ndarray]:
    """(each code as it is read, what it stands for in this block), ascending float64; empty where they are too many.

    Of a block type whose groups have scales of their own, empty too: there is no one line for them.
    """
    scheme = Scheme.parse(block.scheme)
    if block.scale is None or scheme.fmt.bits > 8:
        return [], np.zeros(0)
    codes, values = code_values(scheme)
    if len(codes) > MOST_LEVELS:
        return [], np.zeros(0)
    levels = block.scale * (values - (block.zero_point or 0)) + (block.minimum or 0.0)
    order = np.argsort(levels, kind="stable")  # a scale may be negative
    return [code_text(scheme, int(codes[i])).replace("-", MINUS) for i in order], levels[order]


def lanes(x: np.ndarray, apart: float) -> np.ndarray:
    """For each number the lowest lane, from 0, in which no other lies closer than `apart`; the last takes the rest.

    >>> lanes(np.array([0.16, 0.08, 0.16, -0.5]), 0.1).tolist()
    [1, 0, 2, 0]
    """
    found, last = np.zeros(len(x), np.int64), np.full(_LANES, -np.inf)
    for i in np.argsort(x, kind="stable"):
        free = np.flatnonzero(x[i] - last >= apart)
        lane = int(free[0]) if len(free) else _LANES - 1
        found[i], last[lane] = lane, x[i]
    return found


def _told(drawn: Sequence[Block], count: int) -> str:
    first = drawn[0]
    pairs = list(zip(first.original.reshape(-1).tolist(), first.dequantized.reshape(-1).tolist(), strict=True))[:12]
    became = ", ".join(f"{number(x)} becomes {number(y)}" for x, y in pairs)
    more = f" The other {plural(count - 1, 'block')} likewise." if count > 1 else ""
    return f"Weights on a number line, each joined to the value that its code stands for: {became}.{more}"
