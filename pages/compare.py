"""Many schemes on one tensor: what each costs, what it loses, and which to pick."""

from __future__ import annotations

import streamlit as st

from pages.components import say
from pages.components.compare.pictures import pictures_section
from pages.components.compare.several import several_section
from pages.components.compare.table import partial_table, table_section, take_along
from pages.components.shared.charts import chart
from pages.components.shared.importance_upload import importance_upload
from pages.components.shared.left_out import left_out
from pages.components.shared.results import outcomes
from pages.components.shared.scheme_set import scheme_set, served_table
from pages.components.shell.frame import end_page, opened_view
from pages.components.work import cached
from quantviz import QuantvizError, figures
from quantviz.evaluation import Evaluation, default_engine
from quantviz.evaluation.comparison import Refusal, joint_sentence, output_sentence, table_sentences, tabulate
from quantviz.evaluation.sentences import on_top_of
from quantviz.figures.comparison import MOST_PANELS
from quantviz.text.wording import shape

view = opened_view()

say.title(f"Schemes on {view.info.name}")
say.caption(
    f"{view.at.source.ref} · {shape((view.rows, view.info.cols))} {view.info.dtype} · engine {default_engine()}"
)
schemes = scheme_set(view)
importance = importance_upload(view)
if not schemes:
    st.info("Choose schemes above, or press one of the sets.", icon=":material/balance:")
    end_page()
try:
    found = outcomes(view, schemes, importance, partial_table)
except QuantvizError as problem:
    say.error(problem)
    end_page()
if found is None:  # not computed yet: the page shows progress, or asks first
    end_page()

frame = tabulate(found)
evaluations = [outcome for outcome in found if isinstance(outcome, Evaluation)]
pinned = view.pinned and view.pinned.key
left_out(outcome for outcome in found if isinstance(outcome, Refusal))
said = [*table_sentences(frame, pinned), *filter(None, [on_top_of(view.info.dtype)])]
if said:
    say.text(*said)

pictures_section(view, evaluations, importance)
if evaluations:
    st.subheader("Bits against error")
    limits = cached.best_scalar(view.at, evaluations[0].statistics)
    chart(figures.trade_off(evaluations, pinned, limits), "trade_off")
    say.caption(figures.limits_note(evaluations, limits))
    if importance is not None and importance.calibration is not None:
        st.subheader("Bits against the error of the layer's output")
        chart(figures.trade_off(evaluations, pinned, metric="output_sqnr_db"), "output_trade_off")
        if any(scheme.act is not None for scheme in schemes):
            st.caption("Of the weights alone: what quantizing the inputs adds (act=) stands in the table below.")
        if told := list(filter(None, [output_sentence(frame), joint_sentence(frame)])):
            say.text(*told)
table_section(view, frame, importance)
if evaluations:
    st.subheader("Weights after each scheme")
    chart(figures.histogram_grid(evaluations, pinned), "histograms", [e.scheme for e in evaluations])
    st.caption(
        "Each panel shows the same range of weights, counts on a logarithmic axis."
        + f" The first {MOST_PANELS} of {len(evaluations)} schemes." * (len(evaluations) > MOST_PANELS)
    )
several = several_section(view, schemes, importance)
served_table()
take_along(view, frame, importance, several)
