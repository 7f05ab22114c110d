"""Where it hurts: the map of layers and roles, the tensors of a cell, the ranking, the roles side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.figures.whole_model import MOST_SCHEMES, by_role, layer_map
from quantviz.metrics import METRICS, value_text
from quantviz.sweep.summary import OUTSIDE, is_mean, measured, metrics_of, of_cell, ranking, sentences
from quantviz.text.numbers import whole_number
from quantviz.text.wording import bits, count, share

from .. import say
from ..link import choices
from ..link.address import chosen_text, link, put
from ..selection import View
from ..shared.charts import chart
from ..shared.tables import height, metric_headings, table
from .controls import Ask

DEFAULT_METRIC = "sqnr_db"
_SHOWN = ("relative_l2_error", "sqnr_db", "bits_per_weight", "max_abs_error")
_MOST_TENSORS = 24  # of a cell that are listed


def where_section(ask: Ask, view: View, frame: pd.DataFrame, live: bool = False) -> None:
    """live: while the sweep runs: without controls, which would not keep still."""
    if not len(measured(frame)):
        return
    if not live:
        st.subheader("Where it hurts", anchor=False)
    scheme, metric = (ask.schemes[0], DEFAULT_METRIC) if live else _chosen(ask, frame)
    opened = None if live else _opened(frame)
    on_select = None if live else _open_clicked
    chart(layer_map(frame, scheme, metric, opened), "layer_map_live" if live else "layer_map", on_select=on_select)
    if live:
        return
    said = "Brighter is worse, on the same colours for every scheme. Press a cell to see its tensors."
    if is_mean(metric):
        said += f" Where several tensors share a cell it shows the mean of {METRICS[metric].label} over their weights."
    say.caption(said)
    if opened:
        _cell(frame, opened, ask, view)
    for told in sentences(frame, scheme):
        say.text(told)


def _chosen(ask: Ask, frame: pd.DataFrame) -> tuple[str, str]:
    left, right = st.columns(2)
    scheme = choices.one_of(left.selectbox, "Scheme on the map", "shown", ask.schemes, ask.schemes[0])
    metrics = metrics_of(frame)
    metric = choices.one_of(
        right.selectbox, "Colour by", "metric", metrics, DEFAULT_METRIC if DEFAULT_METRIC in metrics else metrics[0],
        named=lambda name: METRICS[name].label,
    )  # fmt: skip
    return scheme, metric


def _open_clicked() -> None:
    points = st.session_state["figure_layer_map"]["selection"]["points"]
    if points and "customdata" in points[0]:
        put(cell=points[0]["customdata"])


def _opened(frame: pd.DataFrame) -> tuple[int, str] | None:
    """The cell that is open; None where none is chosen."""
    said = choices.text(
        "Cell", "cell", check=lambda text: text and parse_cell(text, frame), placeholder="none is open: layer, role",
        help="The layer's number and the role of a cell, such as 1,mlp down; -1 stands for what is in no layer.",
    )  # fmt: skip
    return parse_cell(said, frame) if said else None


def parse_cell(text: str, frame: pd.DataFrame) -> tuple[int, str]:
    """From "1,mlp down"; QuantvizError where the sweep has no such cell."""
    number, _, role = text.partition(",")
    layer = OUTSIDE if number.strip() == str(OUTSIDE) else whole_number(number.strip())
    role = role.strip()
    if layer is None or of_cell(frame, layer, role).empty:
        raise QuantvizError(f"There is no cell {text!r}; write a layer and a role, such as 0,{frame['role'].iloc[0]}.")
    return layer, role


def _cell(frame: pd.DataFrame, opened: tuple[int, str], ask: Ask, view: View) -> None:
    layer, role = opened
    held = of_cell(frame, layer, role)
    names = list(dict.fromkeys(held["tensor"]))
    with st.container(border=True):
        say.bold(role if layer == OUTSIDE else f"Layer {layer}, {role}")
        shown = held[held["tensor"].isin(names[:_MOST_TENSORS])]
        columns = ["tensor", "scheme", *(name for name in _SHOWN if name in shown)]
        rows = shown[columns].assign(why=shown["refused"])
        rows = rows if rows["why"].any() else rows.drop(columns="why")
        table(rows, _written(), "cell_table", metric_headings(METRICS[name] for name in _SHOWN), height=height(rows))
        if len(names) > _MOST_TENSORS:
            say.caption(f"The first {_MOST_TENSORS} of {len(names):,} tensors.")
        _open_in_explore(names[0], view)


def _written() -> dict:
    def writer(name: str):
        return lambda value: value_text(name, value)

    return {name: writer(name) for name in _SHOWN}


def _open_in_explore(tensor: str, view: View) -> None:
    """A link to Explore with this tensor; of an expert, the tensor that it lies in."""
    whole = tensor.partition("[")[0] if tensor.endswith("]") else tensor
    st.page_link(
        "pages/explore.py", label=f"Open {say.name(whole)} in Explore", icon=":material/search_insights:",
        query_params=link("explore", tensor=whole, scheme=chosen_text("shown") or view.scheme.key),
    )  # fmt: skip


def ranking_section(ask: Ask, view: View, frame: pd.DataFrame) -> None:
    """The tensors that carry most of the error, worst first; the one that is pressed can be opened."""
    scheme = chosen_text("shown") or ask.schemes[0]
    ranked = ranking(frame, scheme)
    if ranked.empty:
        return
    say.subheader(f"Which tensors carry the error under {scheme}")
    how = {
        "layer": count, "weights": count, "error_share": share, "weights_share": share, "relative_l2_error": share,
        "sqnr_db": lambda value: value_text("sqnr_db", value), "bits_per_weight": bits,
    }  # fmt: skip
    headings = {
        "error_share": st.column_config.Column(
            "share of the error", help="Σe² of this tensor / Σe² of all tensors under this scheme."
        ),
        "weights_share": st.column_config.Column("share of the weights", help="Weights of this tensor / of all."),
    } | metric_headings(METRICS[name] for name in ("relative_l2_error", "sqnr_db", "bits_per_weight"))
    pressed = table(ranked, how, "sweep_ranking", headings, height=height(ranked), on_select="rerun",
                    selection_mode="single-row")  # fmt: skip
    rows = pressed["selection"]["rows"] if pressed else []
    if rows and rows[0] < len(ranked):
        _open_in_explore(ranked["tensor"].iloc[rows[0]], view)
    else:
        st.caption("Press a row to open its tensor in Explore.")


def roles_section(ask: Ask, frame: pd.DataFrame) -> None:
    """Every tensor's figure, role by role, under the first schemes."""
    found = measured(frame)
    schemes = [scheme for scheme in ask.schemes if scheme in set(found["scheme"])]
    if not schemes:
        return
    metric = chosen_text("metric") or DEFAULT_METRIC
    metric = metric if metric in metrics_of(frame) else DEFAULT_METRIC
    st.subheader("Role by role", anchor=False)
    chart(by_role(frame, schemes, metric), "by_role")
    said = "A point is a tensor; the box holds the middle half of them."
    if len(schemes) > MOST_SCHEMES:
        said += f" The first {MOST_SCHEMES} of {len(schemes)} schemes."
    say.caption(said)
