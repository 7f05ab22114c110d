"""tq1_0 and tq2_0: super-blocks of 256 weights that are -d, 0 or d, for models trained to be ternary.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import Array, bits, half, ints, join, like
from .base import ONE, BlockType, Parameters, fields, from_zero

_POWERS = np.array([1, 3, 9, 27, 81], np.int32)[:, None]


def _trits(data: Array, count: int) -> Array:
    """int32 [blocks, count · n] of bytes [blocks, n]: times 3^k, the byte's overflow at the next ×3 is trit k."""
    rest = (ints(data)[:, None, :] * like(_POWERS, data)[:count]) & 255
    return ((rest * 3) >> 8).reshape(-1, count * data.shape[1])


def _codes_tq1_0(data: Array) -> Array:
    return join([_trits(data[:, :32], 5), _trits(data[:, 32:48], 5), _trits(data[:, 48:52], 4)])


def _codes_tq2_0(data: Array) -> Array:
    return bits(data[:, :64].reshape(-1, 2, 32), 2).reshape(-1, 256)


def _scale_at(at: int) -> Callable[[Array], Parameters]:
    def read(data: Array) -> Parameters:
        d = half(data, at)
        return Parameters(d, stored={"d": d})

    return read


_RULE = "d = max |x|; a weight becomes -d, 0 or d, whichever is nearest, halves away from zero"

TYPES = (
    BlockType(
        "tq1_0", 34, 256, 54,
        fields(
            ("qs", 48, "five weights a byte, in base 3 as a fraction of 256"),
            ("qh", 4, "the last sixteen weights, four a byte"),
            ("d", 2, "scale, fp16"),
        ),
        f"{_RULE}; five of them fit a byte, for 3⁵ = 243.",
        256, 2, _codes_tq1_0, _scale_at(52), lambda: np.array([-1, 0, 1]), uses_importance=False, unit=bytes(52) + ONE,
    ),
    BlockType(
        "tq2_0", 35, 256, 66,
        fields(
            ("qs", 64, "two bits a weight: byte j of 32 holds weights j, j + 32, j + 64 and j + 96 of 128"),
            ("d", 2, "scale, fp16"),
        ),
        f"{_RULE}; two bits a weight, quick to read.",
        256, 2, _codes_tq2_0, _scale_at(64), from_zero(2, 1), uses_importance=False, unit=bytes(64) + ONE,
    ),
)  # fmt: skip
