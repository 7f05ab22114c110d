"""Weights computed from codes when they are read: one layer at a time, and of it only the rows asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..sources import Progress, TensorInfo
from ..sources.model import Reader
from ..tensors import StoredTensor
from ..text.printable import LONGEST_NAME, printable
from .layer import Arrays, Layer, Part, Unpacked

_KEPT = 4  # bands of rows that belong together and were taken apart last: readers go from end to end, a few at a time
SMALL = 1 << 20  # bytes of a tensor that is read before anybody asks for weights
# What an element is read as; bfloat16 and float8 have no NumPy type, and two codes to a byte are bytes.
_TYPES = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "I16": "<i2", "U16": "<u2", "I32": "<i4",
    "U32": "<u4", "I64": "<i8", "U64": "<u8", "int8": "i1", "uint8": "u1", "BOOL": "u1",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Decoded(StoredTensor):
    """Weights that are computed from what is stored. layer: how.  stored_bits: what one takes in its file."""

    layer: Layer | None = None
    stored_bits: float = 32.0

    @property
    def stored_as(self) -> str:
        return self.layer.stored_as

    @property
    def bits_per_weight(self) -> float:
        return self.stored_bits

    @property
    def nbytes(self) -> int:
        return round(self.size * self.stored_bits / 8)

    def unpacked(self, first: int, last: int) -> Unpacked:
        """Rows [first, last) of this tensor taken apart."""
        return self.data.unpacked(first, last)

    @property
    def first_row(self) -> int:
        """Which row of its layer is the first one here."""
        return self.data.first_row

    def arrays(self, first: int, last: int) -> Arrays:
        """What rows [first, last) of this tensor are stored as; they begin and end with rows that belong together."""
        return self.data.arrays(first, last)


def small_tensor(reader: Reader, info: TensorInfo) -> np.ndarray:
    """A stored tensor whole, as `Arrays` has it. Raises QuantvizError for one of more than SMALL bytes."""
    if info.nbytes > SMALL:
        raise QuantvizError(f"{info.name!r} takes {info.nbytes:,} bytes, where {SMALL:,} would be many.")
    return _elements(np.asarray(_bytes(reader, info, 1, None, None).data), info).reshape(_shape(info))


def decoded(
    reader: Reader, layer: Layer, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None
) -> Decoded:
    """A weight, or rows [start, stop) of it, of which nothing is computed before it is read.

    reader: opens the stored tensors.  info: the weight as it is listed.
    """
    first, last = rows or (0, info.rows)
    low = first // layer.height * layer.height
    high = min(-(-last // layer.height) * layer.height, info.rows)
    total, done, opened = sum(_travels(part, low, high) for part in layer.parts.values()), 0, {}
    for name, part in layer.parts.items():
        before = done
        told = progress and (lambda n, _, before=before: progress(before + n, total))
        some = (low // part.every, -(-high // part.every)) if part.every else None
        opened[name] = _bytes(reader, part.info, part.stored_rows, some, told)
        done += opened[name].size
    stored = _Opened(layer, opened, low, info.rows, info.name)
    data = DecodedElements(stored, info.cols, first * info.cols, last * info.cols)
    shape = (last - first, info.cols) if rows else info.shape
    axes = 0 if rows else info.input_axes
    return Decoded(
        data, "float32", shape, info.name, input_axes=axes, notices=info.notices, layer=layer,
        stored_bits=8 * info.nbytes / info.size,
    )  # fmt: skip


def _travels(part: Part, low: int, high: int) -> int:
    """Bytes of a part that rows [low, high) need."""
    if not part.every:
        return part.info.nbytes
    return (-(-high // part.every) - low // part.every) * (part.info.nbytes // part.stored_rows)


def _bytes(
    reader: Reader, info: TensorInfo, stored_rows: int, some: tuple[int, int] | None, progress: Progress | None
) -> StoredTensor:
    """A stored tensor of whatever type as bytes: [stored rows, bytes of one], or some of these rows."""
    shape = stored_rows, info.nbytes // stored_rows
    raw = replace(info, dtype="uint8", shape=shape, packed=None, input_axes=0, notices=(), decoded=False)
    return reader.open(raw, some, progress)


def _shape(info: TensorInfo) -> tuple[int, ...]:
    """Of the array that holds it: where an element is less than a byte, of the bytes."""
    if info.dtype in _TYPES or info.nbytes == info.size or not info.shape:
        return info.shape
    return *info.shape[:-1], info.nbytes * info.shape[-1] // info.size


def _elements(raw: np.ndarray, info: TensorInfo) -> np.ndarray:
    """Bytes as elements on one axis; numbers of 16 bits and more as float32."""
    found = np.ascontiguousarray(raw).view(_TYPES.get(info.dtype, "u1"))
    if info.dtype == "bfloat16":
        return (found.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return found.astype(np.float32) if info.dtype in ("float16", "float64") else found


class _Opened:
    """The opened parts of a weight, from row `low` of `rows` on. Those that are needed whole are read once."""

    def __init__(self, layer: Layer, parts: Mapping[str, StoredTensor], low: int, rows: int, name: str) -> None:
        self.layer, self.rows = layer, rows
        self._parts, self._low, self._name = parts, low, name
        self._whole: dict[str, np.ndarray] = {}
        self._bands: OrderedDict[int, Unpacked] = OrderedDict()
        self._lock = threading.Lock()

    def unpacked(self, first: int, last: int) -> Unpacked:
        """Rows [first, last), which begin and end with rows that belong together."""
        found = self.layer.unpack(self.arrays(first, last), first, last)
        if not all(np.isfinite(x).all() for x in (found.scales, found.zeros, found.minima) if x is not None):
            raise QuantvizError(
                f"{printable(self._name, LONGEST_NAME)} has scales or zero points that are no numbers, so the file is "
                "damaged."
            )
        return found

    def arrays(self, first: int, last: int) -> Arrays:
        """What these rows are stored as."""
        return {name: self._array(name, part, first, last) for name, part in self.layer.parts.items()}

    def values(self, first: int, last: int) -> np.ndarray:
        """float32 [rows, cols] of rows [first, last), any."""
        height = self.layer.height
        if height == 1:
            return self.unpacked(first, last).values()
        bands = [self._band(at) for at in range(first // height, -(-last // height))]
        begin = first // height * height
        if len(bands) == 1:  # the band is kept for others, who must not see what is done to this part of it
            return bands[0][first - begin : last - begin].copy()
        return np.concatenate(bands)[first - begin : last - begin]

    def _band(self, number: int) -> np.ndarray:
        with self._lock:
            found = self._bands.get(number)
        if found is None:
            height = self.layer.height
            found = self.unpacked(number * height, min((number + 1) * height, self.rows)).values()
            with self._lock:
                self._bands[number] = found
                while len(self._bands) > _KEPT:
                    self._bands.popitem(last=False)
        return found

    def _array(self, name: str, part: Part, first: int, last: int) -> np.ndarray:
        if not part.every:
            with self._lock:
                if name not in self._whole:
                    raw = np.asarray(self._parts[name].data)
                    self._whole[name] = _elements(raw, part.info).reshape(_shape(part.info))
                return self._whole[name]
        begin, nbytes = self._low // part.every, part.info.nbytes // part.stored_rows
        start, stop = first // part.every - begin, -(-last // part.every) - begin
        raw = np.asarray(self._parts[name].data[start * nbytes : stop * nbytes])
        return _elements(raw, part.info).reshape(stop - start, -1)


class DecodedElements:
    """float32 weights in row-major order: sliced like an array with one axis, computed by `numpy.asarray`."""

    ndim, dtype = 1, np.dtype(np.float32)

    def __init__(self, opened: _Opened, cols: int, start: int, stop: int) -> None:
        """[start, stop): which weights of the layer these are."""
        self._opened, self._cols, self._start, self._stop = opened, cols, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def size(self) -> int:
        return len(self)

    @property
    def nbytes(self) -> int:
        return 4 * len(self)

    def __getitem__(self, part: slice) -> DecodedElements:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("Elements are read one after the other.")
        return DecodedElements(self._opened, self._cols, self._start + start, self._start + max(start, stop))

    @property
    def first_row(self) -> int:
        return self._start // self._cols

    def arrays(self, first: int, last: int) -> Arrays:
        return self._opened.arrays(self.first_row + first, self.first_row + last)

    def unpacked(self, first: int, last: int) -> Unpacked:
        """Rows [first, last) of these, taken apart; their own rows first."""
        begin, height = self.first_row, self._opened.layer.height
        low, high = (begin + first) // height * height, -(-(begin + last) // height) * height
        found = self._opened.unpacked(low, min(high, self._opened.rows))
        return found.rows(begin + first - low, begin + last - low)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        cols = self._cols
        first, last = self._start // cols, max(self._start // cols, -(-self._stop // cols))
        if first == last:
            return np.empty(0, dtype or np.float32)
        values = self._opened.values(first, last).reshape(-1)[self._start - first * cols : self._stop - first * cols]
        return values.astype(dtype or np.float32, copy=bool(copy))
