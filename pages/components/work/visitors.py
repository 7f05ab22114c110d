"""Visitors and their browser windows (Streamlit's sessions), and whether a window is still open."""

from __future__ import annotations

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


def is_connected(session: str) -> bool:
    """Whether the browser window is connected to the server now."""
    return runtime.exists() and runtime.get_instance().is_active_session(session) is True
