"""iq1_s and iq1_m: eight neighbours at a time on a grid of -1, 0 and 1, all moved up or down by an eighth.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from .base import CODES_AND_SCALES, BlockType, bits, fields, half
from .iq_grids import Gridded, code_book, field, readers

f4 = np.float32


def read_iq1_s(data: np.ndarray) -> Gridded:
    """uint8 [blocks, 50] taken apart."""
    d, words = half(data, 0), field(data, 34, 8, "<u2")
    high = (words[:, :, None] >> np.array([0, 3, 6, 9]) & 7).reshape(-1, 32).astype(np.int32)
    scales, minus = (words >> 12 & 7).astype(np.int32), (words >> 15).astype(np.uint8)
    sizes = d * (2 * scales + 1).astype(f4)
    return Gridded("iq1_s", data[:, 2:34] | high << 8, sizes, np.repeat(minus, 4, axis=1), {"d": d, "scales": scales})


def read_iq1_m(data: np.ndarray) -> Gridded:
    """uint8 [blocks, 56] taken apart; a block's own scale is scattered over four high nibbles."""
    words = field(data, 48, 4, "<u2")
    d = ((words >> 12) << np.array([0, 4, 8, 12])).sum(axis=1, keepdims=True).astype("<u2").view("<f2").astype(f4)
    high = bits(data[:, 32:48], 4).swapaxes(1, 2).reshape(-1, 32)
    scales = (words[:, :, None] >> np.array([0, 3, 6, 9]) & 7).reshape(-1, 16).astype(np.int32)
    sizes = d * (2 * scales + 1).astype(f4)
    return Gridded(
        "iq1_s", data[:, :32] | (high & 7) << 8, sizes, (high >> 3).astype(np.uint8), {"d": d, "scales": scales}
    )


_SPLIT = (
    "Weights sorted, the two cuts into low, middle and high are those of least weighted squared error; "
    "eight neighbours then take the nearest of 2,048 points of {{-1, 0, 1}}, {}."
)

TYPES = (
    BlockType(
        "iq1_s", 256, 50,
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
        "iq1_m", 256, 56,
        fields(
            ("qs", 32, "points of the grid, low eight bits: byte j for weights 8j … 8j + 7"),
            ("qh", 16, "for eight weights: three high bits of the point, and whether an eighth is taken away"),
            ("scales", 8, "sixteen scales of three bits, one for 16 weights, and the fp16 scale of the scales in what "
                          "is left: four bits in each of four words"),
        ),
        _SPLIT.format("plus or minus an eighth for eight of them"),
        16, 3, *readers(read_iq1_m), code_book("iq1_s"), together=8, needs_importance=True,
        since="Newer ggml (0.25) adds up each half of a group apart when it looks for the cut, by the same formula: "
              "its float32 sums round otherwise, and some of its bytes differ",
    ),
)  # fmt: skip
