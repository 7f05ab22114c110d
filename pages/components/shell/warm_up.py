"""Imports and compiles what the first page needs, in the background when the server starts."""

from __future__ import annotations

import gc
import threading

import streamlit as st

import quantviz as qv
from quantviz.evaluation import default_engine


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Runs once a server: what the default view computes, on a tensor just large enough for all threads."""
    thread = threading.Thread(target=_run_the_kernels, name="warm-up", daemon=True)
    thread.start()
    return thread


def _run_the_kernels() -> None:
    stored = qv.open_model("random:normal?rows=1024&cols=1024&outliers=0.001").open("weight")
    for key in ("int4-sym-tensor", "int4-sym-b64"):
        qv.evaluate(stored, key, device=default_engine())
    gc.freeze()  # kernels stay like modules: see work/imports
