"""The sections of the page Outliers, from the edited tensor to the cures."""

from __future__ import annotations

from functools import partial

import streamlit as st

from quantviz import figures
from quantviz.evaluation import Evaluation
from quantviz.formats import IntFormat
from quantviz.metrics import METRICS, difference, value_text
from quantviz.outliers.attribution import Attribution, largest_table
from quantviz.outliers.cures import EQUAL_BITS, Treated
from quantviz.outliers.sentences import (
    attribution_sentences,
    block_size_sentence,
    cure_sentence,
    edit_sentence,
    magnitude_sentence,
)
from quantviz.text.wording import bits, count, decibels, decimals, number, plural, share

from .. import say
from ..link import choices
from ..link.address import chosen_text
from ..link.state import choose_scheme
from ..selection import View
from ..shared.axis_controls import axis_controls
from ..shared.charts import chart
from ..shared.tables import table
from ..terms import metric_help
from . import laboratory

HEADLINES = ("rmse", "relative_l2_error", "mean_relative_error", "zeroed_fraction")
SHORT = {"rmse": "RMSE"}
SWEPT = ("relative_l2_error", "mean_relative_error", "sqnr_db", "rmse")
BITS = tuple(str(b) for b in (2, 3, 4, 5, 6, 8))
ALONG = ("block size", "bits per weight")
LOWEST_LIMIT, DEFAULT_LIMIT, HIGHEST_LIMIT = 2.0, 6.0, 30.0  # of what counts as an outlier, in σ


@st.fragment
def before_and_after(view: View, before: Evaluation, after: Evaluation | None) -> None:
    """The tensor as it is, and after its edit if there is one."""
    said, counts, span = st.columns([3, 1.2, 1.2], vertical_alignment="bottom")
    axis, full = axis_controls(counts, span)
    if after is None:
        with said:
            _figures(before, None)
        chart(figures.weights(before, axis=axis, full=full), "before", (axis, full))
        note = figures.outside_note(before.statistics)
        if note and not full:
            say.caption(note)
        return
    if text := edit_sentence(before, after):
        say.text(text, on=said)
    drawn = figures.outliers.before_and_after(before, after, axis, full)
    names = ("As it is", view.at.edit.text[:1].upper() + view.at.edit.text[1:])
    for column, name, evaluation, fig in zip(st.columns(2, gap="medium"), names, (before, after), drawn, strict=True):
        with column:
            say.bold(name)
            chart(fig, "after" if evaluation is after else "before", (axis, full))
            _figures(evaluation, before if evaluation is after else None)
            s = evaluation.statistics
            note = figures.outside_note(s) or ""
            say.caption(f"σ {number(s.std)}, largest magnitude {number(s.crest_factor)}σ. {note}")


def _figures(evaluation: Evaluation, other: Evaluation | None) -> None:
    names = [name for name in (*HEADLINES, "weighted_mse") if name in evaluation.metrics]
    for column, name in zip(st.columns(len(names)), names, strict=True):
        metric, value = METRICS[name], evaluation.metrics[name]
        change = difference(name, value, other.metrics[name]) if other else None
        label = SHORT.get(name, metric.label)
        say.metric(label, value_text(name, value), change, metric.direction, help=metric_help(metric), on=column)


# -- who carries the error ---------------------------------------------------------------------


@st.fragment
def attribution_section(view: View) -> None:
    say.subheader("Who carries the error", help="Σe² and Σ|e| of the weights in each band, over those of all weights.")
    found = laboratory.attribution(view).result()
    if found is None:
        return
    said = st.container()
    chart(figures.outliers.bands(found), "bands")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        sigmas = choices.number(
            "An outlier lies beyond, σ", "beyond", DEFAULT_LIMIT, LOWEST_LIMIT, HIGHEST_LIMIT, 0.5, draw="slider",
            help="What counts as an outlier when blocks are told apart. A normal layer of 16.8M weights reaches 5.4σ.",
        )  # fmt: skip
        _sides(view, found, sigmas)
    with right:
        _largest(found)
    if text := attribution_sentences(found, sigmas):
        say.text(*text, on=said)
    which = st.segmented_control(
        "Error by channel", ["input", "output"], key="channels", default="input", required=True,
        persist_state="session", help="An input channel is a column of the tensor, an output channel a row.",
    )  # fmt: skip
    chart(figures.outliers.channels(found, which), "channels")


def _sides(view: View, found: Attribution, sigmas: float) -> None:
    fig = figures.outliers.block_sides(found, sigmas)
    if fig is None:
        st.caption(
            "A plain cast has no blocks: every weight is rounded on its own."
            if view.scheme.granularity is None
            else "Scales belong to the rotated rows, over which every outlier is spread: no block holds it alone."
        )
        return
    having, without = found.blocks_beyond(sigmas)
    chart(fig, "sides")
    if not without.blocks and having.blocks == 1:
        st.caption("The whole tensor has one scale, so every weight shares it with the outliers.")
    elif not having.blocks:
        st.caption(f"No block holds a weight beyond {number(sigmas)}σ.")
    else:
        st.caption(f"{count(having.blocks)} of {plural(having.blocks + without.blocks, 'block')}. "
                   f"Their RMSE is {number(having.rmse)}, that of the others {number(without.rmse)}.")  # fmt: skip


def _largest(found: Attribution) -> None:
    st.markdown("**The largest weights and their blocks**")
    column = st.column_config.Column
    four, three = partial(number, fixed=True), partial(number, digits=3, fixed=True)
    table(
        largest_table(found), height=290, key="largest_weights",
        how={"row": count, "column": count, "weight": four, "in σ": lambda x: decimals(x, 1), "its error": three,
             "block's RMSE": three, "× median block": lambda x: decimals(x, 2)},
        config={
            "its error": column(help="dequantized − original"),
            "block's RMSE": column(help="Root mean squared error of the block it lies in."),
            "× median block": column(help="That error over the median block's."),
        },
    )  # fmt: skip


# -- block size and magnitude ------------------------------------------------------------------


def default_bits(view: View) -> int:
    fmt = view.scheme.fmt
    return fmt.bits if isinstance(fmt, IntFormat) and str(fmt.bits) in BITS else 4


def chosen_bits(view: View) -> int:
    return int(chosen_text("bits") or default_bits(view))


@st.fragment
def curves_section(view: View) -> None:
    say.subheader("Do blocks contain outliers?", help="Integers under one scale for all, a scale a row, or blocks.")
    with st.container(horizontal=True):
        chosen = choices.one_of(st.segmented_control, "Bits", "bits", BITS, str(default_bits(view)))
        metric = choices.one_of(
            st.segmented_control, "Error", "swept", SWEPT, SWEPT[0], named=lambda name: METRICS[name].label
        )
        along = choices.one_of(st.segmented_control, "Along", "along", ALONG, ALONG[0])
    left, right = st.columns(2, gap="medium")
    sizes, growing = (
        laboratory.block_sizes(view, int(chosen)),
        laboratory.magnitudes(view, int(chosen), symmetry_of(view)),
    )
    growing.begin()
    with left:
        st.markdown("**Error against block size**")
        points = sizes.result()
        if points is not None:
            chart(figures.outliers.block_sizes(points, metric, along), "block_sizes")
            if text := block_size_sentence(points):
                say.text(text)
            for reason in [p.reason for p in points if p.reason][:1]:
                say.caption(f"Left out: {reason}")
    with right:
        st.markdown("**Error against the magnitude of outliers**")
        sweep = growing.result()
        if sweep is not None:
            chart(figures.outliers.magnitudes(sweep), "magnitudes")
            if text := magnitude_sentence(sweep):
                say.text(text)
            say.caption(_how_measured(sweep))


def symmetry_of(view: View) -> str:
    return view.scheme.symmetry or "sym"


def _how_measured(sweep) -> str:
    where = f"on {sweep.rows:,} of {sweep.of_rows:,} rows" if sweep.sampled else "on the whole tensor"
    text = f"{plural(sweep.count, 'weight')} ({share(sweep.count / sweep.weights)}) set to ±that many σ, {where}."
    if sweep.removed:
        text += f" {plural(sweep.removed, 'outlier')} of its own beyond 6σ {'was' if sweep.removed == 1 else 'were'} "
        text += "set to zero first."
    return text


# -- cures -------------------------------------------------------------------------------------


@st.fragment
def cures_section(view: View) -> None:
    say.subheader(
        f"What cures {view.scheme}", help=f"Equal bits: within {number(EQUAL_BITS)} bits a weight of the scheme's."
    )
    treated = laboratory.cures(view).result()
    if treated is None:
        return
    if treated[0].metrics["mse"] == 0:
        st.caption("Nothing is lost under this scheme, so there is nothing to cure.")
        return
    if text := cure_sentence(treated):
        say.text(text)
    chart(figures.outliers.cures(treated), "cures")
    _cure_table(view, treated)


def _cure_table(view: View, treated: list[Treated]) -> None:
    applied = [t for t in treated if t.metrics]
    weighted = {"weighted MSE": [t.metrics["weighted_mse"] for t in applied]} if view.importance else {}
    column = st.column_config.Column
    table(
        {
            "cure": [t.cure.name for t in applied],
            "SQNR": [t.metrics["sqnr_db"] for t in applied],
            **weighted,
            "bits": [t.metrics["bits_per_weight"] for t in applied],
            "equal bits": [t.equal_bits for t in applied],
            "scheme": [t.cure.key for t in applied],
            "what it does": [t.cure.what for t in applied],
        },
        how={"SQNR": decibels, "weighted MSE": partial(value_text, "weighted_mse"), "bits": bits},
        height="content", key="cure_table", selection_mode="single-row", on_select=lambda: _open(applied),
        config={
            "SQNR": column(help=metric_help(METRICS["sqnr_db"])),
            "weighted MSE": column(help=metric_help(METRICS["weighted_mse"])),
            "bits": column(help=metric_help(METRICS["bits_per_weight"])),
        },
    )  # fmt: skip
    if st.session_state.pop("_cure_taken", False):
        st.rerun()
    st.caption("Tick a row to make that scheme the one shown everywhere.")
    left_out = [f"{t.cure.name}: {t.reason}" for t in treated if not t.metrics]
    if left_out:
        say.caption("Not applicable:", *left_out)


def _open(applied: list[Treated]) -> None:
    rows = st.session_state["cure_table"]["selection"]["rows"]
    if rows:
        choose_scheme(applied[rows[0]].cure.key)
        st.session_state["_cure_taken"] = True
