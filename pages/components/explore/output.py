"""The layer seen from its inputs: how its output errs, what it is fed by channel and token, who carries the error."""

from __future__ import annotations

import streamlit as st

from quantviz import Quantized, figures
from quantviz.evaluation import Evaluation
from quantviz.evaluation.layer_output import LayerOutput, layer_sentences
from quantviz.evaluation.sentences import output_sentence
from quantviz.metrics import METRICS, value_text

from .. import say
from ..selection import Importance, View
from ..shared.charts import chart
from ..terms import metric_help
from ..work import cached
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult
from .solved import quantized

HEADLINES = (
    "output_relative_error", "heldout_output_relative_error", "joint_output_relative_error",
    "heldout_joint_output_relative_error", "output_share_of_weights", "output_share_of_inputs",
)  # fmt: skip
_found: BoundedCache[LayerOutput] = BoundedCache(64 << 20, lambda found: 1 << 18)


def output_section(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    """Nothing where the layer's inputs are not known."""
    if importance is None or importance.calibration is None:
        return
    say.subheader(
        "The layer's inputs and its output",
        help="From the calibration's inputs: what the layer is fed, what of it meets the codes, and which input "
        "channels carry the error of its output.",
    )
    names = [name for name in HEADLINES if name in evaluation.metrics]
    for column, name in zip(st.columns(max(len(names), 4)), names, strict=False):
        metric = METRICS[name]
        say.metric(
            metric.label, value_text(name, evaluation.metrics[name]), None, metric.direction, help=metric_help(metric),
            on=column,
        )  # fmt: skip
    if text := output_sentence(evaluation):
        say.text(text)
    if not importance.calibration.has_sample:
        return
    q = quantized(view, importance).ready if view.scheme.uses_data else None
    if q is None and view.scheme.uses_data:  # the section of blocks makes it, and then runs the page anew
        return
    _figures(view, importance, q)


@st.fragment
def _figures(view: View, importance: Importance, q: Quantized | None) -> None:
    found = _look(view, importance, q).result()
    if found is None:
        return
    if said := layer_sentences(found):
        say.text(*said)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Largest inputs of each channel**")
        chart(figures.inputs.channels(found), "input_channels")
        st.markdown("**Inputs by token and channel**, as they come")
        chart(figures.inputs.tokens(found, "before"), "input_tokens")
    with right:
        st.markdown("**Who carries the error of the output**")
        carriers = figures.inputs.carriers(found)
        if carriers is None:
            st.caption("The output has no error under this scheme.")
        else:
            chart(carriers, "carriers")
        if found.moved:
            st.markdown("**Inputs by token and channel**, as they meet the codes")
            chart(figures.inputs.tokens(found, "after"), "met_tokens")
        else:
            st.caption(
                "The inputs meet the codes as they come: smooth= and solver=awq divide them, rotate=hadamard turns "
                "them, and a second map shows here what is left of large channels."
            )


def _look(view: View, importance: Importance, q: Quantized | None) -> KeptResult:
    def make(job: Job) -> LayerOutput:
        return cached.layer_output(view.at, view.scheme.key, importance, q, job)

    return KeptResult(("layer output", view.at, view.scheme.key, importance.digest), "The layer's output", make, _found)
