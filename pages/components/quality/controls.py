"""Which language model, which text and how, as the address holds it."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.quality.model.layers import DEFAULT_TARGETS, WORDS
from quantviz.quality.results import METHODS, method_text
from quantviz.quality.text.windows import MIN_CONTEXT
from quantviz.sources.files import SINGLE_TENSORS

from .. import say
from ..link import address, choices
from ..link.address import put
from ..selection import DEMO_REF, UPLOAD, View
from ..shared.access import hub_token, may_open_files
from .data_controls import data_controls
from .state import Ask, source_of
from .texts import ALL_TOKENS, MOST_TOKENS, TOKENS, number, text_control

DEFAULT_TOKENS = "4096"
CONTEXTS, DEFAULT_CONTEXT = ("128", "256", "512", "1024", "2048"), "512"
MOST_CONTEXT = 1 << 20

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
        text = text_control()
    tokens_column, context_column, method_column = st.columns([1, 1, 2], gap="medium", vertical_alignment="bottom")
    tokens = number(
        tokens_column, "Tokens", "tokens", (*TOKENS, ALL_TOKENS), DEFAULT_TOKENS, MOST_TOKENS, help=_TOKENS_HELP
    )
    context = number(context_column, "Context", "context", CONTEXTS, DEFAULT_CONTEXT, MOST_CONTEXT, help=_CONTEXT_HELP)
    method = choices.one_of(
        method_column.segmented_control, "Windows", "method", list(METHODS), next(iter(METHODS)),
        help="Side by side as llama.cpp's perplexity tool has them, or sliding, as is common elsewhere: figures of the "
        "two are not to be compared.",
    )  # fmt: skip
    if context >= MIN_CONTEXT:  # of a shorter one the measurement says that it is too short
        say.caption(method_text(method, context))
    targets = _layers()
    data = data_controls()
    if text is None or data is None:
        return None
    token = hub_token(st.session_state.get("_token", ""))
    try:
        source = source_of(ref, token)
    except QuantvizError as problem:
        say.error(problem)
        return None
    return Ask(source, text, tokens, context, method, targets, data, token)


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


# -- layers ------------------------------------------------------------------------------------


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
