"""A tensor that a file holds as codes, as it is: codes, scales, zero points, minima, and one group weight by weight."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.checkpoints.decoded import Decoded
from quantviz.published.contents import Contents, contents, contents_sentence
from quantviz.published.stored import (
    StoredBlock,
    StoredGroup,
    field_rows,
    group_rows,
    groups_of,
    stored_block,
    weight_rows,
)
from quantviz.tensors import StoredTensor
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
    """Drawn where the file holds the chosen tensor as codes; nothing for others."""
    if view.info.packing is None and not view.info.decoded:
        return
    say.subheader(
        f"As it is stored: {view.info.dtype}",
        help="What the file holds, before anything is quantized here: its codes, and the scales (and zero points or "
        "minima) that groups of weights share. A weight is (what its code stands for − zero point) × scale + minimum, "
        "of which a format has the parts that are shown.",
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
    if found.counts is not None:
        with left:
            st.markdown("**Codes in the file**")
            chart(figures.stored_codes(found), "stored_codes")
    with right:
        st.markdown("**Scales of its groups**" if found.minima is None else "**Scales and minima of its groups**")
        chart(figures.stored_scales(found), "stored_scales")
    if found.zeros is not None:
        with left:
            st.markdown("**Zero points of its groups**")
            chart(figures.stored_zeros(found), "stored_zeros")
    _inspector(view)


def _counted(view: View, job: jobs.Job) -> Contents:
    def count() -> Contents:
        stored, _ = cached.described(view.at, job)
        return contents(stored, job.step("counting codes and scales", "counted"))

    return _contents.get(view.at, count)


@st.fragment
def _inspector(view: View) -> None:
    stored, _ = cached.described(view.at, jobs.Job(""))
    what = "group" if isinstance(stored, Decoded) else "block"
    box, facts = st.columns([1, 3], vertical_alignment="bottom")
    text = choices.text(
        f"Stored {what}", "stored", on=box, check=lambda text: _block(stored, text), placeholder="0, 0",
        help=f"Row and {what} of the row, counted from 0: there are {stored.rows:,} × {groups_of(stored):,}.",
    )  # fmt: skip
    block = _block(stored, text)
    if isinstance(block, StoredGroup):
        _group_facts(facts, stored, block)
    else:
        _block_facts(facts, stored, block)
    groups, weights = st.columns([2, 3], gap="medium")
    six = st.column_config.NumberColumn(format="%.6g")
    shared = group_rows(block)
    groups.dataframe(
        shared, hide_index=True, key="stored_groups", height="content" if isinstance(block, StoredGroup) else 320,
        column_config={name: six for name, values in shared.items() if isinstance(values[0], float)},
    )  # fmt: skip
    weights.dataframe(
        weight_rows(block), hide_index=True, key="stored_weights", height=320,
        column_config={
            "value": six, "stands for": six, "arithmetic": st.column_config.TextColumn(width="medium"),
        },
    )  # fmt: skip


def _block_facts(facts: st.delta_generator.DeltaGenerator, stored: StoredTensor, block: StoredBlock) -> None:
    """Where a block of a GGUF file lies, and its bytes field by field."""
    if stored.factors is not None:
        st.caption("The file keeps a scale of the whole tensor beside these blocks; values below are without it.")
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


def _group_facts(facts: st.delta_generator.DeltaGenerator, stored: Decoded, group: StoredGroup) -> None:
    """How a layer of a quantized checkpoint lies in its file, tensor by tensor."""
    layer = group.layer
    facts.markdown(
        f"**Group {group.row:,}, {group.group:,}** · row {group.row:,}, {len(group.columns):,} weights · the layer "
        f"takes {number(stored.bits_per_weight, 6)} bits a weight, everything that belongs to it counted"
    )
    say.caption(f"{layer.rule}. Read as {layer.home} reads it." if layer.home else layer.rule)
    if layer.fields:
        chart(figures.packed_layout(layer.fields), "stored_layout")


def _block(stored: StoredTensor, text: str) -> StoredBlock | StoredGroup:
    """The block or group that `text` names, the first where it is empty; QuantvizError where there is none."""
    place = pair(text, ",") if text else (0, 0)
    if not place:
        raise QuantvizError(f"{text!r} is no block; write its row and its number in the row, for example 0, 3.")
    return stored_block(stored, *place)
