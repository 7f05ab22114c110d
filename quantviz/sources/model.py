"""What every source gives: a list of tensors, and each of them opened by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..errors import MissingFile, QuantvizError, did_you_mean
from ..tensors import STORED_DTYPES, Decode, PackedTensor, Packing, Shaped, StoredTensor

# progress(bytes done, bytes in all), called on the caller's thread while bytes travel.
# An exception raised by it stops the transfer; what has arrived stays in the cache.
Progress = Callable[[int, int], None]

# What decodes a block type of this name; None where it is not known. The layers above have the kernels.
Decoders = Callable[[str], Decode | None]


_SCALED_APART = "gguf_nvfp4"  # llama.cpp's converter keeps its second scale beside it: X.scale of X.weight


@dataclass(frozen=True)
class TensorInfo(Shaped):
    """One line of a model's table of contents."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # as quantviz names it (float32, q4_k ...), or the file's own word where it holds no weights
    nbytes: int
    packing: Packing | None = field(default=None, repr=False, compare=False)  # where weights lie in blocks of bytes

    @property
    def holds_weights(self) -> bool:
        """Whether quantviz reads its elements as weights."""
        return self.dtype in STORED_DTYPES or (self.packing is not None and self.packing.decode is not None)

    @property
    def bits_per_weight(self) -> float:
        """Bits one element takes as stored; NaN for an empty tensor."""
        return 8 * self.nbytes / self.size if self.size else math.nan


@dataclass(frozen=True)
class Selection:
    """The elements [start, stop) of a tensor, and the shape they have together."""

    start: int
    stop: int
    shape: tuple[int, ...]


class SeveralFiles(QuantvizError):
    """A folder or repository holds several models, and the reference does not say which. names: their files."""

    def __init__(self, message: str, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names


def select(info: TensorInfo, rows: tuple[int, int] | None) -> Selection:
    """The elements that rows [start, stop) of `info` are, or all of them.

    Raises QuantvizError where the tensor holds no weights or has no such rows.
    """
    if not info.holds_weights:
        integers = re.fullmatch(r"u?int[0-9]+|[iu][0-9]+|bool", info.dtype, re.IGNORECASE)
        holds = "holds integers, no weights" if integers else "quantviz cannot read as weights"
        raise QuantvizError(
            f"{info.name!r} is stored as {info.dtype}, which {holds}; choose a tensor of {', '.join(STORED_DTYPES)}."
        )
    if not info.shape:
        raise QuantvizError(
            f"{info.name!r} is zero-dimensional: a single number, not weights; choose a tensor with at least one axis."
        )
    if info.size == 0:
        raise QuantvizError(
            f"{info.name!r} is empty: its shape is {list(info.shape)}; choose a tensor with at least one weight."
        )
    if rows is None:
        return Selection(0, info.size, info.shape)
    start, stop = rows
    if not 0 <= start < stop <= info.rows:
        raise QuantvizError(
            f"Rows {start}:{stop} are not in {info.name!r}, which has {info.rows:,} rows; "
            f"choose 0 ≤ start < stop ≤ {info.rows:,}."
        )
    return Selection(start * info.cols, stop * info.cols, (stop - start, info.cols))


def byte_range(info: TensorInfo, part: Selection) -> tuple[int, int]:
    """Bytes [start, stop) of the tensor's storage that hold a selection of whole rows."""
    if info.packing:
        block, nbytes = info.packing.block, info.packing.nbytes
        return part.start // block * nbytes, part.stop // block * nbytes
    itemsize = STORED_DTYPES[info.dtype].itemsize
    return part.start * itemsize, part.stop * itemsize


def element_type(info: TensorInfo) -> np.dtype:
    """The NumPy dtype in which its storage is read."""
    return np.dtype(np.uint8) if info.packing else STORED_DTYPES[info.dtype]


def tensor_of(data: np.ndarray, info: TensorInfo, part: Selection) -> StoredTensor:
    """The tensor whose selected bytes are `data`, an array of `element_type`."""
    if info.packing:
        return PackedTensor(data, info.dtype, part.shape, info.name, info.packing)
    return StoredTensor(data, info.dtype, part.shape, info.name)


class Reader(Protocol):
    """What a source implements: its table of contents, and how to open one tensor or some of its rows."""

    tensors: tuple[TensorInfo, ...]

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor: ...


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts layers.2 before layers.10."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), "") if i % 2 else (0, 0, part) for i, part in enumerate(parts)]


class Model:
    """A model opened from a reference: `tensors` lists, `open` and `load` give one tensor.

    metadata: what a GGUF file says of itself, numbers and texts by name, arrays left out; empty for other kinds.
    read_config: how to read its config.json, which is done when first asked for; None where none is near.
    """

    def __init__(self, ref: str, reader: Reader, read_config: Callable[[], dict[str, Any]] | None = None) -> None:
        self.ref = ref
        self._read_config = read_config
        self.metadata: Mapping[str, object] = getattr(reader, "metadata", {})
        self.tensors = tuple(sorted(reader.tensors, key=lambda info: natural_order(info.name)))
        self._reader = reader
        self._by_name = {info.name: info for info in self.tensors}

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The object in its config.json; empty where there is none. Raises QuantvizError for one that is no JSON."""
        try:
            return self._read_config() if self._read_config else {}
        except MissingFile:
            return {}

    def info(self, name: str) -> TensorInfo:
        """The entry of tensor `name`; raises QuantvizError naming the nearest ones."""
        if name not in self._by_name:
            raise QuantvizError(f"{self.ref} has no tensor {name!r}.{did_you_mean(name, self._by_name)}")
        return self._by_name[name]

    def open(self, name: str, rows: tuple[int, int] | None = None, progress: Progress | None = None) -> StoredTensor:
        """Tensor `name`, or its rows [start, stop), as it is stored; float32 only piece by piece."""
        info = self.info(name)
        stored = self._reader.open(info, rows, progress)
        return self._scaled(stored, info, rows) if info.dtype == _SCALED_APART else stored

    def _scaled(self, stored: PackedTensor, info: TensorInfo, rows: tuple[int, int] | None) -> StoredTensor:
        """With the scale of the whole tensor, or of each expert in it, that the file keeps in a tensor of its own."""
        beside = self._by_name.get(info.name.removesuffix(".weight") + ".scale")
        if (
            beside is None
            or beside.dtype != "float32"
            or not beside.shape
            or not beside.size
            or info.rows % beside.size
        ):
            return stored
        factors = np.repeat(self._reader.open(beside, None, None).read(), info.rows // beside.size)
        return replace(stored, factors=factors[slice(*rows)] if rows else factors)

    def load(self, name: str, rows: tuple[int, int] | None = None, progress: Progress | None = None) -> np.ndarray:
        """Tensor `name`, or its rows [start, stop), whole, as float32."""
        return self.open(name, rows, progress).numpy()
