"""BitNet: ternary weights, four rows in one of bytes, and a scale for all of them.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | uint8 | [out / 4, in] | code of row r in the lowest bits of stored row r, of row out / 4 + r above |
| `weight_scale` | bfloat16, float32 | [1] | what the layer's output is divided by, or multiplied with |

Code 0, 1, 2 is −1, 0, 1. transformers' BitLinear divides by the scale; with `linear_class` autobitlinear in config.json
it multiplies. Rules: transformers, integrations/bitnet.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_parts_of_rows

HOME = "transformers"
FIELDS = (
    PackedField("weight", "uint8", "[out / 4, in]", "codes of four rows that lie a quarter of the layer apart",
                (0, 1, 2, 3)),
    PackedField("weight_scale", "bfloat16", "[1]", "the scale of all weights, or one over it"),
)  # fmt: skip
_LEVELS = np.arange(-1, 3, dtype=np.float32)  # 2 is what the library makes of a code that means nothing


def layer(found: Found) -> Layer:
    """How to read a ternary weight."""
    codes, scale = found.codes, found.beside["_scale"]
    if len(codes.shape) != 2 or scale.dtype not in ("float32", "bfloat16", "float16"):
        raise Unreadable(f"quantviz reads matrices with a scale of 16 or 32 bits, not {list(codes.shape)} with "
                         f"{scale.dtype}")  # fmt: skip
    kind = found.settings.get("linear_class")
    divides = kind != "autobitlinear"
    notice = (
        "config.json names no linear_class, so the scale is taken to divide, as transformers has it then."
        if kind is None
        else ""
    )
    return Layer(
        (4 * codes.shape[0], codes.shape[1]), "BitNet ternary tensor", {"weight": Part(codes), "scale": Part(scale)},
        partial(_unpack, divides), _LEVELS, fields=FIELDS, home=HOME, notices=(notice,) if notice else (),
        rule=f"weight = (code − 1) {'÷' if divides else '×'} scale of the layer",
    )  # fmt: skip


def _unpack(divides: bool, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = from_parts_of_rows(arrays["weight"], 2, first, last)
    scale = arrays["scale"].reshape(1, 1)
    with np.errstate(all="ignore"):  # a scale near 0, or that is none, gives no numbers, which whoever asks refuses
        scales = np.broadcast_to(np.float32(1) / scale if divides else scale, (last - first, 1))
    return Unpacked(codes, scales, numbers=_LEVELS[codes])
