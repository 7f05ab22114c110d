"""Several tensors of a model under the same schemes: a line a scheme, from tensor to tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import pandas as pd
import plotly.graph_objects as go

from ..metrics import METRICS, difference, value_text
from ..sweep.families import family, layer_of, short
from ..sweep.several import MEDIAN, by_scheme, gaps
from ..text.wording import plural, share
from .outliers import LINES
from .sensitivity import log_axis
from .style import QUIET, end_name, figure, moved_apart, plotly_text

MOST_LINES = 24  # schemes that are drawn
_TICKS = 30  # tensors that are numbered
_RUN = 3  # tensors that play one part, in the mean: then layers are numbered
_LETTER, _LINE = 7, 16  # pixels: of a letter, of the name of a line
_LONGEST = 30  # letters of the name of a line, or of a tensor under the axis
_SHORT, _ASLANT = 16, 16  # letters of a scheme beside the axis; names that stand aslant, more stand upright
_LEAST, _TOP = 360, 12  # pixels: of the axes' height, above them
_WIDE = 20  # from so many times the least to the greatest on, the axis is logarithmic


def over_tensors(
    frame: pd.DataFrame, metric: str = "sqnr_db", pinned: str | None = None, against: str | None = None
) -> go.Figure:
    """A metric of each tensor, in the order of the table, under at most MOST_LINES schemes: a line a scheme.

    frame: of `compare_tensors`, or of a sweep, also one that is not complete.  pinned: the scheme whose line is thick.
    against: a scheme, or MEDIAN, as `gaps` takes it. Where all play parts in several layers, each part has a line of
    its own. What has no figure, or an infinite one, has no place.
    """
    wide = by_scheme(frame, metric) if against is None else gaps(frame, metric, against)
    wide = wide[wide.columns[:MOST_LINES]]
    names, known = wide.index.tolist(), wide[wide.abs() < math.inf]
    axis, ends, log = _y_axis(known, metric, against)
    ticks = _ticks(names)
    traces, labels = [], []
    for number, (scheme, values) in enumerate(known.items()):
        color, dash, symbol = LINES[number % len(LINES)]
        style = {"color": color, "dash": dash, "width": 3.5 if scheme == pinned else 1.5}
        traces.append(_line(names, values, style, symbol, _writer(metric, against), ticks["between"]))
        if values.notna().any():
            last = float(values.dropna().iloc[-1])
            labels.append(end_name(plotly_text(_cut(scheme)), (math.log10(last) if log else last) - ends[0], color))
    height = max(_LEAST, _LINE * len(labels))
    moved_apart(labels, ends[1] - ends[0], _LINE / height)
    for label in labels:
        label["y"] += ends[0]
    pad = 0.5 if ticks["between"] else 0.1 + 0.02 * len(names)
    widest = max((len(label["text"]) for label in labels), default=0)
    return figure(
        traces, _alt(known, metric, against), ticks["title"], "", _TOP + height + ticks["room"],
        xaxis={"range": [-pad, max(len(names), 1) - 1 + pad], "showgrid": False} | ticks["axis"], yaxis=axis,
        annotations=[*labels, *ticks["groups"]], shapes=ticks["between"],
        margin={"l": 76, "r": 16 + _LETTER * widest, "t": _TOP, "b": ticks["room"]},
    )  # fmt: skip


def _y_axis(known: pd.DataFrame, metric: str, against: str | None) -> tuple[dict, tuple[float, float], bool]:
    """The axis, where it begins and ends in its own measure, and whether that is logarithmic."""
    values, said = [float(v) for v in known.to_numpy().ravel() if not math.isnan(v)] or [0.0, 1.0], METRICS[metric]
    low, high = min(values), max(values)
    unit = {"": "", "fraction": ""}.get(said.unit, f", {said.unit}")
    minus = "" if against is None else f" minus {against if against == MEDIAN else _cut(against, _SHORT)}"
    axis = {"title": {"text": plotly_text(f"{said.label}{minus}{unit}")}}
    if against is None and said.unit != "dB" and 0 < _WIDE * low < high:
        scale = log_axis(values)
        if said.unit == "fraction":
            scale["ticktext"] = [share(at) for at in scale["tickvals"]]
        return axis | scale, tuple(scale["range"]), True
    room = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
    ends = low - room, high + room
    form = {"tickformat": "~%"} if said.unit == "fraction" else {"exponentformat": "power"}
    return axis | form | {"range": ends}, ends, False


def _writer(metric: str, against: str | None):
    if against is None:
        return lambda value: value_text(metric, value)
    return lambda value: difference(metric, value, 0.0) or ""


def _line(names: Sequence[str], values: pd.Series, style: dict, symbol: str, write, between: list) -> go.Scatter:
    """Broken where it says `between`."""
    x, y, told = [], [], []
    scheme, breaks = plotly_text(values.name), {line["x0"] for line in between}
    for place, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        if place - 0.5 in breaks:
            x, y, told = [*x, None], [*y, None], [*told, ""]
        there = not math.isnan(value)
        text = f"{plotly_text(name)}<br>{scheme}: {plotly_text(write(value))}" if there else ""
        x, y, told = [*x, place], [*y, value if there else None], [*told, text]
    return go.Scatter(
        x=x, y=y, text=told, mode="lines+markers", line=style, name=scheme,
        marker={"color": style["color"], "symbol": symbol, "size": 6}, hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _ticks(names: Sequence[str]) -> dict:
    """What stands under the axis: the layers' numbers where tensors play one part, with the part; else their names."""
    runs, at = [], 0
    for part, members in groupby(names, family):
        members = list(members)
        runs.append((part, at, members))
        at += len(members)
    every = max(1, math.ceil(len(names) / _TICKS))
    layers = all(len(members) > 1 for _, _, members in runs) or _RUN * len(runs) <= len(names)
    places = [at + i for _, at, members in runs for i in range(0, len(members), every)] if layers else range(len(names))
    texts = [_number(names[i]) if layers else plotly_text(_cut(short(names[i]))) for i in places]
    between = [
        {"type": "line", "x0": at - 0.5, "x1": at - 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": QUIET}}
        for _, at, _ in runs[1:]
    ] if layers else []  # fmt: skip
    groups = [
        {"x": at + (len(members) - 1) / 2, "y": 0, "yref": "paper", "yanchor": "top", "yshift": -24, "showarrow": False,
         "text": plotly_text(_cut(short(part)))} for part, at, members in runs
    ] if layers and len(runs) > 1 else []  # fmt: skip
    title = f"layer of {plotly_text(short(runs[0][0]))}" if layers and len(runs) == 1 else ""
    angle = None if layers else 40 if len(names) <= _ASLANT else 90
    room = 52 if layers else 24 + math.sin(math.radians(angle or 0)) * _LETTER * max(map(len, texts), default=0)
    axis = {"tickvals": list(places), "ticktext": texts, "tickangle": angle}
    return {"title": title, "axis": axis, "groups": groups, "between": between, "room": room}


def _number(name: str) -> str:
    layer = layer_of(name)
    return "" if layer is None else str(layer)


def _cut(name: str, longest: int = _LONGEST) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _alt(known: pd.DataFrame, metric: str, against: str | None) -> str:
    minus = (
        ""
        if against is None
        else ", minus the median over the tensors"
        if against == MEDIAN
        else f", minus {against}'s"
    )
    known = known.dropna(axis="columns", how="all")
    begin = f"{METRICS[metric].label}{minus} of {plural(len(known), 'tensor')} under {plural(known.shape[1], 'scheme')}"
    write, said = _writer(metric, against), []
    for scheme, values in known.items():
        values = values.dropna()
        if len(values):
            least, most = values.idxmin(), values.idxmax()
            said.append(f"{scheme} from {write(values[least])} ({least}) to {write(values[most])} ({most})")
    if not said:
        return f"{begin}: nothing is measured yet."
    rest = f"; {len(said) - 6} more" if len(said) > 6 else ""
    return f"{begin}, a line a scheme: {'; '.join(said[:6])}{rest}."
