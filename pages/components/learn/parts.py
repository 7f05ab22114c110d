"""What every chapter is made of: a question with its answer, a claim with its verdict, and the way to try it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from quantviz.quality.results import Verdict

from .. import say
from ..link.address import link
from ..shared.verdict import card


def question(asked: str, answer: Callable[[], None], key: str) -> None:
    """A question whose answer is one press away."""
    with st.container(border=True):
        st.markdown(f"**{say.plain(asked)}**")
        if st.toggle("Show the answer", key=f"answer_{key}", persist_state="session"):
            answer()


def claim(verdict: Verdict) -> None:
    """What the article says, and what this machine has just computed of it."""
    with st.container(border=True):
        card(verdict)


def try_it(label: str, page: str = "explore", **state: str) -> None:
    """A link to another page of the app with the chapter's state."""
    st.page_link(f"pages/{page}.py", label=label, icon=":material/arrow_outward:", query_params=link(page, **state))
