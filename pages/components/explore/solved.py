"""Schemes that look at data: what they made of the tensor, and the story of GPTQ on the block that is open."""

from __future__ import annotations

import streamlit as st

from quantviz import Quantized, figures
from quantviz.calibration.gptq_story import MOST_COLUMNS, Story, turn_sentences
from quantviz.inspection import Block

from .. import say
from ..selection import Importance, View
from ..shared.charts import chart
from ..work import cached
from ..work.bounded import BoundedCache
from ..work.tasks import KeptResult

_quantized: BoundedCache[Quantized] = BoundedCache(256 << 20, lambda q: q.codes.nbytes + (1 << 16))
_stories: BoundedCache[Story] = BoundedCache(64 << 20, lambda story: 2 * story.passed.nbytes + (1 << 12))


def quantized(view: View, importance: Importance) -> KeptResult:
    """What a scheme that looks at data makes of the tensor: a Quantized."""
    at, key = view.at, view.scheme.key
    return KeptResult(
        ("quantized", at, key, importance.digest), f"{view.at.tensor} under {key}",
        lambda job: cached.quantized(at, key, importance, job), _quantized,
    )  # fmt: skip


def story_section(view: View, block: Block, importance: Importance | None) -> None:
    """Column by column, for the row of the block that is drawn; nothing for other schemes than GPTQ's."""
    if view.scheme.solver != "gptq" or importance is None:
        return
    say.subheader(
        "The story of GPTQ on this block",
        help="Columns are rounded one after the other. What a column errs by is handed to those still to come, as far "
        "as the inputs say that they can make up for it, so that the error of the layer's output stays small.",
    )
    row, cols = figures.block_window(block)
    first = block.cols[0] + cols.start
    story = _story(view, importance, block.rows[0] + row, (first, min(block.cols[0] + cols.stop, first + MOST_COLUMNS)))
    told = story.result()
    if told is None:
        return
    n = len(told.columns)
    if n == 1:
        st.caption("This block has one column, so nothing is handed on within it.")
        return
    # The slider keeps its place from block to block, as far as the block reaches.
    st.session_state["gptq_turn"] = min(max(st.session_state.get("gptq_turn", 1), 1), n)
    k = st.slider("Turn of the column", 1, n, key="gptq_turn", persist_state="session") - 1
    say.text(*turn_sentences(told, k))
    left, right = st.columns(2, gap="medium")
    with left:
        chart(figures.gptq.weights(told, k), "gptq_weights")
    with right:
        chart(figures.gptq.handed(told, k), "gptq_handed")
    st.markdown("**All columns of the block**")
    chart(figures.gptq.columns(told), "gptq_columns")


def _story(view: View, importance: Importance, row: int, cols: tuple[int, int]) -> KeptResult:
    at, key = view.at, view.scheme.key
    return KeptResult(
        ("gptq story", at, key, importance.digest, row, cols), "The story of GPTQ",
        lambda job: cached.gptq_story(at, key, importance, row, cols, job), _stories,
    )  # fmt: skip
