"""iq2_s, iq2_xs and iq2_xxs: eight neighbours at a time on a grid of three levels, signs apart.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from .base import CODES_AND_SCALES, BlockType, bits, fields, half
from .iq_grids import Gridded, code_book, even_signs, field, readers

f4 = np.float32


def _quarters(d: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return d * (f4(0.5) + scales.astype(f4)) * f4(0.25)


def _sixteen(data: np.ndarray) -> np.ndarray:
    """int32 [blocks, 16]: two scales a byte, the low half first."""
    return bits(data, 4).swapaxes(1, 2).reshape(-1, 16)


def read_iq2_s(data: np.ndarray) -> Gridded:
    """uint8 [blocks, 82] taken apart."""
    d, scales = half(data, 0), _sixteen(data[:, 74:82])
    high = bits(data[:, 66:74], 2).swapaxes(1, 2).reshape(-1, 32)
    stored = {"d": d, "scales": scales}
    return Gridded("iq2_s", data[:, 2:34] | high << 8, _quarters(d, scales), data[:, 34:66], stored)


def read_iq2_xs(data: np.ndarray) -> Gridded:
    """uint8 [blocks, 74] taken apart."""
    d, scales, words = half(data, 0), _sixteen(data[:, 66:74]), field(data, 2, 32, "<u2")
    index, minus = (words & 511).astype(np.int32), even_signs()[words >> 9]
    return Gridded("iq2_xs", index, _quarters(d, scales), minus, {"d": d, "scales": scales})


def read_iq2_xxs(data: np.ndarray) -> Gridded:
    """uint8 [blocks, 66] taken apart."""
    d, index, words = half(data, 0), data[:, 2:].reshape(-1, 8, 8)[:, :, :4], field(data, 2, 16, "<u4")[:, 1::2]
    scales = (words >> 28).astype(np.int32)
    minus = even_signs()[(words[:, :, None] >> np.array([0, 7, 14, 21]) & 127).reshape(-1, 32)]
    stored = {"d": d, "scales": scales}
    return Gridded("iq2_xxs", index.reshape(-1, 32).astype(np.int32), _quarters(d, scales), minus, stored)


_EVEN = "eight weights have an even number of minuses, if need be by giving the one that matters least the wrong sign; "

TYPES = (
    BlockType(
        "iq2_s", 256, 82,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 32, "points of the grid, low eight bits: byte j for weights 8j … 8j + 7"),
            ("signs", 32, "a sign a weight"),
            ("qh", 8, "the two high bits of each point"),
            ("scales", 8, "sixteen scales of four bits, one for 16 weights: d · (s + ½) / 4"),
        ),
        "Eight weights' magnitudes are one of 1,024 points of three levels; the scale of 16 is the best by weighted "
        "least squares of 19 candidates.",
        16, 3, *readers(read_iq2_s), code_book("iq2_s"), together=8,
    ),
    BlockType(
        "iq2_xs", 256, 74,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "for eight weights: a point of the grid in nine bits and seven signs"),
            ("scales", 8, "sixteen scales of four bits, one for 16 weights: d · (s + ½) / 4"),
        ),
        f"Eight weights' magnitudes are one of 512 points of three levels; {_EVEN}"
        "the scale of 16 is the best by weighted least squares of 19 candidates.",
        16, 3, *readers(read_iq2_xs), code_book("iq2_xs"), together=8, needs_importance=True,
    ),
    BlockType(
        "iq2_xxs", 256, 66,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("qs", 64, "for 32 weights: four points of the grid, a byte each; seven signs for each eight; "
                       "and a scale of four bits", CODES_AND_SCALES),
        ),
        f"Eight weights' magnitudes are one of 256 points of three levels; {_EVEN}"
        "the scale of 32 is the best by weighted least squares of 13 candidates.",
        32, 3, *readers(read_iq2_xxs), code_book("iq2_xxs"), together=8, needs_importance=True,
    ),
)  # fmt: skip
