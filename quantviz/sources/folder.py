"""The folder of a model on disk, as a repository of the Hub has it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

from ..errors import QuantvizError
from .files import MAX_LISTED, SINGLE, spelled
from .gguf_entries import is_gguf
from .json_text import MAX_BYTES
from .model import Decoders, Reader
from .opened import read_file
from .parts import chosen_files, shards_of


def open_folder(folder: Path, gate: Callable[[Path], Path] = Path, decoders: Decoders | None = None) -> Reader:
    """model.safetensors, or its index, or the safetensors files there are, or else the one GGUF model."""
    inside = gate(folder)
    where = f"The folder {folder.name or folder}"
    try:
        index = inside / f"{SINGLE}.index.json"
        if index.is_file() and not (inside / SINGLE).is_file():
            from .safetensors_file import open_index

            return open_index(index, gate)
        found = islice(chain(inside.glob("*"), inside.glob("*/*")), MAX_LISTED + 1)
        names = [path.relative_to(inside).as_posix() for path in found]
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise QuantvizError(f"{folder} cannot be read: {reason}.") from None
    if len(names) > MAX_LISTED:
        raise QuantvizError(f"{where} holds over {MAX_LISTED:,} files; give the folder of one model.")

    def read_index(name: str) -> set[str]:
        return shards_of(read_file(gate(inside / name), MAX_BYTES, name), name)

    chosen = chosen_files(names, None, where, read_index, f"{folder}/{{}}")
    if is_gguf(chosen[0]):
        from .gguf_file import open_parts

        return open_parts([inside / name for name in chosen], gate, decoders)
    from .safetensors_file import open_files

    return open_files({spelled(name): gate(inside / name) for name in chosen})
