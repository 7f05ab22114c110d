"""q4_0, q4_1, q5_0, q5_1, q8_0, and the one- and two-bit q1_0 and q2_0: one scale a block, codes by plain rounding.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import Array, bits, half, in_order, signed
from .base import BlockType, Parameters, fields, from_zero

D = ("d", 2, "scale, fp16")
M = ("m", 2, "minimum, fp16")
FIFTH = ("qh", 4, "the highest bit of each code, 32 of them")
NIBBLES = ("qs", 16, "low four bits of the codes: byte j holds weight j (low half) and j + 16 (high half)")


def _nibbles(data: Array, at_codes: int, width: int) -> Array:
    """int32 [blocks, 32]: codes of four bits, or of five with the fifth in the four bytes before."""
    codes = bits(data[:, at_codes : at_codes + 16], 4).reshape(-1, 32)
    return codes | in_order(data[:, at_codes - 4 : at_codes], 1) << 4 if width == 5 else codes


def nibble_codes(at_codes: int, width: int) -> Callable[[Array], Array]:
    return lambda data: _nibbles(data, at_codes, width)


def scale_first(data: Array) -> Parameters:
    """A block with one scale, its first two bytes."""
    d = half(data, 0)
    return Parameters(d, stored={"d": d})


def _scale_and_minimum(data: Array) -> Parameters:
    d, m = half(data, 0), half(data, 2)
    return Parameters(d, m, {"d": d, "m": m})


def _bytes(data: Array) -> Array:
    return signed(data[:, 2:])


def _signs(data: Array) -> Array:
    return in_order(data[:, 2:], 1)


def _pairs_of_bits(data: Array) -> Array:
    return in_order(data[:, 2:], 2)


TYPES = (
    BlockType(
        "q4_0", 2, 32, 18, fields(D, NIBBLES),
        "The weight of largest magnitude, with its sign, gets code 0, which stands for -8: d = max / -8; "
        "code = ⌊x / d + 8.5⌋, at most 15; value = d · (code - 8).",
        32, 4, nibble_codes(2, 4), scale_first, from_zero(4, 8),
    ),
    BlockType(
        "q4_1", 3, 32, 20, fields(D, M, NIBBLES),
        "The range of the block in 15 steps: d = (max - min) / 15, m = min; code = ⌊(x - min) / d + ½⌋; "
        "value = d · code + m.",
        32, 4, nibble_codes(4, 4), _scale_and_minimum, from_zero(4),
    ),
    BlockType(
        "q5_0", 6, 32, 22, fields(D, FIFTH, NIBBLES),
        "As q4_0 with one bit more: d = max / -16; code = ⌊x / d + 16.5⌋, at most 31; value = d · (code - 16).",
        32, 5, nibble_codes(6, 5), scale_first, from_zero(5, 16),
    ),
    BlockType(
        "q5_1", 7, 32, 24, fields(D, M, FIFTH, NIBBLES),
        "As q4_1 with one bit more: d = (max - min) / 31, m = min; code = ⌊(x - min) / d + ½⌋; value = d · code + m.",
        32, 5, nibble_codes(8, 5), _scale_and_minimum, from_zero(5),
    ),
    BlockType(
        "q8_0", 8, 32, 34, fields(D, ("qs", 32, "the codes, a signed byte each")),
        "d = max |x| / 127; code = x / d rounded, halves away from zero; value = d · code.",
        32, 8, _bytes, scale_first, from_zero(8, 128), first_code=-128, uses_importance=False,
    ),
    BlockType(
        "q1_0", 41, 128, 18, fields(D, ("qs", 16, "a bit a weight, lowest first: 1 where it is not negative")),
        "Signs alone: d = mean |x|; value = d or -d.",
        128, 1, _signs, scale_first, lambda: np.array([-1, 1]), uses_importance=False,
    ),
    BlockType(
        "q2_0", 42, 64, 18, fields(D, ("qs", 16, "two bits a weight, four weights in a row to a byte, lowest first")),
        "d = max |x|; code = x / d rounded, halves away from zero, plus 1; value = d · (code - 1), so the fourth "
        "code, 2 · d, is never used.",
        64, 2, _pairs_of_bits, scale_first, from_zero(2, 1), uses_importance=False,
    ),
)  # fmt: skip
