"""What app.py does around every page, and how a page makes sure that it was done."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

ABOUT = """
**quantviz** shows what quantization does to the weights of a model: point at a layer, choose a number format,
a symmetry and a block size, and see what is lost. Every format is computed exactly as the library that ships it does.
"""


def navigation(position: Literal["sidebar", "hidden"] = "sidebar") -> StreamlitPage:
    """Registers every page of the app; gives the one that the address asks for."""
    pages = [
        st.Page("pages/explore.py", title="Explore", icon=":material/search_insights:", default=True),
        st.Page("pages/compare.py", title="Compare", icon=":material/balance:"),
        st.Page("pages/outliers.py", title="Outliers", icon=":material/scatter_plot:"),
        st.Page("pages/quality.py", title="Quality", icon=":material/psychology:"),
        st.Page("pages/gguf_files.py", title="GGUF files", icon=":material/deployed_code:"),
        st.Page("pages/throughput.py", title="Throughput", icon=":material/speed:"),
        st.Page("pages/number_formats.py", title="Number formats", icon=":material/123:"),
    ]
    return st.navigation(pages, position=position)


def enter() -> None:
    """Called by app.py: the page that runs next has its sidebar."""
    st.session_state["_in_app"] = True


def require_app() -> None:
    """Begins again through app.py if the page was run without it.

    Until st.navigation is called for the first time on a server, Streamlit takes a folder `pages` for an app of
    its older kind and runs a page that is opened by its own address alone.
    """
    if not st.session_state.pop("_in_app", False):
        navigation("hidden")  # the same pages, so that the address still leads to this one
        st.rerun()


def runs_alone(page: str) -> bool:
    """Whether Streamlit was started with this very page, as tests of a page that needs no sidebar do."""
    return Path(get_script_run_ctx().main_script_path).resolve() == Path(page).resolve()
