"""From a view to its evaluations: at once where that is quick, as a job with progress where it is not."""

from __future__ import annotations

import streamlit as st

from quantviz.evaluation import Evaluation
from quantviz.schemes import Scheme
from quantviz.wording import count, size

from . import cached, jobs
from .state import View

LARGE = 1 << 26  # weights; what is larger is not loaded before the visitor says so
FIRST_LOOK = 1 << 24  # weights of the row range offered instead


def evaluated(view: View, scheme: Scheme) -> Evaluation | None:
    """The evaluation under `scheme`; None while it is being made or waits for a word of the visitor's.

    Raises QuantvizError for a tensor or a scheme that does not fit.
    """
    if view.at is None:
        return None
    found = cached.ready(view.at, scheme.key)
    if found is not None:
        return found
    if view.weights > LARGE and view.at not in st.session_state.setdefault("_agreed", set()):
        _ask_first(view)
        return None
    return jobs.result(
        (view.at, scheme.key), f"{view.at.tensor}", lambda job: cached.evaluate(view.at, scheme.key, job)
    )


def _ask_first(view: View) -> None:
    """What a large tensor will take, and the choice of a part of it."""
    weights, info = view.weights, view.info
    nbytes = weights * info.nbytes / info.size
    rows = max(1, min(info.rows, FIRST_LOOK // info.cols))
    lines = [f"**{info.name}** has {count(weights)} weights, {size(nbytes)} as stored."]
    if view.at.source.ref.startswith("hf:"):
        lines.append(f"- Download: {jobs.estimate(nbytes, 'B')}, unless it is in the cache already")
    # Once for the tensor's own statistics, once under the scheme.
    lines.append(f"- Evaluation: {jobs.estimate(2 * weights, 'weights')}, in pieces, never held whole as float32")
    st.info("\n".join(lines), icon=":material/hourglass_top:")
    with st.container(horizontal=True):
        st.button("Evaluate all of it", type="primary", on_click=_agree, args=(view,))
        if rows < info.rows:
            st.button(f"Only the first {rows:,} rows", on_click=_take_rows, args=(rows,))
    st.caption("Any other range of rows can be written in the sidebar.")


def _agree(view: View) -> None:
    st.session_state["_agreed"].add(view.at)


def _take_rows(rows: int) -> None:
    st.session_state["rows"] = f"0:{rows}"
