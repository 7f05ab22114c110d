"""The headline figures, beside those of the pinned scheme, and sentences about them."""

from __future__ import annotations

import streamlit as st

from quantviz.evaluation import Evaluation
from quantviz.evaluation.sentences import pinned_sentence, sentences
from quantviz.metrics import METRICS, difference, value_text
from quantviz.text.wording import places, shape

from .. import say
from ..link.address import changing
from ..link.state import NOTHING, choose_pinned, choose_scheme
from ..selection import View
from ..terms import metric_help

HEADLINES = (
    "mean_relative_error", "relative_l2_error", "sqnr_db", "max_abs_error", "zeroed_fraction", "bits_per_weight",
)  # fmt: skip


def headline(view: View, evaluation: Evaluation, pinned: Evaluation | None, unfit: str = "") -> None:
    """unfit: why the pinned scheme cannot be compared with; "" where it can, or where none is pinned."""
    title, buttons = st.columns([3, 2], vertical_alignment="bottom")
    rows = f", {places('row', *view.at.rows)}" if view.at.rows else ""
    say.title(f"{view.info.name} under {view.scheme}", on=title)
    say.caption(
        f"{view.at.source.ref} · {shape(evaluation.shape)} {evaluation.dtype}{rows} · engine {evaluation.engine}",
        on=title,
    )
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        _pin_buttons(view)
    for notice in evaluation.notices:
        say.warning(notice)
    said = sentences(evaluation) + ([text] if pinned and (text := pinned_sentence(evaluation, pinned)) else [])
    if said:
        say.text(*said)
    _figures(evaluation, pinned)
    if unfit:
        say.notice(unfit)


def _pin_buttons(view: View) -> None:
    if view.pinned == view.scheme:
        st.button(
            "Unpin", icon=":material/keep_off:", on_click=choose_pinned, args=(NOTHING,), help="Compare with nothing."
        )
        return
    if view.pinned:
        st.button(
            f"Open {say.name(view.pinned)}", icon=":material/swap_horiz:", on_click=_swap, args=(view,),
            help="Show the pinned scheme, and pin this one instead.",
        )  # fmt: skip
    st.button(
        "Pin",
        icon=":material/keep:",
        on_click=choose_pinned,
        args=(view.scheme.key,),
        help="Compare others with this scheme.",
    )


def _swap(view: View) -> None:
    with changing():
        choose_scheme(view.pinned.key)
        choose_pinned(view.scheme.key)


def _figures(evaluation: Evaluation, pinned: Evaluation | None) -> None:
    compared = pinned is not None and pinned.scheme != evaluation.scheme
    for column, name in zip(st.columns(len(HEADLINES)), HEADLINES, strict=True):
        metric, value = METRICS[name], evaluation.metrics[name]
        change = difference(name, value, pinned.metrics[name]) if compared else None
        say.metric(
            metric.label, value_text(name, value), change, metric.direction,
            help=metric_help(metric), border=True, on=column,
        )  # fmt: skip
