"""What a visitor takes along from any page: code, data as JSON and CSV, pictures, and the link."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from quantviz.text.plain import plain
from quantviz.text.spreadsheets import csv_text, file_name

from .. import say
from ..selection import UPLOAD
from .access import is_loopback
from .charts import picture_setting
from .typeset import typeset_section

ABOUT = ("ref", "revision", "tensor", "rows", "scheme", "text")  # of a document: where it is from
PYTHON, COMMAND, DATA = "Python", "Command line", "Data and link"
Table = tuple[Iterable[object], Iterable[Iterable[Any]]]


@st.fragment
def more(key: str, sections: Mapping[str, Callable[[], Any]]) -> None:
    """The end of a page: what is chosen of `sections`, a name and what draws it. key: of the choice in the session."""
    chosen = st.segmented_control("More", list(sections), format_func=say.name, key=key, persist_state="session")
    if chosen:
        sections[chosen]()


def downloads(
    name: Iterable[object], document: Any = None, table: Table | None = None, help: str | None = None, pictures=True,
    paper: Table | None = None,
) -> None:  # fmt: skip
    """Buttons for the data of a page. name: parts of the files' name.  table: heading and rows of the CSV.
    paper: heading, as it is to stand, and rows of the table for a paper, where that is another.

    What of a document says where it is from stands in each row of the CSV and in the caption of a paper's table.
    """
    called, told = file_name("quantviz", *name), document if isinstance(document, Mapping) else {}
    about = {key: told[key] for key in ABOUT if told.get(key)}
    table = table and (list(table[0]), [list(row) for row in table[1]])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if document is not None:
            _button("JSON", json.dumps(plain(document), indent=1), f"{called}.json", "application/json")
        if table is not None:
            _button("CSV", csv_text(*_told(*table, about)), f"{called}.csv", "text/csv", help)
        if pictures:
            picture_setting()
    if table is not None:
        typeset_section(called, paper or table, about, bool(paper))


def _told(heading: list[object], rows: list[list[Any]], about: Mapping[str, Any]) -> Table:
    """With a column for each thing that all rows have in common."""
    more = {name: value for name, value in about.items() if name not in heading}
    return [*more, *heading], [[*more.values(), *row] for row in rows]


def _button(label: str, text: str, name: str, kind: str, help: str | None = None) -> None:
    st.download_button(label, text, name, kind, icon=":material/download:", on_click="ignore", help=help)


def link_note(*refs: str, uploads: bool = False) -> None:
    """Says what the address in the browser opens again, and in which browsers.

    refs: every reference that the view shows.  uploads: whether another file of the visitor's takes part, such as an
    importance.
    """
    say.caption(" ".join(link_sentences(refs, uploads, is_loopback())))


def link_sentences(refs: Iterable[str], uploads: bool, on_loopback: bool) -> list[str]:
    """`link_note` in sentences. on_loopback: whether only this machine reaches the app."""
    refs = [ref for ref in refs if ref]
    where = "in any browser of this computer" if on_loopback else "for everyone who can open this address"
    if uploads or any(ref.startswith(UPLOAD) for ref in refs):
        return ["An uploaded file stays in this window, so the address opens the rest of this view without it."]
    said = [f"The address bar holds this view: copied, it opens the same {where}."]
    if any(_is_path(ref) for ref in refs):
        said.append("It names a file, which has to stay where it is and as it is.")
    if any(ref.startswith("hf:") and "@" not in ref for ref in refs):
        said.append("It names no revision of the model, so it shows what the Hub holds by then.")
    return said


def _is_path(ref: str) -> bool:
    return ref not in ("demo", "picture:") and not ref.startswith(("hf:", "random:", "values:", UPLOAD))
