"""What every chapter is made of: a question with its answer, a claim with its verdict, and the way to try it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from quantviz.quality.results import Verdict

from .. import say
from ..link.address import link
from ..shared.verdict import card
from ..work.bounded import BoundedCache
from ..work.tasks import KeptResult

_made: BoundedCache[Any] = BoundedCache(500, lambda _: 1)


def made(what: str, of: Hashable, make: Callable[[], Any]) -> Any | None:
    """What a chapter computes, kept by `of`; None, with a word that it is being made, while its kernels are compiled
    for the first time. what: its place in the chapter: a newer one there takes the place of an older.
    """
    return KeptResult((f"learn {what}", of), "Computing", lambda job: make(), _made).result()


def question(asked: str, answer: Callable[[], None], key: str) -> None:
    """A question whose answer is one press away."""
    with st.container(border=True):
        st.markdown(f"**{say.plain(asked)}**")
        if st.toggle("Show the answer", key=f"answer_{key}", persist_state="session"):
            answer()


def claim(number: int, decide: Callable[[], Verdict]) -> None:
    """What the article says, and what this machine computes of it."""
    with st.container(border=True):
        verdict = made(f"claim {number}", None, decide)
        if verdict is not None:
            card(verdict)


def try_it(label: str, page: str = "explore", **state: str) -> None:
    """A link to another page of the app with the chapter's state."""
    st.page_link(f"pages/{page}.py", label=label, icon=":material/arrow_outward:", query_params=link(page, **state))


def lead_on(label: str, page: str = "explore", **state: str) -> None:
    """The end of a chapter: the same, and a link to the chapter as it stands, for others to open."""
    with st.container(horizontal=True):
        try_it(label, page, **state)
        here = {name: texts for name, texts in link("learn").items() if name != "present"}
        st.page_link(
            "pages/learn.py", label="Link to this chapter as it stands", icon=":material/link:", query_params=here
        )
