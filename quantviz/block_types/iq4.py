"""iq4_nl and iq4_xs: four bits a weight for sixteen levels that lie closer together near zero.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array, bits, half, in_order
from .base import ONE, BlockType, Parameters, fields, scaled
from .iq_grids import uneven_levels
from .plain import nibble_codes, scale_first


def _codes_iq4_xs(data: Array) -> Array:
    return bits(data[:, 8:].reshape(-1, 8, 16), 4).reshape(-1, 256)


def _parameters_iq4_xs(data: Array) -> Parameters:
    d = half(data, 0)
    scales = (in_order(data[:, 4:8], 4) | in_order(data[:, 2:4], 2) << 4) - 32
    return Parameters(scaled(d, scales), stored={"d": d, "scales": scales})


def _levels() -> np.ndarray:
    return np.array(uneven_levels(), np.float32)


_SEARCHED = (
    "the best by weighted least squares of sixteen candidates; each weight takes the nearest of sixteen uneven levels"
)

TYPES = (
    BlockType(
        "iq4_nl", 20, 32, 18,
        fields(
            ("d", 2, "scale, fp16"),
            ("qs", 16, "codes: byte j holds weight j (low half) and j + 16 (high half)"),
        ),
        f"A scale for every 32 weights, {_SEARCHED}.",
        32, 4, nibble_codes(2, 4), scale_first, _levels, margin=0.0,
    ),
    BlockType(
        "iq4_xs", 23, 256, 136,
        fields(
            ("d", 2, "scale of the scales, fp16"),
            ("scales_h", 2, "the two high bits of eight scales"),
            ("scales_l", 4, "the four low bits of eight scales, two a byte"),
            ("qs", 128, "codes: byte j of 16 holds weights j (low half) and j + 16 (high half) of 32"),
        ),
        f"As iq4_nl, with the scales of 32 weights in six bits: {_SEARCHED}.",
        32, 4, _codes_iq4_xs, _parameters_iq4_xs, _levels, margin=0.0, unit=ONE + b"\xaa" * 2 + b"\x11" * 4,
    ),
)  # fmt: skip
