"""Formats on one number line: a row a format, a tick a value, and where a number lands in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import plotly.graph_objects as go

from ..formats.bits import AnyFormat, code_at, encode, rank_of, ranks, ranks_between, value
from ..formats.numerals import digits, short
from ..text.wording import number
from .style import UNCHECKED, figure

MOST_TICKS = 1200  # a row: about one a pixel; all values of up to 8 bits fit
# Okabe and Ito's colours, told apart by colour-blind readers and on light and dark grounds.
COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARK_COLOUR = "#E69F00"
ROW_HEIGHT, MARGIN_HEIGHT = 64, 110  # pixels
OCTAVES_IN_BINARY = 16  # logarithmic axes up to this long are labelled in powers of two, longer ones of ten
LABELS_A_SIDE, FEWEST_LABELS = 6, 4


@dataclass(frozen=True)
class FormatRow:
    """One row.  landed: the value that the marked number became in this format, None to mark nothing."""

    format: AnyFormat
    scale: float = 1.0
    landed: float | None = None

    @property
    def largest(self) -> float:
        """The largest magnitude, scale included."""
        every = ranks(self.format)
        return max(abs(value(self.format, code_at(self.format, r), self.scale)) for r in (every[0], every[-1]))


@dataclass(frozen=True)
class SymmetricLog:
    """x to sign(x) · (1 + log2(|x| / threshold)), and linear between -threshold and threshold, where 0 lies."""

    threshold: float

    def __call__(self, x: np.ndarray | float) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        units = np.abs(x) / self.threshold
        return np.sign(x) * np.where(units < 1, units, 1 + np.log2(np.maximum(units, 1)))

    def inverse(self, y: np.ndarray) -> np.ndarray:
        units = np.where(np.abs(y) < 1, np.abs(y), np.exp2(np.maximum(np.abs(y) - 1, 0)))
        return np.sign(y) * units * self.threshold


@dataclass(frozen=True)
class Linear:
    """Every value where it is."""

    def __call__(self, x: np.ndarray | float) -> np.ndarray:
        return np.asarray(x, dtype=np.float64)

    inverse = __call__


Place = SymmetricLog | Linear


def whole_range(lines: Sequence[FormatRow]) -> tuple[float, float]:
    """A symmetric window that shows every value of every line."""
    largest = max(line.largest for line in lines)
    return -largest, largest


def in_view(line: FormatRow, window: tuple[float, float]) -> range:
    """The ranks of the values that the window shows."""
    return ranks_between(line.format, *window, line.scale)


def ticks(line: FormatRow, window: tuple[float, float], place: Place) -> np.ndarray:
    """The values to draw, ascending float64: all of them, or of too many those nearest to evenly placed points.

    The points are about a pixel apart, so a gap that shows is a gap of the format.
    """
    inside = in_view(line, window)
    if len(inside) <= MOST_TICKS:
        codes = [code_at(line.format, r) for r in inside]
    else:
        points = place.inverse(np.linspace(*(float(place(end)) for end in window), MOST_TICKS))
        nearest = (encode(line.format, Fraction(float(p)), line.scale) for p in points)
        codes = [c for c in dict.fromkeys(nearest) if rank_of(line.format, c) in inside]
    return np.unique(np.array([value(line.format, c, line.scale) for c in codes], dtype=np.float64))


def number_line(
    lines: Sequence[FormatRow], window: tuple[float, float], logarithmic: bool = False, marked: float | None = None
) -> go.Figure:
    """A figure of the values in `window` (low, high); `marked` is the number before rounding, drawn as a line.

    logarithmic: both signs on one logarithmic axis, with the stretch around 0 linear.
    """
    place = _symmetric_log(lines, window) if logarithmic else Linear()
    traces = []
    for row, line in enumerate(lines):
        traces.append(_values(line, row, ticks(line, window, place), place))
        if line.landed is not None and window[0] <= line.landed <= window[1]:
            traces.append(_landed(line, row, place))
    shapes = []
    if marked is not None and window[0] <= marked <= window[1]:
        at = float(place(marked))
        shapes = [{"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain",
                   "line": {"color": MARK_COLOUR, "width": 1.5, "dash": "dash"}}]  # fmt: skip
    axis = _labelled_axis(lines[0], window, place)
    return figure(
        traces, describe(lines, window, marked), axis.pop("said"), "", MARGIN_HEIGHT + ROW_HEIGHT * len(lines),
        margin={"l": 10, "r": 20, "t": 20, "b": 50}, dragmode="pan", shapes=shapes, xaxis=axis,
        yaxis={
            "tickvals": list(range(len(lines))), "automargin": True,
            "ticktext": [_row_label(line, len(in_view(line, window))) for line in lines],
            "range": [len(lines) - 0.4, -0.6], "fixedrange": True, "showgrid": False,
        },
    )  # fmt: skip


def _values(line: FormatRow, row: int, values: np.ndarray, place: Place) -> go.Scatter:
    return go.Scatter(
        x=place(values), y=[row] * len(values), mode="markers", name=line.format.name,
        marker={"symbol": "line-ns", "size": 30, "line": {"width": 1.4, "color": COLOURS[row % len(COLOURS)]}},
        customdata=[short(v) for v in values], hovertemplate="%{customdata}", **UNCHECKED,
    )  # fmt: skip


def _landed(line: FormatRow, row: int, place: Place) -> go.Scatter:
    return go.Scatter(
        x=[float(place(line.landed))], y=[row], mode="markers", name=f"lands in {line.format.name}",
        marker={"symbol": "diamond", "size": 13, "color": MARK_COLOUR, "line": {"width": 1.5, "color": "#222222"}},
        customdata=[digits(line.landed)], hovertemplate="becomes %{customdata}", **UNCHECKED,
    )  # fmt: skip


def describe(lines: Sequence[FormatRow], window: tuple[float, float], marked: float | None = None) -> str:
    """The figure in words: its caption, and its alternative text."""
    counts = [len(in_view(line, window)) for line in lines]
    named = ", ".join(f"{line.format.name} has {n:,}" for line, n in zip(lines, counts, strict=True))
    text = f"Finite values from {short(window[0])} to {short(window[1])}: {named}."
    if max(counts) > MOST_TICKS:
        text += " Values closer together than a pixel are drawn as one."
    landed = [f"{digits(line.landed)} in {line.format.name}" for line in lines if line.landed is not None]
    if landed:
        visible = marked is not None and window[0] <= marked <= window[1]
        before = "The diamonds mark" if marked is None else f"{short(marked)}{' (dashed line)' * visible} becomes"
        text += f" {before} {', '.join(landed)}."
    return text


def _row_label(line: FormatRow, count: int) -> str:
    name = f"{line.format.name}" + (f" × {number(line.scale)}" if line.scale != 1 else "")
    return f"{name}<br>{count:,} value{'s' * (count != 1)} in view"  # of one size: a class sees it larger


def _symmetric_log(lines: Sequence[FormatRow], window: tuple[float, float]) -> SymmetricLog:
    """Linear below the smallest magnitude in view, so that every value but 0 lies on the logarithmic part."""
    smallest = min((m for line in lines for m in _smallest_magnitudes(line, window)), default=1.0)
    return SymmetricLog(2.0 ** math.floor(math.log2(smallest)))


def _smallest_magnitudes(line: FormatRow, window: tuple[float, float]) -> list[float]:
    """Magnitudes among which the smallest of the values in view is: at the window's ends, and beside 0."""
    inside = in_view(line, window)
    zero = rank_of(line.format, encode(line.format, 0.0))
    near = {*inside[:1], *inside[-1:], *(r for r in (zero - 1, zero + 1) if r in inside)}
    magnitudes = (abs(value(line.format, code_at(line.format, r), line.scale)) for r in near)
    return [m for m in magnitudes if m]


def _labelled_axis(main: FormatRow, window: tuple[float, float], place: Place) -> dict:
    """The axis of values, and under "said" what is written below it."""
    low, high = float(place(window[0])), float(place(window[1]))
    pad = (high - low or 1) * 0.02
    axis = {"range": [low - pad, high + pad], "zeroline": True, "said": "value"}
    if isinstance(place, Linear):
        return axis
    labels = _log_labels(place.threshold, window)
    if len(labels) < FEWEST_LABELS:  # a close-up: label values of the format itself
        values = ticks(main, window, place)
        labels = {float(v): short(v) for v in values[:: -(-len(values) // (2 * LABELS_A_SIDE)) or 1]}
    where, texts = [float(place(v)) for v in labels], list(labels.values())
    return axis | {"tickvals": where, "ticktext": texts, "said": "value (logarithmic on both sides of 0)"}


def _log_labels(threshold: float, window: tuple[float, float]) -> dict[float, str]:
    """Value -> label: zero, and round powers on either side that lies in the window."""
    largest = max(abs(window[0]), abs(window[1]), threshold)
    octaves = math.log2(largest / threshold)
    base, log = (2, math.log2) if octaves <= OCTAVES_IN_BINARY else (10, math.log10)
    first, last = math.ceil(log(threshold) - 1e-9), math.floor(log(largest) + 1e-9)
    stride = max(-(-(last - first + 1) // LABELS_A_SIDE), 1)
    labels = {0.0: "0"} if window[0] <= 0 <= window[1] else {}
    for exponent in range(last, first - 1, -stride):
        power = float(base) ** exponent
        text = short(power) if base == 2 and abs(exponent) <= 10 else f"{base}<sup>{exponent}</sup>"
        labels |= {v: t for v, t in ((power, text), (-power, f"-{text}")) if window[0] <= v <= window[1]}
    return labels
