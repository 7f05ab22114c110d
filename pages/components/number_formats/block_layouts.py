"""GGUF's block types: each layout drawn to scale, its rule in a sentence, its bits, and whether it is ggml's own."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import say
from pages.components.link import choices
from pages.components.shared.charts import chart
from quantviz.block_types import BLOCK_TYPES
from quantviz.block_types.base import SOURCE
from quantviz.block_types.conformance import conformance, conformance_rows
from quantviz.figures.block_types import block_layout, block_type_bits
from quantviz.text.wording import count, number

DEFAULT = "q4_k"


@st.fragment
def block_types() -> None:
    st.subheader("GGUF's block types")
    st.markdown(
        "The files of llama.cpp store weights in packed blocks, each type with a rule of its own. A weight is "
        "`scale · number + minimum`: the number is what its code stands for; a group shares scale and minimum."
    )
    name = choices.one_of(st.selectbox, "Block type", "block_type", list(BLOCK_TYPES), DEFAULT)
    kind = BLOCK_TYPES[name]
    weights, size, bits, group = st.columns(4)
    weights.metric("Weights a block", count(kind.block))
    size.metric("Bytes a block", count(kind.nbytes))
    say.metric(
        "Bits per weight", number(kind.bits_per_weight, 6), help="8 · bytes / weights: everything stored counts.",
        on=bits,
    )  # fmt: skip
    say.metric("Weights a scale", count(kind.group), help="How many neighbours share a scale.", on=group)
    say.text(kind.rule)
    chart(block_layout(kind), "block_layout")
    st.dataframe(
        {
            "field": [f.name for f in kind.fields],
            "bytes": [f.size for f in kind.fields],
            "from byte": [f.offset for f in kind.fields],
            "holds": [f.role for f in kind.fields],
            "meaning": [f.meaning for f in kind.fields],
        },
        hide_index=True, height="content", key="block_fields",
        column_config={"meaning": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    uses = "Importance of the input channels changes its bytes." if kind.uses_importance else "It ignores importance."
    say.caption(
        ("It cannot be quantized without importance of the input channels." if kind.needs_importance else uses)
        + f" Source: {kind.source}."
    )
    with st.expander("All block types side by side"):
        chart(block_type_bits(BLOCK_TYPES.values()), "block_type_bits")
    _conformance()


def _conformance() -> None:
    checks = conformance()
    holding = sum(c.holds for c in checks)
    with st.expander(f"Are these ggml's own bytes? {holding:d} of {len(checks)} checks hold"):
        st.dataframe(pd.DataFrame(conformance_rows()), hide_index=True, height=420, key="conformance")
        say.caption(
            "Rows quantized here and by ggml's own code, byte for byte, and weights read back, bit for bit, also from "
            "bytes made at random. The tests write this table, and fail where it is no longer true. ggml's own code is "
            f"that of {SOURCE}; "
            + " ".join(f"{kind.name}: {kind.since}." for kind in BLOCK_TYPES.values() if kind.since)
        )
