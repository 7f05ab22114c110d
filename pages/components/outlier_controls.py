"""What is done to the tensor before it is quantized: outliers put in or taken out, as the address holds it."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.outliers import WHERES, Edit, Injection, Removal
from quantviz.text_numbers import whole_number

from . import say
from .state import View, text_state

NOTHING, INJECT, REMOVE = "as it is", "inject", "remove"
BEYOND, LARGEST = "beyond σ", "largest"
HOW = {"zero": "set to zero", "clip": "cut to the limit"}
ONE_IN = 1000  # the share of the weights injected at first
MOST_COUNT = 10**12


def edit_controls(view: View) -> Edit | None:
    """Draws the controls. Gives what is to be done, None for nothing; a wrong value says so and does nothing."""
    chosen = st.segmented_control(
        "The tensor", [NOTHING, INJECT, REMOVE], key="edit", default=NOTHING, required=True, bind="query-params",
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
    n = _number(
        count, "How many", "inject_count", max(1, view.weights // ONE_IN), min_value=1, max_value=MOST_COUNT, step=1,
        help="Weights that are set to ±magnitude, each keeping its sign. One in a thousand at first.",
    )  # fmt: skip
    size = _number(
        magnitude, "Magnitude, σ", "inject_magnitude", 20.0, min_value=0.01, max_value=1e9, step=1.0, format="%g",
        help="σ is the standard deviation before anything is put in.",
    )  # fmt: skip
    place = where.selectbox(
        "Where", WHERES, key="inject_where", bind="query-params",
        help="Anywhere, or along one input channel (a column) or one output channel (a row).",
    )  # fmt: skip
    with channel:
        text = text_state(
            "inject_channel", "Channel", "", placeholder="by the seed", disabled=place == WHERES[0],
            help="Which one, counted from 0; empty lets the seed choose.",
        )  # fmt: skip
    number = _number(
        seed, "Seed", "inject_seed", 0, min_value=0, max_value=2**53 - 1, step=1,
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
    by = which.segmented_control(
        "Which", [BEYOND, LARGEST], key="remove_by", default=BEYOND, required=True, bind="query-params",
        help="Those that lie farther out than a number of σ, or a share of the weights.",
    )  # fmt: skip
    if by == BEYOND:
        value = {"sigmas": _number(
            limit, "Beyond, σ", "remove_sigmas", 6.0, min_value=0.1, max_value=1e6, step=0.5, format="%g",
            help="A normal layer of 16.8 million weights reaches 5.4σ.",
        )}  # fmt: skip
    else:
        percent = _number(
            limit, "Largest, %", "remove_percent", 0.1, min_value=1e-6, max_value=99.0, step=0.1, format="%g",
            help="Share of the weights, by magnitude.",
        )  # fmt: skip
        value = {"share": round(percent / 100, 12)}
    to = how.segmented_control(
        "How", list(HOW), key="remove_how", default="zero", required=True, bind="query-params",
        format_func=HOW.__getitem__,
        help="Set to zero, as pruning does; or cut to the limit, keeping the sign.",
    )  # fmt: skip
    return Removal(**value, how=to)


def _number(column, label: str, key: str, default: float, **more):
    st.session_state.setdefault(key, default)
    return column.number_input(label, key=key, bind="query-params", **more)
