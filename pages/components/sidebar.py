"""The sidebar that all pages share."""

from __future__ import annotations

import streamlit as st

from .frame import page_links
from .scheme_controls import scheme_controls
from .state import View
from .tensor_controls import tensor_controls


def sidebar() -> None:
    """Draws pages, tensor and scheme, and leaves the choice for the page; see `state.current`."""
    with st.sidebar:
        with st.container(gap="xxsmall"):
            page_links()
        tensor, scheme = st.container(), st.container()
        with scheme:
            chosen, pinned = scheme_controls()
        with tensor:
            found = tensor_controls()
    at, info, token = found or (None, None, None)
    st.session_state["_view"] = View(chosen, pinned, at, info, token)
