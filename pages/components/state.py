"""What the visitor has chosen, as the address bar holds it: one line of text for each thing.

The text is the state: `ref`, `tensor`, `rows`, `scheme`, `pinned` are bound to the address, and the controls
beside them only rewrite it. A text that is wrong leaves the last good choice in force and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.schemes import Scheme
from quantviz.sources import TensorInfo
from quantviz.text_numbers import whole_number

from .cached import Importance, Selection

DEFAULT_REF = "random:normal?outliers=0.001"
DEFAULT_SCHEME = "int4-sym-tensor"
DEFAULT_PINNED = "int4-sym-b64"
NOTHING = "none"

Value = TypeVar("Value")


@dataclass(frozen=True)
class View:
    """What a page shows. at and info are None until a tensor could be opened.

    importance: that weighs everything on the page, where it takes one.
    """

    scheme: Scheme
    pinned: Scheme | None = None
    at: Selection | None = None
    info: TensorInfo | None = None
    token: str | bool | None = field(default=None, repr=False)
    importance: Importance | None = None

    @property
    def weighing(self) -> str | None:
        """Tells one importance from another; None without any."""
        return self.importance and self.importance.digest

    @property
    def rows(self) -> int:
        """How many rows are selected."""
        start, stop = self.at.rows or (0, self.info.rows)
        return stop - start

    @property
    def weights(self) -> int:
        """How many weights are selected."""
        return self.rows * self.info.cols


def current() -> View:
    """The choice in the sidebar, which app.py has drawn before the page."""
    return st.session_state["_view"]


def notice(text: str) -> None:
    """A sentence for the top of the page in this run."""
    st.session_state.setdefault("_notices", []).append(text)


def take_notices() -> list[str]:
    return st.session_state.pop("_notices", [])


def text_state(key: str, label: str, default: str, **more) -> str:
    """A line of text bound to the address, and its value."""
    st.session_state.setdefault(key, default)
    return st.text_input(label, key=key, bind="query-params", **more).strip()


def good_or_last(key: str, text: str, default: str, read: Callable[[str], Value]) -> Value:
    """What `text` means, or what was last good under this name, with a notice."""
    try:
        value = read(text)
    except QuantvizError as problem:
        last = st.session_state.get(f"_good_{key}", default)
        notice(f"{problem} Showing {last} instead.")
        return read(last)
    st.session_state[f"_good_{key}"] = text
    return value


def choose_scheme(key: str) -> None:
    """For callbacks: the scheme becomes `key`."""
    st.session_state["scheme"] = key


def choose_pinned(key: str) -> None:
    st.session_state["pinned"] = key


def choose_ref(ref: str) -> None:
    """For callbacks: another source, of which no tensor and no rows are chosen yet."""
    st.session_state["ref"] = ref
    start_anew()


def start_anew() -> None:
    st.session_state["tensor"] = None
    st.session_state["rows"] = ""
    st.session_state["block"] = ""
    st.session_state["stored"] = ""


def parse_rows(text: str, info: TensorInfo) -> tuple[int, int] | None:
    """From "0:512"; None for all rows."""
    if not text:
        return None
    start, _, stop = text.partition(":")
    first, last = whole_number(start.strip()), whole_number(stop.strip())
    if first is None or last is None:
        raise QuantvizError(f"{text!r} is no range of rows; write from:to, for example 0:{min(info.rows, 512)}.")
    if not first < last <= info.rows:
        raise QuantvizError(f"Rows {text} are not in {info.name}, which has {info.rows:,} rows, counted from 0.")
    return first, last
