"""Every number format, a line each."""

from __future__ import annotations

import numpy as np

from ..errors import QuantvizError, did_you_mean
from .types import BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat

# MXINT8 elements carry an implied scale of 2^-6 (OCP MX v1.0, table 1).
MXINT8_STEP = 2.0**-6

_IEEE = "IEEE 754-2019"
_OFP8 = "OCP 8-bit Floating Point Specification (OFP8) v1.0"
_FNUZ = "8-bit Numerical Formats for Deep Neural Networks, arXiv 2206.02915"
_MX = "OCP Microscaling Formats (MX) Specification v1.0"

# Levels of NormalFloat 4: quantiles of the unit normal, normalised to [-1, 1], with an exact zero.
_NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
# bitsandbytes' FP4 is no OCP e2m1: the levels below, divided by 12; codes 8 to 15 are the negatives.
_BNB_FP4_MAGNITUDES = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
_BNB_FP4_LEVELS = tuple(
    float(np.float32(sign * m) / np.float32(12)) + 0.0  # + 0.0: code 8 stands for plain zero, not for -0
    for sign in (1, -1)
    for m in _BNB_FP4_MAGNITUDES
)

_fp8_e4m3 = FloatFormat("fp8_e4m3", 4, 3, "fn", _OFP8)
_fp8_e5m2 = FloatFormat("fp8_e5m2", 5, 2, "ieee", _OFP8)
_fp6_e3m2 = FloatFormat("fp6_e3m2", 3, 2, "finite", _MX)
_fp6_e2m3 = FloatFormat("fp6_e2m3", 2, 3, "finite", _MX)
_fp4_e2m1 = FloatFormat("fp4_e2m1", 2, 1, "finite", _MX)
_int8 = IntFormat("int8", 8, "two's complement")

_ALL: tuple[Format, ...] = (
    FloatFormat("fp32", 8, 23, "ieee", _IEEE),
    FloatFormat("fp16", 5, 10, "ieee", _IEEE),
    FloatFormat("bf16", 8, 7, "ieee", "the upper half of IEEE 754 binary32"),
    _fp8_e4m3,
    _fp8_e5m2,
    FloatFormat("fp8_e4m3fnuz", 4, 3, "fnuz", _FNUZ),
    FloatFormat("fp8_e5m2fnuz", 5, 2, "fnuz", _FNUZ),
    _fp6_e3m2,
    _fp6_e2m3,
    _fp4_e2m1,
    _int8,
    *(IntFormat(f"int{bits}", bits, "two's complement") for bits in range(7, 0, -1)),
    CodebookFormat("nf4", 4, _NF4_LEVELS, "QLoRA, arXiv 2305.14314; bitsandbytes"),
    CodebookFormat("bnb_fp4", 4, _BNB_FP4_LEVELS, "bitsandbytes"),
    TernaryFormat("ternary", "BitNet b1.58, arXiv 2402.17764"),
    BlockFormat("mxfp8_e4m3", _fp8_e4m3, 32, "e8m0", _MX),
    BlockFormat("mxfp8_e5m2", _fp8_e5m2, 32, "e8m0", _MX),
    BlockFormat("mxfp6_e3m2", _fp6_e3m2, 32, "e8m0", _MX),
    BlockFormat("mxfp6_e2m3", _fp6_e2m3, 32, "e8m0", _MX),
    BlockFormat("mxfp4", _fp4_e2m1, 32, "e8m0", _MX),
    BlockFormat("mxint8", _int8, 32, "e8m0", _MX),
    BlockFormat("nvfp4", _fp4_e2m1, 16, "nvfp4", "NVIDIA NVFP4; torchao, TransformerEngine"),
)

FORMATS: dict[str, Format] = {f.name: f for f in _ALL}


def get(name: str) -> Format:
    """The format called `name`; raises QuantvizError naming the nearest ones."""
    if name not in FORMATS:
        raise QuantvizError(
            f"There is no format {name!r}.{did_you_mean(name, FORMATS) or ' Known: ' + ', '.join(FORMATS) + '.'}"
        )
    return FORMATS[name]
