"""gguf_mxfp4 and gguf_nvfp4: GGUF's own packing of 4-bit floats, and its own rule for their scales.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141. ggml keeps e2m1's values doubled, to have integers, and
halves the scale; `Unpacked` shows them so.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array, bits, ints, look_up
from .base import BlockType, Parameters, fields

TWICE_E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)


def _half_ue4m3() -> np.ndarray:
    """Half the value of each byte read as e4m3 without a sign; 0x7F is no number and counts as 0."""
    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    value = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10))
    value[0x7F] = 0
    return (value / 2).astype(np.float32)


HALF_UE4M3 = _half_ue4m3()
HALF_E8M0 = np.ldexp(1.0, np.arange(256) - 128).astype(np.float32)


def _codes_mxfp4(data: Array) -> Array:
    return bits(data[:, 1:], 4).reshape(-1, 32)


def _parameters_mxfp4(data: Array) -> Parameters:
    return Parameters(look_up(HALF_E8M0, data[:, :1]), stored={"e": ints(data[:, :1])})


def _codes_nvfp4(data: Array) -> Array:
    return bits(data[:, 4:].reshape(-1, 4, 8), 4).reshape(-1, 64)


def _parameters_nvfp4(data: Array) -> Parameters:
    return Parameters(look_up(HALF_UE4M3, data[:, :4]), stored={"d": ints(data[:, :4])})


def _twice_e2m1() -> np.ndarray:
    return TWICE_E2M1


TYPES = (
    BlockType(
        "gguf_mxfp4", 39, 32, 17,
        fields(
            ("e", 1, "scale 2^(e - 127), e8m0"),
            ("qs", 16, "e2m1 codes: byte j holds weight j (low half) and j + 16 (high half)"),
        ),
        "scale = 2^(⌊log2 max |x|⌋ - 2); each weight takes the e2m1 value nearest to x / scale, at a tie the smaller.",
        32, 4, _codes_mxfp4, _parameters_mxfp4, _twice_e2m1, uses_importance=False, margin=2.0, unit=b"\x80",
    ),
    BlockType(
        "gguf_nvfp4", 40, 64, 36,
        fields(
            ("d", 4, "four scales, e4m3 without a sign, one for every 16 weights"),
            ("qs", 32, "e2m1 codes: byte j of 8 holds weights j (low half) and j + 8 (high half) of 16"),
        ),
        "Every 16 weights: scale = max |x| / 6 as e4m3; each weight takes the e2m1 value nearest to x / scale, "
        "at a tie the smaller. No scale for the whole tensor, unlike NVIDIA's own.",
        16, 4, _codes_nvfp4, _parameters_nvfp4, _twice_e2m1, uses_importance=False, margin=2.0, unit=b"\x40" * 4,
    ),
)  # fmt: skip
