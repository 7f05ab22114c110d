"""A tensor of a few weights, all of it: on the number line, with codes and arithmetic."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.evaluation import Evaluation
from quantviz.inspection.worked import block_rows, rule_text
from quantviz.schemes import Scheme

from .. import say
from ..link import choices
from ..selection import SMALL, Importance, View
from ..shared.charts import chart
from ..work import cached
from .block import parse_block, weight_columns
from .solved import quantized

_NARROW = {name: st.column_config.Column(width=width) for name, width in (("row", 48), ("column", 64), ("code", 48))}
_LETTER, _EDGES = 6.4, 22  # pixels, of a cell


def is_small(view: View) -> bool:
    return view.weights <= SMALL


def small_section(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    """Each weight on the line of its block with its code, and in a table with the arithmetic."""
    say.subheader("Weight by weight", help="Each weight of the tensor: the code that is stored, and its meaning.")
    scheme = Scheme.parse(evaluation.scheme)
    if scheme.rotate != "none":
        st.caption("Rows are rotated before they are quantized: these are the rotated weights.")
    elif scheme.smooth is not None or scheme.solver == "awq":
        st.caption("Columns are multiplied before they are quantized: these are the multiplied weights.")
    rows, cols = evaluation.block_errors.shape
    if rows * cols == 1:
        choices.unneeded("block", "0,0", lambda text: parse_block(text, evaluation))
    q = quantized(view, importance).result() if view.scheme.uses_data else None
    if q is None and view.scheme.uses_data:
        return
    places = [(r, c) for r in range(rows) for c in range(cols)]
    try:
        blocks = [cached.inspect(view.at, evaluation, *place, importance, quantized=q) for place in places]
    except QuantvizError as problem:
        say.error(problem)
        return
    rules = list(dict.fromkeys(rule_text(block) for block in blocks))
    say.caption(rules[0] if len(rules) == 1 else f"{rules[0]} in the first block; each has a scale of its own.")
    line, table = st.columns(2, gap="small")
    with line:
        chart(figures.weights_on_lines(blocks), "small")
        if len(blocks) > figures.MOST_LINES:
            say.caption(f"The first {figures.MOST_LINES} of {len(blocks)} blocks are drawn; the table has all.")
    rows_of = [block_rows(block) for block in blocks]
    table.dataframe(
        {name: [value for one in rows_of for value in one[name]] for name in rows_of[0]},
        hide_index=True, key="small_table", height="content" if view.weights <= 16 else 420,
        column_config=weight_columns(blocks[0], _width(rows_of)) | _NARROW,
        column_order=[name for name in rows_of[0] if name not in _unneeded(view, blocks[0].names[1])],
    )  # fmt: skip


def _width(tables: list[dict]) -> int:
    """Pixels that the longest arithmetic takes."""
    return round(_EDGES + _LETTER * max(len(text) for table in tables for text in table["arithmetic"]))


def _unneeded(view: View, dequantized: str) -> set[str]:
    """Columns that would say what another says: what the arithmetic ends with, and the only row."""
    return {dequantized} | ({"row"} if view.rows == 1 else set())
