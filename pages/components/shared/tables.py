"""Tables whose numbers are written as elsewhere and sort as numbers, in columns as wide as their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from quantviz.evaluation import Evaluation
from quantviz.metrics import METRICS, Metric, value_text

from .. import say
from ..link.address import link
from ..terms import explained, metric_help

Written = Mapping[str, Callable[[Any], str]]

NONE = "–"  # what stands where there is no figure
BEST = "background-color: rgba(0, 166, 125, 0.22); font-weight: bold"
MOST_ROWS, _ROW = 20, 35  # seen of a long table without scrolling; pixels of a row
_LETTER, _EDGES, _LEAST, _MOST = 7.6, 26, 64, 520  # pixels: of a letter, of a cell's edges, of a column


def as_styler(data: Any, how: Written) -> Styler:
    """A table, columns or a DataFrame, whose cells are written by `how`: column -> what makes a text of a value."""
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    return frame.style.format({name: _or_none(text) for name, text in how.items() if name in frame}, na_rep=NONE)


def _or_none(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: NONE if value is None or pd.isna(value) else text(value)


def fitted(frame: pd.DataFrame, how: Written, config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with a width for every column that has none: of its heading, or of its longest cell.

    A number cut off at its left edge would look like another number.
    """
    found = {}
    for name in frame.columns:
        column = dict(config.get(name) or st.column_config.Column())
        column["help"] = explained(column.get("label") or name, column.get("help"))
        text, values = how.get(name, str), (v for v in set(frame[name].tolist()) if not pd.isna(v))
        longest = max((len(text(value)) for value in values), default=1)
        heading = len(str(column.get("label") or name)) + (3 if column.get("help") else 1)
        if column.get("width") is None:
            column["width"] = round(min(max(_LETTER * max(longest, heading) + _EDGES, _LEAST), _MOST))
        found[name] = column
    return found


def table(data: Any, how: Written, key: str, config: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """st.dataframe of `written` data in fitted columns; data may be a Styler already.

    Where all cells are texts there is no `how`, and no Styler: it takes longer than all else here.
    """
    if not isinstance(data, Styler):
        data = as_styler(data, how) if how else pd.DataFrame(data)
    frame = data.data if isinstance(data, Styler) else data
    return st.dataframe(
        data, hide_index=True, key=key, column_config=fitted(frame, how, config or {}), placeholder=NONE, **more
    )


def height(frame: pd.DataFrame) -> int | str:
    """Of the whole table, or of MOST_ROWS of a longer one."""
    return "content" if len(frame) <= MOST_ROWS else _ROW * (MOST_ROWS + 1)


def metric_headings(metrics: Iterable[Metric]) -> dict[str, Any]:
    """Headings of columns of metrics, with formula, unit and direction when the pointer is on them."""
    return {m.name: st.column_config.Column(m.label, help=metric_help(m)) for m in metrics}


def all_metrics(evaluation: Evaluation, key: str) -> None:
    """Every metric of an evaluation, a row each, with what it means."""
    shown = [(METRICS[name], value) for name, value in evaluation.metrics.items()]
    table(
        {
            "metric": [m.label for m, _ in shown],
            "value": [value_text(m.name, value) for m, value in shown],
            "formula": [m.formula for m, _ in shown],
            "unit": [{"fraction": "%", "": "number"}.get(m.unit, m.unit) for m, _ in shown],
            "better": [m.direction for m, _ in shown],
            "meaning": [m.meaning for m, _ in shown],
        },
        {}, key, height="content",
    )  # fmt: skip


def open_in_explore(scheme: str) -> None:
    """A link to Explore with this scheme."""
    st.page_link(
        "pages/explore.py", label=f"Open {say.name(scheme)} in Explore", icon=":material/search_insights:",
        query_params=link("explore", scheme=scheme),
    )  # fmt: skip
