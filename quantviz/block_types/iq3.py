"""iq3_s and iq3_xxs: four neighbours at a time on a grid of eight levels, signs apart.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

from .arrays import Array, floats, half, in_order, ints, words
from .base import CODES_AND_SCALES, FOUR, BlockType, fields
from .iq_grids import Gridded, code_book, readers, signs_and_scales


def read_iq3_s(data: Array) -> Gridded:
    """uint8 [blocks, 110] taken apart."""
    d, scales = half(data, 0), in_order(data[:, 106:110], 4)
    index = data[:, 2:66] | in_order(data[:, 66:74], 1) << 8
    return Gridded("iq3_s", index, d * floats(1 + 2 * scales), data[:, 74:106], {"d": d, "scales": scales})


def read_iq3_xxs(data: Array) -> Gridded:
    """uint8 [blocks, 98] taken apart."""
    d, (minus, scales) = half(data, 0), signs_and_scales(words(data, 66, 8, 4))
    sizes = d * (0.5 + floats(scales)) * 0.5
    return Gridded("iq3_xxs", ints(data[:, 2:66]), sizes, minus, {"d": d, "scales": scales})


TYPES = (
    BlockType(
        "iq3_s", 21, 256, 110,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "points of the grid, low eight bits: byte j for weights 4j … 4j + 3"),
            ("qh", 8, "the ninth bit of each point"),
            ("signs", 32, "a sign a weight"),
            ("scales", 4, "eight scales of four bits, one for 32 weights: d · (2s + 1)"),
        ),
        "Four weights' magnitudes are one of 512 points of eight levels; the scale of 32 is the best by weighted least "
        "squares of 19 candidates.",
        32, 4, *readers(read_iq3_s), code_book("iq3_s"), together=4,
    ),
    BlockType(
        "iq3_xxs", 18, 256, 98,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "points of the grid: byte j for weights 4j … 4j + 3"),
            ("scales_and_signs", 32, "for 32 weights: seven signs for each eight, then a scale of four bits",
             CODES_AND_SCALES),
        ),
        "Four weights' magnitudes are one of 256 points of eight levels; eight weights have an even number of minuses, "
        "if need be by giving the one that matters least the wrong sign; the scale of 32 is the best of 31 candidates.",
        32, 4, *readers(read_iq3_xxs), code_book("iq3_xxs"), together=4, unit=FOUR,
    ),
)  # fmt: skip
