"""The layer's inputs: their importance from a file, or a calibration, collected or made up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from quantviz.calibration.importance import entry_of, importance_names
from quantviz.errors import QuantvizError
from quantviz.sources import TensorInfo
from quantviz.text.wording import plural

from .. import say
from ..selection import Importance, View
from ..terms import explained
from ..work import cached
from ..work.tensors import importance_named
from .calibrating import calibration_controls
from .uploads import upload_folder

_HELP = """
The mean square `E[x²]` of each input channel over some text: an error in a channel with large inputs costs more.
It adds the importance-weighted MSE; `clip=mse` and GGUF's block types search by it, and iq2_xs, iq2_xxs, iq1_s
and iq1_m cannot do without.

- **.npy**: one number a channel
- **.gguf**: what llama.cpp's `llama-imatrix` writes
- **.safetensors**: what the page Quality collects
"""


def importance_upload(view: View) -> Importance | None:
    """Draws the controls. Gives the importance for the tensor at hand, and perhaps a calibration with it; None where
    there is none.
    """
    wanted = view.scheme.uses_data or view.scheme.act is not None
    with st.expander("Inputs of the layer: importance and calibration", expanded=wanted):
        given = calibration_controls(view)
        if given is not None:
            return given
        kept = importance_file()
        if kept is None:
            st.caption("Without it, every input channel counts alike.")
            return None
        name, path = kept
        unfit = None
        try:
            entry = _entry(path, view.at.tensor)
            found = cached.importance_of(name, path, entry, view.info, view.at.rows) if entry is not None else None
        except QuantvizError as problem:
            found, unfit = None, problem
        forget_button(name)
    if unfit is not None:  # outside of the box above, which may be closed
        say.warning(f"Errors are not weighed here. {unfit}")
    if found is not None:
        say.caption(
            f"Importance from {name}{f', {found.entry}' if found.entry else ''}: {plural(view.info.cols, 'channel')}."
        )
    return found


def importance_of_each() -> Callable[[TensorInfo, tuple[int, int] | None], Importance | None] | None:
    """How tensors are weighed by the file in use, each by the entry of its own name; None where no file names any."""
    kept = st.session_state.get("_importance")
    try:
        entries = importance_names(kept[1]) if kept else ()
    except QuantvizError:  # the page has said so
        return None
    return partial(importance_named, *kept, entries) if entries else None


def importance_file() -> tuple[str, str] | None:
    """Draws the way in for a file. Gives the name and the path of the one in use, whose stem is its digest."""
    st.file_uploader(
        "E[x²] of each input channel", type=["npy", "gguf", "safetensors"], key="importance_file", on_change=_keep,
        help=explained("Importance", _HELP),
    )  # fmt: skip
    return st.session_state.get("_importance")


def forget_button(name: str) -> None:
    """Draws the way out of using it."""
    st.button(f"Forget {say.name(name)}", icon=":material/close:", on_click=_forget)


def _entry(path: str, tensor: str) -> str | None:
    """Which entry of the file is meant: the tensor's own where it is there; None until one is chosen."""
    names = importance_names(path)
    if not names:
        return ""
    own = entry_of(tensor, names)
    names = names if own is None or own in names else (own, *names)  # of experts that lie in one tensor, all together
    if st.session_state.get("importance_entry") not in names:
        st.session_state["importance_entry"] = own
    return st.selectbox(
        "Tensor in the file", names, key="importance_entry", index=None, filter_mode="contains",
        placeholder=f"none is called {tensor}; choose the one it belongs to", persist_state="session",
    )  # fmt: skip


def _keep() -> None:
    upload = st.session_state["importance_file"]
    if upload is not None:
        take_importance(Path(upload.name).name, upload.getbuffer())


def take_importance(name: str, content: bytes | memoryview) -> None:
    """For callbacks: importance from now on comes from this file, called `name`."""
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    path = upload_folder() / f"{digest}{Path(name).suffix.lower()}"  # no name of a visitor's making
    with path.open("wb") as file:
        file.write(content)
    st.session_state["_importance"] = name, str(path)
    st.session_state["importance_entry"] = None


def importance_name(ref: str) -> str:
    """What a file of importance is called that the model of this reference made."""
    return f"importance-{ref.rsplit('/', 1)[-1].replace(':', '-')}.safetensors"


def importance_in_use() -> str | None:
    """The name of the file that importance comes from, if there is one."""
    return st.session_state.get("_importance", (None,))[0]


def _forget() -> None:
    st.session_state.pop("_importance", None)
