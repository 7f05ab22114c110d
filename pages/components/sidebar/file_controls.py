"""A file: its path on this machine, an upload, or the picture that comes with quantviz."""

from __future__ import annotations

import streamlit as st

from ..link.state import choose_ref
from ..selection import UPLOAD
from ..shared import uploads
from ..shared.access import may_open_files

OWN_PICTURE = "picture:"


def file_controls(ref: str) -> None:
    """ref: of the file that is open, "" for none."""
    state = st.session_state
    if may_open_files():
        state["file_path"] = "" if ref.startswith(UPLOAD) else ref
        st.text_input(
            "Path on this machine", key="file_path", on_change=_choose_path,
            placeholder="model.safetensors, its index.json, a folder, .gguf, .npy, .csv or .png",
        )  # fmt: skip
    st.file_uploader(
        "Upload a file", type=[suffix[1:] for suffix in uploads.ENDINGS], key="uploaded", on_change=_take_upload,
        help="Kept in a private folder until you close the page; a link cannot carry it.",
    )  # fmt: skip
    st.button(
        "Try a picture", icon=":material/image:", on_click=choose_ref, args=(OWN_PICTURE,),
        disabled=ref == OWN_PICTURE,
        help="One that quantviz draws, as a tensor: banding, edges and outliers show at a glance.",
    )  # fmt: skip


def _choose_path() -> None:
    if path := st.session_state["file_path"].strip():
        choose_ref(path)


def _take_upload() -> None:
    if (upload := st.session_state["uploaded"]) is not None:
        choose_ref(UPLOAD + uploads.keep(upload.name, upload.getbuffer()))
