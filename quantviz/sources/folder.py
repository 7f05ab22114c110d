"""The folder of a model on disk, as a repository of the Hub has it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

from ..errors import QuantvizError
from .files import MAX_LISTED, SINGLE, spelled, weight_files
from .gguf_entries import choose, is_gguf
from .model import Decoders, Reader


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
    if any(map(is_gguf, names)) and not any(name.endswith(".safetensors") for name in names):
        from .gguf_file import open_parts

        return open_parts([inside / name for name in choose(names, None, where, f"{folder}/{{}}")], gate, decoders)
    from .safetensors_file import open_files

    return open_files({spelled(name): gate(inside / name) for name in weight_files(names, where)})
