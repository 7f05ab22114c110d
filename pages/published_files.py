"""Published files: what one has lost of its original, and what the named mixes of llama.cpp make of a model."""

from __future__ import annotations

import streamlit as st

from pages.components.link import choices
from pages.components.published.against import against_section
from pages.components.published.mixes import mixes_section
from pages.components.published.several import several_section
from pages.components.shell.frame import opened_view

AGAINST, SEVERAL, MIXES = "File against original", "Several files", "Named mixes"

view = opened_view()
st.title("Published files", anchor=False)
chosen = choices.one_of(
    st.segmented_control, "What to look at", "gguf", (AGAINST, SEVERAL, MIXES), AGAINST, label_visibility="collapsed"
)
if chosen == MIXES:
    mixes_section(view)
elif chosen == SEVERAL:
    several_section(view)
else:
    against_section(view)
