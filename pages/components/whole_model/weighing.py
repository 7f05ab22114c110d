"""Importance of every layer, which weighs the sweep's errors: from a file, or from a text that the model reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from quantviz.quality.model.activations import collect_activations
from quantviz.quality.text.texts import calibration_text
from quantviz.text.wording import size

from .. import say
from ..selection import ModelRef, View
from ..shared.importance_upload import (
    forget_button,
    importance_file,
    importance_in_use,
    importance_name,
    take_importance,
)
from ..terms import explained
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, steps

TOKENS = 8192  # that the model reads
_contents: BoundedCache[bytes] = BoundedCache(256 << 20, len)
_HELP = f"""
The model as it is stored reads {TOKENS:,} tokens of the demo model's calibration text, and the mean square `E[x²]` of
each input channel of each linear layer is kept. An error in a channel with large inputs costs more.
"""


@dataclass(frozen=True)
class Weighing:
    """A file of importance, known by its digest.  name: what it is called.  path: where this visitor's copy lies."""

    digest: str
    name: str = field(compare=False)
    path: str = field(compare=False)


def weighing_controls(source: ModelRef, view: View) -> Weighing | None:
    """Draws where importance comes from; None where errors are not weighed."""
    with st.expander("Inputs of the layers: importance"):
        st.markdown("With it the table has the error **weighed by the inputs**, and a plan can go by it.")
        task, name = _reading(source, view), importance_name(source.ref)
        if importance_in_use() is None:
            st.button(
                "Let the model read a text",
                icon=":material/input:",
                on_click=_ask_for,
                args=(task, name),
                help=explained("Importance", _HELP),
            )
        kept = importance_file()
        if kept is not None:
            with st.container(horizontal=True):
                forget_button(kept[0])
                if kept[0] == name and task.ready is not None:
                    st.download_button(
                        "Importance (.safetensors)", task.ready, name, "application/octet-stream", on_click="ignore",
                        icon=":material/download:", help="The command and the script below take it as a file.",
                    )  # fmt: skip
    if st.session_state.get("_weighing") == name:
        found = task.result()
        if found is None:
            return None
        st.session_state.pop("_weighing")
        take_importance(name, found)
        st.rerun()
    if kept is None:
        return None
    file, path = kept
    say.caption(f"Errors are weighed by importance from {file}, {size(Path(path).stat().st_size)}.")
    return Weighing(Path(path).stem, file, path)


def _ask_for(task: KeptResult, name: str) -> None:
    st.session_state["_weighing"] = name
    task.begin()


def _reading(source: ModelRef, view: View) -> KeptResult:
    def make(job: Job) -> bytes:
        found = collect_activations(
            source.opens, calibration_text(), TOKENS, samples=1, progress=steps(job, "windows"), token=view.token,
            root=source.root,
        )  # fmt: skip
        return found.to_bytes()

    return KeptResult(("importance of all layers", source), f"Inputs of {source.ref}", make, _contents, heavy=True)
