"""Visitors and their browser windows (Streamlit's sessions), and whether a window is still open."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


def session() -> str:
    """The browser window whose page is being drawn; "" outside of a page."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def visitor() -> str:
    """The visitor: a machine by its address, so that all its windows are one visitor; else the window itself."""
    return (st.context.ip_address if runtime.exists() else None) or session()


def agreed(what: Hashable) -> bool:
    """Whether the visitor has agreed, in this window, to a computation that takes long."""
    return what in st.session_state.setdefault("_agreed", set())


def agree(what: Hashable) -> None:
    """For callbacks: the visitor agrees to it."""
    st.session_state["_agreed"].add(what)


def is_connected(session: str) -> bool:
    """Whether the browser window is connected to the server now."""
    return runtime.exists() and runtime.get_instance().is_active_session(session) is True


def forget_closed() -> None:
    """Has Streamlit drop the windows that were closed more than two minutes ago, to which no visitor can come back.

    Of its own it drops them when the next window is closed, and its loop holds the last one until another is opened:
    little, but spread over all that is free, which therefore does not go back to the system. That one is emptied.
    """
    if not runtime.exists():
        return
    with suppress(AttributeError, TypeError):  # no part of what Streamlit promises
        manager = runtime.get_instance()._session_mgr
        with manager._storage_lock:
            closed = manager._session_storage._cache.expire()
        for window in (info.session for _, info in closed):
            window.shutdown()
            if window._scriptrunner is None:  # else a page is still being drawn
                ended = window._state
                vars(window).clear()
                window._state = ended  # by which it knows that it is shut down
