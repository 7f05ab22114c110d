"""Files that a visitor uploads: each in a private folder, under its own name, until the window is closed."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from shutil import rmtree

import streamlit as st

from quantviz.sources.files import PICTURE_ENDINGS, TEXT_ENDINGS
from quantviz.text.printable import printable

MODEL_ENDINGS = (".safetensors", ".gguf", ".npy")
ENDINGS = (*MODEL_ENDINGS, *TEXT_ENDINGS, *PICTURE_ENDINGS)
LONGEST_STEM = 200  # bytes of a file's name that are kept: a folder takes 255


@st.cache_resource(scope="session", on_release=lambda folder: rmtree(folder, ignore_errors=True), show_spinner=False)
def upload_folder() -> Path:
    """A folder of this session's own, readable by nobody else, gone when the session is."""
    return Path(tempfile.mkdtemp(prefix="quantviz-"))


def keep(name: str, content: memoryview) -> str:
    """Writes an uploaded file; gives the name under which `path_of` finds it."""
    kept = st.session_state.setdefault("_uploads", {})
    folder = Path(tempfile.mkdtemp(dir=upload_folder()))  # of its own: nothing that is there before is written over
    name = own_name(name)
    with (folder / name).open("wb") as file:
        file.write(content)
    kept[name] = str(folder / name)
    return name


def path_of(name: str) -> str | None:
    """Where an uploaded file lies; None where this window has none of that name."""
    return st.session_state.get("_uploads", {}).get(name)


def own_name(name: str) -> str:
    """The name of a visitor's file as a name in a folder: a .npy's tensor and its snippets are called after it.

    >>> own_name("six numbers.NPY"), own_name("../../etc/passwd"), own_name("C:\\\\b.npy"), len(own_name(999 * "x"))
    ('six numbers.npy', 'passwd', 'b.npy', 200)
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    stem = printable(last.removesuffix(suffix) if (suffix := PurePosixPath(last).suffix) else last).lstrip(".")
    known = suffix.lower() if suffix.lower() in ENDINGS else ""
    return (stem.encode()[:LONGEST_STEM].decode(errors="ignore") or "file") + known
