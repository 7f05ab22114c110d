"""The controls of the edit before quantizing: outliers put into the tensor or taken out of it."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.outliers import WHERES, Edit, Injection, Removal
from quantviz.text.numbers import whole_number

from .. import say
from ..link import choices
from ..selection import View

NOTHING, INJECT, REMOVE = "as it is", "inject", "remove"
BEYOND, LARGEST = "beyond σ", "largest"
HOW = {"zero": "set to zero", "clip": "cut to the limit"}
ONE_IN = 1000  # the share of the weights injected at first
MOST_COUNT = 10**12


def edit_controls(view: View) -> Edit | None:
    """Draws the controls. Returns the edit; None for no edit, and for a wrong value, with a notice."""
    chosen = choices.one_of(
        st.segmented_control, "The tensor", "edit", (NOTHING, INJECT, REMOVE), NOTHING,
        help="Quantize the tensor as it is, after outliers have been put in, or after those it has are taken out.",
    )  # fmt: skip
    try:
        match chosen:
            case "inject":
                return _injection(view)
            case "remove":
                return _removal()
    except QuantvizError as problem:
        say.notice(problem)
    return None


def _injection(view: View) -> Injection:
    count, magnitude, where, channel, seed = st.columns([3, 3, 3, 2, 2], vertical_alignment="bottom")
    n = choices.number(
        "How many", "inject_count", max(1, view.weights // ONE_IN), 1, MOST_COUNT, on=count,
        help="Weights that are set to ±magnitude, each keeping its sign. One in a thousand at first.",
    )  # fmt: skip
    size = choices.number(
        "Magnitude, σ", "inject_magnitude", 20.0, 0.01, 1e9, 1.0, on=magnitude, format="%g",
        help="σ is the standard deviation before anything is put in.",
    )  # fmt: skip
    place = choices.one_of(
        where.selectbox, "Where", "inject_where", WHERES, WHERES[0],
        help="Anywhere, or along one input channel (a column) or one output channel (a row).",
    )  # fmt: skip
    text = choices.text(
        "Channel", "inject_channel", on=channel, check=_channel, placeholder="by the seed",
        disabled=place == WHERES[0], help="Which one, counted from 0; empty lets the seed choose.",
    )  # fmt: skip
    number = choices.number(
        "Seed", "inject_seed", 0, 0, 2**53 - 1, on=seed,
        help="The same seed puts them in the same places on every machine.",
    )  # fmt: skip
    return Injection(n, size, place, None if place == WHERES[0] else _channel(text), number)


def _channel(text: str) -> int | None:
    number = whole_number(text)
    if text and number is None:
        raise QuantvizError(f"{text!r} is no channel; give its number, counted from 0, or leave it empty.")
    return number


def _removal() -> Removal:
    which, limit, how, _ = st.columns([3, 3, 4, 2], vertical_alignment="bottom")
    by = choices.one_of(
        which.segmented_control, "Which", "remove_by", (BEYOND, LARGEST), BEYOND,
        help="Those that lie farther out than a number of σ, or a share of the weights.",
    )  # fmt: skip
    if by == BEYOND:
        value = {"sigmas": choices.number(
            "Beyond, σ", "remove_sigmas", 6.0, 0.1, 1e6, 0.5, on=limit, format="%g",
            help="A normal layer of 16.8 million weights reaches 5.4σ.",
        )}  # fmt: skip
    else:
        percent = choices.number(
            "Largest, %", "remove_percent", 0.1, 1e-6, 99.0, 0.1, on=limit, format="%g",
            help="Share of the weights, by magnitude.",
        )  # fmt: skip
        value = {"share": round(percent / 100, 12)}
    to = choices.one_of(
        how.segmented_control, "How", "remove_how", list(HOW), "zero", named=HOW.__getitem__,
        help="Set to zero, as pruning does; or cut to the limit, keeping the sign.",
    )  # fmt: skip
    return Removal(**value, how=to)
