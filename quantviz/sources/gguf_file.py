"""GGUF files on disk, whole or split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import QuantvizError
from ..tensors import StoredTensor
from .budget import Budget
from .gguf_entries import check_split, entries_of, parts_of
from .gguf_header import GGUFHeader, read_header
from .model import Decoders, Progress, TensorInfo, byte_range, element_type, select, tensor_of
from .opened import FileArray, OpenFile, SeenFile, open_regular, revision_of
from .safetensors_header import Entry

Gate = Callable[[Path], Path]


class GGUFReader:
    """The tensors of one GGUF model, each read when it is asked for: (file, entry) by name."""

    def __init__(self, entries: dict[str, tuple[SeenFile, Entry]], metadata: dict[str, object]) -> None:
        self._entries = entries
        self.metadata = metadata
        self.tensors = tuple(entry.info for _, entry in entries.values())

    @property
    def revision(self) -> str:
        return revision_of(file for file, _ in self._entries.values())

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        file, entry = self._entries[info.name]
        start, stop = byte_range(info, part)
        dtype = element_type(info)
        data = FileArray(file.open(), dtype, entry.offset + start, (stop - start) // dtype.itemsize)
        return tensor_of(data, info, part)


def open_gguf(path: Path, gate: Gate = Path, decoders: Decoders | None = None) -> GGUFReader:
    """One .gguf file; where it is a part of a split, the whole."""
    names = parts_of(path.name, lambda name: gate(path.with_name(name)).is_file(), path.name)
    return open_parts([path.with_name(name) for name in names], gate, decoders)


def open_parts(paths: list[Path], gate: Gate, decoders: Decoders | None) -> GGUFReader:
    """The files of one model, in order."""
    real = [gate(path) for path in paths]
    files = [open_regular(file, path.name) for file, path in zip(real, paths, strict=True)]
    budget = Budget()
    headers = {file.name: header_of(file, budget) for file in files}
    check_split(headers)
    entries: dict[str, tuple[SeenFile, Entry]] = {}
    for path, file in zip(real, files, strict=True):
        seen = SeenFile(path, file)
        for entry in entries_of(headers[file.name], file.size, file.name, decoders):
            if entry.info.name in entries:
                raise QuantvizError(f"{file.name} holds {entry.info.name[:80]!r}, which another part holds too.")
            entries[entry.info.name] = seen, entry
    return GGUFReader(entries, next(iter(headers.values())).metadata)


def header_of(file: OpenFile, budget: Budget | None = None) -> GGUFHeader:
    """The header of an open file."""
    if not file.size:
        raise QuantvizError(f"{file.name} is empty.")
    return read_header(file, budget)
