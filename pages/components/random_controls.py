"""A random tensor: its distribution, size, seed and outliers."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.sources.synthetic import DISTRIBUTIONS, SyntheticSpec, formula
from quantviz.text_numbers import whole_number

from . import say
from .address import changing, notice
from .state import DEFAULT_REF, choose_ref

LONGEST_SIDE = 1 << 31


def random_controls(ref: str) -> None:
    """Controls that show `ref` and rewrite it when one of them moves."""
    spec = _spec(ref)
    for name in ("distribution", "rows", "cols", "scale", "magnitude", "df"):
        st.session_state[f"random_{name}"] = getattr(spec, name)
    st.session_state["random_outliers"] = 100 * spec.outliers
    st.session_state["random_seed"] = str(spec.seed)  # a text: seeds go beyond what a browser's numbers hold
    _number = _numbers(ref)
    if spec.distribution == "student_t":
        left, right = st.columns([3, 2])
    else:
        left, right = st.container(), None
    left.selectbox(
        "Distribution", list(DISTRIBUTIONS), key="random_distribution", on_change=_change, args=(ref, "distribution"),
        format_func=lambda d: d.replace("_", "-"), help=f"{say.plain(formula(spec.distribution))}, times σ",
    )  # fmt: skip
    if right:
        _number(
            right,
            "df",
            "Freedom",
            min_value=2.001,
            max_value=1e9,
            step=0.5,
            help="Degrees of freedom: the fewer, the heavier the tails.",
        )
    left, right = st.columns(2)
    _number(left, "rows", "Rows", min_value=1, max_value=LONGEST_SIDE, step=256, help="Output features.")
    _number(
        right,
        "cols",
        "Columns",
        min_value=1,
        max_value=LONGEST_SIDE,
        step=256,
        help="Input features, along which blocks run.",
    )
    _number(
        left,
        "outliers",
        "Outliers, %",
        min_value=0.0,
        max_value=100.0,
        step=0.05,
        format="%g",
        help="Share of the weights that are set to ±magnitude.",
    )
    _number(
        right,
        "magnitude",
        "Magnitude, σ",
        min_value=1e-9,
        max_value=1e9,
        step=1.0,
        format="%g",
        help="Size of an outlier.",
    )
    _number(
        left,
        "scale",
        "σ",
        min_value=1e-30,
        max_value=1e20,
        step=0.01,
        format="%g",
        help="Standard deviation, outliers aside.",
    )
    right.text_input(
        "Seed", key="random_seed", on_change=_change, args=(ref, "seed"),
        help="The same seed gives the same tensor on every machine.",
    )  # fmt: skip


def _spec(ref: str) -> SyntheticSpec:
    try:
        return SyntheticSpec.parse(ref)
    except QuantvizError:  # said where the reference is opened
        return SyntheticSpec.parse(DEFAULT_REF)


def _numbers(ref: str):
    def number(column, name: str, label: str, **more) -> None:
        column.number_input(label, value=None, key=f"random_{name}", on_change=_change, args=(ref, name), **more)

    return number


def _change(ref: str, name: str) -> None:
    value = st.session_state[f"random_{name}"]
    if value is None:  # emptied: as it is at first
        value = getattr(SyntheticSpec(), name) * (100 if name == "outliers" else 1)
    try:
        if name == "seed" and whole_number(str(value).strip()) is None:
            raise QuantvizError(f"{value!r} is no seed; give a whole number from 0.")
        # A share typed as 0.1% must not become 0.0010000000000000002 in the reference.
        exact = {"outliers": lambda v: round(v / 100, 12), "seed": int}.get(name, lambda v: v)
        changed = {name: exact(value)} | ({"df": SyntheticSpec().df} if name == "distribution" else {})
        choose_ref(replace(_spec(ref), **changed).ref)
    except QuantvizError as problem:
        with changing():
            notice(str(problem))
