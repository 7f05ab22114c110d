"""The chapters in their order, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ..link import choices
from ..link.address import put
from . import blocks, choosing, floats, integers, memory, model, outlier, shipped, speed
from .parts import try_it

# Title of each chapter, and what draws it.
CHAPTERS: dict[str, Callable[[], None]] = {
    "1 What a weight costs": memory.draw,
    "2 How a float is built": floats.draw,
    "3 Rounding to integers": integers.draw,
    "4 One outlier": outlier.draw,
    "5 Blocks": blocks.draw,
    "6 What a model does": model.draw,
    "7 Speed": speed.draw,
    "8 What people ship": shipped.draw,
    "9 Which to use": choosing.draw,
}


def chapter() -> None:
    """Draws the choice of a chapter, the chapter, and buttons to the one before and after it."""
    titles, above = list(CHAPTERS), st.container()
    shown = choices.one_of(
        st.segmented_control, "Chapter", "chapter", titles, titles[0], label_visibility="collapsed", width="stretch"
    )
    if shown == titles[0]:
        with above:
            _introduction()
    CHAPTERS[shown]()
    at = titles.index(shown)
    before, after = st.columns(2)
    if at:
        before.button(titles[at - 1], icon=":material/arrow_back:", on_click=go_to, args=(titles[at - 1],))
    if at + 1 < len(titles):
        after.button(titles[at + 1], icon=":material/arrow_forward:", type="primary", on_click=go_to,
                     args=(titles[at + 1],))  # fmt: skip


def go_to(title: str) -> None:
    """For callbacks."""
    put(chapter=None if title == next(iter(CHAPTERS)) else title)


def _introduction() -> None:
    """What this is, for whoever has never seen it."""
    st.markdown(
        "**quantviz** shows what quantization does to a model: its weights are rounded to fewer bits, so that it takes "
        "less memory and runs faster, and something is lost. Nine short chapters follow Sam Rose’s article "
        "“Quantization from the ground up”. In each you move something and the figures follow at once, and what the "
        "article claims is measured on this machine. Whoever knows all that goes on to a layer:"
    )
    try_it("Explore a layer")
