"""The same passage continued by the model as it is stored and under each scheme, token by token."""

from __future__ import annotations

import streamlit as st

from quantviz.quality.continuation import DEFAULT_PROMPT

from ..link import choices
from ..shared.passages import passages
from ..work.jobs import Job
from .state import Ask
from .tasks import going_on, without_refusals

LENGTH, LENGTHS = 40, (10, 120)


@st.fragment
def passage_section(ask: Ask, schemes: tuple[str, ...]) -> None:
    st.subheader(
        "The same passage, continued",
        help="Each model always takes the token it holds likeliest (greedy), so any difference is quantization's.",
    )
    left, right = st.columns([3, 1], gap="medium", vertical_alignment="bottom")
    prompt = choices.text("Beginning", "prompt", DEFAULT_PROMPT, on=left, help="What every model is given to continue.")
    length = choices.number("Tokens to write", "length", LENGTH, *LENGTHS, 10, on=right, draw="slider")
    task = going_on(ask, schemes, prompt, length)
    if not (ask.is_demo or task.known):
        st.caption("One token after another under each scheme takes a while with a large model.")
        st.button("Write", icon=":material/edit_note:", on_click=task.begin)
        return
    found = task.result(_so_far, patience=0.3)
    if found is not None:
        _draw(found)


def _so_far(job: Job) -> None:
    _draw(list(job.found))


def _draw(found: list) -> None:
    written = without_refusals(found)
    if written:
        passages(written)
