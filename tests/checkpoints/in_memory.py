"""Golden layers opened without a disk, and what is seen of them, in few words: for tests that open hundreds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import quantviz as qv
from quantviz.checkpoints import understood
from quantviz.checkpoints.decoded import Decoded
from quantviz.checkpoints.layer import Unpacked
from quantviz.errors import MissingFile
from quantviz.sources.model import Model, TensorInfo, byte_range, element_type, select, tensor_of
from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import Case


class _Bytes:
    """Tensors whose bytes are at hand."""

    def __init__(self, case: Case) -> None:
        self.metadata, self._bytes = dict(case.metadata), {name: raw for name, (_, _, raw) in case.tensors.items()}
        self.tensors = tuple(
            TensorInfo(name, tuple(shape), DTYPES[dtype][0], len(raw))
            for name, (dtype, shape, raw) in case.tensors.items()
        )

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Any) -> qv.tensors.StoredTensor:
        part = select(info, rows)
        first, last = byte_range(info, part)
        if progress:
            progress(last - first, info.nbytes)
        return tensor_of(np.frombuffer(self._bytes[info.name][first:last], element_type(info)), info, part)


def opened(case: Case, ref: str = "model") -> Model:
    """As `open_model` gives it once it is written."""

    def read_json(name: str) -> dict[str, Any]:
        if name not in case.config:
            raise MissingFile(name)
        return dict(case.config[name])

    return understood(Model(ref, _Bytes(case), read_json))


def of_arrays(
    arrays: Mapping[str, np.ndarray], config: Mapping[str, Any] | None = None, ref: str = "model", **said: Any
):
    """A model of plain arrays. config: its config.json.  said: its metadata."""
    kinds = {"float32": "F32", "float16": "F16", "int32": "I32", "uint8": "U8", "int8": "I8"}
    tensors = {name: (kinds[a.dtype.name], a.shape, a.tobytes()) for name, a in arrays.items()}
    files = {"config.json": {"model_type": "llama", "num_attention_heads": 4} | dict(config or {})}
    return opened(Case(ref, "", tensors, np.empty(0), config=files, metadata=said), ref)


def told(x: Any) -> list:
    """[dtype and shape, a number that changes with each of its numbers and their order]; [] for None.

    Of whole numbers it is a text, which has to be the same to the last digit; of floats it says where some are none.
    """
    if x is None:
        return []
    x = np.asarray(x)
    what, flat = f"{x.dtype}{list(x.shape)}", x.reshape(-1)
    numbers = flat.astype(np.float64)
    places = 1 + np.arange(x.size) % 11
    if x.dtype.kind in "biu":
        return [what, f"{(numbers * places).sum():.0f}"]
    for word, there in (("none", np.isnan(numbers)), ("infinite", np.isinf(numbers))):
        what += f" {word} {np.flatnonzero(there).sum()} of {there.sum()}" if there.any() else ""
    return [what, float(f"{(np.where(np.isfinite(numbers), numbers, 0) * places).sum():.7g}")]


def apart(found: Unpacked) -> dict[str, Any]:
    """The parts of rows."""
    names = ("codes", "scales", "zeros", "minima", "columns", "numbers", "given")
    parts = {name: told(x) for name in names if (x := getattr(found, name)) is not None}
    return parts | {"width": found.width} | {f"stored {name}": told(x) for name, x in found.stored.items()}


def seen(stored: Decoded) -> dict[str, Any]:
    """How a layer is read, and what its rows are taken apart into."""
    layer = stored.layer
    parts = {name: [part.info.name.rpartition(".")[2], part.info.dtype, part.info.shape, part.every, part.stored_rows]
             for name, part in layer.parts.items()}  # fmt: skip
    return {
        "as": f"{layer.stored_as} {list(layer.shape)} {layer.height} {layer.largest_scale} {stored.bits_per_weight:g}",
        "levels": [layer.first_code, *told(layer.levels)], "fields": " ".join(f.part for f in layer.fields),
        "orders": [f.order for f in layer.fields if f.order], "notices": stored.notices, "parts": parts,
        "apart": apart(stored.unpacked(0, stored.rows)),
    }  # fmt: skip
