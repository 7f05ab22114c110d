"""Scripts that the frame runs in the visitor's browser."""

from __future__ import annotations

import streamlit as st

HOLDER = "frame_script_"  # begins the key of what holds one


def script(name: str, code: str) -> None:
    """Runs JavaScript in the page; takes no room there (shell/style.py)."""
    with st.container(key=HOLDER + name):
        st.html(f"<script>{code}</script>", unsafe_allow_javascript=True)
