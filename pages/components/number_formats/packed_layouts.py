"""The packed formats of published checkpoints: how each lies in its file, and what its reader was compared with."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from pages.components import say
from pages.components.link import choices
from pages.components.shared.charts import chart
from quantviz import figures
from quantviz.checkpoints.conformance import Conformance, PackedLayout, conformance, conformance_rows
from quantviz.text.wording import number

DEFAULT = "GPTQ int4 g32"


def labelled() -> dict[str, tuple[PackedLayout, Conformance]]:
    """Every layout by what it is called, with its rule, its library and then a number where two are called alike."""
    found = [(layout, c) for c in conformance() for layout in c.layouts]
    names = [layout.stored_as for layout, _ in found]
    for more in (lambda layout, c: layout.rule, lambda layout, c: c.library):
        times = Counter(names)
        names = [
            name if times[name] == 1 else f"{name}: {more(*each)}" for name, each in zip(names, found, strict=True)
        ]
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return dict(zip(names, found, strict=True))


@st.fragment
def packed_formats() -> None:
    st.subheader("Packed formats of published checkpoints")
    st.markdown(
        "Most quantized models on the Hub store a layer as several tensors: codes that are packed into words or bytes, "
        "and what groups of weights share. A weight is `(what its code stands for − zero point) × scale + minimum`, of "
        "which a format has some parts. Open such a model, and Explore shows the codes of its layers."
    )
    layouts = labelled()
    name = choices.one_of(
        st.selectbox, "Packed format", "packed_format", list(layouts), DEFAULT,
        help="As the tensors of a model list it: element, weights that share a scale (g), and what is special.",
    )  # fmt: skip
    layout, c = layouts[name]
    bits, rule = st.columns([1, 3], vertical_alignment="center")
    say.metric(
        "Bits per weight", number(layout.bits_per_weight, 6), on=bits,
        help="8 · bytes / weights of a small layer that was read: scales, zero points and orders count, and so they "
        "weigh more than in a large layer where one is for all of it.",
    )  # fmt: skip
    rule.markdown(say.plain(f"{layout.rule}."))
    chart(figures.packed_layout(layout.fields), "packed_layout")
    st.dataframe(
        {
            "tensor": [f.part for f in layout.fields],
            "stored as": [f.dtype for f in layout.fields],
            "axes": [f.axes for f in layout.fields],
            "meaning": [f.meaning for f in layout.fields],
        },
        hide_index=True, height="content", key="packed_fields",
        column_config={"meaning": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    say.caption(f"Compared with {c.library}: {c.equal:,} of {c.cases:,} layers equal.")
    holding = sum(c.holds for c in conformance())
    with st.expander(f"Are these the libraries' own weights? {holding:d} of {len(conformance())} checks hold"):
        st.dataframe(pd.DataFrame(conformance_rows()), hide_index=True, height="content", key="packed_conformance")
        st.caption(
            "Layers of several widths, groups and shapes, packed by each library and read back by it and by quantviz: "
            "equal bit for bit, or to the last rounding of the type in which the library gives them. The tests write "
            "this table, and fail where it is no longer true."
        )
