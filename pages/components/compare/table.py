"""The table of a comparison, every metric with its best marked, and the code and data to take along."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from quantviz.evaluation import comparison
from quantviz.evaluation.comparison import Outcome
from quantviz.metrics import METRICS, difference, value_text
from quantviz.quality.data import Calibrating
from quantviz.schemes import Scheme
from quantviz.text.wording import decimals, plural

from .. import say
from ..link.state import choose_pinned
from ..selection import Importance, View
from ..shared.snippet import comparison_snippet
from ..shared.tables import BEST, NONE, as_styler, height, metric_headings, open_in_explore, table
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more
from ..shared.typeset import of_view
from .several_table import Several, tensors_data, tensors_python

FIGURES, AGAINST = "Figures", "Against the pinned"
FIRST = ("bits_per_weight", "sqnr_db", "mean_relative_error", "relative_l2_error")  # columns that stand first
_PINNED = "background-color: rgba(128, 128, 128, 0.18); font-weight: bold"
GAP, USES = "against pinned", "uses data"


def partial_table(found: list[Outcome], pinned: Scheme | None) -> None:
    """The rows that a running comparison has so far."""
    if found:
        _draw(comparison.tabulate(found), pinned and pinned.key, FIGURES, "compare_partial")


def table_section(view: View, frame: pd.DataFrame, importance: Importance | None = None) -> None:
    """importance: what the comparison knew of the layer's inputs."""
    st.subheader("Every metric", help="Click a heading to sort, hover it for its formula, tick a row to open it.")
    pinned = view.pinned and view.pinned.key
    shown = FIGURES
    if pinned in comparison.with_figures(frame):
        shown = st.segmented_control(  # at the left: the table's own toolbar lies over the right end
            "Show", [FIGURES, AGAINST], default=FIGURES, required=True, key="compare_shown",
            label_visibility="collapsed", width="content",
        )  # fmt: skip
    uses = _uses(frame, importance)
    event = _draw(frame, pinned, shown, "compare_table", uses, on_select="rerun", selection_mode="single-row")
    rows = event["selection"]["rows"]
    st.caption(
        "Bold on green: the best of its column, by that metric's own direction; nothing is marked where all are equal."
        + " Bold on grey: the pinned scheme." * (pinned in frame.scheme.values)
    )
    if rows and rows[0] < len(frame):
        _row_buttons(frame.scheme.iloc[rows[0]], pinned)


def _uses(frame: pd.DataFrame, importance: Importance | None) -> list[str] | None:
    """Which of the schemes look at the layer's inputs, how, and at how many tokens; None where none does."""
    if importance is None or importance.calibration is None:
        return None
    told = Calibrating(imatrix=True)
    used = [told.uses(Scheme.parse(key)) for key in frame.scheme]
    tokens = plural(importance.calibration.tokens, "token")
    return [f"{what}, {tokens}" if what else "" for what in used] if any(used) else None


def _draw(frame: pd.DataFrame, pinned: str | None, shown: str, key: str, uses: list[str] | None = None, **more):
    best = comparison.best(frame)
    values = comparison.differences(frame, pinned) if shown == AGAINST else frame
    columns = _ordered(comparison.metric_columns(frame))
    values = values[["scheme", *columns, "seconds", "notices"]]
    if uses:
        values.insert(1, USES, uses)
    if shown == FIGURES and pinned in comparison.with_figures(frame):
        values.insert(values.columns.get_loc("sqnr_db") + 1, GAP, comparison.differences(frame, pinned)["sqnr_db"])
    how = {
        name: (lambda v, name=name: difference(name, v, 0.0) or NONE) if shown == AGAINST else partial(value_text, name)
        for name in columns
    }
    how |= {GAP: lambda v: difference("sqnr_db", v, 0.0) or NONE, "seconds": partial(decimals, places=3)}
    styled = as_styler(values, how).apply(_marks, axis=None, best=best, pinned=pinned)
    return table(styled, how, key, _headings(columns), height=height(frame), **more)


def _ordered(columns: list[str]) -> list[str]:
    return [name for name in FIRST if name in columns] + [name for name in columns if name not in FIRST]


def _marks(values: pd.DataFrame, best: dict[str, list[str]], pinned: str | None) -> pd.DataFrame:
    marks = pd.DataFrame("", index=values.index, columns=values.columns)
    for name, schemes in best.items():
        marks.loc[values.scheme.isin(schemes), name] = BEST
    marks.loc[values.scheme == pinned, "scheme"] = _PINNED
    return marks


def _headings(columns: list[str]) -> dict:
    return metric_headings(METRICS[name] for name in columns) | {
        "scheme": st.column_config.Column("Scheme", pinned=True),
        USES: st.column_config.Column("Uses data", help="What looks at the layer's inputs, and at how many tokens."),
        GAP: st.column_config.Column("SQNR against pinned", help="SQNR minus that of the pinned scheme."),
        "seconds": st.column_config.Column("Seconds", help="What the evaluation took."),
        "notices": st.column_config.Column("Notices", width="large"),
    }


def _row_buttons(scheme: str, pinned: str | None) -> None:
    with st.container(horizontal=True):
        open_in_explore(scheme)
        if scheme != pinned:
            st.button(f"Pin {say.name(scheme)}", icon=":material/keep:", on_click=choose_pinned, args=(scheme,))


def take_along(view: View, frame: pd.DataFrame, importance: Importance | None, several: Several | None = None) -> None:
    """Code, data and the link, of the comparison and of that of several tensors."""
    keys, pinned = frame.scheme.tolist(), view.pinned and view.pinned.key
    more_tensors = {} if several is None else {
        f"{PYTHON}, all tensors": lambda: tensors_python(view, several),
        f"{DATA}, all tensors": lambda: tensors_data(view, several),
    }  # fmt: skip
    more("compare_more", {
        PYTHON: lambda: st.code(comparison_snippet(view, keys, pinned, importance), language="python", wrap_lines=True),
        DATA: lambda: _data(view, frame, importance),
        **more_tensors,
    })  # fmt: skip


def _data(view: View, frame: pd.DataFrame, importance: Importance | None) -> None:
    downloads(
        (view.at.tensor, "comparison"),
        {
            **of_view(view),
            "pinned": view.pinned and view.pinned.key, "importance": importance and importance.file,
            "schemes": frame.to_dict("records"),
        },
        (frame.columns, frame.itertuples(index=False, name=None)),
    )  # fmt: skip
    link_note(view.at.source.ref, uploads=importance is not None)
