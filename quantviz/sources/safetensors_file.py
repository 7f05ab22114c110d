"""Safetensors files on disk, single and sharded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import QuantvizError
from ..tensors import STORED_DTYPES, StoredTensor
from .budget import Budget
from .files import MAX_FILES, WHY_NO_PICKLE, is_pickle
from .json_text import MAX_BYTES
from .model import Progress, TensorInfo, select
from .opened import FileArray, SeenFile, open_regular, read_file, revision_of
from .parts import weight_map_of
from .safetensors_header import Entry, Header, read_table, together, union

# Turns each path into one that may be opened, or refuses it.
Gate = Callable[[Path], Path]


class SafetensorsReader:
    """The tensors of one or several files, each read when it is asked for: (file, entry) by name."""

    def __init__(self, entries: dict[str, tuple[SeenFile, Entry]], metadata: Mapping[str, str]) -> None:
        """metadata: of all files together."""
        self._entries = entries
        self.metadata = metadata
        self.tensors = tuple(replace(entry.info, name=name) for name, (_, entry) in entries.items())

    @property
    def revision(self) -> str:
        return revision_of(file for file, _ in self._entries.values())

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        file, entry = self._entries[info.name]
        dtype = STORED_DTYPES[info.dtype]
        data = FileArray(file.open(), dtype, entry.offset + part.start * dtype.itemsize, part.stop - part.start)
        return StoredTensor(data, info.dtype, part.shape, info.name)


def open_safetensors(path: Path, gate: Gate = Path) -> SafetensorsReader:
    """One .safetensors file."""
    file, header = read_entries(gate(path))
    return SafetensorsReader({entry.info.name: (file, entry) for entry in header.entries}, header.metadata)


def open_index(path: Path, gate: Gate = Path) -> SafetensorsReader:
    """The shards that a model.safetensors.index.json names, all beside it or below."""
    where = path.name
    path = gate(path)
    weight_map = weight_map_of(read_file(path, MAX_BYTES, where), where)
    shards: dict[str, tuple[SeenFile, dict[str, Entry]]] = {}
    names, budget, headers = sorted(set(weight_map.values())), Budget(), []
    if len(names) > MAX_FILES:
        raise QuantvizError(f"{where} names {len(names):,} files; quantviz reads up to {MAX_FILES:,}.")
    for name in names:
        shard = gate(_shard_path(path.parent, name, where))
        if not shard.is_file():
            raise QuantvizError(
                f"{where} names the shard {name!r}, which is not in its folder; all shards are needed. "
                "To open one shard alone, give its own name."
            )
        file, found = read_entries(shard, budget)
        shards[name] = file, {entry.info.name: entry for entry in found.entries}
        headers.append(found)
    entries = {}
    for tensor, name in weight_map.items():
        file, found = shards[name]
        if tensor not in found:
            raise QuantvizError(
                f"{where} says that {name} holds {tensor!r}, but it does not; the files do not belong together."
            )
        entries[tensor] = file, found[tensor]
    return SafetensorsReader(entries, together(headers))


def open_files(paths: dict[str, Path]) -> SafetensorsReader:
    """Several files of one model, by the names to tell them apart with."""
    budget = Budget()
    read = {name: read_entries(path, budget) for name, path in paths.items()}
    parts = [(name, file, header.entries) for name, (file, header) in read.items()]
    return SafetensorsReader(union(parts), together(header for _, header in read.values()))


def read_entries(path: Path, budget: Budget | None = None) -> tuple[SeenFile, Header]:
    """The file at `path` and its header, checked against its size."""
    file = open_regular(path)
    return SeenFile(path, file), read_table(file, budget)


def _shard_path(folder: Path, name: str, where: str) -> Path:
    if is_pickle(name):
        raise QuantvizError(f"{where} names {name!r}; {WHY_NO_PICKLE}. Choose safetensors.")
    parts = PurePosixPath(name).parts
    plain = name.isprintable() and not set(name) & set("\\:") and not name.startswith("/") and ".." not in parts
    if not plain or not name.endswith(".safetensors"):
        raise QuantvizError(
            f"{where} names the shard {name!r}; a shard must be a .safetensors file in the same folder."
        )
    return folder / name
