"""Chapter 8: what people really ship."""

from __future__ import annotations

import streamlit as st

import quantviz as qv
from quantviz import figures
from quantviz.block_types import BLOCK_TYPES
from quantviz.checkpoints.conformance import conformance
from quantviz.figures.block_types import block_layout
from quantviz.figures.number_line import FormatRow, number_line, whole_range
from quantviz.formats import bits, get
from quantviz.lessons.shipped import SHIPPED, Shipped, losses
from quantviz.metrics import value_text
from quantviz.schemes import Scheme
from quantviz.text.wording import number, share

from .. import say
from ..link import choices
from ..shared.tables import table
from .floats import LAYER
from .model_claims import model_claims
from .parts import lead_on, made, question
from .presenting import show

NAMES = tuple(item.name for item in SHIPPED)


@st.fragment
def draw() -> None:
    st.markdown(
        "Hardly anyone ships plain rounding with one scale. What is on the Hub are a handful of formats, each with a "
        "different answer to the same two questions: which **levels** there are, and how many weights share a "
        "**scale**."
    )
    name = choices.one_of(st.segmented_control, "Format", "learn_shipped", NAMES, NAMES[0])
    item = SHIPPED[NAMES.index(name)]
    say.text(item.idea)
    say.caption(f"You meet it in: {item.who}.")
    _picture(item)
    found = made("losses", None, lambda: losses(qv.open_model("demo").open(LAYER)))
    if found is None:
        return
    st.markdown("**What plain rounding in each costs a layer** of the demo model")
    table(
        {"format": [x.name for x in found], "scheme": [x.scheme for x in found],
         "bits a weight": [x.bits for x in found],
         "error, ‖e‖/‖x‖": [x.relative_error for x in found], "SQNR": [x.sqnr_db for x in found]},
        {"bits a weight": number, "error, ‖e‖/‖x‖": share, "SQNR": lambda v: value_text("sqnr_db", v)},
        "learn_losses", height="content",
    )  # fmt: skip
    st.caption("GPTQ and AWQ look at the layer's inputs: they make its output better, often its weights worse.")
    question(
        "MXFP4 and NVFP4 have the same levels. Why does NVFP4 lose less?",
        lambda: say.text(_answer(found)),
        "shipped",
    )
    model_claims(6)
    lead_on(f"Open it in Explore: {say.name(item.scheme)}", ref="demo", tensor=LAYER, scheme=item.scheme)


def _picture(item: Shipped) -> None:
    scheme = Scheme.parse(item.scheme)
    if item.packed:
        layouts = [layout for c in conformance() for layout in c.layouts if layout.stored_as == item.packed]
        show(figures.packed_layout(layouts[0].fields), "learn_packed")
    elif scheme.format in BLOCK_TYPES:
        show(block_layout(BLOCK_TYPES[scheme.format]), "learn_block_layout")
    else:
        element = bits.element(get(scheme.format))
        rows = [FormatRow(element), FormatRow(get("int4"), _reach(element) / 7)]
        show(number_line(rows, whole_range(rows)), "learn_levels")
        st.caption("Its levels, over those of a 4-bit integer with the same largest value.")


def _reach(element) -> float:
    return FormatRow(element).largest


def _answer(found: list) -> str:
    mx, nv = (next(x for x in found if x.name == name) for name in ("MXFP4", "NVFP4"))
    return (
        f"On this layer {share(nv.relative_error)} against {share(mx.relative_error)}, at {number(nv.bits)} against "
        f"{number(mx.bits)} bits: its blocks are half as long, and its scale can be any float of 8 bits, so that the "
        "largest weight of a block becomes the largest level. MXFP4's power of two puts it anywhere from 4 to 8 times "
        "the scale, and what lies beyond the largest level, 6, is cut off."
    )
