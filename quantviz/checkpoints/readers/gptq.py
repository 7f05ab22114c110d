"""GPTQ, as AutoGPTQ, GPTQModel and auto-round write it: integers packed down the inputs of each output.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `qweight` | int32 | [in · bits / 32, out] | codes of one output, from the lowest bits of its first word on |
| `qzeros` | int32 | [groups, out · bits / 32] | zero points of a group, along the outputs; less one in version 1 |
| `scales` | float16 | [groups, out] | |
| `g_idx` | int32 | [in] | the group of each input; where it is absent, groups follow each other |

weight[o, i] = (code[i, o] − zero[g, o]) · scale[g, o], g the group of input i. Rules: GPTQModel,
nn_modules/qlinear/__init__.py, and auto-round, auto_round_extension/torch/qlinear_torch_zp.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...errors import QuantvizError
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_words

HOME = "auto-round and GPTQModel"
RULE = "weight = (code − zero point) × scale"
FIELDS = (
    PackedField("qweight", "int32", "[in · bits / 32, out]", "codes of an output, down its inputs", tuple(range(8))),
    PackedField("qzeros", "int32", "[groups, out · bits / 32]", "zero points of a group, along its outputs; less one "
                "in version 1", tuple(range(8))),
    PackedField("scales", "float16", "[groups, out]", "a scale for each group of each output"),
    PackedField("g_idx", "int32", "[in]", "the group of each input"),
)  # fmt: skip


def layer(found: Found) -> Layer:
    """How to read a GPTQ weight."""
    codes, zeros, scales = found.codes, found.beside.get(".qzeros"), found.beside.get(".scales")
    if scales is None or zeros is None or not len(codes.shape) == len(scales.shape) == len(zeros.shape) == 2:
        raise Unreadable("its zero points or scales are not there or are no matrix")
    (words, outputs), groups = codes.shape, scales.shape[0]
    bits, rest = divmod(32 * zeros.shape[1], outputs)
    if rest or not 2 <= bits <= 8 or scales.shape[1] != outputs or zeros.shape[0] != groups or 32 * words % bits:
        raise Unreadable(
            f"the shapes of its codes {list(codes.shape)}, zero points {list(zeros.shape)} and scales "
            f"{list(scales.shape)} contradict each other"
        )
    inputs = 32 * words // bits
    parts = {"qweight": Part(codes), "qzeros": Part(zeros), "scales": Part(scales)}
    order = found.beside.get(".g_idx")
    if order is not None:
        if order.shape != (inputs,):
            raise Unreadable(f"its g_idx has {order.size:,} entries for {inputs:,} inputs")
        parts["g_idx"] = Part(order)
    width = -(-inputs // groups)
    more = 0 if _stores_zeros(found.settings) else 1
    return Layer(
        (outputs, inputs), f"GPTQ int{bits} g{width}", parts, partial(_unpack, bits, inputs, width, more),
        np.arange(2**bits, dtype=np.float32), fields=FIELDS, rule=RULE, home=HOME,
    )  # fmt: skip


def _stores_zeros(settings: Mapping[str, Any]) -> bool:
    """Whether zero points are stored as they are; version 1 stores each less one."""
    return settings.get("checkpoint_format") == "gptq_v2"


def _unpack(bits: int, inputs: int, width: int, more: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = from_words(arrays["qweight"][:, first:last].T, bits, inputs)
    zeros = from_words(arrays["qzeros"], bits, arrays["scales"].shape[1])[:, first:last].T
    zeros = (zeros + np.uint8(more)) & np.uint8(2**bits - 1)
    scales = np.ascontiguousarray(arrays["scales"][:, first:last].T)
    columns = arrays.get("g_idx")
    if columns is not None and not (0 <= columns.min() and columns.max() < scales.shape[1]):
        raise QuantvizError(f"A g_idx names group {columns.max()}, of {scales.shape[1]:,}; the file is damaged.")
    return Unpacked(codes, scales, zeros.astype(np.float32), width=width, columns=columns)
