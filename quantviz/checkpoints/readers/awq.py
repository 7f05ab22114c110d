"""AWQ, as AutoAWQ, GPTQModel and auto-round write it: the codes of eight neighbouring outputs in a word, interleaved.

| tensor | dtype | shape (gemm) | shape (gemv) | holds |
|---|---|---|---|---|
| `qweight` | int32 | [in, out · bits / 32] | [out, in / 8] | codes |
| `qzeros` | int32 | [groups, out · bits / 32] | [out, words] | zero points, packed likewise |
| `scales` | float16 | [groups, out] | [out, 8 · words] | gemv fills up with zeros |

weight[o, i] = (code − zero) · scale. With 4 bits gemm keeps outputs 0, 2, 4, 6, 1, 3, 5, 7 of each eight from the
lowest bits up, and gemv eight inputs in order. Other widths are one stream of bits, which auto-round interleaves and
GPTQModel does not. Rules: AutoAWQ, awq/utils/packing_utils.py and awq/modules/linear/gemv.py; GPTQModel,
quantization/awq/utils/packing_utils.py; auto-round, utils/bit_packing.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...sources import TensorInfo
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_bytes, from_words
from .claims import BITS, GROUP, claims, group_width, told
from .gptq import RULE, words_and_scales

HOME = "AutoAWQ and GPTQModel"
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # which of eight outputs lies where, from the lowest bits up
_INTERLEAVED = "auto_round:auto_awq"


def layer(found: Found) -> Layer:
    """How to read an AWQ weight."""
    codes, zeros, scales = words_and_scales(found)
    if codes.rows == zeros.rows == scales.rows and scales.cols == 8 * zeros.cols:
        return _gemv(found.settings, codes, zeros, scales)
    return _gemm(found.settings, codes, zeros, scales)


def _gemm(settings: Mapping[str, Any], codes: TensorInfo, zeros: TensorInfo, scales: TensorInfo) -> Layer:
    (inputs, words), (groups, outputs) = codes.shape, scales.shape
    fitting = [bits for bits in range(2, 9) if -(-outputs * bits // 32) == words]
    bits = next((bits for bits in claims(settings, BITS) if bits in fitting), 0)
    if not fitting or groups > inputs or zeros.shape != (groups, words):
        raise Unreadable(
            f"the shapes of its codes {list(codes.shape)}, zero points {list(zeros.shape)} and scales "
            f"{list(scales.shape)} contradict each other"
        )
    if not bits and len(fitting) > 1:
        raise Unreadable(f"its shapes are those of {' or '.join(map(str, fitting))} bits, and nothing says of which")
    bits = bits or fitting[0]
    width = group_width(inputs, groups, claims(settings, GROUP)) if groups > 1 else inputs
    if not width:
        raise Unreadable(f"nothing says where the {groups:,} groups of its {inputs:,} inputs begin")
    interleaved = bits == 4 or settings.get("packing_format") == _INTERLEAVED
    if interleaved and outputs % 8:
        raise Unreadable(f"its {outputs:,} outputs are no multiple of the eight that are interleaved")
    parts = {"qweight": Part(codes), "qzeros": Part(zeros), "scales": Part(scales)}
    order = ORDER if bits == 4 else tuple(range(32 // bits)) if 32 % bits == 0 and not interleaved else ()
    fields = (
        PackedField("qweight", "int32", "[in, out · bits / 32]", "codes of neighbouring outputs", order),
        PackedField("qzeros", "int32", "[groups, out · bits / 32]", "zero points of a group, likewise", order),
        PackedField("scales", "float16", "[groups, out]", "a scale for each group of each output"),
    )
    group = f"g{width}" if groups > 1 else "channel"
    return Layer(
        (outputs, inputs), f"AWQ int{bits} {group}", parts, _Gemm(bits, outputs, width, interleaved),
        np.arange(2**bits, dtype=np.float32), fields=fields, rule=RULE, home=HOME,
        notices=told(settings, bits, width, inputs),
    )  # fmt: skip


@dataclass(frozen=True)
class _Gemm:
    bits: int
    outputs: int
    width: int
    interleaved: bool

    def __call__(self, arrays: Arrays, first: int, last: int) -> Unpacked:
        codes = self._codes(arrays["qweight"], first, last)
        zeros = self._codes(arrays["qzeros"], first, last).astype(np.float32)
        scales = np.ascontiguousarray(arrays["scales"][:, first:last].T)
        return Unpacked(codes, scales, zeros, width=self.width)

    def _codes(self, words: np.ndarray, first: int, last: int) -> np.ndarray:
        """uint8 [outputs first to last, n] of words [n, ...]."""
        bits = self.bits
        low, high = first // 32, -(-last // 32)  # 32 outputs fill whole words, however many bits they have
        words = words[:, low * bits : high * bits]
        if bits == 4:
            codes = of_four(words)
        else:
            count = min(high * 32, self.outputs) - low * 32
            codes = np.ascontiguousarray(from_words(words, bits, count).T)
            if self.interleaved:
                eights = codes.reshape(-1, 8, codes.shape[1])
                codes = np.empty_like(eights)
                codes[:, ORDER] = eights
                codes = codes.reshape(count, -1)
        return codes[first - low * 32 : last - low * 32]


def of_four(words: np.ndarray, order: tuple[int, ...] = ORDER) -> np.ndarray:
    """uint8 [8 · m, n]: codes of 4 bits in words [n, m], each output's in a row.

    order: which of eight outputs lies where in a word, from the lowest bits up.
    """
    turned = np.ascontiguousarray(words.T).view(np.uint32)
    codes = np.empty((len(turned), 8, turned.shape[1]), np.uint8)
    low = turned & np.uint32(0x0F0F0F0F)
    high = turned >> np.uint32(4) & np.uint32(0x0F0F0F0F)
    for at in range(4):  # bytes of a word
        codes[:, order[2 * at]] = low.view(np.uint8)[:, at::4]
        codes[:, order[2 * at + 1]] = high.view(np.uint8)[:, at::4]
    return codes.reshape(-1, turned.shape[1])


# -- gemv ----------------------------------------------------------------------------------------


def _gemv(settings: Mapping[str, Any], codes: TensorInfo, zeros: TensorInfo, scales: TensorInfo) -> Layer:
    outputs, inputs = codes.rows, 8 * codes.cols
    said = tuple(inputs if width == -1 else width for width in claims(settings, GROUP))
    fitting = [width for width in (*said, 32, 64, 128) if _zero_words(inputs, width) == zeros.cols]
    if inputs not in fitting and zeros.cols == 1 and not fitting:
        fitting = [inputs]
    if not fitting or (fitting[0] not in said and len(set(fitting)) > 1):
        raise Unreadable(
            f"nothing says how long the groups of its {inputs:,} inputs are, for which there are "
            f"{scales.cols:,} scales a row"
        )
    width = fitting[0]
    straight = tuple(range(8))
    fields = (
        PackedField("qweight", "int32", "[out, in / 8]", "codes of neighbouring inputs", straight),
        PackedField("qzeros", "int32", "[out, words]", "zero points of a row's groups, filled up with zeros", straight),
        PackedField("scales", "float16", "[out, 8 · words]", "a scale for each group of a row, filled up with zeros"),
    )
    parts = {"qweight": Part(codes, every=1), "qzeros": Part(zeros, every=1), "scales": Part(scales, every=1)}
    return Layer(
        (outputs, inputs), f"AWQ int4 g{width} gemv", parts, partial(_rows, width, inputs // width),
        np.arange(16, dtype=np.float32), fields=fields, rule=RULE, home=HOME,
        notices=told(settings, 4, width, inputs),
    )  # fmt: skip


def _zero_words(inputs: int, width: int) -> int:
    """How many words of zero points a row has: AutoAWQ's calculate_zeros_width; 0 where it has no such groups."""
    multiple = {32: 4, 64: 2}.get(width, 1 if width >= 128 else 0)
    if not multiple or inputs % width:
        return 0
    words = -(-(inputs // width) // 8)
    return -(-words // multiple) * multiple


def _rows(width: int, groups: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = from_bytes(arrays["qweight"].view(np.uint8), 4)
    zeros = from_words(arrays["qzeros"], 4, groups).astype(np.float32)
    return Unpacked(codes, arrays["scales"][:, :groups], zeros, width=width)
