"""GPTQ, as AutoGPTQ, GPTQModel and auto-round write it: integers packed down the inputs of each output.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `qweight` | int32 | [in · bits / 32, out] | codes of one output, from the lowest bits of its first word on |
| `qzeros` | int32 | [groups, out · bits / 32] | zero points of a group, along the outputs; less one in version 1 |
| `scales` | float16 | [groups, out] | |
| `g_idx` | int32 | [in] | the group of each input; where it is absent, groups follow each other |

weight[o, i] = (code[i, o] − zero[g, o]) · scale[g, o], g the group of input i. Version 1 stores 0 less one as the
largest code. GPTQModel's `gptq_p` keeps the low and the high bits of 32 codes in words apart. Rules: GPTQModel,
nn_modules/qlinear/__init__.py and utils/planar_packing.py; auto-round, auto_round_extension/torch/qlinear_torch_zp.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import QuantvizError
from ...sources import TensorInfo
from ...text.printable import printable
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_planes, from_words
from .claims import BITS, GROUP, claims, group_width, told

HOME = "auto-round and GPTQModel"
RULE = "weight = (code − zero point) × scale"
FLOATS = ("float16", "bfloat16", "float32")
_PLANAR = "gptq_p"
# What config.json calls the layout, and whether its zero points are stored as they are rather than less one.
_LAYOUTS = {
    "": False, "gptq": False, "gptq_v2": True, _PLANAR: True, "auto_round:auto_gptq": False, "auto_round": True,
    "auto_round:gptqmodel": True,
}  # fmt: skip


def layer(found: Found) -> Layer:
    """How to read a GPTQ weight."""
    codes, zeros, scales = words_and_scales(found)
    order = found.beside.get(".g_idx")
    name = _layout(found.settings)
    bits, inputs = _size(codes.shape, zeros.shape, scales.shape, order.shape if order else None, found.settings)
    outputs, groups = scales.shape[1], scales.shape[0]
    planar = name == _PLANAR
    if planar and (inputs % 32 or outputs % 32):
        raise Unreadable(f"gptq_p packs 32 codes together, and its shape is [{outputs:,}, {inputs:,}]")
    width = group_width(inputs, groups, claims(found.settings, GROUP)) if groups > 1 else inputs
    parts = {"qweight": Part(codes), "qzeros": Part(zeros), "scales": Part(scales)}
    if order:
        parts["g_idx"] = Part(order)
    elif groups > 1 and not width:
        raise Unreadable(f"nothing says where the {groups:,} groups of its {inputs:,} inputs begin")
    ordered = bool(order) and found.settings.get("desc_act") is True
    if found.settings.get("desc_act") is True and not order and groups > 1:
        raise Unreadable("config.json says that the order of its inputs is theirs (desc_act), and it has no g_idx")
    read = _Reader(bits, inputs, width, 0 if _LAYOUTS[name] else 1, from_planes if planar else from_words)
    words = ["GPTQ", f"int{bits}", f"g{width or -(-inputs // groups)}" if groups > 1 else "channel"]
    return Layer(
        (outputs, inputs), " ".join(words + ["act-order"] * ordered + ["planar"] * planar), parts, read,
        np.arange(2**bits, dtype=np.float32), fields=_fields(bits), rule=RULE, home=HOME,
        notices=told(found.settings, bits, width, inputs),
    )  # fmt: skip


def words_and_scales(found: Found) -> tuple[TensorInfo, TensorInfo, TensorInfo]:
    """(codes, zero points, scales), matrices of words of 32 bits and of floats. Raises Unreadable."""
    codes, zeros, scales = found.codes, found.beside.get(".qzeros"), found.beside.get(".scales")
    if scales is None or zeros is None or not len(codes.shape) == len(scales.shape) == len(zeros.shape) == 2:
        raise Unreadable("its zero points or scales are not there or are no matrix")
    if {codes.dtype, zeros.dtype} != {"I32"} or scales.dtype not in FLOATS:
        raise Unreadable(
            f"quantviz reads words of 32 bits with scales of floats, not {codes.dtype} and {zeros.dtype} with "
            f"{scales.dtype}"
        )
    order = found.beside.get(".g_idx")
    if order and order.dtype not in ("I32", "I64"):
        raise Unreadable(f"its g_idx is {order.dtype}, not integers of 32 bits")
    return codes, zeros, scales


def _layout(settings: Mapping[str, Any]) -> str:
    """What config.json calls the layout: a name of _LAYOUTS. Raises Unreadable for another, such as marlin."""
    if settings.get("quant_method") not in (None, "gptq", "auto-round", "autoround"):
        return ""
    said = next((settings[key] for key in ("checkpoint_format", "packing_format", "format") if settings.get(key)), "")
    said = "marlin" if settings.get("is_marlin_format") is True else str(said)
    if said not in _LAYOUTS:
        raise Unreadable(f"config.json names their layout {printable(said, 40)!r}, in which they are in another order")
    return said


def _size(
    codes: tuple[int, ...], zeros: tuple[int, ...], scales: tuple[int, ...], order: tuple[int, ...] | None,
    settings: Mapping[str, Any],
) -> tuple[int, int]:  # fmt: skip
    """(bits, inputs) that all shapes agree on, and config.json where they leave a choice. Raises Unreadable."""
    (words, outputs), groups = codes, scales[0]
    fitting = {}
    for bits in range(2, 9):
        inputs = order[0] if order is not None and len(order) == 1 else 32 * words // bits
        whole = order is not None or 32 % bits == 0 or words % bits == 0
        if whole and -(-inputs * bits // 32) == words and -(-outputs * bits // 32) == zeros[1] and inputs >= groups:
            fitting[bits] = inputs
    agreed = scales[1] == outputs and zeros[0] == groups and (order is None or len(order) == 1)
    chosen = next((bits for bits in claims(settings, BITS) if bits in fitting), None) or next(iter(fitting), 0)
    if not agreed or not fitting:
        its = f", and its g_idx {list(order)}" if order is not None else ""
        raise Unreadable(
            f"the shapes of its codes {list(codes)}, zero points {list(zeros)} and scales {list(scales)}{its} "
            "contradict each other"
        )
    if len(fitting) > 1 and chosen not in claims(settings, BITS):
        raise Unreadable(f"its shapes are those of {' or '.join(map(str, fitting))} bits, and nothing says of which")
    return chosen, fitting[chosen]


def _fields(bits: int) -> tuple[PackedField, ...]:
    order = tuple(range(32 // bits)) if 32 % bits == 0 else ()
    return (
        PackedField("qweight", "int32", "[in · bits / 32, out]", "codes of an output, down its inputs", order),
        PackedField("qzeros", "int32", "[groups, out · bits / 32]",
                    "zero points of a group, along its outputs; less one in version 1", order),
        PackedField("scales", "float16", "[groups, out]", "a scale for each group of each output"),
        PackedField("g_idx", "int32", "[in]", "the group of each input"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Reader:
    """more: what is added to a stored zero point.  codes_of: takes codes out of words: (words, bits, count)."""

    bits: int
    inputs: int
    width: int
    more: int
    codes_of: Callable[[np.ndarray, int, int], np.ndarray]

    def __call__(self, arrays: Arrays, first: int, last: int) -> Unpacked:
        scales, bits = arrays["scales"], self.bits
        codes = self.codes_of(np.ascontiguousarray(arrays["qweight"][:, first:last].T), bits, self.inputs)
        low = first // 32  # 32 outputs fill whole words, however many bits they have
        words = arrays["qzeros"][:, low * bits : -(-last // 32) * bits]
        count = min(-(-last // 32) * 32, scales.shape[1]) - low * 32
        zeros = self.codes_of(words, bits, count)[:, first - low * 32 : last - low * 32].T
        zeros = ((zeros + np.uint8(self.more)) & np.uint8(2**bits - 1)).astype(np.float32)
        scales = np.ascontiguousarray(scales[:, first:last].T)
        return Unpacked(codes, scales, zeros, width=self.width, columns=self._columns(arrays, scales.shape[1]))

    def _columns(self, arrays: Arrays, groups: int) -> np.ndarray | None:
        """The group of each input; None where they follow each other. Raises QuantvizError where one is not there."""
        columns = arrays.get("g_idx")
        if columns is None or groups == 1 and not columns.any():
            return None
        least, most = int(columns.min()), int(columns.max())
        if least < 0 or most >= groups:
            wrong = least if least < 0 else most
            raise QuantvizError(f"A g_idx names group {wrong:,}, where there are {groups:,}; the file is damaged.")
        if self.width and np.array_equal(columns, np.arange(self.inputs) // self.width):
            return None
        return columns
