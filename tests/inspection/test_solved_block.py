"""A block under a scheme that looks at data: the codes and the weights that quantize gives, and their arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, QuantvizError
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.inspection import inspect_block
from quantviz.inspection.worked import block_rows

W = np.random.default_rng(0).standard_normal((48, 128), dtype=np.float32)
KEYS = ("int4-asym-b64:solver=gptq", "int4-sym-b32:solver=awq", "nf4-b64:solver=gptq,double=1", "mxfp4:solver=gptq",
        "nvfp4:solver=gptq", "int8-sym-b32:act=int8-token,smooth=0.5", "int4-sym-b16x16:solver=gptq",
        "int3-offset-channel:solver=gptq", "int4-sym-tensor:solver=gptq",
        "int4-sym-b32:keep=5%,act=int8-token,smooth=0.5")  # fmt: skip


def test_blocks_are_parts_of_what_quantize_gives() -> None:
    c = Calibration.of(synthetic_inputs(128, 500, outlier_share=0.02))
    for key in KEYS:
        q = qv.quantize(W, key, calibration=c)
        grid = q.scheme.granularity.grid(*W.shape)
        place = (min(2, grid[0] - 1), grid[1] - 1)
        b = inspect_block(W, key, *place, quantized=q)
        rows, cols = slice(*b.rows), slice(*b.cols)
        scales = np.float32(1) if q.input_scales is None else q.input_scales[cols]
        assert np.array_equal(b.codes, q.codes[rows, cols]), key
        assert np.array_equal(b.dequantized / scales, q.dequantize()[rows, cols]), key
        assert np.array_equal(b.original, W[rows, cols] * scales), key
        assert b.multiplied == (q.input_scales is not None) and ("multiplied" in b.names[0]) == b.multiplied
        assert (b.kept is not None) == ("keep" in key)
        table = block_rows(b)
        assert len(table["arithmetic"]) == b.codes.size


def test_a_rotated_block_is_that_of_the_rotated_rows() -> None:
    c, key = Calibration.of(synthetic_inputs(128, 500)), "int4-sym-b32:rotate=hadamard,solver=gptq"
    q = qv.quantize(W, key, calibration=c)
    b, plain = (inspect_block(W, k, 4, 1, quantized=q) for k in (key, "int4-sym-b32:rotate=hadamard"))
    assert np.array_equal(b.original, plain.original) and b.scale == plain.scale and b.rotated
    assert not np.array_equal(b.codes, plain.codes) and np.array_equal(b.codes, q.codes[4:5, 32:64])


def test_it_asks_for_what_quantize_gave_of_this_tensor() -> None:
    key = KEYS[0]
    with pytest.raises(QuantvizError, match="cannot be quantized without a calibration: solver=gptq looks at"):
        inspect_block(W, key, 0, 0)
    c = Calibration.of(synthetic_inputs(128, 300))
    with pytest.raises(QuantvizError, match="These codes are of 24 × 128 weights, and the tensor has 48 × 128"):
        inspect_block(W, key, 0, 0, quantized=qv.quantize(W[:24], key, calibration=c))
