"""pack-quantized of compressed-tensors: integers of 1 to 8 bits, packed along the inputs.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight_packed` | int32 | [out, ⌈in · bits / 32⌉] | code + 2^(bits − 1), the lowest bits first; codes go on from \
word to word since May 2026, and before that only ⌊32 / bits⌋ whole ones lay in each: [out, ⌈in / ⌊32 / bits⌋⌉] |
| `weight_scale` | float32, bfloat16, float16 | [1], [out, 1], [out, groups] | |
| `weight_zero_point` | int32 | [⌈out · bits / 32⌉, groups] | zero points packed likewise, down the outputs; of a \
single one, int8 [1] |
| `weight_shape` | int64 | [2] | out, in |
| `weight_g_idx` | int32 | [in] | the group of each input; all −1 where groups follow each other |

weight = (code − zero point) × scale; the constant in code and zero point cancels out. Rules: compressed-tensors,
compressors/pack_quantized and quantization/lifecycle/forward_helpers.py, _dequantize; of g_idx, its version 0.9.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ...errors import QuantvizError
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import pairs
from .compressed_sizes import Sizes, sizes
from .compressed_words import Down, codes_of, count
from .config_groups import says_asymmetric, says_ordered
from .grid import Grid, grid
from .inputs import beside_the_weight

HOME = "compressed-tensors"


def layer(found: Found) -> Layer:
    """How to read a weight of packed integers."""
    codes, scales, zeros = found.codes, found.beside.get("_scale"), found.beside.get("_zero_point")
    if scales is None or scales.dtype not in ("float32", "bfloat16", "float16"):
        raise Unreadable("its scales are not there, or are no floats")
    if codes.dtype != "I32" or not 2 <= len(codes.shape) <= 3:
        raise Unreadable(f"quantviz reads matrices of 32-bit words, not {codes.dtype} {list(codes.shape)}")
    if zeros is None and says_asymmetric(found.settings):
        raise Unreadable("config.json says that it is asymmetric, and its zero points are not there")
    size = sizes(found)
    shape = (*codes.shape[:-1], size.inputs)
    shared = grid(scales, shape, ((1, size.said),) if size.said else ())
    if shared.kind == "tile":
        raise Unreadable(f"its scales {list(scales.shape)} do not fit its shape {list(shape)}")
    parts, told = beside_the_weight(found, shape)
    parts = {"packed": Part(codes, every=1, rows=shared.rows), "scales": shared.part, **parts}
    if size.stated:
        parts["shape"] = Part(size.stated)
    offset: Down | Grid | None = None
    if zeros is not None:
        offset = _zeros(found, size, shared)
        parts["zeros"] = offset.part
    order = _order(found, size, shared)
    if order:
        parts["g_idx"] = order
    levels = np.arange(2**size.bits, dtype=np.float32) - 2.0 ** (size.bits - 1)
    unpack = partial(_unpack, levels.astype(np.float32), size, shared, offset)
    grain = f"g{shared.width}" if shared.kind == "group" else shared.kind
    kind = f"{grain} {'sym' if offset is None else 'asym'}{' act-order' if order else ''}"
    return Layer(
        shape, f"compressed-tensors int{size.bits} {kind}", parts, unpack, levels.astype(np.float32),
        fields=_fields(size, shared.info.dtype, offset, order), home=HOME, notices=(*size.notices, *told),
        rule="weight = (code − zero point) × scale" if offset else "weight = code × scale",
    )  # fmt: skip


def _zeros(found: Found, size: Sizes, shared: Grid) -> Down | Grid:
    """Where zero points lie: packed down the outputs, or as they are beside the scales."""
    info = found.beside["_zero_point"]
    if info.dtype == "int8":
        plain = grid(info, (*found.codes.shape[:-1], size.inputs), ((shared.height, shared.width),), integers=True)
        if (plain.height, plain.width) == (shared.height, shared.width):
            return plain
    *lead, outputs = found.codes.shape[:-1]
    groups = 1 if shared.kind != "group" else shared.info.shape[-1]
    if info.dtype == "I32" and info.shape == (*lead, count(outputs, size.bits, size.dense), groups):
        return Down(info, math.prod(lead), outputs, size.bits, size.dense)
    raise Unreadable(
        f"its zero points {list(info.shape)} of {info.dtype} do not fit {size.bits} bits and its scales "
        f"{list(shared.info.shape)}"
    )


def _order(found: Found, size: Sizes, shared: Grid) -> Part | None:
    info = found.beside.get("_g_idx")
    if info is None:
        if says_ordered(found.settings):
            raise Unreadable("config.json says that its inputs are ordered (actorder), and weight_g_idx is not there")
        return None
    if info.dtype not in ("I32", "I64") or info.shape != (size.inputs,) or shared.kind != "group":
        raise Unreadable(f"its g_idx {list(info.shape)} of {info.dtype} does not fit its {size.inputs:,} inputs")
    return Part(info)


def _fields(size: Sizes, dtype: str, offset: Down | Grid | None, order: Part | None) -> tuple[PackedField, ...]:
    whole = tuple(range(32 // size.bits)) if 32 % size.bits == 0 or not size.dense else ()
    words = "⌈{} · bits / 32⌉" if size.dense else "⌈{} / ⌊32 / bits⌋⌉"
    axes = "[out, groups], [out, 1] or [1]"
    fields = [
        PackedField(
            "weight_packed", "int32", f"[out, {words.format('in')}]", "code + 2^(bits − 1), along a row", whole
        ),
        PackedField("weight_scale", dtype, axes, "what codes are multiplied by"),
    ]
    if isinstance(offset, Down):
        fields.append(PackedField("weight_zero_point", "int32", f"[{words.format('out')}, groups]",
                                  "zero points, packed down the outputs", whole))  # fmt: skip
    elif offset:
        fields.append(PackedField("weight_zero_point", "int8", axes, "what is taken from codes first"))
    if order:
        fields.append(PackedField("weight_g_idx", "int32", "[in]", "the group of each input"))
    fields.append(PackedField("weight_shape", "int64", "[2]", "out and in"))
    return tuple(fields)


def _unpack(
    levels: np.ndarray, size: Sizes, shared: Grid, offset: Down | Grid | None, arrays: Arrays, first: int, last: int
) -> Unpacked:
    stated = arrays.get("shape")
    if stated is not None and stated.reshape(-1)[-1] != size.inputs:
        raise QuantvizError(
            f"weight_shape says {int(stated.reshape(-1)[-1]):,} inputs, and config.json's bits and group size give "
            f"{size.inputs:,}; with one of them corrected the weight can be read."
        )
    packed = arrays["packed"]
    if size.bits == 4:
        codes, numbers = pairs(packed.view(np.uint8), levels)
        codes, numbers = codes[:, : size.inputs], numbers[:, : size.inputs]
    else:
        codes = codes_of(packed, size.bits, size.inputs, size.dense)
        numbers = np.take(levels, codes)
    zeros = None
    if isinstance(offset, Down):
        zeros = np.take(levels, offset.read(arrays["zeros"], first, last))
    elif offset:
        zeros = offset.read(arrays["zeros"], first, last)
    scales = shared.read(arrays["scales"], first, last)
    columns = arrays.get("g_idx")
    if columns is not None:
        columns = _columns(columns, scales.shape[1])
    return Unpacked(codes, scales, zeros, width=shared.width, columns=columns, numbers=numbers)


def _columns(order: np.ndarray, groups: int) -> np.ndarray | None:
    low, high = int(order.min()), int(order.max())
    if low == high == -1:
        return None
    if low < 0 or high >= groups:
        raise QuantvizError(f"Its g_idx names group {low if low < 0 else high}, of {groups:,}; the file is damaged.")
    return order
