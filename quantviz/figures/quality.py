"""What quantization costs a language model in perplexity and KL divergence, against bits per weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ..formats import IntFormat
from ..quality.results import QualityResult
from ..quality.text.words import added_text, with_error
from ..schemes import Scheme
from ..text.wording import bits, number, share
from .outliers import LINES
from .style import DEQUANTIZED, QUIET, REFERENCE, figure, legend, plotly_text

TOLD = 0.2  # a figure smaller than so many of its standard errors stands on the floor of its axis
TENTH = 0.001  # the tenth of a percent of claim 5
STYLES = (*LINES, ("#8A8A8A", "longdash", "star"))
MOST_LINES = len(STYLES)
MOST_NAMES = 12  # schemes apart from the lines that are named beside their point
COST_HEIGHT = 430
LEGEND_ROW = 18  # pixels
MANY_BITS = 12.0


@dataclass(frozen=True)
class Family:
    """Results that differ in bits alone, joined by a line, fewest bits first; name "" for what has no such line."""

    name: str
    results: tuple[QualityResult, ...]
    color: str
    dash: str
    mark: str


def lines(results: Sequence[QualityResult]) -> list[Family]:
    """Integer schemes of one symmetry, granularity and set of options each on a line; all others by themselves."""
    groups: dict[str, list[QualityResult]] = {}
    for r in results:
        groups.setdefault(_family(r.scheme), []).append(r)
    joined = [name for name, held in groups.items() if name and (len(held) > 1 or len(groups) <= MOST_LINES)]
    joined = joined[:MOST_LINES]
    found = [
        Family(name, tuple(sorted(groups[name], key=lambda r: r.bits_per_weight)), *style)
        for name, style in zip(joined, STYLES, strict=False)
    ]
    others = [r for name, held in groups.items() if name not in joined for r in held]
    return found + ([Family("", tuple(others), REFERENCE, "", "diamond-open")] if others else [])


def _family(scheme: str) -> str:
    """ "int sym b32" for int4-sym-b32; "" for what has no family."""
    if _is_table(scheme):
        return ""
    parsed = Scheme.parse(scheme)
    if not isinstance(parsed.fmt, IntFormat):
        return ""
    return "int" + parsed.key.removeprefix(parsed.format).replace("-", " ").replace(":", ", ")


# -- perplexity and KL divergence against bits ---------------------------------------------------


def ratios(results: Sequence[QualityResult], schemes: Sequence[str] = ()) -> go.Figure:
    """What each scheme adds to the perplexity, with its standard error, against bits per weight; logarithmic.

    A scheme that adds nothing, or far less than the standard error, stands on the floor, and one whose logits are no
    numbers at the ceiling, both by marks of their own.
    schemes: all that are to come, so that the axis of bits stands still.
    """
    added = {r.scheme: r.added for r in results}
    errors = {r.scheme: r.perplexity_ratio_se for r in results}
    return _cost(results, schemes, added, errors, "perplexity added", added_ticks, [TENTH], "Perplexity added")


def divergences(results: Sequence[QualityResult], schemes: Sequence[str] = ()) -> go.Figure:
    """Mean KL divergence from the model as it is stored, with its standard error, against bits per weight."""
    kl = {r.scheme: r.kl_mean for r in results}
    errors = {r.scheme: r.kl_mean_se for r in results}
    return _cost(results, schemes, kl, errors, "mean KL divergence, nats", _plain_ticks, [], "Mean KL divergence")


def _cost(results, schemes, values, errors, title, ticks, marks, what) -> go.Figure:
    placed = [r for r in results if math.isfinite(values[r.scheme])]
    lost = [r for r in results if not math.isfinite(values[r.scheme])]
    sound = [r for r in placed if values[r.scheme] > max(TOLD * errors[r.scheme], 0)]
    low, high = log_span([values[r.scheme] for r in sound] + marks)
    floor, ceiling = low * 1.35, high / 1.35
    traces = []
    for line in lines(results):
        own = [r for r in line.results if r in sound]
        if line.name and len(own) > 1:
            traces.append(_join(own, values, line))
        traces.append(_points(own, values, errors, line, floor))
    resting = [r for r in placed if r not in sound]
    for some, y, symbol in ((resting, floor, "triangle-down-open"), (lost, ceiling, "x-thin-open")):
        if some:
            traces.append(_edge(some, y, symbol, results))
    x = _bits_axis([r.bits_per_weight for r in results] + [_nominal_bits(s) for s in schemes if not _is_table(s)])
    positions, texts = ticks(low, high)
    legends = _legends(results, bool(resting), bool(lost))
    return figure(
        traces, _cost_alt(results, values, what), "bits per weight", title, COST_HEIGHT,
        xaxis=x,
        yaxis={"type": "log", "range": [math.log10(low), math.log10(high)], "tickvals": positions, "ticktext": texts},
        annotations=[*legends, *_names(results, values, sound, x, high, low)],
        shapes=[_level(at) for at in marks if low < at < high],
        margin={"l": 78, "r": 14, "t": 12 + LEGEND_ROW * len(legends), "b": 48},
    )  # fmt: skip


def _is_table(scheme: str) -> bool:
    """Whether it is a table of patterns rather than a key."""
    return "=" in scheme.partition(":")[0]


def _nominal_bits(scheme: str) -> float:
    return Scheme.parse(scheme).bits_per_weight((4096, 4096))


def _bits_axis(taken: list[float]) -> dict:
    """Linear; logarithmic where some scheme takes many more bits than the others."""
    low, high = (min(taken), max(taken)) if taken else (1.0, 8.0)
    if high <= MANY_BITS:
        return {"type": "linear", "range": [low - 0.5, high + 0.5], "gridcolor": QUIET}
    ends = [math.log10(low) - 0.05, math.log10(high) + 0.05]
    return {"type": "log", "range": ends, "gridcolor": QUIET, "tickvals": [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32]}


def log_span(values: list[float]) -> tuple[float, float]:
    """Both ends of a logarithmic axis that holds the values, with room around them."""
    if not values:
        return 1e-4, 1.0
    low, high = min(values) / 3, max(values) * 3
    return (low, high) if high / low >= 30 else (low / 2, high * 2)


def _join(own, values, line: Family) -> go.Scatter:
    return go.Scatter(
        x=[r.bits_per_weight for r in own], y=[values[r.scheme] for r in own], mode="lines", hoverinfo="skip",
        line={"color": line.color, "dash": line.dash, "width": 2},
    )  # fmt: skip


def _points(own, values, errors, line: Family, floor: float) -> go.Scatter:
    """Markers with error bars; what is still being measured is paler."""
    y = [values[r.scheme] for r in own]
    up = [errors[r.scheme] if math.isfinite(errors[r.scheme]) else 0.0 for r in own]
    down = [v - max(v - e, min(floor, v)) for v, e in zip(y, up, strict=True)]
    return go.Scatter(
        x=[r.bits_per_weight for r in own], y=y, mode="markers", text=[_told(r) for r in own],
        marker={"color": line.color, "symbol": line.mark, "size": 9, "line": {"width": 1.5, "color": line.color},
                "opacity": [1.0 if r.complete else 0.5 for r in own]},
        error_y={"type": "data", "array": up, "arrayminus": down, "color": line.color, "thickness": 1.5, "width": 5},
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _edge(some, y: float, symbol: str, results) -> go.Scatter:
    colors = {r.scheme: line.color for line in lines(results) for r in line.results}
    return go.Scatter(
        x=[r.bits_per_weight for r in some], y=[y] * len(some), mode="markers", text=[_told(r) for r in some],
        marker={"symbol": symbol, "size": 11, "color": [colors[r.scheme] for r in some], "line": {"width": 2}},
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _told(r: QualityResult) -> str:
    """What a label over a point says."""
    far = "" if r.complete else f"<br>{r.windows} of {r.windows_total} windows so far"
    if r.collapsed:
        return f"<b>{plotly_text(r.scheme)}</b><br>{r.non_finite:,} of {r.scored:,} predictions are no numbers{far}"
    return (
        f"<b>{plotly_text(r.scheme)}</b><br>{bits(r.bits_per_weight)} bits per weight"
        f"<br>perplexity {with_error(r.perplexity, r.perplexity_se)}"
        f"<br>against the original {added_text(r.perplexity_ratio, r.perplexity_ratio_se)}"
        f"<br>KL divergence {with_error(r.kl_mean, r.kl_mean_se)}, 99th percentile {number(r.kl_p99, 3)}"
        f"<br>same likeliest token {share(r.top1_agreement)}{far}"
    )


# What the legend shows for a marker.
SHOWN = {"circle": "disc", "diamond": "diamond", "square": "solid", "triangle-up": "up", "x": "cross", "star": "star"}


def _legends(results, resting: bool, lost: bool) -> list[dict]:
    entries = [(SHOWN.get(line.mark, "open"), line.color, line.name or "others") for line in lines(results)]
    if resting:
        entries.append(("down", REFERENCE, "≈ 0"))
    if lost:
        entries.append(("cross", DEQUANTIZED, "no finite figure"))
    return legend_rows(entries)


def legend_rows(entries: list[tuple[str, str, str]]) -> list[dict]:
    """A legend over as many lines as narrow figures need."""
    rows = [entries[i : i + 3] for i in range(0, len(entries), 3)]
    return [legend(*row) | {"yshift": LEGEND_ROW * (len(rows) - 1 - i)} for i, row in enumerate(rows)]


def _names(results, values, sound, x: dict, high: float, low: float) -> list[dict]:
    """Schemes on no line are named beside their point, if they are few and no other name is there."""
    apart = [r for line in lines(results) if not line.name for r in line.results if r in sound]
    if len(apart) > MOST_NAMES:
        return []
    named: list[tuple[float, float]] = []
    annotations = []
    for r in sorted(apart, key=lambda r: values[r.scheme]):
        at = math.log10(r.bits_per_weight) if x["type"] == "log" else r.bits_per_weight
        across = (at - x["range"][0]) / (x["range"][1] - x["range"][0])
        up = math.log(values[r.scheme] / low) / math.log(high / low)
        if any(abs(across - a) < _WIDE and abs(up - u) < _HIGH for a, u in named):
            continue
        named.append((across, up))
        right = across < 1 - _WIDE
        annotations.append(
            {"x": at, "y": math.log10(values[r.scheme]), "text": plotly_text(_short(r.scheme)), "showarrow": False,
             "xanchor": "left" if right else "right", "xshift": 8 if right else -8, "font": {"size": 11}}
        )  # fmt: skip
    return annotations


_WIDE, _HIGH = 0.25, 0.05  # shares of the axes that a name takes


def _short(scheme: str) -> str:
    return scheme if len(scheme) <= 20 else scheme[:19] + "…"


def _level(at: float) -> dict:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at,
            "line": {"color": REFERENCE, "width": 1, "dash": "dash"}}  # fmt: skip


def added_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Percentages below a doubling, round factors above it."""
    exponents = range(-7, 0)
    ticks = [(10.0**e, f"+{number(100 * 10.0**e)}%") for e in exponents]
    ticks += [(1.0, "×2")] + [(10.0**e - 1, f"×{10**e:,}" if e < 6 else f"×10<sup>{e}</sup>") for e in range(1, 39)]
    held = _thin([(at, text) for at, text in ticks if low <= at <= high])
    return [at for at, _ in held], [text for _, text in held]


def _plain_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    ticks = [(10.0**e, number(10.0**e)) for e in range(-12, 6)]
    held = _thin([(at, text) for at, text in ticks if low <= at <= high])
    return [at for at, _ in held], [text for _, text in held]


def _thin(ticks: list[tuple[float, str]], most: int = 10) -> list[tuple[float, str]]:
    return ticks[:: max(1, -(-len(ticks) // most))]


def _cost_alt(results, values, what: str) -> str:
    if not results:
        return f"{what} against bits per weight: nothing is measured yet."
    adding = what.startswith("Perplexity")
    said = [
        f"{r.scheme} at {bits(r.bits_per_weight)} bits "
        + (added_text(r.perplexity_ratio, r.perplexity_ratio_se) if adding else number(values[r.scheme], 3))
        for r in sorted(results, key=lambda r: r.bits_per_weight)
    ]
    return f"{what} against bits per weight, on a logarithmic axis: {'; '.join(said)}."
