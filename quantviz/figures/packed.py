"""The layout of a packed format drawn: the tensors it consists of, and which code lies in which bits of an element."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..checkpoints.layer import PackedField
from .style import DEQUANTIZED, INK, ORIGINAL, REFERENCE, UNCHECKED, figure

_ROW, _MARGIN = 44, 70  # pixels
_LINE = {"color": "rgba(128, 128, 128, 0.9)", "width": 1}


def packed_layout(fields: Sequence[PackedField]) -> go.Figure:
    """A bar a stored tensor. One whose elements hold several codes shows them from the lowest bits, on the left, up."""
    rows = [f"{f.part}  {f.dtype}" for f in fields]
    bars = [_bar(row, f, i) for i, (row, f) in enumerate(zip(rows, fields, strict=True))]
    told = "; ".join(f"{f.part}, {f.dtype} {f.axes}: {f.meaning}{_in_words(f)}" for f in fields)
    return figure(
        [bar for found in bars for bar in found], f"{len(fields)} stored tensors. {told}.",
        "of an element, lowest bits on the left", "", _MARGIN + _ROW * len(fields), barmode="overlay",
        xaxis={"range": [0, 1], "showgrid": False, "showticklabels": False},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": rows[::-1], "showgrid": False,
               "dtick": 1},
        margin={"l": 190, "r": 10, "t": 10, "b": 48},
    )  # fmt: skip


def _in_words(f: PackedField) -> str:
    return f"; from the lowest bits up codes {', '.join(map(str, f.order))}" if f.order else ""


def _bar(row: str, f: PackedField, index: int) -> list[go.Bar]:
    order = f.order or ("",)
    width = 1 / len(order)
    shown = [f"code {n}" if isinstance(n, int) else f.axes for n in order]
    color = DEQUANTIZED if index == 0 else ORIGINAL if "zero" in f.part.lower() else REFERENCE
    hover = f"{f.part}, {f.dtype} {f.axes}<br>{f.meaning}"
    return [
        go.Bar(
            orientation="h",
            y=[row] * len(order),
            x=[width] * len(order),
            base=[i * width for i in range(len(order))],
            marker={"color": color, "line": _LINE},
            text=shown,
            textposition="inside",
            insidetextfont={"color": INK},
            insidetextanchor="middle",
            textangle=0,
            customdata=[[f"{hover}<br>{text}"] for text in shown],
            hovertemplate="%{customdata[0]}<extra></extra>",
            **UNCHECKED,
        )  # fmt: skip
    ]
