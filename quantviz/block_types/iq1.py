"""iq1_s and iq1_m: eight neighbours at a time on a grid of -1, 0 and 1, all moved up or down by an eighth.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array, floats, half, in_order, look_up, words
from .base import CODES_AND_SCALES, BlockType, fields
from .iq_grids import Gridded, code_book, cut, readers

_THREE_BITS = np.array([0, 3, 6, 9], np.int32)
_TOP_BIT = np.array([15, 15, 15, 15], np.int32)  # once for each of the four groups that share it
_EIGHT_ALIKE = np.array([0x00, 0xFF], np.uint8)  # the signs of a group, by one bit


def _gridded(low: Array, high: Array, d: Array, scales: Array, minus: Array) -> Gridded:
    sizes = d * floats(2 * scales + 1)
    return Gridded("iq1_s", low | high << 8, sizes, look_up(_EIGHT_ALIKE, minus), {"d": d, "scales": scales})


def read_iq1_s(data: Array) -> Gridded:
    """uint8 [blocks, 50] taken apart."""
    shared = words(data, 34, 8, 2)
    high, minus = cut(shared, _THREE_BITS, 3), cut(shared, _TOP_BIT, 1)
    return _gridded(data[:, 2:34], high, half(data, 0), shared >> 12 & 7, minus)


def read_iq1_m(data: Array) -> Gridded:
    """uint8 [blocks, 56] taken apart; a block's own scale is scattered over four high nibbles."""
    scales, top = cut(words(data, 48, 4, 2), _THREE_BITS, 3), data[:, 49:56:2] >> 4
    high = in_order(data[:, 32:48], 4)
    return _gridded(data[:, :32], high & 7, half(top[:, ::2] | top[:, 1::2] << 4, 0), scales, high >> 3)


_SPLIT = (
    "Weights sorted, the two cuts into low, middle and high are those of least weighted squared error; "
    "eight neighbours then take the nearest of 2,048 points of {{-1, 0, 1}}, {}."
)

TYPES = (
    BlockType(
        "iq1_s", 19, 256, 50,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 32, "points of the grid, low eight bits: byte j for weights 8j … 8j + 7"),
            ("qh", 16, "for 32 weights: three high bits of four points, a scale of three bits, and whether an eighth "
                       "is taken away rather than added", CODES_AND_SCALES),
        ),
        _SPLIT.format("plus or minus an eighth for 32 of them"),
        32, 3, *readers(read_iq1_s), code_book("iq1_s"), together=8, needs_importance=True,
    ),
    BlockType(
        "iq1_m", 29, 256, 56,
        fields(
            ("qs", 32, "points of the grid, low eight bits: byte j for weights 8j … 8j + 7"),
            ("qh", 16, "for eight weights: three high bits of the point, and whether an eighth is taken away"),
            ("scales", 8, "sixteen scales of three bits, one for 16 weights, and the fp16 scale of the scales in what "
                          "is left: four bits in each of four words"),
        ),
        _SPLIT.format("plus or minus an eighth for eight of them"),
        16, 3, *readers(read_iq1_m), code_book("iq1_s"), together=8, needs_importance=True,
        since="Newer ggml (0.25) adds up each half of a group apart when it looks for the cut, by the same formula: "
              "its float32 sums round otherwise, and some of its bytes differ", unit=bytes(53) + b"\xc0\x00\x30",
    ),
)  # fmt: skip
