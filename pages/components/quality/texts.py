"""Texts and how much of them is read: the demo's, or one that a visitor pastes or uploads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.quality.text.texts import decode
from quantviz.text.numbers import whole_number
from quantviz.text.wording import plural, size

from .. import say
from ..link import choices
from ..link.address import put
from .state import Text, keep_text

TEXTS = DEMO_TEXT, OWN = "demo", "own"
TOKENS, ALL_TOKENS = ("2048", "4096", "8192", "16384", "32768"), "all"
MOST_TOKENS = 10**8
FINGERPRINT = "Fingerprint of the text"
FINGERPRINT_HELP = "What a link has in place of the text. The server keeps the text until it ends."
NONE_YET = "none yet"


def text_control() -> Text | None:
    """The text that is scored."""
    chosen = choices.one_of(
        st.segmented_control, "Text", "text", TEXTS, DEMO_TEXT,
        help="The demo's text is the Gospel of John, which the demo model was not trained on. Of your own, take "
        "something that the model may not have learned by heart.",
    )  # fmt: skip
    if chosen != OWN:
        return Text()
    return own_text(
        "text_id", lambda: choices.text(FINGERPRINT, "text_id", placeholder=NONE_YET, help=FINGERPRINT_HELP)
    )


def own_text(key: str, fingerprint: Callable[[], str]) -> Text | None:
    """A text that is pasted or uploaded, whose fingerprint the address holds under `key`; None while there is none.

    fingerprint: draws the control of that key.
    """
    pasted, file = st.columns(2)
    own = "" if key == "text_id" else f"{key}_"
    pasted.text_area(
        "Paste a text", key=f"{own}pasted", on_change=_keep_pasted, args=(key, f"{own}pasted"), height=110,
        placeholder="At least one window",
    )  # fmt: skip
    file.file_uploader(
        "or upload one", type=["txt", "md", "text", "csv", "json"], key=f"{own}text_file", on_change=_keep_file,
        args=(key, f"{own}text_file"), help="Plain text in UTF-8, or UTF-16 that says so by its first two bytes.",
    )  # fmt: skip
    if problem := st.session_state.pop(f"_{key}_problem", None):
        say.error(problem)
    digest = fingerprint()
    text = Text(digest)
    if not digest:
        st.info("Paste a text or upload a file.", icon=":material/article:")
        return None
    if text.content is None:
        st.warning("The server no longer holds the text with this fingerprint: paste or upload it again.",
                   icon=":material/info:")  # fmt: skip
        return None
    say.caption(
        f"{plural(len(text.content), 'character')}, {size(len(text.content.encode()))}: “{_beginning(text.content)}”"
    )
    return text


def _beginning(content: str) -> str:
    words = " ".join(content[:400].split())
    return words if len(words) <= 80 else words[:79] + "…"


def _keep_pasted(key: str, widget: str) -> None:
    content = st.session_state[widget]
    if content.strip():
        put(**{key: keep_text(content).digest})


def _keep_file(key: str, widget: str) -> None:
    upload = st.session_state[widget]
    if upload is None:
        return
    try:
        put(**{key: keep_text(decode(upload.getvalue(), upload.name)).digest})
    except QuantvizError as problem:
        st.session_state[f"_{key}_problem"] = str(problem)


def number(
    on: Any, label: str, key: str, offered: tuple[str, ...], default: str, most: int, help: str
) -> int | None:  # fmt: skip
    """A whole number that is offered or typed, None for all."""

    def check(text: str) -> None:
        if text not in offered and whole_number(_plain(text), 1, most) is None:
            raise QuantvizError(f"{label} takes a whole number from 1 to {most:,}, not {text!r}.")

    text = choices.one_of(on.selectbox, label, key, offered, default, check=check, help=help)
    return None if text == ALL_TOKENS else int(_plain(text))


def _plain(text: str) -> str:
    """A number as it is typed, without its commas."""
    return text.replace(",", "").strip()
