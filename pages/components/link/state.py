"""The choices that all pages share: `ref`, `tensor`, `rows`, `scheme` and `pinned`, each a text in the address."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.sources import TensorInfo
from quantviz.text.numbers import whole_number
from quantviz.text.wording import plural

from ..selection import View
from .address import put

DEFAULT_REF = "random:normal?outliers=0.001"
SIX_NUMBERS = "values:-0.89,0.16,0.08,-0.13,0.16,-0.54"  # of the article that quantviz began with
DEFAULT_SCHEME = "int4-sym-tensor"
DEFAULT_PINNED = "int4-sym-b64"
NOTHING = "none"
ANOTHER_TENSOR = dict.fromkeys(("rows", "block", "stored"))  # choices dropped when another tensor is chosen
ANOTHER_SOURCE = dict.fromkeys(("tensor", "tensors")) | ANOTHER_TENSOR  # and when another source is


def current() -> View:
    """The choice in the sidebar, which app.py has drawn before the page."""
    return st.session_state["_view"]


def choose_scheme(key: str) -> None:
    """For callbacks: the scheme becomes `key`."""
    put(scheme=None if key == DEFAULT_SCHEME else key)


def choose_pinned(key: str) -> None:
    put(pinned=None if key == DEFAULT_PINNED else key)


def choose_ref(ref: str) -> None:
    """For callbacks: another source, of which no tensor and no rows are chosen yet."""
    put(ref=None if ref == DEFAULT_REF else ref, **ANOTHER_SOURCE)


def parse_rows(text: str, info: TensorInfo) -> tuple[int, int] | None:
    """From "0:512"; None for all rows."""
    if not text:
        return None
    found = pair(text, ":")
    if not found:
        raise QuantvizError(f"{text!r} is no range of rows; write from:to, for example 0:{min(info.rows, 512)}.")
    first, last = found
    if not first < last <= info.rows:
        there = plural(info.rows, "row")
        raise QuantvizError(f"Rows {text} are not in {info.name}, which has {there}, counted from 0.")
    return first, last


def parse_place(text: str, what: str, rows: int, cols: int) -> tuple[int, int]:
    """Row and column from "3, 4". what: one of the rows × cols; QuantvizError where there is none at that place."""
    place = pair(text, ",")
    if not place or place[0] >= rows or place[1] >= cols:
        raise QuantvizError(
            f"There is no {what} {text!r} among {rows:,} × {cols:,}; write its row and column, counted from 0, as 0, 0."
        )
    return place


def pair(text: str, mark: str) -> tuple[int, int] | None:
    """The whole numbers on both sides of the mark; None where one is missing."""
    first, _, second = text.partition(mark)
    numbers = whole_number(first.strip()), whole_number(second.strip())
    return None if None in numbers else numbers
