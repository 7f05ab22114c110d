"""Which language model, which text and how, as the address holds it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.quality.model.layers import DEFAULT_TARGETS, WORDS
from quantviz.quality.results import METHODS, method_text
from quantviz.quality.text.texts import decode
from quantviz.sources.files import SINGLE_TENSORS
from quantviz.text.numbers import whole_number
from quantviz.text.wording import count, size

from .. import say
from ..link import address, choices
from ..link.address import put
from ..selection import DEMO_REF, UPLOAD, View
from ..shared.access import hub_token, may_open_files
from .state import Ask, Text, keep_text, source_of

TEXTS = DEMO_TEXT, OWN = "demo", "own"
TOKENS, ALL_TOKENS, DEFAULT_TOKENS = ("2048", "4096", "8192", "16384", "32768"), "all", "4096"
CONTEXTS, DEFAULT_CONTEXT = ("128", "256", "512", "1024", "2048"), "512"
MOST_TOKENS, MOST_CONTEXT = 10**8, 1 << 20

_MODEL_HELP = """
Any causal language model that transformers knows, in the Hub's own layout:

- `demo`: the small model that comes with quantviz
- a folder with config.json, safetensors and a tokenizer
- `hf:org/name` or `hf:org/name@revision`
- a .gguf file

No code of the model's own is ever run. A gated model needs a token, which the sidebar takes under Hub.
"""
_TOKENS_HELP = "How much of the text is read, in the model's own tokens. More tokens, smaller standard errors; or all."
_CONTEXT_HELP = "Tokens in a window: a prediction is made from at most so many. The demo model reads up to 512."


def quality_controls(view: View) -> Ask | None:
    """Draws the controls. Returns what to measure; None, with a sentence on the page, if something is missing."""
    left, right = st.columns(2, gap="medium")
    with left:
        ref = _model(view)
    with right:
        text = _text()
    tokens_column, context_column, method_column = st.columns([1, 1, 2], gap="medium", vertical_alignment="bottom")
    tokens = _number(
        tokens_column, "Tokens", "tokens", (*TOKENS, ALL_TOKENS), DEFAULT_TOKENS, MOST_TOKENS, help=_TOKENS_HELP
    )
    context = _number(context_column, "Context", "context", CONTEXTS, DEFAULT_CONTEXT, MOST_CONTEXT, help=_CONTEXT_HELP)
    method = choices.one_of(
        method_column.segmented_control, "Windows", "method", list(METHODS), next(iter(METHODS)),
        help="Side by side as llama.cpp's perplexity tool has them, or sliding, as is common elsewhere: figures of the "
        "two are not to be compared.",
    )  # fmt: skip
    say.caption(method_text(method, context))
    targets = _layers()
    if text is None:
        return None
    token = hub_token(st.session_state.get("_token", ""))
    try:
        source = source_of(ref, token)
    except QuantvizError as problem:
        say.error(problem)
        return None
    return Ask(source, text, tokens, context, method, targets, token)


# -- model -------------------------------------------------------------------------------------


def _model(view: View) -> str:
    places = "demo, hf:org/name" + (", a folder or a .gguf file" if may_open_files() else "")
    ref = choices.text("Model", "model", DEMO_REF, help=_MODEL_HELP, placeholder=places)
    other = view.at and view.at.source.ref
    if other and other != ref and not other.startswith((*SINGLE_TENSORS, UPLOAD)):
        st.button(f"Measure {say.name(other)}, which the sidebar has open", on_click=_choose_model, args=(other,))
    elif other and other.startswith(UPLOAD):
        say.caption(
            f"{other.removeprefix(UPLOAD)} cannot be measured here: a language model is several files, with its "
            "configuration and tokenizer; name its folder or its repository."
        )
    return ref


def _choose_model(ref: str) -> None:
    put(model=ref)


# -- text --------------------------------------------------------------------------------------


def _text() -> Text | None:
    chosen = choices.one_of(
        st.segmented_control, "Text", "text", TEXTS, DEMO_TEXT,
        help="The demo's text is the Gospel of John, which the demo model was not trained on. Of your own, take "
        "something that the model may not have learned by heart.",
    )  # fmt: skip
    if chosen != OWN:
        return Text()
    pasted, file = st.columns(2)
    pasted.text_area(
        "Paste a text", key="pasted", on_change=_keep_pasted, height=110, placeholder="At least one window"
    )
    file.file_uploader(
        "or upload one", type=["txt", "md", "text", "csv", "json"], key="text_file", on_change=_keep_file,
        help="Plain text in UTF-8, or UTF-16 that says so by its first two bytes.",
    )  # fmt: skip
    if problem := st.session_state.pop("_text_problem", None):
        say.error(problem)
    digest = choices.text(
        "Fingerprint of the text", "text_id", placeholder="none yet",
        help="What a link has in place of the text. The server keeps the text until it ends.",
    )  # fmt: skip
    text = Text(digest)
    if not digest:
        st.info("Paste a text or upload a file.", icon=":material/article:")
        return None
    if text.content is None:
        st.warning("The server no longer holds the text with this fingerprint: paste or upload it again.",
                   icon=":material/info:")  # fmt: skip
        return None
    say.caption(
        f"{count(len(text.content))} characters, {size(len(text.content.encode()))}: “{_beginning(text.content)}”"
    )
    return text


def _beginning(content: str) -> str:
    words = " ".join(content[:400].split())
    return words if len(words) <= 80 else words[:79] + "…"


def _keep_pasted() -> None:
    content = st.session_state["pasted"]
    if content.strip():
        put(text_id=keep_text(content).digest)


def _keep_file() -> None:
    upload = st.session_state["text_file"]
    if upload is None:
        return
    try:
        put(text_id=keep_text(decode(upload.getvalue(), upload.name)).digest)
    except QuantvizError as problem:
        st.session_state["_text_problem"] = str(problem)


# -- numbers and layers ------------------------------------------------------------------------


def _number(
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


def _layers() -> tuple[str, ...]:
    """Words of WORDS and patterns of names; what plain schemes are applied to."""
    words = address.chosen("layers") or list(DEFAULT_TARGETS)
    with st.expander(f"Which layers are quantized: {say.name(', '.join(words))}"):
        targets = choices.some_of(
            st.multiselect, "Layers", "layers", list(WORDS), DEFAULT_TARGETS, check=_targets, empty=[],
            placeholder="linear",
            help="\n".join(f"- `{word}`: {meaning}" for word, meaning in WORDS.items())
            + "\n- or a pattern that is part of a layer's name: `down_proj`, `layers.0`, `layers.*.mlp`",
        )  # fmt: skip
        st.caption(
            "A scheme may also be a table of patterns, of which the first that matches wins and `*` stands for the "
            "layers above: type `down_proj=int8-sym-b32;*=int4-asym-b32` among the schemes."
        )
    return tuple(targets)


def _targets(texts: list[str]) -> tuple[list[str], list[str]]:
    """Any word may be part of a name, so none is wrong; several may stand in one text."""
    return [part for text in texts for part in text.replace(",", " ").split()] or list(DEFAULT_TARGETS), []
