"""A calibration of the tensor at hand: the layer's inputs while its model reads a text, or made up."""

from __future__ import annotations

import hashlib
import re

import streamlit as st

import quantviz as qv
from quantviz.sources.files import SINGLE_TENSORS
from quantviz.text.wording import plural

from .. import say
from ..selection import DEMO_REF, Importance, View
from ..terms import explained
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, steps
from .snippet import ref_in_script

TOKENS = 8192  # that a model reads
MADE_UP = 4096
_FROM_MODEL, _MADE_UP = "model", "made up"
_HELP = """
What flows into the layer while a text is read: a sample of its inputs and their second moment `E[x xᵀ]`.
It adds the error of the layer's **output**, and lets `solver=gptq`, `solver=awq` and `smooth=` quantize by it. Its
diagonal `E[x²]` is the importance that `clip=mse` and GGUF's block types search by.
"""
_found: BoundedCache[Importance] = BoundedCache(1 << 30, lambda i: _nbytes(i.calibration))


def calibration_controls(view: View) -> Importance | None:
    """Draws the choice of where inputs come from. Gives the calibration once it is there; None where none is chosen."""
    chosen = st.session_state.get("_inputs")
    is_model = not view.at.source.ref.startswith(SINGLE_TENSORS)
    task = _of_model(view) if is_model else _made_up(view)
    kind = _FROM_MODEL if is_model else _MADE_UP
    if chosen is None or chosen[0] != kind or (chosen[1:] != _asked(view) and view.at.source.ref != DEMO_REF):
        st.markdown(
            "**Calibration**: for `solver=gptq`, `solver=awq`, `smooth=`, and the error of the layer's output, with "
            "`act=` that with quantized inputs.", help=explained("Calibration", _HELP),
        )  # fmt: skip
        label = "Let the model read a text" if is_model else "Make up inputs"
        st.button(label, icon=":material/input:", on_click=_choose, args=(kind, *_asked(view)), help=_explained(view))
        return None
    found = task.result()
    st.button("Forget the calibration", icon=":material/close:", on_click=_choose)
    if found is None:
        return None
    c = found.calibration
    say.caption(
        f"Calibration from {found.file}: {plural(c.tokens, 'token')} of {plural(c.cols, 'input')}"
        + (f", {plural(len(c.heldout), 'more token')} held out." if c.heldout is not None and len(c.heldout) else ".")
    )
    return found


def _asked(view: View) -> tuple:
    return view.at.source.ref, view.at.tensor


def _choose(*what: str) -> None:
    st.session_state["_inputs"] = what or None


def _explained(view: View) -> str:
    if view.at.source.ref == DEMO_REF:
        return "The demo model reads a part of its test book that quality is not measured on: some seconds."
    return (
        f"The model of this tensor is loaded and reads {TOKENS:,} tokens of the demo model's text."
        if not view.at.source.ref.startswith(SINGLE_TENSORS)
        else "Normal inputs, neighbours correlated, one channel in a hundred twenty times as large, as language models "
        "have them."
    )


def _of_model(view: View) -> KeptResult:
    source, tensor, token = view.at.source, view.at.tensor, view.token
    pattern = f"^{re.escape(tensor)}$"

    def make(job: Job) -> Importance:
        found = qv.calibrate(
            source.opens, tokens=TOKENS, layers=pattern, progress=steps(job, "windows"), token=token,
            root=source.root,
        )  # fmt: skip
        python = f"qv.calibrate({ref_in_script(source.ref)!r}, tokens={TOKENS}, layers={pattern!r})[{tensor!r}]"
        return _as_importance(found[tensor], f"{source.ref}, reading the demo model's text", python)

    return KeptResult(("calibration", source, tensor), f"Inputs of {tensor}", make, _found, heavy=True)


def _made_up(view: View) -> KeptResult:
    cols = view.info.cols

    def make(job: Job) -> Importance:
        progress = job.step("making up inputs", "tokens")
        tokens = min(MADE_UP, max(256, (1 << 26) // cols))
        found = qv.Calibration.of(qv.synthetic_inputs(cols, tokens), progress=progress)
        python = f"qv.Calibration.of(qv.synthetic_inputs({cols}, {tokens}))"
        return _as_importance(found, "inputs that were made up", python)

    return KeptResult(("made-up inputs", cols), "Making up inputs", make, _found)


def _nbytes(c: qv.Calibration) -> int:
    return sum(part.nbytes for part in (c.moment, c.inputs, c.heldout) if part is not None)


def _as_importance(calibration: qv.Calibration, file: str, python: str) -> Importance:
    digest = hashlib.blake2b(calibration.moment.tobytes(), digest_size=8).hexdigest()
    return Importance(file, "", calibration.importance, digest, calibration, python)
