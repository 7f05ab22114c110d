"""The header of a safetensors file, checked before anything it says is believed.

A file is 8 bytes (the header's length N, little-endian), N bytes of JSON, then the data.
The JSON maps each tensor's name to its dtype, shape and [start, stop) within the data;
`__metadata__` holds text. Files on disk and on the Hub are both read through this parser.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import QuantvizError, did_you_mean
from .budget import Budget, Readable
from .json_text import MAX_BYTES as MAX_HEADER
from .json_text import read_json_object
from .model import TensorInfo

LENGTH_BYTES = 8
_MAX_AXES = 32
_MAX_BYTES = 2**63

# dtype in the file -> (quantviz's name, or the file's own where quantviz reads no weights; bits an element)
DTYPES: dict[str, tuple[str, int]] = {
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "I8": ("int8", 8),
    "U8": ("uint8", 8),
    **{name: (name, int(name[1:])) for name in ("I16", "I32", "I64", "U16", "U32", "U64", "C64")},
    **{name: (name, 8) for name in ("BOOL", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ")},
    **{name: (name, int(name[1])) for name in ("F4", "F6_E2M3", "F6_E3M2")},
}


@dataclass(frozen=True)
class Entry:
    """A tensor and the byte of its file where it starts."""

    info: TensorInfo
    offset: int


@dataclass(frozen=True)
class Header:
    """What a header says. entries: in its order.  metadata: texts by name, as whoever wrote the file chose them."""

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]


def header_length(first: bytes, file_size: int, where: str) -> int:
    """Length of the JSON from the first 8 bytes of a file of `file_size` bytes."""
    if file_size < LENGTH_BYTES or len(first) < LENGTH_BYTES:
        raise QuantvizError(f"{where} is truncated: {file_size} bytes are fewer than a safetensors header takes.")
    length = int.from_bytes(first[:LENGTH_BYTES], "little")
    if length > MAX_HEADER:
        raise QuantvizError(
            f"{where} claims a header of {length:,} bytes; at most {MAX_HEADER:,} are allowed, "
            "so it is damaged or no safetensors file."
        )
    if length > file_size - LENGTH_BYTES:
        raise QuantvizError(
            f"{where} is truncated: its header should take {length:,} bytes, "
            f"and only {file_size - LENGTH_BYTES:,} follow."
        )
    return length


def read_table(file: Readable, budget: Budget | None = None) -> Header:
    """The header of a file, checked against its size."""
    length = header_length(file.read(0, LENGTH_BYTES), file.size, file.name)
    header = file.read(LENGTH_BYTES, LENGTH_BYTES + length)
    return parse_header(header, file.size - LENGTH_BYTES - length, file.name, budget)


def parse_header(header: bytes, data_size: int, where: str, budget: Budget | None = None) -> Header:
    """What a header says: its tensors, each found to lie within `data_size` bytes of data, and its texts.

    header: the JSON alone. Raises QuantvizError that begins with `where`, the file's name.
    """
    if not header.startswith(b"{"):
        raise QuantvizError(f"The header of {where} is no JSON object, so the file is damaged or of another format.")
    listed = read_json_object(header, f"The header of {where}")
    metadata = listed.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise QuantvizError(f"{where}: its __metadata__ is no list of texts by name, so the file is damaged.")
    meter = (budget or Budget()).meter(where)
    for name, text in metadata.items():
        meter.entry(len(name) + len(text))
    spans = []
    for name, value in listed.items():
        meter.entry(len(name))
        spans.append((*_span(name, value, where), name))
    _check_layout([(start, stop, name) for _, start, stop, name in spans], data_size, where)
    data_start = LENGTH_BYTES + len(header)
    return Header(tuple(Entry(info, data_start + start) for info, start, _, _ in spans), metadata)


Place = TypeVar("Place")


def union(parts: list[tuple[str, Place, tuple[Entry, ...]]]) -> dict[str, tuple[Place, Entry]]:
    """The tensors of several files in one list: (file name, where it is, its entries) -> (where, entry) by name.

    Where two files hold a tensor of the same name, both are listed as `file:tensor`.
    """
    times = Counter(entry.info.name for _, _, entries in parts for entry in entries)
    return {
        entry.info.name if times[entry.info.name] == 1 else f"{file}:{entry.info.name}": (place, entry)
        for file, place, entries in parts
        for entry in entries
    }


def together(headers: Iterable[Header]) -> dict[str, str]:
    """The metadata of several files of one model; of two texts of one name, the last."""
    return {name: text for header in headers for name, text in header.metadata.items()}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_BYTES


def _span(name: str, value: Any, where: str) -> tuple[TensorInfo, int, int]:
    """One line of the header -> (tensor, start, stop), sizes and offsets agreeing."""
    tensor = f"{where}: tensor {name[:200]!r}"
    if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= value.keys():
        raise QuantvizError(f"{tensor} lacks its dtype, shape or data_offsets.")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        near = did_you_mean(dtype, DTYPES) if isinstance(dtype, str) else ""
        raise QuantvizError(f"{tensor} has the unknown dtype {str(dtype)[:40]!r}.{near}")
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(map(_is_count, shape)):
        raise QuantvizError(f"{tensor} has no valid shape: at most {_MAX_AXES} whole numbers from 0 up are allowed.")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise QuantvizError(f"{tensor} has no valid data_offsets: two whole numbers from 0 up are allowed.")
    start, stop = offsets
    if start > stop:
        raise QuantvizError(f"{tensor} ends at byte {stop} before it starts at {start}.")
    ours, bits = DTYPES[dtype]
    size_bits = bits
    for length in shape:
        size_bits *= length
        if size_bits >= 8 * _MAX_BYTES:
            raise QuantvizError(f"{tensor} has a shape that overflows: {shape} of {dtype} passes 2^63 bytes.")
    if size_bits % 8:
        raise QuantvizError(f"{tensor} does not fill whole bytes: {shape} of {dtype}.")
    if size_bits // 8 != stop - start:
        raise QuantvizError(
            f"{tensor} should take {size_bits // 8:,} bytes ({shape} of {dtype}), "
            f"but its data_offsets span {stop - start:,}."
        )
    return TensorInfo(name, tuple(shape), ours, stop - start), start, stop


def _check_layout(spans: list[tuple[int, int, str]], data_size: int, where: str) -> None:
    """The tensors lie side by side from the first byte of the data to the last."""
    end, previous = 0, ""
    for start, stop, name in sorted(spans):
        if stop > data_size:
            raise QuantvizError(
                f"{where}: tensor {name[:200]!r} lies outside the file: it ends at byte {stop:,} of the data, "
                f"and {data_size:,} are there; the file is truncated or damaged."
            )
        if start < end:
            both = f"{previous[:200]!r} and {name[:200]!r}"
            raise QuantvizError(f"{where}: tensors {both} overlap, so the file is damaged.")
        if start > end:
            raise QuantvizError(
                f"{where}: bytes {end:,} to {start:,} of the data belong to no tensor, so the file is damaged."
            )
        end, previous = stop, name
    if end != data_size:
        raise QuantvizError(
            f"{where}: {data_size - end:,} bytes after the last tensor belong to none, so the file is damaged."
        )
