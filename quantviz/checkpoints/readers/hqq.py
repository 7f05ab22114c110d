"""HQQ: integers with a scale and a zero point that is no integer, its rows packed in parts on top of each other.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `W_q` | uint8; int32 for 3 bits; a float where viewed so | [rows / codes an element, columns] | codes of a matrix |
| `scale`, `zero` | float16, bfloat16, float32 | [weights / g, 1] with axis 1, [1, weights / g] with axis 0 | |
| `shape` | int64 | [2] | out and in |
| `nbits`, `group_size`, `axis`, `packing` and others | small | | what the tensors above tell as well |

The matrix has a group a row, [weights / g, g], with axis 1, and a group a column, [g, weights / g], with axis 0; read
row by row it is the weight. With two codes a byte, the first half of its rows lies in the high bits; 3 bits lie ten to
a word. Rules: hqq, core/quantize.py, Quantizer.dequantize, and core/bitpack.py. Here the arithmetic is float32, as the
library has it where compute_dtype is. Quantized scales and zero points the library writes to no safetensors file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...sources import TensorInfo
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_parts_of_rows, shared_by_runs

HOME = "hqq"
RULE = "weight = (code − zero point) × scale"
FIELDS = (
    PackedField("W_q", "uint8, int32", "[out · in / g · bits / 8, g]", "codes of rows that lie far apart, the first in "
                "the high bits"),
    PackedField("scale", "float16", "[out · in / g, 1]", "a scale for each group"),
    PackedField("zero", "float16", "[out · in / g, 1]", "the zero point of each group, no integer"),
    PackedField("shape", "int64", "[2]", "out and in"),
)  # fmt: skip
_FLOATS = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class _Matrix:
    """How the codes lie. group: weights that share a scale.  across: whether they lie in a column and not in a row."""

    bits: int
    rows: int
    cols: int
    group: int
    across: bool

    @property
    def codes(self) -> int:
        """How many an element holds."""
        return 10 if self.bits == 3 else 8 // self.bits

    @property
    def packed(self) -> tuple[int, int]:
        return -(-self.rows // self.codes), self.cols

    @property
    def nbytes(self) -> int:
        return self.packed[0] * self.cols * (4 if self.bits == 3 else 1)


def layer(found: Found) -> Layer:
    """How to read an HQQ weight."""
    scale, zero = found.beside.get(".scale"), found.beside.get(".zero")
    if any(name in found.beside for name in (".scale_q", ".zero_q", ".meta_scale", ".meta_zero")):
        raise Unreadable("its scales or zero points are quantized themselves, in a way that no safetensors file has")
    if scale is None or zero is None or not {scale.dtype, zero.dtype} <= set(_FLOATS):
        raise Unreadable("its scales or zero points are not there or are no floats of 16 or 32 bits")
    out, cols = _shape(found)
    if scale.shape != zero.shape or len(scale.shape) != 2 or out * cols % scale.size or 1 not in scale.shape:
        raise Unreadable(
            f"its scales {list(scale.shape)} and zero points {list(zero.shape)} are those of no groups of "
            f"{[out, cols]} weights"
        )
    matrix = _matrix(found, (out, cols), scale)
    codes = replace(found.codes, dtype="I32" if matrix.bits == 3 else "uint8", shape=matrix.packed)
    flat = (scale.size,)
    parts = {"W_q": Part(codes), "scale": Part(replace(scale, shape=flat)), "zero": Part(replace(zero, shape=flat))}
    return Layer(
        (out, cols), f"HQQ int{matrix.bits} g{matrix.group}{' axis 0' if matrix.across else ''}", parts,
        partial(_unpack, matrix, cols), np.arange(2**matrix.bits, dtype=np.float32), rule=RULE, home=HOME,
        fields=(replace(FIELDS[0], order=tuple(reversed(range(matrix.codes)))), *FIELDS[1:]),
        notices=_contradicted(found.settings, matrix.bits),
    )  # fmt: skip


def _shape(found: Found) -> tuple[int, int]:
    said = found.beside.get(".shape")
    if said is None or said.shape != (2,) or said.dtype not in ("I64", "I32"):
        raise Unreadable("the tensor that says its shape is not beside it")
    out, cols = (int(n) for n in found.small(".shape"))
    if not (0 < out < 2**31 and 0 < cols < 2**31):
        raise Unreadable(f"its shape is said to be {[out, cols]}")
    return out, cols


def _matrix(found: Found, shape: tuple[int, int], scale: TensorInfo) -> _Matrix:
    """The matrix that fits the bytes of the codes. Raises Unreadable."""
    size, groups = shape[0] * shape[1], scale.size
    if groups == 1:
        rows, cols, across = *shape, False
    else:
        across = scale.shape[0] == 1
        rows, cols = (size // groups, groups) if across else (groups, size // groups)
    possible = [
        each
        for bits in (8, 4, 3, 2, 1)
        if (each := _Matrix(bits, rows, cols, size // groups, across)).nbytes == found.codes.nbytes
        and (bits == 3 or rows * bits % 8 == 0)
    ]
    if len(possible) > 1 and ".nbits" in found.beside and found.beside[".nbits"].size == 1:
        said = float(found.small(".nbits").reshape(-1)[0])
        possible = [each for each in possible if each.bits == said]
    if len(possible) != 1:
        raise Unreadable(f"{found.codes.nbytes:,} bytes are those of no number of bits for {list(shape)} weights")
    return possible[0]


def _contradicted(settings: Mapping[str, Any], bits: int) -> tuple[str, ...]:
    """A notice where config.json gives all layers another number of bits."""
    said: Any = settings
    for name in ("quant_config", "weight_quant_params", "nbits"):
        said = said.get(name) if isinstance(said, Mapping) else None
    if type(said) is not int or said == bits or (bits == 8 and said in (5, 6)):  # which are kept as 8
        return ()
    told = f"{str(said)[:20]} {'bit' if said == 1 else 'bits'}"
    return (f"config.json says {told}, and the shapes are those of {bits}, which counts.",)


def _unpack(matrix: _Matrix, cols: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    start, stop = first * cols, last * cols
    top, bottom = start // matrix.cols, -(-stop // matrix.cols)
    codes = from_parts_of_rows(arrays["W_q"], matrix.bits, top, bottom, high_first=True).reshape(-1)
    codes = codes[start - top * matrix.cols :][: stop - start].reshape(-1, cols)
    scales, zeros = arrays["scale"], arrays["zero"]
    if matrix.across:
        return Unpacked(codes, *(_around(x, start, stop).reshape(-1, cols) for x in (scales, zeros)), width=1)
    groups, width = shared_by_runs(first, last, cols, matrix.group)
    return Unpacked(codes, scales[groups], zeros[groups], width=width)


def _around(shared: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Numbers [start, stop) of those that repeat from their first one on after their last."""
    begin = start % len(shared)
    if begin + stop - start <= len(shared):
        return shared[begin : begin + stop - start]
    return np.take(shared, np.arange(start, stop), mode="wrap")
