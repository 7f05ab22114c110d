"""The demo model that the package ships, a folder of the Hub's own layout."""

from __future__ import annotations

from pathlib import Path

from ..errors import QuantvizError
from .folder import open_folder
from .model import Reader

FOLDER = Path(__file__).parent.parent / "quality" / "demo"


def open_demo() -> Reader:
    """Its tensors. They belong to the app, so no gate for a visitor's files stands before them."""
    if not FOLDER.is_dir():
        raise QuantvizError("The demo model's files are missing from this installation; install quantviz again.")
    return open_folder(FOLDER)
