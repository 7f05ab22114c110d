"""The sidebar that all pages share, drawn after the page where the page need not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from ..link.address import chosen
from ..selection import View
from ..shell.frame import ENDS, PageEnded, page_links
from .scheme_controls import chosen_schemes, scheme_controls
from .tensor_controls import tensor_controls

WITHOUT_TENSOR = ("number_formats", "learn", "glossary")
WITHOUT_SCHEME = ("number_formats", "quality", "whole_model", "learn", "glossary")


def around(page: str, run: Callable[[], None]) -> None:
    """Draws the sidebar and runs the page.

    The page goes first where all that can have changed since the sidebar was drawn is the schemes: then its figures
    wait for no control. Should the controls after all say something else, the page runs again.
    """
    view = _known(page)
    if view is None:
        _drawn(page)
        return _to_its_end(run)
    st.session_state["_view"] = view
    try:
        _to_its_end(run)
    except Exception:  # the page shows it, and still has a sidebar
        _drawn(page)
        raise
    if _drawn(page) != view:
        st.rerun()


def _to_its_end(run: Callable[[], None]) -> None:
    """Runs the page to its last line, or to where it ends itself."""
    st.session_state[ENDS] = True
    try:
        run()
    except PageEnded:
        pass
    finally:
        st.session_state[ENDS] = False


def _known(page: str) -> View | None:
    """What the controls will say; None where that is known only when they have been drawn."""
    view = st.session_state.get("_view")
    if view is None or view.at is None or st.session_state.get("_view_of") != _of(page):
        return None
    scheme, pinned = chosen_schemes()
    return replace(view, scheme=scheme, pinned=pinned)


def _of(page: str) -> tuple:
    """What decides which tensor is open."""
    return page, chosen("ref"), chosen("tensor"), chosen("rows")


def _drawn(page: str) -> View:
    """Draws the links to pages and the controls that this page takes; `state.current` then gives what they say."""
    with st.sidebar:
        with st.container(gap="xsmall"):
            page_links()
        tensor, scheme = st.container(), st.container()
        if page in WITHOUT_SCHEME:
            said = chosen_schemes()
        else:
            with scheme:
                said = scheme_controls()
        with tensor:
            found = None if page in WITHOUT_TENSOR else tensor_controls()
    view = View(*said, *(found or (None, None, None)))
    st.session_state["_view"], st.session_state["_view_of"] = view, _of(page)
    return view
