"""A tensor as it is stored: read in pieces as float32, never expanded whole.

Everything that evaluates a tensor reads it through this class, so a bfloat16
embedding of a billion weights in a file costs no more memory than the piece at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..text.wording import plural
from .arrays import is_torch, plain_numpy, plain_torch
from .float8 import FLOAT8, float8_values

# Stored dtype -> (NumPy dtype that holds its bits, bytes per element).
# bfloat16 and float8 have no NumPy dtype of their own and travel as their bits.
STORED_DTYPES: dict[str, np.dtype] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "float8_e4m3fn": np.dtype("u1"),
    "float8_e5m2": np.dtype("u1"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
}
CODES = ("int8", "uint8")  # of these a file may have tensors; what Python hands over in them is somebody's codes
READ_AS_FLOAT32 = "The weights are float64: they are rounded to float32 first, and errors count that rounding too."
_CONVOLUTION_AXES = 4


def rows_and_cols(shape: tuple[int, ...], input_axes: int = 0) -> tuple[int, int]:
    """A tensor as a matrix: an output a row, along which its inputs lie.

    The last axis is the input, and all before it together are the rows: [experts, out, in] is experts·out rows. Of four
    axes and more, which only convolutions have, all but the first are the input: [out, in, height, width].
    input_axes: how many of the last axes are the input where that is known; 0 for what the shape says.

    >>> rows_and_cols((8, 64, 32)), rows_and_cols((16, 3, 5, 5)), rows_and_cols((384, 80, 3), 2)
    ((512, 32), (16, 75), (384, 240))
    """
    if not shape:
        return 1, 1
    axes = min(input_axes or (1 if len(shape) < _CONVOLUTION_AXES else len(shape) - 1), max(len(shape) - 1, 1))
    return math.prod(shape[:-axes]), math.prod(shape[-axes:])


class Shaped:
    """What has a shape, and is looked at as rows; input_axes as `rows_and_cols` takes it."""

    shape: tuple[int, ...]
    input_axes: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def cols(self) -> int:
        """Length of a row: the input dimension, along which blocks run."""
        return rows_and_cols(self.shape, self.input_axes)[1]

    @property
    def rows(self) -> int:
        """Number of rows: outputs, of all experts where there are several."""
        return self.matrix[0] if self.cols else 0

    @property
    def matrix(self) -> tuple[int, int]:
        """(rows, cols): the shape in which weights are grouped."""
        return rows_and_cols(self.shape, self.input_axes)


@dataclass(frozen=True, eq=False)
class StoredTensor(Shaped):
    """`shape` weights of type `dtype`, laid out row after row in `data`.

    data: the stored elements on one axis, bfloat16 as uint16, float8 as uint8: a NumPy array, or what is sliced like
    one and read by `numpy.asarray`, as the elements of a file are.
    input_axes: as `rows_and_cols` takes it.  notices: sentences that whoever looks at its weights should see.
    """

    data: Any
    dtype: str
    shape: tuple[int, ...]
    name: str = ""
    input_axes: int = field(default=0, kw_only=True)
    notices: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def stored_as(self) -> str:
        """What the file's own type is called; the elements of `data` may have been made of it."""
        return self.dtype

    @property
    def bits_per_weight(self) -> float:
        """Bits one weight takes as stored."""
        return 8 * STORED_DTYPES[self.dtype].itemsize

    @property
    def nbytes(self) -> int:
        return self.size * STORED_DTYPES[self.dtype].itemsize

    @property
    def remarks(self) -> tuple[str, ...]:
        """Its notices, and what reading it as float32 leaves out."""
        return (*self.notices, *((READ_AS_FLOAT32,) if self.dtype == "float64" else ()))

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """float32 weights [start, stop) in row-major order; a view where nothing need be converted."""
        part = np.require(self.data[start:stop], requirements="A")  # a file may start a tensor at any byte
        if self.dtype == "float32":
            return np.asarray(part)
        if self.dtype == "bfloat16":
            return (part.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if self.dtype in FLOAT8:
            return float8_values(self.dtype)[part]
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is refused as such
            return part.astype(np.float32)

    @property
    def is_wide(self) -> bool:
        """Whether weights are stored in more than float32 holds, so that `read` rounds them."""
        return self.dtype == "float64"

    def read_exactly(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The same weights as they are stored: float64 where they are wide, else float32."""
        return np.require(self.data[start:stop], requirements="A") if self.is_wide else self.read(start, stop)

    def numpy(self) -> np.ndarray:
        """The whole tensor as float32 in its own shape."""
        return self.read().reshape(self.shape)

    def row_range(self, start: int, stop: int) -> StoredTensor:
        """Rows [start, stop) as a two-dimensional tensor that shares the storage."""
        if not 0 <= start < stop <= self.rows:
            raise QuantvizError(
                f"Rows {start}:{stop} are not in {self.name or 'this tensor'}, "
                f"which has {plural(self.rows, 'row')}; choose 0 ≤ start < stop ≤ {self.rows:,}."
            )
        return replace(self, data=self._elements(start * self.cols, stop * self.cols), shape=(stop - start, self.cols))

    def _elements(self, start: int, stop: int) -> Any:
        """The part of the storage that holds weights [start, stop), which begin and end with a row."""
        return self.data[start:stop]


# uint8 [blocks, bytes] -> float32 [blocks, weights]; called from several threads at once.
Decode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Packing:
    """How weights lie in blocks of bytes. A row is a whole number of blocks.

    name: of the block type.  block: weights a block.  nbytes: bytes a block.
    decode: what reads them; None where whoever opened the tensor has nothing that does.
    """

    name: str
    block: int
    nbytes: int
    decode: Decode | None = None

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / self.block


@dataclass(frozen=True, eq=False)
class PackedTensor(StoredTensor):
    """Weights stored in a block type: `data` is uint8, the blocks one after the other; `dtype` is the type's name.

    Reading decodes the blocks asked for and no others, so the tensor is never held as float32 whole either.
    factors: float32 [rows], by which each row's values are multiplied; None where they are as the blocks have them.
    """

    packing: Packing | None = None
    factors: np.ndarray | None = None

    @property
    def bits_per_weight(self) -> float:
        return self.packing.bits_per_weight

    @property
    def nbytes(self) -> int:
        return self.size // self.packing.block * self.packing.nbytes

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """float32 weights [start, stop) in row-major order, decoded block by block."""
        if self.packing.decode is None:
            raise QuantvizError(f"{self.name or 'The tensor'} is packed as {self.dtype}, which nothing here unpacks.")
        start, stop, _ = slice(start, stop).indices(self.size)
        block = self.packing.block
        first = start // block
        values = self.packing.decode(self.blocks(first, max(first, -(-stop // block)))).reshape(-1)
        values = values[start - first * block : max(start, stop) - first * block]
        if self.factors is not None and len(values):
            row, cols = start // self.cols, self.cols
            values *= np.repeat(self.factors[row : -(-stop // cols)], cols)[start - row * cols :][: len(values)]
        return values

    def row_range(self, start: int, stop: int) -> StoredTensor:
        part = super().row_range(start, stop)
        return part if self.factors is None else replace(part, factors=self.factors[start:stop])

    def blocks(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Blocks [start, stop) as they are stored: uint8 [blocks, bytes]."""
        nbytes = self.packing.nbytes
        return np.asarray(self.data[start * nbytes : None if stop is None else stop * nbytes]).reshape(-1, nbytes)

    def _elements(self, start: int, stop: int) -> Any:
        block, nbytes = self.packing.block, self.packing.nbytes
        return self.data[start // block * nbytes : stop // block * nbytes]


def as_stored(w: Any) -> StoredTensor:
    """NumPy array, torch tensor or StoredTensor -> StoredTensor, without a copy where the memory allows.

    Raises QuantvizError for empty and zero-dimensional tensors, for dtypes that hold no weights, and for what is not
    plainly an array: see `arrays`.
    """
    if isinstance(w, StoredTensor):
        stored = w
    elif is_torch(w):
        stored = _from_torch(plain_torch(w))
    else:
        array = plain_numpy(w)
        check_weights(array.dtype.name, array.shape)
        stored = _from_numpy(array)
    check_weights(None, stored.shape)
    return stored


def check_weights(dtype: str | None, shape: tuple[int, ...]) -> None:
    """Raises QuantvizError where numbers of this dtype (if given) and shape are no weights."""
    if dtype in CODES:
        raise QuantvizError(
            f"A tensor of dtype {dtype} holds codes, and weights only once they are dequantized by what made them; if "
            "these numbers are the weights themselves, give them as float32."
        )
    if dtype is not None and dtype not in STORED_DTYPES:
        known = ", ".join(name for name in STORED_DTYPES if name not in CODES)
        raise QuantvizError(f"A tensor of dtype {dtype} holds no weights; give one of {known}.")
    if not shape:
        raise QuantvizError("A zero-dimensional tensor holds a single number, not weights; give at least one axis.")
    if math.prod(shape) == 0:
        raise QuantvizError(f"The tensor is empty: its shape is {list(shape)}; give at least one weight.")


def _from_numpy(array: np.ndarray) -> StoredTensor:
    name = array.dtype.name
    bits = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    flat = np.ascontiguousarray(bits).reshape(-1)
    return StoredTensor(flat.view(STORED_DTYPES[name]), name, tuple(array.shape))


def _from_torch(tensor: Any) -> StoredTensor:
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    check_weights(name, tuple(tensor.shape))
    try:
        flat = tensor.cpu().contiguous().reshape(-1)
        if name == "bfloat16":
            flat = flat.view(torch.uint16)
        elif name.startswith("float8"):
            flat = flat.view(torch.uint8)
        array = flat.numpy()
    except (RuntimeError, NotImplementedError, TypeError) as problem:  # lazy, traced, or of a foreign device
        reason = str(problem).partition("\n")[0].rstrip(".")[:200]
        raise QuantvizError(f"The tensor cannot be read ({reason}); give one that x.cpu().numpy() can read.") from None
    return StoredTensor(array.view(STORED_DTYPES[name]), name, tuple(tensor.shape))
