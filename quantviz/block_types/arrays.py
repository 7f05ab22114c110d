"""The words that layouts are read with, the same for NumPy arrays and for torch tensors on any device.

What both kinds of array share needs no word: operators, slices, reshape, swapaxes. A result is of the kind of what was
given, with the same numbers; torch is loaded only by whoever hands in a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # a NumPy array or a torch tensor

_SHIFTS = {width: np.arange(0, 8, width, dtype=np.uint8)[:, None] for width in (1, 2, 4)}
_COPIES: dict[tuple[int, Any], tuple[np.ndarray, Array]] = {}  # (id of a table, device) -> the table, a copy there


def _library(data: Array) -> ModuleType:
    if isinstance(data, np.ndarray):
        return np
    import torch

    return torch


def _as(data: Array, dtype: str) -> Array:
    """The same numbers in a dtype that both libraries know by this name."""
    library = _library(data)
    return data.astype(dtype, copy=False) if library is np else data.to(getattr(library, dtype))


def _seen_as(data: Array, dtype: str) -> Array:
    """Bytes of every row, lowest first, taken for numbers of a dtype."""
    library = _library(data)
    if library is np:
        return np.ascontiguousarray(data).view(np.dtype(dtype).newbyteorder("<"))
    # A copy begins where any number may: what is contiguous already, as in one block alone, may lie at an odd byte.
    return data.clone(memory_format=library.contiguous_format).view(getattr(library, dtype))


def ints(data: Array) -> Array:
    """int32, of the same numbers."""
    return _as(data, "int32")


def floats(data: Array) -> Array:
    """float32, of the same numbers; integers beyond 2^24 are rounded."""
    return _as(data, "float32")


def signed(data: Array) -> Array:
    """int32 from bytes that hold -128 to 127."""
    return ints(_seen_as(data, "int8"))


def half(data: Array, at: int) -> Array:
    """float32 [blocks, 1] from the fp16 that starts at byte `at` of every block."""
    return floats(_seen_as(data[:, at : at + 2], "float16"))


def words(data: Array, at: int, count: int, size: int) -> Array:
    """int32 [blocks, count]: words of 2 or 4 bytes from byte `at`; of 4, one with its highest bit set is negative."""
    part = data[:, at : at + count * size]
    return ints(_seen_as(part, "int16")) & 0xFFFF if size == 2 else _seen_as(part, "int32")


def bits(data: Array, width: int) -> Array:
    """Fields of `width` bits of every byte, lowest first: uint8 [..., n] -> int32 [..., 8 // width, n]."""
    return ints((data[..., None, :] >> like(_SHIFTS[width], data)) & ((1 << width) - 1))


def in_order(data: Array, width: int) -> Array:
    """The fields of the first byte, then those of the next: uint8 [blocks, n] -> int32 [blocks, 8 // width · n]."""
    if width == 1 and _library(data) is np:
        return ints(np.unpackbits(data, axis=1, bitorder="little"))
    return bits(data, width).swapaxes(1, 2).reshape(-1, data.shape[1] * 8 // width)


def join(parts: Sequence[Array]) -> Array:
    """Side by side: [blocks, any] each."""
    return _library(parts[0]).concatenate(parts, axis=1)


def look_up(table: np.ndarray, index: Array) -> Array:
    """table[index], in the table's dtype; see `like`. An index has to lie in the table."""
    return table[index] if _library(index) is np else like(table, index)[index.long()]


def like(table: np.ndarray, data: Array) -> Array:
    """The table as an array of data's kind; on its device a copy is kept, so this is for tables that last."""
    if _library(data) is np:
        return table
    kept = _COPIES.get((id(table), data.device))
    if kept is None:  # the table is kept too: no other can come by its id
        copy = _library(data).from_numpy(table.copy()).to(data.device)
        kept = _COPIES.setdefault((id(table), data.device), (table, copy))
    return kept[1]
