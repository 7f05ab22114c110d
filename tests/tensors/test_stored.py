"""A tensor as rows: which axes are the input, and that everything which groups weights agrees on it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import quantviz as qv
from quantviz.evaluation import describe
from quantviz.evaluation.comparison import compare
from quantviz.evaluation.facts import largest_weights_table
from quantviz.kernels import dequantize, quantize
from quantviz.metrics import METRICS
from quantviz.tensors import as_stored, rows_and_cols

CONVOLUTION = (16, 8, 3, 3)
KEYS = ("int8-sym-channel:scale=fp32", "int4-asym-b24", "nf4-b64", "fp8_e4m3-b16x24", "int4-sym-b32:rotate=hadamard",
        "mxfp4", "q8_0:pad=1", "int3-sym-b24:keep=1%", "nf4-b64:double=1", "nvfp4")  # fmt: skip


@pytest.fixture
def w() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(CONVOLUTION, dtype=np.float32)


@pytest.mark.parametrize(
    ("shape", "input_axes", "expected"),
    [
        ((), 0, (1, 1)), ((7,), 0, (1, 7)), ((4, 7), 0, (4, 7)), ((2, 4, 7), 0, (8, 7)), ((2, 4, 7), 2, (2, 28)),
        ((16, 8, 3, 3), 0, (16, 72)), ((16, 8, 1, 1), 0, (16, 8)), ((6, 3, 2, 5, 5), 0, (6, 150)), ((4, 7), 2, (4, 7)),
        ((1, 8, 3, 3), 0, (1, 72)), ((0, 7), 0, (0, 7)),
    ],
)  # fmt: skip
def test_rows_and_columns(shape, input_axes, expected) -> None:
    assert rows_and_cols(shape, input_axes) == expected


def test_a_convolution_has_one_scale_an_output_channel(w) -> None:
    flat = w.reshape(16, 72)
    scale = np.abs(flat).max(axis=1, keepdims=True) / np.float32(127)
    by_hand = (np.rint(flat / scale) * scale).reshape(w.shape)
    q = qv.quantize(w, "int8-sym-channel:scale=fp32")
    assert q.shape == q.codes.shape == w.shape and q.scales.shape == (16, 1)
    assert np.array_equal(q.dequantize(), by_hand)
    assert q.bits_per_weight == qv.evaluate(w, q.scheme).metrics["bits_per_weight"] == 8 + 32 * 16 / w.size


@pytest.mark.parametrize("key", KEYS)
def test_a_convolution_is_quantized_as_its_matrix(w, key, engine) -> None:
    flat = w.reshape(16, 72)
    got, expected = quantize(w, key, engine=engine), quantize(flat, key, engine=engine)
    assert got.shape == w.shape and got.nbytes == expected.nbytes
    assert np.array_equal(got.codes.reshape(flat.shape), expected.codes)
    assert np.array_equal(dequantize(got), dequantize(expected).reshape(w.shape))
    a, b = (qv.evaluate(x, key, device=engine) for x in (w, flat))
    assert a.metrics == pytest.approx(b.metrics, nan_ok=True) and a.shape == w.shape
    assert np.array_equal(a.block_errors, b.block_errors)


def test_torch_gets_torch_back_in_its_own_shape(w) -> None:
    import torch

    q = qv.quantize(torch.from_numpy(w), "int8-sym-channel")
    assert q.codes.shape == w.shape and q.dequantize().shape == w.shape
    again = quantize(torch.from_numpy(w), "int8-sym-channel", engine="reference")
    assert torch.equal(q.codes, again.codes)


def test_comparison_importance_and_blocks_follow_the_matrix(w) -> None:
    flat = w.reshape(16, 72)
    importance = np.arange(1, 73, dtype=np.float32)
    keys = ["int4-sym-b64", "int4-sym-b128", "q8_0"]  # a row of 72 takes the first alone
    a, b = compare(w, keys, importance), compare(flat, keys, importance)
    columns = [name for name in a if name in METRICS]
    assert a[columns].equals(b[columns]) and a.notices.tolist() == b.notices.tolist()
    assert math.isfinite(a.sqnr_db[0])
    one, other = (qv.inspect_block(x, "int4-sym-b24", 3, 2) for x in (w, flat))
    assert np.array_equal(one.original, other.original) and one.cols == (48, 72)
    with pytest.raises(qv.QuantvizError, match="a row of this tensor 72"):
        qv.evaluate(w, "int4-sym-b24", importance=np.ones(3))


def test_the_largest_weights_are_placed_in_the_matrix(w) -> None:
    w[5, 4, 1, 2] = 100
    places = largest_weights_table(describe(w))
    assert (places["row"][0], places["column"][0]) == (5, 4 * 9 + 1 * 3 + 2)


def test_a_convolution_of_one_axis_is_told_and_not_guessed() -> None:
    w = np.random.default_rng(1).standard_normal((6, 4, 3), dtype=np.float32)
    experts, convolution = as_stored(w), replace(as_stored(w), input_axes=2)
    assert (experts.matrix, convolution.matrix) == ((24, 3), (6, 12))
    assert convolution.row_range(2, 4).matrix == (2, 12)
    q = qv.quantize(convolution, "int8-sym-channel")
    assert q.scales.shape == (6, 1) and q.dequantize().shape == w.shape
    flat = qv.quantize(w.reshape(6, 12), "int8-sym-channel")
    assert np.array_equal(q.dequantize().reshape(6, 12), flat.dequantize())
    assert qv.evaluate(convolution, "int8-sym-channel").metrics["bits_per_weight"] == flat.bits_per_weight
    assert (describe(convolution).input_axes, largest_weights_table(describe(convolution))["row"].max()) < (3, 6)


def test_what_a_tensor_has_to_say_reaches_every_result() -> None:
    told = replace(as_stored(np.eye(4, 64, dtype=np.float32)), notices=("Mind the gap.",))
    assert qv.evaluate(told, "int8-sym-b64").notices == ("Mind the gap.",)
    assert compare(told, ["int8-sym-b64"]).notices[0] == "Mind the gap."
    assert told.row_range(0, 2).notices == ("Mind the gap.",)
