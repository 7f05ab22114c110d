"""iq2_s, iq2_xs and iq2_xxs: eight neighbours at a time on a grid of three levels, signs apart.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

from .arrays import Array, floats, half, in_order, ints, look_up, words
from .base import CODES_AND_SCALES, EIGHT, BlockType, fields
from .iq_grids import Gridded, code_book, even_signs, readers, signs_and_scales


def _gridded(name: str, index: Array, d: Array, scales: Array, minus: Array) -> Gridded:
    return Gridded(name, index, d * (0.5 + floats(scales)) * 0.25, minus, {"d": d, "scales": scales})


def read_iq2_s(data: Array) -> Gridded:
    """uint8 [blocks, 82] taken apart."""
    index = data[:, 2:34] | in_order(data[:, 66:74], 2) << 8
    return _gridded("iq2_s", index, half(data, 0), in_order(data[:, 74:82], 4), data[:, 34:66])


def read_iq2_xs(data: Array) -> Gridded:
    """uint8 [blocks, 74] taken apart."""
    points = words(data, 2, 32, 2)
    minus = look_up(even_signs(), points >> 9)
    return _gridded("iq2_xs", points & 511, half(data, 0), in_order(data[:, 66:74], 4), minus)


def read_iq2_xxs(data: Array) -> Gridded:
    """uint8 [blocks, 66] taken apart."""
    index = ints(data[:, 2:].reshape(-1, 8, 8)[:, :, :4].reshape(-1, 32))
    minus, scales = signs_and_scales(words(data, 2, 16, 4)[:, 1::2])
    return _gridded("iq2_xxs", index, half(data, 0), scales, minus)


_EVEN = "eight weights have an even number of minuses, if need be by giving the one that matters least the wrong sign; "

TYPES = (
    BlockType(
        "iq2_s", 22, 256, 82,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 32, "points of the grid, low eight bits: byte j for weights 8j … 8j + 7"),
            ("signs", 32, "a sign a weight"),
            ("qh", 8, "the two high bits of each point"),
            ("scales", 8, "sixteen scales of four bits, one for 16 weights: d · (s + ½) / 4"),
        ),
        "Eight weights' magnitudes are one of 1,024 points of three levels; the scale of 16 is the best by weighted "
        "least squares of 19 candidates.",
        16, 3, *readers(read_iq2_s), code_book("iq2_s"), together=8, unit=EIGHT,
    ),
    BlockType(
        "iq2_xs", 17, 256, 74,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "for eight weights: a point of the grid in nine bits and seven signs"),
            ("scales", 8, "sixteen scales of four bits, one for 16 weights: d · (s + ½) / 4"),
        ),
        f"Eight weights' magnitudes are one of 512 points of three levels; {_EVEN}"
        "the scale of 16 is the best by weighted least squares of 19 candidates.",
        16, 3, *readers(read_iq2_xs), code_book("iq2_xs"), together=8, needs_importance=True, unit=EIGHT,
    ),
    BlockType(
        "iq2_xxs", 16, 256, 66,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "for 32 weights: four points of the grid, a byte each; seven signs for each eight; "
                       "and a scale of four bits", CODES_AND_SCALES),
        ),
        f"Eight weights' magnitudes are one of 256 points of three levels; {_EVEN}"
        "the scale of 32 is the best by weighted least squares of 13 candidates.",
        32, 3, *readers(read_iq2_xxs), code_book("iq2_xxs"), together=8, needs_importance=True, unit=EIGHT,
    ),
)  # fmt: skip
