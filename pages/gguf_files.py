"""GGUF files: what a published one has lost of its original, and what the named mixes make of a model."""

from __future__ import annotations

import streamlit as st

from pages.components.gguf.against import against_section
from pages.components.gguf.mixes import mixes_section
from pages.components.link import choices
from pages.components.link.state import current
from pages.components.shell.frame import require_app

AGAINST, MIXES = "File against original", "Named mixes"

require_app()
view = current()
if view.at is None:  # no tensor is open yet: the sidebar says why
    st.stop()
st.title("GGUF files", anchor=False)
chosen = choices.one_of(
    st.segmented_control, "What to look at", "gguf", (AGAINST, MIXES), AGAINST, label_visibility="collapsed"
)
if chosen == MIXES:
    mixes_section(view)
else:
    against_section(view)
