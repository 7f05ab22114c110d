"""A tensor of a GGUF file as it is stored: its codes, scales and minima, and one block byte by byte."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.published.stored import (
    Contents,
    StoredBlock,
    contents,
    contents_sentence,
    field_rows,
    group_rows,
    stored_block,
    weight_rows,
)
from quantviz.tensors import PackedTensor
from quantviz.text.wording import number

from .. import say
from ..link import choices
from ..link.state import pair
from ..selection import View
from ..shared.charts import chart
from ..work import cached, jobs
from ..work.bounded import BoundedCache

_contents: BoundedCache[Contents] = BoundedCache(200, lambda _: 1)


def stored_section(view: View) -> None:
    """Draws the section if the tensor is stored in a block type, and nothing otherwise."""
    if view.info.packing is None:
        return
    say.subheader(
        f"As it is stored: {view.info.dtype}",
        help="What the file holds, before anything is quantized here: its codes, and the scales (and minima) that "
        "groups of weights share. A weight is scale × what its code stands for, plus the minimum where there is one.",
    )
    try:
        found = jobs.result(("stored", view.at), f"Reading {view.info.name}", lambda job: _counted(view, job))
    except QuantvizError as problem:
        say.error(problem)
        return
    if found is None:
        return
    say.text(contents_sentence(found))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Codes in the file**")
        chart(figures.stored_codes(found), "stored_codes")
    with right:
        st.markdown("**Scales of its groups**" if found.minima is None else "**Scales and minima of its groups**")
        chart(figures.stored_scales(found), "stored_scales")
    _inspector(view, found)


def _counted(view: View, job: jobs.Job) -> Contents:
    def count() -> Contents:
        stored, _ = cached.described(view.at, job)
        return contents(stored, job.step("counting codes and scales", "counted"))

    return _contents.get(view.at, count)


@st.fragment
def _inspector(view: View, found: Contents) -> None:
    stored, _ = cached.described(view.at, jobs.Job(""))
    across = stored.cols // found.kind.block
    box, facts = st.columns([1, 3], vertical_alignment="bottom")
    text = choices.text(
        "Stored block", "stored", on=box, check=lambda text: _block(stored, text), placeholder="0, 0",
        help=f"Row and block of the row, counted from 0: there are {stored.rows:,} × {across:,}.",
    )  # fmt: skip
    if stored.factors is not None:
        st.caption("The file keeps a scale of the whole tensor beside these blocks; values below are without it.")
    block = _block(stored, text)
    first, last = block.first_col, block.first_col + block.kind.block - 1
    facts.markdown(
        f"**Block {block.row:,}, {block.block:,}** · row {block.row:,}, columns {first:,} to {last:,} · "
        f"{block.kind.nbytes:d} bytes for {block.kind.block:d} weights, "
        f"{number(block.kind.bits_per_weight, 6)} bits each"
    )
    st.dataframe(
        field_rows(block), hide_index=True, key="stored_fields", height="content",
        column_config={
            "field": st.column_config.TextColumn(help="As ggml's source calls it."),
            "bytes": st.column_config.TextColumn(help="From the block's first byte, which is 0."),
            "content": st.column_config.TextColumn(help="The bytes in hexadecimal.", width="large"),
            "meaning": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip
    groups, weights = st.columns(2, gap="medium")
    six = st.column_config.NumberColumn(format="%.6g")
    groups.dataframe(
        group_rows(block), hide_index=True, key="stored_groups", height=320,
        column_config=dict.fromkeys(("scale", "minimum", "stored d", "stored e", "d", "dmin"), six),
    )  # fmt: skip
    weights.dataframe(
        weight_rows(block), hide_index=True, key="stored_weights", height=320,
        column_config={
            "value": six, "stands for": six, "arithmetic": st.column_config.TextColumn(width="medium"),
        },
    )  # fmt: skip


def _block(stored: PackedTensor, text: str) -> StoredBlock:
    """The block that `text` names, the first where it is empty; QuantvizError where there is none."""
    place = pair(text, ",") if text else (0, 0)
    if not place:
        raise QuantvizError(f"{text!r} is no block; write its row and its number in the row, for example 0, 3.")
    return stored_block(stored, *place)
