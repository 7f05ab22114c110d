"""What every source gives: a list of tensors, and each of them opened by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..errors import MissingFile, QuantvizError, did_you_mean
from ..tensors import STORED_DTYPES, Decode, PackedTensor, Packing, Shaped, StoredTensor
from ..text.printable import LONGEST_NAME, printable
from ..text.wording import plural

# progress(bytes done, bytes in all), called on the caller's thread while bytes travel.
# An exception raised by it stops the transfer; what has arrived stays in the cache.
Progress = Callable[[int, int], None]

# What decodes a block type of this name; None where it is not known. The layers above have the kernels.
Decoders = Callable[[str], Decode | None]


SCALED_APART = "gguf_nvfp4"  # llama.cpp's converter keeps its second scale beside it: X.scale of X.weight


@dataclass(frozen=True)
class Packed:
    """What a tensor is that holds no weights as it is: part of a packed format that nothing here decodes.

    format: its name.  codes: whether it holds the codes, and not what belongs to them.
    why: the sentence with which it is refused.
    """

    format: str
    codes: bool
    why: str


@dataclass(frozen=True)
class TensorInfo(Shaped):
    """One line of a model's table of contents.

    input_axes: as `tensors.rows_and_cols` takes it.  notices: what whoever opens it should know.
    packed: what it is where it holds no weights.
    decoded: whether it is a weight that whoever opens it computes from several tensors of the file; its dtype then says
    in words how it is stored, and nbytes counts all of them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str  # as quantviz names it (float32, q4_k ...), or the file's own word where it holds no weights
    nbytes: int
    packing: Packing | None = field(default=None, repr=False, compare=False)  # where weights lie in blocks of bytes
    input_axes: int = field(default=0, repr=False)
    notices: tuple[str, ...] = field(default=(), repr=False)
    packed: Packed | None = field(default=None, repr=False)
    decoded: bool = field(default=False, repr=False)

    @property
    def holds_weights(self) -> bool:
        """Whether quantviz reads its elements as weights."""
        if self.packed or self.decoded:
            return self.decoded
        return self.dtype in STORED_DTYPES or (self.packing is not None and self.packing.decode is not None)

    @property
    def why_not(self) -> str:
        """The sentence that says why it cannot be opened; "" where it can."""
        name = repr(printable(self.name, LONGEST_NAME))
        if self.packed:
            return self.packed.why
        if not self.holds_weights:
            integers = re.fullmatch(r"u?int[0-9]+|[iu][0-9]+|bool", self.dtype, re.IGNORECASE)
            holds = "holds integers, no weights" if integers else "quantviz cannot read as weights"
            return f"{name} is stored as {self.dtype}, which {holds}; choose a tensor of {', '.join(STORED_DTYPES)}."
        if not self.shape:
            return f"{name} is zero-dimensional: a single number, not weights; choose a tensor with at least one axis."
        if not self.size:
            return f"{name} is empty: its shape is {list(self.shape)}; choose a tensor with at least one weight."
        return ""

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
    if why_not := info.why_not:
        raise QuantvizError(why_not)
    if rows is None:
        return Selection(0, info.size, info.shape)
    start, stop = rows
    if not 0 <= start < stop <= info.rows:
        raise QuantvizError(
            f"Rows {start}:{stop} are not in {info.name!r}, which has {plural(info.rows, 'row')}; "
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
    """Sort key that puts layers.2 before layers.10. Numbers compare by length first, for they may have any length."""
    parts = re.split(r"0*([0-9]+)", name)
    return [(1, len(part), part) if i % 2 else (0, 0, part) for i, part in enumerate(parts)]


class Model:
    """A model opened from a reference: `tensors` lists, `open` and `load` give one tensor.

    metadata: what a GGUF or safetensors file says of itself, numbers and texts by name, arrays left out; empty for
    other kinds.
    nbytes: of all that is stored, whatever the tensors are shown as.
    revision: tells what is stored from all that it may have been or become; "" where it cannot change.
    pinned: the reference that opens the same revision again, where there is one; else `ref`.
    read_json: how to read its config.json and what else of JSON lies beside it, by name; None where none is near.
    """

    def __init__(self, ref: str, reader: Reader, read_json: Callable[[str], dict[str, Any]] | None = None) -> None:
        self.ref = ref
        self.read_json = read_json
        self.metadata: Mapping[str, object] = getattr(reader, "metadata", {})
        self.pinned: str = getattr(reader, "pinned", ref)
        self._source = reader
        self.tensors = tuple(sorted(reader.tensors, key=lambda info: natural_order(info.name)))
        self.nbytes = sum(info.nbytes for info in self.tensors)
        self.reader = reader
        self._by_name = {info.name: info for info in self.tensors}

    def through(self, reader: Reader) -> Model:
        """The same model, its tensors in the same order, as another reader gives them."""
        other = copy(self)
        other.reader, other.tensors = reader, tuple(reader.tensors)
        other._by_name = {info.name: info for info in other.tensors}
        return other

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The object in its config.json; empty where there is none. Raises QuantvizError for one that is no JSON."""
        try:
            return self.read_json("config.json") if self.read_json else {}
        except MissingFile:
            return {}

    @cached_property
    def revision(self) -> str:
        return getattr(self._source, "revision", "")

    @property
    def packed_as(self) -> tuple[str, ...]:
        """The packed formats in which its weights lie, each once; () for a model of plain numbers or block types."""
        return tuple(dict.fromkeys(info.packed.format for info in self.tensors if info.packed and info.packed.codes))

    @cached_property
    def undecoded(self) -> str:
        """A sentence on the tensors whose codes nothing here reads; "" where there are none."""
        codes = sum(info.packed is not None and info.packed.codes for info in self.tensors)
        if not codes:
            return ""
        holds = "tensor holds" if codes == 1 else "tensors hold"
        return (
            f"{codes:,} {holds} codes of {', '.join(self.packed_as)}, which quantviz does not decode; open the model "
            "this one was quantized from."
        )

    def info(self, name: str) -> TensorInfo:
        """The entry of tensor `name`; raises QuantvizError naming the nearest ones."""
        if name not in self._by_name:
            raise QuantvizError(f"{self.ref} has no tensor {name!r}.{did_you_mean(name, self._by_name)}")
        return self._by_name[name]

    def open(self, name: str, rows: tuple[int, int] | None = None, progress: Progress | None = None) -> StoredTensor:
        """Tensor `name`, or its rows [start, stop), as it is stored; float32 only piece by piece."""
        info = self.info(name)
        stored = self.reader.open(info, rows, progress)
        return self._scaled(stored, info, rows) if info.dtype == SCALED_APART else stored

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
        scale = self.reader.open(replace(beside, packed=None), None, None)  # listed as no weights of its own
        factors = np.repeat(scale.read(), info.rows // beside.size)
        return replace(stored, factors=factors[slice(*rows)] if rows else factors)

    def load(self, name: str, rows: tuple[int, int] | None = None, progress: Progress | None = None) -> np.ndarray:
        """Tensor `name`, or its rows [start, stop), whole, as float32."""
        return self.open(name, rows, progress).numpy()
