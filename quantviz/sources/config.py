"""A model's own config.json, read as data and never as code: of the Hub, of a folder, of the demo model."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MissingFile, QuantvizError
from .files import allowed_path, home_path
from .opened import read_file
from .safetensors_header import read_json_object

CONFIG = "config.json"
MAX_BYTES = 4 << 20  # a config.json has some kilobytes


def read_config(
    ref: str, token: str | bool | None = None, root: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """The object in the config.json of `demo`, `hf:org/name@revision`, or a path: of a folder, or inside one.

    token, root: as for `open_model`. Raises MissingFile where there is none, QuantvizError for one that is no JSON.

    >>> read_config("demo")["hidden_size"]
    256
    """
    if ref.startswith("hf:"):
        from .hub import Hub, HubRef

        hub = Hub(HubRef.parse(ref), token)
        return read_json_object(hub.small_file(CONFIG, MAX_BYTES), f"{CONFIG} of {hub.ref.repo}")
    if ref == "demo":
        from .demo import FOLDER

        return _read(FOLDER, Path)
    if ref.startswith("random:") or not ref.strip():
        raise MissingFile(f"A random tensor has no {CONFIG}; choose a model, for example demo or hf:org/name.")
    path = home_path(ref)
    return _read(path, Path if root is None else partial(allowed_path, root=root))


def _read(path: Path, gate: Any) -> dict[str, Any]:
    try:
        folder = gate(path) if gate(path).is_dir() else gate(path).parent
        file = gate(folder / CONFIG)
        if not file.is_file():
            raise MissingFile(f"There is no {CONFIG} at {str(path)[:200]!r}; give the folder of a Hub model.")
        return read_json_object(read_file(file, MAX_BYTES), CONFIG)
    except QuantvizError:  # a ValueError too
        raise
    except (OSError, ValueError) as problem:
        reason = (getattr(problem, "strerror", None) or str(problem)).lower()
        raise QuantvizError(f"{CONFIG} at {str(path)[:200]!r} cannot be read: {reason}.") from None
