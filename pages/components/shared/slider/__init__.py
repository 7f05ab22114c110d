"""A slider that is answered while it is moved. Streamlit's own says nothing before the hand rests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from streamlit.components.v1 import declare_component


class Turn(NamedTuple):
    """What can be turned. steps: what stands at each place of the slider.  at: the place of what is chosen."""

    name: str
    steps: tuple[str, ...]
    at: int


def slider(key: str, turns: Sequence[Turn], said: str, on_rest: Callable[[], None]) -> None:
    """Draws the slider, and beside it, where there are several, which of `turns` it moves.

    said: what stands beside it.  on_rest: called when it comes to rest, at `place(key, turns, "rest")`.
    Draw it last of what it moves: the browser tells of the next place when it has been drawn.
    """
    moving = _told(key, "moving")
    data = {"quantities": [turn._asdict() for turn in turns], "said": said, "answered": moving.get("serial", 0)}
    _element()(key=key, data=data, on_moving_change=_nothing, on_rest_change=on_rest)


def place(key: str, turns: Sequence[Turn], when: str) -> tuple[Turn, int] | None:
    """Where the slider is: (what it turns, its step), in a run that answers it.

    when: "moving", or "rest" for the run, or callback, after it came to rest.
    """
    told = _told(key, when)
    turn = next((turn for turn in turns if turn.name == told.get("name")), None)
    at = told.get("at")
    return (turn, at) if turn and isinstance(at, int) and 0 <= at < len(turn.steps) else None


def _told(key: str, when: str) -> dict[str, Any]:
    """What the browser said, which may be anything."""
    told = (st.session_state.get(key) or {}).get(when)
    return told if isinstance(told, dict) else {}


def _nothing() -> None:
    """Streamlit keeps what an element tells only where somebody asks to be called."""


@st.cache_resource(show_spinner=False)
def _element() -> Callable:
    ours = declare_component("slider", str(Path(__file__).parent))
    loader = (Path(__file__).parent / "loader.js").read_text("utf-8")
    return st.components.v2.component("slider", js=loader.replace("{ours}", f"component/{ours.name}/slider.js"))
