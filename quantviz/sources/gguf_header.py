"""The header of a GGUF file, checked before anything it says is believed.

A file is "GGUF", a version, the number of tensors and of metadata values, the values, a line for each tensor (name,
axes, type, offset), padding, and the data. All little-endian; axes run from the innermost. The values hold the
tokenizer, so that a header may take many megabytes: one that comes from afar is read piece by piece.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from ..errors import QuantvizError
from .budget import MAX_VALUE, Budget, Meter, Readable

MAGIC = b"GGUF"
VERSIONS = (2, 3)
F32 = 0  # the ggml type of float32
_DEFAULT_ALIGNMENT = 32
_ALIGNMENT = "general.alignment"
_MAX_ALIGNMENT = 1 << 20
_MAX_AXES = 4
_MAX_NAME = 1 << 16  # bytes
_MOST = 1 << 16  # tensors, and values, of one file: those of published ones have some thousand
_MAX_DEPTH = 8  # of arrays in arrays
_ARRAY_COST = 40  # an array in an array takes as long to pass over as so many texts
_PIECE = 1 << 18  # bytes read at a time

_U32, _STRING, _ARRAY = 4, 8, 9
_LENGTH = struct.Struct("<Q")  # of a text
# Metadata type -> struct format of one value.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", _U32: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True, slots=True)
class GGUFTensor:
    """shape: outermost axis first.  type: ggml's number of the type.  offset: byte of the file where it starts."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class GGUFHeader:
    """metadata: numbers and texts by name; arrays are passed over.  nbytes: of the header, padding left out.

    unread: why a value is not in the metadata, by its name.  items: of all arrays together.
    """

    metadata: dict[str, object]
    tensors: dict[str, GGUFTensor]
    nbytes: int
    alignment: int
    unread: dict[str, str] = field(default_factory=dict)
    items: int = 0


def read_header(file: Readable, budget: Budget | None = None) -> GGUFHeader:
    """The header of a file, read piece by piece as far as it goes.

    A value that cannot be read is left out by name, and costs nothing else. Raises QuantvizError that begins with the
    file's name where the rest cannot be made sense of.
    """
    meter = (budget or Budget()).meter(file.name)
    cursor = _Cursor(file, meter)
    if cursor.size < len(MAGIC) or cursor.take(4) != MAGIC:
        raise QuantvizError(f"{file.name} is no GGUF file: it does not begin as one.")
    version = cursor.number("I")
    if int.from_bytes(version.to_bytes(4, "little"), "big") in (1, *VERSIONS):
        raise QuantvizError(
            f"{file.name} is a big-endian GGUF file; only little-endian ones are read: gguf-convert-endian of the gguf "
            "package turns it round."
        )
    if version not in VERSIONS:
        raise QuantvizError(f"{file.name} has GGUF version {version}; versions 2 and 3, little-endian, are read.")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    meter.entries(max(tensors, values), _MOST)
    metadata, unread = _metadata(cursor, meter, values)
    lines = [_line(cursor, meter) for _ in range(tensors)]
    alignment = metadata.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
    start = -(-cursor.at // alignment) * alignment
    found: dict[str, GGUFTensor] = {}
    for name, shape, kind, offset in lines:
        if name in found:
            raise cursor.damaged(f"it lists the tensor {name[:80]!r} twice")
        if offset % alignment:
            raise cursor.damaged(f"the tensor {name[:80]!r} starts at byte {offset:,} of the data, no multiple of "
                                 f"its alignment, {alignment}")  # fmt: skip
        found[name] = GGUFTensor(name, shape, kind, start + offset)
    return GGUFHeader(metadata, found, cursor.at, alignment, unread, cursor.items)


def _metadata(cursor: _Cursor, meter: Meter, count: int) -> tuple[dict[str, object], dict[str, str]]:
    """(values by name, reasons by the names of those that cannot be read)"""
    metadata: dict[str, object] = {}
    unread: dict[str, str] = {}
    seen: set[str] = set()
    for _ in range(count):
        name = cursor.name()
        if name in seen:
            raise cursor.damaged(f"it has the value {name[:80]!r} twice")
        seen.add(name)
        kind = cursor.number("I")
        if name == _ALIGNMENT and kind != _U32:
            raise cursor.damaged(f"its alignment is a value of type {kind}, and {_U32} (uint32) is right")
        try:
            value = cursor.value(kind)
        except _Unreadable as problem:
            unread[name] = str(problem)
            continue
        kept = value if isinstance(value, str) else ""
        meter.entry(len(name) + len(kept))
        if name == _ALIGNMENT:
            _check_alignment(value, cursor)
        if value is not None:
            metadata[name] = value
    return metadata, unread


def _line(cursor: _Cursor, meter: Meter) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = cursor.name(), cursor.number("I")
    meter.entry(len(name))
    if axes > _MAX_AXES:
        raise cursor.damaged(f"the tensor {name[:80]!r} has {axes} axes, and at most {_MAX_AXES} are allowed")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    if math.prod(max(length, 1) for length in shape) >= 2**60:
        raise cursor.damaged(f"the tensor {name[:80]!r} has the impossible shape {list(shape)}")
    return name, shape, cursor.number("I"), cursor.number("Q")


def _check_alignment(value: object, cursor: _Cursor) -> None:
    """The format asks for a multiple of 8; some files have a smaller power of two."""
    if not isinstance(value, int) or not 0 < value <= _MAX_ALIGNMENT or (value % 8 and value & (value - 1)):
        raise cursor.damaged(f"its alignment is {str(value)[:80]}, and a multiple of 8 up to {_MAX_ALIGNMENT:,} is one")


class _Unreadable(Exception):
    """A value that is passed over; the next one begins where it should."""


class _Cursor:
    """Reads forward through bytes of hostile origin, never past their end, and holds one piece of them."""

    def __init__(self, file: Readable, meter: Meter) -> None:
        self._file, self._meter, self.size, self.at = file, meter, file.size, 0
        self.items = 0  # of arrays
        self._piece, self._begin = b"", 0  # bytes of the file from `_begin` on

    def damaged(self, why: str) -> QuantvizError:
        return QuantvizError(f"{self._file.name} is damaged: {why}.")

    def take(self, length: int) -> bytes:
        self._reach(length)
        begin = self.at - self._begin
        self.at += length
        return self._piece[begin : begin + length]

    def skip(self, length: int) -> None:
        if length > self.size - self.at:
            raise self.damaged(f"its header goes on after the last of its {self.size:,} bytes")
        self.at += length

    def _reach(self, length: int) -> None:
        """The next `length` bytes are in the piece at hand, or were claimed wrongly."""
        if self.at + length > self._begin + len(self._piece) or self.at < self._begin:
            self.skip(length)
            self.at -= length
            self._begin = self.at
            self._piece = self._file.read(self.at, min(self.size, self.at + max(length, _PIECE)))

    def number(self, kind: str) -> int:
        return struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]

    def name(self) -> str:
        """Of a tensor or a value; bytes that are no UTF-8 are written out."""
        length = self.number("Q")
        if length > _MAX_NAME:
            raise self.damaged(f"a name in it has {length:,} bytes")
        return self.take(length).decode("utf-8", "backslashreplace")

    def value(self, kind: int) -> object | None:
        """A number or a text; None for an array, which is passed over. Raises _Unreadable, behind the value."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            raise self.damaged(f"a value in it has the unknown type {kind}")
        self._pass_array(_MAX_DEPTH)
        return None

    def _text(self) -> str:
        length = self.number("Q")
        if length > MAX_VALUE:
            self.skip(length)
            raise _Unreadable(f"it has {length:,} bytes, and at most {MAX_VALUE:,} are read")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise _Unreadable("it is no text in UTF-8") from None

    def _pass_array(self, depth: int) -> None:
        item, length = self.number("I"), self.number("Q")
        self.items += length
        if item in _SCALARS:
            self.skip(length * struct.calcsize(_SCALARS[item]))
            return
        if item not in (_STRING, _ARRAY) or not depth:
            deep = "" if depth else " deep inside of others"
            raise self.damaged(f"an array in it has {length:,} items of type {item}{deep}")
        if length * _LENGTH.size > self.size - self.at:  # each item takes as much and more
            raise self.damaged(f"an array in it has {length:,} items, more than its {self.size:,} bytes hold")
        self._meter.items(length if item == _STRING else length * _ARRAY_COST)
        if item == _STRING:
            self._pass_texts(length)
        else:
            for _ in range(length):
                self._pass_array(depth - 1)

    def _pass_texts(self, count: int) -> None:
        """As `take` would, for the hundreds of thousands of words that a tokenizer has."""
        while count:
            self._reach(_LENGTH.size)
            at, piece = self.at - self._begin, self._piece
            last = len(piece) - _LENGTH.size
            while count and at <= last:
                at += _LENGTH.size + _LENGTH.unpack_from(piece, at)[0]
                count -= 1
            self.skip(self._begin + at - self.at)
