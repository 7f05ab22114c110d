"""One's own numbers, typed or pasted: the link holds them, or, where they are many, this window does."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.sources.values import MOST_TEXT, PREFIX, Values

from ..link.address import changing, notice
from ..link.state import SIX_NUMBERS, choose_ref
from ..selection import UPLOAD
from ..shared import uploads

LONGEST_LINK = 2000  # characters of numbers in an address, which some programs cut off soon after
PASTED = UPLOAD + "values.txt"  # where more of them are kept; their tensor has the same name as that of the others
_SHOWN, _REFUSED = "_numbers_of", "_numbers_refused"
_HELP = (
    "Commas, spaces or lines between numbers; a line or a semicolon a row. A column of a spreadsheet, JSON, and what "
    "NumPy or PyTorch print can be pasted too."
)


def are_numbers(ref: str) -> bool:
    """Whether a reference is shown here."""
    return ref.startswith(PREFIX) or ref == PASTED


def number_controls(ref: str) -> None:
    """A box that shows the numbers of `ref`, or six where it has none, and opens what is typed."""
    state = st.session_state
    if state.get(_SHOWN) != ref or "numbers" not in state:
        state["numbers"], state[_SHOWN] = _text_of(ref), ref
    st.text_area(
        "Your numbers", key="numbers", value=state["numbers"], height=110, on_change=_take, help=_HELP,
        placeholder="-0.89, 0.16, 0.08",
    )  # fmt: skip
    if ref == PASTED:
        st.caption("More than a link holds: they stay in this window.")
        st.download_button("Save them", state["numbers"], "values.txt", icon=":material/download:", on_click="ignore")


def _text_of(ref: str) -> str:
    """What the box shows for a reference: what was refused since, or its numbers."""
    of, text = st.session_state.get(_REFUSED, (None, ""))
    if of == ref:
        return text
    if ref == PASTED and (path := uploads.path_of(PASTED.removeprefix(UPLOAD))):
        return Path(path).read_text("utf-8", "replace")[:MOST_TEXT]
    wanted = ref if ref.startswith(PREFIX) else SIX_NUMBERS
    try:
        return Values.parse(wanted).text
    except QuantvizError:  # shown where the reference is opened; here it can be put right
        return wanted.removeprefix(PREFIX)


def _take() -> None:
    state = st.session_state
    text, before = state["numbers"], state[_SHOWN]
    with changing():
        try:
            found = Values.read(text)
            ref = found.ref
            if len(ref) > LONGEST_LINK:
                ref = UPLOAD + uploads.keep(PASTED.removeprefix(UPLOAD), memoryview(found.text.encode()))
        except QuantvizError as problem:
            state[_REFUSED] = before, text
            notice(f"{problem} What was open before is still shown.")
            return
        state.pop(_REFUSED, None)
        state[_SHOWN] = None
        choose_ref(ref)
        for note in found.notes:
            notice(note)
