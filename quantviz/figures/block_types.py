"""Block types drawn: one block field by field, and all types side by side, both to scale."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go

from ..block_types import ROLES, BlockType
from ..text.wording import number, plural
from .style import DEQUANTIZED, INK, ORIGINAL, REFERENCE, UNCHECKED, figure, legend

# A role's colour, and of a field that two share the second's, drawn as stripes.
_COLORS = {
    "codes": (DEQUANTIZED, None),
    "codes and scales": (DEQUANTIZED, REFERENCE),
    "scales": (REFERENCE, None),
    "scales and minima": (REFERENCE, ORIGINAL),
    "minima": (ORIGINAL, None),
}
_ROW, _MARGIN = 22, 90  # pixels


def block_layout(kind: BlockType) -> go.Figure:
    """The bytes of one block from first to last, a stretch a field, coloured by what it holds."""
    bars = [
        _bars([f.offset for f in held], [f.size for f in held], [""] * len(held), role) | {
            "text": [f.name for f in held], "textposition": "inside", "textangle": 0, "insidetextanchor": "middle",
            "insidetextfont": {"color": INK},
            "customdata": [(f.name, plural(f.size, "byte"), f.offset, f.meaning) for f in held],
            "hovertemplate": "%{customdata[0]}: %{customdata[1]} from byte %{customdata[2]}<br>%{customdata[3]}"
            "<extra></extra>",
        }
        for role in ROLES if (held := [f for f in kind.fields if f.role == role])
    ]  # fmt: skip
    told = "; ".join(f"{f.name}, {plural(f.size, 'byte')}: {f.meaning}" for f in kind.fields)
    alt = f"A block of {kind.name}, {kind.nbytes} bytes for {kind.block} weights. {told}."
    roles = {f.role for f in kind.fields}
    return figure(
        [go.Bar(**b, **UNCHECKED) for b in bars], alt, f"byte of the {kind.nbytes}", "", 150, barmode="overlay",
        xaxis={"range": [0, kind.nbytes], "showgrid": False}, yaxis={"visible": False},
        annotations=[_legend(r for r in ROLES if r in roles)], margin={"l": 10, "r": 10, "t": 30, "b": 48},
    )  # fmt: skip


def block_type_bits(kinds: Iterable[BlockType]) -> go.Figure:
    """Bits per weight of each type, by what they hold; the fewest bits at the foot."""
    ordered = sorted(kinds, key=lambda kind: kind.bits_per_weight)
    traces = []
    for role in ROLES:
        held = [8 * sum(f.size for f in k.fields if f.role == role) / k.block for k in ordered]
        start = [
            8 * sum(f.size for f in k.fields if ROLES.index(f.role) < ROLES.index(role)) / k.block for k in ordered
        ]
        drawn = [i for i, bits in enumerate(held) if bits]
        names = [ordered[i].name for i in drawn]
        bars = _bars([start[i] for i in drawn], [held[i] for i in drawn], names, role)
        traces.append(
            go.Bar(**bars, hovertemplate=f"%{{y}}: {role}, %{{x:.4g}} bits a weight<extra></extra>", **UNCHECKED)
        )
    told = ", ".join(f"{k.name} {number(k.bits_per_weight)}" for k in reversed(ordered))
    return figure(
        traces, f"Bits per weight of {len(ordered)} block types: {told}.", "bits per weight", "",
        _MARGIN + _ROW * len(ordered), barmode="overlay", xaxis={"rangemode": "tozero"},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": [k.name for k in ordered],
               "showgrid": False, "dtick": 1},
        annotations=[_legend(ROLES)], margin={"l": 92, "r": 10, "t": 30, "b": 48},
    )  # fmt: skip


def _bars(start: list[float], length: list[float], at: list[str], role: str) -> dict:
    color, stripes = _COLORS[role]
    marker: dict = {"color": color, "line": {"color": "rgba(128, 128, 128, 0.9)", "width": 1}}
    if stripes:
        marker["pattern"] = {"shape": "/", "fillmode": "overlay", "fgcolor": stripes, "size": 7, "solidity": 0.5}
    return {"orientation": "h", "base": start, "x": length, "y": at, "marker": marker}


def _legend(roles: Iterable[str]) -> dict:
    """Fields of two kinds are striped in the colours of both."""
    entries = [
        ("solid", _COLORS[r][0], r if _COLORS[r][1] is None else f"{r.replace(' and ', '/')}, striped") for r in roles
    ]
    return legend(*entries)
