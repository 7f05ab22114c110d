"""Schemes and weights that the tests of the GPU's linear kernels share."""

from __future__ import annotations

from functools import cache

import numpy as np

from quantviz.kernels import quantize
from quantviz.kernels.results import Quantized
from quantviz.schemes import Scheme

# Every format, symmetry and type of scale, blocks shorter than a run of the layout, as long and longer, and none.
KEYS = (
    "int8-sym-b32", "int8-asym-b128", "int8-sym-channel:scale=bf16", "int4-sym-b32", "int4-asym-b64",
    "int4-asym-b256", "int4-sym-b16", "int4-asym-channel", "int4-sym-b96:scale=fp32", "int4-asym-tensor",
    "int3-sym-b32", "int3-asym-b128", "int3-asym-b16", "int2-sym-b64", "int2-asym-b32:scale=bf16",
    "int2-asym-b16", "ternary-channel", "ternary-b64", "fp8_e4m3-channel", "fp8_e4m3-b128", "fp8_e4m3-b128x128",
    "fp8_e4m3-tensor", "nf4-b64", "nf4-b32:scale=bf16", "bnb_fp4-b64", "bnb_fp4-b128", "fp4_e2m1-b32",
    "fp4_e2m1-channel", "mxfp4", "mxfp8_e4m3", "nvfp4",
)  # fmt: skip
COLS = 300  # no multiple of a block, a tile or a run


@cache
def weights(rows: int, cols: int = COLS) -> np.ndarray:
    """Normal weights, some of them large, some zero."""
    rng = np.random.default_rng([rows, cols])
    w = rng.standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)
    w[rng.random(w.shape) < 0.004] *= np.float32(20)
    w[rng.random(w.shape) < 0.02] = 0
    return w


@cache
def quantized(key: str) -> Quantized:
    return quantize(weights(130 if "x" in key.partition("-")[2] else 27), key)


@cache
def every_code(key: str, cols: int) -> Quantized:
    """Every code in every place along rows of `cols`, under scales of 1, zero points of every kind."""
    scheme = Scheme.parse(key)
    low, high = scheme.code_range
    codes = np.arange(low, high + 1)
    if scheme.format == "fp8_e4m3":
        codes = codes[(codes & 127) != 127]  # the two NaNs are never codes of a weight
    places = codes[(np.arange(len(codes))[:, None] + np.arange(cols)) % len(codes)]
    grid = scheme.granularity.grid(len(codes), cols)
    zeros = (np.arange(grid[0])[:, None] * 37 + np.arange(grid[1])) % (high + 1) if scheme.symmetry == "asym" else None
    dtype = np.int8 if low < 0 else np.uint8
    return Quantized(
        scheme, places.shape, places.astype(dtype), np.ones(grid, np.float32),
        None if zeros is None else zeros.astype(np.uint8), tensor_scale=1.0 if scheme.rule == "nvfp4" else None,
    )  # fmt: skip


EVERY_CODE = (
    "int8-sym-b32", "int8-asym-b32", "int4-sym-b32", "int4-asym-b32", "int3-sym-b128", "int3-asym-b128",
    "int2-sym-b64", "int2-asym-b64", "ternary-b64", "fp8_e4m3-b32", "nf4-b32", "bnb_fp4-b32", "fp4_e2m1-b32",
    "mxfp4", "nvfp4",
)  # fmt: skip
