"""The dear grade: the KL divergence of the model's own predictions when one tensor alone is quantized."""

from __future__ import annotations

import pandas as pd
import streamlit as st

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.figures import sensitivity as drawn
from quantviz.sensitivity import BY, GRADES, agreement
from quantviz.text.wording import plural

from .. import say
from ..link import choices
from ..selection import DEMO_REF
from ..shared.charts import chart
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, collect, steps
from .controls import Ask

TOKENS, CONTEXT = 2048, 512
_ROW_BYTES = 1000
_found: BoundedCache[pd.DataFrame] = BoundedCache(64 << 20, lambda frame: _ROW_BYTES * len(frame))


def measured_kl(ask: Ask) -> pd.DataFrame | None:
    """The table of KL divergences by tensor, if it was measured."""
    return _task(ask, "tensor").ready


def kl_section(ask: Ask, frame: pd.DataFrame) -> None:
    """What each unit alone does to the predictions, and how well the cheap grades foretell it."""
    say.subheader(
        "What it does to the model's predictions",
        help="Each unit alone is quantized, everything else as stored, and the model's predictions are held against "
        "those of the model as it is: the mean KL divergence.",
    )  # fmt: skip
    by = choices.one_of(st.segmented_control, "Quantized alone", "kl_by", BY, BY[0])
    task = _task(ask, by)
    if not task.known:
        st.caption(
            f"A language model is measured under {plural(len(ask.schemes), 'scheme')}, one {say.name(by)} at a time, "
            f"on {TOKENS:,} tokens of the demo model's test text. Everything above is measured on the weights alone."
        )
        st.button(
            "Measure the KL divergence", icon=":material/psychology:", on_click=task.begin,
            type="primary" if ask.source.ref == DEMO_REF else "secondary",
        )  # fmt: skip
        return
    found = task.result(lambda job: _bars(pd.concat(job.found, ignore_index=True), ask) if job.found else None)
    if found is None:
        return
    _bars(found, ask)
    try:
        seen = agreement(frame, found)
    except QuantvizError as problem:
        say.caption(problem)
        return
    grades = [name for name in GRADES if name in seen.points and seen.points[name].notna().any()]
    grade = st.selectbox(
        "Foretold by", grades, key="kl_grade", format_func=lambda name: GRADES[name].label, persist_state="session"
    )
    chart(drawn.predicted(seen, grade), "kl_predicted")


def _bars(found: pd.DataFrame, ask: Ask) -> None:
    have = [scheme for scheme in ask.schemes if scheme in set(found["scheme"])]
    if have:
        chart(drawn.divergences(found, have[0]), "kl_bars")


def _task(ask: Ask, by: str) -> KeptResult:
    def make(job: Job) -> pd.DataFrame:
        arriving = qv.sensitivity(
            ask.source.opens, ask.schemes, by, tokens=TOKENS, context=CONTEXT, progress=steps(job, "windows"),
            root=ask.source.root, token=ask.token,
        )  # fmt: skip
        return pd.concat(collect(job, arriving), ignore_index=True)

    return KeptResult(("sensitivity", ask.source, ask.schemes, by), f"KL divergence by {by}", make, _found, heavy=True)
