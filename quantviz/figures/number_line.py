"""Formats on one number line: a row a format, a tick a value, and where a number lands in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..bits import AnyFormat, code_at, codes_between, ranks, value
from ..numerals import short

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Ticks drawn a row: above this only every n-th value gets one. All values of up to 8 bits fit.
MOST_TICKS = 600
# Okabe and Ito's colours, told apart by colour-blind readers and on light and dark grounds.
COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARK_COLOUR = "#E69F00"
ROW_HEIGHT, MARGIN_HEIGHT = 64, 110  # pixels
OCTAVES_IN_BINARY = 16  # logarithmic axes up to this long are labelled in powers of two, longer ones of ten
LABELS_A_SIDE = 6


@dataclass(frozen=True)
class Line:
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
class Ticks:
    """The finite values of a line inside a window: those drawn, and how many there are."""

    values: np.ndarray  # float64, ascending
    count: int


@dataclass(frozen=True)
class SymmetricLog:
    """x to sign(x) · (1 + log2(|x| / threshold)), and linear between -threshold and threshold, where 0 lies."""

    threshold: float

    def __call__(self, x: np.ndarray | float) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        units = np.abs(x) / self.threshold
        return np.sign(x) * np.where(units < 1, units, 1 + np.log2(np.maximum(units, 1)))


def whole_range(lines: Sequence[Line]) -> tuple[float, float]:
    """A symmetric window that shows every value of every line."""
    largest = max(line.largest for line in lines)
    return -largest, largest


def ticks(line: Line, window: tuple[float, float]) -> Ticks:
    codes, count = codes_between(line.format, *window, MOST_TICKS, line.scale)
    return Ticks(np.array([value(line.format, c, line.scale) for c in codes], dtype=np.float64), count)


def number_line(
    lines: Sequence[Line], window: tuple[float, float], logarithmic: bool = False, marked: float | None = None
) -> go.Figure:
    """A figure of the values in `window` (low, high); `marked` is the number before rounding, drawn as a line.

    logarithmic: both signs on one logarithmic axis, with the stretch around 0 linear.
    """
    import plotly.graph_objects as go

    drawn = [ticks(line, window) for line in lines]
    place = _symmetric_log(drawn) if logarithmic else np.asarray
    figure = go.Figure()
    for row, (line, t) in enumerate(zip(lines, drawn, strict=True)):
        colour = COLOURS[row % len(COLOURS)]
        figure.add_scatter(
            x=place(t.values), y=[row] * len(t.values), mode="markers", name=line.format.name,
            marker=dict(symbol="line-ns", size=30, line=dict(width=1.4, color=colour)),
            customdata=[short(v) for v in t.values], hovertemplate="%{customdata}",
        )  # fmt: skip
        if line.landed is not None and window[0] <= line.landed <= window[1]:
            figure.add_scatter(
                x=[float(place(line.landed))], y=[row], mode="markers", name=f"lands in {line.format.name}",
                marker=dict(symbol="diamond", size=13, color=MARK_COLOUR, line=dict(width=1.5, color="#222222")),
                customdata=[short(line.landed)], hovertemplate="becomes %{customdata}",
            )  # fmt: skip
    if marked is not None and window[0] <= marked <= window[1]:
        figure.add_vline(x=float(place(marked)), line=dict(color=MARK_COLOUR, width=1.5, dash="dash"))
    figure.update_layout(
        height=MARGIN_HEIGHT + ROW_HEIGHT * len(lines), showlegend=False, hovermode="closest",
        margin=dict(l=10, r=20, t=20, b=50), dragmode="pan",
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(lines))), ticktext=[_row_label(line, t) for line, t in zip(lines, drawn, strict=True)],
        range=[len(lines) - 0.4, -0.6], fixedrange=True, showgrid=False, zeroline=False,
    )  # fmt: skip
    _label_axis(figure, window, place)
    return figure


def describe(lines: Sequence[Line], window: tuple[float, float], marked: float | None = None) -> str:
    """The figure in words, for readers who cannot see it and as its caption."""
    shown = [(line, ticks(line, window)) for line in lines]
    counts = ", ".join(f"{line.format.name} has {t.count:,}" for line, t in shown)
    text = f"Finite values from {short(window[0])} to {short(window[1])}: {counts}."
    thinned = [f"{line.format.name} ({len(t.values):,} drawn)" for line, t in shown if t.count > len(t.values)]
    if thinned:
        text += f" Ticks are thinned evenly, so that their density stays true: {', '.join(thinned)}."
    landed = [f"{short(line.landed)} in {line.format.name}" for line in lines if line.landed is not None]
    if landed:
        before = f"{short(marked)} (dashed line) becomes" if marked is not None else "The diamond marks"
        text += f" {before} {', '.join(landed)}."
    return text


def _row_label(line: Line, t: Ticks) -> str:
    return f"{line.format.name}<br><sub>{t.count:,} value{'s' * (t.count != 1)} in view</sub>"


def _symmetric_log(drawn: Sequence[Ticks]) -> SymmetricLog:
    """Linear below the smallest magnitude in view, so that every value but 0 lies on the logarithmic part."""
    magnitudes = [np.abs(t.values[t.values != 0]) for t in drawn]
    smallest = min((float(m.min()) for m in magnitudes if len(m)), default=1.0)
    return SymmetricLog(2.0 ** math.floor(math.log2(smallest)))


def _label_axis(figure: go.Figure, window: tuple[float, float], place) -> None:
    low, high = float(place(window[0])), float(place(window[1]))
    pad = (high - low or 1) * 0.02
    figure.update_xaxes(range=[low - pad, high + pad], title_text="value", zeroline=True)
    if isinstance(place, SymmetricLog):
        labels = _log_labels(place.threshold, window)
        figure.update_xaxes(
            title_text="value (logarithmic on both sides of 0)",
            tickvals=[float(place(v)) for v in labels], ticktext=list(labels.values()),
        )  # fmt: skip


def _log_labels(threshold: float, window: tuple[float, float]) -> dict[float, str]:
    """Value -> label: zero, and round powers on either side that lies in the window."""
    largest = max(abs(window[0]), abs(window[1]))
    octaves = math.log2(largest / threshold) if largest > threshold else 1
    base, log = (2, math.log2) if octaves <= OCTAVES_IN_BINARY else (10, math.log10)
    first, last = math.ceil(log(threshold) - 1e-9), math.floor(log(largest) + 1e-9)
    stride = max(-(-(last - first + 1) // LABELS_A_SIDE), 1)
    labels = {0.0: "0"} if window[0] <= 0 <= window[1] else {}
    for exponent in range(last, first - 1, -stride):
        power = float(base) ** exponent
        text = short(power) if base == 2 and abs(exponent) <= 10 else f"{base}<sup>{exponent}</sup>"
        labels |= {v: t for v, t in ((power, text), (-power, f"-{text}")) if window[0] <= v <= window[1]}
    return labels
