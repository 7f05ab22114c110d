"""Chapter 4: one outlier, and what becomes of its neighbours."""

from __future__ import annotations

import streamlit as st

from quantviz import figures
from quantviz.lessons.outlier import MOST_SIGMAS, WEIGHTS, pulled
from quantviz.text.wording import number, share

from .. import say
from ..link import choices
from .model_claims import largest_claim
from .parts import lead_on, made, question
from .presenting import show


@st.fragment
def draw() -> None:
    st.markdown(
        f"Here are {WEIGHTS} ordinary weights, of which one is an **outlier**. The scale has to reach it, so every "
        "step grows with it, and its neighbours fall onto fewer and fewer values, at last onto zero. Pull it out."
    )
    sigmas = choices.number(
        "How far out the outlier lies, in standard deviations", "learn_sigmas", 4.0, 0.0, float(MOST_SIGMAS), 1.0,
        draw="slider", format="%g",
    )  # fmt: skip
    _pulled(sigmas)
    largest_claim()
    far = {"inject_magnitude": str(int(sigmas))} if sigmas else {}
    lead_on("Inject it into a real layer", "outliers", ref="demo", edit="inject", inject_count="1", **far)


def _pulled(sigmas: float) -> None:
    p = made("outlier", sigmas, lambda: pulled(sigmas))
    if p is None:
        return
    show(figures.lessons.pulled(p), "learn_outlier")
    whole, blocks = p.neighbours
    say.text(
        f"With one scale for all, the other weights lose {share(p.neighbours[whole])} of themselves (‖e‖/‖x‖) and "
        f"{p.zeroed[whole]} of {WEIGHTS - 1} become zero. With a scale for each 32 they lose "
        f"{share(p.neighbours[blocks])}, and {p.zeroed[blocks]} become zero: the outlier reaches no farther than "
        "its own block."
    )
    question(
        "How far out must the outlier lie for symmetric 4-bit codes to turn nearly all its neighbours into zero?",
        lambda: say.text(
            f"The step is the outlier divided by 7, and what is smaller than half a step becomes zero: at "
            f"{number(2 * 7 * 3)} standard deviations, whatever lies within 3."
        ),
        "outlier",
    )
