"""Speed as it is measured: a line a contender under the copy ceiling; speed against error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import plotly.graph_objects as go

from ..text.wording import decibels, decimals, number, plural, share, size
from ..throughput.results import Card, Measurement
from .style import DEQUANTIZED, ORIGINAL, QUIET, REFERENCE, end_name, figure, legend, moved_apart

BASELINE = "bf16"
Quantity = Literal["bandwidth", "speed", "factor"]
# Lines are told apart by colour first, then by dash; the baseline is grey.
COLORS = (DEQUANTIZED, ORIGINAL, "#CC79A7", "#B8A100", "#7F6FD0", "#56B4E9", "#C0504D", "#8C8C3A")
DASHES = ("solid", "dot", "dashdot")
GREY = "#8A93A0"
_MARK = {"solid": "tick", "dash": "dash"}  # of a line in the legend
MOST_POINTS = 100  # of a line; of more, every second, third … is drawn
BUBBLE = 46.0  # pixels across of the scheme that takes most memory


def speed_of(m: Measurement) -> float | None:
    """Tokens/s where tokens are made, else weights/s."""
    return m.weights_per_s if m.tokens_per_s is None else m.tokens_per_s


def speed_unit(m: Measurement) -> str:
    return "million weights/s" if m.tokens_per_s is None else "tokens/s"


def _value(m: Measurement, quantity: Quantity) -> float | None:
    if quantity == "bandwidth":
        return None if m.bytes_per_s is None else m.bytes_per_s / 1e9
    if quantity == "factor":
        return m.speedup_over_bf16
    speed = speed_of(m)
    return speed / 1e6 if speed is not None and m.tokens_per_s is None else speed


def _axis(m: Measurement, quantity: Quantity) -> str:
    return {"bandwidth": "GB/s", "factor": "times as fast as bf16"}.get(quantity) or speed_unit(m)


def rounds(
    arrived: Sequence[Measurement], card: Card | None, workload: str, quantity: Quantity = "bandwidth"
) -> go.Figure:
    """The median so far after each round, a line a scheme, named at its end; the measured copy bandwidth above.

    arrived: every measurement of a run in the order in which it came; those without a time yet are passed over.
    quantity: bytes that have to move a second, tokens (or weights) a second, or the factor over bf16. The ceiling is
    drawn for the first, of which it is one.
    """
    lines: dict[str, dict[int, float]] = {}  # scheme -> calls timed so far -> value; a round times one or several
    last: dict[str, Measurement] = {}
    for m in arrived:
        value = _value(m, quantity) if m.workload == workload else None
        if value is not None:
            lines.setdefault(m.scheme, {})[m.repeats] = value
            last[m.scheme] = m
    if not lines:
        return figure([], f"No round of {workload} has been timed yet.", "round", "")
    ceilings = _ceilings(card) if quantity == "bandwidth" else []
    top = 1.06 * max([y for line in lines.values() for y in line.values()] + [y for *_, y in ceilings])
    most = max(map(len, lines.values()))
    traces, names, told = [], [], []
    others = [scheme for scheme in lines if scheme != BASELINE]
    for scheme, line in lines.items():
        color, dash = _look(others.index(scheme)) if scheme in others else (GREY, "solid")
        traces.append(_line(scheme, line, last[scheme], color, dash, _axis(last[scheme], quantity)))
        reached = line[max(line)]
        names.append(end_name(f"{scheme} {_short(reached)}", reached, color))
        told.append(f"{scheme} {_short(reached)}")
    for name, color, dash, y in ceilings:
        traces.append(
            go.Scatter(
                x=[0, most + 1], y=[y, y], mode="lines", line={"color": color, "dash": dash, "width": 2},
                hovertemplate=f"{name}: {number(y)} GB/s, measured in this run<extra></extra>",
            )
        )  # fmt: skip
    unit = _axis(next(iter(last.values())), quantity)
    alt = f"{workload}, {unit}, median after {plural(most, 'round')}: {'; '.join(told)}."
    alt += "".join(f" A line shows {name} at {number(y)} GB/s." for name, *_, y in ceilings)
    entries = [(_MARK[dash], color, f"{name} {number(y)}") for name, color, dash, y in ceilings]
    above = [legend(*entries)] if ceilings else []
    return figure(
        traces, alt, "round", unit, max(360, 90 + 24 * len(names)),
        xaxis={"range": [0.5, max(most, 4) + 0.5], "tickformat": "d", "dtick": -(-most // 12)},
        yaxis={"range": [0, top]}, margin={"r": 190},
        annotations=[*above, *moved_apart(names, top, 0.055)],
    )  # fmt: skip


def _ceilings(card: Card | None) -> list[tuple[str, str, str, float]]:
    """(name, colour, dash, GB/s) of what this run measured of the memory."""
    if card is None or card.copy_bytes_per_s is None:
        return []
    found = [("copy bandwidth", REFERENCE, "solid", card.copy_bytes_per_s / 1e9)]
    if card.read_bytes_per_s is not None:
        found.append(("read bandwidth", REFERENCE, "dash", card.read_bytes_per_s / 1e9))
    return found


def _look(i: int) -> tuple[str, str]:
    return COLORS[i % len(COLORS)], DASHES[i // len(COLORS) % len(DASHES)]


def _line(scheme: str, line: Mapping[int, float], m: Measurement, color: str, dash: str, unit: str) -> go.Scatter:
    each = -(-len(line) // MOST_POINTS)
    shown = list(enumerate(line.items(), 1))[::-1][::each][::-1]  # the last is always among them
    return go.Scatter(
        x=[i for i, _ in shown], y=[value for _, (_, value) in shown], customdata=[calls for _, (calls, _) in shown],
        mode="lines+markers", marker={"size": 5}, line={"color": color, "dash": dash, "width": 2},
        hovertemplate=f"{scheme}, {m.kernel or m.workload}<br>%{{y:.4g}} {unit}, median of %{{customdata}} calls"
        "<extra></extra>",
    )  # fmt: skip


def _short(value: float) -> str:
    return number(value, 3)


# -- error and speed -----------------------------------------------------------------------------


def error_and_speed(measurements: Sequence[Measurement], sqnr_db: Mapping[str, float]) -> go.Figure:
    """Speed against SQNR, a bubble a scheme, its area the memory of the weights; right and up is better.

    measurements: of one workload.  sqnr_db: of each scheme, on any one tensor; schemes without any error stand at the
    right end. A scheme that is not timed, or is not in `sqnr_db`, has no place here; see `without_place`.
    """
    placed = [m for m in measurements if not _missing(m, sqnr_db)]
    if not placed:
        return figure([], "Speed against SQNR: no scheme has both yet.", "SQNR, dB", "")
    scale = 1.0 if placed[0].tokens_per_s is not None else 1e-6
    x, span, exact = _places([sqnr_db[m.scheme] for m in placed])
    y = [speed_of(m) * scale for m in placed]
    most = max(m.memory_bytes or 0 for m in placed) or 1
    across = [max(10.0, BUBBLE * math.sqrt((m.memory_bytes or 0) / most)) for m in placed]
    base = next((value for m, value in zip(placed, y, strict=True) if m.scheme == BASELINE), None)
    unit, top = speed_unit(placed[0]), 1.16 * max(y)
    bubbles = go.Scatter(
        x=x, y=y, mode="markers",
        marker={"size": across, "opacity": 0.75, "line": {"width": 0}, "color": _colors(placed, y, base)},
        text=[_told(m, sqnr_db, unit, value) for m, value in zip(placed, y, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    level = [] if base is None else [
        go.Scatter(x=span, y=[base, base], mode="lines", hoverinfo="skip", line={"color": GREY, "dash": "dash"})
    ]  # fmt: skip
    entries = [("solid", ORIGINAL, f"faster than {BASELINE}"), ("solid", DEQUANTIZED, "slower"),
               ("dash", GREY, BASELINE), ("circle", GREY, "area: memory of the weights")]  # fmt: skip
    end = {"x": exact, "y": 0, "yref": "paper", "yanchor": "top", "yshift": -3, "showarrow": False, "text": "no error"}
    alt = f"{unit} against SQNR: " + "; ".join(
        f"{m.scheme} {_short(value)} at {_decibels(sqnr_db[m.scheme])}" for m, value in zip(placed, y, strict=True)
    )
    return figure(
        [*level, bubbles], alt + ".", "SQNR, dB", unit, 440, xaxis={"range": span, "gridcolor": QUIET},
        yaxis={"range": [-0.06 * top, top]},
        annotations=[
            legend(*entries[3 * (base is None) :]), *([] if exact is None else [end]),
            *_labels(placed, x, y, across, span, top),
        ],
    )  # fmt: skip


def _places(sqnr: Sequence[float]) -> tuple[list[float], list[float], float | None]:
    """(place of each on the axis, the axis' range, where those without an error stand, if there are any)."""
    finite = [value for value in sqnr if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    room = max(0.09 * (high - low), 1.0)
    if len(finite) == len(sqnr):
        return list(sqnr), [low - room, high + room], None
    exact = high + 2 * room
    return [min(value, exact) for value in sqnr], [low - room, exact + room], exact


def _colors(placed: Sequence[Measurement], y: Sequence[float], base: float | None) -> list[str]:
    faster = [ORIGINAL if base is None or value > base else DEQUANTIZED for value in y]
    return [GREY if m.scheme == BASELINE else color for m, color in zip(placed, faster, strict=True)]


def _decibels(sqnr: float) -> str:
    return decibels(sqnr) if math.isfinite(sqnr) else "no error"


def without_place(measurements: Sequence[Measurement], sqnr_db: Mapping[str, float]) -> str:
    """Which schemes `error_and_speed` leaves out, and why, in a sentence; "" where it leaves out none."""
    reasons: dict[str, list[str]] = {}
    for m in measurements:
        if reason := _missing(m, sqnr_db):
            reasons.setdefault(reason, []).append(m.scheme)
    if not reasons:
        return ""
    return "Not in the picture: " + "; ".join(f"{', '.join(who)} ({why})" for why, who in reasons.items()) + "."


def _missing(m: Measurement, sqnr_db: Mapping[str, float]) -> str:
    if speed_of(m) is None:
        return "not timed"
    if m.scheme not in sqnr_db or math.isnan(sqnr_db[m.scheme]):
        return "no SQNR on this tensor"
    return ""


def _told(m: Measurement, sqnr_db: Mapping[str, float], unit: str, value: float) -> str:
    words = [f"<b>{m.scheme}</b>", f"{_short(value)} {unit}, {_decibels(sqnr_db[m.scheme])}"]
    if m.speedup_over_bf16 is not None and m.scheme != BASELINE:
        words.append(f"{decimals(m.speedup_over_bf16, 2)} times as fast as {BASELINE}")
    if m.memory_bytes:
        words.append(f"{size(m.memory_bytes)} of weights")
    if m.share_of_copy is not None:
        words.append(f"{share(m.share_of_copy)} of the copy bandwidth")
    return "<br>".join(words)


_LETTER, _HIGH = 0.0095, 0.055  # shares of the axes that a letter and a line take


def _labels(placed, x, y, across, span, top) -> list[dict]:
    """The name of each bubble over it; where two collide, under it; where that collides too, in the hover alone."""
    written: list[tuple[float, float, int]] = []
    found = []
    for i in sorted(range(len(placed)), key=lambda i: -y[i]):
        at, up = (x[i] - span[0]) / (span[1] - span[0]), y[i] / top
        letters = len(placed[i].scheme)
        half = across[i] / 2 / 360  # of the axis' height in pixels
        for side, anchor, height in ((1, "bottom", up + half), (-1, "top", up - half - _HIGH)):
            near = (abs(at - a) < _LETTER * (letters + n) / 2 for a, h, n in written if abs(height - h) < _HIGH)
            if height < 0 or any(near):
                continue
            written.append((at, height, letters))
            found.append(
                {"x": x[i], "y": y[i], "text": placed[i].scheme, "showarrow": False, "yanchor": anchor,
                 "yshift": side * (across[i] / 2 + 1), "font": {"size": 12}}
            )  # fmt: skip
            break
    return found


def rounds_note(card: Card | None) -> str:
    """How to read the lines of `rounds`."""
    words = (
        "Each line is the median of the rounds so far. Contenders take turns, so that a drift of the machine meets all."
    )
    if card is not None and card.copy_bytes_per_s is not None:
        words += " Green: the bytes a plain copy moved in this run, those read and those written both counted."
    return words
