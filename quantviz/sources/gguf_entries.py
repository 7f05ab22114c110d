"""A GGUF file's tensors and where they lie, checked; which files belong to one model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from ..errors import QuantvizError
from ..tensors import Packing
from .gguf_header import GGUFHeader, GGUFTensor
from .gguf_types import TYPES, GGMLType, unknown_type
from .model import Decoders, SeveralFiles, TensorInfo
from .safetensors_header import Entry

SUFFIX = ".gguf"
MAX_PARTS = 2000
_PART = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf", re.IGNORECASE)
# What else goes by this suffix in a model's repository: image encoders, and the importance they were quantized with.
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_NAMES_SHOWN = 8


def is_gguf(name: str) -> bool:
    return name.lower().endswith(SUFFIX)


def entries_of(header: GGUFHeader, size: int, where: str, decoders: Decoders | None) -> tuple[Entry, ...]:
    """The tensors of a file of `size` bytes, each found to lie within it and apart from the others."""
    room = _room(header, size)
    found = [_entry(tensor, where, decoders, room[tensor.offset]) for tensor in header.tensors.values()]
    end, previous = header.nbytes, ""
    for entry in sorted(found, key=lambda e: (e.offset, e.info.nbytes)):
        name, stop = entry.info.name, entry.offset + entry.info.nbytes
        if stop > size:
            raise QuantvizError(
                f"{where}: tensor {name[:80]!r} should end at byte {stop:,}, and the file has {size:,}; "
                "it is truncated or damaged."
            )
        if entry.offset < end:
            raise QuantvizError(
                f"{where}: tensors {previous[:80]!r} and {name[:80]!r} overlap, so the file is damaged."
            )
        end, previous = stop, name
    return tuple(found)


def _room(header: GGUFHeader, size: int) -> dict[int, int]:
    """Bytes from the start of each tensor to the next one, or to the end of a file of `size` bytes."""
    starts = sorted({tensor.offset for tensor in header.tensors.values()})
    return {start: max(0, stop - start) for start, stop in zip(starts, [*starts[1:], size], strict=False)}


def _entry(tensor: GGUFTensor, where: str, decoders: Decoders | None, room: int) -> Entry:
    """room: what a tensor of a type that is not known may take; it is listed all the same."""
    kind = TYPES.get(tensor.type)
    if kind is None:
        return Entry(TensorInfo(tensor.name, tensor.shape, unknown_type(tensor.type), room), tensor.offset)
    cols = tensor.shape[-1] if tensor.shape else 1
    if cols % kind.block:
        raise QuantvizError(
            f"{where}: tensor {tensor.name[:80]!r} has rows of {cols:,} weights, no multiple of the {kind.block} of "
            f"a {kind.dtype} block, so the file is damaged."
        )
    nbytes = math.prod(tensor.shape) // kind.block * kind.nbytes
    return Entry(TensorInfo(tensor.name, tensor.shape, kind.dtype, nbytes, _packing(kind, decoders)), tensor.offset)


def _packing(kind: GGMLType, decoders: Decoders | None) -> Packing | None:
    if not kind.packed:
        return None
    return Packing(kind.dtype, kind.block, kind.nbytes, decoders(kind.dtype) if decoders else None)


# -- which files -------------------------------------------------------------------------------


def parts_of(name: str, is_there: Callable[[str], bool], where: str) -> list[str]:
    """The files of the model that file `name` belongs to, in order: itself alone, or every part of a split.

    Raises QuantvizError for a part that is not there, naming it.
    """
    match = _PART.fullmatch(name)
    if match is None:
        return [name]
    stem, total = match[1], int(match[3])
    if not 0 < int(match[2]) <= total <= MAX_PARTS:
        raise QuantvizError(
            f"{where}: {name} is no part that a split into {total:,} has; up to {MAX_PARTS:,} are read."
        )
    parts = [f"{stem}-{i:05d}-of-{match[3]}{name[-len(SUFFIX) :]}" for i in range(1, total + 1)]
    missing = [part for part in parts if not is_there(part)]
    if missing:
        others = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise QuantvizError(
            f"{where} lacks the part {missing[0]}{others}; all {total:,} are needed, side by side, or as the one file "
            "that llama-gguf-split --merge makes of them."
        )
    return parts


def choose(names: Iterable[str], wanted: str | None, where: str, example: str = "") -> list[str]:
    """The files of one GGUF model among `names`.

    wanted: its file name, or a part of it that no other has, such as Q4_K_M; None where there is only one.
    example: how to name a file, for the sentence that asks for it; `{}` stands for the file.
    Raises QuantvizError with the names there are.
    """
    names = sorted(name for name in names if is_gguf(name))
    models = _models(names)
    if wanted is None:
        found = [name for name in models if not _NO_MODEL.search(name)] or models
    elif wanted in names:
        found = [wanted]
    else:
        found = [name for name in models if _names(wanted, name)]
    if len(found) == 1:
        return parts_of(found[0], set(names).__contains__, where)
    shown = [_short(name) for name in (found or models)]
    listed = ", ".join(shown[:_NAMES_SHOWN]) + (f" and {len(shown) - _NAMES_SHOWN} more" * (len(shown) > _NAMES_SHOWN))
    if not found:
        have = f"it has {listed}" if shown else "it has none"
        raise QuantvizError(f"{where} has no GGUF file {wanted[:200]!r}; {have}.")
    how = f", for example {example.format(shown[0])}" if example else ""
    what = f"{len(found)} GGUF files" + (f" whose names hold {wanted!r}" if wanted else "")
    raise SeveralFiles(f"{where} has {what}: {listed}; name one{how}.", tuple(found))


def _models(names: list[str]) -> list[str]:
    """One name a model: of a split, the lowest part that is there."""
    first: dict[str, str] = {}
    for name in names:
        match = _PART.fullmatch(name)
        first.setdefault(f"{match[1]}-{match[3]}" if match else name, name)
    return list(first.values())


def _names(wanted: str, name: str) -> bool:
    """Whether `wanted` is what tells a file apart: Q4_K_M of model-Q4_K_M.gguf, but not Q4_K of it."""
    return bool(re.search(rf"(?<![A-Za-z0-9_]){re.escape(wanted)}(?![A-Za-z0-9_])", _short(name), re.IGNORECASE))


def _short(name: str) -> str:
    """A model's name as it is typed: of a split, without the number of a part."""
    match = _PART.fullmatch(name)
    return match[1] if match else name


def check_split(headers: Mapping[str, GGUFHeader]) -> None:
    """Refuses files that say themselves that they are other parts, or parts of another whole."""
    for position, (name, header) in enumerate(headers.items()):
        count, number = header.metadata.get("split.count", 1), header.metadata.get("split.no", 0)
        if not isinstance(count, int) or not isinstance(number, int) or count <= 1:
            count, number = 1, 0
        if (count, number) != (len(headers), position):
            base = PurePosixPath(name).name
            says = f"part {number + 1} of {count}" if count > 1 else "a whole file"
            raise QuantvizError(
                f"{base} says that it is {says}, and was opened as part {position + 1} of {len(headers)}: the parts of "
                "a split need their names NAME-00001-of-0000N.gguf, in one folder, to be found."
            )
