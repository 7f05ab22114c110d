"""The same schemes on more tensors of the model: which ones, and what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from quantviz import figures
from quantviz.errors import QuantvizError
from quantviz.figures.several import MOST_LINES
from quantviz.metrics import METRICS
from quantviz.schemes import Scheme
from quantviz.sources import Model
from quantviz.sweep.families import families, family, fits, folded, named, own_layer, resolved, short
from quantviz.sweep.several import MEDIAN, sentences
from quantviz.sweep.summary import metrics_of
from quantviz.sweep.targets import matrices
from quantviz.text.wording import plural

from .. import say
from ..link import address, choices
from ..link.address import put
from ..selection import Importance, View
from ..shared.charts import chart
from ..shared.importance_upload import importance_in_use, importance_of_each
from ..work import cached, jobs
from .several_run import measured
from .several_table import Several, tensors_table

MOST = 2048  # measurements at a time: tensors times schemes
MOST_TEXTS, MOST_OFFERED = 64, 2000  # names and patterns chosen; names in the list, any others may be typed
FIGURES, PINNED = "nothing", "pinned"
AGAINST = {FIGURES: "Figures", PINNED: "Against the pinned", MEDIAN: "Against each scheme's median"}
_HELP = (
    "Names of tensors, and patterns in which `*` stands for any text; a part of a name that is typed stands for all "
    "that have it. They are measured one after the other, each read once for all schemes."
)


def several_section(view: View, schemes: Sequence[Scheme], importance: Importance | None) -> Several | None:
    """Draws the section; None where there is nothing to take along, or not yet."""
    model = cached.opened(view.at.source)
    if model is None or st.session_state["_fallback"]:  # the tensors chosen are of a model that did not open
        return None
    st.subheader("The same schemes on more tensors", anchor=False)
    texts = _chosen(view, model)
    if not texts:
        jobs.want("several", None)
        return None
    names = named(model, [*texts, view.at.tensor])
    most = max(1, MOST // len(schemes))
    if len(names) > most:
        say.notice(
            f"{len(names):,} tensors under {plural(len(schemes), 'scheme')} are {len(names) * len(schemes):,} "
            f"measurements, and {MOST:,} are made at a time: these are the first {most:,} tensors. Whole model "
            "measures all of them."
        )
        names = names[:most]
        texts = names
    pinned = view.pinned and view.pinned.key
    calibrated = importance is not None and importance.calibration is not None
    weigh = None if calibrated else importance_of_each()
    if importance is not None and weigh is None:
        say.caption(f"Without what is known of the inputs, which is of {view.at.tensor} alone.")
    live = partial(_figure, metric="sqnr_db", pinned=pinned, against=None, live=True)
    frame = measured(view, model, names, schemes, weigh, live)
    if frame is None:  # the tensors so far are drawn under the progress
        return None
    shown = _shown(frame, pinned)
    file = importance_in_use() if weigh else None
    return shown and Several(tuple(dict.fromkeys([*texts, view.at.tensor])), frame, *shown, file)


# -- which tensors -------------------------------------------------------------------------------


def _chosen(view: View, model: Model) -> list[str]:
    """Draws the controls; names and patterns, none with words of what to do."""
    if len(model.tensors) < 2:
        if address.chosen("tensors"):
            address.wrong("tensors", f"{view.at.source.ref} has one tensor, so the tensors of the link are left out.")
        say.caption("This source has one tensor. In a model (Demo, Hub or File in the sidebar) more can join it here.")
        return []
    names = matrices(model)
    parts = families(names)
    above = st.container(horizontal=True, vertical_alignment="bottom")
    texts = choices.some_of(
        st.multiselect, f"Tensors beside {say.name(view.at.tensor)}", "tensors", [*parts, *names[:MOST_OFFERED]], [],
        check=lambda texts: _checked(model, texts), most=MOST_TEXTS, help=_HELP,
        filter_mode="contains",
        placeholder="Choose tensors, or type a part of their names such as q_proj",
        format_func=lambda text: f"{text} · {plural(len(parts[text]), 'tensor')}" if text in parts else text,
    )  # fmt: skip
    held = set(named(model, texts))
    with above:
        for pattern, label in _sets(view.at.tensor, names, held):
            st.button(label, icon=":material/add:", on_click=_add, args=(texts, pattern), key=f"several_{label}")
    if not texts:
        say.caption("Add tensors to see whether the schemes do on them as they do on this one.")
    return texts


def _sets(tensor: str, names: Sequence[str], held: set[str]) -> list[tuple[str, str]]:
    """(pattern, label) of what a press adds: the tensor's part in all layers, and all of its layer; not what is `held`
    already.
    """
    found = []
    for pattern, what in ((family(tensor), short(family(tensor))), (own_layer(tensor), "of this layer")):
        members = [name for name in names if pattern and fits(pattern, name)]
        if len(members) > 1 and not held.issuperset(members):
            found.append((pattern, f"All {say.name(what)} ({len(members):,})"))
    return found


def _checked(model: Model, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    found, problems = [], []
    for text in texts:
        try:
            found.append(resolved(model, text))
        except QuantvizError as problem:
            problems.append(f"{problem} It is left out.")
    return folded(found), problems


def _add(texts: Sequence[str], text: str) -> None:
    put(tensors=[*texts, text])


# -- what is shown of them -----------------------------------------------------------------------


def _shown(frame: pd.DataFrame, pinned: str | None) -> tuple[str, str | None] | None:
    """Draws figure, sentences and table; the metric and what it is drawn against."""
    metrics = metrics_of(frame)
    if not metrics:
        tensors_table(frame, "sqnr_db", None)
        return None
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    metric = choices.one_of(
        left.selectbox, "Metric", "tensors_metric", metrics, "sqnr_db", named=lambda name: METRICS[name].label
    )
    has_pinned = pinned is not None and frame[frame.scheme == pinned][metric].notna().any()
    offered = [text for text in AGAINST if text != PINNED or has_pinned]
    told = choices.one_of(
        right.segmented_control, "Shown", "tensors_against", offered, FIGURES, named=AGAINST.__getitem__,
        missing=_no_pinned,
        help="Less the pinned scheme's figure on the same tensor: whether a scheme leads everywhere; "
        "or less the scheme's own median over the tensors: which of them are harder than others.",
    )  # fmt: skip
    against = {FIGURES: None, PINNED: pinned, MEDIAN: MEDIAN}[told]
    _figure(frame, metric, pinned, against)
    if said := sentences(frame, metric):
        say.text(*said)
    tensors_table(frame, metric, against)
    return metric, against


def _no_pinned(text: str) -> None:
    if text == PINNED:
        raise QuantvizError("No scheme is pinned that has figures here.")


def _figure(frame: pd.DataFrame, metric: str, pinned: str | None, against: str | None, live: bool = False) -> None:
    if metric not in frame:
        return
    fig = figures.over_tensors(frame, metric, pinned, against)
    chart(fig, "over_tensors_live" if live else "over_tensors", (metric, against), of_model=True)
    schemes = frame.scheme.nunique()
    if schemes > MOST_LINES and not live:
        say.caption(f"The first {MOST_LINES} of {schemes} schemes; the table has all.")
