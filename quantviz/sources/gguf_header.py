"""The header of a GGUF file, checked before anything it says is believed.

A file is "GGUF", a version, the number of tensors and of metadata values, the values, a line for each tensor (name,
axes, type, offset), padding, and the data. All little-endian; axes run from the innermost.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from ..errors import QuantvizError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
F32 = 0  # the ggml type of float32
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 1 << 20
_MAX_AXES = 4
_MAX_NAME = 1 << 16  # bytes
_MAX_ITEMS = 1 << 24  # of one array, and of tensors and values: far more than any model has

_STRING, _ARRAY = 8, 9
# Metadata type -> struct format of one value.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True)
class GGUFTensor:
    """shape: outermost axis first.  type: ggml's number of the type.  offset: byte of the file where it starts."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class GGUFHeader:
    """metadata: numbers and texts by name; arrays are passed over."""

    metadata: dict[str, object]
    tensors: dict[str, GGUFTensor]


def read_header(data: memoryview | bytes, where: str) -> GGUFHeader:
    """The header of the file whose bytes are `data`; `where` names it in a QuantvizError."""
    cursor = _Cursor(memoryview(data), where)
    if bytes(cursor.take(4)) != MAGIC:
        raise QuantvizError(f"{where} is no GGUF file: it does not begin as one.")
    version = cursor.number("I")
    if version not in VERSIONS:
        raise QuantvizError(f"{where} has GGUF version {version}; versions 2 and 3, little-endian, are read.")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    if max(tensors, values) > _MAX_ITEMS:
        raise cursor.damaged("it claims more tensors or values than any file holds")
    metadata = {}
    for _ in range(values):
        name = cursor.text()
        value = cursor.value(cursor.number("I"))
        if value is not None:
            metadata[name] = value
    lines = [_line(cursor) for _ in range(tensors)]
    start = _aligned(cursor.at, metadata.get("general.alignment", _DEFAULT_ALIGNMENT), cursor)
    found: dict[str, GGUFTensor] = {}
    for name, shape, kind, offset in lines:
        if name in found:
            raise cursor.damaged(f"it lists the tensor {name[:80]!r} twice")
        found[name] = GGUFTensor(name, shape, kind, start + offset)
    return GGUFHeader(metadata, found)


def _line(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = cursor.text(), cursor.number("I")
    if axes > _MAX_AXES:
        raise cursor.damaged(f"the tensor {name[:80]!r} has {axes} axes, and at most {_MAX_AXES} are allowed")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    if math.prod(shape) >= 2**60:
        raise cursor.damaged(f"the tensor {name[:80]!r} has the impossible shape {list(shape)}")
    return name, shape, cursor.number("I"), cursor.number("Q")


def _aligned(at: int, alignment: object, cursor: _Cursor) -> int:
    if not isinstance(alignment, int) or not 0 < alignment <= _MAX_ALIGNMENT:
        raise cursor.damaged(f"its alignment is {alignment}")
    return -(-at // alignment) * alignment


class _Cursor:
    """Reads forward through bytes of hostile origin, never past their end."""

    def __init__(self, data: memoryview, where: str) -> None:
        self._data, self._where, self.at = data, where, 0

    def damaged(self, why: str) -> QuantvizError:
        return QuantvizError(f"{self._where} is damaged: {why}.")

    def take(self, length: int) -> memoryview:
        if length > len(self._data) - self.at:
            raise self.damaged(f"its header goes on after the last of its {len(self._data):,} bytes")
        self.at += length
        return self._data[self.at - length : self.at]

    def number(self, kind: str) -> int:
        return struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > _MAX_NAME:
            raise self.damaged(f"a name in it has {length:,} bytes")
        return self._decoded(length)

    def _decoded(self, length: int) -> str:
        try:
            return bytes(self.take(length)).decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged("a text in it is no UTF-8") from None

    def value(self, kind: int) -> object | None:
        """A number or a text; None for an array, which is passed over."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self._decoded(self.number("Q"))
        if kind != _ARRAY:
            raise self.damaged(f"a value in it has the unknown type {kind}")
        item, length = self.number("I"), self.number("Q")
        if item in _SCALARS:
            self.take(length * struct.calcsize(_SCALARS[item]))
        elif item == _STRING and length <= _MAX_ITEMS:
            for _ in range(length):
                self.take(self.number("Q"))
        else:
            raise self.damaged(f"an array in it has {length:,} items of type {item}")
        return None
