"""Chapter 1: what a weight is, and what it costs to keep."""

from __future__ import annotations

import streamlit as st

from quantviz import figures
from quantviz.lessons import claims
from quantviz.lessons.memory import MODELS, largest_that_fits, memory, sizes
from quantviz.text.wording import number, size

from .. import say
from ..link import choices
from .parts import claim, lead_on, question
from .presenting import show

DEFAULT = "8"


@st.fragment
def draw() -> None:
    st.markdown(
        "A language model is a list of numbers, its **weights**. Training finds them; to run the model, the machine "
        "reads every one of them for every word it writes. How many bytes each takes decides what fits into memory, "
        "and how long a word takes. Move the slider: the bars are the weights alone, scales and all else counted."
    )
    billions = float(choices.one_of(
        st.select_slider, "Weights of the model, in billions", "learn_size", [number(b) for b in MODELS], DEFAULT,
    ))  # fmt: skip
    stored, here = sizes(billions), memory()
    show(figures.lessons.memory_bars(stored, here), "learn_memory")
    whole, small = stored[0], next(s for s in stored if s.scheme.startswith("int4"))
    say.text(
        f"{number(billions)} billion weights of 4 bytes take {size(whole.nbytes)}; with 4 bits a weight and the scales "
        f"that go with them, {size(small.nbytes)}, {number(whole.nbytes / small.nbytes, 2)} times less."
    )
    question(
        "What is the largest of these models whose weights fit into the memory of this machine with 4 bits a weight?",
        lambda: say.text(_answer(here)),
        "memory",
    )
    claim(1, claims.bytes_a_weight)
    lead_on("See one format bit by bit", "number_formats")


def _answer(here: int | None) -> str:
    if here is None:
        return "The system of this machine does not say how much memory it has."
    fits = largest_that_fits("int4-asym-b32", here)
    if fits is None:
        return f"None: {size(here)} is less than the smallest takes."
    return (
        f"{number(fits)} billion weights, in {size(here)}. Some memory has to be left for the text that the model "
        "reads and for everything else that runs."
    )
