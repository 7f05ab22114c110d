"""Several tensors under the same schemes as a table of one metric, and what a visitor takes along of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from quantviz.metrics import METRICS, difference, value_text
from quantviz.sweep.several import best_of_each, by_scheme, gaps, reasons

from .. import say
from ..link.address import link, put
from ..selection import View
from ..shared.snippet import tensors_snippet
from ..shared.tables import BEST, NONE, as_styler, height, table
from ..shared.take_along import downloads, link_note
from ..shared.typeset import of_view

WHY = "not measured"


@dataclass(frozen=True, eq=False)
class Several:
    """What is shown.  texts: names and patterns that give the tensors.  against: as `figures.over_tensors` takes it.
    importance: the name of the file that weighs the errors; None without.
    """

    texts: tuple[str, ...]
    frame: pd.DataFrame
    metric: str
    against: str | None
    importance: str | None = None


def tensors_table(frame: pd.DataFrame, metric: str, against: str | None) -> None:
    """A row a tensor, a column a scheme. against: as `figures.over_tensors` takes it."""
    known = metric in frame
    if known:
        wide = by_scheme(frame, metric) if against is None else gaps(frame, metric, against)
    else:
        wide = pd.DataFrame(index=frame.tensor.unique())
    why, schemes = reasons(frame), list(wide.columns)
    rows = wide.reset_index(names="tensor").rename_axis(columns=None)
    if why:
        rows[WHY] = [why.get(name, "") for name in rows.tensor]
    write = partial(value_text, metric) if against is None else lambda v: difference(metric, v, 0.0) or NONE
    how = dict.fromkeys(schemes, write)
    best = best_of_each(frame, metric) if known and against is None else {}
    styled = as_styler(rows, how).apply(_marks, axis=None, best=best)
    headings = {"tensor": st.column_config.Column("Tensor", pinned=True)}
    event = table(styled, how, "tensors_table", headings, height=height(rows), on_select="rerun",
                  selection_mode="single-row")  # fmt: skip
    if known:
        said = f"{METRICS[metric].label} of each tensor under each scheme."
        said += " Bold on green: the best of its row." if best else ""
        st.caption(said + (" Why there is no figure is said in the last column." if why else ""))
    picked = event["selection"]["rows"]
    if picked and picked[0] < len(rows):
        _open_buttons(rows.tensor.iloc[picked[0]])


def _marks(values: pd.DataFrame, best: dict[str, list[str]]) -> pd.DataFrame:
    marks = pd.DataFrame("", index=values.index, columns=values.columns)
    for place, name in values.tensor.items():
        marks.loc[place, best.get(name, [])] = BEST
    return marks


def _open_buttons(tensor: str) -> None:
    with st.container(horizontal=True):
        st.button(
            f"Compare schemes on {say.name(tensor)}", icon=":material/balance:", on_click=put,
            kwargs={"tensor": tensor, "block": None, "stored": None},
        )  # fmt: skip
        st.page_link(
            "pages/explore.py", label=f"Open {say.name(tensor)} in Explore", icon=":material/search_insights:",
            query_params=link("explore", tensor=tensor),
        )  # fmt: skip


def tensors_python(view: View, several: Several) -> None:
    keys = several.frame.scheme.unique().tolist()
    pinned = view.pinned and view.pinned.key
    code = tensors_snippet(view, several.texts, keys, (several.metric, pinned, several.against), several.importance)
    st.code(code, language="python", wrap_lines=True)


def tensors_data(view: View, several: Several) -> None:
    """All metrics, a row a tensor and scheme; for a paper the metric on the page, a column a scheme."""
    frame, about = several.frame, of_view(view)
    wide = by_scheme(frame, several.metric)

    def told(value: float) -> str:
        return NONE if pd.isna(value) else value_text(several.metric, value)

    heading = [f"{METRICS[several.metric].label} of", *wide.columns]
    paper = heading, [[name, *map(told, row)] for name, *row in wide.itertuples()]
    held = frame.dropna(axis="columns", how="all")
    downloads(
        ("tensors", view.at.source.ref),
        {"ref": about["ref"], "revision": about["revision"], "rows": about["rows"], "importance": several.importance,
         "tensors": held.to_dict("records")},
        (held.columns, held.itertuples(index=False, name=None)),
        paper=paper,
    )  # fmt: skip
    link_note(view.at.source.ref)
