"""int4 AWQ as ModelOpt exports it: two outputs to a byte.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | uint8 | [out / 2, in], [experts, out / 2, in] | output 2i in the low half, 2i + 1 in the high one, in \
two's complement |
| `weight_scale` | float32, bfloat16, float16 | [out, in / group] | |
| `pre_quant_scale` | as the model | [in] | what the layer's inputs are multiplied by |
| `weight_scale_2` | float32 | [], [1] | of W4A8 AWQ: the scale of the FP8 numbers in which a runtime multiplies |

weight = code × scale. Rule: ModelOpt, torch/export/quant_utils.py, pack_int4_in_uint8; the second scale is that of the
second of two quantizers (get_weight_scaling_factor_2), which rounds these weights once more, when they are used.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .config_groups import group_size
from .grid import Grid, grid
from .inputs import beside_the_weight

FIELDS = (
    PackedField("weight", "uint8", "[out / 2, in]", "codes of two outputs, two's complement", (0, 1)),
    PackedField("weight_scale", "bfloat16", "[out, in / group]", "what the codes of each group are multiplied by"),
)
_TWICE = (
    "W4A8: a runtime rounds these weights once more, to FP8 with the scale weight_scale_2; what is shown is the int4 "
    "weights that are stored."
)
_LEVELS = np.concatenate([np.arange(8), np.arange(-8, 0)]).astype(np.float32)


def layer(found: Found) -> Layer:
    """How to read int4 packed in pairs of outputs."""
    codes, scales = found.codes, found.beside["_scale"]
    if not 2 <= len(codes.shape) <= 3 or scales.dtype not in ("float32", "bfloat16", "float16"):
        raise Unreadable(f"quantviz reads such codes with float scales, not {list(codes.shape)}, {scales.dtype}")
    shape = (*codes.shape[:-2], 2 * codes.shape[-2], codes.shape[-1])
    said = group_size(found.settings)
    shared = grid(scales, shape, [(1, said)] if said else [])
    parts, told = beside_the_weight(found, shape)
    if said and shared.width != said:
        told = (*told, f"The configuration says groups of {said:,}, and the shapes are those of {shared.width:,}.")
    if (second := found.beside.get("_scale_2")) is not None:
        told = (*told, _TWICE)
        parts["second"] = Part(second)
    parts = {"codes": Part(codes, every=2, rows=shared.rows // 2), "scales": shared.part, **parts}
    return Layer(
        shape, f"ModelOpt int4 AWQ g{shared.width}", parts, partial(_unpack, shared), _LEVELS, fields=FIELDS,
        rule="weight = code × scale", home="ModelOpt", notices=told,
    )  # fmt: skip


def _unpack(shared: Grid, arrays: Arrays, first: int, last: int) -> Unpacked:
    packed = arrays["codes"].view(np.uint8)
    codes = np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=1).reshape(2 * len(packed), -1)
    codes = codes[first % 2 :][: last - first]
    scales = shared.read(arrays["scales"], first, last)
    return Unpacked(codes, scales, width=shared.width, numbers=np.take(_LEVELS, codes))
