"""Importance: how much each input channel of a tensor matters, as the mean square E[x²] of what flows into it.

Read from a .npy file, from the GGUF file that llama.cpp's `llama-imatrix` writes, or from the .safetensors file that
`quantviz.quality.activations` does: for each tensor `<name>.in_sum2`, Σx² of each input channel, and `<name>.counts`,
over how many tokens.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..checkpoints.names import llama_name
from ..errors import QuantvizError, did_you_mean
from ..sources.budget import MAX_TEXT, Held, Readable
from ..sources.gguf_header import F32, MAGIC, GGUFTensor, read_header
from ..sources.npy import MAX_HEADER as MAX_NPY_HEADER
from ..sources.npy import NPY_MAGIC, parse_npy_header
from ..sources.opened import open_regular
from ..sources.safetensors_header import LENGTH_BYTES, Entry, read_table
from ..tensors import check_importance
from ..text.numbers import whole_number
from ..text.wording import plural

Source = str | os.PathLike[str] | bytes
Entries = dict[str, GGUFTensor]


class UnseenError(QuantvizError):
    """A tensor is listed, and nothing flowed into it."""


_SUMS, _COUNTS = ".in_sum2", ".counts"
_NAMES_SHOWN = 6
_MAX_EXPERTS = 1 << 16  # of one tensor
_MAX_NAMES = 300_000
_MAX_COLS = 1 << 24  # of one tensor
_NAME_SHOWN = 200  # characters
_LOOK = 16  # bytes that tell of which kind a file is
MAX_BYTES = 2 << 30  # of a file; those of the largest models have some hundred million


def load_importance(source: Source, tensor: str = "", cols: int | None = None) -> np.ndarray:
    """E[x²] of each input channel, float32 [cols], checked.

    source: path or content of a .npy file with one axis, of an imatrix in GGUF, or of activations in .safetensors.
    tensor: which entry of the latter two: its own name there, as `importance_names` lists them, or the name that
    Hugging Face's models give the tensor that llama.cpp calls so. Of a tensor in which several experts lie, `name[3]`
    is one of them, and the name alone all: float32 [experts, cols]. cols: the length it should have.
    An expert that no token reached counts every channel alike, as llama-quantize has it.
    Raises QuantvizError with one sentence for whatever is wrong.
    """
    file = _opened(source)
    beginning = file.read(0, _LOOK)
    if (entries := _entries(file, beginning)) is not None:
        values = _from_imatrix(file, entries, tensor)
    elif beginning.startswith(NPY_MAGIC):
        values = _from_npy(file)
    else:
        raise QuantvizError(
            f"{file.name} {_kind_refused(beginning)}; give a .npy file, an imatrix in GGUF, or activations in "
            ".safetensors."
        )
    wide = values.shape[-1] if cols is None else cols
    return check_importance(values, wide, len(values) if values.ndim == 2 else 0)


def of_rows(importance: np.ndarray, rows: int, part: tuple[int, int] | None) -> np.ndarray:
    """The importance of rows [start, stop) of a tensor with so many: that of their expert, or of several whole ones.

    importance: float32 [cols], which holds for all rows, or [experts, cols].
    Raises QuantvizError for rows that begin or end within an expert without lying in one.
    """
    if importance.ndim == 1 or part is None or rows % len(importance):
        return importance
    (start, stop), each = part, rows // len(importance)
    if start // each == (stop - 1) // each:
        return importance[start // each]
    if start % each or stop % each:
        raise QuantvizError(
            f"Rows {start}:{stop} cut through experts of {each:,} rows, each with importance of its own; choose rows "
            "of one of them, or whole ones."
        )
    return importance[start // each : stop // each]


def unseen_experts(source: Source, tensor: str = "") -> tuple[str, ...]:
    """The entries of experts, of this tensor or of all, that no token reached: each of their channels counts 1."""
    file = _opened(source)
    entries = _entries(file, file.read(0, _LOOK)) or {}
    names = _names(entries)
    base = entry_of(tensor, names) if tensor else None
    found = []
    for name in names:
        of, _, number = name.partition("[")
        if number and (not tensor or base in (of, name)):
            count = _counts(file, entries, of)[whole_number(number[:-1])]
            found += [] if count > 0 and math.isfinite(count) else [name]
    return tuple(found)


def importance_names(source: Source) -> tuple[str, ...]:
    """The tensors for which a file holds importance, in its order; () for a .npy file, which names none."""
    file = _opened(source)
    entries = _entries(file, file.read(0, _LOOK))
    return () if entries is None else _names(entries)


def _opened(source: Source) -> Readable:
    file = Held("The importance file", source) if isinstance(source, bytes) else open_regular(Path(source))
    if not file.size:
        raise QuantvizError(f"{file.name} is empty.")
    return file


def _entries(file: Readable, beginning: bytes) -> Entries | None:
    """The tensors of a GGUF or .safetensors file by name; None for any other."""
    if beginning.startswith(MAGIC):
        return read_header(file).tensors
    if beginning[LENGTH_BYTES:][:1] != b"{" or beginning.startswith(NPY_MAGIC):
        return None
    return {e.info.name: GGUFTensor(e.info.name, e.info.shape, _kind(e), e.offset) for e in read_table(file).entries}


def _kind(entry: Entry) -> int:
    return F32 if entry.info.dtype == "float32" else -1


def _kind_refused(data: bytes) -> str:
    if data[:2] == b"PK":
        return "is an archive such as .npz"
    # llama.cpp's older imatrix begins with the number of its entries, then the length of the first one's name.
    if len(data) > 8 and 0 < int.from_bytes(data[:4], "little") < 1 << 20 and data[8:12] in (b"blk.", b"outp"):
        return "is an imatrix of the older kind (.dat), which llama-imatrix --in-file OLD -o NEW.gguf converts"
    return "is of no kind that holds importance"


# -- .npy ----------------------------------------------------------------------------------------


def _from_npy(file: Readable) -> np.ndarray:
    where = file.name
    shape, _, dtype, start = parse_npy_header(file.read(0, MAX_NPY_HEADER), where)
    if dtype.kind not in "fiu":
        raise QuantvizError(f"{where} holds {dtype.name} values; importance is real numbers, best float32.")
    if len(shape) != 1:
        raise QuantvizError(
            f"{where} holds an array of shape {list(shape)}; importance has one axis, a number for each input channel"
            + (": average the squares over the tokens first." if len(shape) == 2 else ".")
        )
    nbytes = shape[0] * dtype.itemsize
    if not 0 <= nbytes <= file.size - start:
        raise QuantvizError(f"{where} is truncated: {plural(shape[0], 'value')} of {dtype.name} do not fit its size.")
    _check_length(shape[0], where)
    return _as_float32(np.frombuffer(file.read(start, start + nbytes), dtype), where)


def _check_length(values: int, where: str) -> None:
    if values > _MAX_COLS:
        raise QuantvizError(f"{where} holds {values:,} values for one tensor; importance has one an input channel.")


def _as_float32(values: np.ndarray, where: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if np.isinf(narrow).any() and np.isfinite(values).all():
        raise QuantvizError(f"{where} holds values beyond float32's range; divide them all by the largest.")
    return narrow


# -- llama.cpp's imatrix -------------------------------------------------------------------------


def _names(entries: Entries) -> tuple[str, ...]:
    """Names of entries; those of experts kept in one tensor are told apart as name[0], name[1] …"""
    names: list[str] = []
    room = MAX_TEXT  # a name of 60,000 letters may have as many experts
    for tensor in entries.values():
        base = tensor.name.removesuffix(_SUMS)
        if base == tensor.name or base + _COUNTS not in entries:
            continue
        experts = math.prod(entries[base + _COUNTS].shape)
        several = 1 < experts <= _MAX_EXPERTS
        room -= len(base) * (experts if several else 1)
        if room < 0 or len(names) + experts * several > _MAX_NAMES:
            raise QuantvizError("The file is damaged: it claims more experts than any model has.")
        names.extend([f"{base}[{i}]" for i in range(experts)] if several else [base])
    return tuple(names)


def _from_imatrix(file: Readable, entries: Entries, tensor: str) -> np.ndarray:
    names, where = _names(entries), file.name
    if not names:
        raise QuantvizError(
            f"{where} is no imatrix and holds no activations: it has no tensor pair <name>{_SUMS} and <name>{_COUNTS}."
        )
    name = entry_of(tensor, names)
    if name is None:
        shown = ", ".join(n[:_NAME_SHOWN] for n in names[:_NAMES_SHOWN])
        if len(names) > _NAMES_SHOWN:
            shown += f" and {len(names) - _NAMES_SHOWN:,} more"
        near = did_you_mean(llama_name(tensor) or tensor, names)
        raise QuantvizError(f"{where} has no importance for {tensor[:_NAME_SHOWN]!r}; it has {shown}.{near}")
    base, _, expert = name.partition("[") if name.endswith("]") else (name, "", "")
    sums, counts = entries[base + _SUMS], _counts(file, entries, base)
    size = math.prod(sums.shape)
    if not len(counts) or size % len(counts):
        raise QuantvizError(f"{where} is damaged: {base[:_NAME_SHOWN]} has {size:,} sums for {len(counts):,} counts.")
    _check_length(size, where)
    seen = np.isfinite(counts) & (counts > 0)
    if not seen.any():
        raise UnseenError(f"{where} saw no token pass through {name[:_NAME_SHOWN]}, so it says nothing of it.")
    means = np.ones((len(counts), size // len(counts)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused with all that is no importance
        np.divide(_float32(file, sums).reshape(means.shape), counts[:, None], out=means, where=seen[:, None])
    return means[whole_number(expert.rstrip("]"))] if expert else means[0] if len(means) == 1 else means


def _counts(file: Readable, entries: Entries, base: str) -> np.ndarray:
    """Over how many tokens the sums of each expert are, float32; one number where there are no experts."""
    counts = entries[base + _COUNTS]
    if math.prod(counts.shape) > _MAX_EXPERTS:
        raise QuantvizError(f"{file.name} is damaged: it claims more experts than any model has.")
    return _float32(file, counts)


def entry_of(tensor: str, names: Collection[str]) -> str | None:
    """The entry that is called so, or as llama.cpp calls it; of several experts, the name that they share."""
    theirs = llama_name(tensor) or ""  # what flows into gate and up of an expert is the same
    for name in (tensor, theirs, theirs.replace("ffn_gate_up_exps", "ffn_up_exps")):
        if name and (name in names or f"{name}[0]" in names):
            return name
    return None


def _float32(file: Readable, tensor: GGUFTensor) -> np.ndarray:
    """The elements of a float32 tensor, on one axis."""
    if tensor.type != F32:
        raise QuantvizError(
            f"{file.name} is neither an imatrix nor activations: {tensor.name[:_NAME_SHOWN]} is not float32."
        )
    stop = tensor.offset + 4 * math.prod(tensor.shape)
    if stop > file.size:
        raise QuantvizError(f"{file.name} is truncated: {tensor.name[:_NAME_SHOWN]} ends after its last byte.")
    return np.frombuffer(file.read(tensor.offset, stop), "<f4")
