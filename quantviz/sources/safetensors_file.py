"""Safetensors files on disk, single and sharded, memory-mapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import QuantvizError
from ..tensors import STORED_DTYPES, StoredTensor
from .files import WHY_NO_PICKLE, is_pickle, map_file
from .model import Progress, TensorInfo, select
from .safetensors_header import LENGTH_BYTES, MAX_HEADER, Entry, header_length, parse_header, read_json_object, union

# Turns each path into one that may be opened, or refuses it.
Gate = Callable[[Path], Path]


class SafetensorsReader:
    """The tensors of one or several files, opened as memory maps: (file, entry) by name."""

    def __init__(self, entries: dict[str, tuple[Path, Entry]]) -> None:
        self._entries = entries
        self.tensors = tuple(replace(entry.info, name=name) for name, (_, entry) in entries.items())

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        path, entry = self._entries[info.name]
        dtype = STORED_DTYPES[info.dtype]
        try:
            data = map_file(path, dtype, entry.offset + part.start * dtype.itemsize, (part.stop - part.start,))
        except (OSError, ValueError) as problem:
            raise QuantvizError(f"{path.name} cannot be mapped: {_reason(problem)}.") from None
        return StoredTensor(np.asarray(data), info.dtype, part.shape, info.name)


def open_safetensors(path: Path, gate: Gate = Path) -> SafetensorsReader:
    """One .safetensors file."""
    return SafetensorsReader({entry.info.name: (gate(path), entry) for entry in read_entries(gate(path))})


def open_index(path: Path, gate: Gate = Path) -> SafetensorsReader:
    """The shards that a model.safetensors.index.json names, all beside it or below."""
    where = path.name
    path = gate(path)
    try:
        if path.stat().st_size > MAX_HEADER:
            raise QuantvizError(f"{where} is larger than {MAX_HEADER:,} bytes, which no index needs to be.")
        weight_map = read_json_object(path.read_bytes(), where).get("weight_map")
    except OSError as problem:
        raise QuantvizError(f"{where} cannot be read: {_reason(problem)}.") from None
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise QuantvizError(f"{where} has no weight_map of tensor names to file names, so it is no safetensors index.")
    shards: dict[str, tuple[Path, dict[str, Entry]]] = {}
    for name in sorted(set(weight_map.values())):
        shard = gate(_shard_path(path.parent, name, where))
        if not shard.is_file():
            raise QuantvizError(f"{where} names the shard {name!r}, which is not in its folder; all shards are needed.")
        shards[name] = shard, {entry.info.name: entry for entry in read_entries(shard)}
    entries = {}
    for tensor, name in weight_map.items():
        shard, found = shards[name]
        if tensor not in found:
            raise QuantvizError(
                f"{where} says that {name} holds {tensor!r}, but it does not; the files do not belong together."
            )
        entries[tensor] = shard, found[tensor]
    return SafetensorsReader(entries)


def open_files(paths: dict[str, Path]) -> SafetensorsReader:
    """Several files of one model, by the names to tell them apart with."""
    return SafetensorsReader(union([(name, path, read_entries(path)) for name, path in paths.items()]))


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The table of contents of the file at `path`, checked against its size."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = header_length(file.read(LENGTH_BYTES), size, path.name)
            header = file.read(length)
    except OSError as problem:
        raise QuantvizError(f"{path.name} cannot be read: {_reason(problem)}.") from None
    return parse_header(header, size - LENGTH_BYTES - length, path.name)


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


def _reason(problem: Exception) -> str:
    return (getattr(problem, "strerror", None) or str(problem)).lower()
