"""One tensor under one scheme: what is lost, where, and why."""

from __future__ import annotations

import streamlit as st

from pages.components import say
from pages.components.explore.block import block_section
from pages.components.explore.details import details_section
from pages.components.explore.output import output_section
from pages.components.explore.picture import picture_section
from pages.components.explore.small import is_small, small_section
from pages.components.explore.stored import stored_section
from pages.components.explore.turning import turned, turning_slider, ways_of
from pages.components.shared.axis_controls import axis_controls
from pages.components.shared.charts import chart
from pages.components.shared.headline import headline
from pages.components.shared.importance_upload import importance_upload
from pages.components.shared.results import against_pinned, evaluated
from pages.components.shell.frame import end_page, opened_view
from pages.components.work import cached
from quantviz import QuantvizError, figures

view = opened_view()

first = st.container()
importance = importance_upload(view)
drawn = st.container()
try:
    with first:
        evaluation = evaluated(view, view.scheme, importance)
except QuantvizError as problem:
    say.title(f"{view.info.name} under {view.scheme}", on=first)
    say.error(problem)
    end_page()
if evaluation is None:  # not computed yet: the page shows progress, or asks first
    end_page()
with first:
    pinned, unfit = against_pinned(view, importance)


@st.fragment
def turning_weights(axis: str, full: bool) -> None:
    """Runs alone, and as often as it can, while the slider is dragged."""
    slider = st.container()
    ways = ways_of(view)
    now = turned(view, ways, importance)
    shown, beside = (now.evaluation, now.pinned) if now and now.evaluation else (evaluation, pinned)
    chart(figures.weights(shown, beside, axis, full), "weights", (axis, full))
    note = figures.outside_note(evaluation.statistics)
    if now:
        st.caption(f"While the slider moves, this figure is of some rows. The others are of {say.plain(view.scheme)}.")
    elif note and not full:
        say.caption(note)
    turning_slider(ways, now, slider)


@st.fragment
def histograms() -> None:
    title, counts, span = st.columns([3, 1.2, 1.2], vertical_alignment="bottom")
    title.subheader("Weights before and after")
    axis, full = axis_controls(counts, span)
    turning_weights(axis, full)
    left, right = st.columns(2, gap="medium")
    with left:
        say.subheader(
            "Errors",
            help="Dequantized minus original, over what rounding gives if weights lie evenly in their intervals.",
        )
        expected = cached.predicted_errors(view.at, evaluation, importance)
        chart(figures.errors(evaluation, expected, axis), "errors", axis)
    with right:
        st.subheader("How often each code is used")
        usage = figures.code_usage(evaluation)
        if usage is None:
            st.caption("fp32 has 4.3 billion codes, too many to count.")
        else:
            chart(usage, "codes", view.scheme.format)


with drawn:  # what has figures comes first, so that the browser draws while the rest is made
    histograms()
    if not is_small(view) or evaluation.block_errors.size > 1:
        block_section(view, evaluation, importance)
with first:
    headline(view, evaluation, pinned, unfit)
    if is_small(view):
        small_section(view, evaluation, importance)
    picture_section(view, evaluation, importance)
output_section(view, evaluation, importance)
stored_section(view)
details_section(view, evaluation, importance)
