"""GGUF files on disk, whole or split, memory-mapped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import QuantvizError
from ..tensors import StoredTensor
from .files import map_file
from .gguf_entries import check_split, entries_of, parts_of
from .gguf_header import GGUFHeader, read_header
from .model import Decoders, Progress, TensorInfo, byte_range, element_type, select, tensor_of
from .safetensors_header import Entry

Gate = Callable[[Path], Path]


class GGUFReader:
    """The tensors of one GGUF model, opened as memory maps: (file, entry) by name."""

    def __init__(self, entries: dict[str, tuple[Path, Entry]], metadata: dict[str, object]) -> None:
        self._entries = entries
        self.metadata = metadata
        self.tensors = tuple(entry.info for _, entry in entries.values())

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        path, entry = self._entries[info.name]
        start, stop = byte_range(info, part)
        dtype = element_type(info)
        try:
            data = map_file(path, dtype, entry.offset + start, ((stop - start) // dtype.itemsize,))
        except (OSError, ValueError) as problem:
            raise _unreadable(path, problem) from None
        return tensor_of(np.asarray(data), info, part)


def open_gguf(path: Path, gate: Gate = Path, decoders: Decoders | None = None) -> GGUFReader:
    """One .gguf file; where it is a part of a split, the whole."""
    names = parts_of(path.name, lambda name: gate(path.with_name(name)).is_file(), path.name)
    return open_parts([path.with_name(name) for name in names], gate, decoders)


def open_parts(paths: list[Path], gate: Gate, decoders: Decoders | None) -> GGUFReader:
    """The files of one model, in order."""
    files = [gate(path) for path in paths]
    headers = {path.name: _header(file, path.name) for path, file in zip(paths, files, strict=True)}
    check_split(headers)
    entries: dict[str, tuple[Path, Entry]] = {}
    for file, (name, header) in zip(files, headers.items(), strict=True):
        for entry in entries_of(header, file.stat().st_size, name, decoders):
            if entry.info.name in entries:
                raise QuantvizError(f"{name} holds {entry.info.name[:80]!r}, which another part holds too.")
            entries[entry.info.name] = file, entry
    return GGUFReader(entries, next(iter(headers.values())).metadata)


def _header(file: Path, where: str) -> GGUFHeader:
    try:
        if not file.stat().st_size:
            raise QuantvizError(f"{where} is empty.")
        return read_header(memoryview(np.memmap(file, mode="r")), where)
    except (OSError, ValueError) as problem:
        if isinstance(problem, QuantvizError):
            raise
        raise _unreadable(file, problem) from None


def _unreadable(path: Path, problem: Exception) -> QuantvizError:
    return QuantvizError(f"{path.name} cannot be read: {(getattr(problem, 'strerror', None) or str(problem)).lower()}.")
