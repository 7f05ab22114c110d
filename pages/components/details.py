"""All figures, the tensor itself, and everything to take along: code, data, pictures, the link."""

from __future__ import annotations

import streamlit as st

from quantviz import export
from quantviz.evaluation import Evaluation
from quantviz.metrics import METRICS
from quantviz.statistics import TensorStatistics
from quantviz.tables import largest_weights, statistics_facts

from . import cached, say
from .blocks import opened_block
from .snippet import snippet
from .state import View
from .take_along import downloads, link_note

ALL, TENSOR, PYTHON, DATA = "All metrics", "The tensor", "Python", "Data and link"


@st.fragment
def details_section(view: View, evaluation: Evaluation, importance: cached.Importance | None) -> None:
    chosen = st.segmented_control("More", [ALL, TENSOR, PYTHON, DATA], key="details", persist_state="session")
    match chosen:
        case "The tensor":
            _tensor(evaluation.statistics)
        case "Python":
            axis, full = st.session_state.get("axis", "log"), st.session_state.get("range") == "all"
            st.code(snippet(view, opened_block(evaluation), importance, axis, full), language="python")
        case "Data and link":
            _data(view, evaluation, importance)
        case "All metrics":
            _metrics(evaluation)


def _metrics(evaluation: Evaluation) -> None:
    shown = [(METRICS[name], value) for name, value in evaluation.metrics.items()]
    st.dataframe(
        {
            "metric": [m.label for m, _ in shown],
            "value": [export.as_text(m.name, value) for m, value in shown],
            "formula": [m.formula for m, _ in shown],
            "unit": [{"fraction": "%", "": "number"}.get(m.unit, m.unit) for m, _ in shown],
            "better": [m.direction for m, _ in shown],
            "meaning": [m.meaning for m, _ in shown],
        },
        hide_index=True, height="content", column_config={"meaning": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    say.caption(
        "e = dequantized − original. "
        f"Percentiles of |e| are read from bins {evaluation.percentile_resolution:.1%} wide. "
        f"Engine: {evaluation.engine}, {evaluation.seconds:.3f} s."
    )


def _tensor(statistics: TensorStatistics) -> None:
    facts = statistics_facts(statistics)
    for start in range(0, len(facts), 4):
        for column, fact in zip(st.columns(4), facts[start : start + 4], strict=False):
            column.metric(fact.label, fact.text, help=fact.meaning)
    st.markdown("**Largest weights**")
    st.dataframe(
        largest_weights(statistics),
        hide_index=True,
        height=300,
        column_config={"in σ": st.column_config.NumberColumn(format="%.2f")},
    )


def _data(view: View, evaluation: Evaluation, importance: cached.Importance | None) -> None:
    downloads(
        (view.at.tensor, view.scheme.key),
        {
            "ref": view.at.source.ref, "tensor": view.at.tensor, "rows": view.at.rows,
            "importance": importance and importance.file, **export.as_dict(evaluation),
        },
        export.metrics_table(evaluation),
    )  # fmt: skip
    link_note(view.at.source.ref, uploads=importance is not None)
