"""Colours, layout and legends that all figures share. Backgrounds are transparent, for light and dark themes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from ..text.printable import LONGEST_NAME, printable

# Blue, vermilion and green of Okabe and Ito's palette, in lightnesses that hold on white and on near-black.
ORIGINAL = "#3D95CE"
DEQUANTIZED = "#E4662A"
REFERENCE = "#00A67D"
INK = "#111111"  # of words on any of the three: 5 to 1 at least
QUIET = "rgba(128, 128, 128, 0.35)"
SEQUENTIAL = "Cividis"

HEIGHT = 320
BESIDE, SHORT = 8, 3  # so many labels, or labels of so many letters, stand side by side under a figure
LEGEND = "legend"
LEVEL = {"tickangle": 0}  # of an axis of numbers: Plotly need not measure whether its labels would fit better aslant
BARE = {"data": {"scatter": [{"type": "scatter"}]}}  # what plotly's own "none" stands for
# For figures and traces that follow the hand: plotly's check of each property takes longer than all else.
# tests/figures has every property checked.
UNCHECKED = {"_validate": False}


def translucent(color: str, alpha: float) -> str:
    """'#3D95CE', 0.3 -> 'rgba(61, 149, 206, 0.3)'"""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


# How a legend shows each kind of line or point.
MARKS = {
    "solid": "■", "dot": "┈", "dash": "╌", "tick": "━", "circle": "○", "ring": "◎", "diamond": "◆", "disc": "●",
    "up": "▲", "down": "▽", "cross": "✕", "open": "◇", "star": "★",
}  # fmt: skip


def plotly_text(text: object) -> str:
    """Text of a file, a link or a visitor, as Plotly is to draw it: its labels read a part of HTML, and formulas.

    >>> plotly_text('<a href="http://a.b">x</a> $y$')
    '&lt;a href="http://a.b"&gt;x&lt;/a&gt; &#36;y&#36;'
    """
    return escape(printable(text, LONGEST_NAME), quote=False).replace("$", "&#36;").replace("%{", "%&#123;")


def legend(*entries: tuple[str, str, str]) -> dict:
    """(mark, colour, name) of each trace as one line of text: Plotly's own legend takes longer than the traces.

    It begins at its left end (align) also in a saved picture, whose letters are wider than those of the page.
    A click on an entry is reported with the annotation of this name, so that a page can switch its trace off.
    """
    text = " \u2003".join(
        f'<span style="color:{color}">{MARKS[mark]}</span> {plotly_text(name)}' for mark, color, name in entries
    )
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "align": "left"}
    return place | {"text": text, "showarrow": False, "font": {"size": 13}, "name": LEGEND, "captureevents": True}


def end_name(text: str, y: float, color: str) -> dict:
    """The name of a line, right of the axis at the height where the line ends."""
    return {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 7, "y": y, "showarrow": False, "text": text,
            "align": "left", "font": {"color": color, "size": 12}}  # fmt: skip


def moved_apart(names: list[dict], top: float, gap: float = 0.075) -> list[dict]:
    """Names at the ends of lines, moved up where they would overlap, and down from where they would leave the axis.

    top: of the axis, which begins at 0.  gap: between two names, a share of it.
    """
    ordered, lowest = sorted(names, key=lambda name: name["y"]), -math.inf
    for name in ordered:
        name["y"] = lowest = max(name["y"], lowest + gap * top)
    highest = max(top, gap * top * (len(names) - 1))
    for name in reversed(ordered):
        name["y"] = min(name["y"], highest)
        highest = name["y"] - gap * top
    return names


def figure(traces: list, alt: str, x: str, y: str, height: int = HEIGHT, **layout: object) -> go.Figure:
    """A figure with axis titles and its description in words, which `alt_text` gives back."""
    base = {
        "xaxis": {"title": {"text": x}, "zeroline": False, "automargin": False},
        "yaxis": {"title": {"text": y}, "zeroline": False, "automargin": False, "gridcolor": QUIET},
        "showlegend": False,
        "height": height,
        "margin": {"l": 64, "r": 10, "t": 30, "b": 48},  # fixed: margins that fit themselves draw everything twice
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "meta": {"alt": alt},
        "template": BARE,  # the page has a theme of its own; the 7 KB of Plotly's would only be sent along
        "hovermode": "closest",
    }
    # Joined before the figure is made: plotly's own update_layout takes longer than everything else here.
    for name, value in layout.items():
        base[name] = base[name] | value if isinstance(value, dict) and name in base else value
    return go.Figure(data=traces, layout=base, **UNCHECKED)


def categories(labels: Sequence[str], title: str) -> dict:
    """Layout of an x axis of labels, which stand upright where side by side they would not fit: then with room below,
    and the title beneath them.
    """
    longest = max(map(len, labels), default=0)
    if len(labels) <= BESIDE or longest <= SHORT:
        return {"xaxis": {"type": "category"}}
    return {
        "xaxis": {"type": "category", "tickangle": -90, "title": {"text": title, "standoff": 8}},
        "margin": {"b": 48 + 7 * longest},
    }


def alt_text(fig: go.Figure) -> str:
    """What the figure shows, in words."""
    return fig.layout.meta["alt"]


TICK, TITLE, WORDS = 12, 14, 12  # sizes of type where a figure names none


def enlarged(fig: go.Figure, factor: float) -> go.Figure:
    """A copy with type, marks, lines, margins and height `factor` times as large: to be read from further away."""
    large = go.Figure(fig)
    layout = large.layout
    large.update_layout(
        height=factor * (layout.height or HEIGHT),
        margin={side: factor * (layout.margin[side] or 0) for side in ("l", "r", "t", "b")},
        hoverlabel={"font": {"size": factor * WORDS}},
    )
    for axis in (*large.select_xaxes(), *large.select_yaxes()):
        axis.tickfont.size, axis.title.font.size = (factor * (font.size or size) for font, size in (
            (axis.tickfont, TICK), (axis.title.font, TITLE),
        ))  # fmt: skip
    for note in layout.annotations:
        note.font.size = factor * (note.font.size or WORDS)
        note.xshift, note.yshift = (factor * (shift or 0) for shift in (note.xshift, note.yshift))
    for shape in layout.shapes:
        shape.line.width = factor * (shape.line.width or 1)
    for trace in large.data:
        if "textfont" in trace:
            trace.textfont.size = factor * (trace.textfont.size or WORDS)
        if trace.type == "scatter":
            _enlarge_marks(trace, factor)
    return large


def _enlarge_marks(trace: go.Scatter, factor: float) -> None:
    if "markers" in (trace.mode or ""):
        size, width = trace.marker.size, trace.marker.line.width
        trace.marker.size = [factor * s for s in size] if isinstance(size, tuple) else factor * (size or 6)
        trace.marker.line.width = factor * (width or 0)
    trace.line.width = factor * (trace.line.width or 2)
