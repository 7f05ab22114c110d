"""The chapters in their order, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from .. import say
from ..link import choices
from ..link.address import put
from . import blocks, choosing, floats, integers, memory, model, outlier, shipped, speed
from .parts import try_it
from .presenting import AFTER, BEFORE, END, present_switch, presents, switch_on

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


TITLES = tuple(CHAPTERS)


def chapter() -> None:
    """Draws the page: its title and the choice of a chapter, the chapter, and what leads on from it."""
    shown = _head()
    CHAPTERS[shown]()
    at = TITLES.index(shown)
    before, after = st.columns(2)
    if at:
        before.button(TITLES[at - 1], key=BEFORE, icon=":material/arrow_back:", on_click=go_to, args=(TITLES[at - 1],))
    if at + 1 < len(TITLES):
        after.button(
            TITLES[at + 1], key=AFTER, icon=":material/arrow_forward:", type="primary", on_click=go_to,
            args=(TITLES[at + 1],),
        )  # fmt: skip


def _head() -> str:
    """Draws what stands above the chapter; returns its title."""
    if presents():
        title, chooser, end = st.columns([6, 3, 1], vertical_alignment="bottom")
        shown = choices.one_of(chooser.selectbox, "Chapter", "chapter", TITLES, TITLES[0], label_visibility="collapsed")
        say.title(shown, on=title)
        end.button("End", key=END, icon=":material/close:", on_click=put, kwargs={"present": None})
        switch_on()
        return shown
    title, switch = st.columns([5, 1], vertical_alignment="center")
    title.title("Learn", anchor=False)
    present_switch(switch)
    above = st.container()
    shown = choices.one_of(
        st.segmented_control, "Chapter", "chapter", TITLES, TITLES[0], label_visibility="collapsed", width="stretch"
    )
    if shown == TITLES[0]:
        with above:
            _introduction()
    return shown


def go_to(title: str) -> None:
    """For callbacks."""
    put(chapter=None if title == TITLES[0] else title)


def _introduction() -> None:
    """What this is, for whoever has never seen it."""
    st.markdown(
        "**quantviz** shows what quantization does to a model: its weights are rounded to fewer bits, so that it takes "
        "less memory and runs faster, and something is lost. Nine short chapters follow Sam Rose’s article "
        "“Quantization from the ground up”. In each you move something and the figures follow at once, and what the "
        "article claims is measured on this machine. Whoever knows all that goes on to a layer:"
    )
    try_it("Explore a layer")
