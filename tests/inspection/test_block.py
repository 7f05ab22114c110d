"""A block shown weight by weight is the block that quantize makes."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.inspection import Block, inspect_block
from quantviz.inspection.block import MAX_BLOCK_WEIGHTS
from quantviz.schemes import Scheme
from tests.kernels.test_engines import ONE_PER_RULE

W = np.random.default_rng(4).standard_normal((40, 512), dtype=np.float32)
PLAIN = [key for key in ONE_PER_RULE if Scheme.parse(key).rule not in ("cast", "block type")]
TYPES = ("q4_0", "q4_1", "q4_k", "q6_k", "iq4_nl", "tq2_0")


def grid(key: str) -> tuple[int, int]:
    """Rows and columns of a group of W."""
    return Scheme.parse(key).granularity.within(*W.shape)


@pytest.mark.parametrize("key", [*PLAIN, "int4-sym-tensor", "int4-asym-channel", "int4-sym-b16x16"])
def test_codes_scale_and_values_are_those_of_the_whole(key):
    q, (height, width) = qv.quantize(W, key), grid(key)
    across, down = -(-W.shape[1] // width), -(-W.shape[0] // height)
    for row, col in {(0, 0), (down - 1, across - 1), (down // 2, across // 2)}:
        b = inspect_block(W, key, row, col)
        r, c = slice(*b.rows), slice(*b.cols)
        assert (r.start, c.start) == (row * height, col * width)
        shown = min(height * width, MAX_BLOCK_WEIGHTS)
        assert b.original.size <= shown and (b.original.shape == (r.stop - r.start, c.stop - c.start))
        assert np.array_equal(b.original, W[r, c]) and np.array_equal(b.dequantized, q.dequantize()[r, c])
        assert np.array_equal(b.codes, q.codes[r, c])
        assert b.error.tobytes() == (b.dequantized - b.original).tobytes()
        if not q.tensor_scale:
            assert b.scale == float(q.scales[row, col])
        assert (b.zero_point is None) == (q.zero_points is None) == (Scheme.parse(key).rule != "asym")
        if b.zero_point is not None:
            assert b.zero_point == int(q.zero_points[row, col])
        assert (b.minimum is None) == (Scheme.parse(key).rule != "offset")
        assert not b.rotated and b.kept is None and b.unpacked is None and b.names == ("original", "dequantized")


def test_a_cast_has_no_blocks_but_a_tensor():
    b = inspect_block(W[:4, :8], "fp8_e4m3", 0, 0)
    assert b.scale is None and b.original.shape == (4, 8)
    assert np.array_equal(b.dequantized, qv.quantize(W[:4, :8], "fp8_e4m3").dequantize())
    with pytest.raises(QuantvizError, match=r"no block \(1, 0\); this tensor has 1 × 1 blocks"):
        inspect_block(W[:4, :8], "fp8_e4m3", 1, 0)


@pytest.mark.parametrize("name", TYPES)
def test_a_block_types_block_is_that_of_its_bytes(name):
    kind, y = Scheme.parse(name).fmt, qv.quantize(W, name).dequantize()
    for row, col in ((0, 0), (39, 512 // kind.block - 1)):
        b = inspect_block(W, name, row, col)
        c = slice(col * kind.block, (col + 1) * kind.block)
        assert (b.rows, b.cols) == ((row, row + 1), (c.start, c.stop))
        assert np.array_equal(b.original[0], W[row, c]) and np.array_equal(b.dequantized[0], y[row, c])
        assert b.scales.shape == b.codes.shape == (1, kind.block)
        assert (b.scale is None) == (kind.groups > 1) and (b.minima is None) == (b.unpacked.minima is None)
        if kind.groups == 1:
            assert (b.scales == np.float32(b.scale)).all()
            assert (b.minimum is None) == (b.minima is None)


@pytest.mark.parametrize("key", ["q4_0", "q4_k:pad=1"])
def test_the_last_block_of_a_row_that_is_no_multiple_shows_no_fill(key):
    w = W[:, :288]
    col = 288 // Scheme.parse(key).fmt.block - (key == "q4_0")
    b = inspect_block(w, key, 2, col)
    assert b.cols[1] == 288 and b.original.shape == b.codes.shape == b.dequantized.shape == b.scales.shape
    assert np.array_equal(b.dequantized[0], qv.quantize(w, key).dequantize()[2, b.cols[0] :])


def test_importance_makes_the_block_that_it_makes_in_quantize():
    h = np.linspace(0.01, 1, 512, dtype=np.float32)
    for key, row, col in (("q4_k", 7, 1), ("int4-sym-b64:clip=mse", 7, 3)):
        b, y = inspect_block(W, key, row, col, importance=h), qv.quantize(W, key, h).dequantize()
        assert np.array_equal(b.dequantized, y[slice(*b.rows), slice(*b.cols)])
    two = np.stack([h, h[::-1]])
    b = inspect_block(W, "q4_k", 30, 0, importance=two)
    assert np.array_equal(b.dequantized[0], qv.quantize(W[20:], "q4_k", h[::-1]).dequantize()[10, :256])


def test_weights_kept_apart_are_shown_as_they_are_kept():
    key = "int4-sym-b64:keep=5%"
    row, col = np.unravel_index(np.abs(W).argmax(), W.shape)
    b, y = inspect_block(W, key, row, col // 64), qv.quantize(W, key).dequantize()
    at = slice(*b.rows), slice(*b.cols)
    assert np.array_equal(b.dequantized, y[at]) and b.kept.shape == (1, 64)
    apart = W[at][b.kept]
    assert len(apart) == b.kept.sum() > 0
    assert np.array_equal(b.dequantized[b.kept], apart.astype(np.float16).astype(np.float32))


def test_of_rotated_rows_the_block_is_rotated_and_says_so():
    b = inspect_block(W, "int4-sym-b64:rotate=hadamard", 3, 2)
    assert b.rotated and b.names == ("original (rotated)", "dequantized (rotated)") and b.kept is None
    assert not np.array_equal(b.original, W[3:4, 128:192])
    assert np.abs(b.error).max() <= b.scale


PARTS = [
    ((0, 0), (0, 8), (0, 512)),
    ((7, 511), (0, 8), (0, 512)),
    ((8, 0), (8, 16), (0, 512)),
    ((39, 9), (32, 40), (0, 512)),
]


@pytest.mark.parametrize("around, rows, cols", PARTS)
def test_of_a_large_group_whole_rows_are_shown(around, rows, cols):
    b = inspect_block(W, "int4-sym-tensor", 0, 0, around=around)
    assert (b.rows, b.cols) == (rows, cols)
    assert b.scale == inspect_block(W, "int4-sym-tensor", 0, 0).scale


@pytest.mark.parametrize("col, cols", [(0, (0, 4096)), (4095, (0, 4096)), (4096, (4096, 5000)), (4999, (4096, 5000))])
def test_of_a_long_row_a_part_is_shown(col, cols):
    w = np.tile(W[:1], (2, 10))[:, :5000]
    b = inspect_block(w, "int4-sym-channel", 1, 0, around=(1, col))
    assert (b.rows, b.cols) == ((1, 2), cols)


def test_places_that_are_not_there_are_refused():
    for row, col in ((-1, 0), (0, -1), (40, 0), (0, 8)):
        with pytest.raises(QuantvizError, match=rf"no block \({row}, {col}\); this tensor has 40 × 8 blocks"):
            inspect_block(W, "int4-sym-b64", row, col)
    for around in ((2, 64), (4, 64), (3, 63), (3, 128)):
        with pytest.raises(QuantvizError, match="lie outside this block of rows 3 to 3 and columns 64 to 127"):
            inspect_block(W, "int4-sym-b64", 3, 1, around=around)


def test_statistics_given_before_change_nothing():
    for key in ("int4-sym-tensor", "nvfp4", "ternary-tensor"):
        one, other = inspect_block(W, key, 0, 0), inspect_block(W, key, 0, 0, statistics=qv.describe(W))
        assert np.array_equal(one.dequantized, other.dequantized) and one.scale == other.scale


def test_what_was_quantized_before_is_not_called_the_original():
    assert isinstance(b := inspect_block(W, "int4-sym-b64", 0, 0), Block)
    half = inspect_block(W.astype(np.float16), "int4-sym-b64", 0, 0)
    assert (b.dtype, half.dtype) == ("float32", "float16") and half.names[0] == "original"


def test_numbers_that_are_none_are_refused():
    bad = W.copy()
    bad[3, 70] = np.nan
    for key in ("int4-sym-b64", "q4_0"):
        with pytest.raises(QuantvizError, match="NaN"):
            inspect_block(bad, key, 3, 1 if key.startswith("int4") else 2)
