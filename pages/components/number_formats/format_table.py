"""All number formats side by side, what they take a weight, and the article's float4 against the hardware's."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import say
from pages.components.shared.charts import chart
from pages.components.terms import explained
from quantviz.figures import alt_text
from quantviz.figures import number_line as line
from quantviz.formats import FORMATS, FloatFormat, bits, worked
from quantviz.formats.numerals import short
from quantviz.text.wording import number

# Claim 1 of the article: bytes that a weight takes.
CLAIMED_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1, "fp4_e2m1": 0.5}
ARTICLE_FLOAT4 = FloatFormat("float4 (article)", 2, 1, "ieee", "Quantization from the ground up")

WIDTHS = {"largest": 115, "scale": 240, "source": 260}  # pixels
SPREAD = ("largest", "smallest normal", "smallest subnormal", "epsilon")  # columns over many orders of magnitude


def all_formats() -> None:
    st.subheader("All formats side by side")
    table = pd.DataFrame([_written(worked.properties(f)) for f in FORMATS.values()])
    column = st.column_config.Column
    config = {name: column(help=explained(name, meaning)) for name, meaning in worked.PROPERTIES.items()}
    config["source"] = column(help=worked.PROPERTIES["source"])  # of the format: the term is where tensors come from
    config |= {name: config[name] | {"width": w} for name, w in WIDTHS.items()}
    st.dataframe(table, hide_index=True, column_config=config, height=520, placeholder="–")
    st.caption(
        "Casts round to nearest, ties to even, and saturate: a number beyond the range becomes the largest finite "
        "value, never infinity. Scales chosen by a scheme (int, nf4, bnb_fp4, ternary) come on top of these bits. "
        + worked.MX_RULE
    )
    claim_of_bytes()
    two_kinds_of_float4()


def _written(row: dict) -> dict:
    """Values from 1e-45 to 1e38 as text: a number column cannot show both."""
    return row | {name: number(row[name], 7) for name in SPREAD if row[name] is not None}


def claim_of_bytes() -> None:
    with st.expander("Claim 1: float32 takes 4 bytes a weight; float16, bfloat16, float8, float4 take 2, 2, 1, ½"):
        if not st.button("Measure: encode 4,096 numbers, pack their codes, count the bytes", key="measure_bytes"):
            return
        measured = {name: worked.packed_bytes_a_weight(FORMATS[name]) for name in CLAIMED_BYTES}
        rows = [
            {"format": name, "claimed bytes": claimed, "measured bytes": measured[name],
             "verdict": "holds" if measured[name] == claimed else "does not hold"}
            for name, claimed in CLAIMED_BYTES.items()
        ]  # fmt: skip
        st.dataframe(pd.DataFrame(rows), hide_index=True)
        st.caption(
            "Scales add to this: "
            + ", ".join(f"{n} takes {number(worked.bits_a_weight(FORMATS[n]) / 8)}" for n in ("mxfp4", "nvfp4"))
            + " bytes a weight with the scale of its block."
        )


def two_kinds_of_float4() -> None:
    ocp = FORMATS["fp4_e2m1"]
    with st.expander("Two kinds of float4: the article's and the hardware's"):
        st.markdown(
            f"Both have 1 sign, {ocp.exponent_bits:d} exponent and {ocp.mantissa_bits:d} mantissa bit. The article "
            f"keeps IEEE 754's rule, by which the top exponent is set aside for infinity and NaN, and so spans "
            f"**±{short(ARTICLE_FLOAT4.max)}**. The OCP format that hardware uses, {say.name(ocp.name)}, has no "
            f"infinity and no NaN, spends those codes on numbers, and spans **±{short(ocp.max)}**."
        )
        lines = [line.FormatRow(ocp), line.FormatRow(ARTICLE_FLOAT4)]
        figure = line.number_line(lines, line.whole_range(lines))
        chart(figure, "two_float4")
        st.caption(alt_text(figure))
        codes = range(2 ** (ocp.bits - 1))
        st.dataframe(
            pd.DataFrame(
                [[short(bits.decode(f, code)) for code in codes] for f in (ocp, ARTICLE_FLOAT4)],
                index=[ocp.name, ARTICLE_FLOAT4.name],
                columns=[bits.bit_string(ocp, code) for code in codes],
            )
        )
