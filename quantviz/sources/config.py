"""A model's own config.json and what JSON lies beside it, read as data and never as code."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MissingFile, QuantvizError
from .files import SINGLE_TENSORS, allowed_path, home_path
from .json_text import CONFIG, MAX_CONFIG_BYTES, read_json_object
from .opened import read_file


def read_config(
    ref: str, token: str | bool | None = None, root: str | os.PathLike[str] | None = None, name: str = CONFIG
) -> dict[str, Any]:
    """The object in the config.json of `demo`, `hf:org/name@revision`, or a path: of a folder, or inside one.

    token, root: as for `open_model`.  name: of another of json_text.JSON_FILES.
    Raises MissingFile where there is none, QuantvizError for one that is no JSON.

    >>> read_config("demo")["hidden_size"]
    256
    """
    if ref.startswith("hf:"):
        from .hub import Hub, HubRef

        hub = Hub(HubRef.parse(ref), token)
        return read_json_object(hub.small_file(name, MAX_CONFIG_BYTES), f"{name} of {hub.ref.repo}")
    if ref == "demo":
        from .demo import FOLDER

        return _read(FOLDER, Path, name)
    if ref.startswith(SINGLE_TENSORS) or not ref.strip():
        raise MissingFile(f"A single tensor has no {name}; choose a model, for example demo or hf:org/name.")
    path = home_path(ref)
    return _read(path, Path if root is None else partial(allowed_path, root=root), name)


def _read(path: Path, gate: Any, name: str) -> dict[str, Any]:
    try:
        folder = gate(path) if gate(path).is_dir() else gate(path).parent
        file = gate(folder / name)
        if not file.is_file():
            raise MissingFile(f"There is no {name} at {str(path)[:200]!r}; give the folder of a Hub model.")
        return read_json_object(read_file(file, MAX_CONFIG_BYTES), name)
    except (OSError, ValueError) as problem:
        reason = (getattr(problem, "strerror", None) or str(problem)).lower()
        raise QuantvizError(f"{name} at {str(path)[:200]!r} cannot be read: {reason}.") from None
