"""int8 with scales, as compressed-tensors (int-quantized) and ModelOpt write it.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | int8 | [out, in] | |
| `weight_scale` | float32, bfloat16, float16 | [1], [out, 1], [out, in / group], [out / height, in / width] | |
| `weight_zero_point` | int8 | as `weight_scale`; absent where weights are symmetric | |

weight = (code − zero point) × scale. Rule: compressed-tensors, quantization/lifecycle/forward_helpers.py, _dequantize.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from ..packed import INTEGERS
from .config_groups import block_structures, says_asymmetric
from .grid import Grid, grid
from .inputs import beside_the_weight

HOME = "compressed-tensors"
FIELDS = (
    PackedField("weight", "int8", "[out, in]", "a code a weight"),
    PackedField("weight_scale", "float32", "[1], [out, 1] or [out, groups]", "what codes are multiplied by"),
    PackedField("weight_zero_point", "int8", "as weight_scale", "what is taken from codes first"),
)
_LEVELS = np.arange(-128, 128, dtype=np.float32)


def layer(found: Found) -> Layer:
    """How to read int8 codes."""
    codes, scales, zeros = found.codes, found.beside["_scale"], found.beside.get("_zero_point")
    if not 2 <= len(codes.shape) <= 3 or scales.dtype not in ("float32", "bfloat16", "float16"):
        raise Unreadable(f"quantviz reads matrices of int8 with float scales, not {list(codes.shape)}, {scales.dtype}")
    if zeros is None and says_asymmetric(found.settings):
        raise Unreadable("config.json says that it is asymmetric, and its zero points are not there")
    shared = grid(scales, codes.shape, block_structures(found.settings))
    parts, told = beside_the_weight(found, codes.shape)
    parts = {"codes": Part(codes, every=1, rows=shared.rows), "scales": shared.part, **parts}
    offset = None
    if zeros is not None:
        offset = grid(zeros, codes.shape, ((shared.height, shared.width),), integers=True)
        if zeros.dtype not in INTEGERS or (offset.height, offset.width) != (shared.height, shared.width):
            raise Unreadable(f"its zero points {list(zeros.shape)} do not fit its scales {list(scales.shape)}")
        parts["zeros"] = offset.part
    grain = {"group": f"g{shared.width}", "tile": f"{shared.height}x{shared.width}"}.get(shared.kind, shared.kind)
    return Layer(
        codes.shape, f"int8 {grain} {'sym' if offset is None else 'asym'}", parts, partial(_unpack, shared, offset),
        _LEVELS, first_code=-128, fields=FIELDS if offset else FIELDS[:2],
        rule="weight = (code − zero point) × scale" if offset else "weight = code × scale", home=HOME, notices=told,
    )  # fmt: skip


def _unpack(shared: Grid, offset: Grid | None, arrays: Arrays, first: int, last: int) -> Unpacked:
    zeros = offset.read(arrays["zeros"], first, last) if offset else None
    return Unpacked(arrays["codes"], shared.read(arrays["scales"], first, last), zeros, width=shared.width)
