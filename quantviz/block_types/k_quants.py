"""q2_k to q6_k: super-blocks of 256 weights, whose groups' scales (and minima) are small integers themselves.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

from .arrays import Array, bits, half, ints, join, signed
from .base import ONE, SCALES_AND_MINIMA, BlockType, Parameters, fields, from_zero, scaled

D = ("d", 2, "scale of the scales, fp16")
DMIN = ("dmin", 2, "scale of the minima, fp16")
PAIRS = ("scales", 12, "eight scales and eight minima, six bits each", SCALES_AND_MINIMA)
QUARTERS = "two bits of each code: byte j of 32 holds weights j, j + 32, j + 64 and j + 96 of 128"
HALVES = "byte j of 32 holds weights j (low half) and j + 32 (high half) of 64"


def _quarters(data: Array) -> Array:
    """int32 [blocks, 256] of two bits from 64 bytes."""
    return bits(data.reshape(-1, 2, 32), 2).reshape(-1, 256)


def _by_bit(data: Array) -> Array:
    """int32 [blocks, 256] of one bit from 32 bytes: bit k of byte j belongs to weight 32 · k + j."""
    return bits(data, 1).reshape(-1, 256)


def _pairs(data: Array) -> tuple[Array, Array]:
    """Scales and minima, int32 [blocks, 8] each, of 12 bytes; the first eight hold the last four's high bits on top."""
    a, b, c = (ints(data[:, i : i + 4]) for i in (0, 4, 8))
    return join([a & 63, (c & 15) | (a >> 6 << 4)]), join([b & 63, (c >> 4) | (b >> 6 << 4)])


def _with_minima(d: Array, dmin: Array, scales: Array, minima: Array) -> Parameters:
    stored = {"d": d, "dmin": dmin, "scales": scales, "minima": minima}
    return Parameters(scaled(d, scales), -scaled(dmin, minima), stored)


def _without_minima(d: Array, scales: Array) -> Parameters:
    return Parameters(scaled(d, scales), stored={"d": d, "scales": scales})


def _codes_q2_k(data: Array) -> Array:
    return _quarters(data[:, 16:80])


def _parameters_q2_k(data: Array) -> Parameters:
    return _with_minima(half(data, 80), half(data, 82), *bits(data[:, :16], 4).swapaxes(0, 1))


def _codes_q4_k(data: Array) -> Array:
    return bits(data[:, 16:].reshape(-1, 4, 32), 4).reshape(-1, 256)


def _codes_q5_k(data: Array) -> Array:
    return bits(data[:, 48:].reshape(-1, 4, 32), 4).reshape(-1, 256) | _by_bit(data[:, 16:48]) << 4


def _parameters_of_pairs(data: Array) -> Parameters:
    return _with_minima(half(data, 0), half(data, 2), *_pairs(data[:, 4:16]))


def _codes_q3_k(data: Array) -> Array:
    return _quarters(data[:, 32:96]) | _by_bit(data[:, :32]) << 2


def _parameters_q3_k(data: Array) -> Parameters:
    low = bits(data[:, 96:104], 4).reshape(-1, 16)
    high = bits(data[:, 104:108], 2).reshape(-1, 16)
    return _without_minima(half(data, 108), (low | high << 4) - 32)


def _codes_q6_k(data: Array) -> Array:
    low = bits(data[:, :128].reshape(-1, 2, 64), 4).reshape(-1, 256)
    return low | _quarters(data[:, 128:192]) << 4


def _parameters_q6_k(data: Array) -> Parameters:
    return _without_minima(half(data, 208), signed(data[:, 192:208]))


_UNIT = ONE + bytes(2) + b"\x01" * 4 + bytes(4) + b"\x01" * 4  # q4_k's and q5_k's
_SEARCHED = "found by weighted least squares over {} trial scales a group"

TYPES = (
    BlockType(
        "q2_k", 10, 256, 84,
        fields(
            ("scales", 16, "a byte for each group of 16: scale (low half) and minimum (high half)", SCALES_AND_MINIMA),
            ("qs", 64, QUARTERS), D, DMIN,
        ),
        "Groups of 16: value = (d · scale) · code - (dmin · minimum), codes 0 to 3; scale and minimum are "
        f"{_SEARCHED.format(17)}, then rounded to four bits, and the codes chosen anew.",
        16, 2, _codes_q2_k, _parameters_q2_k, from_zero(2), unit=b"\x01" * 16 + bytes(64) + ONE,
    ),
    BlockType(
        "q3_k", 11, 256, 110,
        fields(
            ("hmask", 32, "the highest bit of each code: bit k of byte j belongs to weight 32 · k + j"),
            ("qs", 64, QUARTERS), ("scales", 12, "sixteen scales of six bits, 32 taken off"),
            ("d", 2, "scale of the scales, fp16"),
        ),
        "Groups of 16: value = (d · scale) · (code - 4), codes 0 to 7; each code is moved where that lowers the "
        "squared error weighted by x², up to five times round; the scales are then rounded to six bits with sign, "
        "and the codes chosen anew.",
        16, 3, _codes_q3_k, _parameters_q3_k, from_zero(3, 4), unit=bytes(96) + b"\x11" * 8 + b"\xaa" * 4 + ONE,
    ),
    BlockType(
        "q4_k", 12, 256, 144, fields(D, DMIN, PAIRS, ("qs", 128, f"codes: {HALVES}")),
        "Groups of 32: value = (d · scale) · code - (dmin · minimum), codes 0 to 15; scale and minimum are "
        f"{_SEARCHED.format(22)}, then rounded to six bits, and the codes chosen anew.",
        32, 4, _codes_q4_k, _parameters_of_pairs, from_zero(4), unit=_UNIT,
    ),
    BlockType(
        "q5_k", 13, 256, 176,
        fields(
            D, DMIN, PAIRS, ("qh", 32, "the highest bit of each code: bit k of byte j belongs to weight 32 · k + j"),
            ("qs", 128, f"low four bits of the codes: {HALVES}"),
        ),
        "As q4_k with codes 0 to 31; scale and minimum are "
        f"{_SEARCHED.format(17)}, then rounded to six bits, and the codes chosen anew.",
        32, 5, _codes_q5_k, _parameters_of_pairs, from_zero(5), unit=_UNIT,
    ),
    BlockType(
        "q6_k", 14, 256, 210,
        fields(
            ("ql", 128, "low four bits: byte j of 64 holds weights j (low half) and j + 64 (high half) of 128"),
            ("qh", 64, f"high {QUARTERS}"), ("scales", 16, "a signed byte for each group of 16"), D,
        ),
        "Groups of 16: value = (d · scale) · (code - 32), codes 0 to 63; scales are found by least squares weighted by "
        "x² over 19 trials, then rounded to eight bits with sign, and the codes chosen anew.",
        16, 6, _codes_q6_k, _parameters_q6_k, from_zero(6, 32), unit=bytes(192) + b"\x01" * 16 + ONE,
    ),
)  # fmt: skip
