"""The sidebar that all pages share."""

from __future__ import annotations

import streamlit as st

from ..selection import View
from ..shell.frame import page_links
from .scheme_controls import chosen_schemes, scheme_controls
from .tensor_controls import tensor_controls

WITHOUT_TENSOR = ("number_formats", "learn", "glossary")
WITHOUT_SCHEME = ("number_formats", "quality", "whole_model", "learn", "glossary")


def sidebar(page: str) -> None:
    """Draws the links to pages and the controls that this page takes; `state.current` gives what they say."""
    with st.sidebar:
        with st.container(gap="xsmall"):
            page_links()
        tensor, scheme = st.container(), st.container()
        if page in WITHOUT_SCHEME:
            chosen, pinned = chosen_schemes()
        else:
            with scheme:
                chosen, pinned = scheme_controls()
        with tensor:
            found = None if page in WITHOUT_TENSOR else tensor_controls()
    at, info, token = found or (None, None, None)
    st.session_state["_view"] = View(chosen, pinned, at, info, token)
