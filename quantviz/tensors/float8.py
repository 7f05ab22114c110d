"""What the codes of the stored 8-bit floats stand for; NumPy has no type for them, and they travel as their bits."""

from __future__ import annotations

from functools import cache

import numpy as np

FLOAT8 = {"float8_e4m3fn": (4, 3), "float8_e5m2": (5, 2)}  # bits of exponent and mantissa
# Without infinities and without -0, whose code is the only NaN, and with a bias of one more; by safetensors' names.
FNUZ = {"F8_E4M3FNUZ": (4, 3), "F8_E5M2FNUZ": (5, 2)}


@cache
def _float8(exponent_bits: int, mantissa_bits: int, fnuz: bool) -> np.ndarray:
    """float32 value of each of the 256 codes of an OCP OFP8 type, or of its FNUZ sibling."""
    code = np.arange(256)
    exponent = (code >> mantissa_bits) & (2**exponent_bits - 1)
    mantissa = code & (2**mantissa_bits - 1)
    bias = 2 ** (exponent_bits - 1) - 1 + fnuz
    magnitude = np.where(
        exponent > 0,
        np.ldexp(1 + mantissa / 2**mantissa_bits, exponent - bias),
        np.ldexp(mantissa / 2**mantissa_bits, 1 - bias),
    )
    if fnuz:
        magnitude = np.where(code == 0x80, np.nan, magnitude)
    elif mantissa_bits == 3:  # e4m3fn: no infinity, S.1111.111 is NaN
        magnitude = np.where((code & 0x7F) == 0x7F, np.nan, magnitude)
    else:  # e5m2: infinities and NaN as in IEEE 754
        top = exponent == 2**exponent_bits - 1
        magnitude = np.where(top, np.where(mantissa == 0, np.inf, np.nan), magnitude)
    return np.where(code >= 128, -magnitude, magnitude).astype(np.float32)


def float8_values(dtype: str) -> np.ndarray:
    """float32 [256]: what each code of a type of FLOAT8 or FNUZ stands for."""
    return _float8(*(FLOAT8 | FNUZ)[dtype], dtype in FNUZ)
