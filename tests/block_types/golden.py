"""What ggml itself gives, and the types that this folder's tests go through.

Both files were made with ggml's C code (its public repository at commit d99724f2b141), compiled without fused
multiply-adds; an -O2 and an -O3 build for the machine at hand gave identical bytes.

- ggml_blocks.npz: `x` float32 [12, 1024], a row a distribution, named in `row_names`; `importance` float32 [1024];
  `TYPE/bytes` and, where importance changes them, `TYPE_imatrix/bytes`; `.../dequantized` float32 [12, 1024].
- ggml_extreme_rows.npz: `x` float32 [rows, 256] from 1e-44 to 3e38, zeros of both signs, constants, ties, powers of two
  and their neighbours, random bit patterns; `importance` float32 [256], one in seven 0; bytes as above. No grid types.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from quantviz.block_types import BLOCK_TYPES

DATA = Path(__file__).parent / "data"
PLAIN = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q1_0", "q2_0")
K_QUANTS = ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k")
OTHERS = ("tq1_0", "tq2_0", "gguf_mxfp4", "gguf_nvfp4")
TYPES = (*PLAIN, *K_QUANTS, *OTHERS)
WITH_AND_WITHOUT = [(n, w) for n in TYPES for w in (False, True) if not w or BLOCK_TYPES[n].uses_importance]


def ggml_name(name: str) -> str:
    """ "Q4_K" for q4_k, "MXFP4" for gguf_mxfp4."""
    return name.removeprefix("gguf_").upper()


@cache
def golden(file: str) -> dict[str, np.ndarray]:
    with np.load(DATA / file) as data:
        return dict(data)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether float32 arrays are equal to the last bit; any NaN equals any other."""
    return bool(((a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))).all())
