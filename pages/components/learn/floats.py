"""Chapter 2: how a float is built, and where weights lie."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import streamlit as st

import quantviz as qv
from quantviz import figures
from quantviz.formats import bits, get, numerals, worked
from quantviz.lessons import claims
from quantviz.lessons.floats import median_share
from quantviz.text.wording import share

from .. import say
from ..link import choices
from ..link.address import put
from ..shared import bit_toggles
from .parts import claim, lead_on, made, question
from .presenting import show

FORMATS = ("fp16", "bf16", "fp8_e4m3", "fp4_e2m1")
DEFAULT_FORMAT, DEFAULT_VALUE = "fp8_e4m3", "0.1"
LAYER = "model.layers.1.mlp.down_proj.weight"


@st.fragment
def draw() -> None:
    st.markdown(
        "A float has a **sign**, an **exponent** that says how large it is, and a **mantissa** that says where it lies "
        "between one power of two and the next. Fewer exponent bits reach less far; fewer mantissa bits leave larger "
        "gaps. Press a bit to flip it."
    )
    bit_toggles.style()
    left, right = st.columns(2)
    name = choices.one_of(left.segmented_control, "Format", "learn_format", FORMATS, DEFAULT_FORMAT)
    text = choices.text("A number", "learn_value", DEFAULT_VALUE, on=right, check=lambda text: _read(text, name))
    f, reading = get(name), _read(text, name)
    bit_toggles.show("learn", f, reading.code, lambda code: put(learn_value=numerals.text_of(f, code, 1.0)))
    becomes = bits.value(f, reading.code)
    say.text(f"{text} becomes {numerals.digits(becomes)}: {worked.arithmetic(f, reading.code)[0]}")
    if reading.typed is not None:
        error = Fraction(becomes) - Fraction(reading.typed)
        say.caption(
            f"Error: {numerals.digits(float(error))}. {len(bits.ranks(f)):,} different values are there in all."
        )
    st.markdown("**Where the weights of a layer lie**, and where each format puts its values")
    statistics = made("layer", None, lambda: qv.describe(_layer()))
    if statistics is None:
        return
    show(figures.lessons.near_zero(statistics, ("int8", "fp8_e4m3", "nf4", "fp4_e2m1")), "learn_near_zero")
    st.caption(
        "Each format's largest value stands at the layer's largest weight. Integers are spread evenly; floats and nf4 "
        "lie densest near zero, where most weights are."
    )
    question(
        f"Half of all values of {name} lie below which share of its largest?",
        lambda: say.text(
            f"Below {share(median_share(f))}. Every step of the exponent halves the size and holds as many values as "
            "the step above it, so that most values lie far below the largest: where most weights are."
        ),
        "floats",
    )
    claim(2, lambda: claims.near_zero(_layer(), f"{LAYER} of the demo model"))
    lead_on("See this layer in Explore", ref="demo", tensor=LAYER, scheme=name)


def _layer() -> Any:
    return qv.open_model("demo").open(LAYER)


def _read(text: str, name: str) -> numerals.Reading:
    return numerals.read(text, get(name))
