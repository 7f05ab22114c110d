"""NVFP4 of fused experts as ModelOpt exports it, whose names do not end in `.weight`: gate_up_proj, down_proj.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `gate_up_proj` | uint8 | [experts, in / 2, out] | two e2m1 codes of neighbouring inputs a byte, the low one first |
| `gate_up_proj_weight_scale` | float8_e4m3fn | [experts, in / 16, out] | |
| `gate_up_proj_weight_scale_2` | float32 | [], [1], [experts] | what these are multiplied by |

weight = number of the code × (scale × second scale), each step in float32. Experts lie as [in, out], which is how
Llama 4 and gpt-oss have them. Rule: ModelOpt, torch/export/unified_export_hf.py, _export_quantized_weight, which turns
weights and scales back once they are quantized; names by torch/quantization/utils, quantizer_attr_names.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import pairs
from .grid import Grid, grid
from .levels import e2m1
from .numbers import scale_values

_GROUP = 16
FIELDS = (
    PackedField("gate_up_proj", "uint8", "[experts, in / 2, out]", "two e2m1 codes to a byte", (0, 1)),
    PackedField("…_weight_scale", "float8_e4m3fn", "[experts, in / 16, out]", "a scale for each group of inputs"),
    PackedField("…_weight_scale_2", "float32", "[]", "what all scales are multiplied by"),
)
_TOLD = "The file keeps these experts as [in, out]; they are shown as [out, in]."


def layer(found: Found) -> Layer:
    """How to read stacked experts whose codes and scales lie with their inputs first."""
    codes, scales, second = found.codes, found.beside["_weight_scale"], found.beside["_weight_scale_2"]
    if len(codes.shape) != 3 or 0 in codes.shape:
        raise Unreadable(f"quantviz reads stacked experts of such codes, not {list(codes.shape)}")
    experts, half, out = codes.shape
    shape = experts, out, 2 * half
    if half % (_GROUP // 2) or scales.shape != (experts, half * 2 // _GROUP, out):
        raise Unreadable(f"its scales {list(scales.shape)} do not fit its shape {list(shape)}")
    over = grid(second, shape)
    if over.kind not in ("tensor", "expert") or second.dtype not in ("float32", "bfloat16"):
        raise Unreadable(f"its second scale is {second.dtype} {list(second.shape)}, no number for each expert")
    parts = {
        "codes": Part(codes, every=out, rows=experts), "scales": Part(scales, every=out, rows=experts),
        "second": over.part,
    }  # fmt: skip
    levels = e2m1()
    unpack = partial(_unpack, levels, out, over, scale_values(scales.dtype))
    return Layer(
        shape, f"NVFP4 g{_GROUP}", parts, unpack, levels, fields=FIELDS, home="ModelOpt", notices=(_TOLD,),
        rule="weight = number of the code × (scale × second scale)", largest_scale=448.0,
    )  # fmt: skip


def _unpack(
    levels: np.ndarray, out: int, over: Grid, values: np.ndarray, arrays: Arrays, first: int, last: int
) -> Unpacked:
    packed = _turned(arrays["codes"].view(np.uint8), out, first, last)
    scales = np.take(values, _turned(arrays["scales"].view(np.uint8), out, first, last))
    second = over.read(arrays["second"], first, last)
    codes, numbers = pairs(packed, levels)
    with np.errstate(invalid="ignore", over="ignore"):
        made = scales * second
    stored = {"block scale": scales, "second scale": second}
    return Unpacked(codes, made, width=_GROUP, numbers=numbers, stored=stored)


def _turned(stored: np.ndarray, out: int, first: int, last: int) -> np.ndarray:
    """Rows [first, last) of matrices [out, n], counted through all experts, each stored as [n, out]."""
    begin, experts = first // out, stored.reshape(len(stored), -1, out)
    return np.concatenate(
        [experts[e - begin, :, max(first - e * out, 0) : last - e * out].T for e in range(begin, -(-last // out))]
    )
