"""Where tensors come from: random ones, one's own numbers, files on disk, the Hugging Face Hub.

One reader a kind, loaded when needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import QuantvizError
from .config import read_config
from .files import PICTURE_ENDINGS, TEXT_ENDINGS, WHY_NO_PICKLE, allowed_path, home_path, is_pickle
from .model import Decoders, Model, Progress, Reader, SeveralFiles, TensorInfo

__all__ = ["FORMS", "Decoders", "Model", "Progress", "SeveralFiles", "TensorInfo", "allowed_path", "open_model"]

FORMS = (
    "demo, random:normal, values:-0.89,0.16, picture:, hf:org/name, or the path of a .safetensors file, its "
    "index.json, a .gguf, a .npy, a .csv, a .txt, a picture or a model's folder"
)


def open_model(
    ref: str | os.PathLike[str],
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    decoders: Decoders | None = None,
) -> Model:
    """The model that `ref` names: `demo`, `random:…`, `values:…`, `picture:`, `hf:org/name@revision:PART`, or a path.

    PART: a file, a folder, or a word that tells files apart: transformer, vae/fp16, Q4_K_M.
    values: numbers between commas, rows between semicolons.  picture: alone the one that quantviz draws, else a path.

    token: for the Hub; None is the token saved on this machine, False none at all.
    cache_dir: where bytes from the Hub are kept; default QUANTVIZ_CACHE or ~/.cache/quantviz.
    root: the only folder whose files may be opened, links followed; None allows all.
    decoders: what reads block types, by name; `quantviz.open_model` gives the kernels. Without, they are only listed.
    Raises QuantvizError with one sentence for whatever is wrong.

    >>> model = open_model("random:normal?rows=2&cols=64")
    >>> model.tensors
    (TensorInfo(name='weight', shape=(2, 64), dtype='float32', nbytes=512),)
    """
    ref = os.fspath(ref)
    if ref.startswith("random:"):
        from .synthetic import SyntheticReader, SyntheticSpec

        spec = SyntheticSpec.parse(ref)
        return Model(spec.ref, SyntheticReader(spec))
    if ref.startswith("values:"):
        from .values import NAME, NumbersReader, Values

        values = Values.parse(ref)
        return Model(values.ref, NumbersReader(NAME, values))
    if ref.strip() == "picture:":
        from .picture import PREFIX, PictureReader

        return Model(PREFIX, PictureReader())
    if ref.startswith("hf:"):
        from .hub_reader import open_hub

        reader = open_hub(ref, token, None if cache_dir is None else Path(cache_dir), decoders)
        return Model(ref, reader, reader.read_json)
    if ref == "demo":
        from .demo import open_demo

        return Model(ref, open_demo(), lambda name: read_config(ref, name=name))
    if not ref.strip():
        raise QuantvizError(f"The reference is empty; give {FORMS}.")
    gate = Path if root is None else partial(allowed_path, root=root)
    if ref.startswith("picture:"):
        from .picture import open_picture

        return Model(ref, open_picture(ref, gate))
    reader = _open_path(home_path(ref), gate, decoders)
    return Model(ref, reader, lambda name: read_config(ref, root=root, name=name))


def _open_path(path: Path, gate: Callable[[Path], Path], decoders: Decoders | None) -> Reader:
    name = path.name.lower()
    if is_pickle(name):
        raise QuantvizError(f"{path.name} is a pickle-based file; {WHY_NO_PICKLE}. Choose safetensors.")
    real = gate(path)
    if _is(real, Path.is_dir):
        from .folder import open_folder

        return open_folder(path, gate, decoders)
    if not _is(real, Path.is_file):
        raise QuantvizError(f"There is no file {str(path)[:200]!r}.{_hub_hint(str(path))} Give {FORMS}.")
    if name.endswith(".safetensors"):
        from .safetensors_file import open_safetensors

        return open_safetensors(path, gate)
    if name.endswith(".index.json"):
        from .safetensors_file import open_index

        return open_index(path, gate)
    if name.endswith(".gguf"):
        from .gguf_file import open_gguf

        return open_gguf(path, gate, decoders)
    if name.endswith(".npy"):
        from .npy import NpyReader

        return NpyReader(real)
    if name.endswith(TEXT_ENDINGS):
        from .values import open_number_file

        return open_number_file(real)
    if name.endswith(PICTURE_ENDINGS):
        from .picture import PictureReader

        return PictureReader(real)
    raise QuantvizError(f"{path.name} is of no kind quantviz reads; give {FORMS}.")


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # a name too long, a null byte, a folder that may not be searched
        return False


def _hub_hint(path: str) -> str:
    return f" Did you mean hf:{path}?" if re.fullmatch(r"[\w.-]+/[\w.-]+(@\S+)?", path) else ""
