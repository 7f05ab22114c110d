"""How schemes that use data are calibrated: on which text, how much of it, and through which blocks."""

from __future__ import annotations

import streamlit as st

from quantviz.quality.data import CALIBRATION_TOKENS, HALF_OF_DEMO
from quantviz.text.numbers import whole_number
from quantviz.text.wording import plural

from .. import say
from ..link import address, choices
from .state import Data, Text
from .texts import (
    ALL_TOKENS,
    DEMO_TEXT,
    FINGERPRINT,
    FINGERPRINT_HELP,
    MOST_TOKENS,
    NONE_YET,
    OWN,
    TEXTS,
    TOKENS,
    number,
    own_text,
)

QUANTIZED, STORED = "quantized", "stored"
INPUTS = {QUANTIZED: "through quantized blocks", STORED: "of the model as it is stored"}
_TEXT_HELP = (
    f"What the model reads for `solver=gptq`, `solver=awq` and the imatrix: {HALF_OF_DEMO}, or a text of your own. "
    "What is scored is never calibrated on: where both texts share a passage, the calibration begins behind it."
)
_TOKENS_HELP = "How much of it is read. Fewer tokens than a layer has inputs leave `E[x xᵀ]` singular."
_INPUTS_HELP = (
    "Where a layer's inputs come from. Through quantized blocks, as GPTQ's authors have it: each block is calibrated "
    "on what the blocks quantized before it give, and makes up for their errors. Or from the model as it is stored, as "
    "AWQ's authors have it."
)
_IMATRIX_HELP = (
    "GGUF's k- and i-quants, and clip=mse, search their scales by `E[x²]` of the same text, as llama.cpp's imatrix has "
    "it. Without, i-quants that need one are left out."
)


def data_controls() -> Data | None:
    """Draws the controls. None, with a sentence on the page, where a text of the visitor's own is missing."""
    with st.expander(f"Calibration, for schemes that use data: {say.name(_now())}"):
        left, right = st.columns(2, gap="medium")
        with left:
            chosen = choices.one_of(
                st.segmented_control, "Calibration text", "calibration_text", TEXTS, DEMO_TEXT, help=_TEXT_HELP
            )
        text = Text()
        if chosen == OWN:
            text = own_text("calibration_id", lambda: choices.text(
                FINGERPRINT, "calibration_id", placeholder=NONE_YET, help=FINGERPRINT_HELP
            ))  # fmt: skip
        tokens = number(
            right, "Calibration tokens", "calibration_tokens", (*TOKENS, ALL_TOKENS), str(CALIBRATION_TOKENS),
            MOST_TOKENS, help=_TOKENS_HELP,
        )  # fmt: skip
        inputs = choices.one_of(
            left.segmented_control, "Inputs", "inputs", list(INPUTS), QUANTIZED, named=INPUTS.__getitem__,
            help=_INPUTS_HELP,
        )  # fmt: skip
        imatrix = choices.toggle("k- and i-quants by its imatrix", "imatrix", on=right, help=_IMATRIX_HELP)
    return None if text is None else Data(text, tokens, inputs == QUANTIZED, imatrix)


def _now() -> str:
    """What is chosen, for the label."""
    tokens = address.chosen_text("calibration_tokens") or str(CALIBRATION_TOKENS)
    known = whole_number(tokens)
    shown = f"{tokens} tokens" if known is None else plural(known, "token")
    of = "a text of your own" if address.chosen_text("calibration_text") == OWN else HALF_OF_DEMO
    also = ", with an imatrix" if address.chosen_text("imatrix") == "true" else ""
    return f"{shown} of {of}{also}"
