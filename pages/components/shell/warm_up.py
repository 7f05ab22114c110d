"""At start, in the background: import and compile what the first page needs, so that it does not wait for it."""

from __future__ import annotations

import threading

import streamlit as st

import quantviz as qv
from quantviz.evaluation import default_engine


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Once a server. A small tensor takes every path that the default view takes."""
    thread = threading.Thread(target=_run_the_kernels, name="warm-up", daemon=True)
    thread.start()
    return thread


def _run_the_kernels() -> None:
    stored = qv.open_model("random:normal?rows=64&cols=1024&outliers=0.001").open("weight")
    for key in ("int4-sym-tensor", "int4-sym-b64"):
        qv.evaluate(stored, key, device=default_engine())
