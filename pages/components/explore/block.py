"""Where the error sits: the map of blocks, and the block that is open."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.evaluation import Evaluation
from quantviz.evaluation.sentences import block_sentence
from quantviz.inspection import MAX_BLOCK_WEIGHTS, Block
from quantviz.inspection.worked import block_rows, rule_text
from quantviz.schemes import Scheme
from quantviz.text.wording import count, places, plural

from .. import say
from ..link import choices
from ..link.address import chosen_text, put
from ..link.state import parse_place
from ..selection import Importance, View
from ..shared.charts import chart
from ..terms import explained
from ..work import cached
from .solved import quantized, story_section


def opened_block(evaluation: Evaluation) -> tuple[int, int]:
    """(row, column) of the open block in the grid of blocks: the one that is chosen, or else the worst."""
    if evaluation.block_errors.size == 1:
        return 0, 0
    text = chosen_text("block")
    return parse_block(text, evaluation) if text else figures.worst_block(evaluation.block_errors)


def parse_block(text: str, evaluation: Evaluation) -> tuple[int, int]:
    """From "3, 4"; QuantvizError where that is no block."""
    return parse_place(text, "block", *evaluation.block_errors.shape)


@st.fragment
def block_section(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    st.subheader("Where the error sits")
    if text := _what_blocks_hold(view.scheme):
        st.caption(text)
    if evaluation.block_errors.size == 1:
        st.caption("The whole tensor is one block. Where there are more, a map of them stands here.")
        if view.weights > MAX_BLOCK_WEIGHTS:
            _weight_text(view, evaluation)
        else:
            choices.unneeded("block", "0,0", lambda text: parse_block(text, evaluation))
        _opened(view, _block(view, evaluation, (0, 0), importance), importance)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _block_text(evaluation)
        place = opened_block(evaluation)
        rows, cols = evaluation.block_errors.shape
        chart(figures.error_map(evaluation, place), "map", (rows, cols), _open_clicked)
        st.caption(f"{rows:,} × {cols:,} blocks. Click the map to open the worst block nearby.")
    with right:
        block = _block(view, evaluation, place, importance)
    _opened(view, block, importance)


def _opened(view: View, block: Block | None, importance: Importance | None) -> None:
    if block is not None:
        _weights(view, block)
        story_section(view, block, importance)


def _what_blocks_hold(scheme: Scheme) -> str:
    """Where blocks do not hold the model's own weights, what they hold."""
    shown = "the block and its table show" if scheme.uses_data else "the map, the block and its table show"
    if scheme.rotate != "none":
        return (
            f"Rows are rotated before they are quantized, and blocks lie on the rotated rows: {shown} rotated weights, "
            "not those of the model. All figures above are of the model's own weights."
        )
    if scheme.smooth is not None or scheme.solver == "awq":
        return (
            "Columns are multiplied before they are quantized, and the inputs divided: the block and its table show "
            "multiplied weights. All other figures are of the model's own weights."
        )
    return ""


def _block(view: View, evaluation: Evaluation, place: tuple[int, int], importance: Importance | None) -> Block | None:
    q = None
    if view.scheme.uses_data:
        q = quantized(view, importance).result()
        if q is None:
            return None
    try:
        block = cached.inspect(view.at, evaluation, *place, importance, shown_weight(view, evaluation), q)
    except QuantvizError as problem:
        say.error(problem)
        return None
    name = f"Block {place[0]:,}, {place[1]:,}"
    if block.is_part:
        name = "Part of the tensor" if block.group == view.weights else f"Part of block {place[0]:,}, {place[1]:,}"
    st.markdown(f"**{name}** · {say.plain(_where(block))}")
    if said := block_sentence(block, evaluation.statistics):
        say.text(said)
    chart(figures.block(block), "block", (block.rows, block.cols))
    return block


def _block_text(evaluation: Evaluation) -> None:
    worst = figures.worst_block(evaluation.block_errors)
    choices.text(
        "Block", "block", check=lambda text: text and parse_block(text, evaluation),
        placeholder=f"the worst: {worst[0]}, {worst[1]}",
        help="Row and column of a block in the grid of blocks, counted from 0; empty for the worst one.",
    )  # fmt: skip


def _weight_text(view: View, evaluation: Evaluation) -> None:
    row, col = _largest(view, evaluation)
    choices.text(
        "Weight", "block", check=lambda text: text and parse_weight(text, view),
        placeholder=f"the largest: {row}, {col}",
        help="Row and column of a weight, counted from 0: the part of the tensor that holds it is shown.",
    )  # fmt: skip


def shown_weight(view: View, evaluation: Evaluation) -> tuple[int, int] | None:
    """(row, column) of the weight to show, if the tensor is one block and too large to be shown whole."""
    if evaluation.block_errors.size > 1 or view.weights <= MAX_BLOCK_WEIGHTS:
        return None
    text = chosen_text("block")
    return parse_weight(text, view) if text else _largest(view, evaluation)


def parse_weight(text: str, view: View) -> tuple[int, int]:
    """From "3, 4"; QuantvizError where the tensor has no such weight."""
    return parse_place(text, "weight", view.rows, view.info.cols)


def _largest(view: View, evaluation: Evaluation) -> tuple[int, int]:
    return divmod(int(evaluation.statistics.largest_index[0]), view.info.cols)


def _open_clicked() -> None:
    points = st.session_state["figure_map"]["selection"]["points"]
    if points and "customdata" in points[0]:
        put(block=points[0]["customdata"])


def _where(block: Block) -> str:
    return f"{places('row', *block.rows)}, {places('column', *block.cols)}"


def _weights(view: View, block: Block) -> None:
    st.markdown(f"**Weight by weight** · {say.plain(rule_text(block))}")
    if block.unpacked is not None:
        say.caption(Scheme.parse(block.scheme).fmt.rule)
    # Of its few different texts each is sent once, however many weights there are.
    rows = pd.DataFrame(block_rows(block)).astype({"code": "category", "arithmetic": "category"})
    st.dataframe(
        rows, hide_index=True, height=300, key="block_table", column_config=weight_columns(block),
    )  # fmt: skip
    if block.is_part:
        st.caption(f"{count(block.original.size)} of {plural(block.group, 'weight')}.")


def weight_columns(block: Block, arithmetic: str | int = "large") -> dict[str, object]:
    """How the columns of `block_rows` are written. arithmetic: the width of that column."""
    own = "Of the weight's own group in the block."
    return {
        block.names[0]: st.column_config.NumberColumn(format="%.6g"),
        "arithmetic": st.column_config.TextColumn(width=arithmetic),
        block.names[1]: st.column_config.NumberColumn(format="%.6g"),
        "error": st.column_config.NumberColumn(format="%.3g", help=explained("Error", "dequantized − original")),
        "scale": st.column_config.NumberColumn(format="%.4g", help=explained("Scale", own)),
        "minimum": st.column_config.NumberColumn(format="%.4g", help=own),
    }
