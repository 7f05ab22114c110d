"""A block longer than a row is the whole row, on every engine, and the result says so."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.inspection import inspect_block
from quantviz.schemes import Granularity

RNG = np.random.default_rng(5)
ROWS = RNG.normal(0, 0.02, (5, 6)).astype(np.float32)
TWELVE = RNG.normal(0, 0.02, (5, 12)).astype(np.float32)  # rows that can be rotated, as six weights cannot
# Schemes with a block longer than twelve weights, and the same without one: "channel" is the whole row.
BLOCKS = [
    *(f"int{bits}-{symmetry}-b64" for bits in (8, 4, 1) for symmetry in ("sym", "asym", "offset")),
    "nf4-b64", "bnb_fp4-b16", "ternary-b128", "fp8_e4m3-b128", "fp4_e2m1-b32:scale=bf16",
    "int4-sym-b64:clip=mse", "int4-asym-b64:clip=90", "int4-offset-b64:solver=hqq", "nf4-b64:double=1",
    "int4-sym-b64:keep=10%", "int4-sym-b64:rotate=hadamard",
]  # fmt: skip


def whole_rows(key: str) -> str:
    scheme = qv.Scheme.parse(key)
    return key.replace(f"-{scheme.granularity}", "-channel")


@pytest.mark.parametrize("key", BLOCKS)
def test_the_whole_row_is_one_block(key: str, engine: str) -> None:
    short, whole = (qv.quantize(TWELVE, k, engine=engine) for k in (key, whole_rows(key)))
    np.testing.assert_array_equal(short.codes, whole.codes)
    np.testing.assert_array_equal(short.dequantize(), whole.dequantize())
    assert short.scales.shape == whole.scales.shape
    assert (short.nbytes, short.bits_per_weight) == (whole.nbytes, whole.bits_per_weight)
    assert any("each row is one block" in text for text in short.notices)
    assert not any("one block" in text for text in whole.notices)
    one, other = (qv.evaluate(TWELVE, k, device=engine) for k in (key, whole_rows(key)))
    assert one.metrics == pytest.approx(other.metrics, nan_ok=True)
    np.testing.assert_array_equal(one.block_errors, other.block_errors)
    assert any("each row is one block" in text for text in one.notices)


@pytest.mark.parametrize("key", ["mxfp8_e4m3", "mxfp6_e2m3", "mxfp4", "mxint8", "nvfp4"])
def test_a_fixed_block_is_the_row_as_if_zeros_filled_it(key: str, engine: str) -> None:
    filled = np.zeros((5, 32), np.float32)
    filled[:, :6] = ROWS
    short = qv.quantize(ROWS, key, engine=engine)
    np.testing.assert_array_equal(short.dequantize(), qv.quantize(filled, key, engine=engine).dequantize()[:, :6])
    bits = qv.Scheme.parse(key).fmt.bits
    assert short.bits_per_weight == pytest.approx(bits + 8 / 6 + (32 / 30 if key == "nvfp4" else 0))


@pytest.mark.parametrize("key", ["fp8_e4m3-b128x128", "int4-asym-b8x8", "nf4-b2x64", "int8-sym-b128x3"])
def test_a_tile_is_cut_to_the_tensor(key: str, engine: str) -> None:
    g = qv.Scheme.parse(key).granularity
    height, width = g.within(*ROWS.shape)
    cut = key.replace(str(g), str(Granularity(height, width)))
    short, fitting = qv.quantize(ROWS, key, engine=engine), qv.quantize(ROWS, cut, engine=engine)
    np.testing.assert_array_equal(short.dequantize(), fitting.dequantize())
    assert short.nbytes == fitting.nbytes
    assert any(f"cut to {height} × {width}" in text for text in short.notices)
    assert qv.evaluate(ROWS, key, device=engine).metrics == pytest.approx(
        qv.evaluate(ROWS, cut, device=engine).metrics, nan_ok=True
    )


def test_a_block_of_a_short_row_is_inspected_whole() -> None:
    block = inspect_block(ROWS, "int4-sym-b64", 3, 0)
    assert (block.rows, block.cols) == ((3, 4), (0, 6))


@pytest.mark.parametrize("shape", [(1,), (6,), (1, 1), (3, 3), (2, 3, 5)])
@pytest.mark.parametrize("key", ["int4-sym-b64", "nf4-b64", "mxfp4", "nvfp4", "fp8_e4m3-b128x128", "ternary-b64"])
def test_the_smallest_tensors(key: str, shape: tuple[int, ...], fast_engine: str) -> None:
    w = RNG.normal(0, 1, shape).astype(np.float32)
    found = [qv.evaluate(w, key, device=which) for which in (fast_engine, "reference")]
    assert found[0].metrics["sqnr_db"] == pytest.approx(found[1].metrics["sqnr_db"])
    assert found[0].metrics["bits_per_weight"] == qv.Scheme.parse(key).bits_per_weight(shape)


def test_block_types_keep_their_own_rule() -> None:
    with pytest.raises(qv.QuantvizError, match="multiple of 32"):
        qv.quantize(ROWS, "q4_0")
