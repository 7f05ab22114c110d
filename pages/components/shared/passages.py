"""What models write after the same beginning, one under another, with what differs marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from quantviz.quality.results import Continuation
from quantviz.quality.text.words import difference_text

AS_STORED = "as stored"


def passages(written: Sequence[Continuation]) -> None:
    st.html(f'<div class="qv-passages" role="list">{"".join(map(_passage, written))}</div>')
    st.caption("Boxed and underlined: tokens that the model as it is stored does not have at that place.")


def _passage(c: Continuation) -> str:
    """A row: the scheme, how far it agrees, and the text, in which a run of other tokens is one mark."""
    text, inside = [], False
    for piece, other in zip(c.pieces, c.differs, strict=True):
        if other != inside:
            text.append("<mark>" if other else "</mark>")
            inside = other
        text.append(escape(piece).replace("\n", "<br>"))
    text.append("</mark>" * inside)
    return (
        f'<div role="listitem"><div class="qv-scheme">{escape(c.scheme or AS_STORED)}</div>'
        f'<div class="qv-agrees">{escape(difference_text(c))}</div>'
        f'<div class="qv-text"><span class="qv-prompt">{escape(c.prompt)}</span>{"".join(text)}</div></div>'
    )
