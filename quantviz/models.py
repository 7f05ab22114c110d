"""Opening a model: the sources, given the kernels that decode what GGUF files hold, and what the tensors stand for."""

from __future__ import annotations

import os

from . import sources
from .checkpoints import understood
from .kernels.decoding import decoder
from .sources import Model


def open_model(
    ref: str | os.PathLike[str],
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Model:
    """The model that `ref` names: `demo`, `random:…`, `values:…`, `picture:`, `hf:org/name@revision:PART`, or a path.

    PART: a file, a folder, or a word that tells files apart: transformer, vae/fp16, Q4_K_M.
    values: numbers between commas, rows between semicolons.  picture: alone the one that quantviz draws, else a path.

    token: for the Hub; None is the token saved on this machine, False none at all.
    cache_dir: where bytes from the Hub are kept; default QUANTVIZ_CACHE or ~/.cache/quantviz.
    root: the only folder whose files may be opened, links followed; None allows all.
    Raises QuantvizError with one sentence for whatever is wrong.

    >>> model = open_model("random:normal?rows=2&cols=64")
    >>> model.tensors
    (TensorInfo(name='weight', shape=(2, 64), dtype='float32', nbytes=512),)
    """
    return understood(sources.open_model(ref, token, cache_dir, root, decoder))
