"""A page's table in the words of a paper or an issue: LaTeX or Markdown, of the columns that a visitor chooses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from quantviz import __version__
from quantviz.errors import QuantvizError
from quantviz.metrics import METRICS, value_text
from quantviz.text.spreadsheets import file_name
from quantviz.text.typeset import NONE, latex, markdown
from quantviz.text.wording import count, number

from .. import say
from ..selection import View
from ..work import cached

FORMS = {"LaTeX": (latex, "latex", ".tex"), "Markdown": (markdown, "markdown", ".md")}
_DIGITS = 12  # of a revision
_FIRST = 5  # columns that are chosen at first
_ABOUT = {"tensor": "", "ref": "of ", "revision": "at revision ", "rows": "rows ", "scheme": "under ", "text": "on "}


def typeset_section(
    called: str, table: tuple[Iterable[object], Iterable[Iterable[Any]]], about: Mapping, is_headed: bool = False
) -> None:
    """Draws the choice of form and columns, and the table. called: of the file.  about: what its caption names.
    is_headed: whether its columns are named as they are to stand there.
    """
    heading = str if is_headed else _heading
    names, rows = [str(name) for name in table[0]], [list(row) for row in table[1]]
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    form = left.segmented_control(
        "Table for a paper", list(FORMS), key="typeset_form",
        help="LaTeX takes the packages booktabs and siunitx; numbers stand with their decimal points under each other.",
    )  # fmt: skip
    if not form:
        return
    chosen = right.multiselect(
        "Columns", names, default=names[:_FIRST], key=f"typeset_{file_name(*names)[:40]}",
        format_func=lambda name: say.plain(heading(name)),
    )  # fmt: skip
    if not chosen:
        st.caption("Choose the columns of the table above.")
        return
    write, language, ending = FORMS[form]
    places = [names.index(name) for name in chosen]
    texts = [[_text(names[i], row[i]) for i in places] for row in rows]
    made = write([heading(name) for name in chosen], texts, made_of(about))
    st.code(made, language=language)
    st.download_button(
        "The file", made, f"{called}{ending}", "text/plain", icon=":material/download:", on_click="ignore"
    )


def of_view(view: View) -> dict[str, Any]:
    """What a page's data and figures are of. No revision where the file changed since it was opened."""
    revision = ""
    with contextlib.suppress(QuantvizError):
        revision = cached.opened(view.at.source).revision
    return {"ref": view.at.source.ref, "revision": revision, "tensor": view.at.tensor, "rows": view.at.rows}


def made_of(about: Mapping[str, Any]) -> str:
    """What a table or a figure is of, and with what it was made."""
    about = dict(about, revision=str(about.get("revision") or "")[:_DIGITS])
    if about.get("rows"):
        about["rows"] = ":".join(map(str, about["rows"]))
    told = [f"{before}{about[name]}" for name, before in _ABOUT.items() if about.get(name)]
    return ", ".join([" ".join(told), f"quantviz {__version__}"] if told else [f"quantviz {__version__}"])


def _heading(name: str) -> str:
    return METRICS[name].label if name in METRICS else name.replace("_", " ")


def _text(name: str, value: Any) -> str:
    if value is None or (not isinstance(value, str | tuple | list) and pd.isna(value)):
        return NONE
    if name in METRICS:
        return value_text(name, float(value))
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, tuple | list):
        return "; ".join(map(str, value))
    return count(int(value)) if float(value).is_integer() and "." not in str(value) else number(float(value), 4)
