"""quanto: eight bits with a scale a row; four or two bits in groups, rows packed in parts on top of each other.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight._data` of 8 bits | int8, float8_e4m3fn, float8_e5m2 | [out, in] | |
| `weight._data._data` of 4, 2 bits | uint8 | [rows · bits / 8, columns] | codes, the first part of the rows lowest |
| `weight._scale` | float32, bfloat16, float16 | [rows, 1]; [] for one row | |
| `weight._shift` of 4, 2 bits | as the scale; int8, uint8 | [rows, 1] | taken off after the scale; integers before |
| `input_scale`, `output_scale` | float | [] | of the layer's inputs and outputs |

With groups the rows are those of [out · in / g, g], and nothing in the file says how many make an output.
Rules: optimum-quanto, tensor/qbytes.py, tensor/qbits.py and tensor/packed.py; here in float32, as the library has it
where scales are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ...sources import TensorInfo
from ...tensors.float8 import FLOAT8, float8_values
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_parts_of_rows

HOME = "optimum-quanto"
RULE = "weight = code × scale − shift"
RULE_WHOLE = "weight = (code − shift) × scale"
RULE_BYTES = "weight = code × scale of its row"
FIELDS = (
    PackedField("_data._data", "uint8", "[out · in / g · bits / 8, g]", "codes of rows that lie far apart, the first "
                "lowest"),
    PackedField("_scale", "bfloat16", "[out · in / g, 1]", "a scale for each group"),
    PackedField("_shift", "bfloat16", "[out · in / g, 1]", "what is taken off each weight of a group"),
)  # fmt: skip
FIELDS_BYTES = (
    PackedField("_data", "int8 or float8_e4m3fn", "[out, in]", "a code a weight"),
    PackedField("_scale", "float32", "[out, 1]", "a scale for each row"),
)
_FLOATS = ("float32", "bfloat16", "float16")
_GROUPS = (32, 64, 96, 128)  # the library takes the longest that divides a row of over 128 weights


def layer(found: Found) -> Layer:
    """How to read a quanto weight."""
    scale = found.beside.get("._scale")
    if scale is None:
        raise Unreadable("its scales are not beside it")
    if len(found.codes.shape) != 2 or scale.dtype not in _FLOATS:
        raise Unreadable(f"quantviz reads matrices with scales of 16 or 32 bits, not {list(found.codes.shape)} with "
                         f"{scale.dtype}")  # fmt: skip
    return _packed(found, scale) if found.codes.name.endswith("._data._data") else _bytes(found, scale)


def _bytes(found: Found, scale: TensorInfo) -> Layer:
    codes = found.codes
    if codes.dtype != "int8" and codes.dtype not in FLOAT8:
        raise Unreadable(f"quantviz reads its codes of int8, float8_e4m3fn and float8_e5m2, not of {codes.dtype}")
    if scale.size not in (1, codes.rows):
        raise Unreadable(f"its {scale.size:,} scales do not fit its {codes.rows:,} rows")
    parts = {"data": Part(codes, every=1)}
    parts["scale"] = Part(replace(scale, shape=(scale.size,)), every=0 if scale.size == 1 else 1)
    whole = codes.dtype == "int8"
    levels = np.arange(-128, 128, dtype=np.float32) if whole else float8_values(codes.dtype)
    kind = "qint8" if whole else f"qfloat8 {codes.dtype.removeprefix('float8_')}"
    return Layer(
        codes.shape, f"quanto {kind} {'tensor' if scale.size == 1 < codes.rows else 'channel'}", parts,
        partial(_unpack_bytes, None if whole else levels), levels, -128 if whole else 0, fields=FIELDS_BYTES,
        rule=RULE_BYTES, home=HOME,
    )  # fmt: skip


def _unpack_bytes(levels: np.ndarray | None, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = arrays["data"]
    scales = np.broadcast_to(arrays["scale"].reshape(-1, 1), (last - first, 1))
    return Unpacked(codes, scales, numbers=None if levels is None else levels[codes])


def _packed(found: Found, scale: TensorInfo) -> Layer:
    codes, shift = found.codes, found.beside.get("._shift")
    if codes.dtype != "uint8" or shift is None or shift.dtype not in (*_FLOATS, "int8", "uint8"):
        raise Unreadable("its codes are no bytes, or its shifts are not there or of a type that quantviz does not read")
    rows, width = scale.size, codes.shape[1]
    possible = [bits for bits in (4, 2) if -(-rows * bits // 8) == codes.shape[0]]
    if not possible or shift.size != rows or scale.shape[:1] != (rows,):
        raise Unreadable(
            f"the shapes of its codes {list(codes.shape)}, scales {list(scale.shape)} and shifts {list(shift.shape)} "
            "are those of no rows that share a scale"
        )
    bits = possible[0]
    notice = (
        f"quanto keeps such weights in groups of {width} and does not say how many make a row of the layer: the "
        "weights are in order, and shown as a group a row."
    )
    parts = {"data": Part(codes), "scale": Part(replace(scale, shape=(rows,)), 1)}
    parts["shift"] = Part(replace(shift, shape=(rows,)), 1)
    after = shift.dtype in _FLOATS
    return Layer(
        (rows, width), f"quanto qint{bits} g{width}", parts, partial(_unpack, bits, after),
        np.arange(2**bits, dtype=np.float32), home=HOME, rule=RULE if after else RULE_WHOLE,
        fields=(replace(FIELDS[0], order=tuple(range(8 // bits))), *FIELDS[1:]),
        notices=(notice,) if width in _GROUPS else (),
    )  # fmt: skip


def _unpack(bits: int, after: bool, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = from_parts_of_rows(arrays["data"], bits, first, last)
    scales, shifts = arrays["scale"].reshape(-1, 1), arrays["shift"].reshape(-1, 1)
    if after:
        return Unpacked(codes, scales, minima=-shifts)
    return Unpacked(codes, scales, zeros=shifts.view(np.int8).astype(np.float32))
