"""Which language model, which text and how, as the address holds it."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.quality.layers import DEFAULT_TARGETS, WORDS
from quantviz.quality.results import METHODS, method_text
from quantviz.quality.texts import decode
from quantviz.text_numbers import whole_number
from quantviz.wording import count, size

from . import say
from .access import hub_token, may_open_files
from .quality_state import Ask, Text, keep_text, source_of
from .state import View, text_state
from .tensor_controls import DEMO_REF, UPLOAD

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
    """Draws the controls. Gives what is asked for; None, with a sentence, where that is no question yet."""
    left, right = st.columns(2, gap="medium")
    with left:
        ref = _model(view)
    with right:
        text = _text()
    tokens_column, context_column, method_column = st.columns([1, 1, 2], gap="medium", vertical_alignment="bottom")
    tokens = _number(
        tokens_column, "tokens", "Tokens", (*TOKENS, ALL_TOKENS), DEFAULT_TOKENS, MOST_TOKENS, _TOKENS_HELP
    )
    context = _number(context_column, "context", "Context", CONTEXTS, DEFAULT_CONTEXT, MOST_CONTEXT, _CONTEXT_HELP)
    method = method_column.segmented_control(
        "Windows", list(METHODS), key="method", default=next(iter(METHODS)), required=True, bind="query-params",
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
    ref = text_state("model", "Model", DEMO_REF, help=_MODEL_HELP, placeholder=places) or DEMO_REF
    other = view.at and view.at.source.ref
    if other and other != ref and not other.startswith(("random:", UPLOAD)):
        st.button(f"Measure {say.name(other)}, which the sidebar has open", on_click=_choose_model, args=(other,))
    return ref


def _choose_model(ref: str) -> None:
    st.session_state["model"] = ref


# -- text --------------------------------------------------------------------------------------


def _text() -> Text | None:
    chosen = st.segmented_control(
        "Text", TEXTS, key="text", default=DEMO_TEXT, required=True, bind="query-params",
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
    digest = text_state(
        "text_id", "Fingerprint of the text", "", placeholder="none yet",
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
        st.session_state["text_id"] = keep_text(content).digest


def _keep_file() -> None:
    upload = st.session_state["text_file"]
    if upload is None:
        return
    try:
        st.session_state["text_id"] = keep_text(decode(upload.getvalue(), upload.name)).digest
    except QuantvizError as problem:
        st.session_state["_text_problem"] = str(problem)


# -- numbers and layers ------------------------------------------------------------------------


def _number(column, key: str, label: str, offered: tuple[str, ...], default: str, most: int, help: str) -> int | None:
    """A whole number that is offered or typed, None for all; a wrong one falls back to the default with a sentence."""
    wanted = st.session_state.get(key) or st.query_params.get(key) or default
    options = list(dict.fromkeys([*offered, wanted]))
    text = column.selectbox(
        label, options, options.index(default), key=key, bind="query-params", accept_new_options=True, help=help
    )
    if text == ALL_TOKENS and ALL_TOKENS in offered:
        return None
    plain = (text or "").replace(",", "").strip()
    if (number := whole_number(plain, 1, most)) is not None:
        return number
    say.notice(f"{text!r} is no number of {label.lower()}; taking {default} instead.")
    return int(default)


def _layers() -> tuple[str, ...]:
    """Words of WORDS and patterns of names; what plain schemes are applied to."""
    state = st.session_state
    wanted = state["layers"] if "layers" in state else st.query_params.get_all("layers") or list(DEFAULT_TARGETS)
    named = [part for text in wanted for part in text.replace(",", " ").split()]
    state["layers"] = list(dict.fromkeys(named)) or list(DEFAULT_TARGETS)
    chosen = ", ".join(state["layers"])
    with st.expander(f"Which layers are quantized: {say.name(chosen)}"):
        st.multiselect(
            "Layers", list(dict.fromkeys([*WORDS, *state["layers"]])), key="layers", bind="query-params",
            accept_new_options=True, placeholder="linear",
            help="\n".join(f"- `{word}`: {meaning}" for word, meaning in WORDS.items())
            + "\n- or a pattern that is part of a layer's name: `down_proj`, `layers.0`, `layers.*.mlp`",
        )  # fmt: skip
        st.caption(
            "A scheme may also be a table of patterns, of which the first that matches wins and `*` stands for the "
            "layers above: type `down_proj=int8-sym-b32;*=int4-asym-b32` among the schemes."
        )
    return tuple(state["layers"])
