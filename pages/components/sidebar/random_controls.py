"""A random tensor: its distribution, size, seed and outliers."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.sources.synthetic import DISTRIBUTIONS, SyntheticSpec, formula
from quantviz.text.numbers import whole_number

from .. import say
from ..link.address import changing, notice
from ..link.state import DEFAULT_REF, choose_ref
from ..terms import explained

LONGEST_SIDE = 1 << 31


# Drawn two to a row: name in the reference, label, least, most, step, meaning.
FIELDS = (
    ("rows", "Rows", 1, LONGEST_SIDE, 256, "Output features."),
    ("cols", "Columns", 1, LONGEST_SIDE, 256, "Input features, along which blocks run."),
    ("outliers", "Outliers, %", 0.0, 100.0, 0.05, "Share of the weights that are set to ±magnitude."),
    ("magnitude", "Magnitude, σ", 1e-9, 1e9, 1.0, "Size of an outlier."),
    ("scale", "σ", 1e-30, 1e20, 0.01, "Standard deviation, outliers aside."),
)
FREEDOM = ("df", "Freedom", 2.001, 1e9, 0.5, "Degrees of freedom: the fewer, the heavier the tails.")


def random_controls(ref: str) -> None:
    """Controls that show `ref` and rewrite it when one of them moves."""
    spec = _spec(ref)
    for name in ("distribution", "rows", "cols", "scale", "magnitude", "df"):
        st.session_state[f"random_{name}"] = getattr(spec, name)
    st.session_state["random_outliers"] = 100 * spec.outliers
    st.session_state["random_seed"] = str(spec.seed)  # a text: seeds go beyond what a browser's numbers hold
    has_freedom = spec.distribution == "student_t"
    left, right = st.columns([3, 2]) if has_freedom else (st.container(), None)
    left.selectbox(
        "Distribution", list(DISTRIBUTIONS), key="random_distribution", on_change=_change, args=(ref, "distribution"),
        format_func=lambda d: d.replace("_", "-"), help=f"{say.plain(formula(spec.distribution))}, times σ",
    )  # fmt: skip
    if has_freedom:
        name, label, least, most, step, meaning = FREEDOM
        _field(right, ref, name, say.plain(label), least, most, step, say.plain(meaning))
    for i, (name, label, least, most, step, meaning) in enumerate(FIELDS):
        if i % 2 == 0:  # columns of their own for each row, so that the keyboard goes from left to right
            left, right = st.columns(2)
        _field((left, right)[i % 2], ref, name, say.plain(label), least, most, step, say.plain(meaning))
    right.text_input(
        "Seed", key="random_seed", on_change=_change, args=(ref, "seed"),
        help="The same seed gives the same tensor on every machine.",
    )  # fmt: skip


def _field(column, ref: str, name: str, label: str, least: float, most: float, step: float, help: str) -> None:
    column.number_input(
        label, least, most, value=None, step=step, format=None if isinstance(step, int) else "%g",
        key=f"random_{name}", on_change=_change, args=(ref, name), help=explained(label, help),
    )  # fmt: skip


def _spec(ref: str) -> SyntheticSpec:
    try:
        return SyntheticSpec.parse(ref)
    except QuantvizError:  # the error is shown where the reference is opened
        return SyntheticSpec.parse(DEFAULT_REF)


def _change(ref: str, name: str) -> None:
    value = st.session_state[f"random_{name}"]
    if value is None:  # an emptied field returns to its default
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
