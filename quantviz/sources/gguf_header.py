"""The header of a GGUF file, checked before anything it says is believed.

A file is "GGUF", a version, the number of tensors and of metadata values, the values, a line for each tensor (name,
axes, type, offset), padding, and the data. All little-endian; axes run from the innermost. The values hold the
tokenizer, so that a header may take many megabytes: one that comes from afar is read piece by piece.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
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
_LENGTH = struct.Struct("<Q")  # of a text
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
    """metadata: numbers and texts by name; arrays are passed over.  nbytes: of the header, padding left out."""

    metadata: dict[str, object]
    tensors: dict[str, GGUFTensor]
    nbytes: int
    alignment: int


# More(stop) gives a file's bytes [0, stop) or beyond, for a stop within the file.
More = Callable[[int], memoryview]


def read_header(data: memoryview | bytes, where: str, size: int | None = None, more: More | None = None) -> GGUFHeader:
    """The header of the file whose bytes are `data`; `where` names it in a QuantvizError.

    size, more: the file's length, and how to get at bytes beyond `data`, where that is only its beginning.
    """
    cursor = _Cursor(memoryview(data), where, size, more)
    if cursor.size < len(MAGIC) or bytes(cursor.take(4)) != MAGIC:
        raise QuantvizError(f"{where} is no GGUF file: it does not begin as one.")
    version = cursor.number("I")
    if int.from_bytes(version.to_bytes(4, "little"), "big") in (1, *VERSIONS):
        raise QuantvizError(
            f"{where} is a big-endian GGUF file; only little-endian ones are read: gguf-convert-endian of the gguf "
            "package turns it round."
        )
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
    alignment = _alignment(metadata.get("general.alignment", _DEFAULT_ALIGNMENT), cursor)
    start = -(-cursor.at // alignment) * alignment
    found: dict[str, GGUFTensor] = {}
    for name, shape, kind, offset in lines:
        if name in found:
            raise cursor.damaged(f"it lists the tensor {name[:80]!r} twice")
        if offset % alignment:
            raise cursor.damaged(f"the tensor {name[:80]!r} starts at byte {offset:,} of the data, no multiple of "
                                 f"its alignment, {alignment}")  # fmt: skip
        found[name] = GGUFTensor(name, shape, kind, start + offset)
    return GGUFHeader(metadata, found, cursor.at, alignment)


def _line(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = cursor.text(), cursor.number("I")
    if axes > _MAX_AXES:
        raise cursor.damaged(f"the tensor {name[:80]!r} has {axes} axes, and at most {_MAX_AXES} are allowed")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    if math.prod(shape) >= 2**60:
        raise cursor.damaged(f"the tensor {name[:80]!r} has the impossible shape {list(shape)}")
    return name, shape, cursor.number("I"), cursor.number("Q")


def _alignment(value: object, cursor: _Cursor) -> int:
    if not isinstance(value, int) or not 0 < value <= _MAX_ALIGNMENT or value & (value - 1):
        raise cursor.damaged(f"its alignment is {str(value)[:80]}, and a power of two up to {_MAX_ALIGNMENT:,} is one")
    return value


class _Cursor:
    """Reads forward through bytes of hostile origin, never past their end."""

    def __init__(self, data: memoryview, where: str, size: int | None, more: More | None) -> None:
        self._data, self._where, self._more, self.at = data, where, more, 0
        self.size = len(data) if size is None or more is None else size

    def damaged(self, why: str) -> QuantvizError:
        return QuantvizError(f"{self._where} is damaged: {why}.")

    def take(self, length: int) -> memoryview:
        self._reach(self.at + length)
        self.at += length
        return self._data[self.at - length : self.at]

    def _reach(self, stop: int) -> None:
        """Bytes [0, stop) are there, or were claimed wrongly."""
        if stop > self.size:
            raise self.damaged(f"its header goes on after the last of its {self.size:,} bytes")
        if stop > len(self._data):
            self._data = self._more(stop)

    def _pass_texts(self, count: int) -> None:
        """As `take` would, for the hundreds of thousands of words that a tokenizer has."""
        at, data = self.at, self._data
        for _ in range(count):
            if at + 8 > len(data):
                self._reach(at + 8)
                data = self._data
            at += 8 + _LENGTH.unpack_from(data, at)[0]
        self._reach(at)
        self.at = at

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
            self._pass_texts(length)
        else:
            raise self.damaged(f"an array in it has {length:,} items of type {item}")
        return None
