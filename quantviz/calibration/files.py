"""Calibrations in files: .safetensors, as `quantviz.quality` keeps activations, with E[x xᵀ] beside them.

Of each tensor: `<name>.in_sum2`, Σx² of each input, and `<name>.counts`, over how many tokens, as llama.cpp's imatrix
calls them; `<name>.moment`, E[x xᵀ]; `<name>.mean_abs`, E|x|; `<name>.max_abs`, the largest |x|; `<name>.inputs`,
`<name>.heldout`, samples. All float32.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..errors import QuantvizError, did_you_mean
from ..sources.budget import Held
from ..sources.npy import MAX_HEADER as MAX_NPY_HEADER
from ..sources.npy import NPY_MAGIC, parse_npy_header
from ..sources.opened import OpenFile, open_regular
from ..sources.safetensors_header import LENGTH_BYTES, Entry, read_table
from ..text.printable import printable
from ..text.wording import plural
from .importance import entry_of, importance_names, load_importance
from .layer import Calibration

Source = str | os.PathLike[str] | bytes
SUMS, COUNTS, INPUTS = ".in_sum2", ".counts", ".inputs"
MOMENT, MEAN_ABS, MAX_ABS, HELD_OUT = ".moment", ".mean_abs", ".max_abs", ".heldout"
_FIELDS = {MOMENT: "moment", MEAN_ABS: "mean_abs", MAX_ABS: "max_abs", INPUTS: "inputs", HELD_OUT: "heldout"}
_METADATA = {"quantviz": "activations"}
_CHUNK = 1 << 24  # elements written at once


def save(path: str | os.PathLike[str], calibrations: Mapping[str, Calibration]) -> None:
    """Writes calibrations by tensor name. Raises QuantvizError where the file cannot be written."""
    parts: dict[str, np.ndarray] = {}
    for name, c in calibrations.items():
        tokens = max(c.tokens, 1)
        parts[name + SUMS] = (c.importance.astype(np.float64) * tokens).astype(np.float32)
        parts[name + COUNTS] = np.array([tokens], np.float32)
        for end, field in _FIELDS.items():
            if (values := getattr(c, field)) is not None and values.size:
                parts[name + end] = values
    write_tensors(path, parts, _METADATA)


def write_tensors(path: str | os.PathLike[str], parts: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """A .safetensors file of float32 arrays, whole or not at all."""
    header, at = {"__metadata__": dict(metadata)}, 0
    for name, values in parts.items():
        nbytes = 4 * values.size
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for values in parts.values():
                flat = np.ascontiguousarray(values, "<f4").reshape(-1)
                for start in range(0, flat.size, _CHUNK):
                    file.write(flat[start : start + _CHUNK].tobytes())
        os.replace(partial, target)
    except OSError as problem:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise QuantvizError(
            f"{printable(str(path))} cannot be written: {(problem.strerror or 'input/output error').lower()}."
        ) from None


class Calibrations(Mapping[str, Calibration]):
    """Calibrations by tensor name: those given, or those of a file, each read when it is asked for.

    A tensor may be called as the file or model has it, or as Hugging Face's models call what llama.cpp calls so.
    """

    def __init__(self, layers: Mapping[str, Calibration] | None = None, source: Source | None = None) -> None:
        self._layers, self._source = layers, source
        self._names = tuple(layers) if layers is not None else importance_names(source)

    def __getitem__(self, tensor: str) -> Calibration:
        found = entry_of(tensor, self._names)
        if found is None:
            raise QuantvizError(
                f"There is no calibration of {printable(str(tensor))!r}.{did_you_mean(str(tensor), self._names)}"
            )
        return self._layers[found] if self._layers is not None else load_calibration(self._source, found)

    def __contains__(self, tensor: object) -> bool:
        return isinstance(tensor, str) and entry_of(tensor, self._names) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes them all to one .safetensors file."""
        save(path, self)

    @classmethod
    def load(cls, source: Source) -> Calibrations:
        """Of a .safetensors file as `save` writes it, or an imatrix in GGUF; path or content."""
        return cls(source=source)


def load_calibration(source: Source, tensor: str = "", cols: int | None = None) -> Calibration:
    """The calibration of one tensor.

    source: path or content of a .safetensors file as `save` writes it or `quantviz.quality` writes activations, of a
    .npy of inputs [tokens, in_features] or of E[x²], or of an imatrix in GGUF; the last two know the diagonal alone.
    tensor: which one; may be left out where there is just one.  cols: its width, which is checked.
    Raises QuantvizError with one sentence for whatever is wrong.
    """
    file = Held("The calibration file", source) if isinstance(source, bytes) else open_regular(Path(source))
    if not file.size:
        raise QuantvizError(f"{file.name} is empty.")
    beginning = file.read(0, MAX_NPY_HEADER)
    if beginning.startswith(NPY_MAGIC):
        c = _from_npy(file, beginning) or Calibration(load_importance(source, tensor, cols), None, 0)
    else:
        names = importance_names(source)
        name = entry_of(tensor, names) if tensor or len(names) != 1 else names[0]
        c = None
        if name is not None and beginning[LENGTH_BYTES:][:1] == b"{":
            c = _from_table(file, name)
        # Of an imatrix, and of names that are not there, which it refuses with those that are.
        c = c or Calibration(load_importance(source, name or tensor, cols), None, 0)
        c = c.named(tensor or name or "")
    if cols is not None:
        c.check_fits(cols, tensor)
    return c


def _from_table(file: OpenFile | Held, name: str) -> Calibration | None:
    """None where the file holds E[x²] alone."""
    entries = {e.info.name: e for e in read_table(file).entries}
    arrays = {end: _array(file, entries.get(name + end)) for end in _FIELDS}
    if arrays[MOMENT] is None and arrays[INPUTS] is None:
        return None
    sums, counts = (_array(file, entries.get(name + end)) for end in (SUMS, COUNTS))
    where = f"{file.name} is damaged: {printable(name)}"
    if sums is None or counts is None or sums.ndim != 1 or counts.shape != (1,):
        raise QuantvizError(f"{where}{SUMS} and {COUNTS} must be float32, one number an input and one in all.")
    cols = len(sums)
    shapes = {MOMENT: (cols, cols), MEAN_ABS: (cols,), MAX_ABS: (cols,)}
    for end, a in arrays.items():
        shape = shapes.get(end)
        if a is None:
            continue
        if a.shape != shape and (shape or a.ndim != 2 or a.shape[1] != cols):
            fed = plural(cols, "input")
            raise QuantvizError(f"{where}{end} has the shape {list(a.shape)}, which does not fit {fed}.")
        if not np.isfinite(a).all():
            raise QuantvizError(f"{where}{end} holds NaN or infinity.")
    if not (np.isfinite(sums).all() and (sums >= 0).all() and math.isfinite(counts[0]) and counts[0] >= 1):
        raise QuantvizError(f"{where}{SUMS} and {COUNTS} must be finite and not negative.")
    moment = arrays[MOMENT]
    if moment is None:
        return Calibration.of(arrays[INPUTS], name)
    if not np.array_equal(moment, moment.T) or (moment.diagonal() < 0).any():
        raise QuantvizError(f"{where}{MOMENT} is no second moment: it must be symmetric, without negative squares.")
    return Calibration(
        moment.diagonal().copy(), moment, int(counts[0]), name=name,
        **{field: arrays[end] for end, field in _FIELDS.items() if end != MOMENT},
    )  # fmt: skip


def _array(file: OpenFile | Held, entry: Entry | None) -> np.ndarray | None:
    """The elements of a float32 tensor, whose place in the file the header's reader has checked."""
    if entry is None or entry.info.dtype != "float32":
        return None
    data = file.read(entry.offset, entry.offset + 4 * entry.info.size)
    return np.frombuffer(data, "<f4").reshape(entry.info.shape)


def _from_npy(file: OpenFile | Held, beginning: bytes) -> Calibration | None:
    """None of an array with one axis, which is E[x²]."""
    shape, fortran, dtype, start = parse_npy_header(beginning, file.name)
    if len(shape) != 2:
        return None
    if dtype.kind != "f":
        raise QuantvizError(f"{file.name} holds {dtype.name} values; inputs are real numbers, best float32.")
    if not 0 < math.prod(shape) * dtype.itemsize <= file.size - start:
        raise QuantvizError(f"{file.name} is truncated: {shape[0]:,} × {shape[1]:,} values do not fit its size.")
    flat = np.frombuffer(file.read(start, start + math.prod(shape) * dtype.itemsize), dtype)
    return Calibration.of(flat.reshape(shape, order="F" if fortran else "C"))
