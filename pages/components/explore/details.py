"""All figures, the tensor itself, and everything to take along: code, data, pictures, the link."""

from __future__ import annotations

from functools import partial

import streamlit as st

from quantviz.evaluation import Evaluation, export
from quantviz.evaluation.facts import largest_weights_table, statistics_facts
from quantviz.statistics import TensorStatistics
from quantviz.text.wording import count, decimals, number, share

from .. import say
from ..selection import Importance, View
from ..shared.snippet import tensor_snippet
from ..shared.tables import all_metrics, table
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more
from ..shared.typeset import of_view
from .block import opened_block, shown_weight


def details_section(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    more("details", {
        "All metrics": lambda: _metrics(evaluation),
        "The tensor": lambda: _tensor(evaluation.statistics),
        PYTHON: lambda: _python(view, evaluation, importance),
        DATA: lambda: _data(view, evaluation, importance),
    })  # fmt: skip


def _python(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    axis, full = st.session_state.get("axis", "log"), st.session_state.get("range") == "all"
    place, around = opened_block(evaluation), shown_weight(view, evaluation)
    st.code(tensor_snippet(view, place, importance, axis, full, around), language="python", wrap_lines=True)


def _metrics(evaluation: Evaluation) -> None:
    all_metrics(evaluation, "all_metrics")
    say.caption(
        "e = dequantized − original. "
        f"Percentiles of |e| are read from bins {share(evaluation.percentile_resolution)} wide. "
        f"Engine: {evaluation.engine}, {decimals(evaluation.seconds, 3)} s."
    )


def _tensor(statistics: TensorStatistics) -> None:
    facts = statistics_facts(statistics)
    for start in range(0, len(facts), 4):
        for column, fact in zip(st.columns(4), facts[start : start + 4], strict=False):
            say.metric(fact.label, fact.text, help=fact.meaning, on=column)
    st.markdown("**Largest weights**")
    how = {"row": count, "column": count, "weight": partial(number, fixed=True), "in σ": partial(decimals, places=2)}
    table(largest_weights_table(statistics), how, "largest_of_tensor", height=300)


def _data(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    downloads(
        (view.at.tensor, view.scheme.key),
        {
            **of_view(view),
            "importance": importance and importance.file, **export.evaluation_dict(evaluation),
        },
        export.metrics_table(evaluation),
    )  # fmt: skip
    link_note(view.at.source.ref, uploads=importance is not None)
