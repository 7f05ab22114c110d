"""What the measurements say about the article's claims, and how fragile training makes a model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from quantviz import figures
from quantviz.quality.results import QualityResult, SuperWeights
from quantviz.quality.text.words import fragility_sentence
from quantviz.quality.train_demo.log import demo_checkpoints
from quantviz.quality.verdicts import quality_verdicts

from .. import say
from ..shared.charts import chart
from ..shared.verdict import card
from .state import Ask
from .tasks import without_largest

OUTLIERS = 9  # the claim about the largest weights


def verdicts_section(ask: Ask, results: Sequence[QualityResult]) -> list[SuperWeights]:
    """Draws a card for each claim; returns the measurements of the claim about the largest weights."""
    st.subheader(
        "What the article claims",
        help="Judged by this page's own measurements, on this model and text, at the granularity that each card names.",
    )
    task = without_largest(ask)
    supers = task.ready or []
    given = quality_verdicts(results, supers)
    for start in range(0, len(given), 2):
        for column, verdict in zip(st.columns(2, gap="medium"), given[start : start + 2], strict=False):
            with column.container(border=True, height="stretch"):
                card(verdict)
                if verdict.claim == OUTLIERS:
                    _largest(ask, supers)
    return supers


def _largest(ask: Ask, supers: list[SuperWeights]) -> None:
    """The measurement of claim 9, which takes some twenty passes of its own."""
    if supers:
        chart(figures.quality_details.super_weights(supers), "super_weights")
        return
    task = without_largest(ask)
    if not (ask.is_demo or task.known):
        st.button("Set the largest weights to zero", icon=":material/scatter_plot:", on_click=task.begin)
        return
    if task.result(patience=0.2) is not None:
        st.rerun()  # the verdict above was given without it


@st.fragment
def fragility_section() -> None:
    """An early and a late checkpoint of the demo model beside one another."""
    st.subheader(
        "Longer trained, more fragile",
        help="The demo model was rounded at three steps of its training; the log lies beside the model.",
    )
    checkpoints = demo_checkpoints()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chart(figures.quality_details.fragility(checkpoints), "fragility")
    with right:
        say.text(fragility_sentence(checkpoints))
        st.markdown(
            "A model that learned more holds more in the same weights, so there is less to spare for rounding. That is "
            "why a small model trained briefly says little about how a large one takes to few bits."
        )
        st.caption(
            "Blocks of 32 or one scale a tensor, every linear layer but the output head; "
            "windows of 512 tokens of the held-out book, the second half of each scored."
        )
