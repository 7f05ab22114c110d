"""Block FP8, as DeepSeek-V3 and others publish it: a weight is its FP8 number times the scale of its tile.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | float8_e4m3fn | [out, in] | |
| `weight_scale_inv` | float32, bfloat16, float16 | [out / height, in / width] | what each tile is multiplied by |

Rule: transformers, integrations/finegrained_fp8.py, Fp8Dequantize; factors and product in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...tensors.float8 import float8_values
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from ..packed import FLOAT8

HOME = "transformers"
RULE = "weight = FP8 number × scale of its tile"
SCALES = "_scale_inv"
_SIDE = 128  # of a tile, where config.json does not say
_FLOATS = ("float32", "bfloat16", "float16")
FIELDS = (
    PackedField("weight", "float8_e4m3fn", "[out, in]", "an FP8 number a weight"),
    PackedField("weight_scale_inv", "float32", "[out / 128, in / 128]", "what each tile of weights is multiplied by"),
)


def layer(found: Found) -> Layer:
    """How to read a weight of tiles."""
    codes, scales = found.codes, found.beside.get(SCALES)
    if scales is None:
        raise Unreadable("quantviz reads such numbers with the scales of tiles alone")
    if codes.dtype not in FLOAT8[:2] or len(codes.shape) != 2:
        raise Unreadable(f"quantviz reads matrices of FP8 numbers, not {codes.dtype} {list(codes.shape)}")
    for height, width in (*_sides(found.settings), (_SIDE, _SIDE)):
        grid = -(-codes.shape[0] // height), -(-codes.shape[1] // width)
        if scales.shape == grid and scales.dtype in _FLOATS:
            break
    else:
        raise Unreadable(f"its scales {list(scales.shape)} of {scales.dtype} do not fit its shape {list(codes.shape)}")
    notice = (
        f"Stored as block FP8: {codes.dtype}, with a scale for each {height} × {width} weights, by which "
        "they are multiplied here."
    )
    levels = float8_values(codes.dtype)
    parts = {"codes": Part(codes, every=1), "scales": Part(scales, every=height)}
    return Layer(
        codes.shape, "block FP8", parts, partial(_unpack, levels, height, width), levels,
        fields=FIELDS, rule=RULE, home=HOME, notices=(notice,),
    )  # fmt: skip


def _sides(settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The tiles that config.json gives as weight_block_size, (height, width); [] where it gives none.

    >>> _sides({"weight_block_size": [128, 64]})
    [(128, 64)]
    """
    size = settings.get("weight_block_size")
    plain = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    return [(size[0], size[1])] if plain else []


def _unpack(levels: np.ndarray, height: int, width: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = arrays["codes"]
    scales = np.repeat(arrays["scales"], height, axis=0)[first % height :][: last - first]
    return Unpacked(codes, scales, width=width, numbers=levels[codes])
